/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes what it was started with to the file RECORD: arguments, environment, what descriptors 0, 1, 2 are. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

extern char **environ;

static int compare(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

int main(int argc, char **argv)
{
	FILE *record = fopen(getenv("RECORD"), "w");
	size_t variables = 0;

	if (!record)
		return 99;
	for (int index = 0; index < argc; index++)
		fprintf(record, "argument %zu:%s\n", strlen(argv[index]), argv[index]);
	/* dash changes their order */
	while (environ[variables])
		variables++;
	qsort(environ, variables, sizeof(*environ), compare);
	for (char **variable = environ; *variable; variable++)
		fprintf(record, "variable %s\n", *variable);
	for (int descriptor = 0; descriptor < 3; descriptor++) {
		struct stat status;

		if (fstat(descriptor, &status) != 0)
			fprintf(record, "descriptor %d closed\n", descriptor);
		else
			fprintf(record, "descriptor %d %lu:%lu %d\n", descriptor, (unsigned long)status.st_dev,
				(unsigned long)status.st_ino, fcntl(descriptor, F_GETFL) & O_ACCMODE);
	}
	return fclose(record) == 0 ? atoi(getenv("STATUS")) : 99;
}

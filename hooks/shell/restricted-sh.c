/* SPDX-License-Identifier: MIT */
/*
 * The shell of a jail with `shell: restricted`: what exec(), popen(), proc_open() and mail() of PHP start as /bin/sh.
 * It becomes one of the programs that the site declared, and refuses everything else: exit status 126, one line to
 * stderr and one to the site's log.
 *
 *	sh -c COMMAND
 *	sh -c -- COMMAND
 *	sh --programs		print the programs
 *
 * `true` starts nothing and needs no declaration, so that it can be tried out whether the shell is there.
 * The programs are the absolute paths in PROGRAMS, one in a line; a line `log PATH` names the log. Where options follow
 * a path, the program gets no others; one that ends in `*` stands for all that begin so.
 */

#define _GNU_SOURCE

#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#ifndef PROGRAMS
#define PROGRAMS "/etc/fpmjail/programs"
#endif
#ifndef OWNER
#define OWNER 0
#endif

enum { REFUSED = 126, NOT_FOUND = 127, LONGEST_LIST = 64 * 1024, LONGEST_PATH = 1024, LONGEST_MESSAGE = 1024,
       SHOWN = 400 };

extern char **environ;

static struct command command;
static char list[LONGEST_LIST + 1];
static char program[LONGEST_PATH + 1];

/* Of what would make a program load foreign code: the rest of the environment is the site's affair. */
static const char *const dangerous[] = {
	"GCONV_PATH=", "GETCONF_DIR=", "GLIBC_TUNABLES=", "LD_", "LOCPATH=", "MALLOC_", "NLSPATH=",
	"OPENSSL_CONF=", "OPENSSL_ENGINES=", "OPENSSL_MODULES=",
};

static bool begins(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* The rest of the first line of the list that begins with `start`, or NULL. */
static const char *line_of_list(const char *start)
{
	for (const char *line = list; *line; line += strlen(line) + 1) {
		if (begins(line, start))
			return line + strlen(start);
	}
	return NULL;
}

/* Days since 1970 to a date of the Gregorian calendar, by years that begin in March; no time zone is read. */
static void date_of(long days, int *year, int *month, int *day)
{
	long shifted = days + 719468, era = shifted / 146097, of_era = shifted % 146097;
	long years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	long of_year = of_era - (365 * years + years / 4 - years / 100);
	long months = (5 * of_year + 2) / 153;

	*day = (int)(of_year - (153 * months + 2) / 5 + 1);
	*month = (int)(months < 10 ? months + 3 : months - 9);
	*year = (int)(years + era * 400 + (*month <= 2));
}

/* `[2026-11-23T18:21:26Z] `; returns its length. */
static size_t stamp(char *text, size_t size)
{
	long now = (long)time(NULL), second = now % 86400;
	int year, month, day, length;

	date_of(now / 86400, &year, &month, &day);
	length = snprintf(text, size, "[%04d-%02d-%02dT%02ld:%02ld:%02ldZ] ", year, month, day, second / 3600,
			  second / 60 % 60, second % 60);
	return length < 0 || (size_t)length >= size ? 0 : (size_t)length;
}

/* The site can do what it likes with its log, so nothing is expected of it. */
static void write_log(const char *message, size_t length)
{
	const char *path = line_of_list("log ");
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	char line[LONGEST_MESSAGE + 64];
	struct stat status;
	size_t used;
	int log;

	if (!path || (log = open(path, flags, 0640)) < 0)
		return;
	used = stamp(line, sizeof(line) - LONGEST_MESSAGE);
	memcpy(line + used, message, length);
	if (fstat(log, &status) == 0 && S_ISREG(status.st_mode) && write(log, line, used + length) < 0)
		errno = 0;
	close(log);
}

/* Ends the program: one line that no terminal and no log can misunderstand. */
static _Noreturn void refuse(int status, const char *reason, const char *detail, const char *line)
{
	char message[LONGEST_MESSAGE];
	int length = snprintf(message, sizeof(message), "sh: refused: %s%s: %.*s", reason, detail, SHOWN, line);
	size_t used = length < 0 ? 0 : (size_t)length;

	if (used > sizeof(message) - 1)
		used = sizeof(message) - 1;
	for (size_t index = 0; index < used; index++) {
		if (message[index] < ' ' || message[index] > '~')
			message[index] = '?';
	}
	message[used++] = '\n';
	if (write(STDERR_FILENO, message, used) < 0)
		errno = 0;
	write_log(message, used);
	_exit(status);
}

/* The file of programs, each line ended by a NUL, all of them by an empty one. */
static const char *read_list(void)
{
	int file = open(PROGRAMS, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	struct stat status;
	ssize_t length;

	if (file < 0)
		return "its list of programs cannot be read";
	if (fstat(file, &status) != 0 || status.st_uid != OWNER || status.st_mode & 022)
		return "its list of programs is not root's own";
	length = read(file, list, sizeof(list));
	close(file);
	if (length < 0 || (size_t)length == sizeof(list))
		return "its list of programs cannot be read, or is too long";
	for (ssize_t index = 0; index < length; index++) {
		if (list[index] == '\n')
			list[index] = '\0';
	}
	return NULL;
}

/* Finds the declared program of this name or path; returns its options or NULL. The list decides alone, not PATH. */
static const char *find_program(const char *name)
{
	for (const char *line = list; *line; line += strlen(line) + 1) {
		size_t length = strcspn(line, " ");

		if (*line != '/' || length > LONGEST_PATH)
			continue;
		memcpy(program, line, length);
		program[length] = '\0';
		if (strcmp(program, name) == 0 || strcmp(strrchr(program, '/') + 1, name) == 0)
			return line + length;
	}
	return NULL;
}

/* Whether an argument is one of the options, each with a blank before it. */
static bool is_option(const char *options, const char *argument)
{
	while (*options) {
		size_t length = strcspn(++options, " ");
		bool start = length > 0 && options[length - 1] == '*';

		if (start ? strncmp(options, argument, length - 1) == 0
			  : strlen(argument) == length && strncmp(options, argument, length) == 0)
			return true;
		options += length;
	}
	return false;
}

/* Whether the program may get all of its options; without a list of them it may get any. */
static bool options_allowed(const char *options)
{
	for (size_t index = 1; *options && index < command.words; index++) {
		if (command.argv[index][0] == '-' && !is_option(options, command.argv[index]))
			return false;
	}
	return true;
}

static void clean_environment(void)
{
	char **kept = environ;

	for (char **variable = environ; *variable; variable++) {
		bool keep = true;

		for (size_t index = 0; index < sizeof(dangerous) / sizeof(dangerous[0]); index++)
			keep = keep && !begins(*variable, dangerous[index]);
		if (keep)
			*kept++ = *variable;
	}
	*kept = NULL;
}

/* /dev/null and nothing that stands in its place, or -1. */
static int open_null(bool writing)
{
	int file = open("/dev/null", (writing ? O_WRONLY : O_RDONLY) | O_NOCTTY | O_CLOEXEC);
	struct stat status;

	if (file < 0)
		return -1;
	if (fstat(file, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3))
		return file;
	close(file);
	return -1;
}

static bool redirect(const struct redirection *redirection)
{
	int descriptor = redirection->descriptor;
	int source = redirection->source == DEV_NULL ? open_null(redirection->writing) : redirection->source;
	bool opened = redirection->source == DEV_NULL;

	if (source < 0)
		return false;
	if (source == descriptor)
		return fcntl(descriptor, F_SETFD, 0) == 0;
	if (dup2(source, descriptor) < 0)
		return false;
	return !opened || close(source) == 0;
}

/* As dash has it: 127 for a program that is not there, 126 for one that cannot be run. */
static int status_of(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG ? NOT_FOUND : REFUSED;
}

static _Noreturn void run(const char *line)
{
	struct refusal refusal;
	const char *options;
	char place[48];

	if (!command_read(line, &command, &refusal)) {
		snprintf(place, sizeof(place), " (character %zu)", refusal.position + 1);
		refuse(REFUSED, refusal.reason, place, line);
	}
	if (strcmp(command.argv[0], "true") == 0)
		_exit(0);
	options = find_program(command.argv[0]);
	if (!options)
		refuse(REFUSED, "not one of the site's programs, see: sh --programs", "", line);
	if (!options_allowed(options))
		refuse(REFUSED, "the program has no such option here", "", line);
	for (size_t index = 0; index < command.redirections; index++) {
		if (!redirect(&command.redirection[index]))
			refuse(REFUSED, "a redirection fails", "", line);
	}
	clean_environment();
	execve(program, command.argv, environ);
	refuse(status_of(errno), program, " cannot be run", line);
}

static _Noreturn void show_programs(void)
{
	for (const char *line = list; *line; line += strlen(line) + 1) {
		if (*line == '/')
			printf("%.*s\n", (int)strcspn(line, " "), line);
	}
	exit(fflush(stdout) == 0 ? 0 : 1);
}

int main(int argc, char **argv)
{
	const char *fault = read_list();
	bool marked = argc == 4 && strcmp(argv[1], "-c") == 0 && strcmp(argv[2], "--") == 0;
	bool plain = argc == 3 && strcmp(argv[1], "-c") == 0;

	if (fault)
		refuse(REFUSED, fault, "", argc > 0 ? argv[argc - 1] : "");
	if (argc == 2 && strcmp(argv[1], "--programs") == 0)
		show_programs();
	if (!marked && !plain)
		refuse(REFUSED, "known here are: sh -c COMMAND, sh --programs", "", argc > 1 ? argv[argc - 1] : "");
	run(argv[argc - 1]);
}

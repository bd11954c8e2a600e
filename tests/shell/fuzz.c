/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer's target: whatever a line says, what is made of it keeps the promises of command.h, and the same command
 * written out with single quotes is read as the same command.
 */

#include "command.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char line[LONGEST_LINE + 2];
static char again[5 * LONGEST_LINE];
static struct command first, second;

static void hold(bool promise)
{
	if (!promise)
		abort();
}

static size_t add(size_t used, const char *text, size_t length)
{
	hold(used + length < sizeof(again));
	memcpy(again + used, text, length);
	return used + length;
}

static size_t add_quoted(size_t used, const char *word)
{
	used = add(used, "'", 1);
	for (; *word; word++)
		used = *word == '\'' ? add(used, "'\\''", 4) : add(used, word, 1);
	return add(used, "' ", 2);
}

static size_t add_redirection(size_t used, const struct redirection *redirection)
{
	char text[32];
	const char *sign = redirection->writing ? ">" : "<";
	int length = redirection->source == DEV_NULL
		? snprintf(text, sizeof(text), "%d%s/dev/null ", redirection->descriptor, sign)
		: snprintf(text, sizeof(text), "%d%s&%d ", redirection->descriptor, sign, redirection->source);

	hold(redirection->descriptor >= 0 && redirection->descriptor <= 2);
	hold(redirection->source >= DEV_NULL && redirection->source <= 2);
	return add(used, text, (size_t)length);
}

static void check(const struct command *command)
{
	hold(command->words >= 1 && command->words <= MOST_WORDS && command->argv[command->words] == NULL);
	hold(command->redirections <= MOST_REDIRECTIONS && command->used <= sizeof(command->text));
	for (size_t index = 0; index < command->words; index++) {
		const char *word = command->argv[index];

		hold(word >= command->text && word < command->text + command->used);
		hold(word + strlen(word) < command->text + command->used);
	}
}

static bool same(const struct redirection *one, const struct redirection *other)
{
	return one->descriptor == other->descriptor && one->source == other->source && one->writing == other->writing;
}

static void read_again(void)
{
	struct refusal refusal;
	size_t used = 0;

	for (size_t index = 0; index < first.words; index++)
		used = add_quoted(used, first.argv[index]);
	for (size_t index = 0; index < first.redirections; index++)
		used = add_redirection(used, &first.redirection[index]);
	again[used] = '\0';
	/* What only begins to mean something without its `exec`. */
	if (strchr(first.argv[0], '=') || (first.words > 1 && strcmp(first.argv[0], "exec") == 0))
		return;
	hold(command_read(again, &second, &refusal) && second.words == first.words);
	for (size_t index = 0; index < first.words; index++)
		hold(strcmp(first.argv[index], second.argv[index]) == 0);
	hold(second.redirections == first.redirections);
	for (size_t index = 0; index < first.redirections; index++)
		hold(same(&first.redirection[index], &second.redirection[index]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct refusal refusal = {NULL, 0};
	size_t length = size < sizeof(line) ? size : sizeof(line) - 1;

	memcpy(line, data, length);
	line[length] = '\0';
	if (command_read(line, &first, &refusal)) {
		check(&first);
		read_again();
	} else {
		hold(refusal.reason && refusal.position <= strlen(line));
	}
	return 0;
}

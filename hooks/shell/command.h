/* SPDX-License-Identifier: MIT */
/* One command of the restricted shell: what its line means, or why it is refused. */

#ifndef FPMJAIL_COMMAND_H
#define FPMJAIL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

enum {
	LONGEST_LINE = 128 * 1024, /* the kernel allows no longer argument (MAX_ARG_STRLEN) */
	MOST_WORDS = 4096,
	MOST_REDIRECTIONS = 16,
	DEV_NULL = -1,
};

/* `descriptor` becomes a copy of `source`: 0, 1 or 2, or DEV_NULL, opened for writing or for reading. */
struct redirection {
	int descriptor;
	int source;
	bool writing;
};

struct command {
	size_t words;
	char *argv[MOST_WORDS + 1]; /* into `text`, ends with NULL */
	size_t redirections;
	struct redirection redirection[MOST_REDIRECTIONS]; /* in the order in which they are made */
	size_t used;
	char text[LONGEST_LINE + 1];
};

/* Why a line is refused; `position` counts its characters from 0. */
struct refusal {
	const char *reason;
	size_t position;
};

/*
 * Reads a line of the shell's language of which only this much is known: words with quotes and backslashes, and
 * redirections to /dev/null and among 0, 1, 2. What dash(1) would make more of than that is refused.
 */
bool command_read(const char *line, struct command *command, struct refusal *refusal);

#endif

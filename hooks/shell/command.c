/* SPDX-License-Identifier: MIT */
/*
 * The language: POSIX.1-2017, XCU 2.2 (quoting), 2.3 (tokens), 2.7 (redirection), read as dash reads it. Nothing is
 * ever expanded: a character that could ask for it is refused. No memory is allocated, nothing but the line is read.
 */

#include "command.h"

#include <string.h>

struct reader {
	const char *line;
	size_t at;
	struct command *command;
	struct refusal *refusal;
};

struct word {
	const char *text;
	size_t length;
	bool quoted;
	size_t position;
};

static bool refuse(struct reader *reader, const char *reason, size_t position)
{
	reader->refusal->reason = reason;
	reader->refusal->position = position;
	return false;
}

/* The next character; a backslash at the end of a line joins it to the next one. */
static char look(struct reader *reader)
{
	while (reader->line[reader->at] == '\\' && reader->line[reader->at + 1] == '\n')
		reader->at += 2;
	return reader->line[reader->at];
}

static bool is_blank(char character)
{
	return character == ' ' || character == '\t';
}

static bool ends_word(char character)
{
	return character == '\0' || character == '\n' || character == '<' || character == '>' || is_blank(character);
}

static void skip_blanks(struct reader *reader)
{
	while (is_blank(look(reader)))
		reader->at++;
}

static void skip_blank_lines(struct reader *reader)
{
	while (is_blank(look(reader)) || look(reader) == '\n')
		reader->at++;
}

static bool put(struct reader *reader, char character)
{
	struct command *command = reader->command;

	if (command->used == sizeof(command->text))
		return refuse(reader, "the line is too long", reader->at);
	command->text[command->used++] = character;
	return true;
}

/* The character at the reader's place, as it stands there. */
static bool take(struct reader *reader)
{
	if (!put(reader, reader->line[reader->at]))
		return false;
	reader->at++;
	return true;
}

static bool read_single_quotes(struct reader *reader)
{
	size_t opened = reader->at++;

	while (reader->line[reader->at] != '\'') {
		if (reader->line[reader->at] == '\0')
			return refuse(reader, "a single quote is never closed", opened);
		if (!take(reader))
			return false;
	}
	reader->at++;
	return true;
}

/* In double quotes a backslash only stands before what would mean something without it. */
static bool read_quoted_backslash(struct reader *reader)
{
	char next = reader->line[reader->at + 1];

	if (next == '"' || next == '\\' || next == '$' || next == '`')
		reader->at++;
	return take(reader);
}

static bool read_double_quotes(struct reader *reader)
{
	size_t opened = reader->at++;
	char character;

	while ((character = look(reader)) != '"') {
		if (character == '\0')
			return refuse(reader, "a double quote is never closed", opened);
		if (character == '$' || character == '`')
			return refuse(reader, "nothing is expanded or substituted here", reader->at);
		if (!(character == '\\' ? read_quoted_backslash(reader) : take(reader)))
			return false;
	}
	reader->at++;
	return true;
}

static bool read_backslash(struct reader *reader)
{
	if (reader->line[++reader->at] == '\0')
		return refuse(reader, "a backslash stands at the end", reader->at - 1);
	return take(reader);
}

/* Why a character that is not quoted cannot be part of a word, or NULL. */
static const char *meaning(char character, bool first)
{
	switch (character) {
	case '$':
	case '`':
		return "nothing is expanded or substituted here";
	case '*':
	case '?':
	case '[':
		return "no patterns of file names here: quote it";
	case '|':
	case '&':
	case ';':
		return "one command only: no pipes, no lists, nothing in the background";
	case '(':
	case ')':
		return "no groups and no functions here";
	case '~':
		return first ? "no home directories here: quote it" : NULL;
	case '#':
		return first ? "no comments here: quote it" : NULL;
	default:
		return NULL;
	}
}

/* One character or one quoted part of a word; `*quoted` is set by the latter. */
static bool read_part(struct reader *reader, bool first, bool *quoted)
{
	char character = reader->line[reader->at];
	const char *reason = meaning(character, first);

	if (reason)
		return refuse(reader, reason, reader->at);
	if (character != '\'' && character != '"' && character != '\\')
		return take(reader);
	*quoted = true;
	if (character == '\'')
		return read_single_quotes(reader);
	return character == '"' ? read_double_quotes(reader) : read_backslash(reader);
}

/* A word with its quotes removed, after the ones that were read before it. */
static bool read_word(struct reader *reader, struct word *word)
{
	size_t start = reader->command->used;
	bool quoted = false;

	word->text = &reader->command->text[start];
	word->position = reader->at;
	while (!ends_word(look(reader))) {
		if (!read_part(reader, reader->command->used == start && !quoted, &quoted))
			return false;
	}
	word->length = reader->command->used - start;
	word->quoted = quoted;
	return put(reader, '\0');
}

/* A digit right before `<` or `>` is a descriptor, quoted it is a word. */
static bool is_descriptor(struct reader *reader, const struct word *word)
{
	char next = look(reader);
	bool digit = word->length == 1 && word->text[0] >= '0' && word->text[0] <= '9';

	return digit && !word->quoted && (next == '<' || next == '>');
}

/* Descriptor 0, 1 or 2 in the one digit of a word, or -1. */
static int standard_stream(const struct word *word)
{
	bool one = word->length == 1 && !word->quoted && word->text[0] >= '0' && word->text[0] <= '2';

	return one ? word->text[0] - '0' : -1;
}

/* What follows `<`, `>`, `>>` or `>&`. */
static bool read_target(struct reader *reader, bool copy, struct redirection *redirection)
{
	struct word word;

	skip_blanks(reader);
	if (ends_word(look(reader)))
		return refuse(reader, "a redirection leads nowhere", reader->at);
	if (!read_word(reader, &word))
		return false;
	reader->command->used -= word.length + 1;
	if (is_descriptor(reader, &word))
		return refuse(reader, "a redirection leads nowhere", word.position);
	redirection->source = copy ? standard_stream(&word) : DEV_NULL;
	if (copy && redirection->source < 0)
		return refuse(reader, "only 0, 1 and 2 can be copied", word.position);
	if (!copy && strcmp(word.text, "/dev/null") != 0)
		return refuse(reader, "redirections lead to /dev/null only", word.position);
	return true;
}

/* `<`, `>`, `>>` or `>&` with what follows; `descriptor` is -1 where no number stands before it. */
static bool read_redirection(struct reader *reader, int descriptor)
{
	struct command *command = reader->command;
	struct redirection *redirection = &command->redirection[command->redirections];
	size_t position = reader->at;
	bool copy;

	if (command->redirections == MOST_REDIRECTIONS)
		return refuse(reader, "too many redirections", position);
	redirection->writing = reader->line[reader->at++] == '>';
	redirection->descriptor = descriptor >= 0 ? descriptor : redirection->writing;
	if (redirection->descriptor > 2)
		return refuse(reader, "only 0, 1 and 2 can be redirected", position);
	copy = redirection->writing && look(reader) == '&';
	if (copy || (redirection->writing && look(reader) == '>'))
		reader->at++;
	command->redirections++;
	return read_target(reader, copy, redirection);
}

/* A word of the command, or the number of a redirection with the rest of it. */
static bool read_argument(struct reader *reader)
{
	struct command *command = reader->command;
	struct word word;

	if (!read_word(reader, &word))
		return false;
	if (is_descriptor(reader, &word)) {
		int descriptor = word.text[0] - '0';

		command->used -= word.length + 1;
		return read_redirection(reader, descriptor);
	}
	if (command->words == MOST_WORDS)
		return refuse(reader, "too many words", word.position);
	command->argv[command->words++] = &command->text[command->used - word.length - 1];
	return true;
}

/* `exec` before a program means what happens anyway. */
static void forget_exec(struct command *command)
{
	if (command->words > 1 && strcmp(command->argv[0], "exec") == 0) {
		command->words--;
		memmove(&command->argv[0], &command->argv[1], command->words * sizeof(command->argv[0]));
	}
	command->argv[command->words] = NULL;
}

static bool read_all(struct reader *reader)
{
	char character;

	skip_blank_lines(reader);
	while ((character = look(reader)) != '\0') {
		if (character == '\n') {
			skip_blank_lines(reader);
			if (look(reader) != '\0')
				return refuse(reader, "one command only: no second line", reader->at);
		} else if (is_blank(character)) {
			reader->at++;
		} else if (!(ends_word(character) ? read_redirection(reader, -1) : read_argument(reader))) {
			return false;
		}
	}
	return true;
}

bool command_read(const char *line, struct command *command, struct refusal *refusal)
{
	struct reader reader = {.line = line, .command = command, .refusal = refusal};

	command->words = command->redirections = command->used = 0;
	command->argv[0] = NULL;
	if (!read_all(&reader))
		return false;
	if (command->words == 0)
		return refuse(&reader, "there is no command", 0);
	/* Before the program it would be the value of a variable. */
	if (strchr(command->argv[0], '='))
		return refuse(&reader, "no variables here", 0);
	forget_exec(command);
	return true;
}

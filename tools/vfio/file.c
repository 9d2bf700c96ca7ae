// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paths, files, memory, and notes about missing facts
 */

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lsvfio.h"

const char *root = "";
char **notes;
size_t nr_notes;

/* Return a path below the root. The next call overwrites it. */
const char *path(const char *fmt, ...)
{
	static char buf[PATH_MAX];
	va_list args;
	int len;

	len = snprintf(buf, sizeof(buf), "%s", root);
	va_start(args, fmt);
	vsnprintf(buf + len, sizeof(buf) - len, fmt, args);
	va_end(args);

	return buf;
}

bool exists(const char *name)
{
	return !access(name, F_OK);
}

/* Read a small file without its last newline. Return -1 and empty text on error. */
int read_text(char *buf, size_t size, const char *name)
{
	FILE *file = fopen(name, "r");
	size_t len;

	*buf = '\0';
	if (!file)
		return -1;
	len = fread(buf, 1, size - 1, file);
	fclose(file);
	if (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';

	return 0;
}

unsigned int read_number(const char *name)
{
	char buf[32];

	read_text(buf, sizeof(buf), name);

	return strtoul(buf, NULL, 0);
}

/* Read the last component of a symbolic link; empty if there is no link */
void read_link(char *buf, size_t size, const char *name)
{
	char target[PATH_MAX];
	ssize_t len = readlink(name, target, sizeof(target) - 1);
	const char *base;

	target[len < 0 ? 0 : len] = '\0';
	base = strrchr(target, '/');
	copy(buf, size, base ? base + 1 : target);
}

/* Return the length of the UTF-8 character at the start of a text; 0 if it is not printable */
static size_t printable(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;
	size_t len = *c >= 0xf0 ? 4 : *c >= 0xe0 ? 3 : *c >= 0x80 ? 2 : 1, i;

	if (*c < ' ' || *c == 0x7f || (*c >= 0x80 && *c < 0xc2) || *c > 0xf4)
		return 0;
	for (i = 1; i < len; i++) {
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Control characters, surrogates, too long forms, and values above 0x10ffff */
	if ((*c == 0xc2 && c[1] < 0xa0) || (*c == 0xed && c[1] >= 0xa0) || (*c == 0xe0 && c[1] < 0xa0) ||
	    (*c == 0xf0 && c[1] < 0x90) || (*c == 0xf4 && c[1] >= 0x90))
		return 0;

	return len;
}

/*
 * Copy a text, and write each byte that is not printable as \xNN, as /dev/kmsg does.
 * Processes choose their own names, and these must not reach a terminal as they are.
 */
void copy(char *buf, size_t size, const char *text)
{
	size_t len, step;
	const char *from;
	char hex[8];

	for (; *text; text += step) {
		step = printable(text);
		len = step;
		from = text;
		if (!step) {
			len = snprintf(hex, sizeof(hex), "\\x%02x", (unsigned char)*text);
			from = hex;
			step = 1;
		}
		if (len >= size)
			break;
		memcpy(buf, from, len);
		buf += len;
		size -= len;
	}
	*buf = '\0';
}

/* Append a zeroed element to an array; the caller stores the result */
void *append(void *array, size_t *nr, size_t size)
{
	array = reallocarray(array, *nr + 1, size);
	if (!array)
		die("out of memory");
	memset((char *)array + *nr * size, 0, size);
	(*nr)++;

	return array;
}

/* Record once that a fact is missing */
void note(const char *fmt, ...)
{
	va_list args;
	char *text;
	size_t i;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		die("out of memory");
	va_end(args);

	for (i = 0; i < nr_notes; i++) {
		if (!strcmp(notes[i], text)) {
			free(text);
			return;
		}
	}
	notes = append(notes, &nr_notes, sizeof(*notes));
	notes[nr_notes - 1] = text;
}

void free_notes(void)
{
	while (nr_notes)
		free(notes[--nr_notes]);
	free(notes);
	notes = NULL;
}

void die(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("lsvfio: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

// SPDX-License-Identifier: GPL-2.0-only
/* The transcript: one line per case, the same in every run. */
#include <stdarg.h>

#include "region_diff.h"

unsigned long num_cases;

static const char *stage = "";
static const char *state = "";

/* One line may contain up to eight formatted values */
static char *text(size_t size)
{
	static char texts[8][128];
	static unsigned int next;

	VFIO_ASSERT_TRUE(size <= sizeof(texts[0]));
	return texts[next++ % 8];
}

void in_stage(const char *name)
{
	stage = name;
	state = "";
}

void in_state(const char *name)
{
	state = name;
}

void say(const char *format, ...)
{
	va_list args;

	num_cases++;
	printf("%s%s%s: ", stage, *state ? "/" : "", state);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

const char *result(long ret)
{
	const char *name;
	char *s;

	if (ret >= 0) {
		s = text(24);
		snprintf(s, 24, "%ld", ret);
		return s;
	}
	name = strerrorname_np(-ret);
	return name ? name : "E?";
}

static u64 hash(const u8 *p, size_t n)
{
	u64 h = 0xcbf29ce484222325ULL;
	u64 word;

	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&word, p, 8);
		h = (h ^ word) * 0x100000001b3ULL;
		h ^= h >> 29;
	}
	for (; n; n--, p++)
		h = (h ^ *p) * 0x100000001b3ULL;
	return h ^ (h >> 32);
}

static bool untouched(const u8 *p, size_t n)
{
	return !n || (p[0] == POISON && !memcmp(p, p + 1, n - 1));
}

/* Format short data in full, longer data as its first bytes and a hash */
const char *data(const void *buf, size_t n)
{
	const u8 *p = buf;
	size_t i, shown = n <= 16 ? n : 8;
	char *s;
	int len = 0;

	if (untouched(p, n))
		return "untouched";

	s = text(64);
	for (i = 0; i < shown; i++)
		len += snprintf(s + len, 64 - len, "%02x", p[i]);
	if (n > shown)
		snprintf(s + len, 64 - len, "..%016llx", (unsigned long long)hash(p, n));
	return s;
}

const char *at(u64 pos)
{
	char *s = text(48);

	if ((s64)pos < 0)
		snprintf(s, 48, "-%#llx", (unsigned long long)-pos);
	else
		snprintf(s, 48, "%llu+%#llx", (unsigned long long)(pos >> REGION_SHIFT),
			 (unsigned long long)(pos & (REGION_SPACE - 1)));
	return s;
}

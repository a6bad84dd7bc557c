/* SPDX-License-Identifier: MIT */
/* fixture - a folder of the test's own, and files in it */
#include "tests/unit/post/fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void folder_make(char path[static 64])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(path, 64, "%s/ntm-post-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *f)
{
	(void)st, (void)flag, (void)f;
	return remove(path);
}

void folder_remove(const char *path)
{
	assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

const char *at(const char *format, ...)
{
	static char bufs[8][5000];
	static unsigned int next;
	char *buf = bufs[next++ % 8];
	va_list ap;

	va_start(ap, format);
	vsnprintf(buf, sizeof(bufs[0]), format, ap);
	va_end(ap);
	return buf;
}

void file_put(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	if (len)
		assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

void file_fill(const char *path, size_t len, uint8_t seed)
{
	uint8_t *b = malloc(len + 1);
	size_t i;

	assert_non_null(b);
	for (i = 0; i < len; i++)
		b[i] = (uint8_t)(seed + i * 7 + i / 251);
	file_put(path, b, len);
	free(b);
}

void file_get(const char *path, const char *text)
{
	FILE *f = fopen(path, "r");
	char got[100];
	size_t n;

	assert_non_null(f);
	n = fread(got, 1, sizeof(got) - 1, f);
	got[n] = '\0';
	fclose(f);
	assert_string_equal(got, text);
}

void assert_same_files(const char *a, const char *b)
{
	FILE *fa = fopen(a, "r"), *fb = fopen(b, "r");
	struct stat sa, sb;
	int c;

	assert_non_null(fa);
	assert_non_null(fb);
	do {
		c = getc(fa);
		assert_int_equal(c, getc(fb));
	} while (c != EOF);
	assert_int_equal(fstat(fileno(fa), &sa), 0);
	assert_int_equal(fstat(fileno(fb), &sb), 0);
	assert_int_equal(sa.st_mtim.tv_sec, sb.st_mtim.tv_sec);
	assert_int_equal(sa.st_mtim.tv_nsec, sb.st_mtim.tv_nsec);
	fclose(fa);
	fclose(fb);
}

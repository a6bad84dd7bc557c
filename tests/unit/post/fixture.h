/* SPDX-License-Identifier: MIT */
/*
 * fixture - a folder of the test's own, and files in it
 *
 * Owner: the test program.
 */
#ifndef NTM_TESTS_UNIT_POST_FIXTURE_H
#define NTM_TESTS_UNIT_POST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/** a new folder below TMPDIR or /tmp; removed, with all in it, by folder_remove() */
void folder_make(char path[static 64]);
void folder_remove(const char *path);
/** "FORMAT ..." as a path; eight static buffers in turn */
const char *at(const char *format, ...) __attribute__((format(printf, 1, 2)));
void file_put(const char *path, const void *data, size_t len);
/** @len bytes that depend on @seed, written */
void file_fill(const char *path, size_t len, uint8_t seed);
/** the file holds @text, 99 bytes at most, and nothing else */
void file_get(const char *path, const char *text);
void assert_same_files(const char *a, const char *b);

#endif

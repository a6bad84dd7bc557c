/* SPDX-License-Identifier: MIT */
/* test_manifest - paths that may be, paths that may not, lists that break a rule */
#include "broker/post/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/post/item.pb-c.h"
#include "tests/unit/post/fixture.h"

static void test_paths(void **state)
{
	static const char *const good[] = {
		"a",   "a/b", "a.b", "...",	 "a/..b",
		"-rf", "~",   "a b", "\xc3\xa9", "\xf0\x9f\x98\x80",
		"a\\b"};
	static const char *const bad[] = {"",
					  "/",
					  "/etc/passwd",
					  "..",
					  "../a",
					  "a/..",
					  "a/../b",
					  "a/./b",
					  ".",
					  "./a",
					  "a/",
					  "a//b",
					  "a\nb",
					  "a\x1b[2J",
					  "a\x7f",
					  "\xc2\x9b",
					  "\xff",
					  "a\xc3",
					  "\xc0\xaf",
					  "\xed\xa0\x80",
					  "\xe0\x80\xaf",
					  "\xf5\x80\x80\x80"};
	char part[300], deep[300];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(good); i++)
		assert_true(entry_path_ok(good[i]));
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(entry_path_ok(bad[i]));
	memset(part, 'x', sizeof(part));
	part[255] = '\0';
	assert_true(entry_path_ok(part));
	part[255] = 'x';
	part[256] = '\0';
	assert_false(entry_path_ok(part));
	for (i = 0; i < 65; i++)
		memcpy(deep + 2 * i, "d/", 2);
	deep[2 * 64 - 1] = '\0';
	assert_true(entry_path_ok(deep));
	deep[2 * 64 - 1] = '/';
	deep[2 * 65 - 1] = '\0';
	assert_false(entry_path_ok(deep));
}

static void test_targets(void **state)
{
	static const struct {
		const char *path, *target;
		bool ok;
	} t[] = {
		{"d/l", "a", true},
		{"d/l", "a/b", true},
		{"d/e/l", "../a", true},
		{"d/e/l", "..", true},
		{"d/e/f/l", "../../a", true},
		{"d/e/f/l", "../..", true},
		/* what lies beside the top is the person's own */
		{"l", "a", false},
		{"l", "a/b", false},
		{"d/l", "../a", false},
		{"d/l", "..", false},
		{"d/e/l", "../../a", false},
		{"d/e/l", "../..", false},
		{"l", "..", false},
		{"l", "../a", false},
		{"d/l", "../../a", false},
		{"d/l", "../..", false},
		{"d/l", "/etc/passwd", false},
		{"d/l", "", false},
		{"d/l", "a/../b", false},
		{"d/e/l", "a/../../b", false},
		{"d/l", "./a", false},
		{"d/l", ".", false},
		{"d/l", "a/", false},
		{"d/l", "a\nb", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(t); i++)
		if (entry_target_ok(t[i].path, t[i].target) != t[i].ok)
			fail_msg("%s -> %s", t[i].path, t[i].target);
}

static struct entry entry(enum entry_kind kind, const char *path, uint64_t size)
{
	struct entry e = {.kind = kind, .mode = 0644, .size = size};

	strcpy(e.path, path);
	if (kind == ENTRY_LINK)
		strcpy(e.target, "x");
	return e;
}

static void test_round(void **state)
{
	struct manifest_writer w = {.fd = memfd_create("m", 0)};
	struct manifest_reader *r = malloc(sizeof(*r));
	struct entry e, got;
	char name[16];
	int i;

	(void)state;
	assert_non_null(r);
	for (i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "f%05d", i);
		e = entry(ENTRY_FILE, name, (uint64_t)i);
		assert_int_equal(manifest_add(&w, &e), 0);
	}
	e = entry(ENTRY_FILE, "f00001", 1);
	assert_int_equal(manifest_add(&w, &e), -NTM_EINVAL);
	manifest_read(r, w.fd, 0, w.len);
	for (i = 0; i < 5000; i++) {
		assert_int_equal(manifest_next(r, &got), 1);
		snprintf(name, sizeof(name), "f%05d", i);
		assert_string_equal(got.path, name);
		assert_int_equal(got.size, i);
	}
	assert_int_equal(manifest_next(r, &got), 0);
	assert_int_equal(r->data, w.data);
	/* cut anywhere: never more than what is whole */
	for (i = 1; i < 30; i++) {
		int n = 0, ret;

		manifest_read(r, w.fd, 0, w.len - (uint64_t)i);
		while ((ret = manifest_next(r, &got)) > 0)
			n++;
		assert_true(n < 5000);
	}
	close(w.fd);
	free(r);
}

/* A list of raw entries, as a hostile sender may write it. Return: entries read
 * before the error, or -1 when there was none */
static int read_raw(const struct entry *list, size_t n)
{
	struct manifest_reader *r = malloc(sizeof(*r));
	int fd = memfd_create("m", 0), ret, count = 0;
	uint64_t len = 0;
	struct entry e;
	size_t i;

	assert_non_null(r);
	for (i = 0; i < n; i++) {
		Ntm__Item__Entry m = NTM__ITEM__ENTRY__INIT;
		uint8_t buf[300];
		size_t size;

		m.path = (char *)list[i].path;
		m.target = (char *)list[i].target;
		m.kind = (Ntm__Item__Kind)list[i].kind;
		m.mode = list[i].mode;
		m.size = list[i].size;
		size = ntm__item__entry__get_packed_size(&m);
		assert_true(size < 128);
		buf[0] = 0x0a;
		buf[1] = (uint8_t)size;
		ntm__item__entry__pack(&m, buf + 2);
		assert_int_equal(write(fd, buf, size + 2), size + 2);
		len += size + 2;
	}
	manifest_read(r, fd, 0, len);
	while ((ret = manifest_next(r, &e)) > 0)
		count++;
	close(fd);
	free(r);
	if (!ret)
		return -1;
	assert_int_equal(ret, -NTM_EDECODE);
	return count;
}

static void test_broken_rules(void **state)
{
	struct entry l[3];

	(void)state;
	l[0] = entry(ENTRY_FOLDER, "a", 0);
	l[1] = entry(ENTRY_FILE, "a/b", 1);
	l[2] = entry(ENTRY_FILE, "a-b", 1);
	assert_int_equal(read_raw(l, 3), -1);
	l[2] = l[1]; /* twice */
	assert_int_equal(read_raw(l, 3), 2);
	l[2] = entry(ENTRY_FILE, "a", 1); /* a folder's name again */
	assert_int_equal(read_raw(l, 3), 2);
	l[1] = entry(ENTRY_FILE, "b/c", 1); /* in a folder that is not listed */
	assert_int_equal(read_raw(l, 2), 1);
	l[0] = entry(ENTRY_FOLDER, "a", 0);
	l[1] = entry(ENTRY_LINK, "a/b", 0); /* through a link */
	l[2] = entry(ENTRY_FILE, "a/b/c", 1);
	assert_int_equal(read_raw(l, 3), 2);
	l[0] = entry(ENTRY_LINK, "a", 0); /* to what lies beside it, then */
	assert_int_equal(read_raw(l, 1), 0);
	l[1] = entry(ENTRY_FILE, "a/b", 1);
	l[0] = entry(ENTRY_FILE, "a", 1); /* through a file */
	assert_int_equal(read_raw(l, 2), 1);
	l[0] = entry(ENTRY_FILE, "../a", 1);
	assert_int_equal(read_raw(l, 1), 0);
	l[0] = entry(ENTRY_FOLDER, "a", 0);
	l[1] = entry(ENTRY_LINK, "a/l", 0);
	strcpy(l[1].target, "/etc");
	assert_int_equal(read_raw(l, 2), 1);
	l[0] = entry(ENTRY_FILE, "a", 1);
	l[0].mode = 04755; /* set-user-ID */
	assert_int_equal(read_raw(l, 1), 0);
	l[0] = entry(ENTRY_FOLDER, "a", 1);
	assert_int_equal(read_raw(l, 1), 0);
	l[0] = entry(ENTRY_TEXT, "a", ITEM_TEXT_MAX + 1);
	assert_int_equal(read_raw(l, 1), 0);
	l[0] = entry((enum entry_kind)5, "a", 1);
	assert_int_equal(read_raw(l, 1), 0);
	l[0] = entry(ENTRY_FILE, "a", UINT64_MAX / 2); /* sizes overflow */
	l[1] = entry(ENTRY_FILE, "b", UINT64_MAX / 2);
	assert_int_equal(read_raw(l, 2), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_broken_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* test_place - what came is placed as a whole, and nothing is replaced unasked */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/post/fixture.h"
#include "wrappers/items.h"

static char dir[64];
static unsigned int placed;
static char last[256];
static struct place_list all;

static int setup(void **state)
{
	(void)state;
	folder_make(dir);
	mkdir(at("%s/tree", dir), 0700);
	mkdir(at("%s/to", dir), 0700);
	mkdir(at("%s/tree/folder", dir), 0700);
	file_put(at("%s/tree/folder/in", dir), "in", 2);
	file_put(at("%s/tree/a.txt", dir), "new", 3);
	placed = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	folder_remove(dir);
	place_list_clear(&all);
	return 0;
}

static void on_placed(void *arg, const char *path)
{
	(void)arg;
	placed++;
	snprintf(last, sizeof(last), "%s", path);
}

static unsigned int left;

static void on_left(void *arg, const char *to, const char *name,
		    enum place_exists how)
{
	(void)arg, (void)to, (void)name, (void)how;
	left++;
}

static int place_in(const char *to, enum place_exists how)
{
	const struct place_way way = {
		.how = how, .placed = on_placed, .left = on_left};

	struct placed *record;
	int r = placed_open(dir, &record);

	place_list_clear(&all);
	left = 0;
	if (!r) {
		r = place_tree(dir, record, to, &way, &all);
		placed_close(record);
	}
	return r;
}

static int place(enum place_exists how)
{
	return place_in(at("%s/to", dir), how);
}

static bool is(const char *path, const char *content)
{
	char buf[16] = "";
	FILE *f = fopen(path, "r");

	if (!f)
		return false;
	(void)!fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	return !strcmp(buf, content);
}

static void test_all(void **state)
{
	(void)state;
	assert_int_equal(place(PLACE_REFUSE), 0);
	assert_int_equal(placed, 2);
	assert_true(is(at("%s/to/a.txt", dir), "new"));
	assert_true(is(at("%s/to/folder/in", dir), "in"));
	assert_int_equal(place(PLACE_REFUSE), 0); /* nothing is left */
	assert_int_equal(all.n, 2); /* but it is known what came */
	assert_int_equal(placed, 2);
	assert_int_equal(place_in(at("%s/none", dir), PLACE_REFUSE),
			 -NTM_ENOTFOUND);
}

/* Killed at any moment: all names are known, each once, where they are. */
static void test_record(void **state)
{
	struct placed *p;

	(void)state;
	/* first run: a.txt was in the way, the folder's move was not recorded */
	assert_int_equal(placed_open(dir, &p), 0);
	assert_int_equal(placed_intend(p, "a.txt", "/x/a.txt"), 0);
	assert_int_equal(placed_intend(p, "folder", "/x/folder"), 0);
	placed_close(p);
	rename(at("%s/tree/folder", dir), at("%s/to/folder", dir));
	/* second: a.txt was copied, and what it was copied from is there still */
	assert_int_equal(placed_open(dir, &p), 0);
	assert_false(placed_is_done(p, "a.txt"));
	assert_int_equal(placed_intend(p, "a.txt", "/x/a.txt"), 0);
	assert_int_equal(placed_intend(p, "a.txt", "/x/a (2).txt"), 0);
	assert_int_equal(placed_done(p, "a.txt", "/x/a (2).txt"), 0);
	placed_close(p);
	/* a line cut off by a crash counts for nothing */
	file_put(at("%s/cut", dir), "i b.t", 5);
	assert_int_equal(system(at("cd %s && cat cut >>placed", dir)), 0);
	assert_int_equal(place(PLACE_REFUSE), 0);
	assert_int_equal(placed, 0);
	assert_int_equal(all.n, 2);
	assert_string_equal(all.path[0], "/x/folder");
	assert_string_equal(all.path[1], "/x/a (2).txt");
	assert_int_not_equal(access(at("%s/tree/a.txt", dir), F_OK), 0);
}

/* Two at once would undo each other's copies: whole files would be lost. */
static void test_one_at_a_time(void **state)
{
	struct placed *p, *other;

	(void)state;
	assert_int_equal(placed_open(dir, &p), 0);
	assert_int_equal(placed_open(dir, &other), -NTM_EAGAIN);
	assert_int_equal(place(PLACE_REFUSE), -NTM_EAGAIN);
	assert_int_equal(placed, 0);
	placed_close(p);
	assert_int_equal(place(PLACE_REFUSE), 0);
	assert_int_equal(placed, 2);
	assert_int_equal(placed_open(at("%s/gone", dir), &p), -NTM_ENOTFOUND);
}

static void test_refused(void **state)
{
	(void)state;
	file_put(at("%s/to/a.txt", dir), "old", 3);
	assert_int_equal(place(PLACE_REFUSE), 1);
	assert_int_equal(placed, 1);
	assert_int_equal(left, 1);
	assert_true(is(at("%s/to/a.txt", dir), "old"));
	assert_true(is(at("%s/tree/a.txt", dir), "new"));
	assert_int_equal(place(PLACE_RENAME), 0);
	assert_true(is(at("%s/to/a (2).txt", dir), "new"));
	assert_true(is(at("%s/to/a.txt", dir), "old"));
	assert_non_null(strstr(last, "a (2).txt"));
}

static void test_overwrite(void **state)
{
	(void)state;
	file_put(at("%s/to/a.txt", dir), "old", 3);
	mkdir(at("%s/to/folder", dir), 0700);
	file_put(at("%s/to/folder/mine", dir), "mine", 4);
	assert_int_equal(place(PLACE_OVERWRITE), 1);
	assert_true(is(at("%s/to/a.txt", dir), "new"));
	assert_true(is(at("%s/to/folder/mine", dir), "mine"));
	assert_true(is(at("%s/tree/folder/in", dir), "in"));
}

/* The kernel would: an empty folder is one all the same, with its rights and its date. */
static void test_overwrite_empty(void **state)
{
	struct stat before, after;

	(void)state;
	mkdir(at("%s/to/folder", dir), 0750);
	assert_int_equal(stat(at("%s/to/folder", dir), &before), 0);
	assert_int_equal(place(PLACE_OVERWRITE), 1);
	assert_int_equal(left, 1);
	assert_int_equal(stat(at("%s/to/folder", dir), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_true(is(at("%s/tree/folder/in", dir), "in"));
}

/* A link in the way is a name that is taken: nothing is written through it. */
static void test_link(void **state)
{
	(void)state;
	file_put(at("%s/victim", dir), "old", 3);
	assert_int_equal(symlink("../victim", at("%s/to/a.txt", dir)), 0);
	assert_int_equal(place(PLACE_REFUSE), 1);
	assert_int_equal(place(PLACE_OVERWRITE), 0);
	assert_true(is(at("%s/victim", dir), "old"));
	assert_true(is(at("%s/to/a.txt", dir), "new"));
}

/* .profile of another would be run at the next login */
static void test_hidden(void **state)
{
	(void)state;
	file_put(at("%s/tree/.profile", dir), "evil", 4);
	assert_int_equal(place(PLACE_OVERWRITE), 0);
	assert_true(is(at("%s/to/_profile", dir), "evil"));
	assert_int_not_equal(access(at("%s/to/.profile", dir), F_OK), 0);
}

/* names as long as names can be, and characters of several bytes, are numbered too */
static void test_long(void **state)
{
	char name[256] = "", path[512];

	(void)state;
	for (int i = 0; i < 83; i++)
		strcat(name, "\xe6\xbc\xa2");
	strcat(name, ".pdf");
	snprintf(path, sizeof(path), "%s/tree/%s", dir, name);
	file_put(path, "new", 3);
	snprintf(path, sizeof(path), "%s/to/%s", dir, name);
	file_put(path, "old", 3);
	assert_int_equal(place(PLACE_RENAME), 0);
	assert_true(is(path, "old"));
	assert_true(strlen(strrchr(all.path[2], '/') + 1) <= 255);
	assert_true(is(all.path[2], "new"));
	assert_non_null(strstr(all.path[2], "\xe6\xbc\xa2 (2).pdf"));
}

static unsigned int mode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

/* Who else may read it is said by the person's umask, not by who sent it. */
static void test_umask(void **state)
{
	mode_t before;

	(void)state;
	chmod(at("%s/tree/folder", dir), 0755);
	chmod(at("%s/tree/folder/in", dir), 0755);
	chmod(at("%s/tree/a.txt", dir), 0644);
	file_put(at("%s/tree/b", dir), "b", 1);
	chmod(at("%s/tree/b", dir), 0600);
	file_put(at("%s/others", dir), "x", 1);
	chmod(at("%s/others", dir), 0644);
	assert_int_equal(
		symlink("../../others", at("%s/tree/folder/link", dir)), 0);
	before = umask(027);
	assert_int_equal(place(PLACE_REFUSE), 0);
	assert_int_equal(umask(before), 027); /* ours it stays */
	assert_int_equal(mode(at("%s/to/folder", dir)), 0750);
	assert_int_equal(mode(at("%s/to/folder/in", dir)), 0750);
	assert_int_equal(mode(at("%s/to/a.txt", dir)), 0640);
	assert_int_equal(mode(at("%s/to/b", dir)), 0600);
	assert_int_equal(mode(at("%s/others", dir)), 0644);
	/* 022 is of what nobody may do to them anyhow */
	file_put(at("%s/tree/c", dir), "c", 1);
	chmod(at("%s/tree/c", dir), 0755);
	before = umask(022);
	assert_int_equal(place(PLACE_REFUSE), 0);
	umask(0777);
	assert_int_equal(place_umask(), 077); /* the owner's is left */
	umask(before);
	assert_int_equal(mode(at("%s/to/c", dir)), 0755);
}

/* how many names there are in @path beside . and .. */
static int names_in(const char *path)
{
	struct dirent *e;
	DIR *d = opendir(path);
	int n = -2;

	assert_non_null(d);
	while ((e = readdir(d)))
		n++;
	closedir(d);
	return n;
}

/* To another file system, where others may write: by a folder that nobody else can put
 * anything into, and whose name nobody knew before. Links that stand where it could be are
 * not followed; what a killed one left goes. */
static void test_across(void **state)
{
	const char *item = strrchr(dir, '/') + 1;
	char to[64] = "/dev/shm/ntm-place-XXXXXX", path[192];
	struct stat here, there;

	(void)state;
	assert_non_null(mkdtemp(to));
	assert_int_equal(stat(dir, &here), 0);
	assert_int_equal(stat(to, &there), 0);
	if (here.st_dev == there.st_dev) {
		rmdir(to);
		print_message("/dev/shm and /tmp are one file system here\n");
		skip();
	}
	mkdir(at("%s/victim", dir), 0700);
	file_put(at("%s/victim/part", dir), "mine", 4);
	/* at the name that was once used, and at one that could be */
	snprintf(path, sizeof(path), "%s/.ntm.%s.part", to, item);
	assert_int_equal(symlink(at("%s/victim/part", dir), path), 0);
	snprintf(path, sizeof(path), "%s/.ntm.%s.0", to, item);
	assert_int_equal(symlink(at("%s/victim", dir), path), 0);
	/* of a killed one */
	snprintf(path, sizeof(path), "%s/.ntm.%s.1", to, item);
	assert_int_equal(mkdir(path, 0700), 0);
	strcat(path, "/part");
	file_put(path, "half", 4);
	/* as in a program that wants no word of its children */
	signal(SIGCHLD, SIG_IGN);
	assert_int_equal(place_in(to, PLACE_REFUSE), 0);
	assert_ptr_equal(signal(SIGCHLD, SIG_DFL), SIG_IGN);
	assert_int_equal(placed, 2);
	snprintf(path, sizeof(path), "%s/a.txt", to);
	assert_true(is(path, "new"));
	snprintf(path, sizeof(path), "%s/folder/in", to);
	assert_true(is(path, "in"));
	assert_true(is(at("%s/victim/part", dir), "mine"));
	assert_int_equal(names_in(to), 4); /* both, and both links */
	assert_int_equal(names_in(at("%s/tree", dir)), 0);
	folder_remove(to);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_all),		  TEST(test_refused),
		TEST(test_overwrite),	  TEST(test_overwrite_empty),
		TEST(test_link),	  TEST(test_record),
		TEST(test_hidden),	  TEST(test_long),
		TEST(test_one_at_a_time), TEST(test_across),
		TEST(test_umask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

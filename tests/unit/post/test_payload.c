/* SPDX-License-Identifier: MIT */
/* test_payload - what was packed is unpacked, in pieces, after any restart; what
 * changes meanwhile is noticed; nothing is written through what lies in the way */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/post/pack.h"
#include "broker/post/unpack.h"
#include "tests/unit/post/fixture.h"

struct world {
	char dir[64];
	struct pack_result made;
};

static void world_open(struct world *w)
{
	folder_make(w->dir);
	mkdir(at("%s/src", w->dir), 0700);
	mkdir(at("%s/out", w->dir), 0700);
	mkdir(at("%s/in", w->dir), 0700);
	mkdir(at("%s/src/folder", w->dir), 0755);
	mkdir(at("%s/src/folder/sub", w->dir), 0500);
	chmod(at("%s/src/folder/sub", w->dir), 0700);
	file_fill(at("%s/src/folder/sub/one", w->dir), 1000, 1);
	file_fill(at("%s/src/folder/empty", w->dir), 0, 1);
	file_fill(at("%s/src/folder/two", w->dir), 200000, 2);
	file_fill(at("%s/src/folder/zero", w->dir), 0, 1);
	chmod(at("%s/src/folder/two", w->dir), 0446);
	assert_int_equal(symlink("sub/one", at("%s/src/folder/link", w->dir)),
			 0);
	assert_int_equal(
		symlink("/etc/passwd", at("%s/src/folder/out", w->dir)), 0);
	assert_int_equal(mkfifo(at("%s/src/folder/pipe", w->dir), 0600), 0);
	file_fill(at("%s/src/three", w->dir), 77777, 3);
}

static int pack_make(const char *dir, const char *const *paths, size_t n,
		     struct pack_result *r)
{
	struct pack *p;
	int err = pack_list(paths, n, NULL, r, &p);

	if (err)
		return err;
	err = pack_save(p, dir);
	pack_close(p);
	return err;
}

static void world_pack(struct world *w)
{
	const char *paths[2];

	paths[0] = at("%s/src/three", w->dir);
	paths[1] = at("%s/src/folder", w->dir);
	assert_int_equal(pack_make(at("%s/out", w->dir), paths, 2, &w->made),
			 0);
	assert_int_equal(w->made.files, 5);
	assert_int_equal(w->made.folders, 2);
	assert_int_equal(w->made.left_out, 2);
	assert_non_null(strstr(w->made.first_left_out, "/folder/out"));
}

static void tree_check(struct world *w)
{
	static const char *const files[] = {"three", "folder/sub/one",
					    "folder/two", "folder/empty",
					    "folder/zero"};
	char target[64] = "";
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_LEN(files); i++)
		assert_same_files(at("%s/src/%s", w->dir, files[i]),
				  at("%s/in/tree/%s", w->dir, files[i]));
	assert_true(readlink(at("%s/in/tree/folder/link", w->dir), target,
			     sizeof(target) - 1) > 0);
	assert_string_equal(target, "sub/one");
	assert_int_not_equal(lstat(at("%s/in/tree/folder/out", w->dir), &st),
			     0);
	assert_int_equal(stat(at("%s/in/tree/folder/two", w->dir), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644); /* the owner can write */
}

static void test_any_pieces(void **state)
{
	static const size_t pieces[] = {1, 3, 4, 5, 4097, 65536, 1 << 20};
	struct world w;
	struct unpack *u;
	struct pack *p;
	uint64_t done;
	uint8_t *buf = malloc(1 << 20);
	size_t i, n;

	(void)state;
	assert_non_null(buf);
	world_open(&w);
	world_pack(&w);
	for (i = 0; i < ARRAY_LEN(pieces); i++) {
		assert_int_equal(pack_open(at("%s/out", w.dir), &p), 0);
		assert_int_equal(pack_len(p), w.made.payload);
		assert_int_equal(
			unpack_open(at("%s/in", w.dir), w.made.payload, 0, &u),
			0);
		for (done = 0; done < w.made.payload; done += n) {
			n = pieces[i];
			if (n > w.made.payload - done)
				n = (size_t)(w.made.payload - done);
			assert_int_equal(unpack_finish(u), -NTM_ESTATE);
			assert_int_equal(pack_read(p, done, buf, n), 0);
			assert_int_equal(unpack_write(u, buf, n), 0);
			assert_int_equal(unpack_at(u), done + n);
		}
		assert_int_equal(unpack_write(u, buf, 1), -NTM_EDECODE);
		assert_int_equal(unpack_finish(u), 0);
		unpack_close(u);
		pack_close(p);
		tree_check(&w);
		folder_remove(at("%s/in", w.dir));
		mkdir(at("%s/in", w.dir), 0700);
	}
	free(buf);
	folder_remove(w.dir);
}

/* Killed after a sync at every kind of place; what was written later is cut. */
static void test_killed(void **state)
{
	struct world w;
	struct unpack *u;
	struct pack *p;
	uint64_t stop, all, more;
	uint8_t *buf;

	(void)state;
	world_open(&w);
	world_pack(&w);
	all = w.made.payload;
	buf = malloc(all);
	assert_non_null(buf);
	assert_int_equal(pack_open(at("%s/out", w.dir), &p), 0);
	for (stop = 1; stop < all; stop += stop < 400 ? 1 : 1777) {
		/* the pack is read backwards, too */
		assert_int_equal(pack_read(p, stop, buf + stop, all - stop), 0);
		assert_int_equal(pack_read(p, 0, buf, stop), 0);
		assert_int_equal(unpack_open(at("%s/in", w.dir), all, 0, &u),
				 0);
		assert_int_equal(unpack_write(u, buf, stop), 0);
		assert_int_equal(unpack_sync(u), 0);
		more = all - stop < 3000 ? all - stop : 3000;
		assert_int_equal(unpack_write(u, buf + stop, more), 0);
		unpack_close(u);
		assert_int_equal(unpack_open(at("%s/in", w.dir), all, stop, &u),
				 0);
		assert_int_equal(unpack_at(u), stop);
		assert_int_equal(unpack_write(u, buf + stop, all - stop), 0);
		assert_int_equal(unpack_finish(u), 0);
		unpack_close(u);
		tree_check(&w);
		folder_remove(at("%s/in", w.dir));
		mkdir(at("%s/in", w.dir), 0700);
	}
	pack_close(p);
	free(buf);
	folder_remove(w.dir);
}

static void test_changed(void **state)
{
	static uint8_t buf[300000];
	struct world w;
	struct pack *p;
	const char *three;

	(void)state;
	world_open(&w);
	world_pack(&w);
	three = at("%s/src/three", w.dir);
	assert_int_equal(pack_open(at("%s/out", w.dir), &p), 0);
	assert_int_equal(pack_read(p, 0, buf, w.made.payload), 0);
	assert_int_equal(pack_read(p, w.made.payload, buf, 1), -NTM_EINVAL);
	/* the same length, the same time of change: its inode knows */
	{
		struct stat st;
		struct timespec times[2];

		assert_int_equal(stat(three, &st), 0);
		times[0] = st.st_atim;
		times[1] = st.st_mtim;
		file_fill(three, 77777, 4);
		assert_int_equal(utimensat(AT_FDCWD, three, times, 0), 0);
	}
	assert_int_equal(pack_read(p, 0, buf, w.made.payload), -NTM_ECHANGED);
	assert_string_equal(pack_changed(p), three);
	/* what lies before it can be read as ever */
	assert_int_equal(pack_read(p, 0, buf, 200000), 0);
	pack_close(p);
	/* another one in its place, and nothing in its place */
	world_pack(&w);
	assert_int_equal(pack_open(at("%s/out", w.dir), &p), 0);
	unlink(at("%s/src/folder/two", w.dir));
	assert_int_equal(pack_read(p, 0, buf, w.made.payload), -NTM_ECHANGED);
	file_fill(at("%s/src/folder/two", w.dir), 200000, 2);
	assert_int_equal(pack_read(p, 0, buf, w.made.payload), -NTM_ECHANGED);
	pack_close(p);
	folder_remove(w.dir);
}

static void test_refused(void **state)
{
	struct pack_result r;
	const char *paths[2], *out;
	struct world w;

	(void)state;
	world_open(&w);
	out = at("%s/out", w.dir);
	paths[0] = at("%s/src/nothing", w.dir);
	assert_int_equal(pack_make(out, paths, 1, &r), -NTM_ENOTFOUND);
	assert_non_null(strstr(r.why, "src/nothing"));
	paths[0] = at("%s/src/folder/pipe", w.dir);
	assert_int_equal(pack_make(out, paths, 1, &r), -NTM_EINVAL);
	paths[0] = at("%s/src/three", w.dir);
	paths[1] = at("%s/src/../src/three", w.dir);
	assert_int_equal(pack_make(out, paths, 2, &r), -NTM_EEXISTS);
	file_fill(at("%s/src/folder/a\nb", w.dir), 1, 1);
	paths[0] = at("%s/src/folder", w.dir);
	assert_int_equal(pack_make(out, paths, 1, &r), -NTM_EINVAL);
	folder_remove(w.dir);
}

/* what @path is called at the receiver */
static void called(const struct world *w, const char *path, const char *name)
{
	static uint8_t buf[4096];
	struct pack_result r;
	struct pack *p;

	assert_int_equal(pack_list(&path, 1, NULL, &r, &p), 0);
	assert_string_equal(r.name, name);
	assert_int_equal(pack_save(p, at("%s/out", w->dir)), 0);
	assert_true(r.payload <= sizeof(buf));
	assert_int_equal(pack_read(p, 0, buf, r.payload), 0);
	assert_non_null(memmem(buf, r.payload, name, strlen(name)));
	assert_null(memmem(buf, r.payload, "target", 6));
	pack_close(p);
}

/* As the person wrote it: of a link not its target's name. "." has no name of its own. */
static void test_names(void **state)
{
	struct pack_result r;
	const char *path;
	struct world w;

	(void)state;
	world_open(&w);
	mkdir(at("%s/src/target", w.dir), 0700);
	file_fill(at("%s/src/target/in", w.dir), 10, 1);
	file_fill(at("%s/src/target.pdf", w.dir), 10, 1);
	assert_int_equal(symlink("target.pdf", at("%s/src/latest.pdf", w.dir)),
			 0);
	assert_int_equal(symlink("target", at("%s/src/newest", w.dir)), 0);
	called(&w, at("%s/src/latest.pdf", w.dir), "latest.pdf");
	called(&w, at("%s/src/newest/", w.dir), "newest");
	called(&w, at("%s/src/folder/sub//", w.dir), "sub");
	called(&w, at("%s/src/folder/sub/.", w.dir), "sub");
	called(&w, at("%s/src/folder/sub/../sub", w.dir), "sub");
	/* one that says it has no bytes, and has some */
	path = "/proc/version";
	assert_int_equal(pack_make(at("%s/out", w.dir), &path, 1, &r),
			 -NTM_EINVAL);
	assert_non_null(strstr(r.why, "/proc/version: how long it is"));
	folder_remove(w.dir);
}

/* One folder of more names than an item has: it is said what to do. */
static void test_many(void **state)
{
	struct pack_result r;
	const char *path;
	struct world w;
	size_t i;
	int dir;

	(void)state;
	world_open(&w);
	path = at("%s/src/many", w.dir);
	assert_int_equal(mkdir(path, 0700), 0);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	for (i = 0; i <= MANIFEST_ENTRIES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%zu", i);
		assert_int_equal(mknodat(dir, name, S_IFREG | 0600, 0), 0);
	}
	close(dir);
	assert_int_equal(pack_make(at("%s/out", w.dir), &path, 1, &r),
			 -NTM_ELIMIT);
	assert_non_null(strstr(r.why, "src/many: too many files for one item"));
	folder_remove(w.dir);
}

static void test_text(void **state)
{
	static uint8_t buf[1000];
	struct pack_result r;
	struct world w;
	struct unpack *u;
	struct pack *p;

	(void)state;
	world_open(&w);
	assert_int_equal(pack_list(NULL, 0, "hello", &r, &p), 0);
	assert_int_equal(pack_read(p, 0, buf, r.payload), 0);
	assert_memory_equal(buf + r.payload - 5, "hello", 5);
	assert_int_equal(unpack_open(at("%s/in", w.dir), r.payload, 0, &u), 0);
	assert_int_equal(unpack_write(u, buf, r.payload), 0);
	assert_int_equal(unpack_finish(u), 0);
	file_get(at("%s/in/tree/text", w.dir), "hello");
	unpack_close(u);
	pack_close(p);
	folder_remove(w.dir);
}

/* A payload that lies about its lengths makes no file. */
static void test_lies(void **state)
{
	static uint8_t buf[300000];
	struct stat st;
	struct world w;
	struct unpack *u;
	struct pack *p;
	uint64_t all;

	(void)state;
	world_open(&w);
	world_pack(&w);
	all = w.made.payload;
	assert_int_equal(pack_open(at("%s/out", w.dir), &p), 0);
	assert_int_equal(pack_read(p, 0, buf, all), 0);
	pack_close(p);
	/* longer and shorter than the files are together */
	assert_int_equal(unpack_open(at("%s/in", w.dir), all + 1, 0, &u), 0);
	assert_int_equal(unpack_write(u, buf, all), -NTM_EDECODE);
	assert_int_equal(unpack_write(u, buf, 1), -NTM_ESTATE);
	unpack_close(u);
	assert_int_equal(unpack_open(at("%s/in", w.dir), all - 1, 0, &u), 0);
	assert_int_equal(unpack_write(u, buf, all - 1), -NTM_EDECODE);
	unpack_close(u);
	buf[0] = 0xff;
	assert_int_equal(unpack_open(at("%s/in", w.dir), all, 0, &u), 0);
	assert_int_equal(unpack_write(u, buf, all), -NTM_EDECODE);
	unpack_close(u);
	assert_int_not_equal(lstat(at("%s/in/tree/three", w.dir), &st), 0);
	assert_int_not_equal(lstat(at("%s/in/tree/folder", w.dir), &st), 0);
	folder_remove(w.dir);
}

/* Links laid where files are to be, when the manifest is here already: nothing is
 * written through them. */
static void test_in_the_way(void **state)
{
	static uint8_t buf[300000];
	struct stat st;
	struct world w;
	struct unpack *u;
	struct pack *p;
	size_t front;

	(void)state;
	world_open(&w);
	world_pack(&w);
	assert_int_equal(pack_open(at("%s/out", w.dir), &p), 0);
	assert_int_equal(pack_read(p, 0, buf, w.made.payload), 0);
	pack_close(p);
	front = 4 + ((size_t)buf[2] << 8 | buf[3]);
	assert_int_equal(unpack_open(at("%s/in", w.dir), w.made.payload, 0, &u),
			 0);
	assert_int_equal(unpack_write(u, buf, front), 0);
	assert_int_equal(
		symlink(at("%s/src", w.dir), at("%s/in/tree/folder", w.dir)),
		0);
	assert_int_equal(unpack_write(u, buf + front, w.made.payload - front),
			 -NTM_ESTORE);
	unpack_close(u);
	assert_int_equal(unpack_open(at("%s/in", w.dir), w.made.payload, 0, &u),
			 0);
	assert_int_equal(unpack_write(u, buf, front), 0);
	assert_int_equal(
		symlink(at("%s/victim", w.dir), at("%s/in/tree/three", w.dir)),
		0);
	assert_int_equal(unpack_write(u, buf + front, w.made.payload - front),
			 -NTM_ESTORE);
	unpack_close(u);
	assert_int_not_equal(lstat(at("%s/victim", w.dir), &st), 0);
	folder_remove(w.dir);
}

/* What a payload before it has left is not taken for a part of this one. */
static void test_left_over(void **state)
{
	static uint8_t buf[300000];
	struct stat st;
	struct world w;
	struct unpack *u;
	struct pack *p;

	(void)state;
	world_open(&w);
	world_pack(&w);
	mkdir(at("%s/in/tree", w.dir), 0700);
	mkdir(at("%s/in/tree/other", w.dir), 0700);
	mkdir(at("%s/in/tree/three", w.dir), 0700);
	file_fill(at("%s/in/tree/other/file", w.dir), 10, 1);
	file_fill(at("%s/in/tree/more", w.dir), 10, 1);
	assert_int_equal(symlink("other", at("%s/in/tree/folder", w.dir)), 0);
	assert_int_equal(pack_open(at("%s/out", w.dir), &p), 0);
	assert_int_equal(pack_read(p, 0, buf, w.made.payload), 0);
	pack_close(p);
	assert_int_equal(unpack_open(at("%s/in", w.dir), w.made.payload, 0, &u),
			 0);
	assert_int_equal(unpack_write(u, buf, w.made.payload), 0);
	assert_int_equal(unpack_finish(u), 0);
	unpack_close(u);
	tree_check(&w);
	assert_int_not_equal(lstat(at("%s/in/tree/other", w.dir), &st), 0);
	assert_int_not_equal(lstat(at("%s/in/tree/more", w.dir), &st), 0);
	folder_remove(w.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_pieces),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_in_the_way),
		cmocka_unit_test(test_left_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* test_store - schema, statements, kill -9, backup, and disks that are full */
#include "common/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>

#include "common/log.h"

static const char *const schema[] = {
	"CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, data BLOB)",
	"ALTER TABLE t ADD COLUMN extra TEXT; CREATE INDEX i ON t (extra)",
};

enum { ADD, GET, COUNT };
static const char *const statements[] = {
	[ADD] = "INSERT INTO t (id, name, data) VALUES (?1, ?2, ?3)",
	[GET] = "SELECT id, name, data, extra FROM t WHERE id = ?1",
	[COUNT] = "SELECT count(*) FROM t",
};
#define N_SCHEMA     2
#define N_STATEMENTS 3

static char folder[64], path[96];

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/ntm-test-store.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/db", folder);
	return 0;
}

static int teardown(void **state)
{
	static const char *const ends[] = {"", "-wal", "-shm", ".copy",
					   ".copy.part"};
	char name[120];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static struct store *open_store(void)
{
	struct store *s;

	assert_int_equal(store_open(path, schema, N_SCHEMA, statements,
				    N_STATEMENTS, &s),
			 0);
	return s;
}

static int add(struct store *s, int64_t id, const char *name, const void *data,
	       size_t len)
{
	store_bind_int(s, ADD, 1, id);
	store_bind_text(s, ADD, 2, name);
	store_bind_blob(s, ADD, 3, data, len);
	return store_run(s, ADD);
}

static int64_t count(struct store *s)
{
	int64_t n;

	assert_int_equal(store_step(s, COUNT), 1);
	n = store_int(s, COUNT, 0);
	store_reset(s, COUNT);
	return n;
}

static void test_rows(void **state)
{
	struct store *s = open_store();
	uint8_t out[8] = {0};
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(add(s, 1, "one", "\0\1\2", 3), 0);
	assert_int_equal(add(s, 2, "two", "", 0), 0);
	assert_int_equal(add(s, 3, "one", "", 0), -NTM_EEXISTS);
	assert_int_equal(add(s, 1, "three", "", 0), -NTM_EEXISTS);

	store_bind_int(s, GET, 1, 1);
	assert_int_equal(store_step(s, GET), 1);
	assert_int_equal(store_int(s, GET, 0), 1);
	assert_string_equal(store_text(s, GET, 1), "one");
	assert_int_equal(store_blob(s, GET, 2, out, sizeof(out)), 3);
	assert_memory_equal(out, "\0\1\2\0", 4);
	assert_int_equal(store_blob(s, GET, 2, out, 1), 3); /* cut, and says */
	assert_string_equal(store_text(s, GET, 3), "");	    /* NULL */
	assert_int_equal(store_step(s, GET), 0);
	/* bindings went with the reset: NULL finds nothing */
	assert_int_equal(store_step(s, GET), 0);
	store_bind_int(s, GET, 1, 2);
	assert_int_equal(store_step(s, GET), 1);
	assert_int_equal(store_blob(s, GET, 2, out, sizeof(out)), 0);
	store_reset(s, GET);
	/* a bind beyond the statement's arguments: told by the step */
	store_bind_int(s, GET, 2, 1);
	assert_int_equal(store_step(s, GET), -NTM_ESTORE);
	assert_int_equal(count(s), 2);
	store_close(s);
}

static void test_transactions(void **state)
{
	struct store *s = open_store();

	(void)state;
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(add(s, 1, "a", "", 0), 0);
	store_rollback(s);
	assert_int_equal(count(s), 0);
	store_rollback(s); /* none open: nothing happens */
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(add(s, 1, "a", "", 0), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_commit(s), -NTM_ESTORE); /* none open */
	assert_int_equal(count(s), 1);
	store_close(s);
}

static void test_schema_grows(void **state)
{
	static const char *const old_statements[] = {"SELECT 1"};
	struct store *s;

	(void)state;
	assert_int_equal(store_open(path, schema, 1, old_statements, 1, &s), 0);
	store_close(s);
	s = open_store();
	assert_int_equal(add(s, 1, "a", "", 0), 0);
	store_close(s);
	/* the older program meets the newer file */
	assert_int_equal(store_open(path, schema, 1, old_statements, 1, &s),
			 -NTM_EVERSION);
	s = open_store();
	assert_int_equal(count(s), 1);
	store_close(s);
}

/* A step that fails half-way leaves the version before it. */
static void test_schema_step_is_whole(void **state)
{
	static const char *const broken[] = {
		"CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, "
		"data BLOB)",
		"CREATE TABLE u (id); CREATE TABLE t (id)",
	};
	struct store *s;

	(void)state;
	assert_int_equal(store_open(path, broken, 2, NULL, 0, &s), -NTM_ESTORE);
	s = open_store(); /* with the right second step */
	assert_int_equal(add(s, 1, "a", "", 0), 0);
	store_close(s);
}

static void test_bad(void **state)
{
	static const char *const wrong[] = {"SELECT nothing FROM nowhere"};
	struct store *s;
	int fd;

	(void)state;
	assert_int_equal(store_open(path, schema, N_SCHEMA, wrong, 1, &s),
			 -NTM_ESTORE);
	assert_int_equal(
		store_open("/nonexistent/db", schema, N_SCHEMA, wrong, 1, &s),
		-NTM_ESTORE);
	assert_int_equal(store_open(folder, schema, N_SCHEMA, wrong, 1, &s),
			 -NTM_ESTORE);
	teardown(NULL);
	assert_int_equal(mkdir(folder, 0700), 0);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "this is no database at all, but long", 36),
			 36);
	close(fd);
	assert_int_equal(store_open(path, schema, N_SCHEMA, statements,
				    N_STATEMENTS, &s),
			 -NTM_ESTORE);
}

/* What was acknowledged is there after kill -9; what was not committed is not. */
static void test_kill(void **state)
{
	struct store *s;
	int pipe_fd[2], status;
	int64_t told = 0, n;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(pipe_fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char name[32];
		int64_t i;

		s = open_store();
		for (i = 1;; i++) {
			snprintf(name, sizeof(name), "n%d", (int)i);
			if (store_begin(s) || add(s, i, name, "", 0) ||
			    store_commit(s) ||
			    write(pipe_fd[1], &i, sizeof(i)) != sizeof(i) ||
			    store_begin(s) ||
			    add(s, 1000000 + i, "half", "", 0))
				_exit(1);
			store_rollback(s);
		}
	}
	close(pipe_fd[1]);
	while (told < 50)
		assert_int_equal(read(pipe_fd[0], &told, sizeof(told)),
				 sizeof(told));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	while (read(pipe_fd[0], &n, sizeof(n)) == sizeof(n))
		told = n;
	close(pipe_fd[0]);
	s = open_store();
	n = count(s);
	assert_true(n == told || n == told + 1); /* committed, not yet told */
	for (; told > 0; told--) {
		store_bind_int(s, GET, 1, told);
		assert_int_equal(store_step(s, GET), 1);
		store_reset(s, GET);
	}
	store_close(s);
}

/* Fill until it says no; then there is room again. */
static void fill_and_recover(void (*make_room)(void *), void *arg)
{
	static uint8_t big[16384];
	struct store *s = open_store();
	int64_t i, kept;
	char name[32];
	int ret = 0;

	for (i = 1; i < 1000 && ret == 0; i++) {
		snprintf(name, sizeof(name), "n%d", (int)i);
		ret = store_begin(s);
		if (ret == 0)
			ret = add(s, i, name, big, sizeof(big));
		if (ret == 0)
			ret = store_commit(s);
		if (ret)
			store_rollback(s);
	}
	assert_int_equal(ret, -NTM_ESTORE);
	kept = i - 2; /* what was acknowledged */
	assert_int_equal(count(s), kept);
	assert_int_equal(add(s, 5000, "x", big, sizeof(big)), -NTM_ESTORE);
	make_room(arg);
	assert_int_equal(add(s, 5000, "x", big, sizeof(big)), 0);
	assert_int_equal(count(s), kept + 1);
	store_close(s);
	s = open_store();
	assert_int_equal(count(s), kept + 1);
	store_close(s);
}

static void raise_limit(void *arg)
{
	assert_int_equal(setrlimit(RLIMIT_FSIZE, arg), 0);
}

static void test_file_limit(void **state)
{
	struct rlimit old, tight;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = old;
	tight.rlim_cur = 512 * 1024;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	fill_and_recover(raise_limit, &old);
}

static bool put_text(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 &&
		  write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return ok;
}

/* A namespace of our own with a disk of 1 MiB over @folder. */
static bool small_disk(void)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return false;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	if (!put_text("/proc/self/uid_map", map) ||
	    !put_text("/proc/self/setgroups", "deny"))
		return false;
	snprintf(map, sizeof(map), "0 %u 1", gid);
	if (!put_text("/proc/self/gid_map", map))
		return false;
	return mount("tmpfs", folder, "tmpfs", 0, "size=1m") == 0;
}

static void grow_disk(void *arg)
{
	(void)arg;
	assert_int_equal(
		mount("tmpfs", folder, "tmpfs", MS_REMOUNT, "size=16m"), 0);
}

static void test_full_disk(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!small_disk())
			_exit(77);
		fill_and_recover(grow_disk, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip(); /* no user namespaces here; the test above remains */
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_backup(void **state)
{
	struct store *s = open_store(), *copy;
	char copy_path[120];
	struct stat st;

	(void)state;
	snprintf(copy_path, sizeof(copy_path), "%s.copy", path);
	assert_int_equal(add(s, 1, "a", "data", 4), 0);
	assert_int_equal(store_backup(s, copy_path), 0);
	assert_int_equal(stat(copy_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(add(s, 2, "b", "", 0), 0);
	assert_int_equal(store_open(copy_path, schema, N_SCHEMA, statements,
				    N_STATEMENTS, &copy),
			 0);
	assert_int_equal(count(copy), 1);
	store_close(copy);
	assert_int_equal(store_backup(s, copy_path), 0); /* over the old one */
	assert_int_equal(store_backup(s, "/nonexistent/x"), -NTM_ESTORE);
	store_close(s);
}

/* two stores of one file in a process: another process that opens the file and ends must
 * not take the write-ahead log for its own */
static void test_twice(void **state)
{
	struct store *a, *b;
	char wal[300];
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(store_open(path, schema, N_SCHEMA, statements,
				    N_STATEMENTS, &a),
			 0);
	assert_int_equal(store_open(path, schema, N_SCHEMA, statements,
				    N_STATEMENTS, &b),
			 0);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "test_store", path, NULL);
		_exit(9);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	assert_int_equal(access(wal, F_OK), 0);
	store_close(b);
	store_close(a);
}

/* the other process of test_twice() */
static int open_and_close(const char *file)
{
	struct store *s;
	int r = store_open(file, schema, N_SCHEMA, statements, N_STATEMENTS,
			   &s);

	if (!r)
		store_close(s);
	return -r;
}

static int read_by_another(void)
{
	sqlite3 *db;
	int code;

	assert_int_equal(
		sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL),
		SQLITE_OK);
	code = sqlite3_exec(db, "SELECT count(*) FROM t", NULL, NULL, NULL);
	sqlite3_close(db);
	return code;
}

/* its locks are kept, between statements as well; and its rows are there afterwards */
static void test_alone(void **state)
{
	struct store *s = open_store();

	(void)state;
	assert_int_equal(add(s, 1, "one", "", 0), 0);
	assert_int_equal(read_by_another(), SQLITE_OK);
	assert_int_equal(store_alone(s), 0);
	assert_int_equal(add(s, 2, "two", "", 0), 0);
	assert_int_equal(read_by_another(), SQLITE_BUSY);
	store_close(s);
	assert_int_equal(read_by_another(), SQLITE_OK);
	s = open_store();
	assert_int_equal(count(s), 2);
	store_close(s);
}

/* --- a group --------------------------------------------------------------------- */

static int64_t rows(struct store *s)
{
	int64_t n;

	assert_int_equal(store_step(s, COUNT), 1);
	n = store_int(s, COUNT, 0);
	store_reset(s, COUNT);
	return n;
}

static int put_row(struct store *s, int64_t id, size_t len)
{
	static const uint8_t data[4000];

	store_bind_int(s, ADD, 1, id);
	store_bind_blob(s, ADD, 3, data, len);
	return store_run(s, ADD);
}

static void on_begun(void *arg)
{
	++*(int *)arg;
}

/* what is written waits for the flush, all of it; a part can be undone alone */
static void test_group(void **state)
{
	struct store *s = open_store(), *other = open_store();
	int begun = 0;

	(void)state;
	store_group(s, on_begun, &begun);
	assert_int_equal(rows(s), 0);
	assert_false(store_pending(s));
	assert_int_equal(put_row(s, 1, 1), 0);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(put_row(s, 2, 1), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(put_row(s, 3, 1), 0);
	store_rollback(s);
	assert_true(store_pending(s));
	assert_int_equal(begun, 1);
	assert_int_equal(rows(s), 2);
	assert_int_equal(rows(other), 0);
	assert_int_equal(store_flush(s), 0);
	assert_false(store_pending(s));
	assert_int_equal(rows(other), 2);
	assert_int_equal(put_row(s, 4, 1), 0);
	assert_int_equal(begun, 2);
	store_drop(s);
	assert_int_equal(rows(s), 2);
	store_close(other);
	store_close(s);
}

/* a large part needs no file: ntm-post may make none but in its own folder */
static void test_group_no_file(void **state)
{
	struct store *s = open_store();
	struct rlimit was, none;
	int begun = 0, fd, i;

	(void)state;
	store_group(s, on_begun, &begun);
	for (i = 0; i < 300; i++)
		assert_int_equal(put_row(s, 2 * i + 1, 4000), 0);
	assert_int_equal(store_flush(s), 0);
	fd = dup(0);
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = (rlim_t)fd;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(store_begin(s), 0);
	for (i = 0; i < 300; i++)
		assert_int_equal(put_row(s, 2 * i + 2, 4000), 0);
	store_rollback(s);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(rows(s), 300);
	store_close(s);
}

/* What was read at one moment is so at the same one: each change, and each that is taken
 * back, makes another. */
static void test_moment(void **state)
{
	struct store *s = open_store();
	int64_t before, within;

	(void)state;
	before = store_moment(s);
	assert_int_equal(store_run(s, COUNT), 0);
	assert_int_equal(store_moment(s), before);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(add(s, 1, "one", "1", 1), 0);
	within = store_moment(s);
	assert_true(within > before);
	store_rollback(s);
	assert_true(store_moment(s) > within);
	store_close(s);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		test(test_rows),	 test(test_transactions),
		test(test_schema_grows), test(test_schema_step_is_whole),
		test(test_bad),		 test(test_kill),
		test(test_file_limit),	 test(test_full_disk),
		test(test_twice),	 test(test_alone),
		test(test_group),	 test(test_group_no_file),
		test(test_backup),	 test(test_moment),
	};

	if (argc == 2)
		return open_and_close(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

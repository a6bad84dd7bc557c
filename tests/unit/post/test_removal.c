/* SPDX-License-Identifier: MIT */
/*
 * test_removal - a folder of thousands of files goes, and nobody waits for it: an answer
 * leaves before the first file does, each turn of the loop removes a few, and what a
 * process left when it ended goes after the next start
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/post/face.h"
#include "broker/post/removal.h"
#include "common/log.h"
#include "tests/unit/post/ends.h"
#include "tests/unit/post/fixture.h"

#define FILES	   1000
#define FOLDERS	   3
#define ALL	   (FILES * FOLDERS)
#define LAST_TURNS (ALL + 100)

/* files below a folder; 0: it is not there */
static int count(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)))
		if (e->d_type == DT_DIR && *e->d_name != '.') {
			char *sub = strdup(at("%s/%s", path, e->d_name));

			n += count(sub);
			free(sub);
		} else {
			n += e->d_type == DT_REG;
		}
	if (d)
		closedir(d);
	return n;
}

/* An item is here, and its folder has thousands of files besides. Its number */
static json_int_t here_with_many(void)
{
	json_t *j;
	json_int_t id;
	int i, k;

	send_item(json_pack("{s:s}", "text", "hello"));
	j = await(&w.cn, "inbox", "here");
	id = json_integer_value(json_object_get(j, "id"));
	for (i = 0; i < FOLDERS; i++) {
		char *dir = strdup(at("%s/tree/%d", text(j, "folder"), i));

		assert_int_equal(mkdir(dir, 0700), 0);
		for (k = 0; k < FILES; k++)
			file_put(at("%s/%d", dir, k), "x", 1);
		free(dir);
	}
	json_decref(j);
	return id;
}

static int files_left(void)
{
	return count(at("%s/post", w.cn.state));
}

static bool is_there(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

/* A program at post.sock. Return: its end */
static int client_open(struct end *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	    c = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", w.dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(face_open(&e->post, fd, &e->post.face), 0);
	assert_int_equal(connect(c, (struct sockaddr *)&a, sizeof(a)), 0);
	return c;
}

static void removed_in_portions(void)
{
	int before = files_left(), now, turns = 0;

	while (removal_busy(w.cn.post.removal)) {
		assert_int_equal(loop_turn(w.loop, false), 0);
		now = files_left();
		assert_true(before - now <= REMOVAL_FILES);
		before = now;
		assert_true(++turns < LAST_TURNS);
	}
	assert_true(turns >= ALL / REMOVAL_FILES);
}

static void test_answer_first(void **state)
{
	json_int_t id = here_with_many();
	int before = files_left(), c = client_open(&w.cn);
	char answer[1000] = "",
	     *ask = strdup(
		     at("{\"cmd\":\"taken\",\"id\":%lld}\n", (long long)id));

	(void)state;
	assert_true(before >= ALL);
	assert_int_equal(send(c, ask, strlen(ask), 0), (ssize_t)strlen(ask));
	while (recv(c, answer, sizeof(answer) - 1, MSG_DONTWAIT) < 0)
		assert_int_equal(loop_turn(w.loop, true), 0);
	assert_non_null(strstr(answer, "\"ok\":true"));
	/* what lies in the item's own folder is what comes under this number next */
	assert_false(
		is_there(at("%s/post/in.%lld", w.cn.state, (long long)id)));
	assert_true(files_left() >= ALL - REMOVAL_FILES);
	removed_in_portions();
	assert_true(files_left() < before - ALL + 1);
	free(ask);
	close(c);
	asking_close(w.cn.post.face);
	w.cn.post.face = NULL;
}

static void settled(void)
{
	int turns = 0;

	while (removal_busy(w.cn.post.removal)) {
		assert_int_equal(loop_turn(w.loop, false), 0);
		assert_true(++turns < LAST_TURNS);
	}
}

/* It ends while files go: the next one goes on. */
static void test_half(void **state)
{
	json_t *j;
	int left;

	(void)state;
	here_with_many();
	j = newest(&w.cn, "inbox");
	taken(j);
	assert_int_equal(loop_turn(w.loop, false), 0);
	assert_int_equal(loop_turn(w.loop, false), 0);
	left = files_left();
	assert_true(left > ALL / 2);
	post_close(&w.cn.post);
	assert_true(files_left() > ALL / 2);
	end_run(&w.cn);
	settled();
	assert_true(files_left() < left - ALL / 2);
	assert_true(files_left() < 10);
}

static void folder_put(const char *name)
{
	char *dir = strdup(at("%s/post/%s", w.cn.state, name));

	assert_int_equal(mkdir(dir, 0700), 0);
	file_put(at("%s/file", dir), "x", 1);
	free(dir);
}

static bool folder_is(const char *name)
{
	return is_there(at("%s/post/%s/file", w.cn.state, name));
}

/* It ended when the store said that an item is over, and its folder had its name still */
static void test_left(void **state)
{
	json_t *j;
	json_int_t id;
	char *mine, *folder;

	(void)state;
	send_item(json_pack("{s:s}", "text", "one"));
	j = await(&w.cn, "inbox", "here");
	id = json_integer_value(json_object_get(j, "id"));
	taken(j);
	send_item(json_pack("{s:s}", "text", "two"));
	j = await(&w.cn, "inbox", "here");
	folder = strdup(text(j, "folder"));
	json_decref(j);
	settled();
	outbox_is("done", "received");
	post_close(&w.cn.post);
	mine = strdup(at("in.%lld", (long long)id));
	folder_put(mine);
	folder_put("out.1"); /* numbers that this store gave to nobody */
	folder_put("in.4000000000");
	folder_put("in.1.other"); /* not ours */
	folder_put("gone.0123456789abcdef");
	end_run(&w.cn);
	settled();
	assert_false(folder_is(mine));
	assert_true(folder_is("out.1"));
	assert_true(folder_is("in.4000000000"));
	assert_true(folder_is("in.1.other"));
	assert_false(is_there(at("%s/post/gone.0123456789abcdef", w.cn.state)));
	/* what is here, and nobody has taken, stays */
	file_get(at("%s/tree/text", folder), "two");
	free(folder);
	free(mine);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, ends_open, ends_close)
	const struct CMUnitTest tests[] = {
		TEST(test_answer_first),
		TEST(test_half),
		TEST(test_left),
	};

	setenv("TMPDIR", "/dev/shm", 1); /* no disk is waited for */
	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

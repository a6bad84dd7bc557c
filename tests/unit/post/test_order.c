/* SPDX-License-Identifier: MIT */
/*
 * test_order - nothing is said before it is on the disk: neither to servers, which delete
 * what is confirmed, nor to clients
 *
 * A machine that loses its power keeps what was synced, and no more. So the order is
 * looked at, of writes, syncs and words; see disk.h. Straight from who is online:
 * test_direct.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/post/face.h"
#include "broker/post/inbox.h"
#include "broker/post/outbox.h"
#include "broker/post/prekeys.h"
#include "common/log.h"
#include "tests/unit/post/disk.h"
#include "tests/unit/post/ends.h"
#include "tests/unit/post/fixture.h"

static void until(bool (*is)(void))
{
	while (!is())
		assert_int_equal(loop_turn(w.loop, true), 0);
}

static bool is_sent(void)
{
	json_t *j = newest(&w.mn, "outbox");
	bool is = !strcmp(text(j, "state"), "waiting");

	json_decref(j);
	return is && !outbox_busy(w.mn.post.outbox);
}

static bool is_here(void)
{
	json_t *j = newest(&w.cn, "inbox");
	bool is = !strcmp(text(j, "state"), "here");

	json_decref(j);
	return is && disk.item && disk.row && disk.said;
}

/* The item waits at the Cache Server; its sender is off. What the receiver does, from the
 * data's last byte on, is watched. */
static void comes(json_t *what)
{
	send_item(what);
	until(is_sent);
	post_close(&w.mn.post);
	disk_watch(w.cn.state);
	inbox_sync(w.cn.post.inbox);
	until(is_here);
	disk_in_order();
	disk_watch(NULL);
	end_run(&w.mn);
	outbox_is("done", "received");
}

static void test_folder(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("%s/d", w.dir), 0700), 0);
	assert_int_equal(mkdir(at("%s/d/sub", w.dir), 0700), 0);
	file_fill(at("%s/d/one", w.dir), 300000, 1);
	file_fill(at("%s/d/sub/two", w.dir), 100000, 2);
	file_put(at("%s/d/sub/empty", w.dir), "", 0);
	assert_int_equal(symlink("one", at("%s/d/link", w.dir)), 0);
	comes(json_pack("{s:[s]}", "files", at("%s/d", w.dir)));
}

/* small ones: data and confirmation are parts of batches */
static void test_text(void **state)
{
	(void)state;
	comes(json_pack("{s:s}", "text", "hello"));
}

static bool is_given(void)
{
	return !prekeys_busy(w.cn.post.prekeys);
}

/* What is sealed to a prekey whose private key is lost opens for nobody. */
static void test_prekey(void **state)
{
	(void)state;
	strcpy(w.cn.post.who.fqdn, "new.cn.example.org"); /* has none yet */
	disk_watch(w.cn.state);
	prekeys_work(w.cn.post.prekeys);
	until(is_given);
	disk_row_first();
	disk_watch(NULL);
}

/* "It is in the outbox": a text is nowhere else. */
static void test_send(void **state)
{
	static const char ask[] =
		"{\"cmd\":\"send\",\"text\":\"hello\",\"to\":[\"" CN "\"]}\n";
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	    c = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[1000] = "";

	(void)state;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/s", w.dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(face_open(&w.mn.post, fd, &w.mn.post.face), 0);
	assert_int_equal(connect(c, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(send(c, ask, strlen(ask), 0), (ssize_t)strlen(ask));
	disk_watch(w.mn.state);
	while (recv(c, answer, sizeof(answer) - 1, MSG_DONTWAIT) < 0)
		assert_int_equal(loop_turn(w.loop, true), 0);
	disk_row_first();
	disk_watch(NULL);
	assert_non_null(strstr(answer, "\"ok\":true"));
	close(c);
	asking_close(w.mn.post.face);
	w.mn.post.face = NULL;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, ends_open, ends_close)
	const struct CMUnitTest tests[] = {
		TEST(test_folder),
		TEST(test_text),
		TEST(test_prekey),
		TEST(test_send),
	};

	signal(SIGPIPE, SIG_IGN);
	if (getenv("TEST_LOG"))
		log_open("test", LOG_DEBUG, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

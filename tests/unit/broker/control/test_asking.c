/* SPDX-License-Identifier: MIT */
/* test_asking - a socket at which programs ask: lines, limits, who goes, who waits */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/asking.h"
#include "common/unixsock.h"

#define MANY 20000

static struct loop *loop;
static struct asking *server;
static char dir[64];
static struct ask *later;
static unsigned int n_turned, n_gone;
static bool holds_now;

/* --- the server ------------------------------------------------------------------------ */

static void cmd_now(struct ask *a)
{
	ask_answer(a, json_pack("{s:s}", "word", ask_text(a, "word")));
}

static void on_gone(void *arg)
{
	n_gone++;
	assert_false(ask_lives(arg));
	ask_fail(arg, -NTM_ECLOSED, NULL);
	later = NULL;
}

static void cmd_later(struct ask *a)
{
	later = a;
	ask_on_gone(a, on_gone, a);
}

static void cmd_steps(struct ask *a)
{
	ask_progress(a, json_pack("{s:i}", "progress", 1));
	ask_answer(a, NULL);
}

static const struct ask_command commands[] = {
	{"now", cmd_now},
	{"later", cmd_later},
	{"steps", cmd_steps},
	{"wait", ask_wait},
};

static void request(struct ask *a)
{
	assert_ptr_equal(ask_owner(a), dir);
	ask_dispatch(a, commands, sizeof(commands) / sizeof(commands[0]),
		     "no such thing");
}

static void turned(void *arg)
{
	assert_ptr_equal(arg, dir);
	n_turned++;
}

static bool holds(void *arg)
{
	(void)arg;
	return holds_now;
}

static const struct asking_is is = {
	.clients_max = 2,
	.line_max = 8192,
	.queue_max = 4u << 20,
	.request = request,
	.turned = turned,
	.holds = holds,
};

/* --- the test's hands -------------------------------------------------------------------- */

static void turn(void)
{
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_turn(loop, false), 0);
}

static int setup(void **state)
{
	int fd;

	(void)state;
	n_turned = n_gone = 0;
	holds_now = false;
	later = NULL;
	strcpy(dir, "/tmp/ntm-asking-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(unixsock_listen(dir, "a.sock", SOCK_STREAM, 8, &fd),
			 0);
	return asking_open(loop, fd, &is, dir, &server);
}

static int teardown(void **state)
{
	struct sockaddr_un un;

	(void)state;
	asking_close(server);
	loop_free(loop);
	assert_int_equal(unixsock_path(dir, "a.sock", &un), 0);
	unlink(un.sun_path);
	return rmdir(dir);
}

static int dial(void)
{
	int fd;

	assert_int_equal(unixsock_dial(dir, "a.sock", SOCK_STREAM, &fd), 0);
	turn();
	return fd;
}

static void says(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL),
			 strlen(text));
	turn();
}

/* all that has come, up to now */
static void hears(int fd, const char *wanted)
{
	char buf[1024] = "";
	ssize_t n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

	if (!*wanted)
		assert_true(n < 0);
	else
		assert_string_equal(buf, wanted);
}

static void is_hung_up(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);

	/* a reset where it had not read all */
	assert_true(!n || (n < 0 && errno == ECONNRESET));
	close(fd);
	turn();
}

/* --- tests --------------------------------------------------------------------------------- */

static void test_lines(void **state)
{
	int fd = dial();

	(void)state;
	assert_true(asking_busy(server));
	says(fd, "{\"cmd\":\"now\",\"wo");
	hears(fd, "");
	says(fd, "rd\":\"a\"}\n{\"cmd\":\"now\",\"word\":\"b\"}\n{\"cmd\"");
	hears(fd,
	      "{\"word\":\"a\",\"ok\":true}\n{\"word\":\"b\",\"ok\":true}\n");
	says(fd, ":\"steps\"}\n");
	hears(fd, "{\"progress\":1}\n{\"ok\":true}\n");
	says(fd, "nonsense\n");
	hears(fd, "{\"ok\":false,\"error\":\"DECODE\",\"text\":\"that is not "
		  "one JSON object\"}\n");
	says(fd, "{\"cmd\":\"other\"}\n");
	hears(fd, "{\"ok\":false,\"error\":\"INVAL\",\"text\":\"no such "
		  "thing\"}\n");
	close(fd);
	turn();
	assert_false(asking_busy(server));
	assert_int_equal(n_turned, 2);
}

/* one at a time: what is asked behind an ask that is under way waits for it */
static void test_later(void **state)
{
	int fd = dial();

	(void)state;
	says(fd, "{\"cmd\":\"later\"}\n{\"cmd\":\"now\",\"word\":\"b\"}\n");
	hears(fd, "");
	assert_non_null(later);
	assert_true(ask_lives(later));
	ask_answer(later, NULL);
	turn();
	hears(fd, "{\"ok\":true}\n{\"word\":\"b\",\"ok\":true}\n");
	/* who goes meanwhile is told of, once */
	says(fd, "{\"cmd\":\"later\"}\n");
	close(fd);
	turn();
	assert_int_equal(n_gone, 1);
	assert_null(later);
}

static void test_waits(void **state)
{
	char text[128];
	int one = dial(), other = dial();

	(void)state;
	says(one, "{\"cmd\":\"wait\"}\n");
	snprintf(text, sizeof(text), "{\"cmd\":\"wait\",\"seen\":%lld}\n",
		 (long long)asking_changes(server));
	says(other, text);
	hears(one, "");
	hears(other, "");
	asking_changed(server);
	snprintf(text, sizeof(text), "{\"changes\":%lld,\"ok\":true}\n",
		 (long long)asking_changes(server));
	hears(one, text);
	hears(other, text);
	says(one, "{\"cmd\":\"wait\",\"seen\":7}\n");
	hears(one, text);
	/* one that only waits ends with its client */
	says(one, "{\"cmd\":\"wait\"}\n");
	close(one);
	turn();
	asking_changed(server);
	close(other);
}

static void test_held(void **state)
{
	char wanted[256];
	int fd = dial();

	(void)state;
	holds_now = true;
	says(fd, "{\"cmd\":\"now\",\"word\":\"a\"}\n");
	holds_now = false;
	says(fd, "{\"cmd\":\"steps\"}\n"); /* in order: behind it */
	hears(fd, "");
	asking_release(server, 0);
	hears(fd, "{\"word\":\"a\",\"ok\":true}\n{\"progress\":1}\n{\"ok\":"
		  "true}\n");
	holds_now = true;
	says(fd, "{\"cmd\":\"now\",\"word\":\"c\"}\n");
	holds_now = false;
	asking_release(server, -NTM_ESTORE);
	turn();
	snprintf(wanted, sizeof(wanted),
		 "{\"ok\":false,\"error\":\"%s\",\"text\":\"%s\"}\n",
		 err_name(-NTM_ESTORE), err_text(-NTM_ESTORE));
	hears(fd, wanted);
	close(fd);
}

/* Very many requests in one go are no deep recursion. */
static void test_many(void **state)
{
	static const char line[] = "{\"cmd\":\"now\"}\n";
	size_t len = MANY * strlen(line), sent = 0, lines = 0;
	char *all = malloc(len + 1), buf[65536];
	int fd = dial();

	(void)state;
	assert_non_null(all);
	for (size_t i = 0; i < MANY; i++)
		memcpy(all + i * strlen(line), line, strlen(line));
	while (lines < MANY) {
		ssize_t n = sent < len ? send(fd, all + sent, len - sent,
					      MSG_NOSIGNAL | MSG_DONTWAIT)
				       : 0;

		sent += n > 0 ? (size_t)n : 0;
		turn();
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		assert_true(n != 0);
		for (ssize_t i = 0; i < n; i++)
			lines += buf[i] == '\n';
	}
	assert_int_equal(lines, MANY);
	close(fd);
	free(all);
}

static void test_limits(void **state)
{
	char line[8193];
	int fds[3];

	(void)state;
	memset(line, 'x', sizeof(line));
	fds[0] = dial();
	line[8191] = '\n'; /* the longest line: it fills the buffer */
	line[8192] = '\0';
	says(fds[0], line);
	hears(fds[0], "{\"ok\":false,\"error\":\"DECODE\",\"text\":\"that is "
		      "not one JSON object\"}\n");
	line[8191] = 'x';
	says(fds[0], line);
	assert_int_equal(send(fds[0], "x", 1, MSG_NOSIGNAL), 1);
	turn();
	is_hung_up(fds[0]);
	for (int i = 0; i < 3; i++)
		fds[i] = dial();
	says(fds[1], "{\"cmd\":\"steps\"}\n");
	hears(fds[1], "{\"progress\":1}\n{\"ok\":true}\n");
	/* the third waits until one of them goes */
	says(fds[2], "{\"cmd\":\"steps\"}\n");
	hears(fds[2], "");
	close(fds[0]);
	turn();
	hears(fds[2], "{\"progress\":1}\n{\"ok\":true}\n");
	close(fds[1]);
	close(fds[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_lines), T(test_later), T(test_waits),
		T(test_held),  T(test_many),  T(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

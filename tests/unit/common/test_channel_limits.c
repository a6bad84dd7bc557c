/* SPDX-License-Identifier: MIT */
/* test_channel_limits - queues, time-outs, sessions and descriptors at their bounds */
#include "tests/unit/common/channel_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* A peer that asks and does not read: memory is bounded, the session ends. */
static void test_queue_overflow(void **state)
{
	struct fixture *f = *state;
	Ntm__Envelope *e = big_envelope(CHANNEL_FRAME_MAX);
	int i, ret = 0, fd = dial_raw(f);
	struct tls_session *s;
	enum tls_outcome o = TLS_WANT_READ;

	assert_int_equal(tls_session_new(f->client_ctx, fd, false, false, &s),
			 0);
	await(f, (o = tls_handshake(s)) == TLS_OK);
	await(f, f->server.opened == 1);
	for (i = 0; i < 1000 && ret == 0; i++) {
		ret = channel_send(f->server.channel, e);
		if (i % 8 == 0)
			some_turns(f);
	}
	assert_int_equal(ret, -NTM_ELIMIT);
	assert_true(i >= 16); /* a queue of 1 MiB holds 15 and some */
	await(f, f->server.closed == 1);
	assert_int_equal(f->server.err, -NTM_ELIMIT);
	tls_session_free(s);
	close(fd);
}

/* --- time ------------------------------------------------------------------------------ */

static void test_handshake_timeout(void **state)
{
	struct fixture *f = *state;
	struct channel_listener_stats st;
	int fd = dial_raw(f);

	await(f, (channel_listener_stats(f->listener, &st), st.half_open == 1));
	pass(f, LOOP_S(CHANNEL_HANDSHAKE_S) - 1);
	assert_int_equal(f->server.closed, 0);
	pass(f, 1);
	assert_int_equal(f->server.closed, 1);
	assert_int_equal(f->server.err, -NTM_ETIMEOUT);
	channel_listener_stats(f->listener, &st);
	assert_int_equal(st.half_open, 0);
	assert_int_equal(st.sessions, 0);
	close(fd);
}

static void test_client_handshake_timeout(void **state)
{
	struct fixture *f = *state;
	int fd = listen_loopback(&f->addr); /* never accepts */

	dial(f, f->client_ctx);
	some_turns(f);
	pass(f, LOOP_S(CHANNEL_HANDSHAKE_S));
	assert_int_equal(f->client.closed, 1);
	assert_int_equal(f->client.err, -NTM_ETIMEOUT);
	close(fd);
}

static void test_idle(void **state)
{
	struct fixture *f = *state;
	struct channel *c = dial(f, f->client_ctx);

	await(f, f->client.opened && f->server.opened);
	pass(f, LOOP_S(CHANNEL_IDLE_S) - 1);
	send_txn(c, 1, 0); /* a message keeps it */
	await(f, f->server.messages == 1);
	pass(f, LOOP_S(CHANNEL_IDLE_S) - 1);
	assert_int_equal(f->server.closed, 0);
	pass(f, 1);
	assert_int_equal(f->server.closed, 1);
	assert_int_equal(f->server.err, -NTM_ETIMEOUT);
}

/* What came waits, in its order, and what is sent does not; frames that were read with
 * the one before wait as well. */
static void test_rest(void **state)
{
	struct fixture *f = *state;
	struct channel *c = dial(f, f->client_ctx);

	await(f, f->client.opened && f->server.opened);
	f->server.answer = true;
	channel_rest(f->server.channel, LOOP_S(3));
	for (uint32_t i = 1; i <= 20; i++)
		send_txn(c, i, 0);
	send_txn(f->server.channel, 7, 0);
	await(f, f->client.messages == 1);
	pass(f, LOOP_S(2));
	assert_int_equal(f->server.messages, 0);
	/* each call begins anew */
	channel_rest(f->server.channel, LOOP_S(2));
	pass(f, LOOP_S(2) - 1);
	assert_int_equal(f->server.messages, 0);
	/* the first of them makes it rest again: the others lie in the buffer */
	f->server.rest = 1;
	for (uint32_t i = 1; i <= 20; i++) {
		pass(f, 1);
		await(f, f->server.messages == i);
		some_turns(f);
		assert_int_equal(f->server.messages, i);
		assert_int_equal(f->server.last_txn, i);
	}
	await(f, f->client.messages == 21);
	/* one that ends does not wait, nor is it waited for */
	f->server.rest = LOOP_S(3);
	pass(f, 1);
	send_txn(c, 21, 0);
	await(f, f->server.messages == 21);
	channel_finish(f->server.channel);
	await(f, f->server.closed && f->client.closed);
	assert_int_equal(f->server.err, 0);
	assert_int_equal(f->client.err, 0);
}

static void test_idle_off(void **state)
{
	struct fixture *f = *state;

	dial(f, f->client_ctx);
	await(f, f->client.opened && f->server.opened);
	channel_set_idle(f->server.channel, 0);
	pass(f, LOOP_S(10 * DAY));
	assert_int_equal(f->server.closed, 0);
	assert_int_equal(f->client.closed, 0);
}

/* channel_finish() does not wait for ever for the peer's end. */
static void test_finish_timeout(void **state)
{
	struct fixture *f = *state;
	struct tls_session *s;
	int fd = dial_raw(f);

	assert_int_equal(tls_session_new(f->client_ctx, fd, false, false, &s),
			 0);
	await(f, tls_handshake(s) == TLS_OK);
	await(f, f->server.opened == 1);
	channel_finish(f->server.channel);
	some_turns(f);
	assert_int_equal(f->server.closed, 0);
	pass(f, LOOP_S(CHANNEL_FINISH_S));
	assert_int_equal(f->server.closed, 1);
	assert_int_equal(f->server.err, 0);
	tls_session_free(s);
	close(fd);
}

/* --- many ------------------------------------------------------------------------------- */

/* A handshake's message of 15 MiB is announced and sent: nobody collects it. */
static void test_large_hello(void **state)
{
	uint8_t record[5 + 0x4000] = {22, 3, 1, 0x40, 0, 1, 0xf0, 0, 0};
	struct fixture *f = *state;
	int fd = dial_raw(f);

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (size_t sent = 0; !f->server.closed; some_turns(f)) {
		ssize_t n = send(fd, record, sizeof(record), MSG_NOSIGNAL);

		assert_true(sent < 1 << 20); /* and what the kernel holds */
		sent += n > 0 ? (size_t)n : 0;
		memset(record + 5, 0, 4);
	}
	close(fd);
}

static void test_half_open_per_source(void **state)
{
	struct fixture *f = *state;
	struct channel_listener_stats st;
	int fd[CHANNEL_HALF_OPEN_SOURCE + 5], i;

	for (i = 0; i < CHANNEL_HALF_OPEN_SOURCE + 5; i++)
		fd[i] = dial_raw(f);
	await(f, (channel_listener_stats(f->listener, &st),
		  st.accepted == CHANNEL_HALF_OPEN_SOURCE + 5));
	assert_int_equal(st.half_open, CHANNEL_HALF_OPEN_SOURCE);
	assert_int_equal(st.refused_source, 5);
	/* one gives up: its place is free */
	close(fd[0]);
	await(f, (channel_listener_stats(f->listener, &st),
		  st.half_open == CHANNEL_HALF_OPEN_SOURCE - 1));
	f->server.answer = true;
	send_txn(dial(f, f->client_ctx), 1, 0);
	await(f, f->client.messages == 1);
	for (i = 1; i < CHANNEL_HALF_OPEN_SOURCE + 5; i++)
		close(fd[i]);
}

static void test_sessions_per_source(void **state)
{
	struct fixture *f = *state;
	struct channel *c[CHANNEL_SOURCE_MAX], *extra;
	struct channel_listener_stats st;
	int i;

	for (i = 0; i < CHANNEL_SOURCE_MAX; i++) {
		c[i] = dial(f, f->anonymous_ctx);
		await(f, f->server.opened == (unsigned int)i + 1);
	}
	extra = dial(f, f->anonymous_ctx);
	(void)extra;
	await(f, f->client.closed == 1);
	channel_listener_stats(f->listener, &st);
	assert_int_equal(st.refused_source, 1);
	assert_int_equal(st.sessions, CHANNEL_SOURCE_MAX);
	for (i = 0; i < CHANNEL_SOURCE_MAX; i++)
		channel_close(c[i]);
	await(f, f->server.closed == CHANNEL_SOURCE_MAX);
}

static int n_hung_up(const int *fd, int n)
{
	int i, count = 0;

	for (i = 0; i < n; i++)
		count += hung_up(fd[i]);
	return count;
}

/* from a source of its own each: 127.2.x.y */
static int dial_raw_from(struct fixture *f, unsigned int number)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	from.sin_addr.s_addr = htonl(0x7f020001u + number);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&f->addr,
				 sizeof(struct sockaddr_in)),
			 0);
	return fd;
}

/* Many sources that do nothing: the oldest make room, and a client comes through. */
static void test_half_open_in_all(void **state)
{
	const unsigned int n = CHANNEL_HALF_OPEN_MAX + 40;
	struct fixture *f = *state;
	struct channel_listener_stats st;
	unsigned int i;
	int fd[CHANNEL_HALF_OPEN_MAX + 40];

	for (i = 0; i < n; i++) {
		fd[i] = dial_raw_from(f, i);
		await(f, (channel_listener_stats(f->listener, &st),
			  st.accepted == i + 1));
	}
	assert_int_equal(st.evicted, 40);
	assert_int_equal(st.refused_source + st.refused_total, 0);
	await(f, n_hung_up(fd, (int)n) == 40);
	for (i = 0; i < n; i++) /* in the order they came */
		assert_int_equal(hung_up(fd[i]), i < 40);
	f->server.answer = true;
	send_txn(dial(f, f->client_ctx), 1, 0);
	await(f, f->client.messages == 1);
	for (i = 0; i < n; i++)
		close(fd[i]);
}

/* All places are taken by clients that showed no certificate: the oldest of them ends
 * for one that comes, and nobody else. */
static void test_sessions_in_all(void **state)
{
	struct fixture *f = *state;
	struct channel_listener_stats st;
	struct channel *in[3];

	in[0] = dial(f, f->client_ctx);
	await(f, f->server.opened == 1);
	channel_listener_set_room(f->listener, 3);
	dial(f, f->anonymous_ctx);
	await(f, f->server.opened == 2);
	dial(f, f->anonymous_ctx);
	await(f, f->server.opened == 3);
	in[1] = dial(f, f->client_ctx);
	await(f, f->server.opened == 4 && f->server.closed == 1);
	in[2] = dial(f, f->client_ctx);
	await(f, f->server.opened == 5 && f->server.closed == 2);
	channel_listener_stats(f->listener, &st);
	assert_int_equal(st.evicted, 2);
	dial(f, f->client_ctx);
	await(f, (channel_listener_stats(f->listener, &st),
		  st.refused_total == 1));
	assert_int_equal(st.evicted, 2);
	for (int i = 0; i < 3; i++)
		channel_close(in[i]);
}

#define STARVING 8

/* Descriptors run out under waiting clients; later they are there again. */
static void test_out_of_descriptors(void **state)
{
	struct fixture *f = *state;
	struct channel_listener_stats st;
	struct rlimit old, tight;
	int fd[STARVING], lowest, i;

	for (i = 0; i < STARVING; i++)
		fd[i] = dial_raw(f);
	lowest = dup(0); /* the number the next descriptor would get */
	assert_true(lowest > 0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	tight = old;
	tight.rlim_cur = (rlim_t)lowest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	await(f, (channel_listener_stats(f->listener, &st), st.paused));
	assert_int_equal(st.starved, 1); /* the reserve let one in, and out */
	assert_int_equal(st.sessions, 0);
	await(f, n_hung_up(fd, STARVING) >= 1);
	some_turns(f); /* paused: nothing is tried again and again */
	channel_listener_stats(f->listener, &st);
	assert_int_equal(st.starved, 1);
	/* still none after the pause: one more is let go */
	pass(f, LOOP_MS(CHANNEL_ACCEPT_PAUSE_MS));
	channel_listener_stats(f->listener, &st);
	assert_int_equal(st.starved, 2);
	assert_true(st.paused);

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	pass(f, LOOP_MS(CHANNEL_ACCEPT_PAUSE_MS));
	channel_listener_stats(f->listener, &st);
	assert_false(st.paused);
	/* valgrind takes one each time, to play the limit */
	assert_true(st.sessions >= 1);
	f->server.answer = true;
	send_txn(dial(f, f->client_ctx), 1, 0);
	await(f, f->client.messages == 1);
	for (i = 0; i < STARVING; i++)
		close(fd[i]);
}

static void test_listener_close_ends_sessions(void **state)
{
	struct fixture *f = *state;

	dial(f, f->client_ctx);
	await(f, f->client.opened && f->server.opened);
	channel_listener_close(f->listener);
	f->listener = NULL;
	await(f, f->server.closed == 1 && f->client.closed == 1);
}

#define test(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, channel_setup, channel_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_queue_overflow),
		test(test_handshake_timeout),
		test(test_client_handshake_timeout),
		test(test_idle),
		test(test_rest),
		test(test_idle_off),
		test(test_finish_timeout),
		test(test_large_hello),
		test(test_half_open_per_source),
		test(test_half_open_in_all),
		test(test_sessions_per_source),
		test(test_sessions_in_all),
		test(test_out_of_descriptors),
		test(test_listener_close_ends_sessions),
	};

	return cmocka_run_group_tests(tests, channel_group_setup,
				      channel_group_teardown);
}

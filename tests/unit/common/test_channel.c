/* SPDX-License-Identifier: MIT */
/*
 * test_channel - client and server in one loop over loopback, under a test's clock
 *
 * The clock stands still unless a test moves it: time-outs are reached by moving
 * it, never by waiting.
 */
#include "common/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/common/pki.h"

#define HOUR	   3600
#define DAY	   86400
#define PATIENCE_S 20 /* real time until a condition counts as never reached */

/** struct side - what the handlers of one end saw */
struct side {
	unsigned int opened, messages, closed;
	int err;
	uint32_t last_txn;
	size_t last_len;
	struct channel *channel; /* the last one opened */
	bool answer, close_on_message, finish_on_message;
};

struct fixture {
	struct pki *pki;
	struct pki_id as, node;
	struct tls_context *server_ctx, *client_ctx, *anonymous_ctx;
	struct loop *loop;
	uint64_t now;
	struct channel_listener *listener;
	struct sockaddr_in addr;
	struct side server, client;
};

/* --- fixture -------------------------------------------------------------------- */

static uint64_t fake_now(void *arg)
{
	return ((struct fixture *)arg)->now;
}

static void on_open(struct channel *c, void *arg)
{
	struct side *s = arg;

	s->opened++;
	s->channel = c;
}

static void send_txn(struct channel *c, uint32_t txn, int expect)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;

	e.txn = txn;
	e.body_case = NTM__ENVELOPE__BODY_ACK;
	e.ack = &ack;
	assert_int_equal(channel_send(c, &e), expect);
}

static void on_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct side *s = arg;

	s->messages++;
	s->last_txn = msg->txn;
	s->last_len = ntm__envelope__get_packed_size(msg);
	if (s->answer)
		send_txn(c, msg->txn + 1000, 0);
	if (s->finish_on_message)
		channel_finish(c);
	if (s->close_on_message)
		channel_close(c);
}

static void on_closed(struct channel *c, int err, void *arg)
{
	struct side *s = arg;

	if (s->channel == c)
		s->channel = NULL;
	s->closed++;
	s->err = err;
}

static const struct channel_ops ops = {
	.open = on_open,
	.message = on_message,
	.closed = on_closed,
};

static int group_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->pki = pki_new("example.org");
	pki_issue(f->pki, NTMC_CERT_SERVER, "as.example.org", NTMC_ROLE_AS,
		  -HOUR, DAY, &f->as);
	pki_issue(f->pki, NTMC_CERT_NODE, "desk.me.example.org", 0, -HOUR, DAY,
		  &f->node);
	assert_int_equal(tls_context_new(&f->as.id, f->as.der, f->as.len,
					 f->pki->ca_der, f->pki->ca_len,
					 f->pki->trust, NULL, &f->server_ctx),
			 0);
	assert_int_equal(tls_context_new(&f->node.id, f->node.der, f->node.len,
					 f->pki->ca_der, f->pki->ca_len,
					 f->pki->trust, NULL, &f->client_ctx),
			 0);
	assert_int_equal(tls_context_new(NULL, NULL, 0, NULL, 0, NULL,
					 f->pki->ca_fp, &f->anonymous_ctx),
			 0);
	*state = f;
	return 0;
}

static int group_teardown(void **state)
{
	struct fixture *f = *state;

	tls_context_free(f->server_ctx);
	tls_context_free(f->client_ctx);
	tls_context_free(f->anonymous_ctx);
	pki_free(f->pki);
	free(f);
	return 0;
}

static int listen_loopback(struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*addr = (struct sockaddr_in){.sin_family = AF_INET};
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)addr, sizeof(*addr)), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)addr, &len), 0);
	return fd;
}

static int setup(void **state)
{
	struct fixture *f = *state;

	f->now = LOOP_S(1000);
	memset(&f->server, 0, sizeof(f->server));
	memset(&f->client, 0, sizeof(f->client));
	assert_int_equal(loop_new(&f->loop), 0);
	loop_set_clock(f->loop, fake_now, NULL, f);
	assert_int_equal(channel_listen_take(f->loop, f->server_ctx,
					     listen_loopback(&f->addr), &ops,
					     &f->server, &f->listener),
			 0);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	channel_listener_close(f->listener);
	if (f->client.channel)
		channel_close(f->client.channel);
	loop_free(f->loop);
	return 0;
}

static double real_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Turn the loop until @cond; fails the test when it never comes. */
#define await(f, cond)                                                         \
	do {                                                                   \
		double limit_ = real_s() + PATIENCE_S;                         \
		while (!(cond)) {                                              \
			assert_int_equal(loop_turn((f)->loop, false), 0);      \
			if (real_s() > limit_)                                 \
				fail_msg("never: %s", #cond);                  \
		}                                                              \
	} while (0)

static void some_turns(struct fixture *f)
{
	int i;

	for (i = 0; i < 50; i++)
		assert_int_equal(loop_turn(f->loop, false), 0);
}

static void pass(struct fixture *f, uint64_t ns)
{
	f->now += ns;
	some_turns(f);
}

static struct channel *dial(struct fixture *f, struct tls_context *ctx)
{
	struct channel *c;

	assert_int_equal(channel_connect(f->loop, ctx,
					 (struct sockaddr *)&f->addr,
					 sizeof(f->addr), &ops, &f->client, &c),
			 0);
	f->client.channel = c;
	return c;
}

/* A TCP client that says nothing; non-blocking. */
static int dial_raw(struct fixture *f)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_true(connect(fd, (struct sockaddr *)&f->addr, sizeof(f->addr)) ==
			    0 ||
		    errno == EINPROGRESS);
	return fd;
}

static bool hung_up(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char c;

	return poll(&p, 1, 0) == 1 &&
	       (p.revents & (POLLHUP | POLLERR) || recv(fd, &c, 1, 0) <= 0);
}

/* --- good ------------------------------------------------------------------------- */

static void test_exchange(void **state)
{
	struct fixture *f = *state;
	struct channel *c = dial(f, f->client_ctx);
	struct channel_listener_stats st;
	size_t len;

	f->server.answer = true;
	send_txn(c, 1, 0); /* queued until it is open */
	await(f, f->client.messages == 1);
	assert_int_equal(f->client.last_txn, 1001);
	assert_int_equal(f->client.opened, 1);
	assert_string_equal(channel_peer(c)->fqdn, "as.example.org");
	assert_non_null(channel_peer_ca(c, &len));
	assert_string_equal(channel_peer(f->server.channel)->fqdn,
			    "desk.me.example.org");
	assert_int_equal(
		((const struct sockaddr_in *)channel_remote(f->server.channel))
			->sin_addr.s_addr,
		htonl(INADDR_LOOPBACK));
	channel_listener_stats(f->listener, &st);
	assert_int_equal(st.sessions, 1);
	assert_int_equal(st.half_open, 0);
	channel_close(c);
	assert_int_equal(f->client.closed, 0); /* at the end of the turn */
	await(f, f->client.closed == 1 && f->server.closed == 1);
	assert_int_equal(f->client.err, 0);
	channel_listener_stats(f->listener, &st);
	assert_int_equal(st.sessions, 0);
}

static void test_many_messages(void **state)
{
	struct fixture *f = *state;
	struct channel *c = dial(f, f->client_ctx);
	uint32_t i;

	for (i = 1; i <= 5000; i++)
		send_txn(c, i, 0);
	await(f, f->server.messages == 5000);
	assert_int_equal(f->server.last_txn, 5000);
}

/* The largest frame passes, one byte more does not. */
static Ntm__Envelope *big_envelope(size_t packed)
{
	static Ntm__Envelope e;
	static Ntm__DevicesResponse r;
	static Ntm__Device *list[1024], devices[1024];
	static uint8_t fp[32];
	static char version[129];
	size_t i, len;

	ntm__envelope__init(&e);
	ntm__devices_response__init(&r);
	memset(version, 'v', 128);
	e.body_case = NTM__ENVELOPE__BODY_DEVICES_RESPONSE;
	e.devices_response = &r;
	r.devices = list;
	for (i = 0; i < 1024; i++) {
		ntm__device__init(&devices[i]);
		devices[i].fqdn = "a.b.example.org";
		devices[i].fingerprint.data = fp;
		devices[i].fingerprint.len = 32;
		list[i] = &devices[i];
	}
	for (r.n_devices = 1; r.n_devices < 1024; r.n_devices++) {
		len = ntm__envelope__get_packed_size(&e);
		if (len >= packed)
			break;
		/* the last ones take up what is missing, byte by byte */
		devices[r.n_devices - 1].version =
			version + 128 - (packed - len > 100 ? 20 : 0);
	}
	while (ntm__envelope__get_packed_size(&e) > packed)
		r.n_devices--;
	for (i = 0; i < r.n_devices; i++) {
		while ((len = ntm__envelope__get_packed_size(&e)) < packed &&
		       devices[i].version > version)
			devices[i].version--;
	}
	return &e;
}

static void test_largest_frame(void **state)
{
	struct fixture *f = *state;
	struct channel *c = dial(f, f->client_ctx);
	Ntm__Envelope *e = big_envelope(CHANNEL_FRAME_MAX);

	assert_int_equal(ntm__envelope__get_packed_size(e), CHANNEL_FRAME_MAX);
	assert_int_equal(channel_send(c, e), 0);
	await(f, f->server.messages == 1);
	assert_int_equal(f->server.last_len, CHANNEL_FRAME_MAX);
	e->txn = 1; /* two bytes more */
	assert_int_equal(channel_send(c, e), -NTM_ETOOBIG);
	send_txn(c, 7, 0); /* and nothing has broken */
	await(f, f->server.last_txn == 7);
}

static void test_anonymous_frame_limit(void **state)
{
	struct fixture *f = *state;
	struct channel *c = dial(f, f->anonymous_ctx);
	Ntm__Envelope *e = big_envelope(CHANNEL_FRAME_ANONYMOUS);

	assert_int_equal(ntm__envelope__get_packed_size(e),
			 CHANNEL_FRAME_ANONYMOUS);
	assert_int_equal(channel_send(c, e), 0);
	await(f, f->server.messages == 1);
	assert_null(channel_peer(f->server.channel));
	e->txn = 1;
	assert_int_equal(channel_send(c, e), 0);
	await(f, f->server.closed == 1);
	assert_int_equal(f->server.err, -NTM_EDECODE);
	assert_int_equal(f->server.messages, 1);
}

static void test_finish_delivers_first(void **state)
{
	struct fixture *f = *state;
	struct channel *c = dial(f, f->client_ctx);
	uint32_t i;

	for (i = 1; i <= 2000; i++)
		send_txn(c, i, 0);
	channel_finish(c);
	send_txn(c, 9999, -NTM_ECLOSED);
	await(f, f->client.closed == 1 && f->server.closed == 1);
	assert_int_equal(f->server.messages, 2000);
	assert_int_equal(f->server.err, 0);
	assert_int_equal(f->client.err, 0);
}

/* The answer arrives although the client goes on sending. */
static void test_finish_from_handler(void **state)
{
	struct fixture *f = *state;
	struct channel *c = dial(f, f->client_ctx);
	uint32_t i;

	f->server.answer = f->server.finish_on_message = true;
	for (i = 1; i <= 3000; i++)
		send_txn(c, i, 0);
	await(f, f->client.closed == 1 && f->server.closed == 1);
	assert_int_equal(f->server.messages, 1);
	assert_int_equal(f->client.messages, 1);
	assert_int_equal(f->client.last_txn, 1001);
}

static void test_close_from_handler(void **state)
{
	struct fixture *f = *state;
	struct channel *c = dial(f, f->client_ctx);

	f->server.close_on_message = true;
	send_txn(c, 1, 0);
	send_txn(c, 2, 0);
	await(f, f->server.closed == 1);
	assert_int_equal(f->server.messages, 1);
	assert_int_equal(f->server.err, 0);
}

/* --- refused and broken -------------------------------------------------------------- */

static void test_connection_refused(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in gone;

	close(listen_loopback(&gone));
	f->addr = gone;
	dial(f, f->client_ctx);
	await(f, f->client.closed == 1);
	assert_int_equal(f->client.err, -NTM_EUNREACHABLE);
	assert_int_equal(f->client.opened, 0);
}

static void test_wrong_ca(void **state)
{
	struct fixture *f = *state;
	struct pki *other = pki_new("example.org");
	struct tls_context *ctx;

	assert_int_equal(tls_context_new(NULL, NULL, 0, NULL, 0, NULL,
					 other->ca_fp, &ctx),
			 0);
	dial(f, ctx);
	await(f, f->client.closed == 1 && f->server.closed == 1);
	assert_int_equal(f->client.err, -NTM_EPIN);
	assert_int_equal(f->server.err, -NTM_ECERT);
	assert_int_equal(f->server.opened, 0);
	tls_context_free(ctx);
	pki_free(other);
}

static void test_expired_client(void **state)
{
	struct fixture *f = *state;
	struct tls_context *ctx;
	struct pki_id old;

	pki_issue(f->pki, NTMC_CERT_NODE, "desk.me.example.org", 0, -DAY, -HOUR,
		  &old);
	assert_int_equal(tls_context_new(&old.id, old.der, old.len, NULL, 0,
					 f->pki->trust, NULL, &ctx),
			 0);
	dial(f, ctx);
	await(f, f->client.closed == 1 && f->server.closed == 1);
	assert_int_equal(f->server.err, -NTM_EEXPIRED);
	assert_int_equal(f->client.err, -NTM_EEXPIRED);
	tls_context_free(ctx);
}

/* Bytes of our choice inside a good TLS session. */
static void send_inside(struct fixture *f, const void *bytes, size_t len,
			bool bye)
{
	struct tls_session *s;
	enum tls_outcome o = TLS_WANT_READ;
	size_t put;
	int fd = dial_raw(f);

	assert_int_equal(tls_session_new(f->client_ctx, fd, false, false, &s),
			 0);
	await(f,
	      (o = tls_handshake(s)) != TLS_WANT_READ && o != TLS_WANT_WRITE);
	assert_int_equal(o, TLS_OK);
	assert_int_equal(tls_write(s, bytes, len, &put), TLS_OK);
	assert_int_equal(put, len);
	if (bye)
		assert_int_equal(tls_shutdown(s), TLS_OK);
	tls_session_free(s);
	close(fd);
	await(f, f->server.closed == 1);
}

static void test_truncated_frame(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bytes[] = {0, 0, 0, 8, 0x08, 0x01};

	send_inside(f, bytes, sizeof(bytes), true);
	assert_int_equal(f->server.err, -NTM_ECLOSED);
	assert_int_equal(f->server.messages, 0);
}

static void test_truncated_head(void **state)
{
	struct fixture *f = *state;

	send_inside(f, "\0\0", 2, true);
	assert_int_equal(f->server.err, -NTM_ECLOSED);
}

/* TCP ends without TLS saying so. */
static void test_cut_off(void **state)
{
	struct fixture *f = *state;

	send_inside(f, "\0", 1, false);
	assert_int_equal(f->server.err, -NTM_ECLOSED);
}

static void test_oversize_frame(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bytes[] = {0, 1, 0, 1, 0};

	send_inside(f, bytes, sizeof(bytes), false);
	assert_int_equal(f->server.err, -NTM_EDECODE);
}

static void test_huge_frame(void **state)
{
	struct fixture *f = *state;

	send_inside(f, "\xff\xff\xff\xff\0", 5, false);
	assert_int_equal(f->server.err, -NTM_EDECODE);
}

static void test_no_protobuf(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bytes[] = {0, 0, 0, 3, 0xff, 0xff, 0xff};

	send_inside(f, bytes, sizeof(bytes), false);
	assert_int_equal(f->server.err, -NTM_EDECODE);
}

/* Decodes, but no body: what an Envelope may not be. */
static void test_beyond_limits(void **state)
{
	struct fixture *f = *state;
	static const uint8_t bytes[] = {0, 0, 0, 2, 0x08, 0x01};

	send_inside(f, bytes, sizeof(bytes), false);
	assert_int_equal(f->server.err, -NTM_EDECODE);
	assert_int_equal(f->server.messages, 0);
}

static void test_empty_frame(void **state)
{
	struct fixture *f = *state;

	send_inside(f, "\0\0\0\0", 4, false);
	assert_int_equal(f->server.err, -NTM_EDECODE);
}

static void test_garbage_tls(void **state)
{
	struct fixture *f = *state;
	int fd = dial_raw(f);

	await(f, send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL) == 18);
	await(f, f->server.closed == 1);
	assert_int_equal(f->server.opened, 0);
	assert_true(f->server.err < 0);
	close(fd);
	/* and the listener serves the next */
	f->server.answer = true;
	send_txn(dial(f, f->client_ctx), 1, 0);
	await(f, f->client.messages == 1);
}

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

#define STARVING 8

static int n_hung_up(const int *fd, int n)
{
	int i, count = 0;

	for (i = 0; i < n; i++)
		count += hung_up(fd[i]);
	return count;
}

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

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_exchange),
		test(test_many_messages),
		test(test_largest_frame),
		test(test_anonymous_frame_limit),
		test(test_finish_delivers_first),
		test(test_finish_from_handler),
		test(test_close_from_handler),
		test(test_connection_refused),
		test(test_wrong_ca),
		test(test_expired_client),
		test(test_truncated_frame),
		test(test_truncated_head),
		test(test_cut_off),
		test(test_oversize_frame),
		test(test_huge_frame),
		test(test_no_protobuf),
		test(test_beyond_limits),
		test(test_empty_frame),
		test(test_garbage_tls),
		test(test_queue_overflow),
		test(test_handshake_timeout),
		test(test_client_handshake_timeout),
		test(test_idle),
		test(test_idle_off),
		test(test_finish_timeout),
		test(test_half_open_per_source),
		test(test_sessions_per_source),
		test(test_out_of_descriptors),
		test(test_listener_close_ends_sessions),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

/* SPDX-License-Identifier: MIT */
/* test_channel - messages that arrive, and what a bad peer sends */
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

#define test(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, channel_setup, channel_teardown)

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
	};

	return cmocka_run_group_tests(tests, channel_group_setup,
				      channel_group_teardown);
}

/* SPDX-License-Identifier: MIT */
/* test_gate - nodes that reach relay and DC by TLS; the relay is played */
#include "gate_site.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "servers/servercert.h"

#define MANY 2000

/* a session with the DC, as if by UDP; the DC sees the gate */
static void to_the_dc(void **state)
{
	struct stream s;
	struct addr to;

	(void)state;
	stream_start(&s, true);
	assert_true(site_wait(&site, stream_ready, &s));
	pump_start(&s, &to);
	site.dc_addr = to;
	peer_move(&node);
	peer_register(&node);
	assert_non_null(peer_keep_alive(&node));
	assert_int_equal(gate_number("nodes"), 1);
	assert_int_equal(site_dc_number(&site, "online"), 1);
	pump_end();
	stream_end(&s);
}

static bool all_back(void *arg)
{
	return ((struct stream *)arg)->n >= MANY;
}

/* One certificate is not good for the places of all. */
static void greedy(void **state)
{
	struct stream s[GATE_STREAMS_NODE + 2];

	(void)state;
	for (int i = 0; i < GATE_STREAMS_NODE + 2; i++) {
		stream_start(&s[i], true);
		assert_true(site_wait(&site, stream_ready, &s[i]));
	}
	assert_true(site_wait(&site, stream_closed, &s[0]));
	assert_true(site_wait(&site, stream_closed, &s[1]));
	assert_int_equal(gate_number("replaced"), 2);
	assert_int_equal(gate_number("nodes"), GATE_STREAMS_NODE);
	for (int i = 2; i < GATE_STREAMS_NODE + 2; i++)
		assert_false(s[i].closed);
	for (int i = 0; i < GATE_STREAMS_NODE + 2; i++)
		stream_end(&s[i]);
}

/* in order and whole, whatever their sizes; a run leaves by one call */
static void to_the_relay(void **state)
{
	struct stream s;
	size_t bytes = 0;

	(void)state;
	stream_start(&s, true);
	assert_true(site_wait(&site, stream_ready, &s));
	for (uint32_t i = 0; i < MANY; i++) {
		size_t len = i % 7 ? 120 : 24 + i % 1200;

		stream_number(&s, i, len);
		bytes += len;
		if (i % 50 == 49) {
			size_t want = i + 1;

			channel_flush(s.c);
			while (s.n < want)
				assert_int_equal(loop_turn(site.loop, true), 0);
		}
	}
	assert_true(site_wait(&site, all_back, &s));
	assert_true(s.order);
	assert_int_equal(s.n, MANY);
	assert_int_equal(s.bytes, bytes);
	assert_int_equal(relay_n, MANY);
	assert_int_equal(gate_number("lost"), 0);
	stream_end(&s);
}

/* nobody but nodes of the domain */
static void without_certificate(void **state)
{
	struct stream s;

	(void)state;
	stream_start(&s, false);
	assert_true(site_wait(&site, stream_closed, &s));
	assert_int_equal(gate_number("refused"), 1);
	assert_int_equal(gate_number("nodes"), 0);
	assert_int_equal(relay_n, 0);
	stream_end(&s);
}

static void servers_certificate(void **state)
{
	struct servercert cert;
	struct stream s = {.order = true};

	(void)state;
	assert_int_equal(servercert_load(site.dir, "dc", &cert), 0);
	assert_int_equal(channel_connect(site.loop, cert.tls, &at.sa,
					 addr_len(&at), &stream_ops, &s, &s.c),
			 0);
	assert_true(site_wait(&site, stream_closed, &s));
	assert_int_equal(gate_number("refused"), 1);
	servercert_clear(&cert);
}

/* whoever is not understood loses its own stream and nothing else */
static void malformed(void **state)
{
	static const uint8_t bad[][8] = {
		{0, PACKET_HEADER_LEN - 1, GATE_RELAY},
		{0, PACKET_HEADER_LEN, GATE_SIDES},
		{0xff, 0xff, GATE_DC},
	};
	struct stream good, s;
	uint8_t *room;

	(void)state;
	stream_start(&good, true);
	assert_true(site_wait(&site, stream_ready, &good));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		stream_start(&s, true);
		assert_true(site_wait(&site, stream_ready, &s));
		room = channel_room(s.c, sizeof(bad[i]));
		memcpy(room, bad[i], sizeof(bad[i]));
		channel_put(s.c, sizeof(bad[i]));
		channel_flush(s.c);
		assert_true(site_wait(&site, stream_closed, &s));
		assert_int_equal(gate_number("malformed"), i + 1);
		stream_end(&s);
	}
	assert_int_equal(gate_number("nodes"), 1);
	assert_false(good.closed);
	stream_end(&good);
}

/* more than it can take at once: the rest is lost, in order, and it goes on */
static void flooded(void **state)
{
	static uint8_t buf[1200];
	struct stream s;
	size_t before = 0;

	(void)state;
	relay_echo = false;
	stream_start(&s, true);
	assert_true(site_wait(&site, stream_ready, &s));
	stream_number(&s, 0, 100);
	channel_flush(s.c);
	while (!relay_n)
		assert_int_equal(loop_turn(site.loop, true), 0);
	/* far more than socket and queue hold, while nobody's turn comes */
	for (uint32_t i = 0; i < 20000; i++) {
		memcpy(buf + PACKET_HEADER_LEN, &i, sizeof(i));
		(void)!sendto(relay, buf, sizeof(buf), 0, &relay_from.sa,
			      addr_len(&relay_from));
	}
	while (s.n < 50)
		assert_int_equal(loop_turn(site.loop, true), 0);
	assert_true(s.n < 20000);
	assert_true(s.order);
	relay_echo = true;
	before = s.n;
	/* what is echoed while the socket is full yet is lost as well */
	for (uint32_t i = 30000; s.next < 30000; i++) {
		stream_number(&s, i, 100);
		channel_flush(s.c);
		assert_int_equal(loop_turn(site.loop, true), 0);
	}
	assert_true(s.order && s.n > before);
	stream_end(&s);
}

static bool over_limit(void *arg)
{
	(void)arg;
	return gate_number("over_source_limit") >= 4;
}

/* who connects and says nothing, or a byte now and then, has a few places */
static void half_open(void **state)
{
	int fds[CHANNEL_HALF_OPEN_SOURCE + 4];
	const size_t n = sizeof(fds) / sizeof(fds[0]);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fds[i], &at.sa, addr_len(&at)), 0);
		assert_int_equal(send(fds[i], "\x16", 1, MSG_NOSIGNAL), 1);
	}
	assert_true(site_wait(&site, over_limit, NULL));
	assert_int_equal(gate_number("half_open"), CHANNEL_HALF_OPEN_SOURCE);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, gate_setup, gate_teardown)
		T(to_the_dc),
		T(greedy),
		T(to_the_relay),
		T(without_certificate),
		T(servers_certificate),
		T(malformed),
		T(flooded),
		T(half_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

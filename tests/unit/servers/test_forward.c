/* SPDX-License-Identifier: MIT */
/* test_forward - what the RS forwards, and its answers to probes */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/udp.h>

#include <cmocka.h>

#include "path_site.h"
#include "servers/rs/paths.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static void forged_source(void **state)
{
	struct end thief;
	uint8_t buf[100];

	(void)state;
	direct_and_bind();
	end_new(&thief, &relay, AF_INET, PATH_ID, &kpunch);
	end_send(&thief, 100, 1);
	end_gets_nothing(&cn, "wrong_source", 1);
	/* an end cannot send as the other one */
	end_packet(PATH_ID | 1, sizeof(buf), 1, buf);
	assert_int_equal(send(mn.fd, buf, sizeof(buf), 0), sizeof(buf));
	end_gets_nothing(&mn, "wrong_source", 2);
	end_free(&thief);
	ends_free();
}

static void malformed(void **state)
{
	uint8_t buf[1300] = {0};

	(void)state;
	direct_and_bind();
	end_packet(PATH_ID, 100, 1, buf);
	for (size_t len = 1; len < PACKET_OVERHEAD; len++)
		assert_int_equal(send(mn.fd, buf, len, 0), len);
	end_gets_nothing(&cn, "malformed", PACKET_OVERHEAD - 1);
	buf[1]++; /* version */
	assert_int_equal(send(mn.fd, buf, 100, 0), 100);
	buf[1]--;
	buf[0] = PACKET_HOLE_PUNCH_ACK;
	assert_int_equal(send(mn.fd, buf, 100, 0), 100);
	buf[0] = PACKET_RELAY_PROBE;
	assert_int_equal(send(mn.fd, buf, 63, 0), 63);
	assert_int_equal(send(mn.fd, buf, 65, 0), 65);
	end_gets_nothing(&mn, "malformed", PACKET_OVERHEAD + 3);
	buf[0] = PACKET_HOLE_PUNCH; /* longer than any signal */
	buf[11] ^= 1;
	assert_int_equal(send(mn.fd, buf, sizeof(buf), 0), sizeof(buf));
	end_gets_nothing(&mn, "bad_punch", 1);
	ends_free();
}

static void families_differ(void **state)
{
	(void)state;
	ntmc_key_random(NULL, &kpunch);
	assert_int_equal(
		relay_direct(&relay, PATH_ID, &kpunch, "127.0.0.1", "::1"), 0);
	end_new(&mn, &relay, AF_INET, PATH_ID, &kpunch);
	end_new(&cn, &relay, AF_INET6, PATH_ID | 1, &kpunch);
	assert_true(end_punch(&cn, false));
	assert_true(cn.bound);
	assert_true(addr_equal(&cn.observed, &cn.self));
	end_bind(&mn);
	end_send(&mn, 1200, 1);
	assert_true(end_gets(&cn, 1200, 1));
	end_send(&cn, 1200, 2);
	assert_true(end_gets(&mn, 1200, 2));
	ends_free();
}

/* @n datagrams of @size in one send, as one message of UDP_GRO at the RS */
static void send_segments(int fd, const uint8_t *data, size_t len, int size)
{
	assert_int_equal(
		setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	assert_int_equal(send(fd, data, len, 0), len);
	size = 0;
	assert_int_equal(
		setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
}

/* one node with two paths: datagrams of both, and of none, in one message */
static void batch_of_two_paths(void **state)
{
	uint8_t buf[12 * 200], *p = buf;
	struct end mn2, cn2;

	(void)state;
	direct_and_bind();
	assert_int_equal(
		relay_direct(&relay, OTHER, &kpunch, "127.0.0.1", "127.0.0.1"),
		0);
	end_new(&mn2, &relay, AF_INET, OTHER, &kpunch);
	end_new(&cn2, &relay, AF_INET, OTHER | 1, &kpunch);
	close(mn2.fd);
	mn2.fd = dup(mn.fd);
	end_bind(&mn2);
	end_bind(&cn2);
	for (uint8_t i = 0; i < 4; i++) {
		p += end_packet(PATH_ID, 200, i, p);
		p += end_packet(i == 2 ? OTHER + 2 : OTHER, 200,
				(uint8_t)(100 + i), p);
		p += end_packet(PATH_ID, i == 3 ? 90 : 200, (uint8_t)(50 + i),
				p);
	}
	send_segments(mn.fd, buf, (size_t)(p - buf), 200);
	for (uint8_t i = 0; i < 4; i++) {
		assert_true(end_gets(&cn, 200, i));
		assert_true(
			end_gets(&cn, i == 3 ? 90 : 200, (uint8_t)(50 + i)));
		if (i != 2)
			assert_true(end_gets(&cn2, 200, (uint8_t)(100 + i)));
	}
	assert_int_equal(relay_number(&relay, "unknown_path"), 1);
	assert_int_equal(relay_number(&relay, "forwarded"), 11);
	end_free(&mn2);
	end_free(&cn2);
	ends_free();
}

/* more than one message of UDP_SEGMENT can take, in order */
static void long_runs(void **state)
{
	static uint8_t buf[60 * 1000];

	(void)state;
	direct_and_bind();
	for (int round = 0; round < 3; round++) {
		for (uint8_t i = 0; i < 60; i++)
			end_packet(PATH_ID, 1000, i, buf + i * 1000);
		send_segments(mn.fd, buf, sizeof(buf), 1000);
		for (uint8_t i = 0; i < 60; i++)
			assert_true(end_gets(&cn, 1000, i));
	}
	/* in fewer messages than datagrams; four were answers to punches */
	assert_true(relay_counts(&relay, "sent", 184));
	assert_int_equal(relay_number(&relay, "sent"), 184);
	if (relay_number(&relay, "gso_fallbacks") == 0)
		assert_true(relay_number(&relay, "sent_messages") < 100);
	ends_free();
}

/* a kernel or device that cannot: one by one, counted, none lost */
static void without_segmentation(void **state)
{
	static uint8_t buf[20 * 500];
	int one = 1;

	(void)state;
	direct_and_bind();
	/* UDP_SEGMENT wants checksums */
	for (size_t i = 0; i < relay.env.sockets.n_udp; i++)
		assert_int_equal(setsockopt(relay.env.sockets.udp[i],
					    SOL_SOCKET, SO_NO_CHECK, &one,
					    sizeof(one)),
				 0);
	for (uint8_t i = 0; i < 20; i++)
		end_packet(PATH_ID, 500, i, buf + i * 500);
	send_segments(mn.fd, buf, sizeof(buf) - 100, 500);
	for (uint8_t i = 0; i < 20; i++)
		assert_true(end_gets(&cn, i < 19 ? 500 : 400, i));
	assert_int_equal(relay_number(&relay, "gso_fallbacks"), 1);
	assert_int_equal(relay_number(&relay, "send_lost"), 0);
	ends_free();
}

static void ecn_is_kept(void **state)
{
	struct msghdr m = {.msg_namelen = 0};
	uint8_t buf[200], control[64];
	struct iovec iov = {buf, sizeof(buf)};
	int tos = 3, one = 1;
	struct cmsghdr *c;

	(void)state;
	direct_and_bind();
	assert_int_equal(
		setsockopt(mn.fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)), 0);
	assert_int_equal(
		setsockopt(cn.fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one)),
		0);
	end_send(&mn, 100, 1);
	m.msg_iov = &iov;
	m.msg_iovlen = 1;
	m.msg_control = control;
	m.msg_controllen = sizeof(control);
	assert_int_equal(recvmsg(cn.fd, &m, 0), 100);
	c = CMSG_FIRSTHDR(&m);
	assert_non_null(c);
	assert_int_equal(c->cmsg_type, IP_TOS);
	assert_int_equal(*CMSG_DATA(c) & 3, 3);
	ends_free();
}

/* --- probes ---------------------------------------------------------------------- */

static void probe(int family, bool other)
{
	struct packet_header h = {.type = PACKET_RELAY_PROBE,
				  .flags = other ? PACKET_OTHER_PORT : 0,
				  .id = 42,
				  .counter = UINT64_C(0x123456789abcdef0)};
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	uint8_t buf[128] = {0};
	struct addr at;
	struct end e;
	size_t ip_len;
	const uint8_t *ip;
	struct sockaddr none = {.sa_family = AF_UNSPEC};

	ntmc_key_random(NULL, &kpunch);
	end_new(&e, &relay, family, PATH_ID, &kpunch);
	packet_header_put(&h, buf);
	assert_int_equal(send(e.fd, buf, PACKET_PROBE_LEN, 0),
			 PACKET_PROBE_LEN);
	if (other) /* let anybody answer at this port */
		assert_int_equal(connect(e.fd, &none, sizeof(none)), 0);
	if (other &&
	    recvfrom(e.fd, buf, sizeof(buf), MSG_DONTWAIT, NULL, NULL) < 0)
		assert_int_equal(sendto(e.fd, buf, PACKET_PROBE_LEN, 0,
					&e.rs.sa, addr_len(&e.rs)),
				 PACKET_PROBE_LEN);
	assert_int_equal(recvfrom(e.fd, buf, sizeof(buf), 0,
				  (struct sockaddr *)&from, &from_len),
			 PACKET_PROBE_LEN);
	assert_int_equal(
		addr_from_sockaddr((struct sockaddr *)&from, from_len, &at), 0);
	assert_int_equal(addr_port(&at),
			 other ? relay.conf.rs_other_port : relay.conf.rs_port);
	assert_int_equal(packet_header_get(buf, PACKET_PROBE_LEN, &h), 0);
	assert_int_equal(h.type, PACKET_RELAY_PROBE_ACK);
	assert_int_equal(h.id, 42);
	assert_int_equal(h.counter, UINT64_C(0x123456789abcdef0));
	assert_int_equal(buf[20] << 8 | buf[21], family == AF_INET ? 4 : 6);
	if (!other) { /* the port may be another one since */
		assert_int_equal(buf[22] << 8 | buf[23], addr_port(&e.self));
		ip = addr_ip(&e.self, &ip_len);
		assert_memory_equal(buf + 24, ip, ip_len);
	}
	end_free(&e);
}

/* a host with many addresses: the other port answers from the one that was asked */
static void probe_of_many(void **state)
{
	struct packet_header h = {.type = PACKET_RELAY_PROBE,
				  .flags = PACKET_OTHER_PORT,
				  .id = 43};
	uint8_t buf[PACKET_PROBE_LEN] = {0};
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	struct addr to, any, at;
	int fd;

	(void)state;
	relay_stop(&relay);
	free(relay.conf.rs_listen);
	relay.conf.rs_listen = strdup("0.0.0.0");
	relay_start(&relay);
	assert_int_equal(
		addr_parse("127.0.0.2", (uint16_t)relay.conf.rs_port, &to), 0);
	assert_int_equal(addr_parse("127.0.0.1", 0, &any), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, &any.sa, addr_len(&any)), 0);
	packet_header_put(&h, buf);
	assert_int_equal(sendto(fd, buf, sizeof(buf), 0, &to.sa, addr_len(&to)),
			 sizeof(buf));
	assert_int_equal(recvfrom(fd, buf, sizeof(buf), 0,
				  (struct sockaddr *)&from, &len),
			 sizeof(buf));
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&from, len, &at),
			 0);
	addr_set_port(&to, (uint16_t)relay.conf.rs_other_port);
	assert_true(addr_equal(&at, &to));
	close(fd);
}

static void probes(void **state)
{
	(void)state;
	probe(AF_INET, false);
	probe(AF_INET6, false);
	probe(AF_INET, true);
	probe(AF_INET6, true);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(forged_source),      T(malformed), T(families_differ),
		T(batch_of_two_paths), T(long_runs), T(without_segmentation),
		T(ecn_is_kept),	       T(probes),    T(probe_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * relay_fanout - a relay's copies of a group packet to 50 members, and plain sendmmsg()
 *
 *   relay_fanout SECONDS SIZE
 *
 * A forwarding thread of the relay gets group packets of SIZE bytes with a good hop from
 * a member, each by itself, and sends each to 50 places. Against it: datagrams of the
 * same size, sendmmsg() with 50 at a time, nothing else. Both go to one socket on
 * loopback, where a thread counts what arrives. They take turns; prints for each the
 * datagrams that arrived a second, and then the ratio.
 */
#include <endian.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "libntmcrypto/grouppacket.h"
#include "servers/rs/state.h"
#include "tests/bench/fanout.h"

#define AHEAD 32 /* packets that wait at the relay */
#define TAG   UINT64_C(0x0123456789abcdef)

static struct bench {
	struct rs rs;
	struct rs_thread *relay;
	struct addr sink, from, at; /* @at: the relay's */
	int plain, member;
	uint64_t sent;
	uint8_t packet[2048];
	size_t len;
} b;

/* --- the relay ---------------------------------------------------------------------- */

static void bind_place(struct group_here *h, uint32_t place,
		       const struct addr *at)
{
	struct remote r = {.port = at->in4.sin_port};
	bool bound;

	memset((uint8_t *)r.ip + 10, 0xff, 2);
	memcpy((uint8_t *)r.ip + 12, &at->in4.sin_addr, 4);
	if (!groups_punch(&h->places[place], GROUP_WISH_BIND, &r, 1,
			  rs_now_s(&b.rs), &bound) ||
	    !bound)
		fanout_die("relay_fanout: a place");
}

static void start(void)
{
	static const uint8_t key[NTMC_KEY_LEN] = {1};
	struct group_direction d = {.tag = TAG,
				    .relay_key = key,
				    .bind_key = key,
				    .aead = NTMC_AES_256_GCM,
				    .places = FANOUT_MEMBERS + 1,
				    .lifetime_s = 3600};
	struct group_here *h;
	struct addr any;
	uint32_t old;
	int fd;

	b.sink = *fanout_sink();
	b.plain = fanout_socket(&any);
	b.member = fanout_socket(&b.from);
	fd = fanout_socket(&b.at);
	atomic_store(&b.rs.now_s, 3600);
	locals_init(&b.rs.locals);
	if (paths_init(&b.rs.paths, 1) || quota_init(&b.rs.quota, 1) ||
	    groups_init(&b.rs.groups, 1) ||
	    groups_put(&b.rs.groups, &d, rs_now_s(&b.rs), &old))
		fanout_die("relay_fanout: start");
	h = groups_find(&b.rs.groups, TAG);
	bind_place(h, 0, &b.from);
	for (uint32_t i = 1; i <= FANOUT_MEMBERS; i++)
		bind_place(h, i, &b.sink);
	if (thread_new(&b.rs, &fd, 1, &b.relay) ||
	    connect(b.member, &b.at.sa, addr_len(&b.at)))
		fanout_die("relay_fanout: relay");
}

static void packet_make(size_t size)
{
	uint8_t text[GROUP_PACKET_HEADER + NTMC_TAG_LEN], mac[NTMC_HASH_LEN];
	static const uint8_t key[NTMC_KEY_LEN] = {1};
	uint64_t tag = htobe64(TAG);
	uint8_t *p = b.packet;

	b.len = size;
	memset(p, 7, size);
	p[0] = PACKET_GROUP;
	p[1] = PACKET_VERSION;
	p[2] = 0;
	p[3] = GROUP_PACKET_HOP;
	memcpy(p + PACKET_ID_AT, &tag, sizeof(tag));
	memcpy(text, p, GROUP_PACKET_HEADER);
	memcpy(text + GROUP_PACKET_HEADER,
	       p + size - GROUP_HOP_LEN - NTMC_TAG_LEN, NTMC_TAG_LEN);
	ntmc_hmac(key, sizeof(key), text, sizeof(text), mac);
	memcpy(p + size - GROUP_HOP_LEN, mac, GROUP_HOP_LEN);
}

/* --- the two ------------------------------------------------------------------------- */

/* no more than the relay takes: what is measured is what it sends */
static void by_relay(void)
{
	while (b.sent >= atomic_load(&b.relay->stats.received) + AHEAD)
		sched_yield();
	if (send(b.member, b.packet, b.len, 0) < 0)
		fanout_die("relay_fanout: send");
	b.sent++;
}

static void by_sendmmsg(void)
{
	fanout_plain(b.plain, b.packet, b.len);
}

int main(int argc, char **argv)
{
	double seconds = argc == 3 ? atof(argv[1]) : 0, plain, relay;
	int size = argc == 3 ? atoi(argv[2]) : 0;

	if (seconds <= 0 ||
	    size < GROUP_PACKET_HEADER + NTMC_TAG_LEN + GROUP_HOP_LEN ||
	    size > 1472) {
		fprintf(stderr, "usage: relay_fanout SECONDS SIZE\n");
		return 2;
	}
	start();
	packet_make((size_t)size);
	plain = fanout_rate(by_sendmmsg, seconds);
	relay = fanout_rate(by_relay, seconds);
	printf("%.0f %.0f %.3f\n", plain, relay, relay / plain);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* group_stage - a group of three of whom two are here, each with a data path */
#include "group_stage.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

const uint8_t group6[16] = {0xff, 0x38, 0, 0x40, 0xfd, 0x6e, 1, 2,
			    3,	  4,	5, 6,	 0x80, 1,    2, 3};
const uint8_t group4[4] = {239, 193, 2, 3};
const uint8_t stranger4[4] = {198, 18, 9, 9};

void stage_epoch(struct stage *s, unsigned int i)
{
	struct person *p = &s->c.p[i];

	assert_int_equal(dp_group_epoch(s->g[i], &s->c.p[i].keys, p->g, &p->id,
					p->index),
			 0);
}

void stage_join(struct stage *s, unsigned int i)
{
	struct node *n = &s->net.n[i];

	assert_int_equal(dp_group_new(n->dp, &s->c.env, s, &s->g[i]), 0);
	assert_int_equal(dp_group_set_addresses(s->g[i], group6, group4), 0);
	stage_epoch(s, i);
	dp_group_until(s->g[i], UINT64_MAX);
	dp_group_meet(s->g[i], s->c.p[!i].index, i ? vip6_a : vip6_b,
		      i ? vip4_a : vip4_b);
}

struct stage *stage_open(enum group_auth auth)
{
	struct stage *s = calloc(1, sizeof(*s));
	struct group_policy p = group_policy_default;
	struct group_change change = {.kind = GROUP_POLICY, .policy = &p};

	circle_open(&s->c);
	circle_create(&s->c);
	circle_add(&s->c, 0, 1, GROUP_MAY_REMOVE);
	circle_add(&s->c, 0, 2, 0);
	p.auth = auth;
	circle_make(&s->c, 0, &change);
	circle_spread(&s->c);
	net_up(&s->net, true);
	stage_join(s, 0);
	stage_join(s, 1);
	return s;
}

void stage_close(struct stage *s)
{
	packet_list_clear(&s->got);
	net_down(&s->net); /* and groups with it */
	circle_close(&s->c);
	free(s);
}

struct dp_group_counters stage_counters(struct stage *s, unsigned int i)
{
	struct dp_group_counters n;

	dp_group_counters(s->g[i], &n);
	return n;
}

struct spec stage_packet(int from, unsigned int version, uint32_t payload)
{
	struct spec sp = net_spec(from, version, IPPROTO_UDP, payload);

	sp.dst = version == 4 ? group4 : group6;
	return sp;
}

size_t stage_get(struct stage *s, int i)
{
	packet_list_clear(&s->got);
	for (int k = 0; k < 3; k++)
		net_settle(&s->net);
	net_collect(&s->net, i, &s->got);
	return s->got.n;
}

void stage_check(struct stage *s, size_t at, const struct spec *sp)
{
	static struct packet_list want;
	static uint8_t pkt[PACKET_BYTES];
	struct virtio_net_hdr vh;
	size_t len = packet_build(sp, &vh, pkt);

	packet_list_clear(&want);
	packet_expand(&vh, pkt, len, &want);
	assert_true(s->got.p[at].checksum_ok);
	assert_int_equal(s->got.p[at].len, want.p[0].len);
	assert_memory_equal(s->got.p[at].bytes, want.p[0].bytes, want.p[0].len);
	packet_list_clear(&want);
}

void stage_inject(struct stage *s, const uint8_t *b, size_t len)
{
	assert_int_equal(sendto(s->net.n[0].udp, b, len, 0, &s->net.n[1].at.sa,
				addr_len(&s->net.n[1].at)),
			 (int)len);
	net_settle(&s->net);
}

struct group_sender *stage_sender(struct stage *s, unsigned int who)
{
	struct person *p = &s->c.p[who];
	struct group_sender *tx = NULL;

	assert_int_equal(group_sender_new(&s->c.env, &p->keys, &p->id, p->index,
					  GROUP_AUTH_MAC, &tx),
			 0);
	return tx;
}

size_t stage_sealed(struct group_sender *tx, const struct spec *sp,
		    uint8_t buf[2048])
{
	static uint8_t pkt[PACKET_BYTES];
	struct virtio_net_hdr vh;
	struct spec whole = *sp;
	size_t len;

	whole.partial = false;
	len = packet_build(&whole, &vh, pkt);
	assert_true(len + GROUP_PACKET_MORE <= 2048);
	memcpy(buf + GROUP_PACKET_HEADER, pkt, len);
	assert_int_equal(group_sender_seal(tx, 0, buf, len, &len), 0);
	return len;
}

int stage_relay(struct addr *at)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(addr_parse("127.0.0.1", 0, at), 0);
	assert_int_equal(bind(fd, &at->sa, addr_len(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, len, at),
			 0);
	return fd;
}

size_t stage_pass_on(struct stage *s, int relay, const struct group_keys *k)
{
	struct addr to = s->net.n[1].at;
	uint8_t b[2048];
	size_t n = 0;
	ssize_t len;

	while ((len = recv(relay, b, sizeof(b), MSG_DONTWAIT)) > 0) {
		assert_int_equal(
			group_hop_check(&k->relay, k->tag, b, (size_t)len), 0);
		assert_int_equal(
			sendto(relay, b, (size_t)len, 0, &to.sa, addr_len(&to)),
			len);
		n++;
	}
	return n;
}

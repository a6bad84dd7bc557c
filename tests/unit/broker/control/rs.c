/* SPDX-License-Identifier: MIT */
/* rs - a relay for the nodes of the world: what docs/protocol.md says of it, no more */
#include "tests/unit/broker/control/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATHS	 16
#define KEEP_S	 60
#define ACK_ROOM 128

/* struct end - bit 0 of the Path ID names it */
struct end {
	struct datagram_keys keys;
	struct addr proven, bound, asked;
	uint8_t cookie[16];
	uint64_t sent_ms, seen_ns;
	bool sure; /* the cookie came back from where it is bound */
};

struct relayed {
	uint64_t id;
	struct end ends[2];
};

struct rs {
	struct world *wd;
	uint64_t id;
	struct addr addrs[2];
	bool down, limit, limit_peer;
	struct relayed paths[PATHS];
	size_t next;
	struct relayed group; /* its ends are places, its id the tag */
	struct rs_count count;
};

struct rs *rs_add(struct world *wd)
{
	struct rs *rs = calloc(1, sizeof(*rs));
	char text[40];
	unsigned int n = (unsigned int)wd->n_rs + 10;

	assert_non_null(rs);
	assert_true(wd->n_rs < WORLD_RELAYS);
	rs->wd = wd;
	rs->id = 0xabcd000000000000ull + n;
	snprintf(text, sizeof(text), "192.0.2.%u:4600", n);
	assert_int_equal(addr_parse(text, 0, &rs->addrs[0]), 0);
	snprintf(text, sizeof(text), "[2001:db8::%u]:4600", n);
	assert_int_equal(addr_parse(text, 0, &rs->addrs[1]), 0);
	wd->rs[wd->n_rs++] = rs;
	return rs;
}

void rs_free(struct rs *rs)
{
	free(rs);
}

bool rs_owns(const struct rs *rs, const struct addr *a)
{
	return addr_equal(&rs->addrs[0], a) || addr_equal(&rs->addrs[1], a);
}

uint64_t rs_id(const struct rs *rs)
{
	return rs->id;
}

void rs_set_down(struct rs *rs, bool down)
{
	rs->down = down;
}

bool rs_is_down(const struct rs *rs)
{
	return rs->down;
}

static bool alive(const struct rs *rs, const struct end *e)
{
	return addr_is_set(&e->bound) &&
	       rs->wd->now_ns - e->seen_ns < LOOP_S(KEEP_S);
}

void rs_set_limit(struct rs *rs, bool on)
{
	rs->limit = on;
}

void rs_set_limit_peer(struct rs *rs, bool on)
{
	rs->limit_peer = on;
}

unsigned int rs_sure(const struct rs *rs)
{
	unsigned int n = 0;

	for (size_t i = 0; i < PATHS; i++)
		for (int k = 0; k < 2; k++)
			n += alive(rs, &rs->paths[i].ends[k]) &&
			     rs->paths[i].ends[k].sure;
	return n;
}

const struct rs_count *rs_count(const struct rs *rs)
{
	return &rs->count;
}

void rs_name(const struct rs *rs, Ntm__Relay *out, Ntm__Address *a,
	     Ntm__Address **list)
{
	ntm__relay__init(out);
	out->id = rs->id;
	out->n_addresses = 2;
	out->addresses = list;
	for (int i = 0; i < 2; i++) {
		addr_to_message(&rs->addrs[i], NTM__ADDRESS_KIND__ADDRESS_LOCAL,
				&a[i]);
		list[i] = &a[i];
	}
}

unsigned int rs_bound(const struct rs *rs)
{
	unsigned int n = 0;

	for (size_t i = 0; i < PATHS; i++)
		for (int e = 0; e < 2; e++)
			n += alive(rs, &rs->paths[i].ends[e]);
	return n;
}

static struct relayed *path_of(struct rs *rs, uint64_t id)
{
	for (size_t i = 0; i < PATHS; i++)
		if (rs->paths[i].id && rs->paths[i].id == (id & ~1ull))
			return &rs->paths[i];
	return NULL;
}

void rs_group(struct rs *rs, uint64_t tag, const struct ntmc_key *bind)
{
	struct ntmc_key kpunch;

	memset(&rs->group, 0, sizeof(rs->group));
	rs->group.id = tag;
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(datagram_place_secret(bind, tag, i, &kpunch),
				 0);
		assert_int_equal(datagram_place_keys(&kpunch, tag,
						     NTMC_AES_256_GCM,
						     &rs->group.ends[i].keys),
				 0);
	}
}

void rs_direct(struct rs *rs, uint64_t path_id, const struct ntmc_key *ktun,
	       const struct addr *mn, const struct addr *cn)
{
	struct relayed *p = path_of(rs, path_id);

	if (rs->down)
		return;
	if (!p)
		p = &rs->paths[rs->next++ % PATHS];
	if (p->id != path_id)
		memset(p, 0, sizeof(*p));
	p->id = path_id;
	for (unsigned int i = 0; i < 2; i++) {
		p->ends[i].proven = i ? *cn : *mn;
		p->ends[i].sent_ms = 0;
		assert_int_equal(datagram_punch_keys_of(ktun, path_id | i,
							NTMC_AES_256_GCM,
							&p->ends[i].keys),
				 0);
	}
}

/* --- datagrams ------------------------------------------------------------------------ */

static void probed(struct rs *rs, struct packet_header *h, size_t len,
		   const struct addr *from, const struct addr *to)
{
	uint8_t buf[PACKET_PROBE_LEN] = {0};
	size_t n;
	const uint8_t *ip = addr_ip(from, &n);

	assert_int_equal(len, PACKET_PROBE_LEN);
	if (h->id != rs->id)
		return;
	rs->count.probes++;
	h->type = PACKET_RELAY_PROBE_ACK;
	packet_header_put(h, buf);
	buf[21] = n == 4 ? 4 : 6;
	buf[22] = (uint8_t)(addr_port(from) >> 8);
	buf[23] = (uint8_t)addr_port(from);
	memcpy(buf + 24, ip, n);
	world_send(rs->wd, buf, sizeof(buf), to, from);
}

static void ack(struct rs *rs, struct relayed *p, unsigned int bit,
		const Ntm__HolePunchAck *msg, const struct addr *from,
		const struct addr *to)
{
	bool place = p == &rs->group;
	struct packet_header h = {.type = PACKET_HOLE_PUNCH_ACK,
				  .flags = place ? PACKET_PLACE : 0,
				  .id = place ? p->id : p->id | bit};
	uint8_t buf[PACKET_SIGNAL_MAX];
	int n;

	ntmc_random(&rs->wd->crypto, &h.counter, sizeof(h.counter));
	n = datagram_seal(&h, p->ends[bit].keys.aead, &p->ends[bit].keys.down,
			  &msg->base, buf);
	assert_true(n > 0);
	world_send(rs->wd, buf, (size_t)n, to, from);
}

static void punch(struct rs *rs, struct relayed *p, unsigned int bit,
		  const Ntm__HolePunch *m, const struct addr *from,
		  const struct addr *to)
{
	struct end *e = &p->ends[bit];
	Ntm__HolePunchAck a = NTM__HOLE_PUNCH_ACK__INIT;
	Ntm__Address where;
	uint8_t places;
	bool cookie;

	if (m->sent_ms <= e->sent_ms)
		return;
	e->sent_ms = m->sent_ms;
	rs->count.punches++;
	if (m->leave) {
		rs->count.leaves++;
		addr_clear(&e->bound);
		return;
	}
	addr_to_message(from, NTM__ADDRESS_KIND__ADDRESS_OBSERVED, &where);
	a.sent_ms = m->sent_ms;
	a.observed = &where;
	a.lifetime_s = KEEP_S;
	cookie = m->cookie.len == 16 && addr_equal(from, &e->asked) &&
		 !memcmp(m->cookie.data, e->cookie, 16);
	a.bound = cookie || addr_equal_ip(from, &e->proven) ||
		  addr_equal(from, &e->bound);
	if (p == &rs->group) /* by a cookie alone */
		a.bound = cookie;
	if (rs->limit)
		a.code = NTM_ELIMIT;
	if (rs->limit_peer)
		a.peer_code = NTM_ELIMIT;
	if (a.bound) {
		e->sure = cookie || (e->sure && addr_equal(from, &e->bound));
		e->bound = *from;
		e->seen_ns = rs->wd->now_ns;
		a.echo = !e->sure;
	} else {
		rs->count.cookies++;
	}
	e->asked = *from;
	ntmc_random(&rs->wd->crypto, e->cookie, 16);
	a.cookie = (ProtobufCBinaryData){16, e->cookie};
	a.peer_bound = alive(rs, &p->ends[!bit]);
	places =
		(uint8_t)(alive(rs, &p->ends[0]) | alive(rs, &p->ends[1]) << 1);
	if (p == &rs->group)
		a.places = (ProtobufCBinaryData){1, &places};
	ack(rs, p, bit, &a, from, to);
}

static void punched(struct rs *rs, const struct packet_header *h, uint8_t *buf,
		    size_t len, const struct addr *from, const struct addr *to)
{
	struct relayed *p = path_of(rs, h->id);
	unsigned int bit = h->id & 1;
	ProtobufCMessage *msg;

	if (h->flags & PACKET_PLACE) {
		bit = h->counter >> PACKET_PLACE_SHIFT & 1;
		p = h->id == rs->group.id ? &rs->group : NULL;
	}

	if (!p ||
	    datagram_open(h, p->ends[bit].keys.aead, &p->ends[bit].keys.up, buf,
			  len, &ntm__hole_punch__descriptor, &msg)) {
		rs->count.refused++;
		return;
	}
	assert_true(len >= ACK_ROOM); /* no more comes out than went in */
	punch(rs, p, bit, (Ntm__HolePunch *)msg, from, to);
	datagram_free(msg);
}

static void forward(struct rs *rs, const struct packet_header *h,
		    const uint8_t *buf, size_t len, const struct addr *from)
{
	struct relayed *p = path_of(rs, h->id);
	unsigned int bit = h->id & 1; /* the receiver's */
	const struct addr *to;

	if (!p || rs->limit || !alive(rs, &p->ends[!bit]) ||
	    !alive(rs, &p->ends[bit]) ||
	    !addr_equal(&p->ends[!bit].bound, from)) {
		rs->count.refused++;
		return;
	}
	rs->count.forwarded++;
	to = &p->ends[bit].bound;
	world_send(rs->wd, buf, len, &rs->addrs[to->sa.sa_family == AF_INET6],
		   to);
}

void rs_datagram(struct rs *rs, uint8_t *buf, size_t len,
		 const struct addr *from, const struct addr *to)
{
	struct packet_header h;

	if (rs->down || packet_header_get(buf, len, &h))
		return;
	switch (h.type) {
	case PACKET_RELAY_PROBE:
		probed(rs, &h, len, from, to);
		break;
	case PACKET_HOLE_PUNCH:
		punched(rs, &h, buf, len, from, to);
		break;
	case PACKET_DATA:
	case PACKET_TUNNEL_REQUEST:
	case PACKET_TUNNEL_RESPONSE:
		forward(rs, &h, buf, len, from);
		break;
	default:
		rs->count.refused++;
	}
}

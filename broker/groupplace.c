/* SPDX-License-Identifier: MIT */
/*
 * groupplace - this node's place at the relay of a group, kept by Hole Punching
 *
 * Theory of operation
 *
 * The GMS has a relay replicate the packets of an epoch, and gives each member the key
 * of a place there (docs/protocol.md, Relay). We punch: the answer brings a cookie, the
 * next punch takes it back, and the place is ours. Each answer names the places that are
 * bound; the data path sends once to the relay for these, and to all others as ever.
 *
 * At the beginning of an epoch all members bind their places within a moment, so the
 * first answers are soon wrong: punches follow after 0.5, 1, 2, 4 and 8 s, then every
 * GROUPPLACE_EVERY_S. What is not answered is repeated after half a second, by the
 * relay's next address each time; after GROUPPLACE_LOST of these the relay is not used
 * until it answers again.
 */
#include "broker/groupplace.h"

#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/datapath/group.h"
#include "broker/groups.h"
#include "common/datagram.h"
#include "common/log.h"

#define FIRST_MS 500
#define COOKIES	 3
#define ACK_ROOM 440 /* of an answer with a bit for each of 2048 places */

struct groupplace {
	struct worker *w;
	struct dp_group *dp;
	struct loop_timer *timer;
	uint64_t epoch, tag; /* @epoch 0: none */
	uint32_t place;
	struct datagram_keys keys;
	struct addr relays[GROUPWORD_RELAYS_MAX];
	size_t n, at;
	uint64_t sent_ms, acked_ms;
	unsigned int lost;    /* punches in a row that nobody answered */
	unsigned int answers; /* since it is ours */
	unsigned int cookies; /* taken back in a row, in vain */
	uint8_t cookie[16];
	bool has_cookie, bound;
};

static void pack(struct groupplace *p, bool leave, Ntm__HolePunch *msg)
{
	static uint8_t zeros[ACK_ROOM];
	size_t len;

	ntm__hole_punch__init(msg);
	p->sent_ms = account_sent_ms(p->w->account);
	msg->sent_ms = p->sent_ms;
	msg->leave = leave;
	if (p->has_cookie)
		msg->cookie = (ProtobufCBinaryData){16, p->cookie};
	len = ntm__hole_punch__get_packed_size(msg);
	msg->padding.data = zeros;
	msg->padding.len = ACK_ROOM - len - 3;
}

static void punch(struct groupplace *p, bool leave)
{
	struct packet_header h = {
		.type = PACKET_HOLE_PUNCH, .flags = PACKET_PLACE, .id = p->tag};
	uint8_t buf[PACKET_SIGNAL_MAX];
	Ntm__HolePunch msg;
	int n;

	pack(p, leave, &msg);
	ntmc_random(&p->w->env->crypto, &h.counter, sizeof(h.counter));
	h.counter = h.counter >> 16 | (uint64_t)p->place << PACKET_PLACE_SHIFT;
	n = datagram_seal(&h, p->keys.aead, &p->keys.up, &msg.base, buf);
	if (n < 0 || datapath_send(p->w->dp, buf, (size_t)n, &p->relays[p->at]))
		log_debug("group", "a punch of a place could not be sent");
}

static uint64_t pause_of(const struct groupplace *p)
{
	uint64_t ms = FIRST_MS;

	if (p->bound && !p->lost)
		ms <<= p->answers < 5 ? p->answers : 5;
	return ms < GROUPPLACE_EVERY_S * 1000 ? LOOP_MS(ms)
					      : LOOP_S(GROUPPLACE_EVERY_S);
}

static void go(struct groupplace *p)
{
	punch(p, false);
	p->lost++; /* until it is answered */
	loop_timer_arm(p->timer, LOOP_MS(FIRST_MS)
					 << (p->lost < 5 ? p->lost - 1 : 4));
}

static void unused(struct groupplace *p)
{
	if (p->bound)
		log_info("group", "the relay of a group is not used now");
	p->bound = false;
	p->answers = 0;
	dp_group_relay(p->dp, p->epoch, NULL, NULL, 0);
}

static void on_timer(void *arg)
{
	struct groupplace *p = arg;

	if (p->lost >= GROUPPLACE_LOST)
		unused(p);
	if (p->lost)
		p->at = (p->at + 1) % p->n;
	go(p);
}

/* @m: whether it is bound, and who else */
static void take(struct groupplace *p, const Ntm__HolePunchAck *m)
{
	/* at once, unless our source is another one each time */
	bool asks = !m->bound && m->cookie.len && p->cookies < COOKIES;

	p->lost = 0;
	p->acked_ms = m->sent_ms;
	p->has_cookie = m->cookie.len == sizeof(p->cookie);
	if (p->has_cookie)
		memcpy(p->cookie, m->cookie.data, sizeof(p->cookie));
	if (m->bound && !m->code) {
		p->bound = true;
		p->answers++;
		dp_group_relay(p->dp, p->epoch, &p->relays[p->at],
			       m->places.data, m->places.len);
	} else if (p->bound) {
		unused(p);
	}
	p->cookies = asks ? p->cookies + 1 : 0;
	if (asks)
		go(p);
	else
		loop_timer_arm(p->timer, pause_of(p));
}

bool groupplace_datagram(struct groupplace *p, const struct packet_header *h,
			 uint8_t *buf, size_t len)
{
	const Ntm__HolePunchAck *m;
	ProtobufCMessage *msg;

	if (!p->epoch || h->id != p->tag)
		return false;
	if (datagram_open(h, p->keys.aead, &p->keys.down, buf, len,
			  &ntm__hole_punch_ack__descriptor, &msg))
		return true;
	m = (const Ntm__HolePunchAck *)msg;
	/* of the newest punch alone: whoever recorded one answers no other */
	if (m->sent_ms == p->sent_ms && m->sent_ms != p->acked_ms)
		take(p, m);
	datagram_free(msg);
	return true;
}

void groupplace_forget(struct groupplace *p)
{
	loop_timer_disarm(p->timer);
	datagram_keys_clear(&p->keys);
	p->epoch = 0;
	p->n = p->at = 0;
	p->lost = p->answers = p->cookies = 0;
	p->bound = p->has_cookie = false;
	p->acked_ms = 0;
}

int groupplace_set(struct groupplace *p, const struct groupword *word,
		   uint64_t tag)
{
	struct ntmc_key key;
	int r;

	if (p->epoch && p->epoch == word->epoch)
		dp_group_relay(p->dp, p->epoch, NULL, NULL, 0);
	groupplace_forget(p);
	for (size_t i = 0; i < word->n_relays; i++)
		p->n += !addr_from_ip(word->relays[i].ip,
				      word->relays[i].ip_len,
				      word->relays[i].port, &p->relays[p->n]);
	if (!p->n)
		return 0;
	memcpy(key.b, word->key, sizeof(key.b));
	r = datagram_place_keys(&key, tag, word->aead, &p->keys);
	ntmc_key_clear(&key);
	if (r)
		return r;
	p->epoch = word->epoch;
	p->tag = tag;
	p->place = word->index;
	go(p);
	return 0;
}

void groupplace_again(struct groupplace *p)
{
	if (!p || !p->epoch)
		return;
	p->answers = 0;
	go(p);
}

bool groupplace_is_bound(const struct groupplace *p)
{
	return p->bound;
}

int groupplace_new(struct worker *w, struct dp_group *dp,
		   struct groupplace **out)
{
	struct groupplace *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -NTM_ENOMEM;
	p->w = w;
	p->dp = dp;
	r = loop_timer_new(w->loop, on_timer, p, &p->timer);
	if (r) {
		free(p);
		return r;
	}
	*out = p;
	return 0;
}

void groupplace_free(struct groupplace *p)
{
	if (!p)
		return;
	if (p->bound)
		punch(p, true);
	loop_timer_free(p->timer);
	ntmc_wipe(p, sizeof(*p));
	free(p);
}

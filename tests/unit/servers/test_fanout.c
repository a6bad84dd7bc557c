/* SPDX-License-Identifier: MIT */
/* test_fanout - the RS from outside: places of groups, packets to all of them */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/udp.h>

#include <cmocka.h>

#include "relay.h"
#include "servers/rs/groups.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define TAG	UINT64_C(0x0123456789abcdef)
#define HOP	8
#define HEADER	36
#define MEMBERS 4
#define PADDING 360

static struct relay relay;
static struct ntmc_key relay_key, bind_key;

/* a member: a socket, and the key that the GMS gave it */
struct member {
	struct end e; /* fd, rs, keys, cookie */
	uint32_t place;
	uint8_t places[GROUPS_PLACES_MAX / 8];
	size_t n_places;
};
static struct member m[MEMBERS];

static int setup(void **state)
{
	(void)state;
	relay_new(&relay);
	relay_start(&relay);
	ntmc_key_random(NULL, &relay_key);
	ntmc_key_random(NULL, &bind_key);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	relay_free(&relay);
	return 0;
}

static uint32_t direct(uint64_t tag, uint32_t places, uint32_t lifetime_s)
{
	Ntm__GroupDirection d = NTM__GROUP_DIRECTION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	d.tag = tag;
	d.relay_key = (ProtobufCBinaryData){NTMC_KEY_LEN, relay_key.b};
	d.bind_key = (ProtobufCBinaryData){NTMC_KEY_LEN, bind_key.b};
	d.aead = NTMC_AES_256_GCM;
	d.places = places;
	d.account = "alice";
	d.lifetime_s = lifetime_s;
	msg.body_case = NTM__SIGNAL__BODY_GROUP_DIRECTION;
	msg.group_direction = &d;
	return relay_tell(&relay, &msg);
}

/* --- members ------------------------------------------------------------------------- */

static void member_new(struct member *x, uint32_t place, int family)
{
	struct ntmc_key kpunch;

	memset(x, 0, sizeof(*x));
	assert_int_equal(datagram_place_secret(&bind_key, TAG, place, &kpunch),
			 0);
	end_new(&x->e, &relay, family, TAG, &kpunch);
	assert_int_equal(
		datagram_place_keys(&kpunch, TAG, NTMC_AES_256_GCM, &x->e.keys),
		0);
	x->place = place;
}

static void send_punch(struct member *x, bool cookie, bool leave,
		       size_t padding)
{
	static uint8_t zeros[PACKET_SIGNAL_MAX];
	struct packet_header h = {
		.type = PACKET_HOLE_PUNCH, .flags = PACKET_PLACE, .id = TAG};
	Ntm__HolePunch q = NTM__HOLE_PUNCH__INIT;
	struct end *e = &x->e;
	int n;

	q.sent_ms = ++e->sent_ms;
	if (cookie)
		q.cookie = (ProtobufCBinaryData){16, e->cookie};
	q.leave = leave;
	q.padding = (ProtobufCBinaryData){padding, zeros};
	ntmc_random(NULL, &h.counter, sizeof(h.counter));
	h.counter = h.counter >> 16 | (uint64_t)x->place << PACKET_PLACE_SHIFT;
	n = datagram_seal(&h, NTMC_AES_256_GCM, &e->keys.up, &q.base, e->punch);
	assert_true(n > 0);
	e->punch_len = (size_t)n;
	assert_int_equal(send(e->fd, e->punch, e->punch_len, 0), n);
}

static bool take_ack(struct member *x)
{
	struct packet_header h;
	ProtobufCMessage *base;
	Ntm__HolePunchAck *ack;
	struct end *e = &x->e;
	uint8_t buf[2048];
	size_t n = end_receive(e, buf, 2000);

	if (!n)
		return false;
	assert_true(n <= e->punch_len);
	assert_int_equal(packet_header_get(buf, n, &h), 0);
	assert_int_equal(h.type, PACKET_HOLE_PUNCH_ACK);
	assert_int_equal(h.flags, PACKET_PLACE);
	assert_int_equal(datagram_open(&h, NTMC_AES_256_GCM, &e->keys.down, buf,
				       n, &ntm__hole_punch_ack__descriptor,
				       &base),
			 0);
	ack = (Ntm__HolePunchAck *)base;
	assert_int_equal(ack->sent_ms, e->sent_ms);
	e->bound = ack->bound;
	e->code = ack->code;
	e->has_cookie = ack->cookie.len == 16;
	if (e->has_cookie)
		memcpy(e->cookie, ack->cookie.data, 16);
	x->n_places = ack->places.len;
	memcpy(x->places, ack->places.data, ack->places.len);
	datagram_free(base);
	return true;
}

static bool punch(struct member *x, bool cookie)
{
	send_punch(x, cookie, false, PADDING);
	return take_ack(x);
}

static void member_bind(struct member *x)
{
	assert_true(punch(x, false));
	assert_true(x->e.has_cookie);
	assert_true(punch(x, true));
	assert_true(x->e.bound);
}

static void all_bind(void)
{
	assert_int_equal(direct(TAG, MEMBERS, 600), 0);
	for (uint32_t i = 0; i < MEMBERS; i++) {
		member_new(&m[i], i, i == MEMBERS - 1 ? AF_INET6 : AF_INET);
		member_bind(&m[i]);
	}
}

static void all_free(void)
{
	for (uint32_t i = 0; i < MEMBERS; i++)
		end_free(&m[i].e);
}

/* --- packets ---------------------------------------------------------------------------- */

/* docs/groups.md, Packets, by hand */
static size_t packet(uint64_t tag, size_t len, uint8_t fill, uint8_t *buf)
{
	uint8_t text[HEADER + NTMC_TAG_LEN], mac[NTMC_HASH_LEN];
	uint64_t be = htobe64(tag);

	memset(buf, fill, len);
	buf[0] = PACKET_GROUP;
	buf[1] = PACKET_VERSION;
	buf[2] = 0;
	buf[3] = 0x10; /* hop */
	memcpy(buf + 4, &be, sizeof(be));
	memcpy(text, buf, HEADER);
	memcpy(text + HEADER, buf + len - HOP - NTMC_TAG_LEN, NTMC_TAG_LEN);
	ntmc_hmac(relay_key.b, NTMC_KEY_LEN, text, sizeof(text), mac);
	memcpy(buf + len - HOP, mac, HOP);
	return len;
}

static void say(struct member *x, size_t len, uint8_t fill)
{
	uint8_t buf[2048];

	packet(TAG, len, fill, buf);
	assert_int_equal(send(x->e.fd, buf, len, 0), len);
}

static bool gets(struct member *x, size_t len, uint8_t fill)
{
	uint8_t buf[2048], want[2048];

	packet(TAG, len, fill, want);
	return end_receive(&x->e, buf, 2000) == len && !memcmp(buf, want, len);
}

static void nothing(const char *counter, long long n)
{
	for (uint32_t i = 0; i < MEMBERS; i++)
		end_gets_nothing(&m[i].e, counter, n);
}

/* --- tests ------------------------------------------------------------------------------- */

static void a_place_is_bound_by_a_cookie_alone(void **state)
{
	(void)state;
	assert_int_equal(direct(TAG, MEMBERS, 600), 0);
	member_new(&m[0], 2, AF_INET);
	assert_true(punch(&m[0], false));
	assert_false(m[0].e.bound);
	assert_int_equal(m[0].n_places, 1);
	assert_int_equal(m[0].places[0], 0);
	assert_true(punch(&m[0], true));
	assert_true(m[0].e.bound);
	assert_int_equal(m[0].places[0], 1 << 2);
	/* from elsewhere, with the cookie of the other address */
	end_move(&m[0].e);
	assert_true(punch(&m[0], true));
	assert_false(m[0].e.bound);
	assert_true(punch(&m[0], true));
	assert_true(m[0].e.bound);
	assert_int_equal(relay_number(&relay, "group_members"), 1);
	/* and away */
	send_punch(&m[0], true, true, PADDING);
	assert_true(take_ack(&m[0]));
	assert_false(m[0].e.bound || m[0].e.has_cookie);
	assert_int_equal(m[0].places[0], 0);
	end_free(&m[0].e);
}

static void all_others_get_it(void **state)
{
	(void)state;
	all_bind();
	assert_true(punch(&m[0], true));
	assert_int_equal(m[0].places[0], 0xf);
	for (uint32_t from = 0; from < MEMBERS; from++) {
		say(&m[from], 500, (uint8_t)(1 + from));
		for (uint32_t i = 0; i < MEMBERS; i++)
			if (i != from)
				assert_true(
					gets(&m[i], 500, (uint8_t)(1 + from)));
	}
	nothing("group_copies", MEMBERS * (MEMBERS - 1));
	assert_int_equal(relay_number(&relay, "group_packets"), MEMBERS);
	all_free();
}

/* one send of many, the fifth of which nobody with K_relay has made */
static void a_burst_stays_whole(void **state)
{
	enum { N = 12, LEN = 300, BAD = 4 };
	static uint8_t burst[N * LEN];
	int size = LEN;

	(void)state;
	all_bind();
	for (int i = 0; i < N; i++)
		packet(TAG, LEN, (uint8_t)(1 + i), burst + i * LEN);
	burst[BAD * LEN + 30] ^= 1;
	assert_int_equal(setsockopt(m[1].e.fd, SOL_UDP, UDP_SEGMENT, &size,
				    sizeof(size)),
			 0);
	assert_int_equal(send(m[1].e.fd, burst, sizeof(burst), 0),
			 sizeof(burst));
	for (int i = 0; i < N; i++)
		for (uint32_t k = 0; i != BAD && k < MEMBERS; k++)
			if (k != 1)
				assert_true(gets(&m[k], LEN, (uint8_t)(1 + i)));
	nothing("group_packets", N - 1);
	assert_int_equal(relay_number(&relay, "bad_hop"), 1);
	all_free();
}

static void outsiders_get_nothing_replicated(void **state)
{
	struct member stranger;
	uint8_t buf[2048];

	(void)state;
	all_bind();
	/* no hop, one bit of hop, header or tag wrong */
	for (unsigned int i = 0; i < 4; i++) {
		size_t len = packet(TAG, 400, 7, buf);

		if (i == 0)
			buf[3] = 0;
		else
			buf[i == 1 ? len - 1 : i == 2 ? 30 : len - 20] ^= 4;
		assert_int_equal(send(m[0].e.fd, buf, len, 0), len);
	}
	nothing("bad_hop", 4);
	/* K_relay, and no place */
	member_new(&stranger, 0, AF_INET);
	say(&stranger, 400, 8);
	nothing("not_member", 1);
	assert_int_equal(end_receive(&stranger.e, buf, 0), 0);
	/* an epoch that nobody directed here; too short for a packet */
	packet(TAG + 1, 400, 9, buf);
	assert_int_equal(send(m[0].e.fd, buf, 400, 0), 400);
	nothing("unknown_group", 1);
	packet(TAG, 59, 9, buf);
	assert_int_equal(send(m[0].e.fd, buf, 59, 0), 59);
	nothing("bad_hop", 5);
	assert_int_equal(relay_number(&relay, "group_copies"), 0);
	end_free(&stranger.e);
	all_free();
}

/* a member's own key opens no other place, and none but those that there are */
static void nobody_takes_a_place_that_is_not_his(void **state)
{
	uint8_t buf[2048];

	(void)state;
	all_bind();
	m[0].place = 1;
	send_punch(&m[0], true, false, PADDING);
	end_gets_nothing(&m[0].e, "bad_punch", 1);
	m[0].place = MEMBERS;
	send_punch(&m[0], true, false, PADDING);
	end_gets_nothing(&m[0].e, "unknown_group", 1);
	m[0].place = 0;
	/* one that was recorded */
	assert_true(punch(&m[0], true));
	assert_int_equal(send(m[0].e.fd, m[0].e.punch, m[0].e.punch_len, 0),
			 m[0].e.punch_len);
	end_gets_nothing(&m[0].e, "old_punch", 1);
	/* an answer is never longer than what asked for it */
	send_punch(&m[0], true, false, 0);
	end_gets_nothing(&m[0].e, "short_punch", 1);
	say(&m[0], 400, 3);
	assert_true(gets(&m[1], 400, 3));
	assert_int_equal(end_receive(&m[0].e, buf, 0), 0);
	all_free();
}

static void directed_again(void **state)
{
	struct ntmc_key was = bind_key;

	(void)state;
	all_bind();
	assert_int_equal(direct(TAG, MEMBERS, 600), 0);
	assert_int_equal(relay_number(&relay, "group_members"), MEMBERS);
	assert_int_equal(relay_number(&relay, "groups"), 1);
	/* the GMS was restarted: other keys, all bind again */
	ntmc_key_random(NULL, &bind_key);
	assert_int_equal(direct(TAG, MEMBERS, 600), 0);
	assert_int_equal(relay_number(&relay, "group_members"), 0);
	assert_int_equal(relay_number(&relay, "groups"), 1);
	send_punch(&m[0], true, false, PADDING);
	end_gets_nothing(&m[0].e, "bad_punch", 1);
	bind_key = was;
	assert_int_equal(direct(TAG, MEMBERS + 1, 600), 0);
	member_bind(&m[0]);
	member_bind(&m[1]);
	say(&m[0], 100, 1);
	assert_true(gets(&m[1], 100, 1));
	all_free();
}

static void an_epoch_ends(void **state)
{
	(void)state;
	all_bind();
	assert_int_equal(direct(TAG, MEMBERS, 0), 0);
	say(&m[0], 400, 3);
	nothing("unknown_group", 1);
	assert_int_equal(direct(TAG, MEMBERS, 0), 0); /* twice is fine */
	/* by its lifetime */
	assert_int_equal(direct(TAG, MEMBERS, 20), 0);
	assert_int_equal(relay_number(&relay, "groups"), 1);
	relay_later(&relay, 21);
	assert_int_equal(relay_number(&relay, "groups"), 0);
	assert_int_equal(relay_number(&relay, "accounts"), 1);
	all_free();
}

static void who_says_nothing_is_forgotten(void **state)
{
	(void)state;
	all_bind();
	relay_later(&relay, 30);
	/* an old cookie does not keep the place; the answer brings another one */
	assert_true(punch(&m[0], true));
	assert_true(punch(&m[0], true));
	assert_true(m[0].e.bound);
	relay_later(&relay, 40);
	assert_int_equal(relay_number(&relay, "group_members"), 1);
	assert_true(punch(&m[0], true));
	assert_int_equal(m[0].places[0], 1);
	all_free();
}

static void a_withdrawn_account_ends_it(void **state)
{
	Ntm__RelayWithdraw w = NTM__RELAY_WITHDRAW__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	char *names[] = {"bob", "alice"};

	(void)state;
	all_bind();
	w.n_accounts = 1;
	w.accounts = names;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_WITHDRAW;
	msg.relay_withdraw = &w;
	assert_int_equal(relay_tell(&relay, &msg), 0);
	assert_int_equal(relay_number(&relay, "groups"), 1);
	w.n_accounts = 2;
	assert_int_equal(relay_tell(&relay, &msg), 0);
	assert_int_equal(relay_number(&relay, "groups"), 0);
	say(&m[0], 400, 3);
	nothing("unknown_group", 1);
	all_free();
}

/* the burst is 128 KiB: so many copies go, whoever they are for */
static void copies_are_charged(void **state)
{
	enum { N = 100, LEN = 1000 };

	(void)state;
	relay.conf.rs_account_rate = 1;
	rs_reload(relay.rs, &relay.conf);
	all_bind();
	for (int i = 0; i < N; i++)
		say(&m[0], LEN, 5);
	assert_true(relay_counts(&relay, "group_packets", N));
	assert_true(relay_number(&relay, "group_copies") <= 132);
	assert_true(relay_number(&relay, "group_copies") >= 125);
	assert_int_equal(relay_number(&relay, "group_copies") +
				 relay_number(&relay, "over_rate"),
			 N * (MEMBERS - 1));
	all_free();
}

static void limits(void **state)
{
	(void)state;
	assert_int_equal(direct(TAG, 0, 600), NTM_EINVAL);
	for (uint32_t i = 0; i < relay.conf.rs_groups; i++)
		assert_int_equal(direct(TAG + i, GROUPS_PLACES_MAX, 600), 0);
	assert_int_equal(direct(TAG - 1, 2, 600), NTM_ELIMIT);
	assert_int_equal(direct(TAG, GROUPS_PLACES_MAX, 600), 0);
	assert_int_equal(direct(TAG + 1, 2, 0), 0);
	assert_int_equal(direct(TAG - 1, 2, 600), 0);
	assert_int_equal(relay_number(&relay, "groups"), relay.conf.rs_groups);
}

static int setup_small(void **state)
{
	(void)state;
	relay_new(&relay);
	relay.conf.rs_groups = 5;
	relay_start(&relay);
	return 0;
}

static void draining_takes_no_new_one(void **state)
{
	(void)state;
	assert_int_equal(direct(TAG, 2, 600), 0);
	json_decref(rs_admin(relay.rs, "drain", NULL));
	assert_int_equal(direct(TAG, 2, 600), 0);
	assert_int_equal(direct(TAG + 1, 2, 600), NTM_EAGAIN);
	json_decref(rs_admin(relay.rs, "undrain", NULL));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_place_is_bound_by_a_cookie_alone),
		T(all_others_get_it),
		T(a_burst_stays_whole),
		T(outsiders_get_nothing_replicated),
		T(nobody_takes_a_place_that_is_not_his),
		T(directed_again),
		T(an_epoch_ends),
		T(who_says_nothing_is_forgotten),
		T(a_withdrawn_account_ends_it),
		T(copies_are_charged),
		T(draining_takes_no_new_one),
		cmocka_unit_test_setup_teardown(limits, setup_small, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* test_grouppacket - sealed once, opened by members of the moment, each packet once */
#include "groups.h"

#include <stdlib.h>
#include <string.h>

#define TEXT "what is said to all"

/* 0, 1, 2 in the group; a receiver of person 1, and whoever sends */
struct stage {
	struct circle c;
	struct group_receiver *rx;
};

static void set_auth(struct circle *c, enum group_auth auth)
{
	struct group_policy p = group_policy_default;
	struct group_change change = {.kind = GROUP_POLICY, .policy = &p};

	p.auth = auth;
	circle_make(c, 0, &change);
	circle_spread(c);
}

static void begin(struct stage *s)
{
	assert_int_equal(
		group_receiver_begin(s->rx, &s->c.p[1].keys, s->c.p[1].g), 0);
}

static void stage_open(struct stage *s, enum group_auth auth)
{
	circle_open(&s->c);
	circle_create(&s->c);
	circle_add(&s->c, 0, 1, GROUP_MAY_REMOVE);
	circle_add(&s->c, 0, 2, 0);
	set_auth(&s->c, auth);
	assert_int_equal(group_receiver_new(&s->c.env, &s->rx), 0);
	begin(s);
}

static void stage_close(struct stage *s)
{
	group_receiver_free(s->rx);
	circle_close(&s->c);
}

static struct group_sender *sender(struct stage *s, unsigned int who)
{
	struct group_sender *tx = NULL;
	struct person *p = &s->c.p[who];

	assert_int_equal(group_sender_new(&s->c.env, &p->keys, &p->id, p->index,
					  group_policy(p->g)->auth, &tx),
			 0);
	return tx;
}

static size_t say(struct group_sender *tx, unsigned int flags, uint8_t *buf)
{
	size_t len = 0;

	memcpy(buf + GROUP_PACKET_HEADER, TEXT, sizeof(TEXT));
	assert_int_equal(group_sender_seal(tx, flags, buf, sizeof(TEXT), &len),
			 0);
	assert_true(len <= sizeof(TEXT) + GROUP_PACKET_MORE);
	return len;
}

static int hear(struct stage *s, const uint8_t *packet, size_t len)
{
	uint8_t buf[2048];
	struct group_opened o = {0};
	int r;

	memcpy(buf, packet, len);
	r = group_receiver_open(s->rx, buf, len, &o);
	if (!r && !(o.flags & GROUP_PACKET_BATCH)) {
		assert_int_equal(o.len, sizeof(TEXT));
		assert_memory_equal(o.data, TEXT, sizeof(TEXT));
	}
	return r;
}

static void test_all_ways(void **state)
{
	static const unsigned int flags[] = {
		0, GROUP_PACKET_HOP, GROUP_PACKET_CONTROL,
		GROUP_PACKET_CONTROL | GROUP_PACKET_HOP};
	uint8_t b[512], bad[512], tag[GROUP_TAG_LEN] = {0};
	enum group_auth auth;
	struct group_sender *tx;
	struct ntmc_key key;
	struct stage s;
	size_t len, i, j;

	(void)state;
	for (auth = GROUP_AUTH_MAC; auth <= GROUP_AUTH_SIGN; auth++) {
		stage_open(&s, auth);
		tx = sender(&s, 2);
		for (i = 0; i < ARRAY_LEN(flags); i++) {
			len = say(tx, flags[i], b);
			/* none of it, all but one byte, one byte wrong */
			for (j = 0; j < len; j++) {
				assert_int_not_equal(hear(&s, b, j), 0);
				memcpy(bad, b, len);
				bad[j] ^= 1;
				if (!(flags[i] & GROUP_PACKET_HOP) ||
				    j < len - GROUP_HOP_LEN)
					assert_int_not_equal(hear(&s, bad, len),
							     0);
			}
			assert_int_equal(hear(&s, b, len), 0);
			assert_int_equal(hear(&s, b, len), -NTM_EEXISTS);
		}
		/* the relay has no more than RN2 gives */
		group_relay_derive(&s.c.rn2, s.c.id, group_epoch(s.c.log), &key,
				   tag);
		len = say(tx, GROUP_PACKET_HOP, b);
		assert_int_equal(group_hop_check(&key, tag, b, len), 0);
		for (j = 0; j < len; j++) {
			memcpy(bad, b, len);
			bad[j] ^= 0x10;
			if (j < GROUP_PACKET_HEADER ||
			    j >= len - GROUP_HOP_LEN - NTMC_TAG_LEN)
				assert_int_not_equal(
					group_hop_check(&key, tag, bad, len),
					0);
		}
		len = say(tx, 0, b);
		assert_int_equal(group_hop_check(&key, tag, b, len),
				 -NTM_EDECODE);
		group_sender_free(tx);
		stage_close(&s);
	}
}

/* W8: a sender that begins again, from whatever copy, has another key */
static void test_clone(void **state)
{
	uint8_t a[256], b[256];
	struct group_sender *one, *two;
	struct stage s;
	size_t len, n;

	(void)state;
	stage_open(&s, GROUP_AUTH_MAC);
	/* all that could be in a backup is the same: keys, index, clock */
	one = sender(&s, 2);
	two = sender(&s, 2);
	len = say(one, 0, a);
	n = say(two, 0, b);
	assert_int_equal(n, len);
	/* the same counter, the same text: not one byte of ciphertext shows it */
	assert_memory_equal(a, b, 24);
	assert_memory_not_equal(a + 24, b + 24, GROUP_SALT_LEN);
	assert_memory_not_equal(a + GROUP_PACKET_HEADER,
				b + GROUP_PACKET_HEADER, sizeof(TEXT));
	assert_int_equal(hear(&s, a, len), 0);
	assert_int_equal(hear(&s, b, n), 0);
	/* after a minute there is another salt, of a later time; the counter is 0 */
	s.c.script.now += 60;
	len = say(one, 0, b);
	assert_memory_not_equal(a + 24, b + 24, GROUP_SALT_LEN);
	assert_memory_equal(a + 12, b + 12, 8);
	assert_int_equal(hear(&s, b, len), 0);
	/* a clock that is put back makes none older than that */
	memcpy(a, b, sizeof(a));
	s.c.script.now -= 200;
	len = say(one, 0, b);
	assert_memory_equal(a + 24, b + 24, 4);
	assert_memory_not_equal(a + 28, b + 28, 8);
	assert_int_equal(hear(&s, b, len), 0);
	group_sender_free(one);
	group_sender_free(two);
	stage_close(&s);
}

/* salts come and go; what was heard is never heard again */
static void test_replay(void **state)
{
	enum { N = 12 };
	uint8_t b[N][256];
	struct group_sender *tx[N];
	struct stage s, fresh;
	size_t len = 0;
	int i;

	(void)state;
	stage_open(&s, GROUP_AUTH_MAC);
	for (i = 0; i < N; i++) {
		tx[i] = sender(&s, 2);
		len = say(tx[i], 0, b[i]);
		assert_int_equal(hear(&s, b[i], len), 0);
		s.c.script.now += 7;
	}
	for (i = 0; i < N; i++)
		assert_int_not_equal(hear(&s, b[i], len), 0);
	/* the last four are known, those before are too old */
	assert_int_equal(hear(&s, b[N - 1], len), -NTM_EEXISTS);
	assert_int_equal(hear(&s, b[0], len), -NTM_ECLOCK);
	/* who has just started takes nothing that is older than six minutes */
	fresh = s;
	assert_int_equal(group_receiver_new(&s.c.env, &fresh.rx), 0);
	begin(&fresh);
	s.c.script.now = FIXTURE_NOW + 361;
	assert_int_equal(hear(&fresh, b[0], len), -NTM_ECLOCK);
	assert_int_equal(hear(&fresh, b[1], len), 0);
	group_receiver_free(fresh.rx);
	for (i = 0; i < N; i++)
		group_sender_free(tx[i]);
	stage_close(&s);
}

/* W16: late packets of members open for keep_s, those of who has gone do not */
static void test_epochs(void **state)
{
	uint8_t a[3][256], b[256], c[256], d[256];
	struct group_sender *gone, *stays, *other;
	struct stage s;
	size_t len;
	int i;

	(void)state;
	stage_open(&s, GROUP_AUTH_SIGN);
	gone = sender(&s, 2);
	stays = sender(&s, 0);
	for (i = 0; i < 3; i++)
		len = say(gone, 0, a[i]);
	say(stays, 0, b);
	say(stays, 0, c);
	say(stays, 0, d);
	assert_int_equal(hear(&s, a[0], len), 0);
	circle_remove(&s.c, 0, 2);
	begin(&s);
	assert_int_equal(group_receiver_begin(s.rx, &s.c.p[1].keys, s.c.p[1].g),
			 -NTM_ESTATE);
	assert_int_equal(hear(&s, a[1], len), -NTM_ENONAME);
	assert_int_equal(hear(&s, b, len), 0);
	assert_int_equal(hear(&s, b, len), -NTM_EEXISTS);
	/* the one who has gone seals under what it knows; nobody has its tag */
	other = sender(&s, 0);
	say(other, 0, b);
	assert_int_equal(hear(&s, b, len), 0);
	assert_int_equal(group_receiver_sweep(s.rx), 30);
	s.c.script.now += 29;
	assert_int_equal(hear(&s, c, len), 0);
	s.c.script.now++;
	assert_int_equal(hear(&s, d, len), -NTM_ENOTFOUND);
	assert_int_equal(group_receiver_sweep(s.rx), 0);
	assert_int_equal(group_receiver_stats(s.rx)->strangers, 1);
	group_sender_free(gone);
	group_sender_free(stays);
	group_sender_free(other);
	stage_close(&s);
}

/* several, one behind the other: what is on its way opens, but for who has gone; the
 * fifth takes the place of the first */
/* who was removed has the key of the epoch before: it speaks as another for no longer than
 * what is on its way takes, and not at all where packets are signed */
static void test_gone_as_another(void **state)
{
	enum group_auth auth;
	struct group_sender *tx;
	struct stage s;
	struct person *p;
	uint8_t b[256];
	size_t len;

	(void)state;
	for (auth = GROUP_AUTH_MAC; auth <= GROUP_AUTH_BATCH; auth++) {
		bool sign = auth == GROUP_AUTH_SIGN;

		stage_open(&s, auth);
		p = &s.c.p[2];
		assert_int_equal(group_sender_new(&s.c.env, &p->keys, &p->id,
						  s.c.p[0].index, auth, &tx),
				 0);
		circle_remove(&s.c, 0, 2);
		begin(&s);
		len = say(tx, 0, b);
		assert_int_equal(hear(&s, b, len), sign ? -NTM_EAUTH : 0);
		assert_int_equal(group_receiver_sweep(s.rx), sign ? 30 : 1);
		s.c.script.now++;
		len = say(tx, 0, b);
		assert_int_equal(hear(&s, b, len),
				 sign ? -NTM_EAUTH : -NTM_ENOTFOUND);
		group_sender_free(tx);
		stage_close(&s);
	}
}

static void test_many_epochs(void **state)
{
	struct group_sender *tx[GROUP_EPOCHS_MAX + 1], *gone;
	uint8_t b[GROUP_EPOCHS_MAX + 1][256], g[256];
	struct stage s;
	size_t len;
	int i;

	(void)state;
	stage_open(&s, GROUP_AUTH_MAC);
	gone = sender(&s, 2);
	len = say(gone, 0, g);
	for (i = 0; i <= GROUP_EPOCHS_MAX; i++) {
		tx[i] = sender(&s, 0);
		say(tx[i], 0, b[i]);
		if (i == GROUP_EPOCHS_MAX)
			break;
		if (i == 1)
			circle_remove(&s.c, 0, 2);
		else
			circle_timer(&s.c);
		begin(&s);
	}
	assert_int_equal(hear(&s, b[0], len), -NTM_ENOTFOUND);
	for (i = 1; i <= GROUP_EPOCHS_MAX; i++)
		assert_int_equal(hear(&s, b[i], len), 0);
	assert_int_equal(hear(&s, g, len), -NTM_ENOTFOUND);
	len = say(gone, 0, g); /* which is wiped by now */
	assert_int_equal(hear(&s, g, len), -NTM_ENOTFOUND);
	s.c.script.now += 30;
	assert_int_equal(group_receiver_sweep(s.rx), 0);
	for (i = 0; i <= GROUP_EPOCHS_MAX; i++)
		group_sender_free(tx[i]);
	group_sender_free(gone);
	stage_close(&s);
}

/* W14: a member that speaks as another one */
static void test_impostor(void **state)
{
	uint8_t b[512];
	struct group_sender *tx;
	struct stage s;
	struct person *p;
	enum group_auth auth;
	size_t len = 0;
	int want[] = {0, -NTM_EAUTH};

	(void)state;
	for (auth = GROUP_AUTH_MAC; auth <= GROUP_AUTH_SIGN; auth++) {
		stage_open(&s, auth);
		p = &s.c.p[2];
		assert_int_equal(group_sender_new(&s.c.env, &p->keys, &p->id,
						  s.c.p[0].index, auth, &tx),
				 0);
		len = say(tx, 0, b);
		assert_int_equal(hear(&s, b, len), want[auth]);
		/* control packets are signed whatever the policy says */
		len = say(tx, GROUP_PACKET_CONTROL, b);
		assert_int_equal(hear(&s, b, len), -NTM_EAUTH);
		group_sender_free(tx);
		/* who leaves the signature out where it must be */
		assert_int_equal(group_sender_new(&s.c.env, &p->keys, &p->id,
						  p->index, GROUP_AUTH_MAC,
						  &tx),
				 0);
		len = say(tx, 0, b);
		assert_int_equal(hear(&s, b, len), want[auth]);
		group_sender_free(tx);
		stage_close(&s);
	}
}

static void test_batch(void **state)
{
	uint8_t b[GROUP_BATCH_MAX][256], list[GROUP_BATCH_LEN], more[256];
	struct group_sender *tx, *liar;
	const struct group_receiver_stats *st;
	struct stage s;
	size_t len = 0, n;
	unsigned int i;

	(void)state;
	stage_open(&s, GROUP_AUTH_BATCH);
	st = group_receiver_stats(s.rx);
	tx = sender(&s, 2);
	assert_int_equal(group_sender_batch(tx, 0, list, &n), -NTM_ESTATE);
	for (i = 0; i < GROUP_BATCH_MAX; i++)
		len = say(tx, 0, b[i]);
	assert_int_equal(group_sender_pending(tx), GROUP_BATCH_MAX);
	assert_int_equal(group_sender_seal(tx, 0, more, 5, &n), -NTM_ESTATE);
	assert_int_equal(group_sender_batch(tx, GROUP_PACKET_HOP, list, &n), 0);
	assert_int_equal(group_sender_pending(tx), 0);
	/* one is lost; the rest comes in another order */
	for (i = GROUP_BATCH_MAX - 1; i; i--)
		assert_int_equal(hear(&s, b[i], len), 0);
	assert_int_equal(hear(&s, list, n), 0);
	assert_int_equal(hear(&s, list, n), -NTM_EEXISTS);
	assert_int_equal(st->signed_ok, GROUP_BATCH_MAX - 1);
	assert_int_equal(st->signed_bad, 0);
	/* person 0, who has the group's key, writes one in the name of 2: nothing of
	 * what 2 signs ever speaks for it */
	assert_int_equal(group_sender_new(&s.c.env, &s.c.p[0].keys,
					  &s.c.p[0].id, s.c.p[2].index,
					  GROUP_AUTH_BATCH, &liar),
			 0);
	len = say(liar, 0, more);
	assert_int_equal(hear(&s, more, len), 0);
	assert_int_equal(group_sender_batch(liar, 0, list, &n), 0);
	assert_int_equal(hear(&s, list, n), -NTM_EAUTH);
	assert_int_equal(st->signed_bad, 1);
	group_receiver_free(s.rx);
	s.rx = NULL;
	group_sender_free(tx);
	group_sender_free(liar);
	stage_close(&s);
}

/* the ring of who waits is bounded, and says what it dropped */
static void test_unsigned(void **state)
{
	uint8_t b[256], list[GROUP_BATCH_LEN];
	struct group_sender *tx;
	struct stage s;
	size_t len, n;
	int i;

	(void)state;
	stage_open(&s, GROUP_AUTH_BATCH);
	tx = sender(&s, 2);
	for (i = 0; i < 96; i++) {
		if (group_sender_pending(tx) == GROUP_BATCH_MAX)
			assert_int_equal(group_sender_batch(tx, 0, list, &n),
					 0); /* and it is lost */
		len = say(tx, 0, b);
		assert_int_equal(hear(&s, b, len), 0);
	}
	assert_int_equal(group_receiver_stats(s.rx)->unsigned_, 32);
	group_sender_free(tx);
	stage_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_ways),
		cmocka_unit_test(test_clone),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_epochs),
		cmocka_unit_test(test_many_epochs),
		cmocka_unit_test(test_gone_as_another),
		cmocka_unit_test(test_impostor),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_unsigned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

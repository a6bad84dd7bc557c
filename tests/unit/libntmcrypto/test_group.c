/* SPDX-License-Identifier: MIT */
/* test_group - the log: who may say what, and everything that must not apply */
#include "groups.h"

#include <stdio.h>
#include <string.h>

static enum group_why apply(struct group *g, const uint8_t *b, size_t len)
{
	uint8_t before[NTMC_HASH_LEN];
	enum group_why why;
	int r;

	memcpy(before, group_hash(g), sizeof(before));
	r = group_apply(g, b, len, &why);
	assert_int_equal(r, group_why_code(why));
	if (r)
		assert_memory_equal(before, group_hash(g), sizeof(before));
	return why;
}

/* 0 founder, 1 may invite and remove, 2 may nothing; epoch 4 */
static void three(struct circle *c)
{
	circle_open(c);
	circle_create(c);
	circle_add(c, 0, 1, GROUP_MAY_INVITE | GROUP_MAY_REMOVE);
	circle_add(c, 0, 2, 0);
}

static void test_life(void **state)
{
	const uint8_t *key;
	struct circle c;

	(void)state;
	three(&c);
	assert_int_equal(group_epoch(c.log), 3);
	assert_int_equal(group_generation(c.log), 1);
	assert_int_equal(group_size(c.log), 3);
	assert_string_equal(group_server(c.log, &key), "gms.example.org");
	assert_memory_equal(key, c.gms.ed_pub, sizeof(c.gms.ed_pub));
	circle_timer(&c);
	assert_int_equal(group_generation(c.log), 1);
	circle_refresh(&c, 2);
	assert_int_equal(group_generation(c.log), 2);
	circle_remove(&c, 1, 2);
	assert_int_equal(group_generation(c.log), 3);
	assert_null(group_find(c.log, 2));
	assert_null(group_find_key(c.log, c.p[2].id.ed_pub));
	assert_int_equal(group_find(c.log, 1)->rights,
			 GROUP_MAY_INVITE | GROUP_MAY_REMOVE);
	/* an index is never given twice */
	circle_add(&c, 0, 2, 0);
	assert_int_equal(c.p[2].index, 3);
	assert_int_equal(group_epoch(c.log), 7);
	assert_memory_equal(group_hash(c.log), group_hash(c.p[0].g),
			    NTMC_HASH_LEN);
	circle_close(&c);
}

static void test_order(void **state)
{
	static uint8_t first[GROUP_ENTRY_MAX], second[GROUP_ENTRY_MAX];
	struct group_change refresh = {.kind = GROUP_REFRESH};
	size_t n1, n2;
	struct circle c;

	(void)state;
	three(&c);
	/* two members at once: one is first, the other names another past then */
	circle_make(&c, 1, &refresh);
	memcpy(first, c.entry, c.len);
	n1 = c.len;
	circle_make(&c, 2, &refresh);
	memcpy(second, c.entry, c.len);
	n2 = c.len;
	assert_int_equal(apply(c.log, first, n1), GROUP_FINE);
	assert_int_equal(apply(c.log, first, n1), GROUP_SEEN);
	assert_int_equal(apply(c.log, second, n2), GROUP_FORK);
	/* who was told the other one sees a fork in what follows, too */
	assert_int_equal(apply(c.p[0].g, second, n2), GROUP_FINE);
	assert_int_equal(group_make(&c.env, c.log, &c.p[1].id, &refresh,
				    c.entry, &c.len, NULL),
			 0);
	assert_int_equal(apply(c.p[0].g, c.entry, c.len), GROUP_FORK);
	/* one is missing between */
	assert_int_equal(apply(c.p[1].g, c.entry, c.len), GROUP_EARLY);
	assert_int_equal(apply(c.p[1].g, first, n1), GROUP_FINE);
	assert_int_equal(apply(c.p[1].g, c.entry, c.len), GROUP_FINE);
	/* replayed later */
	assert_int_equal(apply(c.p[1].g, first, n1), GROUP_OLD);
	circle_close(&c);
}

static void test_rights(void **state)
{
	struct group_joiner j = {.token = {9},
				 .fqdn = "new.person.example.org"};
	struct group_change add = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	uint32_t gone = 0;
	struct group_change away = {.kind = GROUP_REMOVE,
				    .reason = GROUP_REMOVED,
				    .gone = &gone,
				    .n_gone = 1};
	struct group_policy p = group_policy_default;
	struct group_change policy = {.kind = GROUP_POLICY, .policy = &p};
	struct group_change rights = {.kind = GROUP_RIGHTS, .index = 0};
	struct group_change move = {.kind = GROUP_MOVE,
				    .server = "gms.example.net"};
	struct circle c;

	(void)state;
	three(&c);
	memcpy(j.ed_pub, c.p[5].id.ed_pub, sizeof(j.ed_pub));
	assert_int_equal(circle_try(&c, 2, &add), GROUP_RIGHT);
	assert_int_equal(circle_try(&c, 5, &add), GROUP_STRANGER);
	j.rights = GROUP_ADMIN;
	assert_int_equal(circle_try(&c, 1, &add), GROUP_RIGHT);
	/* whether invitees may invite is the founder's choice */
	j.rights = GROUP_MAY_INVITE;
	assert_int_equal(circle_try(&c, 1, &add), GROUP_RIGHT);
	assert_int_equal(circle_try(&c, 0, &add), GROUP_FINE);
	assert_int_equal(circle_try(&c, 1, &policy), GROUP_RIGHT);
	p.delegate = true;
	circle_make(&c, 0, &policy);
	circle_spread(&c);
	assert_int_equal(circle_try(&c, 1, &add), GROUP_FINE);

	assert_int_equal(circle_try(&c, 2, &away), GROUP_RIGHT);
	assert_int_equal(circle_try(&c, 1, &away), GROUP_RIGHT); /* an ADMIN */
	assert_int_equal(circle_try(&c, 0, &away), GROUP_CONTENT); /* himself */
	gone = 7;
	assert_int_equal(circle_try(&c, 0, &away), GROUP_CONTENT);
	/* somebody must be left who may */
	assert_int_equal(circle_try(&c, 0, &rights), GROUP_CONTENT);
	rights.index = 2;
	rights.rights = GROUP_ALL_RIGHTS;
	assert_int_equal(circle_try(&c, 1, &rights), GROUP_RIGHT);
	circle_make(&c, 0, &rights);
	circle_spread(&c);
	rights.index = 0;
	rights.rights = 0;
	circle_make(&c, 0, &rights);
	circle_spread(&c);
	move.server_key = c.p[6].id.ed_pub;
	assert_int_equal(circle_try(&c, 0, &move), GROUP_RIGHT);
	circle_make(&c, 2, &move);
	assert_int_equal(apply(c.log, c.entry, c.len), GROUP_FINE);
	assert_int_equal(apply(c.p[0].g, c.entry, c.len), GROUP_FINE);
	/* the GMS of before speaks no more */
	assert_int_equal(
		circle_try(&c, 0, &(struct group_change){.kind = GROUP_RENEW}),
		GROUP_FORGED);
	circle_close(&c);
}

static void test_content(void **state)
{
	struct group_joiner j[2] = {{.token = {9}, .fqdn = "a.example.org"},
				    {.token = {8}, .fqdn = "b.example.org"}};
	struct group_change add = {
		.kind = GROUP_ADD, .joiners = j, .n_joiners = 2};
	uint32_t gone[2] = {2, 2};
	struct group_change away = {.kind = GROUP_REMOVE,
				    .reason = GROUP_EVICTED,
				    .gone = gone,
				    .n_gone = 2};
	static const char *const bad[] = {"", "A.example.org", "a\n.b", "a..b",
					  "p\xd0\xb0ul.example.org"};
	struct group_policy p = group_policy_default;
	struct group_change policy = {.kind = GROUP_POLICY, .policy = &p};
	struct circle c;
	size_t i;

	(void)state;
	three(&c);
	memcpy(j[0].ed_pub, c.p[5].id.ed_pub, NTMC_KEY_LEN);
	memcpy(j[1].ed_pub, c.p[6].id.ed_pub, NTMC_KEY_LEN);
	assert_int_equal(circle_try(&c, 0, &add), GROUP_FINE);
	/* twice in one entry: key, token, name */
	memcpy(j[1].ed_pub, c.p[5].id.ed_pub, NTMC_KEY_LEN);
	assert_int_equal(circle_try(&c, 0, &add), GROUP_CONTENT);
	memcpy(j[1].ed_pub, c.p[6].id.ed_pub, NTMC_KEY_LEN);
	j[1].token[0] = 9;
	assert_int_equal(circle_try(&c, 0, &add), GROUP_CONTENT);
	j[1].token[0] = 8;
	j[1].fqdn = j[0].fqdn;
	assert_int_equal(circle_try(&c, 0, &add), GROUP_CONTENT);
	/* there already */
	j[1].fqdn = c.p[1].fqdn;
	assert_int_equal(circle_try(&c, 0, &add), GROUP_CONTENT);
	j[1].fqdn = "b.example.org";
	memcpy(j[1].ed_pub, c.p[1].id.ed_pub, NTMC_KEY_LEN);
	assert_int_equal(circle_try(&c, 0, &add), GROUP_CONTENT);
	memset(j[1].ed_pub, 0, NTMC_KEY_LEN); /* a key of small order */
	assert_int_equal(circle_try(&c, 0, &add), GROUP_CONTENT);
	add.n_joiners = 1;
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		j[0].fqdn = bad[i];
		assert_int_equal(circle_try(&c, 0, &add), GROUP_CONTENT);
	}
	assert_int_equal(circle_try(&c, 0, &away), GROUP_CONTENT);
	gone[0] = 1;
	circle_make(&c, 0, &away);
	p.renew_s = 59;
	assert_int_equal(circle_try(&c, 0, &policy), GROUP_CONTENT);
	p = group_policy_default;
	p.keep_s = 31;
	assert_int_equal(circle_try(&c, 0, &policy), GROUP_CONTENT);
	p = group_policy_default;
	p.max_age_s = p.renew_s - 1;
	assert_int_equal(circle_try(&c, 0, &policy), GROUP_CONTENT);
	circle_close(&c);
}

static void test_leave(void **state)
{
	struct group_leave leave;
	struct group_change away = {
		.kind = GROUP_REMOVE, .reason = GROUP_LEFT, .leave = &leave};
	struct circle c;

	(void)state;
	three(&c);
	/* the founder goes; who has no right at all takes it into the log */
	group_leave_sign(&c.p[0].id, c.log, 0, &leave);
	circle_timer(&c);
	leave.sig[5] ^= 1;
	assert_int_equal(circle_try(&c, 2, &away), GROUP_FORGED);
	leave.sig[5] ^= 1;
	leave.epoch++;
	assert_int_equal(circle_try(&c, 2, &away), GROUP_FORGED);
	leave.epoch--;
	leave.index = 1; /* for somebody else */
	assert_int_equal(circle_try(&c, 2, &away), GROUP_FORGED);
	leave.index = 0;
	assert_int_equal(circle_try(&c, 0, &away), GROUP_CONTENT);
	circle_make(&c, 2, &away);
	circle_spread(&c);
	assert_int_equal(group_size(c.log), 2);
	/* nobody was an ADMIN: the lowest index becomes one */
	assert_int_equal(group_at(c.log, 0)->index, 1);
	assert_int_equal(group_at(c.log, 0)->rights, GROUP_ALL_RIGHTS);
	circle_close(&c);
}

/* every byte of an entry counts; none can be missing, none more be there */
static void test_forged(void **state)
{
	static uint8_t bad[GROUP_ENTRY_MAX + 1];
	struct group_joiner j = {.token = {9},
				 .fqdn = "new.person.example.org"};
	struct group_change add = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	enum group_why why;
	struct circle c;
	size_t i;

	(void)state;
	three(&c);
	memcpy(j.ed_pub, c.p[5].id.ed_pub, sizeof(j.ed_pub));
	circle_make(&c, 1, &add);
	for (i = 0; i < c.len; i++) {
		memcpy(bad, c.entry, c.len);
		bad[i] ^= 1;
		assert_int_not_equal(apply(c.log, bad, c.len), GROUP_FINE);
		assert_int_equal(apply(c.log, c.entry, i), GROUP_MALFORMED);
	}
	memcpy(bad, c.entry, c.len);
	bad[c.len] = 0;
	assert_int_equal(apply(c.log, bad, c.len + 1), GROUP_MALFORMED);
	assert_int_equal(apply(c.log, bad, sizeof(bad)), GROUP_MALFORMED);
	/* the GMS signs what only a member may say */
	memset(bad + 1 + 1 + 16 + 8 + 4 + 32 + 8, 0xff, 4);
	assert_int_equal(apply(c.log, bad, c.len), GROUP_RIGHT);
	assert_int_equal(group_make(&c.env, c.log, &c.gms, &add, bad, &i, &why),
			 -NTM_ENONAME);
	/* a member renews in the GMS's place */
	assert_int_equal(group_make(&c.env, c.log, &c.p[0].id,
				    &(struct group_change){.kind = GROUP_RENEW},
				    bad, &i, &why),
			 -NTM_EAUTH);
	/* another group's */
	memcpy(bad, c.entry, c.len);
	bad[2] ^= 1;
	assert_int_equal(apply(c.log, bad, c.len), GROUP_FOREIGN);
	circle_close(&c);
}

static void test_full(void **state)
{
	static char names[GROUP_JOIN_MAX][32];
	struct group_joiner j[GROUP_JOIN_MAX];
	struct group_change add = {.kind = GROUP_ADD, .joiners = j};
	static struct ntmc_identity ids[GROUP_JOIN_MAX];
	struct circle c;
	size_t i, n;

	(void)state;
	circle_open(&c);
	circle_create(&c);
	for (n = 0; group_size(c.log) < GROUP_MEMBERS_MAX; n++) {
		size_t left = GROUP_MEMBERS_MAX - group_size(c.log);

		for (i = 0; i < GROUP_JOIN_MAX; i++) {
			ntmc_identity_new(NULL, &ids[i]);
			snprintf(names[i], sizeof(names[i]), "d%zu-%zu.org", n,
				 i);
			memset(&j[i], 0, sizeof(j[i]));
			ntmc_random(NULL, j[i].token, sizeof(j[i].token));
			j[i].fqdn = names[i];
			memcpy(j[i].ed_pub, ids[i].ed_pub, NTMC_KEY_LEN);
		}
		add.n_joiners = left < GROUP_JOIN_MAX ? left : GROUP_JOIN_MAX;
		circle_make(&c, 0, &add);
		assert_int_equal(apply(c.log, c.entry, c.len), GROUP_FINE);
		assert_int_equal(apply(c.p[0].g, c.entry, c.len), GROUP_FINE);
	}
	add.n_joiners = 1;
	assert_int_equal(circle_try(&c, 0, &add), GROUP_FULL);
	add.n_joiners = 0;
	assert_int_equal(circle_try(&c, 0, &add), GROUP_CONTENT);
	circle_close(&c);
}

static void test_store(void **state)
{
	static uint8_t b[4096], bad[4096];
	struct group *g = NULL;
	struct circle c;
	size_t len, i;

	(void)state;
	three(&c);
	assert_int_equal(group_save(c.log, NULL, 0, &len), 0);
	assert_int_equal(group_save(c.log, b, len - 1, &len), -NTM_ETOOBIG);
	assert_int_equal(group_save(c.log, b, sizeof(b), &len), 0);
	for (i = 0; i < len; i++)
		assert_int_equal(group_load(b, i, &g), -NTM_EDECODE);
	memcpy(bad, b, len);
	assert_int_equal(group_load(bad, len + 1, &g), -NTM_EDECODE);
	assert_int_equal(group_load(b, len, &g), 0);
	/* and it goes on where it was */
	circle_make(&c, 2, &(struct group_change){.kind = GROUP_REFRESH});
	assert_int_equal(apply(g, c.entry, c.len), GROUP_FINE);
	assert_int_equal(apply(c.log, c.entry, c.len), GROUP_FINE);
	assert_memory_equal(group_hash(g), group_hash(c.log), NTMC_HASH_LEN);
	assert_int_equal(apply(g, c.entry, c.len), GROUP_SEEN);
	group_free(g);
	assert_int_equal(group_new(&g), 0);
	assert_int_equal(group_save(g, b, sizeof(b), &len), -NTM_ESTATE);
	/* an empty one takes nothing but a create entry */
	assert_int_equal(apply(g, c.entry, c.len), GROUP_EARLY);
	group_free(g);
	circle_close(&c);
}

/* --- a token makes a member once ------------------------------------------------- */

static void both(struct circle *c, struct group_change *change)
{
	circle_make(c, 0, change);
	assert_int_equal(apply(c->log, c->entry, c->len), GROUP_FINE);
	assert_int_equal(apply(c->p[0].g, c->entry, c->len), GROUP_FINE);
}

/* what was saved by a version that kept no tokens of who has gone */
static void saved_before(const struct circle *c, uint8_t *b, size_t len,
			 size_t n_used)
{
	struct group *g;

	assert_int_equal(group_save(c->log, b, len, &len), 0);
	b[0] = 1;
	assert_int_equal(group_load(b, len, &g), -NTM_EDECODE);
	len -= 4 + n_used * GROUP_TOKEN_LEN;
	assert_int_equal(group_load(b, len, &g), 0);
	assert_int_equal(group_size(g), group_size(c->log));
	group_free(g);
}

static void test_once(void **state)
{
	static uint8_t b[4096];
	struct group_joiner j = {.token = {9}, .fqdn = "a.example.org"};
	struct group_change add = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	uint32_t gone[2] = {2, 3};
	struct group_change away = {.kind = GROUP_REMOVE,
				    .reason = GROUP_REMOVED,
				    .gone = gone,
				    .n_gone = 2};
	struct circle c;
	struct group *g;
	size_t len;

	(void)state;
	three(&c);
	memcpy(j.ed_pub, c.p[5].id.ed_pub, NTMC_KEY_LEN);
	assert_false(group_token_used(c.log, j.token));
	both(&c, &add);
	assert_true(group_token_used(c.log, j.token));
	both(&c, &away);
	assert_true(group_token_used(c.log, j.token));
	assert_int_equal(circle_try(&c, 0, &add), GROUP_CONTENT);
	/* of nobody else either, and not after a start */
	memcpy(j.ed_pub, c.p[6].id.ed_pub, NTMC_KEY_LEN);
	j.fqdn = "b.example.org";
	assert_int_equal(circle_try(&c, 0, &add), GROUP_CONTENT);
	assert_int_equal(group_save(c.log, b, sizeof(b), &len), 0);
	assert_int_equal(group_load(b, len, &g), 0);
	group_free(c.p[0].g);
	c.p[0].g = g;
	assert_true(group_token_used(g, j.token));
	assert_int_equal(circle_try(&c, 0, &add), GROUP_CONTENT);
	saved_before(&c, b, sizeof(b), 2);
	/* by an invitation of its own who was removed comes back */
	j.token[0] = 8;
	memcpy(j.ed_pub, c.p[5].id.ed_pub, NTMC_KEY_LEN);
	j.fqdn = "a.example.org";
	both(&c, &add);
	circle_close(&c);
}

/* 64 come, and go. Return: the token of the first */
static void come_and_go(struct circle *c, const struct ntmc_identity *ids,
			uint8_t first[static GROUP_TOKEN_LEN])
{
	static char names[GROUP_JOIN_MAX][32];
	struct group_joiner j[GROUP_JOIN_MAX] = {{.rights = 0}};
	uint32_t gone[GROUP_JOIN_MAX];
	struct group_change add = {
		.kind = GROUP_ADD, .joiners = j, .n_joiners = GROUP_JOIN_MAX};
	struct group_change away = {.kind = GROUP_REMOVE,
				    .reason = GROUP_REMOVED,
				    .gone = gone,
				    .n_gone = GROUP_JOIN_MAX};

	for (uint32_t i = 0; i < GROUP_JOIN_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "d%u.org", i);
		ntmc_random(NULL, j[i].token, sizeof(j[i].token));
		j[i].fqdn = names[i];
		memcpy(j[i].ed_pub, ids[i].ed_pub, NTMC_KEY_LEN);
		gone[i] = group_next_index(c->log) + i;
	}
	both(c, &add);
	both(c, &away);
	memcpy(first, j[0].token, GROUP_TOKEN_LEN);
}

/* the state does not grow for ever: the oldest tokens go */
static void test_used_bound(void **state)
{
	static struct ntmc_identity ids[GROUP_JOIN_MAX];
	uint8_t first[GROUP_TOKEN_LEN], second[GROUP_TOKEN_LEN],
		token[GROUP_TOKEN_LEN];
	size_t i, full, len;
	struct circle c;

	(void)state;
	circle_open(&c);
	circle_create(&c);
	for (i = 0; i < GROUP_JOIN_MAX; i++)
		ntmc_identity_new(NULL, &ids[i]);
	come_and_go(&c, ids, first);
	come_and_go(&c, ids, second);
	for (i = 2; i < GROUP_USED_MAX / GROUP_JOIN_MAX; i++)
		come_and_go(&c, ids, token);
	assert_true(group_token_used(c.log, first));
	assert_int_equal(group_save(c.log, NULL, 0, &full), 0);
	come_and_go(&c, ids, token);
	assert_false(group_token_used(c.log, first));
	assert_true(group_token_used(c.log, second));
	assert_true(group_token_used(c.log, token));
	assert_int_equal(group_save(c.log, NULL, 0, &len), 0);
	assert_int_equal(len, full);
	circle_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_leave),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_store),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_used_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

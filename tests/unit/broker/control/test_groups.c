/* SPDX-License-Identifier: MIT */
/* test_groups - groups in a whole control plane: names, members, who may come in */
#include "tests/unit/libntmcrypto/forge.h"
#include "tests/unit/libntmcrypto/groups.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "broker/domains.h"
#include "broker/groups_impl.h"
#include "broker/policy.h"
#include "common/log.h"
#include "tests/unit/broker/control/fake_datapath.h"
#include "tests/unit/broker/control/world.h"

#define A4   "10.0.1.2"
#define A6   "2001:db8:1::2"
#define B4   "10.0.2.2"
#define B6   "2001:db8:2::2"
#define HERE ".group." WORLD_DOMAIN

static struct world world;
static struct node *const a = &world.nodes[0], *const b = &world.nodes[1];
static struct circle c[2]; /* two groups, of a's founding; b is in them */

static bool both_online(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < world.n_nodes; i++)
		if (session_state(world.nodes[i].w.session) != SESSION_ONLINE)
			return false;
	return true;
}

static void log_in(struct node *n, const char *v4, const char *v6,
		   const char *fqdn)
{
	node_move(n, v4, v6);
	node_start(n);
	node_login(n, fqdn);
}

static void circle_here(struct circle *x, uint8_t id)
{
	circle_open(x);
	memset(x->id, id, sizeof(x->id));
	for (unsigned int i = 0; i < 2; i++) {
		struct node *n = i ? b : a;

		x->p[i].id = n->w.account->secrets->id;
		assert_true(strlen(n->fqdn) < sizeof(x->p[i].fqdn));
		strcpy(x->p[i].fqdn, n->fqdn);
	}
	circle_create(x);
	circle_add(x, 0, 1, 0);
}

static int setup(void **state)
{
	(void)state;
	world_up(&world, 1, 2);
	log_in(a, A4, A6, "laptop.alice." WORLD_DOMAIN);
	log_in(b, B4, B6, "phone.bob." WORLD_DOMAIN);
	assert_true(world_until(&world, 500, both_online, NULL));
	circle_here(&c[0], 0x11);
	circle_here(&c[1], 0x22);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	circle_close(&c[0]);
	circle_close(&c[1]);
	world_down(&world);
	return 0;
}

/* @x's epoch, as ntm-member of @n says it */
static int say_of(struct node *n, struct circle *x, const char *name,
		  const char *domain, int64_t now)
{
	struct person *p = &x->p[n == b];
	struct groupword_epoch e = {
		.index = p->index, .valid_s = 600, .now = now};
	uint8_t bytes[4096];
	size_t len;

	snprintf(e.name, sizeof(e.name), "%s", name);
	snprintf(e.domain, sizeof(e.domain), "%s", domain);
	e.keys = p->keys;
	e.group = p->g;
	assert_int_equal(groupword_epoch_put(&e, bytes, &len), 0);
	assert_true(len < sizeof(bytes));
	assert_int_equal(groupword_epoch_get(bytes, len, &e), 0);
	return groups_epoch(n->w.groups, &e);
}

static int say_at(struct node *n, struct circle *x, const char *name,
		  int64_t now)
{
	return say_of(n, x, name, WORLD_DOMAIN, now);
}

static int say(struct node *n, struct circle *x, const char *name)
{
	return say_at(n, x, name, 1800000000);
}

static bool found(const char *name)
{
	uint8_t vip6[16], vip4[4];

	return !groups_find(a->w.groups, name, vip6, vip4);
}

static void test_names(void **state)
{
	struct groups *gs = a->w.groups;
	uint8_t vip6[16], vip4[4], want6[16], want4[4];
	struct addr at;

	(void)state;
	assert_true(groups_is_name(gs, "chat" HERE));
	assert_false(groups_is_name(gs, "desk.alice." WORLD_DOMAIN));
	assert_false(groups_is_name(gs, "chat.group.example.org"));
	assert_false(groups_is_name(gs, "group." WORLD_DOMAIN));
	assert_false(found("chat" HERE));
	assert_int_equal(say(a, &c[0], "chat"), 0);
	assert_int_equal(groups_find(gs, "chat" HERE, vip6, vip4), 0);
	assert_false(found("cha" HERE) || found("chatt" HERE));
	groups_addresses(c[0].id, a->w.account->constraint.prefix6, want6,
			 want4);
	assert_memory_equal(vip6, want6, 16);
	assert_memory_equal(vip4, want4, 4);
	/* ff38:40: | /64 | highest bit; 239.192.0.0/14, and bits of the same */
	assert_memory_equal(vip6, "\xff\x38\x00\x40\xfd\x6e", 6);
	assert_true(vip6[12] & 0x80);
	assert_true(vip4[0] == 239 && (vip4[1] & 0xfc) == 192);
	assert_memory_equal(vip4 + 2, vip6 + 14, 2);
	assert_int_equal(addr_from_ip(vip6, 16, 0, &at), 0);
	assert_string_equal(groups_reverse(gs, &at), "chat" HERE);
	assert_int_equal(addr_from_ip(vip4, 4, 0, &at), 0);
	assert_string_equal(groups_reverse(gs, &at), "chat" HERE);

	/* another group that is called the same: neither is meant */
	assert_int_equal(say(a, &c[1], "chat"), 0);
	assert_false(found("chat" HERE));
	assert_false(groups_has(gs, "chat" HERE, NULL, b->fqdn));
	assert_true(groups_has(gs, NULL, NULL, b->fqdn));
	/* but by its ID */
	assert_true(groups_has(gs, "chat" HERE, c[0].id, b->fqdn));
	assert_false(groups_has(gs, "band" HERE, c[0].id, b->fqdn));
	groups_end(gs, c[1].id);
	assert_true(found("chat" HERE));
	assert_true(groups_has(gs, "chat" HERE, NULL, b->fqdn));
	assert_false(groups_has(gs, "chat" HERE, c[1].id, b->fqdn));
	groups_end(gs, c[0].id);
	assert_false(found("chat" HERE));
	assert_false(groups_has(gs, NULL, NULL, b->fqdn));
}

/* a group of a domain that is not known yet has its addresses as soon as that is */
static void test_domain(void **state)
{
	const char *name = "chat.group.example.net", *member;
	struct policy_rule r = {.subject = "example.net"};
	uint8_t vip6[16], vip4[4], want6[16], want4[4];
	struct engine_config ranges[GROUPS_RANGES];
	struct groups *gs = a->w.groups;
	struct der ca;

	(void)state;
	member = "desk.carol.example.net";
	assert_int_equal(say_of(a, &c[0], "chat", "example.net", 1800000000),
			 0);
	assert_int_equal(groups_find(gs, name, vip6, vip4), -NTM_ENONAME);
	forge_ca(3, "example.net", 0, &ca);
	dc_domain(world.dc, "example.net", ca.b, ca.len, 0);
	assert_int_equal(policy_allow(a->w.policy, &r, NULL, NULL), 0);
	writer_finish(a->w.writer);
	domains_look(&a->w);
	world_run(&world, 100);
	assert_non_null(domains_find(&a->w, member));
	assert_int_equal(groups_find(gs, name, vip6, vip4), 0);
	groups_addresses(c[0].id, domains_find(&a->w, member)->prefix6, want6,
			 want4);
	assert_memory_equal(vip6, want6, 16);
	assert_memory_equal(vip4, want4, 4);
	assert_int_equal(groups_ranges(gs, ranges), 1);
	assert_memory_equal(ranges[0].prefix4, want4, 4);
}

static void test_subject(void **state)
{
	struct policy_rule r = {.subject = "@chat"}, none = {.n_ports = 0};
	struct groups *gs = a->w.groups;

	(void)state;
	assert_int_equal(groups_subject(gs, &r), -NTM_ENOTFOUND);
	assert_int_equal(say(a, &c[0], "chat"), 0);
	assert_int_equal(groups_subject(gs, &r), 0);
	assert_string_equal(r.subject, "@chat" HERE);
	assert_true(r.bound);
	assert_memory_equal(r.id, c[0].id, GROUP_ID_LEN);
	assert_int_equal(groups_subject(gs, &r), 0);
	assert_string_equal(groups_rule(gs, &r), "here");
	strcpy(none.subject, "@band" HERE); /* of the first that comes */
	assert_int_equal(groups_subject(gs, &none), 0);
	assert_false(none.bound);
	assert_string_equal(groups_rule(gs, &none), "awaited");
	assert_int_equal(say(a, &c[1], "chat"), 0);
	assert_string_equal(groups_rule(gs, &r), "here");
	groups_end(gs, c[0].id);
	assert_string_equal(groups_rule(gs, &r), "other");
	groups_end(gs, c[1].id);
	assert_string_equal(groups_rule(gs, &r), "away");
	/* there, without a key: said behind END, and by one that has just started */
	groups_keep(gs, c[0].id);
	assert_string_equal(groups_rule(gs, &r), "keyless");
	groups_end(gs, c[0].id);
	assert_string_equal(groups_rule(gs, &r), "away");
	groups_keep(gs, c[0].id);
	groups_begin(gs);
	assert_string_equal(groups_rule(gs, &r), "away");
	assert_int_equal(say(a, &c[0], "chat"), 0);
	assert_int_equal(say(a, &c[1], "chat"), 0);
	strcpy(r.subject, "@chat");
	assert_int_equal(groups_subject(gs, &r), -NTM_ENOTFOUND);
	strcpy(r.subject, "@chat" HERE);
	assert_int_equal(groups_subject(gs, &r), -NTM_ENOTFOUND);
}

static bool is_bound(const uint8_t *id)
{
	const struct policy_rule *r = policy_rule(a->w.policy, 0);

	return r && r->bound && !memcmp(r->id, id, GROUP_ID_LEN);
}

/* a rule without ID is of the first group of that name, once all are known */
static void test_bind(void **state)
{
	struct policy_rule r = {.subject = "@chat" HERE};
	struct groups *gs = a->w.groups;

	(void)state;
	groups_begin(gs);
	assert_int_equal(policy_allow(a->w.policy, &r, NULL, NULL), 0);
	while (!policy_count(a->w.policy))
		world_run(&world, 1);
	/* two of that name, of which one came first: of neither */
	assert_int_equal(say(a, &c[0], "chat"), 0);
	assert_int_equal(say(a, &c[1], "chat"), 0);
	groups_all(gs);
	world_run(&world, 50);
	assert_false(policy_rule(a->w.policy, 0)->bound);
	groups_end(gs, c[1].id);
	groups_begin(gs);
	assert_int_equal(say(a, &c[0], "chat"), 0);
	groups_all(gs);
	/* it is written first, by a thread whose time is not the world's */
	while (!is_bound(c[0].id))
		world_run(&world, 1);
	/* and no other one's later */
	groups_end(gs, c[0].id);
	assert_int_equal(say(a, &c[1], "chat"), 0);
	world_run(&world, 500);
	assert_true(is_bound(c[0].id));
	assert_true(groups_has(gs, "chat" HERE, NULL, b->fqdn));
	assert_false(groups_has(gs, "chat" HERE, c[0].id, b->fqdn));
}

/* what ntm-member does not say again has ended; the same again changes nothing */
static void test_all(void **state)
{
	struct groups *gs = a->w.groups;

	(void)state;
	assert_int_equal(say(a, &c[0], "chat"), 0);
	assert_int_equal(say(a, &c[1], "band"), 0);
	groups_begin(gs);
	assert_int_equal(say(a, &c[0], "chat"), 0);
	groups_all(gs);
	assert_true(found("chat" HERE));
	assert_false(found("band" HERE));
	/* one that has just started, and knows nothing of keys yet */
	groups_begin(gs);
	groups_keep(gs, c[0].p[0].keys.id);
	groups_keep(gs, c[1].p[0].keys.id);
	groups_all(gs);
	assert_true(found("chat" HERE));
	assert_false(found("band" HERE));
	circle_timer(&c[0]);
	assert_int_equal(say(a, &c[0], "chat"), 0);
	worker_logged_out(&a->w, 0);
	assert_false(groups_is_name(gs, "chat" HERE));
	assert_int_equal(say(a, &c[0], "chat"), -NTM_ENOLOGIN);
}

static json_int_t valid_s(void)
{
	json_t *list = groups_json(a->w.groups);
	json_int_t s = json_integer_value(
		json_object_get(json_array_get(list, 0), "valid_s"));

	json_decref(list);
	return s;
}

/* the loop's clock stands still meanwhile: nothing is sent under a key that is over */
static void test_slept(void **state)
{
	json_int_t before;

	(void)state;
	assert_int_equal(say(a, &c[0], "chat"), 0);
	before = valid_s();
	assert_in_range(before, 598, 600);
	worker_woke(&a->w, 500);
	assert_in_range(valid_s(), before - 502, before - 500);
	worker_woke(&a->w, 7 * 86400);
	assert_int_equal(valid_s(), 0);
}

static void word_at(int64_t now)
{
	struct groupword w = {.kind = GROUPWORD_VALID,
			      .epoch = c[0].p[0].keys.epoch,
			      .valid_s = 600,
			      .now = now};

	memcpy(w.id, c[0].id, sizeof(w.id));
	groups_valid(a->w.groups, &w);
}

/* what packets go by: the GMS's time, whatever this machine's clock is put to */
static void test_time(void **state)
{
	int64_t t = 1700000000; /* years before the world's wall clock */
	const struct ntmc_env *env;
	uint8_t some[2][8];

	(void)state;
	assert_int_equal(say_at(a, &c[0], "chat", t), 0);
	env = fake_group_env(a->w.groups->list->dp);
	assert_true(env != &a->w.env->crypto);
	assert_int_equal(ntmc_now(env), t);
	world_run(&world, 90000);
	assert_in_range(ntmc_now(env), t + 90, t + 91);
	/* in an epoch it goes on alone, whoever says so: no window opens again */
	word_at(t);
	assert_int_equal(say_at(a, &c[0], "chat", t - 5000), 0);
	assert_in_range(ntmc_now(env), t + 90, t + 91);
	word_at(t + 5000);
	assert_int_equal(ntmc_now(env), t + 5000);
	/* while the machine slept it went on */
	worker_woke(&a->w, 300);
	assert_int_equal(ntmc_now(env), t + 5300);
	/* of another group nothing */
	assert_int_equal(say_at(a, &c[1], "band", 7), 0);
	assert_int_equal(ntmc_now(env), t + 5300);
	/* another epoch has other keys: a server that was ahead may go back */
	circle_timer(&c[0]);
	assert_int_equal(say_at(a, &c[0], "chat", t + 400), 0);
	assert_int_equal(ntmc_now(env), t + 400);
	ntmc_random(env, some[0], 8);
	ntmc_random(env, some[1], 8);
	assert_memory_not_equal(some[0], some[1], 8);
}

static bool up(void *arg)
{
	struct peer *p = node_peer(a, b);

	(void)arg;
	return p && p->state == PEER_UP;
}

/* of another account and allowed nothing: in for the group's packets, out with it */
static void test_comes_in(void **state)
{
	struct policy_grant g;
	struct peer *p;

	(void)state;
	policy_check(a->w.policy, a->fqdn, b->fqdn, &g);
	assert_false(g.in);
	assert_int_equal(say(a, &c[0], "chat"), 0);
	assert_int_equal(say(b, &c[0], "chat"), 0);
	policy_check(a->w.policy, a->fqdn, b->fqdn, &g);
	assert_true(g.in && !g.all && !g.n_ports);
	/* b sends to the group: its data path wants a */
	p = peers_get(b->w.peers, a->fqdn);
	assert_non_null(p);
	peer_connect(p);
	assert_true(world_until(&world, 2000, up, NULL));
	/* removed: the tunnel ends at once */
	circle_remove(&c[0], 0, 1);
	assert_int_equal(say(a, &c[0], "chat"), 0);
	assert_false(up(NULL));
	policy_check(a->w.policy, a->fqdn, b->fqdn, &g);
	assert_false(g.in);
}

/* one who has the name, and another identity than the log's, is no member */
static void test_false_name(void **state)
{
	struct policy_grant g;
	struct peer *p;

	(void)state;
	assert_int_equal(say(a, &c[0], "chat"), 0);
	p = peers_get(a->w.peers, b->fqdn);
	assert_non_null(p);
	p->known = true;
	memset(p->ed_pub, 0x77, sizeof(p->ed_pub));
	policy_check(a->w.policy, a->fqdn, b->fqdn, &g);
	assert_false(g.in);
}

/* --- the relay ----------------------------------------------------------------------------- */

static struct rs *rs;
static struct ntmc_key bind_key;

static uint64_t tag_of(const struct circle *x)
{
	uint64_t tag;

	memcpy(&tag, x->p[0].keys.tag, sizeof(tag));
	return be64toh(tag);
}

/* the GMS's word, as ntm-member of @n says it; @n_relays: 0: no relay any more */
static void name_relay(struct node *n, struct circle *x, size_t n_relays)
{
	struct groupword word = {.kind = GROUPWORD_RELAY,
				 .epoch = x->p[0].keys.epoch,
				 .index = n == b,
				 .aead = NTMC_AES_256_GCM,
				 .n_relays = n_relays,
				 .relays = {{4, {192, 0, 2, 10}, 4600}}};
	struct ntmc_key key;

	memcpy(word.id, x->id, sizeof(word.id));
	assert_int_equal(
		datagram_place_secret(&bind_key, tag_of(x), word.index, &key),
		0);
	memcpy(word.key, key.b, sizeof(word.key));
	groups_relay(n->w.groups, &word);
}

/* @arg: a node: it sends by the relay, for both */
static bool sends_there(void *arg)
{
	const struct fake_group_relay *r =
		fake_group_relay(((struct node *)arg)->w.dp);

	return r->epoch == c[0].p[0].keys.epoch && r->places == 3;
}

static bool sends_nowhere(void *arg)
{
	return !fake_group_relay(((struct node *)arg)->w.dp)->epoch;
}

static void both_at_the_relay(void)
{
	rs = rs_add(&world);
	ntmc_key_random(NULL, &bind_key);
	rs_group(rs, tag_of(&c[0]), &bind_key);
	assert_int_equal(say(a, &c[0], "chat"), 0);
	assert_int_equal(say(b, &c[0], "chat"), 0);
	name_relay(a, &c[0], 1);
	name_relay(b, &c[0], 1);
	/* the second one is bound when the first one looks again */
	assert_true(world_until(&world, 3000, sends_there, a));
	assert_true(world_until(&world, 3000, sends_there, b));
}

/* @arg: as many had left before */
static bool left(void *arg)
{
	return rs_count(rs)->leaves > *(unsigned int *)arg;
}

/* bound, kept, found again from elsewhere, left */
static void test_place(void **state)
{
	unsigned int n;

	(void)state;
	both_at_the_relay();
	assert_true(rs_owns(rs, &fake_group_relay(a->w.dp)->at));
	n = rs_count(rs)->punches;
	world_run(&world, 120000);
	assert_true(sends_there(a) && sends_there(b));
	assert_in_range(rs_count(rs)->punches - n, 20, 34);
	/* the relay is silent: not used, and used again */
	rs_set_down(rs, true);
	assert_true(world_until(&world, 15000, sends_nowhere, a));
	rs_set_down(rs, false);
	assert_true(world_until(&world, 20000, sends_there, a));
	/* no relay any more; that of a group that is not here is not taken */
	name_relay(a, &c[0], 0);
	assert_true(sends_nowhere(a));
	name_relay(a, &c[1], 1);
	assert_true(sends_nowhere(a));
	n = rs_count(rs)->leaves;
	groups_end(b->w.groups, c[0].id);
	assert_true(world_until(&world, 1000, left, &n));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_names),	  T(test_subject),    T(test_all),
		T(test_domain),	  T(test_bind),	      T(test_slept),
		T(test_comes_in), T(test_false_name), T(test_place),
		T(test_time),
	};

	log_open("test", LOG_ERR, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* test_rules - policy lines, pins, state files: good ones, bad ones, cut ones */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/path.h"
#include "broker/pins.h"
#include "broker/policy.h"
#include "broker/state.pb-c.h"
#include "broker/statefile.h"
#include "broker/timers.h"
#include "broker/writer.h"
#include "common/file.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/packet.h"

static char dir[64];
static uint64_t now_ns;
static struct writer *writer;

static void set_random(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 7, len);
}

static int64_t wall(void *ctx)
{
	(void)ctx;
	return 1800000000;
}

static uint64_t mono(void *ctx)
{
	(void)ctx;
	return now_ns;
}

static const struct ntmc_env env = {set_random, wall, NULL};

static int setup(void **state)
{
	struct loop *l;

	snprintf(dir, sizeof(dir), "/tmp/ntm-rules-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(loop_new(&l), 0);
	now_ns = LOOP_S(1);
	loop_set_clock(l, mono, wall, NULL);
	assert_int_equal(writer_new(l, &writer), 0);
	*state = l;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"policy", "known", "x"};
	char path[128];

	writer_free(writer);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	loop_free(*state);
	return rmdir(dir);
}

/* --- policy ------------------------------------------------------------------------------ */

static void test_policy_lines(void **state)
{
	static const struct {
		const char *line;
		int want;
		size_t ports;
	} cases[] = {
		{"allow desk.bob.example.org", 1, 0},
		{"  allow\tbob.example.org 22 80 # both", 1, 2},
		{"allow example.org 1,65535", 1, 2},
		{"", 0, 0},
		{"   # a comment", 0, 0},
		{"allow", -NTM_ECONF, 0},
		{"allow bad_name", -NTM_ECONF, 0},
		{"allow x.example.org 0", -NTM_ECONF, 0},
		{"allow x.example.org 65536", -NTM_ECONF, 0},
		{"allow x.example.org ssh", -NTM_ECONF, 0},
		{"allow x.example.org -1", -NTM_ECONF, 0},
		{"deny x.example.org", -NTM_ECONF, 0},
	};
	struct policy_rule r;
	char longest[POLICY_LINE_MAX + 8];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(policy_parse_line(cases[i].line, &r),
				 cases[i].want);
		if (cases[i].want == 1)
			assert_int_equal(r.n_ports, cases[i].ports);
	}
	memset(longest, ' ', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(policy_parse_line(longest, &r), -NTM_ECONF);
	strcpy(longest, "allow x.example.org");
	for (int i = 0; i <= POLICY_PORTS_MAX; i++)
		strcat(longest, " 22");
	assert_int_equal(policy_parse_line(longest, &r), -NTM_ECONF);
}

static void test_policy_grants(void **state)
{
	struct policy_rule r = {
		.subject = "bob.example.org", .ports = {22}, .n_ports = 1};
	struct policy_grant g;
	struct policy *p, *again;
	char why[256];

	(void)state;
	assert_int_equal(policy_open(writer, dir, &p, why, sizeof(why)), 0);
	policy_check(p, "a.alice.example.org", "b.alice.example.org", &g);
	assert_true(g.in && g.all);
	policy_check(p, "a.alice.example.org", "b.bob.example.org", &g);
	assert_false(g.in);
	/* an account is no part of a longer one's name */
	assert_int_equal(policy_allow(p, &r, NULL, NULL), 0);
	writer_finish(writer);
	policy_check(p, "a.alice.example.org", "b.notbob.example.org", &g);
	assert_false(g.in);
	policy_check(p, "a.alice.example.org", "b.bob.example.org", &g);
	assert_true(g.in && !g.all);
	assert_int_equal(g.n_ports, 1);
	/* durable */
	assert_int_equal(policy_open(writer, dir, &again, why, sizeof(why)), 0);
	assert_int_equal(policy_count(again), 1);
	assert_int_equal(policy_rule(again, 0)->ports[0], 22);
	assert_int_equal(policy_remove(again, "bob.example.org", NULL, NULL),
			 0);
	writer_finish(writer);
	assert_int_equal(policy_remove(again, "bob.example.org", NULL, NULL),
			 -NTM_ENOTFOUND);
	policy_free(again);
	policy_free(p);
}

/* As many rules as there may be are read again; one more is refused. */
static void test_policy_limit(void **state)
{
	struct policy_rule r = {.n_ports = 0};
	struct policy *p;
	char why[256], path[128];
	FILE *f;

	(void)state;
	assert_int_equal(policy_open(writer, dir, &p, why, sizeof(why)), 0);
	for (unsigned int i = 0; i < POLICY_RULES_MAX; i++) {
		snprintf(r.subject, sizeof(r.subject), "a%u.example.org", i);
		assert_int_equal(policy_allow(p, &r, NULL, NULL), 0);
		writer_finish(writer);
	}
	strcpy(r.subject, "more.example.org");
	assert_int_equal(policy_allow(p, &r, NULL, NULL), -NTM_ELIMIT);
	assert_int_equal(policy_reload(p, why, sizeof(why)), 0);
	assert_int_equal(policy_count(p), POLICY_RULES_MAX);
	snprintf(path, sizeof(path), "%s/policy", dir);
	f = fopen(path, "a");
	assert_non_null(f);
	fputs("# no rule\nallow more.example.org\n", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(policy_reload(p, why, sizeof(why)), -NTM_ECONF);
	assert_non_null(strstr(why, "256"));
	policy_free(p);
}

static void test_policy_file_names_the_line(void **state)
{
	struct policy *p;
	char why[256], path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/policy", dir);
	assert_int_equal(file_write(path, "# x\n\nallow\n", 11, 0600), 0);
	assert_int_equal(policy_open(writer, dir, &p, why, sizeof(why)),
			 -NTM_ECONF);
	assert_non_null(strstr(why, "policy:3:"));
}

static void test_policy_reload(void **state)
{
	const char *good = "allow bob.example.org 22\n";
	struct policy *p;
	char why[256], path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/policy", dir);
	assert_int_equal(file_write(path, good, strlen(good), 0600), 0);
	assert_int_equal(policy_open(writer, dir, &p, why, sizeof(why)), 0);
	assert_int_equal(file_write(path, "alow all\n", 9, 0600), 0);
	assert_int_equal(policy_reload(p, why, sizeof(why)), -NTM_ECONF);
	assert_non_null(strstr(why, "policy:1:"));
	assert_int_equal(policy_count(p), 1); /* the rules of before hold */
	assert_int_equal(file_write(path, "", 0, 0600), 0);
	assert_int_equal(policy_reload(p, why, sizeof(why)), 0);
	assert_string_equal(why, "");
	assert_int_equal(policy_count(p), 0);
	policy_free(p);
}

/* --- pins ------------------------------------------------------------------------------------ */

static const uint8_t fp1[32] = {1}, fp2[32] = {2};
static const uint8_t six[16] = {0xfd, 0x6e, [15] = 1};
static const uint8_t four[4] = {198, 18, 0, 1};
#define DESK  "desk.alice.example.org"
#define PHONE "phone.alice.example.org"

/* as a worker ends */
static void pins_end(struct pins *p)
{
	writer_finish(writer);
	pins_free(p);
	writer_finish(writer);
}

static void test_pins(void **state)
{
	struct addr vip;
	struct pins *p;

	assert_int_equal(pins_open(*state, writer, dir, &env, &p), 0);
	assert_int_equal(pins_check(p, DESK, fp1), 0);
	assert_int_equal(pins_learn(p, DESK, fp1, six, four), 0);
	assert_int_equal(pins_check(p, DESK, fp1), 0);
	assert_int_equal(pins_check(p, DESK, fp2), -NTM_EPIN);
	assert_int_equal(pins_learn(p, DESK, fp2, six, four), -NTM_EPIN);
	assert_memory_equal(pins_find(p, DESK)->offered, fp2, 32);
	assert_int_equal(addr_from_ip(four, 4, 0, &vip), 0);
	assert_string_equal(pins_find_vip(p, &vip)->fqdn, DESK);
	/* a lease goes to another: the newest owner has the address */
	assert_int_equal(pins_learn(p, PHONE, fp2, six, four), 0);
	assert_string_equal(pins_find_vip(p, &vip)->fqdn, PHONE);
	/* verified: other devices of the account must be, too */
	assert_int_equal(pins_verify(p, DESK, fp1, NULL, NULL), 0);
	assert_int_equal(pins_check(p, "new.alice.example.org", fp2),
			 -NTM_EUNVERIFIED);
	assert_int_equal(pins_check(p, "new.bob.example.org", fp2), 0);
	pins_end(p);
	/* freed with a change pending: written */
	assert_int_equal(pins_open(*state, writer, dir, &env, &p), 0);
	assert_true(pins_find(p, DESK)->verified);
	assert_string_equal(pins_find_vip(p, &vip)->fqdn, PHONE);
	assert_int_equal(pins_forget(p, DESK, NULL, NULL), 0);
	assert_int_equal(pins_forget(p, DESK, NULL, NULL), -NTM_ENOTFOUND);
	assert_int_equal(pins_check(p, DESK, fp2), 0);
	pins_end(p);
}

static void test_servers(void **state)
{
	struct pins *p;

	assert_int_equal(pins_open(*state, writer, dir, &env, &p), 0);
	assert_int_equal(pins_server_check(p, "example.org", fp1), 0);
	assert_int_equal(pins_server_learn(p, "example.org", fp1), 0);
	assert_int_equal(pins_server_check(p, "example.org", fp2), -NTM_EPIN);
	assert_int_equal(pins_server_check(p, "example.com", fp2), 0);
	assert_int_equal(pins_set_serial(p, 5), 0);
	pins_end(p);
	assert_int_equal(pins_open(*state, writer, dir, &env, &p), 0);
	assert_int_equal(pins_server_check(p, "example.org", fp2), -NTM_EPIN);
	assert_int_equal(pins_serial(p), 5);
	pins_end(p);
}

static void test_pins_are_bounded(void **state)
{
	char name[64];
	struct pins *p;

	assert_int_equal(pins_open(*state, writer, dir, &env, &p), 0);
	for (unsigned int i = 0; i < PINS_MAX + 10; i++) {
		uint8_t vip6[16] = {
			0xfd, 0x6e, [12] = (uint8_t)(i >> 16),
			[13] = (uint8_t)(i >> 8), [14] = (uint8_t)i};
		uint8_t vip4[4] = {0};

		snprintf(name, sizeof(name), "d%u.x.example.org", i);
		assert_int_equal(pins_learn(p, name, fp1, vip6, vip4), 0);
	}
	snprintf(name, sizeof(name), "d%u.x.example.org", PINS_MAX + 9);
	assert_non_null(pins_find(p, name));
	pins_end(p);
}

/* --- state files -------------------------------------------------------------------------------- */

static void test_state_file(void **state)
{
	Ntm__State__Boot m = NTM__STATE__BOOT__INIT;
	ProtobufCMessage *out;
	char path[128];

	(void)state;
	m.number = 7;
	assert_int_equal(statefile_save(dir, "x", &m.base), 0);
	assert_int_equal(statefile_load(dir, "x", m.base.descriptor, &out), 0);
	assert_int_equal(((Ntm__State__Boot *)out)->number, 7);
	statefile_free(out);
	snprintf(path, sizeof(path), "%s/x", dir);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(statefile_load(dir, "x", m.base.descriptor, &out),
			 -NTM_EPERM);
	assert_int_equal(file_write(path, "\xff\xff\xff", 3, 0600), 0);
	assert_int_equal(statefile_load(dir, "x", m.base.descriptor, &out),
			 -NTM_EDECODE);
	statefile_remove(dir, "x");
	assert_int_equal(statefile_load(dir, "x", m.base.descriptor, &out),
			 -NTM_ENOTFOUND);
}

static void test_state_address(void **state)
{
	static const char *const texts[] = {"192.0.2.1:4500",
					    "[2001:db8::1]:65535"};
	uint8_t buf[STATEFILE_ADDR_MAX];
	ProtobufCBinaryData b = {0, buf};
	struct addr a, back;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(addr_parse(texts[i], 0, &a), 0);
		b.len = statefile_addr_put(&a, buf);
		assert_int_equal(statefile_addr_get(&b, &back), 0);
		assert_true(addr_equal(&a, &back));
		while (b.len) { /* cut anywhere; 6 bytes are an IPv4 address */
			b.len--;
			if (b.len != 6)
				assert_int_equal(statefile_addr_get(&b, &back),
						 -NTM_EDECODE);
		}
	}
}

/* --- challenges --------------------------------------------------------------------------------------- */

static void test_challenge_sizes(void **state)
{
	static uint8_t buf[PACKET_DATA_MAX];
	Ntm__TunnelControl *m;
	size_t len;

	(void)state;
	for (size_t want = 0; want <= PACKET_DATA_MAX; want++) {
		len = path_challenge_pack(42, want, buf, sizeof(buf));
		assert_true(len > 0);
		if (want >= 100) /* to the byte, but for lengths' own jumps */
			assert_in_range(len + PACKET_OVERHEAD, want - 2, want);
		if (want % 97)
			continue;
		m = ntm__tunnel_control__unpack(NULL, len, buf);
		assert_non_null(m);
		assert_int_equal(m->challenge->cookie, 42);
		ntm__tunnel_control__free_unpacked(m, NULL);
	}
	assert_int_equal(path_challenge_pack(42, 1200, buf, 100), 0);
}

/* struct members - who is in a group, for the policy */
struct members {
	const char *group, *peer;
	uint8_t id[GROUP_ID_LEN];
};

static bool is_member(void *arg, const char *group, const uint8_t *id,
		      const char *peer)
{
	const struct members *m = arg;

	return (!group || !strcmp(group, m->group)) && !strcmp(peer, m->peer) &&
	       (!id || !memcmp(id, m->id, sizeof(m->id)));
}

static void policy_done(void *arg, int err)
{
	*(int *)arg = err;
}

static void test_policy_groups(void **state)
{
	struct members m = {
		"chat.group.example.org", "phone.bob.example.org", {0}};
	struct policy_rule r = {.n_ports = 1, .ports = {22}};
	struct policy_grant g;
	struct policy *p;
	char why[256], text[FQDN_MAX + 1];
	int err = 1;

	assert_int_equal(
		policy_parse_line("allow @Chat.group.example.org. 22", &r), 1);
	assert_string_equal(r.subject, "@chat.group.example.org");
	assert_int_equal(policy_parse_line("allow @", &r), -NTM_ECONF);
	assert_int_equal(policy_parse_line("allow @@chat", &r), -NTM_ECONF);
	assert_int_equal(policy_parse_line("allow chat@x", &r), -NTM_ECONF);
	memset(text, 'a', FQDN_MAX); /* no room for the @ */
	text[0] = '@';
	text[FQDN_MAX] = 0;
	assert_int_equal(policy_subject(text, text), -NTM_EINVAL);

	assert_int_equal(policy_open(writer, dir, &p, why, sizeof(why)), 0);
	assert_int_equal(policy_allow(p, &r, policy_done, &err), 0);
	while (err == 1)
		assert_int_equal(loop_turn(*state, true), 0);
	assert_int_equal(err, 0);
	/* nobody knows of groups: nobody is in one */
	policy_check(p, "desk.alice.example.org", m.peer, &g);
	assert_false(g.in);
	policy_set_groups(p, is_member, &m);
	policy_check(p, "desk.alice.example.org", m.peer, &g);
	assert_true(g.in && !g.all && g.n_ports == 1 && g.ports[0] == 22);
	policy_check(p, "desk.alice.example.org", "tv.bob.example.org", &g);
	assert_false(g.in);
	/* another group's member: tunnels, and no port */
	m.group = "band.group.example.org";
	policy_check(p, "desk.alice.example.org", m.peer, &g);
	assert_true(g.in && !g.all && !g.n_ports);
	/* and after another start */
	policy_free(p);
	assert_int_equal(policy_open(writer, dir, &p, why, sizeof(why)), 0);
	assert_int_equal(policy_count(p), 1);
	assert_string_equal(policy_rule(p, 0)->subject,
			    "@chat.group.example.org");
	policy_free(p);
}

/* what the policy file must be, once the disk has it */
static void await_text(struct loop *loop, const char *want)
{
	char path[PATH_MAX];
	uint8_t *text = NULL;
	size_t len = 0;

	snprintf(path, sizeof(path), "%s/policy", dir);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(file_read(path, 65536, &text, &len), 0);
		if (len == strlen(want) && !memcmp(text, want, len))
			break;
		file_free(text, len);
		text = NULL;
		assert_int_equal(loop_turn(loop, true), 0);
	}
	assert_non_null(text);
	file_free(text, len);
}

static bool lets_in(struct policy *p, const struct members *m)
{
	struct policy_grant g;

	policy_check(p, "desk.alice.example.org", m->peer, &g);
	return g.all || g.n_ports;
}

#define BAND "@band.group.example.org"

/* a rule is of a group, whoever bears its name later */
static void test_policy_bound(void **state)
{
	static const char by_hand[] = "# mine\n"
				      "allow x.example.org 1\n"
				      "  allow \t" BAND " 22, 23 # friends\n";
	struct members m = {BAND + 1, "phone.bob.example.org", {7}};
	char why[256], path[PATH_MAX];
	const struct policy_rule *r;
	struct policy *p;
	int err = 1;

	snprintf(path, sizeof(path), "%s/policy", dir);
	assert_int_equal(file_write(path, by_hand, strlen(by_hand), 0600), 0);
	assert_int_equal(policy_open(writer, dir, &p, why, sizeof(why)), 0);
	policy_set_groups(p, is_member, &m);
	assert_false(policy_rule(p, 1)->bound);
	assert_true(lets_in(p, &m));
	/* another name's group, then its own, said more than once */
	policy_bind(p, "chat.group.example.org", m.id);
	policy_bind(p, BAND + 1, m.id);
	policy_bind(p, BAND + 1, m.id);
	await_text(*state, "# mine\n"
			   "allow x.example.org 1\n"
			   "  allow \t" BAND " id=BwAAAAAAAAAAAAAAAAAAAA"
			   " 22, 23 # friends\n");
	assert_true(lets_in(p, &m));
	/* another group of that name: not its members, nor is the rule its own */
	m.id[0] = 8;
	assert_false(lets_in(p, &m));
	policy_bind(p, BAND + 1, m.id);
	assert_int_equal(policy_reload(p, why, sizeof(why)), 0);
	assert_false(lets_in(p, &m));
	m.id[0] = 7;
	assert_true(lets_in(p, &m));
	/* written by ntm it is the same */
	policy_free(p);
	assert_int_equal(policy_open(writer, dir, &p, why, sizeof(why)), 0);
	r = policy_rule(p, 1);
	assert_true(r->bound && r->id[0] == 7 && r->n_ports == 2);
	assert_int_equal(policy_remove(p, "x.example.org", policy_done, &err),
			 0);
	while (err == 1)
		assert_int_equal(loop_turn(*state, true), 0);
	assert_int_equal(policy_reload(p, why, sizeof(why)), 0);
	r = policy_rule(p, 0);
	assert_true(r->bound && r->id[0] == 7 && r->n_ports == 2);
	policy_free(p);
}

static void test_policy_ids(void **state)
{
	struct policy_rule line;

	(void)state;
	/* what is no ID, one of no group, two of them */
	assert_int_equal(policy_parse_line("allow " BAND " id=", &line),
			 -NTM_ECONF);
	assert_int_equal(
		policy_parse_line("allow " BAND " id=BwAAAAAAAA", &line),
		-NTM_ECONF);
	assert_int_equal(
		policy_parse_line("allow x.org id=BwAAAAAAAAAAAAAAAAAAAA",
				  &line),
		-NTM_ECONF);
	assert_int_equal(policy_parse_line("allow " BAND
					   " id=BwAAAAAAAAAAAAAAAAAAAA"
					   " id=BwAAAAAAAAAAAAAAAAAAAA",
					   &line),
			 -NTM_ECONF);
}

/* a folder that nobody can write to: bound all the same, as long as this process lives */
static void test_policy_bound_unwritten(void **state)
{
	static const char by_hand[] = "allow " BAND "\n";
	struct members m = {BAND + 1, "phone.bob.example.org", {7}};
	char why[256], path[PATH_MAX];
	struct policy *p;

	(void)state;
	snprintf(path, sizeof(path), "%s/policy", dir);
	assert_int_equal(file_write(path, by_hand, strlen(by_hand), 0600), 0);
	assert_int_equal(policy_open(writer, dir, &p, why, sizeof(why)), 0);
	policy_set_groups(p, is_member, &m);
	assert_int_equal(unlink(path), 0);
	policy_bind(p, BAND + 1, m.id);
	assert_true(policy_rule(p, 0)->bound && lets_in(p, &m));
	m.id[0] = 8;
	assert_false(lets_in(p, &m));
	policy_free(p);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_policy_lines),	 T(test_policy_grants),
		T(test_policy_limit),	 T(test_policy_file_names_the_line),
		T(test_policy_reload),	 T(test_pins),
		T(test_servers),	 T(test_pins_are_bounded),
		T(test_state_file),	 T(test_state_address),
		T(test_challenge_sizes), T(test_policy_groups),
		T(test_policy_bound),	 T(test_policy_bound_unwritten),
		T(test_policy_ids),
	};

	log_open("test", LOG_ERR, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

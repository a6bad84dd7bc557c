/* SPDX-License-Identifier: MIT */
/* test_foreign - CAs of other domains: what the DC may say of them, and what we believe */
#include "tests/unit/libntmcrypto/forge.h"

/* before story.h, which calls a node b */
static const uint8_t *bytes_of(const struct der *d)
{
	return d->b;
}

#include "broker/domains.h"
#include "tests/unit/broker/control/story.h"

#define CAROL "desk.carol.example.net"

static void allow(const char *subject)
{
	struct policy_rule r = {.n_ports = 0};

	strcpy(r.subject, subject);
	assert_int_equal(policy_allow(a->w.policy, &r, NULL, NULL), 0);
	writer_finish(a->w.writer);
}

/* the DC says so of @domain; the node asks, and has heard it */
static void told(const char *domain, const struct der *ca, uint32_t code)
{
	unsigned int before = dc_domain_requests(world.dc);

	dc_domain(world.dc, domain, bytes_of(ca), ca->len, code);
	domains_look(&a->w);
	world_run(&world, 100);
	assert_true(dc_domain_requests(world.dc) > before);
	/* a failure is remembered for a while */
	world_run(&world, (DOMAINS_AGAIN_S + 1) * 1000);
}

static const char *why(void)
{
	const char *text = domains_why(&a->w, CAROL);

	return text ? text : "";
}

static void test_good(void **state)
{
	struct der ca;
	struct fqdn_parts parts;
	uint8_t vip6[16], own[4] = {198, 18, 0, 9}, shown[4];

	(void)state;
	assert_false(domains_allowed(&a->w, CAROL));
	assert_int_equal(domains_need(&a->w, CAROL), -NTM_ENOTOURS);
	allow("example.net");
	assert_true(domains_allowed(&a->w, CAROL));
	assert_false(domains_allowed(&a->w, "desk.carol.example.com"));
	forge_ca(3, "example.net", 0, &ca);
	told("example.net", &ca, 0);
	assert_non_null(domains_find(&a->w, CAROL));
	assert_int_equal(domains_split(&a->w, CAROL, &parts), 0);
	assert_string_equal(parts.account, "carol");
	assert_string_equal(why(), "");
	assert_false(domains_allowed(&a->w, "too.deep.carol.example.net"));
	assert_false(domains_allowed(&a->w, "example.net"));
	/* its peers have an alias here, the same each time; ours have none */
	memcpy(vip6, domains_find(&a->w, CAROL)->prefix6, 16);
	domains_shown4(&a->w, vip6, own, shown);
	assert_true(domains_is_alias(&a->w, shown));
	memcpy(vip6, a->vip6, 16);
	domains_shown4(&a->w, vip6, own, shown);
	assert_memory_equal(shown, own, 4);
	/* kept over a restart, without the DC */
	world_run(&world, 3000);
	dc_set_down(world.dc, true);
	node_kill(a);
	node_start(a);
	assert_non_null(domains_find(&a->w, CAROL));
}

/* an address whose alias is that of @vip6, too; as many are tried as it takes */
static void collide(const uint8_t vip6[16], uint8_t out[16])
{
	static const uint8_t own[4] = {198, 18, 0, 10};
	uint8_t want[4], got[4];

	domains_shown4(&a->w, vip6, own, want);
	memcpy(out, vip6, 16);
	for (uint32_t i = 1;; i++) {
		memcpy(out + 12, &i, sizeof(i));
		domains_shown4(&a->w, out, own, got);
		if (!memcmp(got, want, 4) && memcmp(out, vip6, 16) != 0)
			return;
	}
}

/* an alias is nobody's to choose, and stays whose it is */
static void test_alias(void **state)
{
	struct peer eve = {.w = &a->w, .fqdn = "desk.eve.example.net"};
	uint8_t vip6[16] = {0}, own[4] = {198, 18, 0, 9}, shown[4], other[4];
	uint8_t fp[NTMC_FP_LEN] = {1};
	unsigned int same = 0;
	struct der ca;

	(void)state;
	allow("example.net");
	forge_ca(3, "example.net", 0, &ca);
	told("example.net", &ca, 0);
	memcpy(vip6, domains_find(&a->w, CAROL)->prefix6, 8);
	for (uint8_t i = 0; i < 16; i++) {
		vip6[15] = i;
		domains_shown4(&a->w, vip6, own, shown);
		domains_shown4(&b->w, vip6, own, other);
		same += !memcmp(shown, other, 4);
	}
	assert_true(same < 4); /* another node gives others */
	/* carol is away, and eve has an address that falls on hers */
	assert_int_equal(pins_learn(a->w.pins, CAROL, fp, vip6, own), 0);
	collide(vip6, eve.vip6);
	memcpy(eve.vip4, own, 4);
	eve.vip4[3]++;
	domains_show(&eve);
	assert_true(domains_is_alias(&a->w, eve.shown4));
	assert_memory_not_equal(eve.shown4, shown, 4);
	assert_string_equal(domains_alias_owner(&a->w, shown)->fqdn, CAROL);
}

static void test_bad(void **state)
{
	static const unsigned int wrong[] = {
		NO_CONSTRAINTS, NOT_CRITICAL, OTHER_PREFIX6, WIDE_PREFIX6,
		NO_DOMAIN,	TWO_DOMAINS,  NO_IP6,
	};
	struct der ca;

	(void)state;
	allow("example.net");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		forge_ca(3, "example.net", wrong[i], &ca);
		told("example.net", &ca, 0);
		assert_null(domains_find(&a->w, CAROL));
		assert_non_null(strstr(why(), "not constrained"));
	}
	/* of another domain than it says, and than was asked for */
	forge_ca(3, "example.com", 0, &ca);
	told("example.net", &ca, 0);
	assert_null(domains_find(&a->w, CAROL));
	told("example.com", &ca, 0);
	assert_null(domains_find(&a->w, "desk.carol.example.com"));
	/* cut, or none */
	forge_ca(3, "example.net", 0, &ca);
	ca.len--;
	told("example.net", &ca, 0);
	assert_null(domains_find(&a->w, CAROL));
	told("", &ca, NTM_EUNREACHABLE);
	assert_non_null(strstr(why(), "does not answer"));
	told("", &ca, NTM_EPIN);
	assert_non_null(strstr(why(), "has added"));
	ca.len++;
	told("example.net", &ca, 0);
	assert_non_null(domains_find(&a->w, CAROL));
	assert_string_equal(why(), "");
}

/* the slice of a CA that is trusted already */
static void test_overlap(void **state)
{
	struct der ca;

	(void)state;
	allow("example.com");
	forge_ca(3, "example.com", 0, &ca);
	told("example.com", &ca, 0);
	assert_non_null(domains_find(&a->w, "desk.carol.example.com"));
	allow("example.net");
	forge_ca(3, "example.net", 0, &ca);
	told("example.net", &ca, 0);
	assert_null(domains_find(&a->w, CAROL));
	assert_non_null(strstr(why(), "overlaps"));
}

static void test_changed(void **state)
{
	uint8_t fp[NTMC_FP_LEN];
	struct der ca;

	(void)state;
	allow("example.net");
	forge_ca(3, "example.net", 0, &ca);
	told("example.net", &ca, 0);
	memcpy(fp, domains_find(&a->w, CAROL)->fp, sizeof(fp));
	forge_ca(4, "example.net", 0, &ca);
	told("example.net", &ca, 0);
	assert_memory_equal(domains_find(&a->w, CAROL)->fp, fp, sizeof(fp));
	assert_non_null(strstr(why(), "another CA than before"));
	assert_non_null(strstr(why(), "ntm forget"));
	/* the person has asked: it is taken now */
	assert_int_equal(domains_forget(&a->w, "example.net", NULL, NULL), 0);
	assert_null(domains_find(&a->w, CAROL));
	told("example.net", &ca, 0);
	assert_memory_not_equal(domains_find(&a->w, CAROL)->fp, fp, sizeof(fp));
	assert_int_equal(domains_forget(&a->w, "example.com", NULL, NULL),
			 -NTM_ENOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_good),	 T(test_alias),	  T(test_bad),
		T(test_overlap), T(test_changed),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	return cmocka_run_group_tests_name("foreign", tests, NULL, NULL);
}

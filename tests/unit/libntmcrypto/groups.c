/* SPDX-License-Identifier: MIT */
/* groups - a group for tests */
#include "groups.h"

#include <stdio.h>
#include <string.h>

static void new_prekey(struct circle *c, struct person *p)
{
	ntmc_x25519_keygen(&c->env, &p->prekey_priv, p->prekey.pub);
	p->prekey.serial++;
	group_prekey_sign(&p->id, c->id, &p->prekey);
}

void circle_open(struct circle *c)
{
	unsigned int i;

	memset(c, 0, sizeof(*c));
	c->script.now = FIXTURE_NOW;
	c->script.fill = 1;
	c->env = script_env(&c->script);
	memset(c->id, 0x42, sizeof(c->id));
	fixture_identity(200, &c->gms);
	assert_int_equal(group_new(&c->log), 0);
	for (i = 0; i < PEOPLE; i++) {
		fixture_identity((uint8_t)(10 + i), &c->p[i].id);
		snprintf(c->p[i].fqdn, sizeof(c->p[i].fqdn),
			 "device%u.person.example.org", i);
		new_prekey(c, &c->p[i]);
	}
}

void circle_close(struct circle *c)
{
	unsigned int i;

	for (i = 0; i < PEOPLE; i++)
		group_free(c->p[i].g);
	group_free(c->log);
}

enum group_why circle_try(struct circle *c, unsigned int author,
			  struct group_change *change)
{
	struct person *p = &c->p[author];
	enum group_why why;
	int r;

	ntmc_key_random(&c->env, &c->share);
	change->share = &c->share;
	r = group_make(&c->env, p->g ? p->g : c->log,
		       change->kind == GROUP_RENEW ? &c->gms : &p->id, change,
		       c->entry, &c->len, &why);
	assert_int_equal(r, group_why_code(why));
	return why;
}

void circle_make(struct circle *c, unsigned int author,
		 struct group_change *change)
{
	assert_int_equal(circle_try(c, author, change), GROUP_FINE);
}

void circle_renew_rn2(struct circle *c)
{
	ntmc_key_random(&c->env, &c->rn2);
	assert_int_equal(group_seal_make(&c->gms, c->log, &c->rn2,
					 c->script.now, c->script.now + 7200,
					 c->seal),
			 0);
}

/* the share by way of a part, as each member gets it */
static void step(struct circle *c, struct person *p,
		 const struct group_entry *e)
{
	uint8_t part[GROUP_PART_LEN];
	struct ntmc_key share;

	if (e->commitment) {
		assert_int_equal(group_part_seal(&c->sealer, p->index,
						 p->prekey.pub, &c->share,
						 part),
				 0);
		assert_int_equal(group_part_open(e, p->index, c->sealer.pub,
						 &p->prekey_priv, p->prekey.pub,
						 part, &share),
				 0);
		new_prekey(c, p);
	}
	assert_int_equal(
		group_secret_step(&p->secret, e, e->commitment ? &share : NULL),
		0);
}

void circle_spread(struct circle *c)
{
	struct group_entry e;
	unsigned int i;

	assert_int_equal(group_entry_get(c->entry, c->len, &e), 0);
	assert_int_equal(group_apply(c->log, c->entry, c->len, NULL), 0);
	circle_renew_rn2(c);
	group_sealer_open(&c->env, c->id, e.epoch, e.generation, &c->sealer);
	for (i = 0; i < PEOPLE; i++) {
		struct person *p = &c->p[i];
		int64_t not_after;

		if (!p->g || p->out)
			continue;
		assert_int_equal(group_apply(p->g, c->entry, c->len, NULL), 0);
		p->out = group_entry_removes(&e, p->index);
		if (p->out)
			continue; /* it keeps what it had */
		step(c, p, &e);
		assert_int_equal(group_seal_check(p->g, c->seal,
						  sizeof(c->seal), &c->rn2,
						  c->script.now, &not_after),
				 0);
		assert_int_equal(
			group_keys_derive(&p->secret, p->g, &c->rn2, &p->keys),
			0);
	}
	group_sealer_clear(&c->sealer);
}

void circle_create(struct circle *c)
{
	struct person *p = &c->p[0];
	struct group_change change = {.kind = GROUP_CREATE,
				      .id = c->id,
				      .fqdn = p->fqdn,
				      .server_key = c->gms.ed_pub,
				      .server = "gms.example.org",
				      .policy = &group_policy_default};

	circle_make(c, 0, &change);
	assert_int_equal(group_apply(c->log, c->entry, c->len, NULL), 0);
	assert_int_equal(group_new(&p->g), 0);
	assert_int_equal(group_apply(p->g, c->entry, c->len, NULL), 0);
	assert_int_equal(
		group_secret_first(&p->secret, c->id, "band", &c->share), 0);
	circle_renew_rn2(c);
	assert_int_equal(group_keys_derive(&p->secret, p->g, &c->rn2, &p->keys),
			 0);
}

/* a copy of the log, as it comes from the GMS */
static struct group *copy(const struct group *g)
{
	static uint8_t b[1 << 16];
	struct group *out;
	size_t len;

	assert_int_equal(group_save(g, b, sizeof(b), &len), 0);
	assert_int_equal(group_load(b, len, &out), 0);
	return out;
}

void circle_add(struct circle *c, unsigned int author, unsigned int who,
		uint8_t rights)
{
	struct person *p = &c->p[who];
	struct group_joiner j = {.rights = rights, .fqdn = p->fqdn};
	struct group_change change = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	uint8_t welcome[GROUP_WELCOME_MAX], hash[NTMC_HASH_LEN];
	size_t n;

	ntmc_random(&c->env, j.token, sizeof(j.token));
	memcpy(j.ed_pub, p->id.ed_pub, sizeof(j.ed_pub));
	circle_make(c, author, &change);
	p->index = group_next_index(c->log);
	circle_spread(c);
	n = group_welcome_put(&c->p[author].secret, group_hash(c->p[author].g),
			      welcome);
	assert_int_equal(group_welcome_get(welcome, n, &p->secret, hash), 0);
	group_free(p->g);
	p->g = copy(c->log);
	p->out = false;
	assert_memory_equal(hash, group_hash(p->g), sizeof(hash));
	assert_int_equal(group_keys_derive(&p->secret, p->g, &c->rn2, &p->keys),
			 0);
}

void circle_remove(struct circle *c, unsigned int author, unsigned int who)
{
	struct group_change change = {.kind = GROUP_REMOVE,
				      .reason = GROUP_REMOVED,
				      .gone = &c->p[who].index,
				      .n_gone = 1};

	circle_make(c, author, &change);
	circle_spread(c);
}

void circle_refresh(struct circle *c, unsigned int author)
{
	struct group_change change = {.kind = GROUP_REFRESH};

	circle_make(c, author, &change);
	circle_spread(c);
}

void circle_timer(struct circle *c)
{
	struct group_change change = {.kind = GROUP_RENEW};

	circle_make(c, 0, &change);
	circle_spread(c);
}

void circle_band(struct circle *c, unsigned int n)
{
	unsigned int i;

	circle_open(c);
	circle_create(c);
	for (i = 1; i < n; i++)
		circle_add(c, 0, i, GROUP_MAY_REMOVE);
}

bool circle_same_keys(const struct group_keys *a, const struct group_keys *b)
{
	return !memcmp(a, b, sizeof(*a));
}

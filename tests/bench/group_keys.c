/* SPDX-License-Identifier: MIT */
/*
 * group_keys - what a group's cryptography costs: a removal and a renewal at the author,
 * the GMS and each member, and the packet path; no network, no disk
 *
 * Times are of the thread's CPU. Each figure is the median of ROUNDS.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libntmcrypto/grouppacket.h"

#define ROUNDS 11
#define INNER  1400
#define BURST  2000

static const unsigned int sizes[] = {10, 50, 250, 1000};

/* people of whom only those that speak have a state */
struct people {
	unsigned int n;
	struct ntmc_identity *id, gms;
	struct group_prekey *prekey;
	struct ntmc_key *priv;
	uint8_t gid[GROUP_ID_LEN];
	struct group *g;
	struct group_secret secret;
	struct group_keys keys;
};

static void must(int r)
{
	if (r) {
		fprintf(stderr, "group_keys: %s\n", err_text(r));
		exit(1);
	}
}

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v)
{
	qsort(v, ROUNDS, sizeof(*v), by_size);
	return v[ROUNDS / 2];
}

/* @target 0: no figure of its own, but a part of one */
static void figure(const char *name, unsigned int n, double value,
		   const char *unit, double target)
{
	char label[64];

	snprintf(label, sizeof(label), n ? "%s-%u" : "%s", name, n);
	if (target > 0)
		printf("%-34s %12.4g %-8s <=%-10g %s\n", label, value, unit,
		       target, value <= target ? "ok" : "short");
	else
		printf("# %s: %.4g %s\n", label, value, unit);
}

static struct group *copy(const struct group *g)
{
	size_t len;
	struct group *out;
	uint8_t *b;

	must(group_save(g, NULL, 0, &len));
	b = malloc(len);
	if (!b)
		exit(1);
	must(group_save(g, b, len, &len));
	must(group_load(b, len, &out));
	free(b);
	return out;
}

static void found(struct people *p)
{
	struct ntmc_key share = {{1}};
	struct group_change c = {.kind = GROUP_CREATE,
				 .share = &share,
				 .id = p->gid,
				 .server_key = p->gms.ed_pub,
				 .server = "gms.example.org",
				 .fqdn = "d0.person.example.org",
				 .policy = &group_policy_default};
	uint8_t entry[GROUP_ENTRY_MAX];
	size_t len;

	must(group_new(&p->g));
	must(group_make(NULL, p->g, &p->id[0], &c, entry, &len, NULL));
	must(group_apply(p->g, entry, len, NULL));
	must(group_secret_first(&p->secret, p->gid, "band", &share));
}

static void join(struct people *p)
{
	static char name[GROUP_JOIN_MAX][64];
	struct group_joiner j[GROUP_JOIN_MAX];
	struct group_change c = {.kind = GROUP_ADD, .joiners = j};
	uint8_t entry[GROUP_ENTRY_MAX];
	struct group_entry e;
	unsigned int i, k;
	size_t len;

	for (i = 1; i < p->n; i += k) {
		for (k = 0; k < GROUP_JOIN_MAX && i + k < p->n; k++) {
			snprintf(name[k], sizeof(name[k]),
				 "d%u.person.example.org", i + k);
			memset(&j[k], 0, sizeof(j[k]));
			ntmc_random(NULL, j[k].token, GROUP_TOKEN_LEN);
			memcpy(j[k].ed_pub, p->id[i + k].ed_pub, NTMC_KEY_LEN);
			j[k].fqdn = name[k];
		}
		c.n_joiners = k;
		must(group_make(NULL, p->g, &p->id[0], &c, entry, &len, NULL));
		must(group_apply(p->g, entry, len, NULL));
		must(group_entry_get(entry, len, &e));
		must(group_secret_step(&p->secret, &e, NULL));
	}
}

static void people_open(struct people *p, unsigned int n)
{
	unsigned int i;

	memset(p, 0, sizeof(*p));
	p->n = n;
	p->id = calloc(n, sizeof(*p->id));
	p->prekey = calloc(n, sizeof(*p->prekey));
	p->priv = calloc(n, sizeof(*p->priv));
	if (!p->id || !p->prekey || !p->priv)
		exit(1);
	p->gid[0] = 1;
	ntmc_identity_new(NULL, &p->gms);
	for (i = 0; i < n; i++) {
		ntmc_identity_new(NULL, &p->id[i]);
		ntmc_x25519_keygen(NULL, &p->priv[i], p->prekey[i].pub);
		p->prekey[i].serial = 1;
		group_prekey_sign(&p->id[i], p->gid, &p->prekey[i]);
	}
	found(p);
	join(p);
}

static void people_close(struct people *p)
{
	group_free(p->g);
	free(p->id);
	free(p->prekey);
	free(p->priv);
}

/* what an epoch costs whom, in seconds */
struct cost {
	double author[ROUNDS], gms[ROUNDS], member[ROUNDS];
};

/* an entry that all but @gone get a share for (or, RENEW, nobody) */
static void epoch(struct people *p, struct group_change *c, struct cost *cost,
		  unsigned int round)
{
	uint8_t entry[GROUP_ENTRY_MAX], part[GROUP_PART_LEN];
	uint8_t mine[GROUP_PART_LEN], seal[GROUP_SEAL_LEN];
	bool renew = c->kind == GROUP_RENEW;
	struct group_secret secret = p->secret;
	struct group *log = copy(p->g), *member = copy(p->g);
	struct ntmc_key share, rn2;
	struct group_sealer s;
	struct group_prekey next;
	struct group_entry e;
	unsigned int i;
	int64_t t;
	double at = cpu();
	size_t len;

	/* the author: entry, a thousand prekeys verified, a thousand parts */
	ntmc_key_random(NULL, &share);
	c->share = &share;
	must(group_make(NULL, p->g, renew ? &p->gms : &p->id[0], c, entry, &len,
			NULL));
	must(group_entry_get(entry, len, &e));
	group_sealer_open(NULL, p->gid, e.epoch, e.generation, &s);
	for (i = 0; i + 1 < p->n && !renew; i++) {
		must(group_prekey_verify(&p->prekey[i], p->gid,
					 p->id[i].ed_pub));
		must(group_part_seal(&s, i, p->prekey[i].pub, &share,
				     i == 1 ? mine : part));
	}
	cost->author[round] = cpu() - at;

	at = cpu();
	must(group_apply(log, entry, len, NULL));
	ntmc_key_random(NULL, &rn2);
	t = ntmc_now(NULL);
	must(group_seal_make(&p->gms, log, &rn2, t, t + 7200, seal));
	cost->gms[round] = cpu() - at;

	/* a member: all that it does until it has the key, and its next prekey */
	at = cpu();
	must(group_apply(member, entry, len, NULL));
	must(group_seal_check(member, seal, sizeof(seal), &rn2, t, &t));
	if (!renew)
		must(group_part_open(&e, 1, s.pub, &p->priv[1],
				     p->prekey[1].pub, mine, &share));
	must(group_secret_step(&secret, &e, &share));
	must(group_keys_derive(&secret, member, &rn2, &p->keys));
	group_confirm(&p->keys, 1, part);
	if (!renew) {
		ntmc_x25519_keygen(NULL, &share, next.pub);
		next.serial = 2;
		group_prekey_sign(&p->id[1], p->gid, &next);
	}
	cost->member[round] = cpu() - at;
	group_free(log);
	group_free(member);
}

static void epochs(unsigned int n)
{
	uint32_t gone = n - 1;
	struct group_change away = {.kind = GROUP_REMOVE,
				    .reason = GROUP_REMOVED,
				    .gone = &gone,
				    .n_gone = 1};
	struct group_change renew = {.kind = GROUP_RENEW};
	struct cost cost;
	struct people p;
	unsigned int i;

	people_open(&p, n);
	for (i = 0; i < ROUNDS; i++)
		epoch(&p, &away, &cost, i);
	figure("group-removal-author", n, median(cost.author) * 1e3, "ms", 0);
	figure("group-removal-gms", n, median(cost.gms) * 1e3, "ms", 0);
	figure("group-removal-member", n, median(cost.member) * 1e3, "ms", 1);
	for (i = 0; i < ROUNDS; i++)
		epoch(&p, &renew, &cost, i);
	figure("group-renewal-gms", n, median(cost.gms) * 1e3, "ms", 0);
	figure("group-renewal-member", n, median(cost.member) * 1e3, "ms", 1);
	people_close(&p);
}

/* bytes of INNER a second, sealed and opened on one core */
static void packets(enum group_auth auth, const char *name)
{
	static uint8_t b[BURST][INNER + GROUP_PACKET_MORE];
	static uint8_t list[GROUP_BATCH_LEN];
	struct group_policy policy = group_policy_default;
	struct group_change c = {.kind = GROUP_POLICY, .policy = &policy};
	unsigned int burst = auth == GROUP_AUTH_SIGN ? BURST / 10 : BURST;
	double sealed[ROUNDS], opened[ROUNDS], at;
	uint8_t entry[GROUP_ENTRY_MAX];
	struct ntmc_key rn2 = {{2}};
	struct group_receiver *rx;
	struct group_sender *tx;
	struct group_opened o;
	struct group_entry e;
	struct people p;
	unsigned int i, r;
	size_t len, n;
	char label[64];

	people_open(&p, 10);
	policy.auth = auth;
	must(group_make(NULL, p.g, &p.id[0], &c, entry, &len, NULL));
	must(group_apply(p.g, entry, len, NULL));
	must(group_entry_get(entry, len, &e));
	must(group_secret_step(&p.secret, &e, NULL));
	must(group_keys_derive(&p.secret, p.g, &rn2, &p.keys));
	must(group_receiver_new(NULL, &rx));
	must(group_receiver_begin(rx, &p.keys, p.g));
	must(group_sender_new(NULL, &p.keys, &p.id[1], 1, auth, &tx));
	for (r = 0; r < ROUNDS; r++) {
		at = cpu();
		for (i = 0; i < burst; i++) {
			if (group_sender_pending(tx) == GROUP_BATCH_MAX)
				must(group_sender_batch(tx, 0, list, &n));
			must(group_sender_seal(tx, 0, b[i], INNER, &len));
		}
		if (group_sender_pending(tx))
			must(group_sender_batch(tx, 0, list, &n));
		sealed[r] = burst * INNER * 8 / (cpu() - at) / 1e9;
		at = cpu();
		for (i = 0; i < burst; i++)
			must(group_receiver_open(rx, b[i], len, &o));
		opened[r] = burst * INNER * 8 / (cpu() - at) / 1e9;
	}
	snprintf(label, sizeof(label), "group-seal-%s", name);
	figure(label, 0, median(sealed), "Gbit/s", 0);
	snprintf(label, sizeof(label), "group-open-%s", name);
	figure(label, 0, median(opened), "Gbit/s", 0);
	group_sender_free(tx);
	group_receiver_free(rx);
	people_close(&p);
}

/* the tunnel's AEAD alone, for comparison: the same bytes under one key */
static void tunnel(void)
{
	static uint8_t b[BURST][INNER + NTMC_TAG_LEN];
	struct ntmc_key k = {{3}};
	double sealed[ROUNDS], at;
	struct ntmc_aead *a;
	uint64_t counter = 0;
	unsigned int i, r;

	must(ntmc_aead_new(ntmc_aead_preferred(), &k, &a));
	for (r = 0; r < ROUNDS; r++) {
		at = cpu();
		for (i = 0; i < BURST; i++)
			must(ntmc_aead_seal(a, counter++, b, 20, b[i], INNER));
		sealed[r] = BURST * INNER * 8 / (cpu() - at) / 1e9;
	}
	printf("# the AEAD of a tunnel alone: %.3g Gbit/s\n", median(sealed));
	ntmc_aead_free(a);
}

int main(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		epochs(sizes[i]);
	tunnel();
	packets(GROUP_AUTH_MAC, "mac");
	packets(GROUP_AUTH_BATCH, "batch");
	packets(GROUP_AUTH_SIGN, "sign");
	return 0;
}

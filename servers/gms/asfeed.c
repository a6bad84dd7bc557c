/* SPDX-License-Identifier: MIT */
/*
 * asfeed - what the AS says to a GMS: keys for its nodes, and who was withdrawn
 *
 * Owner:   gms.c. Context: loop thread.
 * A key is on our disk before it is used, so that a GMS goes on without the AS. Until
 * the AS has said who is there, nobody counts as withdrawn.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "libntmcrypto/groupnode.h"
#include "servers/gms/state.h"
#include "servers/tokens.h"

#define KEYS_MAX 8 /* the AS has three; others are of before a restore of it */

struct asfeed {
	struct gms *gms;
	struct tokens *tokens;
	struct ledger_shared keys[KEYS_MAX];
	size_t n_keys;
};

static void put(struct asfeed *a, const struct ledger_shared *k)
{
	size_t i = 0;

	while (i < a->n_keys && a->keys[i].id != k->id)
		i++;
	if (i == KEYS_MAX) {
		memmove(a->keys, a->keys + 1,
			(KEYS_MAX - 1) * sizeof(a->keys[0]));
		i--;
	}
	a->keys[i] = *k;
	if (i >= a->n_keys)
		a->n_keys = i + 1;
}

static void on_key(void *arg, const Ntm__KeySharing *m)
{
	struct asfeed *a = arg;
	struct ledger_shared k = {
		.id = m->id,
		.until = loop_wall(a->gms->loop) + m->lifetime_s,
	};
	int r;

	memcpy(k.key.b, m->key.data, sizeof(k.key.b));
	r = ledger_shared_put(a->gms->ledger, &k);
	if (r)
		log_err("gms", "a key of the AS cannot be kept: %s",
			err_text(r));
	put(a, &k);
	ntmc_key_clear(&k.key);
}

static void on_listed(void *arg)
{
	struct asfeed *a = arg;

	callers_withdrawn(a->gms, NULL);
}

static void on_changed(void *arg, const char *fqdn, enum tokens_state state)
{
	struct asfeed *a = arg;

	if (state == TOKENS_WITHDRAWN || state == TOKENS_NOBODY)
		callers_withdrawn(a->gms, fqdn);
}

static const struct tokens_ops ops = {
	.listed = on_listed,
	.changed = on_changed,
	.key = on_key,
};

static int announce(struct asfeed *a)
{
	const struct server_conf *c = a->gms->conf;
	struct addr list[SERVERCONF_ADDRESSES_MAX];
	struct server_ways ways = {.n = 0};
	int n = serverconf_announced(c->gms_address, c->gms_listen,
				     (uint16_t)c->gms_port, list);

	for (int i = 0; i < n && i < SERVERCONF_WAYS_MAX; i++)
		ways.a[ways.n++] = list[i];
	if (!ways.n)
		return -NTM_ECONF;
	tokens_announce(a->tokens, &ways);
	return 0;
}

int asfeed_new(struct gms *gms, struct asfeed **out)
{
	struct asfeed *a = calloc(1, sizeof(*a));
	struct server_ways as;
	int r;

	if (!a)
		return -NTM_ENOMEM;
	a->gms = gms;
	r = ledger_shared(gms->ledger, a->keys, KEYS_MAX, &a->n_keys);
	if (!r)
		r = tokens_find_as(gms->conf, NULL, &as);
	if (!r)
		r = tokens_new(gms->loop, gms->cert.tls, "gms", &as, &ops, a,
			       &a->tokens);
	if (!r)
		r = announce(a);
	if (r)
		asfeed_free(a);
	else
		*out = a;
	return r;
}

void asfeed_free(struct asfeed *a)
{
	if (!a)
		return;
	tokens_free(a->tokens);
	ntmc_wipe(a->keys, sizeof(a->keys));
	free(a);
}

void asfeed_set_tls(struct asfeed *a, struct tls_context *tls)
{
	tokens_set_tls(a->tokens, tls);
}

bool asfeed_has_keys(const struct asfeed *a)
{
	return a->n_keys > 0;
}

int asfeed_node_key(const struct asfeed *a, uint64_t key_id, uint64_t node_id,
		    const uint8_t ed_pub[static NTMC_KEY_LEN],
		    struct ntmc_key *kngms)
{
	int64_t now = loop_wall(a->gms->loop);

	for (size_t i = 0; i < a->n_keys; i++)
		if (a->keys[i].id == key_id && a->keys[i].until > now)
			return group_node_key(&a->keys[i].key, node_id, ed_pub,
					      kngms);
	return -NTM_ENOLOGIN;
}

bool asfeed_withdrawn(const struct asfeed *a, const char *fqdn)
{
	enum tokens_state s = tokens_state(a->tokens, fqdn);

	return s == TOKENS_WITHDRAWN || s == TOKENS_NOBODY;
}

bool asfeed_is_fed(const struct asfeed *a)
{
	return tokens_are_fed(a->tokens);
}

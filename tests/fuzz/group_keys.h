/* SPDX-License-Identifier: MIT */
/*
 * group_keys - a fixed group of two for fuzz_group and its seeds
 *
 * Bodies in a header, as crypto_keys.h.
 */
#ifndef NTM_TESTS_FUZZ_GROUP_KEYS_H
#define NTM_TESTS_FUZZ_GROUP_KEYS_H

#include "libntmcrypto/groupinvite.h"
#include "libntmcrypto/groupnode.h"
#include "libntmcrypto/grouppacket.h"
#include "tests/fuzz/crypto_keys.h"

/** struct fuzz_group - founder and one more, in epoch 2
 *  @refresh: the founder's entry that would begin epoch 3, and commits to @share
 *  @prekey: of the other one */
struct fuzz_group {
	uint8_t fill, id[GROUP_ID_LEN];
	struct ntmc_env env;
	struct ntmc_identity p[2], gms;
	struct group *g;
	struct ntmc_key rn2, share;
	struct group_secret secret;
	struct group_keys keys;
	struct group_receiver *rx;
	struct group_invite invite;
	uint8_t refresh[GROUP_ENTRY_MAX];
	size_t refresh_len;
	struct ntmc_key prekey_priv;
	struct group_prekey prekey;
};

static inline struct group *fuzz_group_copy(const struct fuzz_group *f)
{
	uint8_t b[1024];
	struct group *g;
	size_t len;

	if (group_save(f->g, b, sizeof(b), &len) || group_load(b, len, &g))
		abort();
	return g;
}

static inline void fuzz_group_found(struct fuzz_group *f)
{
	uint8_t entry[GROUP_ENTRY_MAX];
	struct group_joiner j = {.token = {9},
				 .rights = GROUP_ALL_RIGHTS,
				 .fqdn = "b.example.net"};
	struct group_change create = {.kind = GROUP_CREATE,
				      .share = &f->share,
				      .id = f->id,
				      .server_key = f->gms.ed_pub,
				      .server = "gms.example.net",
				      .fqdn = "a.example.net",
				      .policy = &group_policy_default};
	struct group_change add = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	struct group_entry e;
	size_t len;

	memcpy(j.ed_pub, f->p[1].ed_pub, sizeof(j.ed_pub));
	if (group_new(&f->g) ||
	    group_make(&f->env, f->g, &f->p[0], &create, entry, &len, NULL) ||
	    group_apply(f->g, entry, len, NULL) ||
	    group_secret_first(&f->secret, f->id, "band", &f->share) ||
	    group_make(&f->env, f->g, &f->p[0], &add, entry, &len, NULL) ||
	    group_apply(f->g, entry, len, NULL) ||
	    group_entry_get(entry, len, &e) ||
	    group_secret_step(&f->secret, &e, NULL) ||
	    group_keys_derive(&f->secret, f->g, &f->rn2, &f->keys))
		abort();
}

static inline void fuzz_group_next(struct fuzz_group *f)
{
	struct group_change refresh = {.kind = GROUP_REFRESH,
				       .share = &f->share};

	if (group_make(&f->env, f->g, &f->p[0], &refresh, f->refresh,
		       &f->refresh_len, NULL))
		abort();
	ntmc_x25519_keygen(&f->env, &f->prekey_priv, f->prekey.pub);
	f->prekey.serial = 3;
	group_prekey_sign(&f->p[1], f->id, &f->prekey);
}

static inline void fuzz_group_open(struct fuzz_group *f)
{
	struct group_invite *i = &f->invite;
	uint8_t n;

	memset(f, 0, sizeof(*f));
	f->env = fuzz_env(&f->fill);
	for (n = 0; n < 3; n++) {
		f->fill = (uint8_t)(11 + n);
		ntmc_identity_new(&f->env, n < 2 ? &f->p[n] : &f->gms);
	}
	f->id[0] = 5;
	f->rn2.b[1] = 6;
	f->share.b[2] = 7;
	fuzz_group_found(f);
	if (group_receiver_new(&f->env, &f->rx) ||
	    group_receiver_begin(f->rx, &f->keys, f->g))
		abort();
	memcpy(i->id, f->id, sizeof(i->id));
	strcpy(i->name, "band");
	memcpy(i->server_key, f->gms.ed_pub, NTMC_KEY_LEN);
	strcpy(i->server, "gms.example.net");
	strcpy(i->ways, "192.0.2.1:4509");
	strcpy(i->inviter, "a.example.net");
	strcpy(i->invitee, "b.example.net");
	memcpy(i->inviter_key, f->p[0].ed_pub, NTMC_KEY_LEN);
	memcpy(i->invitee_key, f->p[1].ed_pub, NTMC_KEY_LEN);
	i->expires = FUZZ_NOW + FUZZ_DAY;
	i->token[3] = 8;
	fuzz_group_next(f);
}

#endif

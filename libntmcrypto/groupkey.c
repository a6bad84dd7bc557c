/* SPDX-License-Identifier: MIT */
/*
 * groupkey - the keys of a group
 *
 * Theory of operation
 *
 * RN1 goes forward only: each entry steps it through HKDF, and where an entry
 * commits to a fresh share, that is mixed in behind the step. Who joins gets the
 * RN1 of its first epoch and cannot go back; who was removed has the RN1 before, and
 * not the share. The GMS has RN2 of every epoch if it wants to keep them, and no RN1.
 *
 * A share travels sealed to each member's group prekey, all under one ephemeral key:
 * a thousand parts cost a thousand multiplications, not two thousand. That is sound
 * since the key of each part is bound to the receiver's key and index. Parts are not
 * signed: the entry, which is, commits to the share.
 *
 * GK exists within group_keys_derive() alone. What is used are its subkeys.
 */
#include "libntmcrypto/groupkey.h"

#include <string.h>

#include "libntmcrypto/aead.h"
#include "libntmcrypto/group_impl.h"

#define WELCOME_VERSION 1
#define SEAL_BODY	(GROUP_SEAL_LEN - NTMC_SIG_LEN)

bool group_name_ok(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > GROUP_NAME_MAX || name[0] == '-' ||
	    name[len - 1] == '-')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* HKDF-Expand with the text of @info; lengths are ours, so it cannot fail */
static void expand(const uint8_t *prk, const struct wire_out *info, void *out,
		   size_t len)
{
	if (info->full || ntmc_hkdf_expand(prk, info->b, info->len, out, len))
		ntmc_wipe(out, len);
}

static void extract(const void *salt, size_t salt_len,
		    const struct ntmc_key *ikm, uint8_t *prk)
{
	if (ntmc_hkdf_extract(salt, salt_len, ikm->b, sizeof(ikm->b), prk))
		ntmc_wipe(prk, NTMC_HASH_LEN);
}

/* --- RN1 ------------------------------------------------------------------------- */

void group_secret_clear(struct group_secret *s)
{
	ntmc_wipe(s, sizeof(*s));
}

int group_secret_first(struct group_secret *s,
		       const uint8_t id[static GROUP_ID_LEN], const char *name,
		       const struct ntmc_key *share)
{
	uint8_t text[64];
	struct wire_out salt = wire_out(text, sizeof(text));

	if (!group_name_ok(name))
		return -NTM_EINVAL;
	memset(s, 0, sizeof(*s));
	memcpy(s->id, id, sizeof(s->id));
	memcpy(s->name, name, strlen(name));
	s->epoch = 1;
	s->generation = 1;
	wire_put_label(&salt, "ntm group rn1 v1");
	wire_put(&salt, id, GROUP_ID_LEN);
	extract(text, salt.len, share, s->rn1.b);
	return 0;
}

int group_secret_step(struct group_secret *s, const struct group_entry *e,
		      const struct ntmc_key *share)
{
	uint8_t text[64], commitment[NTMC_HASH_LEN];
	struct wire_out info = wire_out(text, sizeof(text));
	struct ntmc_key next;

	if (memcmp(e->id, s->id, sizeof(s->id)) || e->epoch != s->epoch + 1)
		return -NTM_ESTATE;
	if (e->commitment && !share)
		return -NTM_ENOTFOUND;
	if (e->commitment) {
		group_commit(e->id, e->epoch, e->generation, share, commitment);
		if (!ntmc_equal(commitment, e->commitment, sizeof(commitment)))
			return -NTM_EAUTH;
	}
	wire_put_label(&info, "ntm group ratchet v1");
	wire_put_number(&info, e->epoch, 8);
	expand(s->rn1.b, &info, next.b, sizeof(next.b));
	if (e->commitment)
		extract(next.b, sizeof(next.b), share, s->rn1.b);
	else
		s->rn1 = next;
	ntmc_key_clear(&next);
	s->epoch = e->epoch;
	s->generation = e->generation;
	return 0;
}

size_t group_welcome_put(const struct group_secret *s,
			 const uint8_t hash[static NTMC_HASH_LEN],
			 uint8_t out[static GROUP_WELCOME_MAX])
{
	struct wire_out w = wire_out(out, GROUP_WELCOME_MAX);

	wire_put_number(&w, WELCOME_VERSION, 1);
	wire_put(&w, s->id, sizeof(s->id));
	wire_put_name(&w, s->name);
	wire_put_number(&w, s->epoch, 8);
	wire_put_number(&w, s->generation, 4);
	wire_put(&w, hash, NTMC_HASH_LEN);
	wire_put(&w, s->rn1.b, sizeof(s->rn1.b));
	return w.len;
}

int group_welcome_get(const uint8_t *b, size_t len, struct group_secret *s,
		      uint8_t hash[static NTMC_HASH_LEN])
{
	struct wire_in w = wire_in(b, len);
	uint8_t h[NTMC_HASH_LEN];
	struct group_secret got;
	int r = -NTM_EDECODE;

	memset(&got, 0, sizeof(got));
	if (wire_get_number(&w, 1) != WELCOME_VERSION)
		w.bad = true;
	wire_get(&w, got.id, sizeof(got.id));
	wire_get_name(&w, got.name, sizeof(got.name));
	got.epoch = wire_get_number(&w, 8);
	got.generation = (uint32_t)wire_get_number(&w, 4);
	wire_get(&w, h, sizeof(h));
	wire_get(&w, got.rn1.b, sizeof(got.rn1.b));
	if (wire_ends(&w) && group_name_ok(got.name) && got.epoch &&
	    got.generation) {
		*s = got;
		memcpy(hash, h, sizeof(h));
		r = 0;
	}
	group_secret_clear(&got);
	return r;
}

/* --- shares ---------------------------------------------------------------------- */

static void prekey_text(const struct group_prekey *p, const uint8_t *group,
			const uint8_t *ed_pub, struct wire_out *w)
{
	wire_put_label(w, "ntm group prekey v1");
	wire_put(w, group, GROUP_ID_LEN);
	wire_put(w, ed_pub, NTMC_KEY_LEN);
	wire_put_number(w, p->serial, 8);
	wire_put(w, p->pub, sizeof(p->pub));
}

void group_prekey_sign(const struct ntmc_identity *id,
		       const uint8_t group[static GROUP_ID_LEN],
		       struct group_prekey *p)
{
	uint8_t text[160];
	struct wire_out w = wire_out(text, sizeof(text));

	prekey_text(p, group, id->ed_pub, &w);
	ntmc_ed25519_sign(&id->ed_priv, id->ed_pub, text, w.len, p->sig);
}

int group_prekey_verify(const struct group_prekey *p,
			const uint8_t group[static GROUP_ID_LEN],
			const uint8_t ed_pub[static NTMC_KEY_LEN])
{
	uint8_t text[160];
	struct wire_out w = wire_out(text, sizeof(text));

	prekey_text(p, group, ed_pub, &w);
	return ntmc_ed25519_verify(ed_pub, text, w.len, p->sig);
}

void group_prekey_put(const struct group_prekey *p,
		      uint8_t out[static GROUP_PREKEY_LEN])
{
	struct wire_out w = wire_out(out, GROUP_PREKEY_LEN);

	wire_put(&w, p->pub, sizeof(p->pub));
	wire_put_number(&w, p->serial, 8);
	wire_put(&w, p->sig, sizeof(p->sig));
}

int group_prekey_get(const uint8_t *b, size_t len, struct group_prekey *out)
{
	struct wire_in w = wire_in(b, len);

	if (len != GROUP_PREKEY_LEN)
		return -NTM_EDECODE;
	wire_get(&w, out->pub, sizeof(out->pub));
	out->serial = wire_get_number(&w, 8);
	wire_get(&w, out->sig, sizeof(out->sig));
	return 0;
}

void group_sealer_open(const struct ntmc_env *env,
		       const uint8_t id[static GROUP_ID_LEN], uint64_t epoch,
		       uint32_t generation, struct group_sealer *out)
{
	memcpy(out->id, id, sizeof(out->id));
	out->epoch = epoch;
	out->generation = generation;
	ntmc_x25519_keygen(env, &out->priv, out->pub);
}

void group_sealer_clear(struct group_sealer *s)
{
	ntmc_wipe(s, sizeof(*s));
}

/* the key of one part, the same on both sides */
static int part_key(const uint8_t *id, uint64_t epoch, uint32_t generation,
		    uint32_t index, const uint8_t *sealer,
		    const uint8_t *prekey, const struct ntmc_key *priv,
		    const uint8_t *pub, struct ntmc_key *out)
{
	static const char label[] = "ntm group part v1";
	uint8_t text[128], prk[NTMC_HASH_LEN];
	struct wire_out info = wire_out(text, sizeof(text));
	struct ntmc_key dh;
	int r = ntmc_x25519(priv, pub, &dh);

	if (r)
		return r;
	wire_put(&info, id, GROUP_ID_LEN);
	wire_put_number(&info, epoch, 8);
	wire_put_number(&info, generation, 4);
	wire_put_number(&info, index, 4);
	wire_put(&info, sealer, NTMC_KEY_LEN);
	wire_put(&info, prekey, NTMC_KEY_LEN);
	extract(label, sizeof(label) - 1, &dh, prk);
	expand(prk, &info, out->b, sizeof(out->b));
	ntmc_key_clear(&dh);
	ntmc_wipe(prk, sizeof(prk));
	return 0;
}

static const uint8_t nonce[AEAD_NONCE_LEN]; /* each key seals once */

int group_part_seal(const struct group_sealer *s, uint32_t index,
		    const uint8_t prekey[static NTMC_KEY_LEN],
		    const struct ntmc_key *share,
		    uint8_t out[static GROUP_PART_LEN])
{
	struct ntmc_key k;
	int r = part_key(s->id, s->epoch, s->generation, index, s->pub, prekey,
			 &s->priv, prekey, &k);

	if (r)
		return r;
	r = aead_encrypt(NTMC_AES_256_GCM, &k, nonce, NULL, 0, share->b,
			 sizeof(share->b), out);
	ntmc_key_clear(&k);
	return r;
}

int group_part_open(const struct group_entry *e, uint32_t index,
		    const uint8_t sealer[static NTMC_KEY_LEN],
		    const struct ntmc_key *prekey,
		    const uint8_t prekey_pub[static NTMC_KEY_LEN],
		    const uint8_t part[static GROUP_PART_LEN],
		    struct ntmc_key *share)
{
	struct ntmc_key k, got = {{0}};
	int r;

	r = part_key(e->id, e->epoch, e->generation, index, sealer, prekey_pub,
		     prekey, sealer, &k);
	if (r)
		return r;
	r = aead_decrypt(NTMC_AES_256_GCM, &k, nonce, NULL, 0, part,
			 GROUP_PART_LEN, got.b);
	if (!r)
		*share = got;
	ntmc_key_clear(&k);
	ntmc_key_clear(&got);
	return r;
}

/* --- RN2 ------------------------------------------------------------------------- */

static void rn2_hash(const struct ntmc_key *rn2, uint8_t *out)
{
	uint8_t text[64];
	struct wire_out w = wire_out(text, sizeof(text));

	wire_put_label(&w, "ntm group rn2 v1");
	wire_put(&w, rn2->b, sizeof(rn2->b));
	ntmc_sha256(text, w.len, out);
	ntmc_wipe(text, sizeof(text));
}

/* the label and all of a seal before its signature */
static size_t seal_text(const uint8_t *seal, uint8_t *text, size_t size)
{
	struct wire_out w = wire_out(text, size);

	wire_put_label(&w, "ntm group seal v1");
	wire_put(&w, seal, SEAL_BODY);
	return w.len;
}

int group_seal_make(const struct ntmc_identity *id, const struct group *g,
		    const struct ntmc_key *rn2, int64_t not_before,
		    int64_t not_after, uint8_t out[static GROUP_SEAL_LEN])
{
	uint8_t text[32 + SEAL_BODY], hash[NTMC_HASH_LEN];
	struct wire_out w = wire_out(out, GROUP_SEAL_LEN);

	if (not_before < 0 || not_after <= not_before)
		return -NTM_EINVAL;
	rn2_hash(rn2, hash);
	wire_put(&w, g->id, sizeof(g->id));
	wire_put_number(&w, g->epoch, 8);
	wire_put_number(&w, g->generation, 4);
	wire_put(&w, g->hash, sizeof(g->hash));
	wire_put(&w, hash, sizeof(hash));
	wire_put_number(&w, (uint64_t)not_before, 8);
	wire_put_number(&w, (uint64_t)not_after, 8);
	ntmc_ed25519_sign(&id->ed_priv, id->ed_pub, text,
			  seal_text(out, text, sizeof(text)), out + SEAL_BODY);
	return 0;
}

/* struct seal - what it says; pointers lead into it */
struct seal {
	const uint8_t *id, *hash, *rn2;
	uint64_t epoch;
	uint32_t generation;
	int64_t not_before, not_after;
};

static void seal_get(const uint8_t *b, struct seal *s)
{
	struct wire_in w = wire_in(b, SEAL_BODY);

	s->id = wire_take(&w, GROUP_ID_LEN);
	s->epoch = wire_get_number(&w, 8);
	s->generation = (uint32_t)wire_get_number(&w, 4);
	s->hash = wire_take(&w, NTMC_HASH_LEN);
	s->rn2 = wire_take(&w, NTMC_HASH_LEN);
	s->not_before = (int64_t)wire_get_number(&w, 8);
	s->not_after = (int64_t)wire_get_number(&w, 8);
}

static int seal_verify(const struct group *g, const uint8_t *seal)
{
	uint8_t text[32 + SEAL_BODY];

	return ntmc_ed25519_verify(g->server_key, text,
				   seal_text(seal, text, sizeof(text)),
				   seal + SEAL_BODY);
}

int group_seal_read(const struct group *g, const uint8_t *seal, size_t len,
		    uint64_t *epoch, uint8_t hash[static NTMC_HASH_LEN])
{
	struct seal s;

	if (len != GROUP_SEAL_LEN)
		return -NTM_EDECODE;
	seal_get(seal, &s);
	if (memcmp(s.id, g->id, GROUP_ID_LEN))
		return -NTM_ENOTFOUND;
	if (seal_verify(g, seal))
		return -NTM_EAUTH;
	*epoch = s.epoch;
	memcpy(hash, s.hash, NTMC_HASH_LEN);
	return 0;
}

#define CLOCK_MAX ((int64_t)1 << 52)

/* @read: its signature has been verified */
static int seal_check(const struct group *g, const uint8_t *seal,
		      const struct ntmc_key *rn2, int64_t now, bool read,
		      int64_t *not_after)
{
	uint8_t hash[NTMC_HASH_LEN];
	struct seal s;
	int64_t end;

	seal_get(seal, &s);
	if (memcmp(s.id, g->id, GROUP_ID_LEN))
		return -NTM_ENOTFOUND;
	if (s.epoch != g->epoch)
		return s.epoch < g->epoch ? -NTM_ESTATE : -NTM_EAGAIN;
	if (!read && seal_verify(g, seal))
		return -NTM_EAUTH;
	/* signed by the GMS, so this is its own doing */
	if (memcmp(s.hash, g->hash, NTMC_HASH_LEN) ||
	    s.generation != g->generation)
		return -NTM_EFORK;
	rn2_hash(rn2, hash);
	if (!ntmc_equal(hash, s.rn2, sizeof(hash)))
		return -NTM_EAUTH;
	/* far from what can overflow */
	if (now < 0 || now > CLOCK_MAX || s.not_before > now + GROUP_CLOCK_S)
		return -NTM_ECLOCK;
	if (s.not_after <= now)
		return -NTM_EEXPIRED;
	/* how long, the members have decided: the GMS may say less */
	end = now + g->policy.max_age_s;
	*not_after = s.not_after < end ? s.not_after : end;
	return 0;
}

int group_seal_check(const struct group *g, const uint8_t *seal, size_t len,
		     const struct ntmc_key *rn2, int64_t now,
		     int64_t *not_after)
{
	if (len != GROUP_SEAL_LEN)
		return -NTM_EDECODE;
	return seal_check(g, seal, rn2, now, false, not_after);
}

int group_seal_check_read(const struct group *g,
			  const uint8_t seal[static GROUP_SEAL_LEN],
			  const struct ntmc_key *rn2, int64_t now,
			  int64_t *not_after)
{
	return seal_check(g, seal, rn2, now, true, not_after);
}

int64_t group_seal_since(const uint8_t seal[static GROUP_SEAL_LEN])
{
	struct seal s;

	seal_get(seal, &s);
	return s.not_before;
}

bool group_seals_conflict(const struct group *g,
			  const uint8_t a[static GROUP_SEAL_LEN],
			  const uint8_t b[static GROUP_SEAL_LEN])
{
	struct seal x, y;

	seal_get(a, &x);
	seal_get(b, &y);
	/* its times may be told anew: only past and RN2 may not differ */
	return !memcmp(x.id, y.id, GROUP_ID_LEN) && x.epoch == y.epoch &&
	       (memcmp(x.hash, y.hash, NTMC_HASH_LEN) ||
		memcmp(x.rn2, y.rn2, NTMC_HASH_LEN)) &&
	       !seal_verify(g, a) && !seal_verify(g, b);
}

/* --- the epoch's keys ---------------------------------------------------------------- */

void group_keys_clear(struct group_keys *k)
{
	ntmc_wipe(k, sizeof(*k));
}

static void subkey(const uint8_t *gk, const char *label,
		   const struct group_keys *k, struct ntmc_key *out)
{
	uint8_t text[96];
	struct wire_out info = wire_out(text, sizeof(text));

	wire_put_name(&info, label);
	wire_put(&info, k->id, sizeof(k->id));
	wire_put_number(&info, k->epoch, 8);
	expand(gk, &info, out->b, sizeof(out->b));
}

void group_relay_derive(const struct ntmc_key *rn2,
			const uint8_t id[static GROUP_ID_LEN], uint64_t epoch,
			struct ntmc_key *relay,
			uint8_t tag[static GROUP_TAG_LEN])
{
	uint8_t text[96], both[NTMC_KEY_LEN + GROUP_TAG_LEN];
	struct wire_out info = wire_out(text, sizeof(text));

	wire_put_name(&info, "ntm group relay v1");
	wire_put(&info, id, GROUP_ID_LEN);
	wire_put_number(&info, epoch, 8);
	expand(rn2->b, &info, both, sizeof(both));
	memcpy(relay->b, both, sizeof(relay->b));
	memcpy(tag, both + NTMC_KEY_LEN, GROUP_TAG_LEN);
	ntmc_wipe(both, sizeof(both));
}

int group_keys_derive(const struct group_secret *s, const struct group *g,
		      const struct ntmc_key *rn2, struct group_keys *out)
{
	uint8_t text[256], prk[NTMC_HASH_LEN], gk[NTMC_KEY_LEN];
	struct wire_out ctx = wire_out(text, sizeof(text));

	if (memcmp(s->id, g->id, sizeof(s->id)) || s->epoch != g->epoch ||
	    s->generation != g->generation)
		return -NTM_ESTATE;
	memcpy(out->id, s->id, sizeof(out->id));
	out->epoch = s->epoch;
	memcpy(out->hash, g->hash, sizeof(out->hash));
	wire_put_name(&ctx, "ntm group v1");
	wire_put(&ctx, s->id, sizeof(s->id));
	wire_put_name(&ctx, s->name);
	wire_put_number(&ctx, s->epoch, 8);
	wire_put_number(&ctx, s->generation, 4);
	wire_put(&ctx, g->hash, sizeof(g->hash));
	extract(rn2->b, sizeof(rn2->b), &s->rn1, prk);
	expand(prk, &ctx, gk, sizeof(gk));
	subkey(gk, "ntm group confirm v1", out, &out->confirm);
	subkey(gk, "ntm group control v1", out, &out->control);
	subkey(gk, "ntm group data v1", out, &out->data);
	subkey(gk, "ntm group export v1", out, &out->exporter);
	group_relay_derive(rn2, s->id, s->epoch, &out->relay, out->tag);
	ntmc_wipe(prk, sizeof(prk));
	ntmc_wipe(gk, sizeof(gk));
	return 0;
}

void group_confirm(const struct group_keys *k, uint32_t index,
		   uint8_t tag[static GROUP_CONFIRM_LEN])
{
	uint8_t text[96], mac[NTMC_HASH_LEN];
	struct wire_out w = wire_out(text, sizeof(text));

	wire_put_label(&w, "ntm group confirmation v1");
	wire_put(&w, k->hash, sizeof(k->hash));
	wire_put_number(&w, index, 4);
	ntmc_hmac(k->confirm.b, sizeof(k->confirm.b), text, w.len, mac);
	memcpy(tag, mac, GROUP_CONFIRM_LEN);
}

int group_confirmed(const struct group_keys *k, uint32_t index,
		    const uint8_t tag[static GROUP_CONFIRM_LEN])
{
	uint8_t want[GROUP_CONFIRM_LEN];

	group_confirm(k, index, want);
	return ntmc_equal(want, tag, sizeof(want)) ? 0 : -NTM_EAUTH;
}

int group_verify_code(const struct group_keys *k, const struct group *g,
		      char text[static NTMC_VERIFY_TEXT_LEN])
{
	uint8_t msg[96], h[NTMC_HASH_LEN];
	struct wire_out w = wire_out(msg, sizeof(msg));
	struct ntmc_digest *d;
	size_t i;
	int r = ntmc_digest_new(&d);

	if (r)
		return r;
	for (i = 0; i < g->n; i++)
		ntmc_digest_add(d, g->members[i].ed_pub, NTMC_KEY_LEN);
	ntmc_digest_end(d, h);
	ntmc_digest_free(d);
	wire_put_label(&w, "ntm group verify v1");
	wire_put(&w, k->hash, sizeof(k->hash));
	wire_put(&w, h, sizeof(h));
	ntmc_hmac(k->confirm.b, sizeof(k->confirm.b), msg, w.len, h);
	ntmc_digits(h, text);
	return 0;
}

int group_export(const struct group_keys *k, const char *label,
		 const void *context, size_t context_len, void *out, size_t len)
{
	uint8_t text[1024];
	struct wire_out info = wire_out(text, sizeof(text));

	wire_put_name(&info, "ntm group export v1");
	wire_put_name(&info, label);
	wire_put_lp(&info, context, context_len);
	if (info.full || !*label || !len)
		return -NTM_EINVAL;
	return ntmc_hkdf_expand(k->exporter.b, text, info.len, out, len);
}

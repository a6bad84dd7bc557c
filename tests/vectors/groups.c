/* SPDX-License-Identifier: MIT */
/* groups - of docs/vectors.txt: log, keys, parts and packets of a group (docs/groups.md) */
#include "tests/vectors/vectors.h"

#include <assert.h>
#include <string.h>

#include "libntmcrypto/groupinvite.h"
#include "libntmcrypto/groupnode.h"
#include "libntmcrypto/grouppacket.h"

#define NOW  1800000000 /* some second in 2027 */
#define DAY  86400
#define TEXT "said to the band"

struct world {
	uint8_t fill;
	struct ntmc_env env;
	struct ntmc_identity a, b, gms;
	uint8_t id[GROUP_ID_LEN], entry[GROUP_ENTRY_MAX];
	size_t len;
	struct group *g;
	struct group_secret secret;
	struct group_keys keys;
	struct ntmc_key share, rn2, prekey_priv;
	struct group_prekey prekey;
};

static void count(void *ctx, void *buf, size_t len)
{
	struct world *w = ctx;
	uint8_t *b = buf;

	while (len--)
		*b++ = w->fill++;
}

static int64_t now(void *ctx)
{
	(void)ctx;
	return NOW;
}

/* an entry, what is the log's end then, and RN1 */
static void next(FILE *out, vectors_hex_fn *hex, struct world *w,
		 const char *name, const struct ntmc_identity *id,
		 struct group_change *c)
{
	struct group_entry e;
	int r;

	ntmc_key_random(&w->env, &w->share);
	c->share = &w->share;
	r = group_make(&w->env, w->g, id, c, w->entry, &w->len, NULL);
	assert(!r);
	r = group_apply(w->g, w->entry, w->len, NULL);
	assert(!r);
	r = group_entry_get(w->entry, w->len, &e);
	assert(!r);
	if (c->kind == GROUP_CREATE)
		r = group_secret_first(&w->secret, w->id, "band", &w->share);
	else
		r = group_secret_step(&w->secret, &e, &w->share);
	assert(!r);
	fprintf(out, "\nname: group, %s entry\n", name);
	hex(out, "entry", w->entry, w->len);
	hex(out, "transcript hash", group_hash(w->g), NTMC_HASH_LEN);
	if (e.commitment)
		hex(out, "fresh share", w->share.b, NTMC_KEY_LEN);
	hex(out, "RN1", w->secret.rn1.b, NTMC_KEY_LEN);
}

static void write_log(FILE *out, vectors_hex_fn *hex, struct world *w)
{
	struct group_joiner j = {.token = {1, 2, 3},
				 .rights = GROUP_MAY_INVITE,
				 .fqdn = "desk.bob.example.net"};
	struct group_change create = {.kind = GROUP_CREATE,
				      .id = w->id,
				      .server_key = w->gms.ed_pub,
				      .server = "gms.example.org",
				      .fqdn = "laptop.ann.example.org",
				      .policy = &group_policy_default};
	struct group_change add = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	struct group_change renew = {.kind = GROUP_RENEW};
	struct group_change refresh = {.kind = GROUP_REFRESH};

	memcpy(j.ed_pub, w->b.ed_pub, sizeof(j.ed_pub));
	next(out, hex, w, "create", &w->a, &create);
	next(out, hex, w, "add", &w->a, &add);
	next(out, hex, w, "renew", &w->gms, &renew);
	next(out, hex, w, "refresh", &w->a, &refresh);
}

/* of the refresh entry, for the member of index 1 */
static void write_part(FILE *out, vectors_hex_fn *hex, struct world *w)
{
	uint8_t b[GROUP_PREKEY_LEN], part[GROUP_PART_LEN];
	struct group_sealer s;
	int r;

	ntmc_x25519_keygen(&w->env, &w->prekey_priv, w->prekey.pub);
	w->prekey.serial = 1;
	group_prekey_sign(&w->b, w->id, &w->prekey);
	group_prekey_put(&w->prekey, b);
	group_sealer_open(&w->env, w->id, group_epoch(w->g),
			  group_generation(w->g), &s);
	r = group_part_seal(&s, 1, w->prekey.pub, &w->share, part);
	assert(!r);
	fprintf(out, "\nname: group, part\n");
	hex(out, "group prekey", b, sizeof(b));
	hex(out, "its private key", w->prekey_priv.b, NTMC_KEY_LEN);
	hex(out, "ephemeral private key", s.priv.b, NTMC_KEY_LEN);
	hex(out, "ephemeral", s.pub, sizeof(s.pub));
	hex(out, "part", part, sizeof(part));
	group_sealer_clear(&s);
}

static void write_keys(FILE *out, vectors_hex_fn *hex, struct world *w)
{
	uint8_t seal[GROUP_SEAL_LEN], tag[GROUP_CONFIRM_LEN], exported[16];
	uint8_t welcome[GROUP_WELCOME_MAX], sealed[GROUP_RN2_SEALED_LEN];
	struct group_rn2_place at = {.epoch = 9, .index = 1};
	struct ntmc_key kngms;
	char code[NTMC_VERIFY_TEXT_LEN];
	int r;

	ntmc_key_random(&w->env, &w->rn2);
	r = group_seal_make(&w->gms, w->g, &w->rn2, NOW, NOW + 7200, seal);
	assert(!r);
	r = group_keys_derive(&w->secret, w->g, &w->rn2, &w->keys);
	assert(!r);
	fprintf(out, "\nname: group, keys\n");
	hex(out, "RN2", w->rn2.b, NTMC_KEY_LEN);
	hex(out, "seal", seal, sizeof(seal));
	hex(out, "K_confirm", w->keys.confirm.b, NTMC_KEY_LEN);
	hex(out, "K_control", w->keys.control.b, NTMC_KEY_LEN);
	hex(out, "K_data", w->keys.data.b, NTMC_KEY_LEN);
	hex(out, "K_export", w->keys.exporter.b, NTMC_KEY_LEN);
	hex(out, "K_relay", w->keys.relay.b, NTMC_KEY_LEN);
	hex(out, "tag", w->keys.tag, sizeof(w->keys.tag));
	r = group_node_key(&w->rn2, 77, w->b.ed_pub, &kngms);
	assert(!r);
	r = group_rn2_seal(&w->env, &kngms, &at, &w->rn2, sealed);
	assert(!r);
	hex(out, "Kngms of Node ID 77 under a key that is RN2", kngms.b,
	    sizeof(kngms.b));
	hex(out, "RN2 sealed for 1, epoch 9, group of zeros", sealed,
	    sizeof(sealed));
	group_confirm(&w->keys, 1, tag);
	hex(out, "confirmation of 1", tag, sizeof(tag));
	r = group_verify_code(&w->keys, w->g, code);
	assert(!r);
	fprintf(out, "verify code: %s\n", code);
	r = group_export(&w->keys, "test", "context", 7, exported,
			 sizeof(exported));
	assert(!r);
	hex(out, "export, \"test\", \"context\"", exported, sizeof(exported));
	hex(out, "welcome", welcome,
	    group_welcome_put(&w->secret, group_hash(w->g), welcome));
}

static void write_packet(FILE *out, vectors_hex_fn *hex, struct world *w,
			 const char *name, enum group_auth auth,
			 unsigned int flags)
{
	uint8_t b[sizeof(TEXT) - 1 + GROUP_PACKET_MORE];
	struct group_sender *s;
	size_t len;
	int r;

	r = group_sender_new(&w->env, &w->keys, &w->a, 0, auth, &s);
	assert(!r);
	memcpy(b + GROUP_PACKET_HEADER, TEXT, sizeof(TEXT) - 1);
	r = group_sender_seal(s, flags, b, sizeof(TEXT) - 1, &len);
	assert(!r && !(b[3] & GROUP_PACKET_CHACHA));
	fprintf(out, "\nname: group packet, %s\n", name);
	hex(out, "plaintext", TEXT, sizeof(TEXT) - 1);
	hex(out, "packet", b, len);
	group_sender_free(s);
}

static void write_invite(FILE *out, vectors_hex_fn *hex, struct world *w)
{
	struct group_invite i = {.name = "band",
				 .server = "gms.example.org",
				 .ways = "192.0.2.1:4509",
				 .inviter = "laptop.ann.example.org",
				 .invitee = "desk.bob.example.net",
				 .rights = GROUP_MAY_INVITE,
				 .expires = NOW + 30 * DAY,
				 .token = {1, 2, 3}};
	struct group_accept a = {.token = {1, 2, 3}, .prekey = w->prekey};
	uint8_t b[GROUP_INVITE_MAX];
	size_t len;
	int r;

	memcpy(i.id, w->id, sizeof(i.id));
	memcpy(a.id, w->id, sizeof(a.id));
	memcpy(i.server_key, w->gms.ed_pub, NTMC_KEY_LEN);
	memcpy(i.inviter_key, w->a.ed_pub, NTMC_KEY_LEN);
	memcpy(i.invitee_key, w->b.ed_pub, NTMC_KEY_LEN);
	r = group_invite_make(&w->a, &i, b, &len);
	assert(!r);
	fprintf(out, "\nname: group, invite and acceptance\n");
	hex(out, "invite", b, len);
	group_accept_make(&w->b, &a, b);
	hex(out, "acceptance", b, GROUP_ACCEPT_LEN);
}

void vectors_write_groups(FILE *out, vectors_hex_fn *hex)
{
	struct world w = {.fill = 1};
	int r;

	w.env = (struct ntmc_env){count, now, &w};
	ntmc_identity_new(&w.env, &w.a);
	ntmc_identity_new(&w.env, &w.b);
	ntmc_identity_new(&w.env, &w.gms);
	ntmc_random(&w.env, w.id, sizeof(w.id));
	r = group_new(&w.g);
	assert(!r);
	fprintf(out, "\nname: group, identities\n");
	hex(out, "GroupID", w.id, sizeof(w.id));
	hex(out, "founder's private", w.a.ed_priv.b, NTMC_KEY_LEN);
	hex(out, "member's private", w.b.ed_priv.b, NTMC_KEY_LEN);
	hex(out, "GMS's private", w.gms.ed_priv.b, NTMC_KEY_LEN);
	write_log(out, hex, &w);
	write_part(out, hex, &w);
	write_keys(out, hex, &w);
	write_packet(out, hex, &w, "mac, to a relay", GROUP_AUTH_MAC,
		     GROUP_PACKET_HOP);
	write_packet(out, hex, &w, "sign", GROUP_AUTH_SIGN, 0);
	write_packet(out, hex, &w, "control", GROUP_AUTH_MAC,
		     GROUP_PACKET_CONTROL);
	write_invite(out, hex, &w);
	group_free(w.g);
}

/* SPDX-License-Identifier: MIT */
/* crypto_seeds - write the seeds of fuzz_cert, fuzz_noise, fuzz_item and fuzz_group into
 * tests/fuzz/corpus */
#include <stdio.h>

#include "tests/fuzz/crypto_keys.h"
#include "tests/fuzz/group_keys.h"

static void put(const char *name, const uint8_t *data, size_t len)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "tests/fuzz/corpus/%s", name);
	f = fopen(path, "wb");
	if (!f || fwrite(data, 1, len, f) != len || fclose(f)) {
		perror(path);
		exit(1);
	}
}

static void must(int ok)
{
	if (!ok)
		abort();
}

static void certs(void)
{
	uint8_t fill = 8, prefix6[16], der[NTMC_CERT_MAX];
	struct ntmc_env env = fuzz_env(&fill);
	struct ntmc_ca *ca = fuzz_ca(prefix6);
	struct ntmc_cert node = {.kind = NTMC_CERT_NODE,
				 .fqdn = "alice.example.net",
				 .vip4 = {198, 18, 0, 9}};
	struct ntmc_cert server = {.kind = NTMC_CERT_SERVER,
				   .fqdn = "dc.example.net",
				   .roles = NTMC_ROLE_AS | NTMC_ROLE_DC};
	struct ntmc_identity id;
	size_t len = sizeof(der);

	must(!ntmc_ca_der(ca, der, &len));
	put("cert/ca", der, len);
	ntmc_identity_new(&env, &id);
	memcpy(node.ed_pub, id.ed_pub, sizeof(node.ed_pub));
	memcpy(node.x_pub, id.x_pub, sizeof(node.x_pub));
	ntmc_static_sign(&id, node.x_sig);
	memcpy(node.vip6, prefix6, 8);
	node.vip6[15] = 9;
	len = sizeof(der);
	must(!ntmc_ca_issue(&env, ca, &node, FUZZ_NOW, FUZZ_NOW + FUZZ_DAY, der,
			    &len));
	put("cert/node", der, len);
	memcpy(server.ed_pub, id.ed_pub, sizeof(server.ed_pub));
	len = sizeof(der);
	must(!ntmc_ca_issue(&env, ca, &server, FUZZ_NOW, FUZZ_NOW + FUZZ_DAY,
			    der, &len));
	put("cert/server", der, len);
	ntmc_ca_free(ca);
}

/* message 1 for every responder, message 2 for the IKpsk2 initiators */
static void noises(void)
{
	for (unsigned int s = 0; s < 4; s++) {
		uint8_t fill_i = 3, fill_r = 4, msg[256], out[64];
		struct ntmc_env env_i = fuzz_env(&fill_i);
		struct ntmc_env env_r = fuzz_env(&fill_r);
		struct ntmc_noise *i = fuzz_noise_open(s | 4, &env_i);
		struct ntmc_noise *r = fuzz_noise_open(s, &env_r);
		char name[32];
		size_t len, got;

		msg[0] = (uint8_t)s;
		must(!ntmc_noise_write(i, "hi", 2, msg + 1, 255, &len));
		snprintf(name, sizeof(name), "noise/msg1-%u", s);
		put(name, msg, 1 + len);
		must(!ntmc_noise_read(r, msg + 1, len, out, 64, &got));
		if (!(s & 1)) {
			msg[0] = (uint8_t)(s | 4);
			must(!ntmc_noise_write(r, "ok", 2, msg + 1, 255, &len));
			snprintf(name, sizeof(name), "noise/msg2-%u", s);
			put(name, msg, 1 + len);
		}
		ntmc_noise_free(i);
		ntmc_noise_free(r);
	}
}

/* what fuzz_item opens: a sealed key, the same under T, a blob, a state, a receipt */
static void items(void)
{
	uint8_t msg[4096], wrapped[ITEM_KEY_MAX];
	struct fuzz_item f;
	struct blob_state st;
	struct receipt r;
	struct blob *b;
	size_t len, n;

	fuzz_item_open(&f);
	must(!item_key_wrap(&f.env, &f.sender, f.der, f.der_len, &f.names,
			    &f.prekey, &f.k, NULL, wrapped, &len));
	msg[0] = 0;
	memcpy(msg + 1, wrapped, len);
	put("item/key", msg, 1 + len);
	msg[0] = 1;
	must(!item_temporal_seal(&f.k, f.item, wrapped, len, msg + 1, &n));
	put("item/temporal", msg, 1 + n);
	msg[0] = 2;
	must(!blob_seal_new(NTMC_AES_256_GCM, &f.k, f.item, 5, &b));
	blob_header(b, msg + 1);
	memcpy(msg + 1 + BLOB_HEADER, "hello", 5);
	must(!blob_seal_chunk(b, msg + 1 + BLOB_HEADER, 5));
	must(!blob_seal_end(b, &f.sender, f.names.sender,
			    msg + 1 + blob_at(b)));
	put("item/blob", msg, 1 + blob_size(5));
	blob_save(b, &st);
	msg[0] = 3;
	memcpy(msg + 1, st.b, sizeof(st.b));
	put("item/state", msg, 1 + sizeof(st.b));
	blob_free(b);
	msg[0] = 4;
	r = fuzz_item_receipt(&f);
	must(!receipt_sign(&f.sender, &f.k, &r, msg + 1));
	put("item/receipt", msg, 1 + RECEIPT_LEN);
	fuzz_item_close(&f);
}

/* one entry of each kind that the founder, or the GMS, may write */
static void group_entries(struct fuzz_group *f)
{
	static uint8_t b[1 + GROUP_ENTRY_MAX];
	struct group_joiner j = {.token = {10}, .fqdn = "c.example.net"};
	uint32_t gone = 1;
	struct group_leave leave;
	struct group_change all[] = {
		{.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1},
		{.kind = GROUP_REMOVE,
		 .reason = GROUP_REMOVED,
		 .gone = &gone,
		 .n_gone = 1},
		{.kind = GROUP_REMOVE, .reason = GROUP_LEFT, .leave = &leave},
		{.kind = GROUP_REFRESH},
		{.kind = GROUP_RENEW},
		{.kind = GROUP_RIGHTS, .index = 1, .rights = GROUP_ADMIN},
		{.kind = GROUP_POLICY, .policy = &group_policy_default},
		{.kind = GROUP_MOVE, .server = "gms.example.org"},
	};
	char name[32];
	size_t i, len;

	memcpy(j.ed_pub, f->gms.ed_pub, sizeof(j.ed_pub));
	group_leave_sign(&f->p[1], f->g, 1, &leave);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		all[i].share = &f->share;
		all[i].server_key = f->p[0].ed_pub;
		must(!group_make(&f->env, f->g,
				 all[i].kind == GROUP_RENEW ? &f->gms
							    : &f->p[0],
				 &all[i], b + 1, &len, NULL));
		b[0] = i & 1;
		snprintf(name, sizeof(name), "group/entry-%zu", i);
		put(name, b, 1 + len);
	}
}

static void group_packets(struct fuzz_group *f, enum group_auth auth,
			  unsigned int flags, const char *name)
{
	uint8_t b[1 + GROUP_BATCH_LEN];
	struct group_sender *s;
	size_t len;

	must(!group_sender_new(&f->env, &f->keys, &f->p[1], 1, auth, &s));
	b[0] = 3;
	memcpy(b + 1 + GROUP_PACKET_HEADER, "hello", 5);
	must(!group_sender_seal(s, flags, b + 1, 5, &len));
	if (auth == GROUP_AUTH_BATCH)
		must(!group_sender_batch(s, flags, b + 1, &len));
	put(name, b, 1 + len);
	group_sender_free(s);
}

/* what members tell each other and the GMS of themselves */
static void group_people(struct fuzz_group *f)
{
	struct group_rn2_place at = {.epoch = 2, .index = 1};
	uint8_t b[1 + NTMC_KEY_LEN + 256];
	struct group_sealer sealer;
	struct group_leave leave;

	b[0] = 8;
	group_prekey_put(&f->prekey, b + 1);
	put("group/prekey", b, 1 + GROUP_PREKEY_LEN);
	b[0] = 9;
	group_sealer_open(&f->env, f->id, 3, group_generation(f->g) + 1,
			  &sealer);
	memcpy(b + 1, sealer.pub, NTMC_KEY_LEN);
	must(!group_part_seal(&sealer, 1, f->prekey.pub, &f->share,
			      b + 1 + NTMC_KEY_LEN));
	put("group/part", b, 1 + NTMC_KEY_LEN + GROUP_PART_LEN);
	b[0] = 10;
	memcpy(at.group, f->id, sizeof(at.group));
	must(!group_rn2_seal(&f->env, &f->share, &at, &f->rn2, b + 1));
	put("group/rn2", b, 1 + GROUP_RN2_SEALED_LEN);
	b[0] = 11;
	b[1] = 1;
	group_leave_sign(&f->p[1], f->g, 1, &leave);
	memcpy(b + 2, leave.sig, sizeof(leave.sig));
	put("group/leave", b, 2 + sizeof(leave.sig));
	b[0] = 12;
	group_confirm(&f->keys, 1, b + 1);
	put("group/confirmation", b, 1 + GROUP_CONFIRM_LEN);
}

static void groups(void)
{
	uint8_t b[2048];
	struct fuzz_group f;
	struct group_accept a;
	struct ntmc_key priv;
	size_t len;

	fuzz_group_open(&f);
	group_entries(&f);
	b[0] = 2;
	must(!group_save(f.g, b + 1, sizeof(b) - 1, &len));
	put("group/saved", b, 1 + len);
	group_packets(&f, GROUP_AUTH_MAC, GROUP_PACKET_HOP, "group/packet");
	group_packets(&f, GROUP_AUTH_MAC, GROUP_PACKET_CONTROL,
		      "group/control");
	group_packets(&f, GROUP_AUTH_BATCH, 0, "group/batch");
	b[0] = 4;
	must(!group_invite_make(&f.p[0], &f.invite, b + 1, &len));
	put("group/invite", b, 1 + len);
	memcpy(a.id, f.id, sizeof(a.id));
	memcpy(a.token, f.invite.token, sizeof(a.token));
	ntmc_x25519_keygen(&f.env, &priv, a.prekey.pub);
	a.prekey.serial = 1;
	group_prekey_sign(&f.p[1], f.id, &a.prekey);
	b[0] = 5;
	group_accept_make(&f.p[1], &a, b + 1);
	put("group/accept", b, 1 + GROUP_ACCEPT_LEN);
	b[0] = 6;
	len = group_welcome_put(&f.secret, group_hash(f.g), b + 1);
	put("group/welcome", b, 1 + len);
	b[0] = 7;
	must(!group_seal_make(&f.gms, f.g, &f.rn2, FUZZ_NOW,
			      FUZZ_NOW + FUZZ_DAY, b + 1));
	put("group/seal", b, 1 + GROUP_SEAL_LEN);
	group_people(&f);
	group_receiver_free(f.rx);
	group_free(f.g);
}

int main(void)
{
	certs();
	noises();
	items();
	groups();
	return 0;
}

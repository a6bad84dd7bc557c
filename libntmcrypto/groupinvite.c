/* SPDX-License-Identifier: MIT */
/* groupinvite - an invitation to a group, and its acceptance */
#include "libntmcrypto/groupinvite.h"

#include <string.h>

#include "libntmcrypto/wire.h"
#include "libntmcrypto/x509.h"

#define VERSION 1

/* what is signed: the label and @body */
static size_t signed_text(const char *label, const uint8_t *body, size_t len,
			  uint8_t *text, size_t size)
{
	struct wire_out w = wire_out(text, size);

	wire_put_label(&w, label);
	wire_put(&w, body, len);
	return w.len;
}

static bool invite_ok(const struct group_invite *i)
{
	return group_name_ok(i->name) && x509_name_ok(i->server) &&
	       x509_name_ok(i->inviter) && x509_name_ok(i->invitee) &&
	       i->ways[0] && i->rights <= GROUP_ALL_RIGHTS && i->expires > 0 &&
	       ntmc_ed25519_public_ok(i->server_key) &&
	       ntmc_ed25519_public_ok(i->inviter_key) &&
	       ntmc_ed25519_public_ok(i->invitee_key);
}

int group_invite_make(const struct ntmc_identity *inviter,
		      const struct group_invite *i,
		      uint8_t out[static GROUP_INVITE_MAX], size_t *len)
{
	struct wire_out w = wire_out(out, GROUP_INVITE_MAX);
	uint8_t text[32 + GROUP_INVITE_MAX], sig[NTMC_SIG_LEN];
	size_t n;

	if (!invite_ok(i) ||
	    memcmp(i->inviter_key, inviter->ed_pub, NTMC_KEY_LEN))
		return -NTM_EINVAL;
	wire_put_number(&w, VERSION, 1);
	wire_put(&w, i->id, sizeof(i->id));
	wire_put_name(&w, i->name);
	wire_put(&w, i->server_key, sizeof(i->server_key));
	wire_put_name(&w, i->server);
	wire_put_name(&w, i->ways);
	wire_put(&w, i->inviter_key, sizeof(i->inviter_key));
	wire_put_name(&w, i->inviter);
	wire_put(&w, i->invitee_key, sizeof(i->invitee_key));
	wire_put_name(&w, i->invitee);
	wire_put_number(&w, i->rights, 1);
	wire_put_number(&w, (uint64_t)i->expires, 8);
	wire_put(&w, i->token, sizeof(i->token));
	n = signed_text("ntm group invite v1", out, w.len, text, sizeof(text));
	ntmc_ed25519_sign(&inviter->ed_priv, inviter->ed_pub, text, n, sig);
	wire_put(&w, sig, sizeof(sig));
	*len = w.len;
	return 0;
}

static int invite_read(const uint8_t *b, size_t len, struct group_invite *i)
{
	struct wire_in w = wire_in(b, len);

	memset(i, 0, sizeof(*i));
	if (len > GROUP_INVITE_MAX || wire_get_number(&w, 1) != VERSION)
		return -NTM_EDECODE;
	wire_get(&w, i->id, sizeof(i->id));
	wire_get_name(&w, i->name, sizeof(i->name));
	wire_get(&w, i->server_key, sizeof(i->server_key));
	wire_get_name(&w, i->server, sizeof(i->server));
	wire_get_name(&w, i->ways, sizeof(i->ways));
	wire_get(&w, i->inviter_key, sizeof(i->inviter_key));
	wire_get_name(&w, i->inviter, sizeof(i->inviter));
	wire_get(&w, i->invitee_key, sizeof(i->invitee_key));
	wire_get_name(&w, i->invitee, sizeof(i->invitee));
	i->rights = (uint8_t)wire_get_number(&w, 1);
	i->expires = (int64_t)wire_get_number(&w, 8);
	wire_get(&w, i->token, sizeof(i->token));
	wire_take(&w, NTMC_SIG_LEN);
	return wire_ends(&w) && invite_ok(i) ? 0 : -NTM_EDECODE;
}

int group_invite_open(const uint8_t *b, size_t len, struct group_invite *out)
{
	uint8_t text[32 + GROUP_INVITE_MAX];
	struct group_invite i;
	size_t n;
	int r = invite_read(b, len, &i);

	if (r)
		return r;
	n = signed_text("ntm group invite v1", b, len - NTMC_SIG_LEN, text,
			sizeof(text));
	if (ntmc_ed25519_verify(i.inviter_key, text, n, b + len - NTMC_SIG_LEN))
		return -NTM_EAUTH;
	*out = i;
	return 0;
}

int group_invite_get(const uint8_t *b, size_t len,
		     const uint8_t me[static NTMC_KEY_LEN], int64_t now,
		     struct group_invite *out)
{
	struct group_invite i;
	int r = group_invite_open(b, len, &i);

	if (r)
		return r;
	if (memcmp(i.invitee_key, me, NTMC_KEY_LEN))
		return -NTM_ENOTOURS;
	if (i.expires <= now)
		return -NTM_EEXPIRED;
	if (i.expires - now > GROUP_INVITE_LIFE_S + GROUP_CLOCK_S)
		return -NTM_ECLOCK;
	*out = i;
	return 0;
}

void group_accept_make(const struct ntmc_identity *invitee,
		       const struct group_accept *a,
		       uint8_t out[static GROUP_ACCEPT_LEN])
{
	struct wire_out w = wire_out(out, GROUP_ACCEPT_LEN);
	uint8_t text[32 + GROUP_ACCEPT_LEN], sig[NTMC_SIG_LEN];
	uint8_t prekey[GROUP_PREKEY_LEN];
	size_t n;

	group_prekey_put(&a->prekey, prekey);
	wire_put_number(&w, VERSION, 1);
	wire_put(&w, a->id, sizeof(a->id));
	wire_put(&w, a->token, sizeof(a->token));
	wire_put(&w, prekey, sizeof(prekey));
	n = signed_text("ntm group accept v1", out, w.len, text, sizeof(text));
	ntmc_ed25519_sign(&invitee->ed_priv, invitee->ed_pub, text, n, sig);
	wire_put(&w, sig, sizeof(sig));
}

int group_accept_get(const uint8_t *b, size_t len,
		     const struct group_invite *invite, int64_t now,
		     struct group_accept *out)
{
	struct wire_in w = wire_in(b, len);
	uint8_t text[32 + GROUP_ACCEPT_LEN];
	struct group_accept a;
	const uint8_t *prekey;
	size_t n;

	if (len != GROUP_ACCEPT_LEN || wire_get_number(&w, 1) != VERSION)
		return -NTM_EDECODE;
	wire_get(&w, a.id, sizeof(a.id));
	wire_get(&w, a.token, sizeof(a.token));
	prekey = wire_take(&w, GROUP_PREKEY_LEN);
	if (group_prekey_get(prekey, GROUP_PREKEY_LEN, &a.prekey))
		return -NTM_EDECODE;
	if (memcmp(a.id, invite->id, sizeof(a.id)) ||
	    !ntmc_equal(a.token, invite->token, sizeof(a.token)))
		return -NTM_ENOTFOUND;
	n = signed_text("ntm group accept v1", b, len - NTMC_SIG_LEN, text,
			sizeof(text));
	if (ntmc_ed25519_verify(invite->invitee_key, text, n,
				b + len - NTMC_SIG_LEN) ||
	    group_prekey_verify(&a.prekey, a.id, invite->invitee_key) ||
	    !ntmc_x25519_public_ok(a.prekey.pub))
		return -NTM_EAUTH;
	if (invite->expires <= now)
		return -NTM_EEXPIRED;
	*out = a;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* groupentry - the encodings of the log: entries, members, policy */
#include <string.h>

#include "libntmcrypto/group_impl.h"
#include "libntmcrypto/x509.h"

#define YEAR_S 31536000

const struct group_policy group_policy_default = {
	.auth = GROUP_AUTH_MAC,
	.keep_s = 30,
	.renew_s = 3600,
	.refresh_s = 86400,
	.evict_s = 90 * 86400,
	.max_age_s = 7200,
};

bool group_policy_ok(const struct group_policy *p)
{
	return p->auth <= GROUP_AUTH_BATCH && p->keep_s <= 30 &&
	       p->renew_s >= 60 && p->renew_s <= 604800 &&
	       p->refresh_s >= p->renew_s && p->refresh_s <= YEAR_S &&
	       p->evict_s >= 60 && p->evict_s <= YEAR_S &&
	       p->max_age_s >= p->renew_s && p->max_age_s <= YEAR_S;
}

void group_policy_put(struct wire_out *w, const struct group_policy *p)
{
	wire_put_number(w, p->auth, 1);
	wire_put_number(w, p->delegate, 1);
	wire_put_number(w, p->keep_s, 2);
	wire_put_number(w, p->renew_s, 4);
	wire_put_number(w, p->refresh_s, 4);
	wire_put_number(w, p->evict_s, 4);
	wire_put_number(w, p->max_age_s, 4);
}

bool group_policy_get(struct wire_in *w, struct group_policy *out)
{
	unsigned int auth = (unsigned int)wire_get_number(w, 1);
	unsigned int flags = (unsigned int)wire_get_number(w, 1);

	out->auth = (enum group_auth)auth;
	out->delegate = flags & 1;
	out->keep_s = (uint16_t)wire_get_number(w, 2);
	out->renew_s = (uint32_t)wire_get_number(w, 4);
	out->refresh_s = (uint32_t)wire_get_number(w, 4);
	out->evict_s = (uint32_t)wire_get_number(w, 4);
	out->max_age_s = (uint32_t)wire_get_number(w, 4);
	return !w->bad && flags <= 1 && group_policy_ok(out);
}

void group_record_put(struct wire_out *w, const struct group_member *m)
{
	size_t n = strlen(m->fqdn);
	uint8_t *to = wire_room(w, GROUP_RECORD_LEN + n);

	/* at once, as a group has a thousand of them */
	if (!to)
		return;
	memcpy(to, m->token, GROUP_TOKEN_LEN);
	to += GROUP_TOKEN_LEN;
	wire_number(to, m->index, 4);
	to[4] = m->rights;
	memcpy(to + 5, m->ed_pub, NTMC_KEY_LEN);
	to += 5 + NTMC_KEY_LEN;
	wire_number(to, n, 2);
	memcpy(to + 2, m->fqdn, n);
}

bool group_record_get(struct wire_in *w, struct group_record *out)
{
	wire_get(w, out->token, sizeof(out->token));
	out->index = (uint32_t)wire_get_number(w, 4);
	out->rights = (uint8_t)wire_get_number(w, 1);
	wire_get(w, out->ed_pub, sizeof(out->ed_pub));
	wire_get_name(w, out->fqdn, sizeof(out->fqdn));
	return !w->bad && out->index != GROUP_SERVER &&
	       out->rights <= GROUP_ALL_RIGHTS && x509_name_ok(out->fqdn) &&
	       ntmc_ed25519_public_ok(out->ed_pub);
}

/* create and move: who the GMS is */
static bool server_get(struct wire_in *w, struct group_content *c)
{
	c->server_key = wire_take(w, NTMC_KEY_LEN);
	wire_get_name(w, c->server, sizeof(c->server));
	return !w->bad && ntmc_ed25519_public_ok(c->server_key) &&
	       x509_name_ok(c->server);
}

static bool add_get(struct wire_in *w, struct group_content *c)
{
	struct group_record r;
	size_t i;

	c->n = (size_t)wire_get_number(w, 1);
	if (!c->n || c->n > GROUP_JOIN_MAX)
		return false;
	c->records = *w;
	for (i = 0; i < c->n; i++)
		if (!group_record_get(w, &r))
			return false;
	return true;
}

static bool remove_get(struct wire_in *w, struct group_content *c)
{
	c->reason = (enum group_reason)wire_get_number(w, 1);
	if (c->reason == GROUP_LEFT) {
		c->n = 1;
		c->gone = wire_take(w, 4);
		c->leave.epoch = wire_get_number(w, 8);
		wire_get(w, c->leave.sig, sizeof(c->leave.sig));
		if (!w->bad)
			c->leave.index = group_gone_at(c, 0);
	} else if (c->reason == GROUP_REMOVED || c->reason == GROUP_EVICTED) {
		c->n = (size_t)wire_get_number(w, 2);
		if (!c->n || c->n > GROUP_GONE_MAX)
			return false;
		c->gone = wire_take(w, 4 * c->n);
	} else {
		return false;
	}
	wire_take(w, NTMC_HASH_LEN);
	return !w->bad;
}

uint32_t group_gone_at(const struct group_content *c, size_t i)
{
	struct wire_in w = wire_in(c->gone + 4 * i, 4);

	return (uint32_t)wire_get_number(&w, 4);
}

static bool create_get(struct wire_in *w, struct group_content *c)
{
	return server_get(w, c) && group_policy_get(w, &c->policy) &&
	       wire_take(w, NTMC_HASH_LEN) && group_record_get(w, &c->founder);
}

enum group_why group_content_get(const struct group_entry *e,
				 struct group_content *c)
{
	struct wire_in w = wire_in(e->content, e->content_len);
	bool ok = false;

	memset(c, 0, sizeof(*c));
	switch (e->kind) {
	case GROUP_CREATE:
		ok = create_get(&w, c);
		break;
	case GROUP_ADD:
		ok = add_get(&w, c);
		break;
	case GROUP_REMOVE:
		ok = remove_get(&w, c);
		break;
	case GROUP_REFRESH:
		ok = wire_take(&w, NTMC_HASH_LEN);
		break;
	case GROUP_RENEW:
		ok = true;
		break;
	case GROUP_RIGHTS:
		c->index = (uint32_t)wire_get_number(&w, 4);
		c->rights = (uint8_t)wire_get_number(&w, 1);
		ok = c->rights <= GROUP_ALL_RIGHTS;
		break;
	case GROUP_POLICY:
		ok = group_policy_get(&w, &c->policy);
		break;
	case GROUP_MOVE:
		ok = server_get(&w, c);
		break;
	}
	return ok && wire_ends(&w) ? GROUP_FINE : GROUP_MALFORMED;
}

/* where in its content the commitment stands: at the end, but for a create entry */
static const uint8_t *commitment(const struct group_entry *e)
{
	struct wire_in w = wire_in(e->content, e->content_len);

	if (e->kind == GROUP_CREATE) {
		wire_take(&w, NTMC_KEY_LEN);
		wire_get_lp(&w);
		wire_take(&w, GROUP_POLICY_LEN);
		return wire_take(&w, NTMC_HASH_LEN);
	}
	if (e->kind != GROUP_REMOVE && e->kind != GROUP_REFRESH)
		return NULL;
	if (e->content_len < NTMC_HASH_LEN)
		return NULL;
	return e->content + e->content_len - NTMC_HASH_LEN;
}

int group_entry_get(const uint8_t *entry, size_t len, struct group_entry *out)
{
	struct wire_in w = wire_in(entry, len), content;
	struct group_entry e = {0};
	unsigned int version, kind;

	if (len > GROUP_ENTRY_MAX)
		return -NTM_EDECODE;
	version = (unsigned int)wire_get_number(&w, 1);
	kind = (unsigned int)wire_get_number(&w, 1);
	wire_get(&w, e.id, sizeof(e.id));
	e.epoch = wire_get_number(&w, 8);
	e.generation = (uint32_t)wire_get_number(&w, 4);
	wire_get(&w, e.previous, sizeof(e.previous));
	e.time = wire_get_number(&w, 8);
	e.author = (uint32_t)wire_get_number(&w, 4);
	content = wire_get_lp(&w);
	e.signature = wire_take(&w, NTMC_SIG_LEN);
	if (!wire_ends(&w) || version != GROUP_VERSION || !kind ||
	    kind >= GROUP_KINDS)
		return -NTM_EDECODE;
	e.kind = (enum group_kind)kind;
	e.content = content.p;
	e.content_len = content.left;
	e.commitment = commitment(&e);
	if (!e.commitment &&
	    (e.kind == GROUP_CREATE || e.kind == GROUP_REMOVE ||
	     e.kind == GROUP_REFRESH))
		return -NTM_EDECODE;
	*out = e;
	return 0;
}

bool group_entry_removes(const struct group_entry *e, uint32_t index)
{
	struct group_content c;
	size_t i;

	if (e->kind != GROUP_REMOVE || group_content_get(e, &c) != GROUP_FINE)
		return false;
	for (i = 0; i < c.n; i++)
		if (group_gone_at(&c, i) == index)
			return true;
	return false;
}

int group_entry_verify(const uint8_t *entry, size_t len,
		       const uint8_t ed_pub[static NTMC_KEY_LEN])
{
	uint8_t text[18 + GROUP_ENTRY_MAX];
	struct wire_out w = wire_out(text, sizeof(text));

	wire_put_label(&w, "ntm group entry v1");
	wire_put(&w, entry, len - NTMC_SIG_LEN);
	return ntmc_ed25519_verify(ed_pub, text, w.len,
				   entry + len - NTMC_SIG_LEN);
}

void group_commit(const uint8_t id[static GROUP_ID_LEN], uint64_t epoch,
		  uint32_t generation, const struct ntmc_key *share,
		  uint8_t out[static NTMC_HASH_LEN])
{
	uint8_t text[128];
	struct wire_out w = wire_out(text, sizeof(text));

	wire_put_label(&w, "ntm group share v1");
	wire_put(&w, id, GROUP_ID_LEN);
	wire_put_number(&w, epoch, 8);
	wire_put_number(&w, generation, 4);
	wire_put(&w, share->b, sizeof(share->b));
	ntmc_sha256(text, w.len, out);
	ntmc_wipe(text, sizeof(text));
}

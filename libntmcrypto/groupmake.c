/* SPDX-License-Identifier: MIT */
/* groupmake - entries of a group's log, made and signed; a member's wish to leave */
#include <string.h>

#include "libntmcrypto/group_impl.h"

static void leave_text(const struct group *g, const struct group_leave *l,
		       struct wire_out *w)
{
	wire_put_label(w, "ntm group leave v1");
	wire_put(w, g->id, sizeof(g->id));
	wire_put_number(w, l->index, 4);
	wire_put_number(w, l->epoch, 8);
}

void group_leave_sign(const struct ntmc_identity *id, const struct group *g,
		      uint32_t index, struct group_leave *out)
{
	uint8_t text[64];
	struct wire_out w = wire_out(text, sizeof(text));

	out->index = index;
	out->epoch = g->epoch;
	leave_text(g, out, &w);
	ntmc_ed25519_sign(&id->ed_priv, id->ed_pub, text, w.len, out->sig);
}

int group_leave_verify(const struct group *g, const struct group_leave *l)
{
	const struct group_member *m = group_find(g, l->index);
	uint8_t text[64];
	struct wire_out w = wire_out(text, sizeof(text));

	if (!m)
		return -NTM_ENONAME;
	leave_text(g, l, &w);
	return ntmc_ed25519_verify(m->ed_pub, text, w.len, l->sig);
}

static void put_joiners(struct wire_out *w, const struct group *g,
			const struct group_change *c)
{
	size_t i;

	if (c->n_joiners > GROUP_JOIN_MAX)
		w->full = true;
	wire_put_number(w, c->n_joiners, 1);
	for (i = 0; i < c->n_joiners && !w->full; i++) {
		const struct group_joiner *j = &c->joiners[i];
		struct group_member m = {.index = g->next + (uint32_t)i,
					 .rights = j->rights,
					 .fqdn = (char *)j->fqdn};

		memcpy(m.token, j->token, sizeof(m.token));
		memcpy(m.ed_pub, j->ed_pub, sizeof(m.ed_pub));
		group_record_put(w, &m);
	}
}

static void put_gone(struct wire_out *w, const struct group_change *c)
{
	size_t i;

	wire_put_number(w, c->reason, 1);
	if (c->reason == GROUP_LEFT) {
		wire_put_number(w, c->leave->index, 4);
		wire_put_number(w, c->leave->epoch, 8);
		wire_put(w, c->leave->sig, sizeof(c->leave->sig));
		return;
	}
	if (c->n_gone > GROUP_GONE_MAX)
		w->full = true;
	wire_put_number(w, c->n_gone, 2);
	for (i = 0; i < c->n_gone && !w->full; i++)
		wire_put_number(w, c->gone[i], 4);
}

static void put_founder(struct wire_out *w, const struct ntmc_identity *id,
			const struct group_change *c)
{
	struct group_member m = {.rights = GROUP_ALL_RIGHTS,
				 .fqdn = (char *)c->fqdn};

	memcpy(m.ed_pub, id->ed_pub, sizeof(m.ed_pub));
	group_record_put(w, &m);
}

static void put_content(struct wire_out *w, const struct group *g,
			const struct ntmc_identity *id,
			const struct group_change *c, const uint8_t *commitment)
{
	switch (c->kind) {
	case GROUP_CREATE:
		wire_put(w, c->server_key, NTMC_KEY_LEN);
		wire_put_name(w, c->server);
		group_policy_put(w, c->policy);
		wire_put(w, commitment, NTMC_HASH_LEN);
		put_founder(w, id, c);
		break;
	case GROUP_ADD:
		put_joiners(w, g, c);
		break;
	case GROUP_REMOVE:
		put_gone(w, c);
		wire_put(w, commitment, NTMC_HASH_LEN);
		break;
	case GROUP_REFRESH:
		wire_put(w, commitment, NTMC_HASH_LEN);
		break;
	case GROUP_RENEW:
		break;
	case GROUP_RIGHTS:
		wire_put_number(w, c->index, 4);
		wire_put_number(w, c->rights, 1);
		break;
	case GROUP_POLICY:
		group_policy_put(w, c->policy);
		break;
	case GROUP_MOVE:
		wire_put(w, c->server_key, NTMC_KEY_LEN);
		wire_put_name(w, c->server);
		break;
	}
}

/* the index under which @id speaks; a stranger's entry is refused by the check */
static uint32_t author_of(const struct group *g, const struct ntmc_identity *id,
			  const struct group_change *c)
{
	const struct group_member *m;

	if (c->kind == GROUP_RENEW)
		return GROUP_SERVER;
	m = group_find_key(g, id->ed_pub);
	return m ? m->index : g->next;
}

static bool is_anew(const struct group_change *c)
{
	return c->kind == GROUP_CREATE || c->kind == GROUP_REMOVE ||
	       c->kind == GROUP_REFRESH;
}

/* "ntm group entry v1" | body | signature; Return: the entry in it */
static uint8_t *write_entry(const struct ntmc_env *env, const struct group *g,
			    const struct ntmc_identity *id,
			    const struct group_change *c, struct wire_out *w)
{
	const uint8_t *group = c->kind == GROUP_CREATE ? c->id : g->id;
	uint32_t generation = g->generation + is_anew(c);
	uint8_t commitment[NTMC_HASH_LEN] = {0}, sig[NTMC_SIG_LEN];
	size_t label, content;

	if (is_anew(c))
		group_commit(group, g->epoch + 1, generation, c->share,
			     commitment);
	wire_put_label(w, "ntm group entry v1");
	label = w->len;
	wire_put_number(w, GROUP_VERSION, 1);
	wire_put_number(w, c->kind, 1);
	wire_put(w, group, GROUP_ID_LEN);
	wire_put_number(w, g->epoch + 1, 8);
	wire_put_number(w, generation, 4);
	wire_put(w, g->hash, sizeof(g->hash));
	wire_put_number(w, (uint64_t)ntmc_now(env), 8);
	wire_put_number(w, author_of(g, id, c), 4);
	content = w->len + 2;
	wire_put_number(w, 0, 2);
	put_content(w, g, id, c, commitment);
	if (w->full)
		return NULL;
	w->b[content - 2] = (uint8_t)((w->len - content) >> 8);
	w->b[content - 1] = (uint8_t)(w->len - content);
	ntmc_ed25519_sign(&id->ed_priv, id->ed_pub, w->b, w->len, sig);
	wire_put(w, sig, sizeof(sig));
	return w->b + label;
}

int group_make(const struct ntmc_env *env, const struct group *g,
	       const struct ntmc_identity *id, const struct group_change *c,
	       uint8_t out[static GROUP_ENTRY_MAX], size_t *len,
	       enum group_why *why)
{
	uint8_t text[18 + GROUP_ENTRY_MAX], *entry;
	struct wire_out w = wire_out(text, sizeof(text));
	enum group_why reason = GROUP_CONTENT;
	struct group_content content;
	struct group_entry e;

	entry = write_entry(env, g, id, c, &w);
	if (entry && !w.full) {
		size_t n = w.len - (size_t)(entry - text);

		reason = GROUP_MALFORMED;
		if (!group_entry_get(entry, n, &e))
			reason = group_check(g, entry, n, &e, &content);
		/* what this side cannot say is its own mistake, not bad bytes */
		if (reason == GROUP_MALFORMED)
			reason = GROUP_CONTENT;
		if (!reason) {
			memcpy(out, entry, n);
			*len = n;
		}
	}
	if (why)
		*why = reason;
	return group_why_code(reason);
}

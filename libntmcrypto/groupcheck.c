/* SPDX-License-Identifier: MIT */
/*
 * groupcheck - may an entry be the next one of a group's log?
 *
 * Theory of operation
 *
 * group_check() asks, in this order: is it well formed, this group's, the next one of this
 * past; is its author a member; does RN1 go on as it says; is the signature the author's;
 * may he do that. Nothing changes before all of it is answered.
 */
#include <string.h>

#include "libntmcrypto/group_impl.h"

/* group, epoch, past: is it the next one? */
static enum group_why check_place(const struct group *g, const uint8_t *entry,
				  size_t len, const struct group_entry *e)
{
	static const uint8_t none[NTMC_HASH_LEN];
	uint8_t hash[NTMC_HASH_LEN];

	if (!g->epoch && (e->kind != GROUP_CREATE || e->epoch != 1))
		return e->kind == GROUP_CREATE ? GROUP_MALFORMED : GROUP_EARLY;
	if (!g->epoch)
		return memcmp(e->previous, none, sizeof(none)) ? GROUP_MALFORMED
							       : GROUP_FINE;
	if (memcmp(e->id, g->id, sizeof(g->id)))
		return GROUP_FOREIGN;
	if (e->epoch > g->epoch + 1)
		return GROUP_EARLY;
	if (e->epoch == g->epoch + 1)
		return memcmp(e->previous, g->hash, sizeof(g->hash))
			       ? GROUP_FORK
			       : GROUP_FINE;
	if (e->epoch < g->epoch)
		return GROUP_OLD;
	group_transcript(g->before, entry, len, hash);
	return memcmp(hash, g->hash, sizeof(hash)) ? GROUP_FORK : GROUP_SEEN;
}

/* generation and commitment: does RN1 go on as this kind of entry wants? */
static enum group_why check_generation(const struct group *g,
				       const struct group_entry *e)
{
	uint32_t want = g->generation + (e->commitment != NULL);

	return e->generation == want && want >= g->generation ? GROUP_FINE
							      : GROUP_CONTENT;
}

static bool name_is_taken(const struct group *g, const struct group_record *r)
{
	size_t i;

	for (i = 0; i < g->n; i++) {
		const struct group_member *m = &g->members[i];

		if (!memcmp(m->ed_pub, r->ed_pub, sizeof(m->ed_pub)) ||
		    !strcmp(m->fqdn, r->fqdn))
			return true;
	}
	return group_token_used(g, r->token);
}

/* is @r among the first @n of @records? An entry may not add somebody twice. */
static bool is_twice(struct wire_in records, size_t n,
		     const struct group_record *r)
{
	struct group_record other;
	size_t i;

	for (i = 0; i < n; i++)
		if (group_record_get(&records, &other) &&
		    (!memcmp(other.ed_pub, r->ed_pub, sizeof(r->ed_pub)) ||
		     !memcmp(other.token, r->token, sizeof(r->token)) ||
		     !strcmp(other.fqdn, r->fqdn)))
			return true;
	return false;
}

bool group_may_add(const struct group *g, const struct group_member *author,
		   uint8_t rights)
{
	return (author->rights & GROUP_MAY_INVITE) &&
	       !(rights & ~author->rights) &&
	       (!(rights & GROUP_MAY_INVITE) || g->policy.delegate ||
		(author->rights & GROUP_ADMIN));
}

static enum group_why check_add(const struct group *g,
				const struct group_content *c,
				const struct group_member *author)
{
	struct wire_in w = c->records;
	struct group_record r;
	size_t i;

	if (!(author->rights & GROUP_MAY_INVITE))
		return GROUP_RIGHT;
	if (c->n > GROUP_MEMBERS_MAX - g->n ||
	    c->n > (size_t)(GROUP_SERVER - 1 - g->next))
		return GROUP_FULL;
	for (i = 0; i < c->n; i++) {
		if (!group_record_get(&w, &r) || r.index != g->next + i ||
		    name_is_taken(g, &r) || is_twice(c->records, i, &r))
			return GROUP_CONTENT;
		if (!group_may_add(g, author, r.rights))
			return GROUP_RIGHT;
	}
	return GROUP_FINE;
}

static enum group_why check_remove(const struct group *g,
				   const struct group_content *c,
				   const struct group_member *author)
{
	const struct group_member *m;
	uint32_t index, last = 0;
	size_t i;

	if (c->reason != GROUP_LEFT && !(author->rights & GROUP_MAY_REMOVE))
		return GROUP_RIGHT;
	for (i = 0; i < c->n; i++) {
		index = group_gone_at(c, i);
		m = group_find(g, index);
		/* in order, so that nobody goes twice */
		if (!m || m == author || (i && index <= last))
			return GROUP_CONTENT;
		if (c->reason != GROUP_LEFT && (m->rights & GROUP_ADMIN) &&
		    !(author->rights & GROUP_ADMIN))
			return GROUP_RIGHT;
		last = index;
	}
	if (c->reason == GROUP_LEFT && group_leave_verify(g, &c->leave))
		return GROUP_FORGED;
	return GROUP_FINE;
}

static enum group_why check_rights(const struct group *g,
				   const struct group_content *c,
				   const struct group_member *author)
{
	const struct group_member *m = group_find(g, c->index);
	size_t i;

	if (!(author->rights & GROUP_ADMIN))
		return GROUP_RIGHT;
	if (!m)
		return GROUP_CONTENT;
	if (c->rights & GROUP_ADMIN)
		return GROUP_FINE;
	for (i = 0; i < g->n; i++)
		if (&g->members[i] != m && (g->members[i].rights & GROUP_ADMIN))
			return GROUP_FINE;
	return GROUP_CONTENT; /* nobody would be left who may */
}

static enum group_why check_create(const struct group_entry *e,
				   const struct group_content *c)
{
	static const uint8_t zero[GROUP_TOKEN_LEN];

	if (e->author || c->founder.index ||
	    c->founder.rights != GROUP_ALL_RIGHTS ||
	    memcmp(c->founder.token, zero, sizeof(zero)))
		return GROUP_CONTENT;
	return GROUP_FINE;
}

static enum group_why check_content(const struct group *g,
				    const struct group_entry *e,
				    const struct group_content *c,
				    const struct group_member *author)
{
	switch (e->kind) {
	case GROUP_CREATE:
		return g->epoch ? GROUP_CONTENT : check_create(e, c);
	case GROUP_ADD:
		return check_add(g, c, author);
	case GROUP_REMOVE:
		return check_remove(g, c, author);
	case GROUP_REFRESH:
	case GROUP_RENEW:
		return GROUP_FINE;
	case GROUP_RIGHTS:
		return check_rights(g, c, author);
	case GROUP_POLICY:
	case GROUP_MOVE:
		return author->rights & GROUP_ADMIN ? GROUP_FINE : GROUP_RIGHT;
	}
	return GROUP_MALFORMED;
}

enum group_why group_check(const struct group *g, const uint8_t *entry,
			   size_t len, const struct group_entry *e,
			   struct group_content *c)
{
	const struct group_member *author = NULL;
	const uint8_t *key = g->server_key;
	enum group_why why = group_content_get(e, c);

	if (!why)
		why = check_place(g, entry, len, e);
	if (why)
		return why;
	/* the GMS renews, and nothing else; nobody else renews */
	if ((e->kind == GROUP_RENEW) != (e->author == GROUP_SERVER))
		return GROUP_RIGHT;
	if (e->kind == GROUP_CREATE) {
		key = c->founder.ed_pub;
	} else if (e->author != GROUP_SERVER) {
		author = group_find(g, e->author);
		if (!author)
			return GROUP_STRANGER;
		key = author->ed_pub;
	}
	why = check_generation(g, e);
	/* before the content, as that of a leave entry costs a signature, too */
	if (!why && group_entry_verify(entry, len, key))
		why = GROUP_FORGED;
	if (!why)
		why = check_content(g, e, c, author);
	return why;
}

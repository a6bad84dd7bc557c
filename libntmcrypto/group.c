/* SPDX-License-Identifier: MIT */
/*
 * group - who is in a group, as its log says
 *
 * Theory of operation
 *
 * A group is what its entries make of nothing, one after the other. An entry names
 * the hash of all that was before it, so a server that carries the log can neither
 * move nor drop one, and who signs one says what it follows. Whether it may be the next
 * one is asked first (groupcheck.c), and nothing changes before that is answered.
 *
 * The same functions run at the GMS, which takes only what would apply, and at the
 * members, who do not believe it.
 *
 * Indices are never given twice: a packet of a removed member can therefore never be
 * taken for one of who came later. Tokens neither, so an invitation makes a member once:
 * those of who has gone are part of the state, as every log of this past has them in the
 * same order. The oldest of more than GROUP_USED_MAX goes, so that the state is bounded.
 */
#include "libntmcrypto/group.h"

#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/group_impl.h"

const char *group_why_text(enum group_why why)
{
	static const char *const text[] = {
#define WHY(name, error, t) [GROUP_##name] = t,
#include "libntmcrypto/groupwhy.def"
#undef WHY
	};

	return (size_t)why < sizeof(text) / sizeof(text[0]) ? text[why] : "";
}

int group_why_code(enum group_why why)
{
	static const int code[] = {
#define WHY(name, error, t) [GROUP_##name] = -NTM_E##error,
#include "libntmcrypto/groupwhy.def"
#undef WHY
	};

	return (size_t)why < sizeof(code) / sizeof(code[0]) ? code[why]
							    : -NTM_EINVAL;
}

/* --- what it is now ----------------------------------------------------------- */

int group_new(struct group **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -NTM_ENOMEM;
}

void group_free(struct group *g)
{
	size_t i;

	if (!g)
		return;
	for (i = 0; i < g->n; i++)
		free(g->members[i].fqdn);
	free(g->members);
	free(g->used);
	free(g);
}

uint64_t group_epoch(const struct group *g)
{
	return g->epoch;
}

uint32_t group_generation(const struct group *g)
{
	return g->generation;
}

const uint8_t *group_id(const struct group *g)
{
	return g->id;
}

const uint8_t *group_hash(const struct group *g)
{
	return g->hash;
}

const struct group_policy *group_policy(const struct group *g)
{
	return &g->policy;
}

const char *group_server(const struct group *g, const uint8_t **ed_pub)
{
	*ed_pub = g->server_key;
	return g->server;
}

size_t group_size(const struct group *g)
{
	return g->n;
}

const struct group_member *group_at(const struct group *g, size_t i)
{
	return i < g->n ? &g->members[i] : NULL;
}

size_t group_position(const struct group *g, uint64_t index)
{
	size_t low = 0, high = g->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (g->members[mid].index < index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct group_member *group_find(const struct group *g, uint32_t index)
{
	size_t i = group_position(g, index);

	return i < g->n && g->members[i].index == index ? &g->members[i] : NULL;
}

const struct group_member *
group_find_key(const struct group *g, const uint8_t ed_pub[static NTMC_KEY_LEN])
{
	size_t i;

	for (i = 0; i < g->n; i++)
		if (!memcmp(g->members[i].ed_pub, ed_pub, NTMC_KEY_LEN))
			return &g->members[i];
	return NULL;
}

bool group_token_used(const struct group *g,
		      const uint8_t token[static GROUP_TOKEN_LEN])
{
	size_t i;

	for (i = 0; i < g->n; i++)
		if (!memcmp(g->members[i].token, token, GROUP_TOKEN_LEN))
			return true;
	for (i = 0; i < g->n_used; i++)
		if (!memcmp(g->used[i], token, GROUP_TOKEN_LEN))
			return true;
	return false;
}

uint32_t group_next_index(const struct group *g)
{
	return g->next;
}

/* --- apply -------------------------------------------------------------------- */

void group_transcript(const uint8_t *before, const uint8_t *entry, size_t len,
		      uint8_t *out)
{
	uint8_t text[NTMC_HASH_LEN + 4 + GROUP_ENTRY_MAX];
	struct wire_out w = wire_out(text, sizeof(text));

	wire_put(&w, before, NTMC_HASH_LEN);
	wire_put_number(&w, len, 4);
	wire_put(&w, entry, len);
	ntmc_sha256(text, w.len, out);
}

bool group_room(struct group *g, size_t n)
{
	size_t room = g->room;
	void *more;

	while (room < g->n + n)
		room = room ? 2 * room : 8;
	if (room == g->room)
		return true;
	more = realloc(g->members, room * sizeof(*g->members));
	if (!more)
		return false;
	g->members = more;
	g->room = room;
	return true;
}

bool group_append(struct group *g, const struct group_record *r)
{
	struct group_member *m = &g->members[g->n];

	m->fqdn = strdup(r->fqdn);
	if (!m->fqdn)
		return false;
	m->index = r->index;
	m->rights = r->rights;
	memcpy(m->ed_pub, r->ed_pub, sizeof(m->ed_pub));
	memcpy(m->token, r->token, sizeof(m->token));
	g->n++;
	return true;
}

static enum group_why apply_add(struct group *g, uint64_t epoch,
				const struct group_content *c)
{
	struct wire_in w = c->records;
	size_t i, before = g->n;
	struct group_record r;

	if (!group_room(g, c->n))
		return GROUP_MEMORY;
	for (i = 0; i < c->n; i++) {
		if (!group_record_get(&w, &r) || !group_append(g, &r))
			break;
		group_touch(g, epoch, r.index / GROUP_PIECE);
	}
	if (i == c->n) {
		g->next += (uint32_t)c->n;
		return GROUP_FINE;
	}
	while (g->n > before)
		free(g->members[--g->n].fqdn);
	return GROUP_MEMORY;
}

bool group_used_room(struct group *g, size_t n)
{
	size_t want = g->n_used + n, over = 0;
	void *more;

	if (want > GROUP_USED_MAX)
		over = want - GROUP_USED_MAX;
	more = realloc(g->used, (want - over) * sizeof(*g->used));
	if (!more)
		return false;
	g->used = more;
	g->n_used -= over;
	memmove(g->used, g->used + over, g->n_used * sizeof(*g->used));
	return true;
}

static enum group_why apply_remove(struct group *g, uint64_t epoch,
				   const struct group_content *c)
{
	size_t i, kept = 0, gone = 0;
	bool admin = false;

	if (!group_used_room(g, c->n))
		return GROUP_MEMORY;
	for (i = 0; i < g->n; i++) {
		struct group_member *m = &g->members[i];

		if (gone < c->n && m->index == group_gone_at(c, gone)) {
			memcpy(g->used[g->n_used++], m->token, GROUP_TOKEN_LEN);
			group_touch(g, epoch, m->index / GROUP_PIECE);
			free(m->fqdn);
			gone++;
			continue;
		}
		admin |= (m->rights & GROUP_ADMIN) != 0;
		g->members[kept++] = *m;
	}
	g->n = kept;
	if (!admin) {
		g->members[0].rights = GROUP_ALL_RIGHTS;
		group_touch(g, epoch, g->members[0].index / GROUP_PIECE);
	}
	group_touch(g, epoch, GROUP_PIECE_USED);
	return GROUP_FINE;
}

static void set_server(struct group *g, const struct group_content *c)
{
	memcpy(g->server_key, c->server_key, sizeof(g->server_key));
	memcpy(g->server, c->server, sizeof(g->server));
}

static enum group_why apply_create(struct group *g, const struct group_entry *e,
				   const struct group_content *c)
{
	if (!group_room(g, 1) || !group_append(g, &c->founder))
		return GROUP_MEMORY;
	group_touch(g, e->epoch, 0);
	memcpy(g->id, e->id, sizeof(g->id));
	g->next = 1;
	g->policy = c->policy;
	set_server(g, c);
	return GROUP_FINE;
}

static enum group_why apply_content(struct group *g,
				    const struct group_entry *e,
				    const struct group_content *c)
{
	switch (e->kind) {
	case GROUP_CREATE:
		return apply_create(g, e, c);
	case GROUP_ADD:
		return apply_add(g, e->epoch, c);
	case GROUP_REMOVE:
		return apply_remove(g, e->epoch, c);
	case GROUP_RIGHTS:
		((struct group_member *)group_find(g, c->index))->rights =
			c->rights;
		group_touch(g, e->epoch, c->index / GROUP_PIECE);
		break;
	case GROUP_POLICY:
		g->policy = c->policy;
		break;
	case GROUP_MOVE:
		set_server(g, c);
		break;
	case GROUP_REFRESH:
	case GROUP_RENEW:
		break;
	}
	return GROUP_FINE;
}

int group_apply(struct group *g, const uint8_t *entry, size_t len,
		enum group_why *why)
{
	enum group_why w = GROUP_MALFORMED;
	struct group_content c;
	struct group_entry e;

	if (!group_entry_get(entry, len, &e))
		w = group_check(g, entry, len, &e, &c);
	if (!w)
		w = apply_content(g, &e, &c);
	if (!w) {
		memcpy(g->before, g->hash, sizeof(g->before));
		group_transcript(g->before, entry, len, g->hash);
		g->epoch = e.epoch;
		g->generation = e.generation;
	}
	if (why)
		*why = w;
	return group_why_code(w);
}

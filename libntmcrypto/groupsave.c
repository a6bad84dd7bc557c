/* SPDX-License-Identifier: MIT */
/*
 * groupsave - a group as bytes, for a store: whole, or in pieces
 *
 * Theory of operation
 *
 * The list of members is what is long, and few entries change much of it. So it is also
 * to be had in pieces that follow one another in the whole: the head, with what each entry
 * changes; GROUP_PIECE members each, by index; the tokens of who has gone. A store that has
 * the pieces of an epoch asks which have changed since then.
 *
 * Which those are is noted when entries are applied. Only the last GROUP_TOUCHES notes are
 * kept: who asks for longer ago is told that all may have changed.
 */
#include <string.h>

#include "libntmcrypto/group_impl.h"

#define RECORD_LEN                                                             \
	(GROUP_TOKEN_LEN + 4 + 1 + NTMC_KEY_LEN + 2) /* and the name */

void group_touch(struct group *g, uint64_t epoch, uint32_t piece)
{
	size_t i;

	for (i = 0; i < g->n_touched; i++)
		if (g->touched[i].piece == piece) {
			g->touched[i].epoch = epoch;
			return;
		}
	if (g->n_touched == GROUP_TOUCHES) {
		g->n_touched = 0;
		g->touched_from = epoch;
		return;
	}
	g->touched[g->n_touched++] =
		(struct group_touch){.epoch = epoch, .piece = piece};
}

/* --- sizes ------------------------------------------------------------------------- */

static size_t head_len(const struct group *g)
{
	return 1 + GROUP_ID_LEN + 8 + 4 + 4 + 2 * NTMC_HASH_LEN +
	       GROUP_POLICY_LEN + NTMC_KEY_LEN + 2 + strlen(g->server) + 4;
}

static size_t used_len(const struct group *g)
{
	return 4 + g->n_used * GROUP_TOKEN_LEN;
}

static size_t records_len(const struct group *g, size_t from, size_t to)
{
	size_t i, len = 0;

	for (i = from; i < to; i++)
		len += GROUP_RECORD_LEN + strlen(g->members[i].fqdn);
	return len;
}

/* --- writing ------------------------------------------------------------------------- */

static void put_head(const struct group *g, struct wire_out *w)
{
	wire_put_number(w, GROUP_SAVED, 1);
	wire_put(w, g->id, sizeof(g->id));
	wire_put_number(w, g->epoch, 8);
	wire_put_number(w, g->generation, 4);
	wire_put_number(w, g->next, 4);
	wire_put(w, g->hash, sizeof(g->hash));
	wire_put(w, g->before, sizeof(g->before));
	group_policy_put(w, &g->policy);
	wire_put(w, g->server_key, sizeof(g->server_key));
	wire_put_name(w, g->server);
	wire_put_number(w, g->n, 4);
}

static void put_records(const struct group *g, size_t from, size_t to,
			struct wire_out *w)
{
	size_t i;

	for (i = from; i < to; i++)
		group_record_put(w, &g->members[i]);
}

static void put_used(const struct group *g, struct wire_out *w)
{
	wire_put_number(w, g->n_used, 4);
	wire_put(w, g->used, g->n_used * GROUP_TOKEN_LEN);
}

int group_save(const struct group *g, uint8_t *out, size_t size, size_t *len)
{
	struct wire_out w = wire_out(out, size);

	if (!g->epoch)
		return -NTM_ESTATE;
	*len = head_len(g) + records_len(g, 0, g->n) + used_len(g);
	if (size < *len)
		return size ? -NTM_ETOOBIG : 0;
	put_head(g, &w);
	put_records(g, 0, g->n, &w);
	put_used(g, &w);
	return 0;
}

/* --- pieces ---------------------------------------------------------------------------- */

int group_piece_save(const struct group *g, uint32_t piece, uint8_t *out,
		     size_t size, size_t *len)
{
	size_t from = group_position(g, (uint64_t)piece * GROUP_PIECE);
	size_t to = group_position(g, ((uint64_t)piece + 1) * GROUP_PIECE);
	struct wire_out w = wire_out(out, size);

	if (!g->epoch)
		return -NTM_ESTATE;
	if (piece == GROUP_PIECE_HEAD)
		*len = head_len(g);
	else if (piece == GROUP_PIECE_USED)
		*len = used_len(g);
	else
		*len = records_len(g, from, to);
	if (size < *len)
		return size ? -NTM_ETOOBIG : 0;
	if (piece == GROUP_PIECE_HEAD)
		put_head(g, &w);
	else if (piece == GROUP_PIECE_USED)
		put_used(g, &w);
	else
		put_records(g, from, to, &w);
	return 0;
}

bool group_pieces_since(const struct group *g, uint64_t epoch,
			uint32_t out[static GROUP_TOUCHES], size_t *n)
{
	size_t i;

	*n = 0;
	if (!epoch || epoch < g->touched_from || epoch > g->epoch)
		return false;
	for (i = 0; i < g->n_touched; i++)
		if (g->touched[i].epoch > epoch)
			out[(*n)++] = g->touched[i].piece;
	return true;
}

uint32_t group_piece_next(const struct group *g, uint32_t piece)
{
	size_t i = piece == GROUP_PIECE_HEAD
			   ? 0
			   : group_position(g, ((uint64_t)piece + 1) *
						       GROUP_PIECE);

	return i < g->n ? g->members[i].index / GROUP_PIECE : GROUP_PIECE_USED;
}

/* --- reading --------------------------------------------------------------------------- */

static int load_members(struct group *g, struct wire_in *w)
{
	size_t n = (size_t)wire_get_number(w, 4);
	struct group_record r;

	if (w->bad || !n || n > GROUP_MEMBERS_MAX)
		return -NTM_EDECODE;
	if (!group_room(g, n))
		return -NTM_ENOMEM;
	while (g->n < n) {
		if (!group_record_get(w, &r) || r.index >= g->next ||
		    (g->n && r.index <= g->members[g->n - 1].index))
			return -NTM_EDECODE;
		if (!group_append(g, &r))
			return -NTM_ENOMEM;
	}
	return 0;
}

/* nothing of them in what was saved before they were: they count from here on */
static int load_used(struct group *g, struct wire_in *w, unsigned int version)
{
	size_t n = version == 1 ? 0 : (size_t)wire_get_number(w, 4);

	if (w->bad || n > GROUP_USED_MAX || w->left != n * GROUP_TOKEN_LEN)
		return -NTM_EDECODE;
	if (!n)
		return 0;
	if (!group_used_room(g, n))
		return -NTM_ENOMEM;
	wire_get(w, g->used, n * GROUP_TOKEN_LEN);
	g->n_used = n;
	return 0;
}

int group_load(const uint8_t *b, size_t len, struct group **out)
{
	struct wire_in w = wire_in(b, len);
	unsigned int version = (unsigned int)wire_get_number(&w, 1);
	struct group *g;
	int r = group_new(&g);

	if (r)
		return r;
	if (version != 1 && version != GROUP_SAVED)
		w.bad = true;
	wire_get(&w, g->id, sizeof(g->id));
	g->epoch = wire_get_number(&w, 8);
	g->touched_from = g->epoch;
	g->generation = (uint32_t)wire_get_number(&w, 4);
	g->next = (uint32_t)wire_get_number(&w, 4);
	wire_get(&w, g->hash, sizeof(g->hash));
	wire_get(&w, g->before, sizeof(g->before));
	if (!group_policy_get(&w, &g->policy))
		w.bad = true;
	wire_get(&w, g->server_key, sizeof(g->server_key));
	wire_get_name(&w, g->server, sizeof(g->server));
	r = w.bad || !g->epoch || !g->generation ? -NTM_EDECODE
						 : load_members(g, &w);
	if (!r)
		r = load_used(g, &w, version);
	if (r)
		group_free(g);
	else
		*out = g;
	return r;
}

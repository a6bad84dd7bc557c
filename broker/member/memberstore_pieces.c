/* SPDX-License-Identifier: MIT */
/*
 * memberstore_pieces - the list of a group's members, in rows of its pieces
 *
 * A thousand members are 80 kB, and as a rule an epoch changes none of them: so the row of
 * the group has the head of its state alone, and the rest is written where it changed. The
 * group's row says which epoch the pieces are of; a row that an earlier version wrote has
 * all of it, and says 0.
 */
#include "broker/member/memberstore_impl.h"

#include <stdlib.h>
#include <string.h>

#define STATE_MAX (1 << 20) /* 2048 members, each with the longest name */

static int piece_put(struct memberstore *s, const struct group *g,
		     uint32_t piece)
{
	uint8_t *b;
	size_t len, st;
	int r = group_piece_save(g, piece, NULL, 0, &len);

	b = r ? NULL : malloc(len ? len : 1);
	if (!b)
		return r ? r : -NTM_ENOMEM;
	if (len)
		r = group_piece_save(g, piece, b, len, &len);
	st = len ? PIECE_PUT : PIECE_END;
	if (!r) {
		store_bind_blob(s->store, st, 1, group_id(g), GROUP_ID_LEN);
		store_bind_int(s->store, st, 2, piece);
		if (len)
			store_bind_blob(s->store, st, 3, b, len);
		r = store_run(s->store, st);
	}
	free(b);
	return r;
}

/* of which epoch they are; 0: there are none */
static int stored_epoch(struct memberstore *s, const struct group *g,
			uint64_t *epoch)
{
	int r;

	store_bind_blob(s->store, GROUP_PIECES, 1, group_id(g), GROUP_ID_LEN);
	r = store_step(s->store, GROUP_PIECES);
	*epoch = r == 1 ? (uint64_t)store_int(s->store, GROUP_PIECES, 0) : 0;
	if (r == 1)
		store_reset(s->store, GROUP_PIECES);
	return r < 0 ? r : 0;
}

static int put_each(struct memberstore *s, const struct group *g)
{
	uint32_t piece = GROUP_PIECE_HEAD;
	int r;

	store_bind_blob(s->store, PIECE_DROP, 1, group_id(g), GROUP_ID_LEN);
	r = store_run(s->store, PIECE_DROP);
	while (!r && piece != GROUP_PIECE_USED) {
		piece = group_piece_next(g, piece);
		r = piece_put(s, g, piece);
	}
	return r;
}

int pieces_put(struct memberstore *s, const struct group *g)
{
	uint32_t changed[GROUP_TOUCHES];
	uint64_t epoch;
	size_t i, n;
	int r = stored_epoch(s, g, &epoch);

	if (r)
		return r;
	if (!group_pieces_since(g, epoch, changed, &n))
		return put_each(s, g);
	for (i = 0; !r && i < n; i++)
		r = piece_put(s, g, changed[i]);
	return r;
}

/** struct bytes - what has come of the whole */
struct bytes {
	uint8_t *b;
	size_t len;
};

static int add(struct bytes *to, struct store *s, size_t st)
{
	size_t len = store_blob(s, st, 0, NULL, 0);
	uint8_t *more;

	if (len > STATE_MAX - to->len)
		return -NTM_EAUTH;
	more = realloc(to->b, to->len + len + 1);
	if (!more)
		return -NTM_ENOMEM;
	to->b = more;
	store_blob(s, st, 0, more + to->len, len);
	to->len += len;
	return 0;
}

int pieces_get(struct memberstore *s, const uint8_t *id, uint8_t **out,
	       size_t *len)
{
	struct bytes all = {0};
	int r = add(&all, s->store, GROUP_GET), more = 0;

	store_bind_blob(s->store, PIECE_LIST, 1, id, GROUP_ID_LEN);
	while (!r && (more = store_step(s->store, PIECE_LIST)) == 1)
		r = add(&all, s->store, PIECE_LIST);
	if (more == 1)
		store_reset(s->store, PIECE_LIST);
	if (!r && more < 0)
		r = more;
	if (r) {
		free(all.b);
		return r;
	}
	*out = all.b;
	*len = all.len;
	return 0;
}

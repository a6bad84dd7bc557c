/* SPDX-License-Identifier: MIT */
/*
 * groupprekeys - whose prekeys an author of entries has found to be genuine
 *
 * Theory of operation
 *
 * To check a thousand signatures takes longer than to seal a thousand parts. Who may
 * remove members asks for their prekeys when there is time, and checks them then; when a
 * removal is made, only those are checked that are new since. What was found genuine is
 * kept whole, signature included, and compared byte by byte.
 *
 * Rows are in order of index, which answers are, too: as a rule one is put at the end.
 */
#include "libntmcrypto/groupprekeys.h"

#include <stdlib.h>
#include <string.h>

/** struct row - the newest that is known of a member */
struct row {
	uint32_t index;
	uint64_t serial;
	uint8_t bytes[GROUP_PREKEY_LEN];
};

struct group_prekeys {
	struct row *rows;
	size_t n, room;
	uint64_t checked;
};

int group_prekeys_new(struct group_prekeys **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -NTM_ENOMEM;
}

void group_prekeys_free(struct group_prekeys *k)
{
	if (!k)
		return;
	free(k->rows);
	free(k);
}

uint64_t group_prekeys_checked(const struct group_prekeys *k)
{
	return k->checked;
}

/* where @index stands, or would stand */
static size_t place(const struct group_prekeys *k, uint32_t index)
{
	size_t low = 0, high = k->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (k->rows[mid].index < index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* rows of who has gone */
static void forget(struct group_prekeys *k, const struct group *g)
{
	size_t i, n = 0;

	for (i = 0; i < k->n; i++)
		if (group_find(g, k->rows[i].index))
			k->rows[n++] = k->rows[i];
	k->n = n;
}

static bool make_room(struct group_prekeys *k, const struct group *g)
{
	size_t room = k->room ? 2 * k->room : 16;
	struct row *rows;

	if (k->n < k->room)
		return true;
	forget(k, g);
	if (k->n < k->room)
		return true;
	rows = realloc(k->rows, room * sizeof(*rows));
	if (!rows)
		return false;
	k->rows = rows;
	k->room = room;
	return true;
}

/* a row for @index, new ones with serial 0; NULL: no memory */
static struct row *row_of(struct group_prekeys *k, const struct group *g,
			  uint32_t index)
{
	size_t at = place(k, index);

	if (at < k->n && k->rows[at].index == index)
		return &k->rows[at];
	if (!make_room(k, g))
		return NULL;
	at = place(k, index);
	memmove(&k->rows[at + 1], &k->rows[at], (k->n - at) * sizeof(*k->rows));
	k->n++;
	memset(&k->rows[at], 0, sizeof(*k->rows));
	k->rows[at].index = index;
	return &k->rows[at];
}

int group_prekeys_take(struct group_prekeys *k, const struct group *g,
		       uint32_t index, const uint8_t *prekey, size_t len,
		       struct group_prekey *out)
{
	const struct group_member *m = group_find(g, index);
	struct group_prekey p;
	struct row *row;
	int r = m ? group_prekey_get(prekey, len, &p) : -NTM_ENONAME;

	if (r)
		return r;
	row = row_of(k, g, index);
	if (!row)
		return -NTM_ENOMEM;
	if (!row->serial ||
	    memcmp(row->bytes, prekey, sizeof(row->bytes)) != 0) {
		k->checked++;
		r = group_prekey_verify(&p, group_id(g), m->ed_pub);
		if (!r && p.serial < row->serial)
			r = -NTM_ESTATE;
	}
	if (r)
		return r;
	row->serial = p.serial;
	memcpy(row->bytes, prekey, sizeof(row->bytes));
	*out = p;
	return 0;
}

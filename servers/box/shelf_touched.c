/* SPDX-License-Identifier: MIT */
/* shelf_touched - transactions of the shelf, and which lists they have changed */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "servers/box/shelf_impl.h"

/* --- lists that changed --------------------------------------------------------- */

int shelf_touch(struct shelf *s, const char *fqdn)
{
	struct shelf_touched *t;

	HASH_FIND_STR(s->touched, fqdn, t);
	if (t)
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -NTM_ENOMEM;
	snprintf(t->fqdn, sizeof(t->fqdn), "%s", fqdn);
	HASH_ADD_STR(s->touched, fqdn, t);
	return 0;
}

static int serial_of(struct shelf *s, struct shelf_touched *t)
{
	int r;

	store_bind_text(s->store, SERIAL, 1, t->fqdn);
	r = store_step(s->store, SERIAL);
	if (r < 0)
		return r;
	t->serial = r ? (uint32_t)store_int(s->store, SERIAL, 0) : 0;
	store_reset(s->store, SERIAL);
	return 0;
}

void shelf_touched_drop(struct shelf *s)
{
	struct shelf_touched *t, *next;

	HASH_ITER (hh, s->touched, t, next) {
		HASH_DEL(s->touched, t);
		free(t);
	}
}

int shelf_begin(struct shelf *s, int64_t now)
{
	s->now = now;
	return store_begin(s->store);
}

int shelf_commit(struct shelf *s, shelf_changed_fn *fn, void *arg)
{
	struct shelf_touched *t, *next;
	int r = 0;

	HASH_ITER (hh, s->touched, t, next)
		if (!r)
			r = serial_of(s, t);
	if (!r)
		r = store_commit(s->store);
	if (!r)
		HASH_ITER (hh, s->touched, t, next)
			fn(arg, t->fqdn, t->serial);
	shelf_touched_drop(s);
	return r;
}

void shelf_rollback(struct shelf *s)
{
	shelf_touched_drop(s);
	store_rollback(s->store);
}

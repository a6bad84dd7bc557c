/* SPDX-License-Identifier: MIT */
/*
 * arrival - an item that comes straight from its sender, while both are online
 *
 * Theory of operation
 *
 * The row is the same as of an item that a box lists, but for the entry, which it has
 * not: so there is nothing to ask a server for, and nothing to confirm to one. Where
 * the sender turns to a Cache Server after all, the box's entry is laid over the row,
 * and the blob goes on from where it broke off. K comes with the first request, sealed
 * to our prekey as in every other way, and is verified before a byte is taken.
 *
 * A job lives from there to the item's end; when its connection breaks it waits for
 * the next one, with the piece of a chunk that has come. It ends when it has been quiet
 * for ARRIVAL_QUIET_S, or when the box lists the item's data.
 */
#include "broker/post/arrival.h"

#include <stdio.h>
#include <string.h>

#include "broker/post/inbox_impl.h"
#include "broker/post/room.h"
#include "common/log.h"

/* what of a row matters here */
struct row {
	int64_t id; /* 0: none */
	enum in_state state;
	int code;
	bool wanted, listed;
	char settled[64];
};

static int row_read(struct post *p, const char *sender,
		    const struct post_ids *ids, struct row *row)
{
	struct store *st = p->store;
	int r;

	memset(row, 0, sizeof(*row));
	store_bind_text(st, IN_FIND, 1, ids->application);
	store_bind_text(st, IN_FIND, 2, ids->service);
	store_bind_text(st, IN_FIND, 3, ids->item);
	store_bind_text(st, IN_FIND, 4, sender);
	r = store_step(st, IN_FIND);
	if (r <= 0)
		return r;
	row->id = store_int(st, IN_FIND, 0);
	store_reset(st, IN_FIND);
	store_bind_int(st, IN_GET, 1, row->id);
	r = store_step(st, IN_GET);
	if (r <= 0)
		return r ? r : -NTM_ESTORE;
	row->state = (enum in_state)store_int(st, IN_GET, 6);
	row->wanted = store_int(st, IN_GET, 7);
	row->listed = store_int(st, IN_GET, 8);
	row->code = (int)store_int(st, IN_GET, 22);
	snprintf(row->settled, sizeof(row->settled), "%s",
		 store_text(st, IN_GET, 27));
	store_reset(st, IN_GET);
	return 0;
}

struct fetching *arrival_find(struct post *p, const char *sender,
			      const struct post_ids *ids)
{
	struct fetching *f;
	struct row row;

	if (row_read(p, sender, ids, &row) || !row.id)
		return NULL;
	f = inbox_job(p->inbox, row.id);
	return f && f->direct ? f : NULL;
}

/* --- may it come?
 * --------------------------------------------------------------------------- */

struct counts {
	const char *sender;
	unsigned int all, of_one;
};

static void count_one(void *arg, struct fetching *f)
{
	struct counts *c = arg;

	c->all++;
	c->of_one += !strcmp(f->sender, c->sender);
}

static int rows_count(struct post *p, const char *sender, int64_t *n)
{
	struct store *st = p->store;
	int r;

	*n = 0;
	store_bind_text(st, IN_COUNT, 1, sender);
	r = store_step(st, IN_COUNT);
	if (r <= 0)
		return r;
	*n = store_int(st, IN_COUNT, 0);
	store_reset(st, IN_COUNT);
	return 0;
}

/* One more of @sender's? To count thousands of rows for each would be most of the work:
 * what was taken since counts still, until the limit is met and all are counted anew. */
static int one_more(struct post *p, const char *sender)
{
	struct inbox *b = p->inbox;
	struct tally *t = NULL;
	size_t i;
	int r;

	for (i = 0; i < TALLIES; i++)
		if (!strcmp(b->tallies[i].sender, sender))
			t = &b->tallies[i];
	if (!t) {
		t = &b->tallies[b->tally_next++ % TALLIES];
		snprintf(t->sender, sizeof(t->sender), "%s", sender);
		t->n = ARRIVAL_WAITING_MAX;
	}
	if (t->n >= ARRIVAL_WAITING_MAX) {
		r = rows_count(p, sender, &t->n);
		if (r || t->n >= ARRIVAL_WAITING_MAX) {
			*t->sender = '\0';
			return r ? r : -NTM_ELIMIT;
		}
	}
	t->n++;
	return 0;
}

void arrival_count_anew(struct post *p)
{
	memset(p->inbox->tallies, 0, sizeof(p->inbox->tallies));
}

static int limits_check(struct post *p, const struct arrival_of *of,
			const struct row *row)
{
	struct counts c = {.sender = of->sender};
	int r;

	inbox_each_direct(p->inbox, count_one, &c);
	if (c.all >= ARRIVALS_MAX || c.of_one >= ARRIVALS_OF_ONE_MAX)
		return -NTM_EAGAIN;
	r = row->id ? 0 : one_more(p, of->sender);
	if (r)
		return r;
	return of->size > BLOB_PAYLOAD_MAX || room_check(p, NULL, of->size, 0)
		       ? -NTM_ESTORE
		       : 0;
}

static int row_put(struct post *p, enum post_statement which,
		   const struct arrival_of *of)
{
	struct store *st = p->store;
	int64_t now = post_now(p);

	store_bind_text(st, which, 1, of->sender);
	store_bind_text(st, which, 2, of->ids->application);
	store_bind_text(st, which, 3, of->ids->service);
	store_bind_text(st, which, 4, of->ids->item);
	store_bind_text(st, which, 5, of->message);
	store_bind_int(st, which, 6, (int64_t)of->size);
	store_bind_int(st, which, 7, now);
	if (which == IN_DIRECT_NEW)
		store_bind_int(st, which, 8,
			       of->expires > now + ITEM_RETENTION_S
				       ? now + ITEM_RETENTION_S
				       : of->expires);
	return store_run(st, which);
}

/* there may be a list's entry of it */
static int row_write(struct post *p, const struct arrival_of *of)
{
	int r = row_put(p, IN_DIRECT, of);

	return r || store_changes(p->store) ? r : row_put(p, IN_DIRECT_NEW, of);
}

/* --- it comes
 * ------------------------------------------------------------------------------ */

static void names_set(struct fetching *f, const struct arrival_of *of)
{
	strcpy(f->sender, of->sender);
	f->ids = *of->ids;
	post_item_id(&f->ids, f->item);
	f->size = of->size;
	f->state = IN_LISTED;
	f->moved_ns = loop_now(f->post->loop);
}

/* K is opened before a row is made for who has none. */
static int key_then_row(struct fetching *f, const struct arrival_of *of,
			struct row *row)
{
	struct post *p = f->post;
	int err;

	names_set(f, of);
	err = fetching_key(f, of->wrapped, of->wrapped_len);
	if (!err)
		err = row_write(p, of);
	if (!err)
		err = row_read(p, of->sender, of->ids, row);
	f->id = row->id;
	return err ? err : fetching_key_keep(f);
}

static int job_new(struct post *p, const struct arrival_of *of, struct row *row,
		   struct fetching **out)
{
	struct fetching *f;
	int err;

	err = limits_check(p, of, row);
	if (err)
		return err;
	f = inbox_job_new(p->inbox, 0, true);
	if (!f)
		return -NTM_ENOMEM;
	err = key_then_row(f, of, row);
	if (!err)
		err = fetching_open(f);
	if (err) {
		fetching_free(f);
		return err;
	}
	*out = f;
	return 0;
}

/* A connection after the one that broke: the same K, or it is another item */
static int job_again(struct fetching *f, const struct arrival_of *of)
{
	struct ntmc_key before = f->k;
	int err;

	if (f->size != of->size)
		return -NTM_EEXISTS;
	err = fetching_key(f, of->wrapped, of->wrapped_len);
	if (!err && memcmp(before.b, f->k.b, sizeof(before.b)))
		err = -NTM_EEXISTS;
	ntmc_key_clear(&before);
	f->moved_ns = loop_now(f->post->loop);
	return err;
}

int arrival_begin(struct post *p, const struct arrival_of *of,
		  struct arrival_place *out)
{
	struct fetching *f;
	struct row row;
	uint64_t payload;
	int err;

	memset(out, 0, sizeof(*out));
	who_load_known(&p->who); /* its domain may be new */
	err = row_read(p, of->sender, of->ids, &row);
	if (!err)
		err = blob_payload(of->size, &payload);
	if (err)
		return err;
	if (row.state == IN_HAVE || row.state == IN_TAKEN ||
	    in_refused(row.state)) {
		out->code = in_refused(row.state) ? row.code : 0;
		strcpy(out->hash, row.settled);
		return 0;
	}
	if (!row.wanted && !who_allows(&p->who, of->sender))
		return -NTM_EPOLICY;
	if (row.state != IN_LISTED)
		return -NTM_ESTATE;
	f = row.id ? inbox_job(p->inbox, row.id) : NULL;
	if (f && !f->direct)
		return -NTM_EAGAIN;
	if (f && job_again(f, of)) {
		fetching_free(f);
		f = NULL;
	}
	if (!f)
		err = job_new(p, of, &row, &f);
	out->job = f;
	return err;
}

int arrival_data(struct fetching *f, const uint8_t *data, size_t len, int *code)
{
	int err = fetching_take(f, data, len);

	*code = 0;
	f->moved_ns = loop_now(f->post->loop);
	if (!err)
		return 0;
	log_info("inbox", "item %lld of %s: %s", (long long)f->id, f->sender,
		 err_text(err));
	if (err == -NTM_ESTORE) {
		fetching_free(f);
	} else if (!f->from) {
		*code = -err;
		fetching_state(f, IN_REFUSED, err, NULL);
	} else {
		/* what was here may be what is wrong */
		if (fetching_forget(f))
			err = -NTM_ESTORE;
		fetching_free(f);
	}
	return err;
}

void arrival_pause(struct fetching *f)
{
	f->moved_ns = loop_now(f->post->loop);
	if (!fetching_save(f))
		return;
	log_err("inbox", "item %lld of %s cannot be written", (long long)f->id,
		f->sender);
	fetching_free(f);
}

int arrival_complete(struct fetching *f, const char *hash,
		     struct arrival_place *out)
{
	struct post *p = f->post;
	struct post_ids ids = f->ids;
	char sender[FQDN_MAX + 1];
	struct row row;
	int err;

	memset(out, 0, sizeof(*out));
	strcpy(sender, f->sender);
	snprintf(f->data_hash, sizeof(f->data_hash), "%s", hash);
	err = fetching_whole(f);
	if (err == -NTM_ECLOSED)
		return err;
	if (err) {
		if (err == -NTM_EAUTH && fetching_forget(f))
			err = -NTM_ESTORE;
		fetching_free(f);
		return err;
	}
	post_files_written(p);
	fetching_state(f, IN_HAVE, 0, NULL);
	/* only what the store has counts */
	err = row_read(p, sender, &ids, &row);
	strcpy(out->hash, row.settled);
	return err ? err : row.state == IN_HAVE ? 0 : -NTM_ESTORE;
}

/* --- its end
 * ------------------------------------------------------------------------------- */

int arrival_withdraw(struct post *p, const char *sender,
		     const struct post_ids *ids)
{
	struct fetching *f;
	struct row row;
	int err = row_read(p, sender, ids, &row);

	if (err || !row.id)
		return err ? err : -NTM_ENOTFOUND;
	if (row.state != IN_LISTED && row.state != IN_HELD)
		return -NTM_ESTATE;
	f = inbox_job(p->inbox, row.id);
	if (f && f->direct)
		fetching_free(f);
	/* what a list has goes when the list has it no more */
	return row.listed ? 0 : inbox_row_delete(p, row.id);
}

/* what came is kept */
static void job_end(struct fetching *f)
{
	if (fetching_save(f))
		log_err("inbox", "item %lld of %s cannot be written",
			(long long)f->id, f->sender);
	fetching_free(f);
}

static void quiet_end(void *arg, struct fetching *f)
{
	const uint64_t *now = arg;

	if (*now - f->moved_ns >= LOOP_S(ARRIVAL_QUIET_S))
		job_end(f);
}

void arrival_tick(struct post *p)
{
	uint64_t now = loop_now(p->loop);

	inbox_each_direct(p->inbox, quiet_end, &now);
	post_check_idle(p);
}

void arrival_entry(struct post *p, const char *sender,
		   const struct post_ids *ids)
{
	struct fetching *f = arrival_find(p, sender, ids);

	if (f && fetching_save(f))
		log_err("inbox", "item %lld of %s cannot be written",
			(long long)f->id, f->sender);
}

void arrival_end(struct post *p, int64_t id)
{
	struct fetching *f = inbox_job(p->inbox, id);

	if (f && f->direct)
		job_end(f);
}

void arrival_forget_stale(struct post *p)
{
	struct store *st = p->store;
	int64_t ids[64];
	size_t n = 0, i;

	store_bind_int(st, IN_STALE, 1, post_now(p) - ARRIVAL_STALE_S);
	while (n < 64 && store_step(st, IN_STALE) > 0)
		ids[n++] = store_int(st, IN_STALE, 0);
	store_reset(st, IN_STALE);
	for (i = 0; i < n; i++)
		if (!inbox_job(p->inbox, ids[i]) && inbox_row_delete(p, ids[i]))
			log_err("inbox", "the store cannot be written");
}

/* SPDX-License-Identifier: MIT */
/*
 * outbox_order - an order to send becomes an item of the outbox
 *
 * The row, the names that it is for, and what is sent: all of it where that is small, else a
 * list of the files as they are now. They stand in the store together, or not at all; then
 * the outbox works on it.
 */
#include "broker/post/outbox_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

/* --- orders --- */
/* "report.pdf and 3 more", or a text's beginning */
static void title_make(const struct outbox_order *order,
		       const struct pack_result *what, char *title, size_t size)
{
	if (!order->n_paths) {
		snprintf(title, size, "%.60s", order->text);
		title[strcspn(title, "\n")] = '\0';
		return;
	}
	if (order->n_paths == 1)
		snprintf(title, size, "%s", what->name);
	else
		snprintf(title, size, "%.200s and %zu more", what->name,
			 order->n_paths - 1);
}

static int row_new(struct outbox *o, const struct outbox_order *order,
		   const struct pack_result *what, int64_t *id)
{
	struct store *st = o->post->store;
	int64_t now = post_now(o->post);
	char title[300];
	struct ntmc_key k;
	size_t i;
	int err;

	ntmc_key_random(o->post->env, &k);
	title_make(order, what, title, sizeof(title));
	post_trim(title);
	store_bind_text(st, OUT_NEW, 1, order->ids.application);
	store_bind_text(st, OUT_NEW, 2, order->ids.service);
	store_bind_text(st, OUT_NEW, 3, order->ids.item);
	store_bind_blob(st, OUT_NEW, 4, k.b, sizeof(k.b));
	store_bind_int(st, OUT_NEW, 5, 0);
	store_bind_int(st, OUT_NEW, 6, 0);
	store_bind_int(st, OUT_NEW, 7, now);
	store_bind_int(st, OUT_NEW, 8, now + ITEM_RETENTION_S);
	store_bind_text(st, OUT_NEW, 9, order->message ? order->message : "");
	store_bind_text(st, OUT_NEW, 10, title);
	store_bind_text(st, OUT_NEW, 11, o->post->who.fqdn);
	err = store_run(st, OUT_NEW);
	ntmc_key_clear(&k);
	if (!err && (err = store_step(st, OUT_LAST)) > 0) {
		*id = store_int(st, OUT_LAST, 0);
		store_reset(st, OUT_LAST);
		err = 0;
	}
	for (i = 0; !err && i < order->n_to; i++) {
		store_bind_int(st, NAME_NEW, 1, *id);
		store_bind_text(st, NAME_NEW, 2, order->to[i]);
		err = store_run(st, NAME_NEW);
	}
	return err;
}

static int row_sizes(struct outbox *o, int64_t id, uint64_t payload)
{
	struct store *st = o->post->store;

	store_bind_int(st, OUT_SIZE, 1, id);
	store_bind_int(st, OUT_SIZE, 2, (int64_t)payload);
	store_bind_int(st, OUT_SIZE, 3, (int64_t)blob_size(payload));
	return store_run(st, OUT_SIZE);
}

/* All of a small payload, as it is now */
static int small_keep(struct outbox *o, int64_t id, struct pack *p,
		      struct pack_result *what)
{
	struct store *st = o->post->store;
	uint8_t *buf = malloc(what->payload);
	int err = buf ? pack_read(p, 0, buf, what->payload) : -NTM_ENOMEM;

	if (err == -NTM_ECHANGED)
		snprintf(what->why, sizeof(what->why),
			 "%s changed while it was being read; send it again",
			 pack_changed(p));
	if (!err) {
		store_bind_int(st, SMALL_PUT, 1, id);
		store_bind_blob(st, SMALL_PUT, 2, buf, what->payload);
		err = store_run(st, SMALL_PUT);
	}
	if (buf)
		ntmc_wipe(buf, what->payload);
	free(buf);
	return err;
}

static int list_keep(struct outbox *o, int64_t id, struct pack *p)
{
	char folder[512];
	int err;

	if (!outbox_folder(o->post, id, folder, sizeof(folder)))
		return -NTM_EINVAL;
	err = file_make_folder(folder, 0700);
	if (!err)
		err = pack_save(p, folder);
	/* of a row that is undone: the next has its number, and writes over it */
	post_files_written(o->post);
	return err;
}

int outbox_send(struct outbox *o, const struct outbox_order *order, int64_t *id,
		struct pack_result *what)
{
	struct store *st = o->post->store;
	struct pack *p = NULL;
	int err =
		pack_list(order->paths, order->n_paths, order->text, what, &p);

	if (err)
		return err;
	err = store_begin(st);
	if (err)
		goto out;
	err = row_new(o, order, what, id);
	if (!err)
		err = what->payload <= OUTBOX_SMALL
			      ? small_keep(o, *id, p, what)
			      : list_keep(o, *id, p);
	if (!err)
		err = row_sizes(o, *id, what->payload);
	if (!err)
		err = store_commit(st);
	if (err)
		store_rollback(st);
	else
		due_wake(&o->due);
out:
	pack_close(p);
	return err;
}

/* SPDX-License-Identifier: MIT */
/*
 * inbox_settle - an item is here, or refused: the row says so, and keeps our word on it
 *
 * The word is a receipt (libntmcrypto/receipt.h), made while K is here, as K is wiped
 * with that. It is kept as long as the item could be listed again: then it is given
 * again, the same.
 */
#include "broker/post/inbox_impl.h"

/* as long as item_key_unwrap() takes a key, and clocks that are off */
#define HAD_S (ITEM_RETENTION_S + PREKEY_LIFE_MAX_S + 86400)

int inbox_row_state(struct post *p, int64_t id, enum in_state state, int err,
		    const char *text)
{
	struct store *st = p->store;

	store_bind_int(st, IN_STATE, 1, id);
	store_bind_int(st, IN_STATE, 2, state);
	store_bind_int(st, IN_STATE, 3, -err);
	store_bind_text(st, IN_STATE, 4,
			text  ? text
			: err ? err_text(err)
			      : "");
	return store_run(st, IN_STATE);
}

/* Our word on it for its sender, made while K is here. Return: false: there is none, as
 * K, or which blob it is, was never known */
static bool receipt_make(const struct fetching *f, int err,
			 uint8_t out[static RECEIPT_LEN])
{
	uint8_t blob[NTMC_HASH_LEN];
	struct receipt r = {{f->item, f->sender, f->post->who.fqdn},
			    blob,
			    .code = (unsigned int)-err};

	return f->has_key &&
	       !ntmc_base64url_decode(f->data_hash, blob, sizeof(blob)) &&
	       !receipt_sign(f->post->who.id, &f->k, &r, out);
}

int inbox_row_settle(struct fetching *f, enum in_state state, int err,
		     const char *text)
{
	struct store *st = f->post->store;
	uint8_t receipt[RECEIPT_LEN];
	bool made = receipt_make(f, err, receipt);
	int r = store_begin(st);

	if (r)
		return r;
	r = inbox_row_state(f->post, f->id, state, err, text);
	if (!r) {
		store_bind_int(st, IN_SETTLE, 1, f->id);
		store_bind_text(st, IN_SETTLE, 2, f->data_hash);
		if (made)
			store_bind_blob(st, IN_SETTLE, 3, receipt, RECEIPT_LEN);
		r = store_run(st, IN_SETTLE);
	}
	if (!r && state == IN_HAVE) {
		store_bind_text(st, HAD_PUT, 1, f->data_hash);
		store_bind_int(st, HAD_PUT, 2, post_now(f->post) + HAD_S);
		if (made)
			store_bind_blob(st, HAD_PUT, 3, receipt, RECEIPT_LEN);
		r = store_run(st, HAD_PUT);
	}
	if (!r)
		r = store_commit(st);
	if (r)
		store_rollback(st);
	return r;
}

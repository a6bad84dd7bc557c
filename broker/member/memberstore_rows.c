/* SPDX-License-Identifier: MIT */
/* memberstore_rows - notes of groups, papers, and where servers are: rows of the store */
#include <stdio.h>
#include <string.h>

#include "broker/member/memberstore_impl.h"

#define PAPER_MAX (MEMBERSTORE_PAPER_MAX + ROWKEY_EXTRA)

/* --- notes ------------------------------------------------------------------------------- */

#define NOTE_AD (4 + GROUP_ID_LEN + 1)

static void note_ad(const uint8_t *id, enum memberstore_note note,
		    uint8_t ad[static NOTE_AD])
{
	memcpy(ad, "note", 4);
	memcpy(ad + 4, id, GROUP_ID_LEN);
	ad[4 + GROUP_ID_LEN] = (uint8_t)note;
}

int memberstore_note_put(struct memberstore *s,
			 const uint8_t id[static GROUP_ID_LEN],
			 enum memberstore_note note, const void *body,
			 size_t len)
{
	uint8_t sealed[MEMBERSTORE_NOTE_MAX + ROWKEY_EXTRA], ad[NOTE_AD];
	size_t st = len ? NOTE_PUT : NOTE_END;
	int r = len > MEMBERSTORE_NOTE_MAX ? -NTM_ETOOBIG : 0;

	if (!r && len) {
		memcpy(sealed + ROWKEY_SALT, body, len);
		note_ad(id, note, ad);
		r = rowkey_seal(&s->key, ad, sizeof(ad), sealed, len);
	}
	if (r)
		return r;
	store_bind_blob(s->store, st, 1, id, GROUP_ID_LEN);
	store_bind_int(s->store, st, 2, note);
	if (len)
		store_bind_blob(s->store, st, 3, sealed, len + ROWKEY_EXTRA);
	return store_run(s->store, st);
}

int memberstore_note_get(struct memberstore *s,
			 const uint8_t id[static GROUP_ID_LEN],
			 enum memberstore_note note,
			 uint8_t body[static MEMBERSTORE_NOTE_MAX], size_t *len)
{
	uint8_t sealed[MEMBERSTORE_NOTE_MAX + ROWKEY_EXTRA], ad[NOTE_AD];
	size_t n;
	int r;

	store_bind_blob(s->store, NOTE_GET, 1, id, GROUP_ID_LEN);
	store_bind_int(s->store, NOTE_GET, 2, note);
	r = store_step(s->store, NOTE_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	n = store_blob(s->store, NOTE_GET, 0, sealed, sizeof(sealed));
	store_reset(s->store, NOTE_GET);
	note_ad(id, note, ad);
	if (n < ROWKEY_EXTRA || n > sizeof(sealed) ||
	    rowkey_open(&s->key, ad, sizeof(ad), sealed, n))
		return -NTM_EAUTH;
	*len = n - ROWKEY_EXTRA;
	memcpy(body, sealed + ROWKEY_SALT, *len);
	return 0;
}

/* --- papers ------------------------------------------------------------------------------ */

static void paper_ad(const uint8_t *token,
		     uint8_t ad[static 5 + GROUP_TOKEN_LEN])
{
	memcpy(ad, "paper", 5);
	memcpy(ad + 5, token, GROUP_TOKEN_LEN);
}

int memberstore_paper_put(struct memberstore *s,
			  const uint8_t token[static GROUP_TOKEN_LEN],
			  const void *body, size_t len)
{
	uint8_t sealed[PAPER_MAX], ad[5 + GROUP_TOKEN_LEN];
	int r;

	if (len > MEMBERSTORE_PAPER_MAX)
		return -NTM_ETOOBIG;
	memcpy(sealed + ROWKEY_SALT, body, len);
	paper_ad(token, ad);
	r = rowkey_seal(&s->key, ad, sizeof(ad), sealed, len);
	if (!r) {
		store_bind_blob(s->store, PAPER_PUT, 1, token, GROUP_TOKEN_LEN);
		store_bind_blob(s->store, PAPER_PUT, 2, sealed,
				len + ROWKEY_EXTRA);
		r = store_run(s->store, PAPER_PUT);
	}
	ntmc_wipe(sealed, sizeof(sealed));
	return r;
}

int memberstore_paper_drop(struct memberstore *s,
			   const uint8_t token[static GROUP_TOKEN_LEN])
{
	store_bind_blob(s->store, PAPER_DROP, 1, token, GROUP_TOKEN_LEN);
	return store_run(s->store, PAPER_DROP);
}

/* the row that was stepped to. Return: 0, -NTM_EAUTH */
static int paper_get(struct memberstore *s, uint8_t *token, uint8_t *sealed,
		     size_t *len)
{
	uint8_t ad[5 + GROUP_TOKEN_LEN];
	size_t n = store_blob(s->store, PAPER_LIST, 1, sealed, PAPER_MAX);
	int r;

	if (n < ROWKEY_EXTRA || n > PAPER_MAX ||
	    store_blob(s->store, PAPER_LIST, 0, token, GROUP_TOKEN_LEN) !=
		    GROUP_TOKEN_LEN)
		return -NTM_EAUTH;
	paper_ad(token, ad);
	r = rowkey_open(&s->key, ad, sizeof(ad), sealed, n);
	*len = n - ROWKEY_EXTRA;
	return r ? -NTM_EAUTH : 0;
}

int memberstore_papers(struct memberstore *s,
		       void (*fn)(void *arg, const uint8_t *token,
				  const uint8_t *body, size_t len),
		       void *arg)
{
	uint8_t sealed[PAPER_MAX], token[GROUP_TOKEN_LEN];
	size_t len;
	int r;

	while ((r = store_step(s->store, PAPER_LIST)) == 1) {
		r = paper_get(s, token, sealed, &len);
		if (!r)
			fn(arg, token, sealed + ROWKEY_SALT, len);
		ntmc_wipe(sealed, sizeof(sealed));
		if (r) {
			store_reset(s->store, PAPER_LIST);
			break;
		}
	}
	return r;
}

/* --- servers -------------------------------------------------------------------------------- */

int memberstore_server_put(struct memberstore *s,
			   const uint8_t key[static NTMC_KEY_LEN],
			   const char *ways)
{
	store_bind_blob(s->store, SERVER_PUT, 1, key, NTMC_KEY_LEN);
	store_bind_text(s->store, SERVER_PUT, 2, ways);
	return store_run(s->store, SERVER_PUT);
}

int memberstore_server_get(struct memberstore *s,
			   const uint8_t key[static NTMC_KEY_LEN],
			   char ways[static GROUP_WAYS_MAX + 1])
{
	int r;

	store_bind_blob(s->store, SERVER_GET, 1, key, NTMC_KEY_LEN);
	r = store_step(s->store, SERVER_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	snprintf(ways, GROUP_WAYS_MAX + 1, "%s",
		 store_text(s->store, SERVER_GET, 0));
	store_reset(s->store, SERVER_GET);
	return 0;
}

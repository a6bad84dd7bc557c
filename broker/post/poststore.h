/* SPDX-License-Identifier: MIT */
/*
 * poststore - what ntm-post must not forget: `post/post.db`, 0600
 *
 * Owner:    struct post. Context: loop thread; a statement that writes waits for the
 *           disk. States of rows are those of outbox.h and inbox.h.
 */
#ifndef NTM_BROKER_POST_POSTSTORE_H
#define NTM_BROKER_POST_POSTSTORE_H

#include "common/store.h"

/** each statement's parameters and columns stand beside it in poststore.c */
enum post_statement {
	OUT_NEW,
	OUT_LAST,
	OUT_GET,
	OUT_LIST,
	OUT_DUE,
	OUT_NEXT,
	OUT_FIND,
	OUT_STATE,
	OUT_TRY,
	OUT_PUT_OFF,
	OUT_OVER,
	OUT_CS,
	OUT_LEFT,
	OUT_FOLDER_OVER,
	OUT_SIZE,
	OUT_SEAL,
	OUT_SENT,
	OUT_HASH,
	OUT_DONE,
	OUT_KEPT,
	OUT_WIPE,
	OUT_DELETE,
	OUT_LATE,
	OUT_EXPIRED,
	OUT_SOON,
	SMALL_PUT,
	SMALL_GET,
	SMALL_DELETE,
	NAME_NEW,
	NAME_NEXT,
	NAME_OPEN,
	NAME_DONE,
	NAME_REST,
	NAME_DONE_ALL,
	NAME_DELETE,
	TO_NEW,
	TO_LIST,
	TO_KEY,
	TO_STATE,
	TO_SIGNER,
	TO_HEARD,
	TO_CLAIM,
	TO_LATE,
	TO_REST,
	TO_DIRECT,
	TO_POSTED,
	TO_WAIT,
	TO_ANEW,
	TO_COUNT,
	TO_WIPE,
	TO_DELETE,
	IN_NEW,
	IN_ENTRY,
	IN_FIND,
	IN_GET,
	IN_LIST,
	IN_ROWS,
	IN_DUE,
	IN_NEXT,
	IN_STATE,
	IN_TRY,
	IN_PUT_OFF,
	IN_SOON,
	IN_WANT,
	IN_WANT_FROM,
	IN_SETTLE,
	IN_HIDE,
	IN_UNWANTED,
	IN_ANEW,
	IN_KNOWN,
	HAD_PUT,
	HAD_OLD,
	IN_KEY,
	IN_AT,
	IN_TITLE,
	IN_MARK,
	IN_SEEN,
	IN_GONE,
	IN_DELETE,
	IN_OLD,
	IN_DIRECT,
	IN_DIRECT_NEW,
	IN_STALE,
	IN_OVER,
	IN_COUNT,
	PREKEY_NEW,
	PREKEY_GET,
	PREKEY_NEWEST,
	PREKEY_OLD,
	PIN_GET,
	PIN_PUT,
	PIN_FORGET,
	POST_STATEMENTS
};

NTM_MUST_CHECK int poststore_open(const char *dir, struct store **out);

/** the steps of its tables, each as stores have run it: to try upgrades */
const char *const *poststore_schema(size_t *n);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * memberstore_impl - the store's own data, shared by its files
 *
 * Owner: memberstore.c opens and closes it, and has groups and logs; memberstore_rows.c has
 * notes, papers and servers. Context: loop thread.
 */
#ifndef NTM_BROKER_MEMBER_MEMBERSTORE_IMPL_H
#define NTM_BROKER_MEMBER_MEMBERSTORE_IMPL_H

#include "broker/member/memberstore.h"
#include "broker/member/rowkey.h"
#include "common/store.h"

/** its statements; memberstore.c has what they say */
enum {
	GROUP_PUT,
	GROUP_GET,
	GROUP_DROP,
	GROUP_LIST,
	LOG_PUT,
	LOG_GET,
	LOG_DROP,
	PAPER_PUT,
	PAPER_DROP,
	PAPER_LIST,
	SERVER_PUT,
	SERVER_GET,
	SILENCE_PUT,
	SILENCE_GET,
	SILENCE_DROP,
	SEAL_PUT,
	SEAL_GET,
	SEAL_DROP,
	NOTE_PUT,
	NOTE_GET,
	NOTE_END,
	NOTE_DROP,
	N_STATEMENTS
};

struct memberstore {
	struct store *store;
	struct rowkey key;
};

/** the steps of its tables, each as stores have run it: to try upgrades */
const char *const *memberstore_schema(size_t *n);

#endif

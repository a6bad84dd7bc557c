/* SPDX-License-Identifier: MIT */
/*
 * memberstore_impl - the store's own data, shared by its files
 *
 * Owner: memberstore.c opens and closes it, and has groups and logs; memberstore_pieces.c
 * has lists of members, memberstore_rows.c notes, papers and servers. Context: loop thread.
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
	GROUP_PIECES,
	GROUP_DROP,
	GROUP_LIST,
	PIECE_PUT,
	PIECE_LIST,
	PIECE_END,
	PIECE_DROP,
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

/** struct memberstore - @begun: what is written now is a part of something */
struct memberstore {
	struct store *store;
	struct rowkey key;
	bool begun;
};

/** the steps of its tables, each as stores have run it: to try upgrades */
const char *const *memberstore_schema(size_t *n);
/** those that are not as they are in the store. Return: 0, -NTM_ESTORE, -NTM_ENOMEM */
NTM_MUST_CHECK int pieces_put(struct memberstore *s, const struct group *g);
/** the whole of the group that GROUP_GET was stepped to. @out: the caller frees it.
 *  Return: 0, -NTM_EAUTH (too much), -NTM_ESTORE, -NTM_ENOMEM */
NTM_MUST_CHECK int pieces_get(struct memberstore *s, const uint8_t *id,
			      uint8_t **out, size_t *len);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * inbox_impl - shared by inbox.c (rows and jobs), inbox_settle.c (their end), inbox_sync.c
 * (the box's list), inbox_person.c and arrival.c (what comes straight)
 *
 * Owner: inbox.c. Context: loop thread.
 */
#ifndef NTM_BROKER_POST_INBOX_IMPL_H
#define NTM_BROKER_POST_INBOX_IMPL_H

#include "broker/post/due.h"
#include "broker/post/fetching.h"

/** struct word - of one item that we sent: asked for, then taken off the list */
struct word {
	struct inbox *inbox;
	int64_t entry;
	struct web_call *call;
	struct word *next;
};

/**
 * struct news - entries of kind status, worked off from @at on, @n_words at once
 * @done, @failed: how many are off the list, and are not; @more: some were left out
 */
struct news {
	json_t *list;
	size_t at, n_words;
	struct word *words;
	size_t done, failed;
	bool more;
	unsigned int tries;
};

#define TALLIES 4

/** struct tally - at most so many items of @sender wait here; "": of nobody */
struct tally {
	char sender[FQDN_MAX + 1];
	int64_t n;
};

struct inbox {
	struct post *post;
	struct fetching *jobs;
	size_t n_jobs;
	struct due due;
	struct web_call *listing;
	int64_t after, cursor; /* of this listing; where the next one begins */
	bool whole;	       /* this one began at the list's beginning */
	int64_t whole_at;      /* when the next one has to */
	size_t entries;	       /* of this listing, so far */
	bool again;	       /* a listing was asked for while one ran */
	unsigned int tries;
	struct loop_timer *retry;
	uint64_t serial;
	struct news news;
	struct tally tallies
		[TALLIES]; /* of arrival.c; the oldest is the next to go */
	size_t tally_next;
};

/* --- inbox_settle.c --- */

/** @text: NULL: @err's own. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int inbox_row_state(struct post *p, int64_t id,
				   enum in_state state, int err,
				   const char *text);
/** HAVE or REFUSED: the row's state, the blob it is of, our word on it, and no key any
 *  more; all of it or nothing. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int inbox_row_settle(struct fetching *f, enum in_state state,
				    int err, const char *text);

/* --- inbox.c, inbox_sync.c --- */

/** what came of it, when the loop has time */
void inbox_folder_remove(struct post *p, int64_t id);
/** @f as IN_GET's row says. Return: 0, or what keeps it from being fetched */
NTM_MUST_CHECK int inbox_job_fill(struct fetching *f);
/** it is here no more: row and folder */
NTM_MUST_CHECK int inbox_row_delete(struct post *p, int64_t id);
/** off the list it is, if entry @entry is still what the row says */
NTM_MUST_CHECK int inbox_row_seen(struct post *p, int64_t id, int64_t entry);
/** what the list has anew of item @id, which is done with; or has again, and we had */
NTM_MUST_CHECK int inbox_known_again(struct inbox *b, int64_t id);
NTM_MUST_CHECK int inbox_sync_open(struct inbox *b);
/** what is asked is dropped */
void inbox_sync_drop(struct inbox *b);
void inbox_sync_close(struct inbox *b);

#endif

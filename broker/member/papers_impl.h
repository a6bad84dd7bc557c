/* SPDX-License-Identifier: MIT */
/*
 * papers_impl - the invitations' own data, shared by their files
 *
 * Owner:    papers.c makes and frees it. Context: loop thread.
 * Files:    papers.c has the store and takes each step, paper_inbox.c finds what came,
 *           paper_wish.c does what the person wants. paper_item.c, again.c and inviting.c
 *           need no more than papers.h.
 */
#ifndef NTM_BROKER_MEMBER_PAPERS_IMPL_H
#define NTM_BROKER_MEMBER_PAPERS_IMPL_H

#include "broker/member/papers.h"

#define PAPERS_HELD_MAX 64

/**
 * struct papers - all of them
 * @sending:  that ntm-post is to answer
 * @fetching: the inbox is being read; @again: from its beginning once more, then
 * @held:     invitations that ntm-post holds
 * @after:    of the inbox: the page that is asked for
 */
struct papers {
	struct node *node;
	struct paper *list;
	unsigned int n, sending;
	bool fetching, again;
	struct loop_timer *later;
	struct held held[PAPERS_HELD_MAX];
	size_t n_held;
	json_int_t after;
};

/* --- papers.c ----------------------------------------------------------------- */

/** papers_work(), some seconds from now */
void papers_later(struct papers *all);
/** it is over: out of the store, wiped and freed */
void paper_drop(struct paper *p);

#endif

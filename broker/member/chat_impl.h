/* SPDX-License-Identifier: MIT */
/*
 * chat_impl - the chat's own data, shared by its files
 *
 * Owner:    chat.c makes and frees it. Context: loop thread.
 * Files:    chat.c takes what is said here, chat_send.c sends it, chat_take.c takes what
 *           the others say, chat_marks.c tells them what was seen; chat_known.c knows
 *           whose key a name has; chat_late.c has those who get a message later.
 */
#ifndef NTM_BROKER_MEMBER_CHAT_IMPL_H
#define NTM_BROKER_MEMBER_CHAT_IMPL_H

#include "broker/member/chat.h"

#define CHAT_MARKS_MS 1000 /* until authors hear that theirs was seen */
#define CHAT_AGAIN    LOOP_S(5)

/**
 * struct chat_sending - the message that is on its way to ntm-post
 * @at: index / 64 of the item that is next; @file_done: of this one
 * @calling: ntm-post is to answer
 * @missed:  members that get nothing, and why the first one does not
 * @late:    to member @index alone, later than the others
 */
struct chat_sending {
	struct chat_line *line; /* NULL: none */
	uint32_t at;
	bool file_done, calling, late;
	uint32_t index;
	unsigned int missed;
	char why[400];
};

/** struct chat_marking - marks that ntm-post is to take: @line, their lines'
 *  numbers */
struct chat_marking {
	uint8_t group[GROUP_ID_LEN];
	int64_t line[CHAT_MARKS_MAX];
	size_t n;
	bool calling;
};

/** struct chat_round - through all that get something later
 * @at: who was looked at last; @again: some were asked for in this round, and are looked at
 * @left: some are left for the next one, which is at @due of the loop */
struct chat_round {
	struct chat_late at;
	bool asked, again, left;
	uint64_t due;
	struct loop_timer *timer;
};

struct chat {
	struct node *node;
	struct chatstore *store;
	struct chat_known *known;
	struct chat_sending out;
	struct chat_marking marks;
	struct chat_round late;
	struct loop_timer *again, *marks_due;
	bool items_wait; /* in ntm-post's inbox, until we know more */
};

/* --- chat.c ------------------------------------------------------------------- */

/** all that is due, some seconds from now */
void chat_later(struct chat *c);
/** an error that no other try will change */
bool chat_is_final(int err);

/* --- chat_send.c -------------------------------------------------------------- */

/** the next message of the first group that can send. Return: is one under way? */
bool chat_send_next(struct chat *c);
/** the message under way is let go of; the store says what became of it */
void chat_sending_end(struct chat *c);
/** chat_known()'s ready(), @arg: the chat */
void chat_known_now(void *arg);
/** the next item of what is under way, for @to, which is taken. Return: postcall_ask()'s */
NTM_MUST_CHECK int chat_hand_over(struct chat *c, json_t *to);

/* --- chat_late.c -------------------------------------------------------------- */

/** a message for who could not be looked up before. Return: is one under way? */
bool chat_late_next(struct chat *c);
/** ntm-post's answer to that */
void chat_late_sent(struct chat *c, int err, const char *why);
/** its timer, @arg: the chat */
void chat_late_due(void *arg);

/* --- chat_marks.c ------------------------------------------------------------- */

/** its timer, @arg: the chat */
void chat_marks_due(void *arg);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * choice - which Cache Server an item goes to, and when it is left for another one
 *
 * Owner:    struct outbox. Context: loop thread.
 * The one that was chosen stands in the item's row, and under "left" there those that
 * it was taken away from, or that it did not need after all: they are told to forget it,
 * at each start, until they answer.
 */
#ifndef NTM_BROKER_POST_CHOICE_H
#define NTM_BROKER_POST_CHOICE_H

#include "broker/post/sending.h"

/** those of the box that speak (in the last CHOICE_FRESH_S) and have room, one by chance;
 *  else those that have none, else the silent. @avoid: this one only where there is no
 *  other; NULL. Return: borrowed; NULL: the list is empty */
const json_t *choice_of(const json_t *list, const char *avoid, uint64_t size);
#define CHOICE_FRESH_S 90

/** after an answer to the keys: shall another one be asked for? At once where this one
 *  has nothing of the item, else after CHOICE_TRIES tries; one of them a run */
bool choice_leaves(const struct sending *s, const struct web_answer *a);
#define CHOICE_TRIES 8

/** @cs of the box in place of @s's. Return: as the row will have it, or NULL */
json_t *choice_row(const struct sending *s, const json_t *cs);

struct left;
NTM_MUST_CHECK int left_open(struct post *p, struct left **out);
void left_close(struct left *l); /* NULL is fine */
/** tells each that has not answered since the start */
void left_work(struct left *l);
/** item @id has one more */
void left_new(struct left *l, int64_t id);
bool left_busy(const struct left *l);

#endif

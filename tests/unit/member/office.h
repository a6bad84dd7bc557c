/* SPDX-License-Identifier: MIT */
/*
 * office - seats with a node each, and a played ntm-post: it takes items, a test delivers them
 *
 * The played ntm-post answers as docs/control.md says, and keeps what it is to send.
 *
 * Owner:    the test, beside seats.h. Context: the seats' loop. The first three seats are
 *           members of one group, and have a struct node with chat and papers.
 */
#ifndef NTM_TESTS_UNIT_MEMBER_OFFICE_H
#define NTM_TESTS_UNIT_MEMBER_OFFICE_H

#include <jansson.h>

#include "broker/member/node.h"
#include "seats.h"

/**
 * struct office - a seat's ntm-post
 * @sent:  requests "send", in order; @inbox: items that are here
 * @deaf:  it answers no "send"; @lies: the key that it has pinned for all names
 * @bad:   a name whose certificate is none
 * @away:  a name whose domain does not answer; @unmet: nor has it a pin for it
 * @stuck: a file that cannot be read now; @stuck_tries: how often it was asked to send it
 * @known: further devices, whose names and keys it knows
 */
struct office {
	int fd;
	struct loop_io *io;
	json_t *sent, *inbox;
	bool deaf;
	const uint8_t *lies;
	const char *bad, *away;
	bool unmet;
	const char *stuck;
	unsigned int stuck_tries;
	const struct group_joiner *known;
	size_t n_known;
	unsigned int whos, items;
	json_int_t others; /* items of no group, numbers from 1 on */
};

extern struct office offices[SEATS];
extern struct node nodes[SEATS];
extern struct part parts[SEATS];
extern char rundirs[SEATS][64];

int offices_setup(void **state);
int offices_teardown(void **state);
/** the node's process starts, or has ended as by kill -9; its stores stay */
void office_node_up(int i);
void office_node_down(int i);
/** request @k of @from comes to @to, if it is for it. Return: it is */
bool office_deliver(int from, size_t k, int to);
/** for seats_turn(); @arg: a struct office: its inbox is empty; it was given an item */
bool office_is_empty(void *arg);
bool office_has_sent(void *arg);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * asks - member.sock: what `ntm-group` asks of ntm-member (docs/control.md)
 *
 * Owner:    struct node. Context: loop thread. broker/asking.h serves the socket; a part of
 *           a group that answers later is told where the client has gone.
 */
#ifndef NTM_BROKER_MEMBER_ASKS_H
#define NTM_BROKER_MEMBER_ASKS_H

#include "broker/asking.h"
#include "broker/member/node.h"
#include "broker/member/papers.h"

#define ASKS_LINE_MAX	 65536
#define ASKS_CLIENTS_MAX 32
#define ASKS_QUEUE_MAX	 (4u << 20)

/** @fd: listening; taken on success. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int asks_open(struct node *n, int fd, struct asking **out);

/* --- one request --- */
struct node *ask_node(const struct ask *a);
/** either, by @err; with the sentence that groups have for it */
void ask_done(struct ask *a, int err);
/** what was asked of @p goes on, and takes longer than who asks waits */
void ask_late(struct ask *a, struct part *p);

/* --- asks_cmd.c --- */
void asks_command(struct ask *a);
void asks_founded(struct part *p);
void asks_people(struct ask *a, struct part *p);
/** asks_show.c: what a person is shown */
json_t *show_group(struct part *p, bool brief);
json_t *show_papers(struct node *n);
/** entries from @from on, @max at most; page after page reads each once */
json_t *show_log(struct part *p, uint64_t from, size_t max);
json_t *show_members(struct part *p);

/** the group that @a names, or the only one. NULL: @a is answered, and gone with all that
 *  was read of it */
struct part *ask_part(struct ask *a);

/** what "policy" says, over what is there. Return: false: @a is answered */
bool ask_policy(struct ask *a, struct group_policy *p);
/** what "may_invite", "may_remove" and "admin" say, as an entry has it */
uint8_t ask_rights(const struct ask *a);

/* --- asks_join.c --- */
void asks_create(struct ask *a);
void asks_invite(struct ask *a);
void asks_accept(struct ask *a);
void asks_decline(struct ask *a);

/* --- asks_chat.c --- */
void asks_say(struct ask *a);
void asks_history(struct ask *a);
void asks_read(struct ask *a);

/* --- inviting.c: names are looked up one after the other --- */
void inviting_begin(struct ask *a, struct part *p);
/** the members of a plan, into the group that was founded for it; @a may not wait */
void inviting_plan(struct ask *a, struct part *p);

#endif

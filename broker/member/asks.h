/* SPDX-License-Identifier: MIT */
/*
 * asks - member.sock: what `ntm-group` asks of ntm-member (docs/control.md)
 *
 * Owner:    struct node. Context: loop thread. Clients of another user are refused by
 *           SO_PEERCRED. JSON lines, one after the other. A struct ask is one request: it
 *           is over when it is answered, also where its client has gone meanwhile.
 */
#ifndef NTM_BROKER_MEMBER_ASKS_H
#define NTM_BROKER_MEMBER_ASKS_H

#include "broker/member/node.h"
#include "broker/member/papers.h"

#define ASKS_LINE_MAX	 65536
#define ASKS_CLIENTS_MAX 32
#define ASKS_QUEUE_MAX	 (4u << 20)

/** @fd: listening; taken on success. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int asks_open(struct node *n, int fd, struct asks **out);
void asks_close(struct asks *a);
bool asks_busy(const struct asks *a);
/** something is other than it was: who waits for that is told. NULL is fine */
void asks_changed(struct asks *a);

/* --- one request --- */
struct node *ask_node(struct ask *a);
const json_t *ask_request(const struct ask *a);
/** "" where there is none */
const char *ask_text(const struct ask *a, const char *key);
/** "ok": true, and @fields (taken; may be NULL) */
void ask_answer(struct ask *a, json_t *fields);
/** "ok": false; @why NULL: the error's own text */
void ask_fail(struct ask *a, int err, const char *why);
/** either, by @err; with the sentence that groups have for it */
void ask_done(struct ask *a, int err);
/** what was asked of @p goes on, and takes longer than who asks waits */
void ask_late(struct ask *a, struct part *p);
/** does anybody wait for it still? */
bool ask_lives(const struct ask *a);
/** it is answered at the next asks_changed(), or now where there have been more changes
 *  than it has seen */
void ask_wait(struct ask *a);

/* --- asks_cmd.c --- */
void asks_command(struct ask *a);
void asks_founded(struct part *p);
void asks_people(struct ask *a, struct part *p);
/** asks_show.c: what a person is shown */
json_t *show_group(struct part *p, bool brief);
json_t *show_papers(struct node *n);
json_t *show_log(struct part *p, uint64_t from);
json_t *show_members(struct part *p);

/** the group that @a names, or the only one. NULL: @a is answered */
struct part *ask_part(struct ask *a);

/* --- asks_chat.c --- */
void asks_say(struct ask *a);
void asks_history(struct ask *a);
void asks_read(struct ask *a);

/* --- inviting.c: names are looked up one after the other --- */
void inviting_begin(struct ask *a, struct part *p);

#endif

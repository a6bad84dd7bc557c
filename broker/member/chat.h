/* SPDX-License-Identifier: MIT */
/*
 * chat - what members say to each other: sent, received, read (docs/groups.md, Chat)
 *
 * Owner:    struct node. Context: loop thread. A message is in the store before anything
 *           else happens to it; who died goes on with what it finds there.
 */
#ifndef NTM_BROKER_MEMBER_CHAT_H
#define NTM_BROKER_MEMBER_CHAT_H

#include "broker/member/chatstore.h"
#include "broker/member/node.h"

#define CHAT_WAITS_MAX                                                         \
	1000 /* messages of a group that ntm-post has not taken yet */
#define CHAT_MESSAGE "message" /* services of the items */
#define CHAT_READ    "read"

struct chat;

/** the store is @n->who.dir/chat.db. Return: 0, chatstore_open()'s, -NTM_ENOMEM */
NTM_MUST_CHECK int chat_open(struct node *n, struct chat **out);
void chat_close(struct chat *c);
struct chatstore *chat_store(struct chat *c);

/**
 * chat_say() - to all who are members now
 * @text: what is said; of a file NULL
 * @file: absolute path; NULL
 * Return: 0 and its number; -NTM_ESTATE (this device has not the group's key), -NTM_EINVAL,
 *         -NTM_ELIMIT (CHAT_WAITS_MAX), -NTM_ESTORE, -NTM_ENOMEM
 */
NTM_MUST_CHECK int chat_say(struct chat *c, struct part *p, const char *text,
			    const char *file, int64_t *n);
/** the person has seen all up to @n; with @tell their authors hear of it */
NTM_MUST_CHECK int chat_seen(struct chat *c, struct part *p, int64_t n,
			     bool tell);
/** something that waits may go on now. NULL is fine */
void chat_work(struct chat *c);
/** items that could not be taken may be taken now. NULL is fine */
void chat_look(struct chat *c);
/** the group is over: nothing is kept */
void chat_forget(struct chat *c, const uint8_t *group);

/** is @service one of ours? */
bool chat_is_service(const char *service);
/**
 * chat_item() - an item that came
 * @from: the device that signed it, by the key that is pinned; @text: what is in it
 * Return: 0; -NTM_EAGAIN (not now: the log is not that far), -NTM_EPERM (not of a member),
 *         -NTM_EEXISTS, -NTM_ENOTFOUND (no such group, or message), -NTM_EDECODE,
 *         -NTM_ESTORE, -NTM_ENOMEM
 */
NTM_MUST_CHECK int chat_item(struct chat *c, const char *from,
			     const char *service, const char *text, size_t len);
/* --- chat_known.c: whose key a name has, as ntm-post has pinned it ------------------------ */

struct chat_known;
NTM_MUST_CHECK int chat_known_open(struct node *n, void (*ready)(void *arg),
				   void *arg, struct chat_known **out);
void chat_known_close(struct chat_known *k);
/**
 * chat_known() - is @m's key what its name has? ntm-post is asked where it is not known
 * Return: 0; -NTM_EAGAIN: ready() is called when it is; -NTM_EPIN: another one;
 *         -NTM_ENONAME: nobody has; -NTM_EUNREACHABLE: who knows cannot be asked now
 */
NTM_MUST_CHECK int chat_known(struct chat_known *k,
			      const struct group_member *m);

#endif

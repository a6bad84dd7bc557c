/* SPDX-License-Identifier: MIT */
/*
 * papers - invitations on their way, of either side (docs/groups.md, Invitation)
 *
 * Owner:    struct node. Context: loop thread. What is told to others is on the disk
 *           before; each step is taken again after a crash, and changes nothing then.
 */
#ifndef NTM_BROKER_MEMBER_PAPERS_H
#define NTM_BROKER_MEMBER_PAPERS_H

#include "broker/member/node.h"

#define PAPERS_MAX	 1024
#define PAPERS_ASKED_MAX 256 /* of ours that wait for an acceptance */
#define PAPERS_FROM_MAX	 16  /* of one account that wait for the person */
#define PAPERS_INVITED_MAX                                                     \
	512 /* of all: room stays for what the person begins */
#define PAPERS_APPLICATION "ntm-group"

/**
 * enum paper_state - life of an invitation; numbers are in the store
 * @PAPER_ASKED:    we have invited.                 Leaves by: acceptance, time
 * @PAPER_ACCEPTED: it was accepted: an entry is to add the device, then a welcome is to
 *                  be sent.                         Leaves by: ntm-post has the welcome,
 *                                                   the device was removed before, or is
 *                                                   a member otherwise; decline, time
 * @PAPER_INVITED:  we are invited.                  Leaves by: the person, time
 * @PAPER_AGREED:   the person has accepted.         Leaves by: welcome, the person, time
 * @PAPER_WELCOMED: RN1 is here, the log is not yet. Leaves by: the log, the group is left
 *                                                   or has gone, time
 * @PAPER_DECLINED: the person has not: the inviter is to hear.
 *                                                   Leaves by: ntm-post has it, time
 * @PAPER_REFUSED:  the other has declined ours.     Leaves by: another invitation, time
 */
enum paper_state {
	PAPER_ASKED = 1,
	PAPER_ACCEPTED,
	PAPER_INVITED,
	PAPER_AGREED,
	PAPER_WELCOMED,
	PAPER_DECLINED,
	PAPER_REFUSED,
};

/**
 * struct paper - secret
 * @handed: ntm-post has what this state is to send
 * @bytes:  the invite as it is signed; @i: what it says
 * @alone: an entry with others was refused: the next one names nobody else
 * @prekey: of the acceptance, of the invitee
 * @accepted: the same as the inviter has it: public, signed. Zeros: it was accepted by an
 *          older program
 */
struct paper {
	struct paper *prev, *next;
	enum paper_state state;
	bool handed, sending, adding, alone;
	uint8_t bytes[GROUP_INVITE_MAX];
	size_t len;
	struct group_invite i;
	struct member_prekey prekey;
	uint8_t accepted[GROUP_PREKEY_LEN];
	uint8_t welcome[GROUP_WELCOME_MAX];
	size_t welcome_len;
	struct papers *all;
};

/** struct held - an item that was not fetched, as its sender is not allowed in */
struct held {
	int64_t id;
	char from[NTMC_FQDN_MAX + 1];
};

NTM_MUST_CHECK int papers_open(struct node *n, struct papers **out);
void papers_close(struct papers *p);
/** what is due: entries, items, groups that wait for their log */
void papers_work(struct papers *p);
/** items may have come */
void papers_fetch(struct papers *p);
/** a group has its log */
void papers_joined(struct papers *p, struct part *part);
/** this device is out of it: what led there leads there no more */
void papers_left(struct papers *p, const struct part *part);
/** what became of the entry that adds */
void papers_added(struct papers *p, struct part *part, int code);
bool papers_busy(const struct papers *p);
/** have we accepted an invitation to that group, and are not in yet? */
bool papers_expect(const struct papers *p, const uint8_t *group);
/** is there one that waits for anything? */
bool papers_wait(const struct papers *p);

struct paper *papers_first(struct papers *p);
const struct held *papers_held(const struct papers *p, size_t *n);
/** what @from has sent unasked is fetched. Return: false: there is nothing of it */
bool papers_fetch_held(struct papers *p, const char *from);
/** invitations to us in @state, by group's name, ID or inviter.
 *  Return: 0, -NTM_ENOTFOUND, -NTM_EEXISTS (several) */
NTM_MUST_CHECK int papers_find(struct papers *p, enum paper_state state,
			       const char *text, struct paper **out);
/** one of ours: nothing leads its device into the log yet */
bool paper_is_open(const struct paper *p);

/** invite @name, whose key is @key, to @part's group.
 *  Return: 0, -NTM_EPERM (we may not, or not with these rights),
 *  -NTM_EEXISTS (it is a member, or invited already), -NTM_EPIN (a member
 *  has its name, with another key), -NTM_ELIMIT,
 *  -NTM_ENOTFOUND (where the GMS is is not known), -NTM_ESTORE, -NTM_ENOMEM */
NTM_MUST_CHECK int papers_invite(struct papers *p, struct part *part,
				 const char *name,
				 const uint8_t key[static NTMC_KEY_LEN],
				 uint8_t rights);
/** Return: 0, -NTM_EEXISTS (we are in a group of that name), -NTM_EEXPIRED, -NTM_ESTORE */
NTM_MUST_CHECK int papers_accept(struct papers *p, struct paper *paper);
/** also one that was accepted, while nobody has answered that.
 *  Return: 0, -NTM_EAGAIN (its acceptance leaves just now), -NTM_ESTORE */
NTM_MUST_CHECK int papers_decline(struct papers *p, struct paper *paper);

/* --- paper_item.c: what comes in items --- */
/** take one item of ours: @item as ntm-post lists it.
 *  Return: 0 it is done with; -NTM_EAGAIN: not now */
NTM_MUST_CHECK int paper_item(struct papers *p, const json_t *item);
/** is the sender of a held item somebody that we have asked for it? */
bool paper_wanted(struct papers *p, const char *service, const char *from);

/* --- again.c: welcomes for those who are members already (W17) --- */
/** the member at @index wants one */
void papers_give(struct papers *p, struct part *part, uint32_t index);
/** the member of @part's group with that name; NULL: none */
const struct group_member *papers_mate(const struct part *part,
				       const char *name);
/** is @from a member of one of our groups? */
bool papers_is_mate(struct papers *p, const char *from);
/** one has come for a group that we are in. Return: member_rejoin()'s, -NTM_EPERM (not of
 *  a member, or with another key than the log's) */
NTM_MUST_CHECK int papers_again(struct papers *p, const char *from,
				const uint8_t *b, size_t len);

/* --- for paper_item.c --- */
struct node *papers_node(struct papers *p);
/** Return: 0, -NTM_ELIMIT, -NTM_ENOMEM, -NTM_ESTORE */
NTM_MUST_CHECK int papers_add(struct papers *p, const struct paper *like);
NTM_MUST_CHECK int paper_store(struct paper *p);
struct paper *papers_by_token(struct papers *p, const uint8_t *token);

#endif

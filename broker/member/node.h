/* SPDX-License-Identifier: MIT */
/*
 * node - ntm-member: this device's groups, and what is done for them
 *
 * Owner:    main.c. Context: loop thread.
 *
 *   parts    the groups: an engine (member.h) each
 *   servers  connections to GMSs
 *   papers   invitations on their way, of either side
 *   plans    groups that an administrator asks this device to found
 *   chat     what members say to each other
 *   post     ntm-post, by which both travel
 *   asks     member.sock: what `ntm-group` asks
 *   words    the worker, which is given epochs' keys
 *   link     the worker, which has us started
 */
#ifndef NTM_BROKER_MEMBER_NODE_H
#define NTM_BROKER_MEMBER_NODE_H

#include <jansson.h>

#include "broker/groupword.h"
#include "broker/member/member.h"
#include "broker/member/recent.h"
#include "broker/post/who.h"

#define NODE_GROUPS_MAX 64
#define NODE_SAW_MAX	16
#define NODE_QUIET_S	2

struct ask;
struct asking;
struct chat;
struct node;
struct papers;
struct plans;
struct postcall;
struct server;
struct words;

/** struct part_saw - something that a member noticed */
struct part_saw {
	enum member_saw what;
	uint32_t who;
	uint64_t epoch;
	int code;
	int64_t at;
};

/**
 * struct part_waiting - of its messages that wait for ntm-post (chat_send.c)
 * @due:    loop's ns: none is tried before
 * @tries:  of the first one
 * @behind: the number of the last that was passed over in this round; 0: none
 */
struct part_waiting {
	uint64_t due;
	unsigned int tries;
	int64_t behind;
};

/** struct part_log - where the last page of the log ended, if more is behind it
 *  @next: the epoch; @names: who has joined before, by number; NULL: no page was shown */
struct part_log {
	uint64_t next;
	json_t *names;
};

#define PART_ASKING 16

/**
 * struct part - one group of this device
 * @waits: who asked for the wish that is under way; NULL
 * @answers: who waits for all members' confirmations; NULL
 * @adding: papers that the wish under way is about
 * @patient: who waits does so for a second time
 * @planned: who waits for its founding has accepted that plan
 * @valid_until: loop's clock, ns: until then the epoch may be used
 * @renewal_at: the same: then the GMS makes another one
 * @said_epoch: that the worker has, on this connection; 0: none
 * @spoken: our engine has said since our start whether there is a key
 */
struct part {
	struct part *prev, *next;
	struct node *node;
	struct member *m;
	struct server *server;
	struct ask *waits, *answers;
	struct loop_timer *patience; /* of both */
	struct loop_timer *tell;     /* one of the others is shown our seal */
	struct loop_timer *retell;   /* and the next one, all the time */
	uint64_t round;		     /* of the latter */
	uint64_t told;		     /* the epoch that this was for */
	struct recent corrected; /* who showed an old seal, was shown ours */
	struct recent assured;	 /* who asked, was told that we are here */
	uint32_t asking[PART_ASKING]; /* silent ones; ntm-post has to answer */
	unsigned int n_asking;
	int64_t shown; /* the item, ntm-post's number */
	bool adding, founding, over, planned, patient, spoken;
	uint8_t plan[GROUP_ID_LEN];	   /* where @planned */
	struct part_saw saw[NODE_SAW_MAX]; /* saw.c */
	unsigned int n_saw;
	struct loop_timer *saw_due;
	uint64_t valid_until, renewal_at, said_epoch;
	struct part_waiting waiting;
	struct part_log log;
	struct groupword relay; /* what the GMS said last of one; secret */
};

struct node {
	struct loop *loop;
	struct who who;
	struct memberstore *store;
	const char *rundir;
	struct part *parts;
	struct server *servers;
	struct papers *papers;
	struct plans *plans;
	struct chat *chat;
	struct postcall *post;
	struct asking *asks;
	struct words *words;
	unsigned int giving; /* again.c */
	int link;
	struct loop_io *link_io;
	struct loop_timer *quiet, *tidy, *wipe;
	struct ask *login_waits; /* for a login that names a GMS; NULL */
	struct loop_timer *login_limit;
	uint64_t login_asked;
	bool kept, ending;
	int broken;
};

/** @link: taken. Return: 0, who_open()'s, memberstore_open()'s, -NTM_ENOMEM */
NTM_MUST_CHECK int node_open(struct node *n, const char *config,
			     const char *state, const char *rundir, int link);
void node_close(struct node *n);
/** hear what the worker says. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int node_link(struct node *n);
/** begin with what is in the store */
void node_work(struct node *n);
/** something came to its end: is there anything left to do? */
void node_check_idle(struct node *n);
/** a secret was written over: soon it is nowhere on the disk any more */
void node_wipe_soon(struct node *n);
int64_t node_now(const struct node *n);
/** a login that names a GMS, please: @a is looked at again when there is one, or after a
 *  while. Return: false: that was tried just now */
bool node_renew_login(struct node *n, struct ask *a);
/** a GMS of our domain has ended the connection: whether the DC is there still, the worker
 *  is to see */
void node_server_lost(struct node *n);
/** the machine slept: seals have come nearer to their end, connections are dead */
void node_woke(struct node *n, unsigned int slept_s);

/* --- groups (part.c) --------------------------------------------------------------------- */

/** by name, or by the beginning of the ID's text. Return: 0, -NTM_ENOTFOUND,
 *  -NTM_EEXISTS (several) */
NTM_MUST_CHECK int part_find(struct node *n, const char *text,
			     struct part **out);
struct part *part_by_id(struct node *n, const uint8_t *id);
/** a new group at the GMS of our domain. Return: member_found()'s, -NTM_ENOTFOUND (there
 *  is no GMS), -NTM_ELIMIT */
NTM_MUST_CHECK int part_found(struct node *n, const char *name,
			      const struct group_policy *policy,
			      struct part **out);
/** by a welcome. Return: member_join()'s, -NTM_ELIMIT */
NTM_MUST_CHECK int part_join(struct node *n, const uint8_t *welcome, size_t len,
			     const struct member_prekey *prekey,
			     const struct group_invite *invite,
			     struct part **out);
NTM_MUST_CHECK int part_load(struct node *n,
			     const uint8_t id[static GROUP_ID_LEN]);
/** at the end of the turn */
void part_free(struct part *p);
/** @a is answered when the wish has come to its end; Return: member_submit()'s, and
 *  -NTM_EAGAIN: another one waits; @a is the caller's still then */
NTM_MUST_CHECK int part_wish(struct part *p, const struct group_change *c,
			     struct ask *a);
/** who asked has gone. Return: @p would have answered */
bool part_forget(struct part *p, const struct ask *a);
/** 22 digits; static buffer */
const char *part_id_text(const uint8_t id[static GROUP_ID_LEN]);

/* --- connections (server.c) -------------------------------------------------------------- */

/** of the GMS with that identity; made where there is none. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int server_of(struct node *n, const char *name,
			     const uint8_t *key, struct server **out);
/** a part of it is new: hello, when it is connected */
void server_use(struct server *s, struct part *p);
/** @p goes; with the last one the connection ends */
void server_unuse(struct server *s, struct part *p);
/** it stays connected without a group, until it is released */
void server_hold(struct server *s);
void server_release(struct server *s);
/** @p: who asks, for the answer; NULL where @msg has no txn. Return: false: there is no
 *  connection */
bool server_send(struct server *s, struct part *p, Ntm__Envelope *msg);
bool server_is_open(const struct server *s);
/** why it is not connected, for a person; "" */
const char *server_trouble(const struct server *s);
const char *server_name(const struct server *s);
/** what our login says of it; NULL: it is of another domain */
const struct who_manager *server_manager(const struct server *s);
/** ADDRESS:PORT|..., for an invitation. Return: 0, -NTM_ENOTFOUND */
NTM_MUST_CHECK int server_ways(const struct server *s,
			       char ways[static GROUP_WAYS_MAX + 1]);
/** an invitation says where the GMS of @key is (ways_learn()). Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int server_learn(struct node *n,
				const uint8_t key[static NTMC_KEY_LEN],
				const char *heard);
/** the session is another one: certificates, addresses */
void servers_renew(struct node *n);
/** try again now */
void servers_online(struct node *n);
void servers_close(struct node *n);

/* --- the worker (words.c) ------------------------------------------------------------------ */

NTM_MUST_CHECK int words_open(struct node *n, struct words **out);
void words_close(struct words *w);
/** @p has keys, or none any more */
void words_part(struct words *w, struct part *p);
/** a control packet of the epoch, to the members that have a tunnel */
void words_say_control(struct part *p, const uint8_t *text, size_t len);
/** the GMS named a relay: to the worker with the epoch that it is of */
void words_relay(struct part *p, const Ntm__GroupRelay *m);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * member_impl - a member's own data, shared by its files
 *
 * Owner: member_begin.c makes and frees it. Context: loop thread.
 *
 *   member.c   states, timers, the connection
 *   member_begin.c how it begins: founded, welcomed, loaded
 *   hello.c    what is said of ourselves
 *   news.c     what the GMS says: entries, shares, seals
 *   author.c   what we want: entries, parts, made anew where others were first
 *   witness.c  what the GMS has signed for others
 *   straight.c confirmations from member to member
 *   silence.c  for how long each member was not heard of
 *   duty.c     what we do for the group: a refresh, wishes to leave, an old server
 */
#ifndef NTM_BROKER_MEMBER_MEMBER_IMPL_H
#define NTM_BROKER_MEMBER_MEMBER_IMPL_H

#include "broker/member/member.h"
#include "libntmcrypto/groupprekeys.h"

#define MEMBER_PARTS	     400     /* in one message */
#define MEMBER_ACK_SPREAD_NS 500000u /* for each member of the group */
#define MEMBER_AGAIN_S	     5	     /* until the server knows a new login */
#define MEMBER_LATER_S	     60	     /* until a restored one has been told */
#define MEMBER_WANT_S	     65	     /* the server passes one on in a minute */
#define MEMBER_TRIES	     16	     /* entries made anew before we give up */
#define MEMBER_PARTS_TRIES   4	 /* of an entry whose parts do not suffice */
#define MEMBER_ANSWER_S	     10	 /* for which an answer is waited for */
#define MEMBER_TURN_S	     10	 /* until the next member's turn */
#define MEMBER_EVICTED	     64	 /* in one entry */
#define MEMBER_EVICTORS	     4	 /* members whose turn it is to evict */
#define MEMBER_ASKED	     16	 /* silent ones that are asked at a time */
#define MEMBER_LEAVES	     16	 /* wishes to leave that are remembered */
#define MEMBER_LEAVE_MS	     100 /* for each member before us */
#define MEMBER_LEAVE_MAX_MS  5000

/** enum wish_state - life of what member_submit() wants
 * @WISH_NONE:      nothing
 * @WISH_WAITS:     for a connection, or for the log's end
 * @WISH_ASKS:      for the members' prekeys
 * @WISH_SUBMITTED: the GMS has it, or not: its answer, or the news, will say
 */
enum wish_state { WISH_NONE, WISH_WAITS, WISH_ASKS, WISH_SUBMITTED };

struct wish {
	enum wish_state state;
	struct group_change c;	      /* its lists are ours */
	bool ours;		      /* a duty: nobody waits for it */
	bool kept;		      /* its person's, and in the store */
	unsigned int tries, short_of; /* @short_of: parts, so often */
	uint64_t epoch;		      /* that the entry would begin */
	uint32_t txn;
};

struct silence; /* silence.c */

struct member {
	struct member_setup s;
	enum member_state state;
	bool online, asking, leaving;
	bool skips; /* what comes of this answer yet: it does not fit */
	struct group *g;
	struct member_own own;
	struct group_prekey prekey; /* the public half, as it was told last */
	uint8_t id[GROUP_ID_LEN];
	uint8_t welcome_hash[NTMC_HASH_LEN];
	uint64_t welcome_epoch; /* until the log is there; 0: it is */
	bool shut_out;		/* an entry of this news has no share for us */
	bool wants;		/* our state opens nothing: a welcome, please */
	uint64_t past_epoch;	/* that the log must lead through; 0: none */
	uint8_t past_hash[NTMC_HASH_LEN];
	struct group_keys keys;
	uint8_t seal[GROUP_SEAL_LEN]; /* the last that held; zeros: none */
	struct member_login login;    /* as the last hello named it */
	int64_t not_after, heard;     /* by the GMS's clock */
	uint64_t refresh_due;	      /* loop's ns; @turn is not before */
	uint64_t silent_at;	      /* loop's ns, of @silent */
	uint32_t index, txn, leave_txn, create_txn, turn_generation;
	struct group_prekeys *genuine;
	uint8_t (*people)[GROUP_PREKEY_LEN]; /* of the answer, by position */
	size_t n_people;
	uint64_t *confirmed; /* by position: the epoch, as it was asked last */
	uint64_t *heard_of;  /* the same, as they have said to us */
	struct silence *silence;
	uint64_t straight_epoch, straight_said; /* ours: of which epoch, when */
	struct loop_timer *straight;
	struct wish wish;
	uint64_t asked; /* loop's ns, when @asking began */
	struct group_leave leaves[MEMBER_LEAVES]; /* of others, verified */
	size_t n_leaves;
	uint64_t
		repair; /* the epoch that an old server is given now; 0: none */
	uint32_t repair_txn, want_txn;
	/* an epoch that the server has told others of, and one of these; stored */
	uint64_t told_epoch;
	uint32_t told_who;
	bool held_back; /* and it did not come when it was asked for */
	struct loop_timer *ack, *silent, *turn, *leaves_due, *again, *want,
		*told;
};

/* member.c */
void member_set_state(struct member *m, enum member_state to);
void member_say(struct member *m, Ntm__Envelope *msg);
void member_named(struct member *m, enum member_saw what, uint32_t who,
		  uint64_t epoch, int code);
ProtobufCBinaryData member_bytes(const void *p, size_t len);
/** keys are wiped, and @to is the state */
void member_stop(struct member *m, enum member_state to);
/* two pasts that the GMS has signed: never again a key, nor after a start */
void member_keep_fork(struct member *m);
/** acknowledge, silence, turn: after news with a seal */
void member_clocks(struct member *m, int64_t now);

/** the GMS has said nothing for too long; @m as the timer's */
void member_silent(void *m);

/* hello.c */
/** how far we are; nothing where the disk fails */
void member_hello(struct member *m);
/** the same again, and the acknowledgement of an epoch; @m as the timer's */
void hello_again(void *m);
void hello_ack(void *m);
/** the next prekey, in memory. The caller stores it */
void member_new_prekey(struct member *m);

/* news.c */
void news_take(struct member *m, const Ntm__GroupNews *n);
void news_gone(struct member *m, const Ntm__GroupGone *g);

/* witness.c */
/** the server keeps entries back: there are no keys for us */
bool witness_held(const struct member *m);
/** what others were told of should be here; @m as the timer's */
void witness_due(void *m);
/** it is waited for after a start as well, and where it was kept back nothing is sent */
void witness_load(struct member *m);

/* author.c */
/** member_submit(); @ours: nobody waits for it */
NTM_MUST_CHECK int author_want(struct member *m, const struct group_change *c,
			       bool ours);
/** the log's end is reached: what waits may go on */
void author_go(struct member *m);
void author_ask(struct member *m);
void author_answer(struct member *m, const Ntm__GroupAnswer *a);
void author_acked(struct member *m, int code);
/** a removal that the store has is wished again, after a start */
void author_load(struct member *m);
/** the wish is over */
void author_end(struct member *m, int code);
/** the entry that was just applied is the one that we submitted */
void author_took(struct member *m);

/* straight.c */
/** our confirmation, to who is there; @m as the timer's */
void straight_due(void *m);
/** the epoch has a key: it is due soon */
void straight_epoch(struct member *m);

/* silence.c */
NTM_MUST_CHECK int silence_new(struct silence **out);
void silence_free(struct silence *s);
/** as it was stored; nothing where it was not */
void silence_load(struct member *m);
/** time counts while there is a connection */
void silence_online(struct member *m, bool online);
/** when the server says that it heard last of the member at position @i */
void silence_told(struct member *m, size_t i, int64_t seen);
/** all of them were told, and their confirmations taken */
void silence_look(struct member *m);
/** Return: seconds of ours that the member was not heard of; 0: who is no member */
uint32_t silence_s(const struct member *m, uint32_t index);
#define SILENCE_UNASKED UINT32_MAX
/** Return: seconds of ours since member_asked() without a sign of it; SILENCE_UNASKED: it
 *  was not */
uint32_t silence_asked_s(const struct member *m, uint32_t index);

/* duty.c */
/** how many members are before us in this epoch */
uint64_t duty_turns(const struct member *m);
/** RN1 is to be made anew, and it is our turn; @m as the timer's */
void duty_turn(void *m);
/** somebody wishes to leave */
void duty_leave(struct member *m, const Ntm__GroupLeave *l);
void duty_leaves(void *m);
/** our state opens nothing any more: ask for a welcome, and again; @m as the timer's */
void duty_want(void *m);
/** who was not heard of for evict_s, by our clock, is evicted, if we may */
void duty_evict(struct member *m);
/** the server has had a later epoch than @epoch: it is given what it lacks */
void duty_repair(struct member *m, uint64_t epoch);
void duty_repaired(struct member *m, int code);

#endif

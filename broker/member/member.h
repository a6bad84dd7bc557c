/* SPDX-License-Identifier: MIT */
/*
 * member - this device's part in one group (docs/groups.md)
 *
 * Owner:    ntm-member, one for each group; member_free() is fine with NULL. The store
 *           outlives it.
 * Context:  loop thread. It has no connection: its owner carries messages to and from
 *           the GMS, whose certificate says that it is the group's (member_server()).
 * States:   enum member_state; member_online() and member_offline() beside it.
 * Nothing is used before it is stored: keys are given out behind the commit.
 */
#ifndef NTM_BROKER_MEMBER_MEMBER_H
#define NTM_BROKER_MEMBER_MEMBER_H

#include "broker/member/memberstore.h"
#include "common/loop.h"
#include "common/ntm.pb-c.h"

struct member;

/**
 * enum member_state - what this device can do in the group
 * @MEMBER_BEHIND: it has no key of an epoch that counts: it has just started, lacks
 *                 entries, or got no share.             Leaves by: news, Gone
 * @MEMBER_JOINED: it has the key of the last epoch that it heard of, and may send.
 *                                                       Leaves by: news, time, Gone
 * @MEMBER_FROZEN: the GMS has said nothing for so long that a removal may have been
 *                 kept from it: it sends nothing.       Leaves by: news, Gone
 * @MEMBER_FORKED: two pasts; a person decides.          Leaves by: nothing
 * @MEMBER_OUT:    it left, was removed, or the GMS does not know it. Keys are wiped.
 */
enum member_state {
	MEMBER_BEHIND,
	MEMBER_JOINED,
	MEMBER_FROZEN,
	MEMBER_FORKED,
	MEMBER_OUT,
	MEMBER_STATES
};
const char *member_state_text(enum member_state state);

/** what a member noticed and names to its person; SAW(name, text), membersaw.def */
enum member_saw {
#define SAW(name, text) MEMBER_SAW_##name,
#include "broker/member/membersaw.def"
#undef SAW
	MEMBER_SAWS
};
/** a sentence without full stop */
const char *member_saw_text(enum member_saw what);

/**
 * struct member_ops - none may free the member
 * @send:  to the GMS, if there is a connection; what is lost is said again later
 * @state: it changed, from @before
 * @keys:  from now on; @k is borrowed. NULL: there are none, send nothing
 * @saw:   @who: an index, or GROUP_SERVER; @code: -NTM_E..., or 0
 * @done:  of member_submit(): 0 (it is in the log, or what it wants is so already),
 *         or why not; of member_found(): the first entry was refused
 * @people: member_prepare() has its answer
 * @say: a control packet to the other members, if they can be reached; NULL: there is no
 *       way to
 * @wanted: the state of the member at @index is too old: it wants a welcome
 * @ask: the member at @index is silent: a sign, please, that the GMS does not carry.
 *       member_asked() when the question is on its way, member_alive() when a sign comes
 */
struct member_ops {
	void (*send)(void *arg, Ntm__Envelope *msg);
	void (*state)(void *arg, struct member *m, enum member_state before);
	void (*keys)(void *arg, const struct group_keys *k, uint32_t index);
	void (*saw)(void *arg, enum member_saw what, uint32_t who,
		    uint64_t epoch, int code);
	void (*done)(void *arg, int code);
	void (*people)(void *arg);
	void (*wanted)(void *arg, uint32_t index);
	void (*say)(void *arg, const uint8_t *text, size_t len);
	void (*ask)(void *arg, uint32_t index);
};

/** struct member_login - what makes Kngms ours: of a login that is not over; secret */
struct member_login {
	uint64_t node_id, key_id;
	struct ntmc_key key;
};

/**
 * struct member_setup - all borrowed, and outlive the member
 * @login: at the group's GMS. Return: false: there is none, as it is of another domain.
 *         NULL: never
 */
struct member_setup {
	bool (*login)(void *arg, struct member_login *out);
	struct loop *loop;
	const struct ntmc_env *env;
	const struct ntmc_identity *id;
	struct memberstore *store;
	const struct member_ops *ops;
	void *arg;
};

/**
 * member_found() - a new group; its create entry is submitted when there is a connection
 * @fqdn: this device's; @server, @server_key: the GMS
 * Return: 0; -NTM_EINVAL (name, policy), -NTM_ESTORE, -NTM_ENOMEM
 */
NTM_MUST_CHECK int member_found(const struct member_setup *setup,
				const char *name, const char *fqdn,
				const char *server, const uint8_t *server_key,
				const struct group_policy *policy,
				struct member **out);
/**
 * member_join() - by a welcome that came from who invited
 * @prekey, @serial: those of the acceptance
 * Until the log is here the welcome is kept by the caller.
 * Return: 0, -NTM_EDECODE, -NTM_ENOMEM
 */
NTM_MUST_CHECK int member_join(const struct member_setup *setup,
			       const uint8_t *welcome, size_t len,
			       const struct member_prekey *prekey,
			       uint64_t serial, struct member **out);
/**
 * member_rejoin() - by a welcome of another member, after it was wanted: our own state
 * opens nothing any more
 * The log is walked anew, and must lead through the past that we know.
 * Return: 0; -NTM_ESTATE (not wanted, or older than what we have), -NTM_EDECODE,
 *         -NTM_ENOTFOUND (another group's), -NTM_ENOMEM
 */
NTM_MUST_CHECK int member_rejoin(struct member *m, const uint8_t *welcome,
				 size_t len);
/** as the store has it. Return: 0, memberstore_get()'s */
NTM_MUST_CHECK int member_load(const struct member_setup *setup,
			       const uint8_t id[static GROUP_ID_LEN],
			       struct member **out);
void member_free(struct member *m);

/**
 * member_told() - another member shows a seal that the GMS has given it
 * @who: its index, to be named
 * Return: 0: of our epoch and past; -NTM_EAGAIN: of a later epoch: the GMS has been asked
 *         for what leads there;
 *         -NTM_ESTATE: of an earlier one, by our past; -NTM_EFORK: of another past, and we
 *         are FORKED, or were; -NTM_EDECODE, -NTM_ENOTFOUND, -NTM_EAUTH: it says nothing
 */
NTM_MUST_CHECK int member_told(struct member *m, const uint8_t *seal,
			       size_t len, uint32_t who);
/** to which position, of @n in order of index, 2 at least, the member at position @mine shows
 *  its seal in that round. In a round each is shown one seal, in @n - 1 rounds everybody's */
size_t member_whom(size_t mine, size_t n, uint64_t round);
/** the last seal that held, GROUP_SEAL_LEN bytes, to show to others; NULL: none */
const uint8_t *member_seal(const struct member *m);

/** there is a connection to the GMS: hello */
void member_online(struct member *m);
void member_offline(struct member *m);
/** the loop's clock stood still for so long: a seal that has ended meanwhile has ended */
void member_slept(struct member *m, unsigned int slept_s);
/** what the GMS says of this group, and its NTM ACKs */
void member_message(struct member *m, const Ntm__Envelope *msg);

/**
 * member_submit() - a change of the group: made, and made anew if others were first
 * @c: @share is not read; copied. Joiners' and gone ones' lists too, these in any order
 * Whom to remove is in the store until it is so, and what the device wants by itself, or the
 * owner to add, makes room for that unless the GMS has it: ops.done() comes for the latter
 * with -NTM_EAGAIN. A removal that waits takes in another one, unless the GMS has it.
 * Return: 0: ops.done() comes later; -NTM_EAGAIN (one is under way), -NTM_ESTATE,
 *         -NTM_ESTORE, -NTM_ENOMEM
 */
NTM_MUST_CHECK int member_submit(struct member *m,
				 const struct group_change *c);
/** does a removal wait that outlives the process? */
bool member_keeps_wish(const struct member *m);
/** ask for all members' prekeys and confirmations, and check them: a removal takes
 *  less time later. Return: false: not now; else ops.people() comes */
bool member_prepare(struct member *m);
/** keys end now; the store forgets the group when the GMS has the wish.
 *  @here: at once, whether the GMS hears of it or not; so it is where the log was forked,
 *  as the GMS is believed nothing. Who joins, and has no log yet, can leave no other way.
 *  Return: 0, -NTM_ESTATE, -NTM_ESTORE */
NTM_MUST_CHECK int member_leave(struct member *m, bool here);

enum member_state member_state(const struct member *m);
/** its person has left; the GMS is to hear of it */
bool member_is_leaving(const struct member *m);
const struct group *member_group(const struct member *m);
const uint8_t *member_id(const struct member *m);
/** the group's name, which no server knows */
const char *member_name(const struct member *m);
/** UINT32_MAX while it is in no log yet */
uint32_t member_index(const struct member *m);
/** seconds since 1970 by the GMS's clock: until then this epoch may be used */
int64_t member_not_after(const struct member *m);
/** the same in seconds from the GMS's last word on */
int64_t member_valid_s(const struct member *m);
/** from the GMS's last word on: seconds until it makes RN2 anew, if nothing else begins an
 *  epoch before; less than 0: it is late. Of who has a key */
int64_t member_renewal_s(const struct member *m);
/** from now on: seconds until RN1 is to be made anew. Of who has a key */
int64_t member_refresh_s(const struct member *m);
/** a control packet of the member at @index came, under @epoch; its signature holds */
void member_heard(struct member *m, uint64_t epoch, uint32_t index,
		  const uint8_t *text, size_t len);
void member_asked(struct member *m, uint32_t index);
/** the member at @index has said something by a way that the GMS has no part in */
void member_alive(struct member *m, uint32_t index);
/** the others are asked for their confirmations, beside the GMS */
void member_ask_straight(struct member *m);
/** has the member at position @i confirmed this epoch, to us or as the GMS said last? */
bool member_confirmed(const struct member *m, size_t i);
/** NULL: it has none. Secret, borrowed until the loop's turn ends */
const struct group_keys *member_keys(const struct member *m);
/** for who joins. Return: bytes, 0 when it is not joined; wiped by the caller */
size_t member_welcome(const struct member *m,
		      uint8_t out[static GROUP_WELCOME_MAX]);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * chatstore - what was said in a node's groups, on its disk
 *
 * Owner:    ntm-member; one process opens one store.
 * Context:  loop thread; each call may wait for the disk.
 * Secrets:  what was said, by whom and when is sealed with a key of the device's identity
 *           and bound to group, message and place. In clear: GroupIDs, how many messages,
 *           and the indices of members that have read one.
 */
#ifndef NTM_BROKER_MEMBER_CHATSTORE_H
#define NTM_BROKER_MEMBER_CHATSTORE_H

#include "broker/member/chatword.h"

#define CHATSTORE_MAX	10000 /* messages of a group; the oldest go */
#define CHATSTORE_SLACK 128   /* so many more may be there for a while */
#define CHATSTORE_READS 64    /* members that have read, as one message names */
#define CHATSTORE_BODY	(8 * CHAT_TEXT_MAX)

struct chatstore;

/**
 * enum chat_state - of a message; numbers are in the store
 * @CHAT_WAITS:  ours: ntm-post has not taken it yet.   Leaves by: sent, refused
 * @CHAT_SENT:   ours: it goes on by itself
 * @CHAT_FAILED: ours: @why
 * @CHAT_NEW:    of others, not yet shown.              Leaves by: the person
 * @CHAT_SHOWN:  its author is to be told.              Leaves by: the mark is sent
 * @CHAT_OLD:    of others; nothing is to be done
 */
enum chat_state {
	CHAT_WAITS = 1,
	CHAT_SENT,
	CHAT_FAILED,
	CHAT_NEW,
	CHAT_SHOWN,
	CHAT_OLD,
};

/**
 * struct chat_line - a message as it is kept
 * @n:     its number on this device, in order of arrival
 * @w:     as it was said; @w.clock is the place that it has here
 * @from, @index: its author
 * @limit: ours: members with an index below it are meant
 * @to:    ours: how many they were
 * @file:  ours, of a file: absolute path
 */
struct chat_line {
	int64_t n;
	struct chatword w;
	enum chat_state state;
	char from[NTMC_FQDN_MAX + 1];
	uint32_t index, limit, to;
	char *file, *why;
};
struct chat_line *chat_line_new(void);
void chat_line_free(struct chat_line *l); /* NULL is fine */

/** Return: 0, -NTM_ESTORE, -NTM_EVERSION, -NTM_ENOMEM */
NTM_MUST_CHECK int chatstore_open(const char *path, const struct ntmc_env *env,
				  const struct ntmc_identity *id,
				  struct chatstore **out);
void chatstore_close(struct chatstore *s);

/** @l->n is set. Return: 0, -NTM_EEXISTS (this author has said this), -NTM_ETOOBIG,
 *  -NTM_ESTORE, -NTM_ENOMEM */
NTM_MUST_CHECK int chatstore_add(struct chatstore *s, struct chat_line *l);
/** state, @to and @why are other ones. Return: as chatstore_add() */
NTM_MUST_CHECK int chatstore_change(struct chatstore *s, struct chat_line *l);
/**
 * chatstore_next() - the first line of @group behind @after
 * @state: only those; 0: all
 * Return: 0 and *@out, the caller's; -NTM_ENOTFOUND; -NTM_EAUTH (sealed by another
 *         device, or damaged: *@n is its number); -NTM_ESTORE; -NTM_ENOMEM
 */
NTM_MUST_CHECK int chatstore_next(struct chatstore *s,
				  const uint8_t group[static GROUP_ID_LEN],
				  int64_t after, enum chat_state state,
				  int64_t *n, struct chat_line **out);
/** the number behind which the last @count lines are; 0: all of them are */
int64_t chatstore_last(struct chatstore *s,
		       const uint8_t group[static GROUP_ID_LEN], int64_t count);
/** lines of @group in @state, how many */
int64_t chatstore_count(struct chatstore *s,
			const uint8_t group[static GROUP_ID_LEN],
			enum chat_state state);
/** the highest clock of @group; 0: nothing was said */
int64_t chatstore_clock(struct chatstore *s,
			const uint8_t group[static GROUP_ID_LEN]);
/** all NEW lines up to @n are @to now. Return: how many, -NTM_ESTORE */
NTM_MUST_CHECK int chatstore_shown(struct chatstore *s,
				   const uint8_t group[static GROUP_ID_LEN],
				   int64_t n, enum chat_state to);
/** member @index has read our message @id. Return: 0, -NTM_ENOTFOUND (none of ours),
 *  -NTM_EEXISTS, -NTM_ESTORE */
NTM_MUST_CHECK int chatstore_read(struct chatstore *s,
				  const uint8_t group[static GROUP_ID_LEN],
				  const uint8_t id[static CHAT_ID_LEN],
				  uint32_t index);
/** who has: @all is how many, of whom the first, by index, are named. Return: how many are
 *  in @out */
size_t chatstore_readers(struct chatstore *s,
			 const uint8_t group[static GROUP_ID_LEN],
			 const uint8_t id[static CHAT_ID_LEN],
			 uint32_t out[static CHATSTORE_READS], size_t *all);
#define CHATSTORE_LATE_MAX 4096 /* of all groups */

/** struct chat_late - a member that gets a message of ours later than the others
 *  @n: of the line; @since: seconds since 1970 */
struct chat_late {
	int64_t n;
	uint32_t index;
	uint8_t group[GROUP_ID_LEN];
	int64_t since;
};
/** Return: 0 (also where it is there), -NTM_ELIMIT, -NTM_ESTORE */
NTM_MUST_CHECK int chatstore_late_put(struct chatstore *s,
				      const struct chat_late *late);
/** the first one behind @at, by line and index; {0}: of all. Return: 0 and *@at,
 *  -NTM_ENOTFOUND, -NTM_ESTORE */
NTM_MUST_CHECK int chatstore_late_next(struct chatstore *s,
				       struct chat_late *at);
NTM_MUST_CHECK int chatstore_late_drop(struct chatstore *s, int64_t n,
				       uint32_t index);
bool chatstore_is_late(struct chatstore *s, int64_t n, uint32_t index);
/** how many members get line @n later; 0: of all lines */
int64_t chatstore_late_count(struct chatstore *s, int64_t n);

/** all of @group. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int chatstore_drop(struct chatstore *s,
				  const uint8_t group[static GROUP_ID_LEN]);

/** the steps of its tables, each as stores have run it: to try upgrades */
const char *const *chatstore_schema(size_t *n);

#endif

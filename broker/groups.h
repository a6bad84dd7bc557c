/* SPDX-License-Identifier: MIT */
/*
 * groups - the groups that this node is in, as far as packets, names and policy go
 *
 * Owner:    the worker. Context: loop thread. ntm-member gives the epochs (grouplink.h);
 *           here they meet peers: a member's virtual addresses are those of a peer whose
 *           identity is the one that the group's log has.
 * Files:    groups.c, groupname.c (names and addresses), groupmember.c (members who are
 *           peers).
 * States:   a group is here from its first epoch on until it ends, or is not said any
 *           more by an ntm-member that has said all.
 */
#ifndef NTM_BROKER_GROUPS_H
#define NTM_BROKER_GROUPS_H

#include <jansson.h>

#include "broker/groupword.h"
#include "broker/worker.h"
#include "common/fqdn.h"

struct groups;
struct peer;
struct policy_rule;
struct dp_group;

#define GROUPS_LABEL	  "group" /* NAME.group.DOMAIN */
#define GROUPS_CONNECTING 32	  /* members looked up at one time */
#define GROUPS_UNKNOWN	  LOOP_S(2)
#define GROUPS_RANGES	  3 /* entries of the page, one with IPv6 beside */

NTM_MUST_CHECK int groups_new(struct worker *w, struct groups **out);
void groups_free(struct groups *gs);
/** logged out: all end */
void groups_forget(struct groups *gs);

/* --- what ntm-member says ------------------------------------------------------------ */

/** @e is taken over. Return: 0; -NTM_ESTATE (not a later epoch), -NTM_ELIMIT,
 *  -NTM_ENOLOGIN, -NTM_ENOMEM: cleared, and nothing changed */
NTM_MUST_CHECK int groups_epoch(struct groups *gs, struct groupword_epoch *e);
void groups_valid(struct groups *gs, const struct groupword *word);
/** where packets of the present epoch are replicated; another epoch's: nothing */
void groups_relay(struct groups *gs, const struct groupword *word);
void groups_end(struct groups *gs, const uint8_t id[static GROUP_ID_LEN]);
void groups_keep(struct groups *gs, const uint8_t id[static GROUP_ID_LEN]);
/** ntm-member begins to say all; and has said all: the others are gone */
void groups_begin(struct groups *gs);
void groups_all(struct groups *gs);
/** a control packet to be sent. Return: 0, dp_group_control()'s, -NTM_ENOTFOUND */
NTM_MUST_CHECK int groups_say(struct groups *gs, const struct groupword *word);
/** who hears control packets of others, and has ntm-member say all again; NULL: nobody */
void groups_set_ear(struct groups *gs,
		    void (*heard)(void *arg, const struct groupword *word),
		    void (*again)(void *arg), void *arg);
/** tunnels of the worker before are here: until ntm-member has said all, or GROUPS_UNKNOWN
 *  has passed, who is not let in may be a member of a group, and nothing is ended for that */
void groups_unsure(struct groups *gs);
/** false: it is so. NULL: true */
bool groups_known(const struct groups *gs);
/** there is a session, maybe another one: all is to be said again */
void groups_again(struct groups *gs);

/* --- names ---------------------------------------------------------------------------- */

/** NAME.group.DOMAIN of a domain that is ours, allowed, or a group's? Such names are
 *  never asked of a coordinator. @name: normalized */
bool groups_is_name(const struct groups *gs, const char *name);
/** another domain is known: its groups have addresses from now on. NULL is fine */
void groups_domain(struct groups *gs);
/** its addresses, zeros where there is none. Return: 0, -NTM_ENONAME */
NTM_MUST_CHECK int groups_find(const struct groups *gs, const char *name,
			       uint8_t vip6[static 16], uint8_t vip4[static 4]);
/** for the page of the shims: what is virtual because of groups. All IPv6 addresses
 *  under fd6e::/16; of IPv4 each group's alone, as others on the host's network may have
 *  the rest of the range, or all of it where there are more than so many.
 *  Return: how many entries */
size_t groups_ranges(const struct groups *gs,
		     struct engine_config out[static GROUPS_RANGES]);
/** the name of a group's address; NULL: no group's. Valid until the next call */
const char *groups_reverse(struct groups *gs, const struct addr *a);
/** the addresses of a group, by its id and the domain's prefix */
void groups_addresses(const uint8_t id[static GROUP_ID_LEN],
		      const uint8_t prefix[static GROUPWORD_PREFIX_LEN],
		      uint8_t vip6[static 16], uint8_t vip4[static 4]);

/* --- peers ---------------------------------------------------------------------------- */

/** a Hole Punch Ack with PACKET_PLACE, of any group; destroyed */
void groups_datagram(struct groups *gs, const struct packet_header *h,
		     uint8_t *buf, size_t len);
/** we have moved, or slept: relays are to know where we are */
void groups_moved(struct groups *gs);
/** the loop's clock stood still for so long, and keys are good for less than they seem */
void groups_slept(struct groups *gs, unsigned int slept_s);
/** the peer's state changed */
void groups_peer(struct groups *gs, struct peer *p);
/** is the peer called @fqdn a member of @group, NAME.group.DOMAIN; NULL: of any? Not if
 *  its identity is known to be another than the log's, and not of a group that has not the
 *  @id, or without one (NULL) whose name another one has, too. NULL is fine */
bool groups_has(const struct groups *gs, const char *group, const uint8_t *id,
		const char *fqdn);
/**
 * groups_subject() - what a person means by @NAME, for policy.h
 * @r: its subject @NAME becomes @NAME.group.DOMAIN, of the one group of that name that is
 *     here, and is bound to it; a whole name stays as it is, and is bound when such a
 *     group is here
 * Return: 0, -NTM_ENOTFOUND (none, or more than one), -NTM_EINVAL (too long)
 */
NTM_MUST_CHECK int groups_subject(const struct groups *gs,
				  struct policy_rule *r);
/** rules without ID of groups that are here are bound to these, once it is known which
 *  ones there are */
void groups_bind(const struct groups *gs);
/** what the group of a rule is here, a word for people and programs: "here"; "other":
 *  another one bears its name now; "keyless": this device is in it, and has no key of it
 *  now; "away": it is not in it; "awaited": the rule is of the first one of that name */
const char *groups_rule(const struct groups *gs, const struct policy_rule *r);
/** datapath's group_wants and group_control */
void groups_wants(struct groups *gs, struct dp_group *g, uint32_t index);
void groups_control(struct groups *gs, struct dp_group *g, uint64_t epoch,
		    uint32_t index, const uint8_t *text, size_t len);

/** new reference: an array for `ntm status` */
json_t *groups_json(const struct groups *gs);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * relayed - a peer behind a relay: its candidate, and the way to a direct path
 *
 * Owner:    the peer's struct paths. Context: loop thread. path.c and punch.c call.
 */
#ifndef NTM_BROKER_RELAYED_H
#define NTM_BROKER_RELAYED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"

struct candidate;
struct peer;

NTM_MUST_CHECK int relayed_init(struct peer *p);
void relayed_stop(struct peer *p);

/* --- punch.c: of the relay's address in use --- */
/** a direction names it */
void relayed_named(struct peer *p, const struct addr *a);
/** the relay sends on from where we are now */
void relayed_bound(struct peer *p, const struct addr *a);
/** the way to relays is another one, from the same address (gate.h) */
void relayed_rerouted(struct peer *p);
/** it is none of a relay any more */
void relayed_gone(struct peer *p, const struct addr *a);

/* --- path.c --- */
/** while the path is relayed: challenge what is direct, so that NATs open; at most
 *  every OPEN_AGAIN_MS, which doubles, later then */
void relayed_open(struct peer *p);
/** addresses or NATs of ours changed: what failed before may work now */
void relayed_we_are_elsewhere(struct peer *p);
/** the peer told a new address */
void relayed_peer_is_elsewhere(struct peer *p);
/** @c, which was in use, is left because it failed */
void relayed_broke(struct peer *p, struct candidate *c);
/** it failed lately: the relay stands before it */
bool relayed_barred(const struct peer *p, const struct candidate *c);
/** after which time the next of those challenges leaves, ns; @tries: were sent */
uint64_t relayed_pause(unsigned int tries);
/** @c is used now */
void relayed_chosen(struct peer *p, const struct candidate *c, bool other);
/** a direct one answered while the path is relayed: it takes over */
void relayed_take(struct peer *p, struct candidate *c);
/** packets wait for the change */
bool relayed_taking(const struct peer *p);
/** packets of the peer came from @c: is a challenge to be returned, to open NATs? */
bool relayed_returns(struct peer *p, const struct candidate *c);
/** the peer sends from @c. Return: true: that moves nothing */
bool relayed_stays(struct peer *p, struct candidate *c, bool told);
/** our own move, on the relay's path. Return: true: it is waited for the relay */
bool relayed_we_moved(struct peer *p, struct candidate *cur);
void relayed_tick(struct peer *p);
/** where others see us, each once. Return: how many */
size_t relayed_seen(const struct peer *p, struct addr *out, size_t max);

/** is the path in use one through a relay? */
bool relayed_is(const struct peer *p);
/** one line: why it is; "": nothing is known */
const char *relayed_why(const struct peer *p);

#endif

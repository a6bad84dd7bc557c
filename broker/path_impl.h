/* SPDX-License-Identifier: MIT */
/*
 * path_impl - what path.c, path_probe.c, path_health.c and relayed.c share
 *
 * Owner:    these four. Context: loop thread.
 */
#ifndef NTM_BROKER_PATH_IMPL_H
#define NTM_BROKER_PATH_IMPL_H

#include "broker/path.h"

void path_set_state(struct peer *p, struct candidate *c, enum path_state state);
/** the current one; NULL: none */
struct candidate *path_now(struct peer *p);
struct candidate *path_find(struct peer *p, const struct addr *a);
void path_remove(struct peer *p, struct candidate *c);
/** a new round of challenges; the first leaves now, of @wire_len bytes at least */
void path_challenge(struct peer *p, struct candidate *c, size_t wire_len);
/** bytes on the wire of a challenge that is not padded */
#define PATH_CHALLENGE_LEAST (PACKET_OVERHEAD + 11)
/** packets of the peer came from there: its candidate; a stranger, if it is new */
struct candidate *path_found(struct peer *p, const struct addr *a);
/** challenge it; a stranger once, and only if so many bytes are @allowed */
void path_challenge_found(struct peer *p, struct candidate *c, size_t allowed);
/** the next try of a round; @wire_len: 0: as usual */
void path_challenge_send(struct peer *p, struct candidate *c, size_t wire_len);
/** whose challenge that cookie was, or NULL */
struct candidate *path_by_cookie(struct peer *p, uint64_t cookie);
/** its answer is here: the round trip */
void path_measure(struct peer *p, struct candidate *c, uint64_t cookie);
/** ns, measured or guessed */
uint64_t path_rtt(const struct candidate *c);
/** paths.timer: tries and rounds that are over */
void path_timer_due(void *arg);
/** all that are routed, but the current one */
void path_probe_others(struct peer *p);
/** after challenges: when the next is due */
void path_timer_arm(struct peer *p);
bool path_routed(struct peer *p, const struct addr *remote);
bool path_proven_lately(const struct peer *p, const struct candidate *c);
/** data goes there from now on */
void path_choose(struct peer *p, struct candidate *c);
/** the data path's remote */
void path_steer(struct peer *p, const struct candidate *c);
/** does the current one still work? */
void path_suspect(struct peer *p, struct candidate *cur);

#endif

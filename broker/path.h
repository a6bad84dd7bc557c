/* SPDX-License-Identifier: MIT */
/*
 * path - the addresses where a peer may be, which of them answer, which one is used
 *
 * Owner:    the peer, by value. Context: loop thread.
 * States:   of a candidate, see enum path_state; path_set_state() alone writes it.
 */
#ifndef NTM_BROKER_PATH_H
#define NTM_BROKER_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/loop.h"
#include "common/ntm.pb-c.h"

#define PATHS_MAX	10
#define PATH_COOKIE_TRY 0xffull /* low bits of a cookie: number of the try */
#define PATH_SENDS	8	/* tries whose time is remembered */

struct peer;

/**
 * enum path_state - life of one remote address
 * @PATH_NEW:     named by somebody, nothing sent.       Leaves by: a challenge
 * @PATH_PROBING: challenged; not for data without limit. Leaves by: answer, tries
 * @PATH_PROVEN:  answered; carries data.                Leaves by: silence
 * @PATH_SUSPECT: was proven; silent under traffic.      Leaves by: answer, tries
 * @PATH_DEAD:    did not answer; tried again at moves.  Leaves by: a challenge
 */
enum path_state {
	PATH_NEW,
	PATH_PROBING,
	PATH_PROVEN,
	PATH_SUSPECT,
	PATH_DEAD,
	PATH_NSTATES
};

/** struct candidate - @relay: of a relay, not of the peer itself; @max: challenges of
 *  this round; @opening: they are timed to open NATs; @cookie: of this round, low byte clear; @sent_ns by try;
 *  @named_ns: somebody said so lately; @credit: bytes of challenges from there that no budget was given for yet;
 *  @not_before_ns: not taken from a relay until then, @broke_ns: how long the last
 *  time; it failed under data (relayed_broke())
 *  @stranger: packets came from there, and nobody has named it
 *  @guessed: in use because the peer seemed to be there, never proven */
struct candidate {
	struct addr addr;
	enum path_state state;
	uint64_t cookie;
	uint64_t sent_ns[PATH_SENDS], due_ns;
	unsigned int tries, max;
	bool guessed, relay, opening, stranger;
	uint64_t rtt_ns, answered_ns, named_ns, credit;
	uint64_t not_before_ns, broke_ns;
};

/**
 * struct paths - @current: index, -1 none; @source: ours towards it
 * @silent_ns: since when we send and hear nothing; 0: all is well
 * @told:      serial of our PeerAddresses; @heard: latest of the peer's
 * @told_addrs: the peer's, as it told last
 * @sent, @lost: challenges, for the loss shown
 * @since_ns:  when the current one was chosen
 * @relay_heard_ns: data by the relay while another one was in use
 * @opened_ns, @once_ns: last round that opens NATs, last single challenge
 * @open_pause_ns: between rounds, doubles; 0: none was since a direct one was taken
 * @open_again: a round is due; @taking: takes over when the hold is over
 */
struct paths {
	struct candidate list[PATHS_MAX];
	size_t n;
	int current;
	struct addr source;
	uint64_t silent_ns, last_rx_ns, proven_ns, kept_ns;
	uint64_t told, heard;
	struct addr told_addrs[ADDR_REMOTES_MAX];
	size_t n_told;
	unsigned int sent, answered;
	uint64_t since_ns, relay_heard_ns, opened_ns, once_ns;
	uint64_t open_pause_ns, moved_ns;   /* we, or the peer */
	uint64_t carried_ns, carried;	    /* data came that long; packets */
	uint64_t rate_bytes, rate_ns, rate; /* sent; bytes/s of late */
	uint64_t tail_ns; /* inner packet that was asked after */
	bool open_again;
	Ntm__NatMapping peer_mapping; /* as it told */
	struct addr taking;
	struct loop_timer *timer, *hold, *open;
};

int path_init(struct peer *p);
void path_clear(struct peer *p);
/** keep no address */
void path_reset(struct peer *p);
/** an address somebody named; the unproven give way */
struct candidate *path_add(struct peer *p, const struct addr *a);
/** our own remotes for a Tunnel Request, current first. Return: how many */
size_t path_remotes(const struct peer *p, struct addr *out, size_t max);
const struct candidate *path_current(const struct peer *p);
/** a handshake's answer or first packet, of @wire_len, came from @a: use it.
 *  @proven: we had sent there what it answers; otherwise the caller has everything
 *  challenged (path_probe()), and it is left for the first that answers */
void path_use(struct peer *p, const struct addr *a, size_t wire_len,
	      bool proven);
/** challenge the current one (@all: every one) now */
void path_probe(struct peer *p, bool all);
/** TunnelControl of the peer */
void path_challenged(struct peer *p, const Ntm__PathChallenge *c,
		     const struct addr *from, size_t wire_len);
void path_answered(struct peer *p, const Ntm__PathResponse *r,
		   const struct addr *from);
void path_addresses(struct peer *p, const Ntm__PeerAddresses *a,
		    const struct addr *from, size_t wire_len);
/** the peer sends from another address; @told: it says itself that it moved */
void path_peer_moved(struct peer *p, const struct addr *from, size_t wire_len,
		     bool told);
/** routes changed; @changed: our addresses too */
void path_we_moved(struct peer *p, bool changed);
/** as after a move: the NATs on the way may have forgotten us */
void path_woke(struct peer *p);
/** health, every tick, while UP or MOVING */
void path_tick(struct peer *p);
/** our addresses, to the peer on the current path: it sends there from now on */
void path_tell(struct peer *p);
/** stop probing */
void path_stop(struct peer *p);
/** packed challenge of @wire_len bytes on the wire. Return: bytes, 0: no room */
size_t path_challenge_pack(uint64_t cookie, size_t wire_len, uint8_t *buf,
			   size_t size);

#endif

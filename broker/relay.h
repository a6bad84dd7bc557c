/* SPDX-License-Identifier: MIT */
/*
 * relay - the relays that the DC names: how far they are, and what they see of us
 *
 * Owner:    the worker. Context: loop thread. What a relay does for one peer is
 *           punch.h's; here they are measured and told to the DC.
 * Files:    relay.c (list, probes), relay_seen.c (what they see of us), relay_told.c (what
 *           the DC knows of it).
 * States:   a round of probes runs, or none does.
 */
#ifndef NTM_BROKER_RELAY_H
#define NTM_BROKER_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/worker.h"
#include "common/ntm.pb-c.h"
#include "common/packet.h"

#define RELAYS_MAX	4
#define RELAY_ADDRS_MAX 4

/** struct relay_addr - one address of a relay; @observed, @rtt_ns: of its last
 *  answer, not set and 0 before; @counter: of the probe under way; @other: an answer
 *  from its other port came in, asked for by relays_measure(); @unasked: one did in
 *  this round or the last (IPv6) */
struct relay_addr {
	struct addr addr, observed, source;
	uint64_t counter, sent_ns, rtt_ns;
	bool asked, answered; /* in this round */
	bool other;
	uint8_t unasked; /* rounds for which it counts */
};

struct relay {
	uint64_t id;
	struct relay_addr addrs[RELAY_ADDRS_MAX];
	size_t n;
};

/** struct relays_wait - of who waits for the end of a round; @fn may free it */
struct relays_wait {
	void (*fn)(void *arg);
	void *arg;
	struct relays_wait *next;
};

struct relays;

NTM_MUST_CHECK int relays_new(struct worker *w, struct relays **out);
void relays_free(struct relays *rs);
/** the DC's list, in a Registration Response. New ones are probed at once; so are
 *  all when the DC sees us elsewhere */
void relays_named(struct relays *rs, Ntm__Relay *const *list, size_t n);
/** a Relay Probe Ack of anybody */
void relays_datagram(struct relays *rs, const struct packet_header *h,
		     const uint8_t *buf, size_t len);
/** routes changed: what was measured from other addresses is measured again */
void relays_moved(struct relays *rs);
/** do they answer, now that the DC does not? */
void relays_check(struct relays *rs);
/** did one answer by UDP since then (loop time)? */
bool relays_heard_since(const struct relays *rs, uint64_t since_ns);
/** the way to them is another one now: measure */
void relays_rerouted(struct relays *rs);
/** a direction is asked for: measure, if the last time is long ago */
void relays_wanted(struct relays *rs);
/** measure now, and whether other ports are let in. Return: @wait->fn is called
 *  once, later; false: there is no relay */
bool relays_measure(struct relays *rs, struct relays_wait *wait);
void relays_measure_cancel(struct relays *rs, struct relays_wait *wait);
/** ask the DC for its list anew: none is known, or a direction named another one */
void relays_ask(struct relays *rs);
/** a direction names relay @id */
void relays_met(struct relays *rs, uint64_t id);
/** logged out */
void relays_forget(struct relays *rs);

size_t relays_count(const struct relays *rs);
const struct relay *relays_at(const struct relays *rs, size_t i);
/** the nearest address of it. Return: its round trip, ns; 0: it has not answered */
uint64_t relay_nearest(const struct relay *r, struct addr *out);
/** the address of relay @id that answers soonest. Return: false: none does */
bool relays_prefer(const struct relays *rs, uint64_t id, struct addr *out);
/** what the DC and the relays see of us over @family: AF_INET, AF_INET6 */
Ntm__NatMapping relays_mapping(const struct relays *rs, int family);
/** the mapping of the family that the DC is spoken to over, for the DC */
Ntm__NatMapping relays_told_mapping(const struct relays *rs);
/** addresses at which DC and relays see us, each once. Return: how many */
size_t relays_observed(const struct relays *rs, struct addr *out, size_t max);
/** for a Registration Request: what is told is remembered. @m, @list: RELAYS_MAX.
 *  Return: how many */
size_t relays_tell(struct relays *rs, Ntm__RelayRtt *m, Ntm__RelayRtt **list,
		   Ntm__NatMapping *mapping, uint32_t *unasked);

/** the body of a Relay Probe Ack. Return: 0, -NTM_EDECODE; @observed then untouched */
NTM_MUST_CHECK int relay_ack_get(const uint8_t *buf, size_t len,
				 struct addr *observed);

#endif

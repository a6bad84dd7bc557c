/* SPDX-License-Identifier: MIT */
/*
 * gate - where no UDP passes: relay and DC by TLS, through a relay's gate
 *
 * Owner:    the worker. Context: loop thread.
 * States:   see enum gate_state; gate_set_state() alone writes it.
 */
#ifndef NTM_BROKER_GATE_H
#define NTM_BROKER_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/worker.h"
#include "common/ntm.pb-c.h"

#define GATES_MAX      4
#define GATE_ADDRS_MAX 4

struct gate;

/**
 * enum gate_state - how we speak to DC and relays
 * @GATE_OFF:    by UDP.                                Leaves by: silence
 * @GATE_TRYING: the DC is silent; it is asked by UDP and by TLS.
 *                                                      Leaves by: an answer
 * @GATE_USED:   it answered by TLS alone: what goes to DC and relays is carried by
 *               TLS, and UDP is tried now and then.    Leaves by: UDP, a move, the
 *                                                      end of the stream
 */
enum gate_state { GATE_OFF, GATE_TRYING, GATE_USED, GATE_NSTATES };

/** struct gate_entry - a relay that has a gate: its UDP addresses; TCP port, at the
 *  same IPs */
struct gate_entry {
	struct addr addrs[GATE_ADDRS_MAX];
	size_t n;
	uint16_t port;
};

/** @state: folder; what is known of gates is kept there */
NTM_MUST_CHECK int gate_new(struct worker *w, const char *state,
			    struct gate **out);
void gate_free(struct gate *g);
/** the relays that AS or DC name. None has a gate: those known before stay */
void gate_named(struct gate *g, Ntm__Relay *const *list, size_t n);
/** a Registration Request was sent by UDP, the @tries th without an answer */
void gate_unanswered(struct gate *g, unsigned int tries);
/** the DC has answered a registration; the session is online */
void gate_online(struct gate *g);
/** addresses or routes changed; before the session is told */
void gate_moved(struct gate *g);
/** logged out: all ends, nothing is known */
void gate_forget(struct gate *g);
/** a Signal for the DC by the stream, beside UDP, while TRYING; @to: as it would be
 *  sent by UDP. Return: false: there is no stream yet */
bool gate_send_dc(struct gate *g, const struct addr *to, const uint8_t *buf,
		  size_t len);

enum gate_state gate_state(const struct gate *g);
/** is what goes to @to carried by TLS now? */
bool gate_carries(const struct gate *g, const struct addr *to);
/** whom the stream to the DC goes to. Return: false: there is none */
bool gate_address(const struct gate *g, struct addr *out);

#endif

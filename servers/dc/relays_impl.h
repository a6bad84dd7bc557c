/* SPDX-License-Identifier: MIT */
/*
 * relays_impl - what relays.c, relaysignal.c and relaywithdraw.c need of each other
 *
 * Owner: struct relays. Context: loop thread.
 */
#ifndef NTM_SERVERS_DC_RELAYS_IMPL_H
#define NTM_SERVERS_DC_RELAYS_IMPL_H

#include "servers/dc/state.h"

/* --- relays.c --- */

/** @now: of loop_now(). Return: no Relay Registration for RELAY_SILENT_S */
bool relay_is_silent(const struct relay *r, uint64_t now);
/** the relay has the next key */
void relay_key_switch(struct dc *dc, struct relay *r);

/* --- relaysignal.c --- */

/** under its newest key. Return: false: it cannot be sent at all */
bool relay_send(struct dc *dc, struct relay *r, const struct endpoint *to,
		const Ntm__Signal *msg);
/** nodes are told of it, now or when RELAY_TELL_S have gone since the last time */
void relay_tell_nodes(struct dc *dc, struct relay *r, uint64_t now);

/* --- relaywithdraw.c --- */

/** loop_timer_fn; @arg: struct relays */
void relays_withdraw_tick(void *arg);
/** @txn: as it was told under */
void relay_withdraw_acked(struct relays *rs, struct relay *r, uint32_t txn);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * abroad - directions across domains
 *
 * Owner:   struct dc. Context: loop thread.
 * abroad.c: our node is MN; guest.c: our node is CN, and withdrawals both ways.
 */
#ifndef NTM_SERVERS_DC_ABROAD_H
#define NTM_SERVERS_DC_ABROAD_H

#include "servers/dc/domains.h"

/* txns of Relay Directions of abroad.c, and of Route Directions of guest.c: with this
 * bit and without WITHDRAW_TXN */
#define ABROAD_TXN 0x40000000u

struct abroad;
struct guests;

/* --- abroad.c ------------------------------------------------------------------- */

NTM_MUST_CHECK int abroad_new(struct dc *dc, struct abroad **out);
void abroad_free(struct abroad *a);
/**
 * abroad_request() - a Direction Request of ours for a name of another domain
 * @mn: node handle; from its proven address; the direction is paid
 * Return: 0: it gets an answer; -NTM_ENONAME (no domain that we know), -NTM_ELIMIT,
 *         or why its DC cannot be asked
 */
NTM_MUST_CHECK int abroad_request(struct dc *dc, uint32_t mn, uint32_t txn,
				  const Ntm__DirectionRequest *q);
/** the same request once more: its answer, if there is one. Return: it is known */
bool abroad_repeated(struct dc *dc, uint32_t mn, uint32_t txn);
/** Node Information, NTM ACK, Withdraw of @d's DC, under our key */
void abroad_receive(struct dc *dc, struct domain *d, const Ntm__Signal *msg);
/** our relay's answer to @txn, which has ABROAD_TXN */
void abroad_relay_ack(struct dc *dc, uint16_t relay, uint32_t txn, int err);
/** it has a key now, or has failed */
void abroad_domain_changed(struct dc *dc, struct domain *d);

/* --- guest.c ---------------------------------------------------------------------- */

NTM_MUST_CHECK int guests_new(struct dc *dc, struct guests **out);
void guests_free(struct guests *g);
/** Node Information Request, Peer Direction, NTM ACK, Withdraw under their key */
void guest_receive(struct dc *dc, struct domain *d, const Ntm__Signal *msg);
/** our node's answer to a Route Direction whose txn has ABROAD_TXN */
void guest_ack(struct dc *dc, uint32_t session, uint32_t txn,
	       const Ntm__NtmAck *ack);
/** node @h was directed to or from a node of @d */
void guests_met(struct dc *dc, struct domain *d, uint32_t h,
		const uint8_t fp[static NTMC_FP_LEN]);
/** @d is no peer any more: nodes of ours that met its nodes end their tunnels */
void guests_removed(struct dc *dc, struct domain *d);
/** @d goes: who met whom is nobody's business any more */
void guests_forget(struct dc *dc, struct domain *d);
/** once a second */
void guests_expire(struct dc *dc, struct domain *d);
/** an identity of ours is withdrawn: the DCs whose nodes it met are told */
void guests_withdrawn(struct dc *dc, uint32_t h);
/** a DC's acknowledgement of a withdrawal */
void guests_acked(struct dc *dc, struct domain *d, uint32_t txn);
/** @d's DC says that identities of its own are withdrawn; acknowledged, under our key
 *  where it came under it (@ours) */
void guests_told(struct dc *dc, struct domain *d, bool ours,
		 const Ntm__Signal *msg);

#endif

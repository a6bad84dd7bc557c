/* SPDX-License-Identifier: MIT */
/*
 * revocation - identities withdrawn: told by the DC, or asked for after an absence
 *
 * Owner:    the session, embedded. Context: loop thread. The serial of the newest
 * withdrawal acted upon is kept with the pins.
 */
#ifndef NTM_BROKER_REVOCATION_H
#define NTM_BROKER_REVOCATION_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/worker.h"
#include "common/ntm.pb-c.h"

/** struct revocation - @asked: a Revocation Request is under way */
struct revocation {
	struct worker *w;
	bool asked;
};

/** the DC is at @serial: ask for what we have missed */
void revocation_ask(struct revocation *r, uint64_t serial);
/** a Withdraw: end what is named. A worker withdrawn itself is logged out */
void revocation_told(struct revocation *r, const Ntm__Withdraw *wd);

#endif

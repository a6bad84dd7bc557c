/* SPDX-License-Identifier: MIT */
/*
 * punch_impl - shared by punch.c (punches and answers), punch_ends.c (questions) and
 * punch_save.c (the keeper's blob)
 *
 * Owner:    see punch.h. Only punch.c sends, and ends what is there.
 */
#ifndef NTM_BROKER_PUNCH_IMPL_H
#define NTM_BROKER_PUNCH_IMPL_H

#include "broker/punch.h"

/** a free end becomes this one; nothing is sent yet.
 *  Return: 0, or the error of datagram_punch_keys_of() */
NTM_MUST_CHECK int punch_fill(struct punch *u, uint64_t path_id,
			      const struct route_relay *relay,
			      const struct ntmc_key *ktun,
			      enum ntmc_aead_alg aead);
/** is @a an address of this end's relay? */
bool punch_is_at(const struct punch *u, const struct addr *a);

#endif

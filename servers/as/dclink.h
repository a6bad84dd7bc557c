/* SPDX-License-Identifier: MIT */
/*
 * dclink - the AS's lasting channel to its DC: keys out, leases back, withdrawals
 *
 * Owner:   the AS. Context: loop thread.
 * States:  DOWN (waiting to try again), CONNECTING, UP; see dclink.c.
 * Limits:  DCLINK_PENDING_MAX distributions at once; each is answered within
 *          DCLINK_TIMEOUT_S, by the DC or by -NTM_EAGAIN.
 */
#ifndef NTM_SERVERS_AS_DCLINK_H
#define NTM_SERVERS_AS_DCLINK_H

#include <stdbool.h>

#include "common/addr.h"
#include "common/err.h"
#include "common/loop.h"
#include "common/ntm.pb-c.h"
#include "common/tls.h"
#include "servers/as/accounts.h"
#include "servers/renewal.h"

#define DCLINK_PENDING_MAX  256
#define DCLINK_TIMEOUT_S    5
#define DCLINK_RETRY_MIN_MS 100
#define DCLINK_RETRY_MAX_MS 5000

struct dclink;
/** @err: 0, or why there is no lease (-NTM_EAGAIN: no answer; else the DC's code,
 *  negative); @ack: borrowed, NULL unless @err is 0 */
typedef void dclink_fn(void *arg, int err, const Ntm__KeyDistributionAck *ack);

/** a server asks for a certificate; @der: NTMC_CERT_MAX bytes, @len: of them.
 *  Return: 0, -NTM_E... that the server is told */
typedef renewal_issue_fn dclink_renew_fn;

/** @tls, @accounts: outlive the link; @arg: of @renew */
NTM_MUST_CHECK int dclink_new(struct loop *l, const struct addr *dc,
			      struct tls_context *tls,
			      struct accounts *accounts, dclink_renew_fn *renew,
			      void *arg, struct dclink **out);
/** pending distributions are not answered */
void dclink_free(struct dclink *d);
/** Return: 0 (@fn will be called once), -NTM_EAGAIN (link down),
 *  -NTM_ELIMIT */
NTM_MUST_CHECK int dclink_distribute(struct dclink *d,
				     const Ntm__KeyDistribution *kd,
				     dclink_fn *fn, void *arg);
/** new withdrawals, or other users of exits, stand in the store: send them now */
void dclink_withdraw(struct dclink *d);
bool dclink_is_up(const struct dclink *d);

#endif

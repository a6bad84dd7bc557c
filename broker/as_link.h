/* SPDX-License-Identifier: MIT */
/*
 * as_link - one question to the Account Server over TLS
 *
 * Owner:    as_link.c until it called back. Context: loop thread.
 * States:   see enum as_state in as_link.c. The AS must show a certificate of the CA
 * whose fingerprint the join string holds, with the role of an AS; its addresses are
 * tried in order.
 */
#ifndef NTM_BROKER_AS_LINK_H
#define NTM_BROKER_AS_LINK_H

#include <stdbool.h>

#include "broker/worker.h"
#include "common/join.h"
#include "common/ntm.pb-c.h"

struct as_link;

/** @err: 0 and @msg (borrowed), or negative enum ntm_err and NULL */
typedef void as_link_fn(void *arg, int err, const Ntm__Envelope *msg);

/**
 * as_link_ask() - connect, send, wait for one answer
 * @join:    server; copied
 * @by_cert: show our certificate
 * @msg:     packed at once (the copy is wiped)
 * @out:     for as_link_cancel(), valid until @fn was called
 *
 * Return: 0: @fn is called once, later; or an error
 */
NTM_MUST_CHECK int as_link_ask(struct worker *w, const struct join *join,
			       bool by_cert, Ntm__Envelope *msg, as_link_fn *fn,
			       void *arg, struct as_link **out);
void as_link_cancel(struct as_link *l);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * renewal - a server away from the AS has its certificate renewed before it ends
 *
 * A relay or an NS asks by the channel to its DC, which passes the question on to the
 * AS (servers/dc/passon.c), a CS by its own channel to the AS; enrol_renew() answers. The keys stay, so whoever listens or
 * answers in between gains nothing.
 *
 * Owner:   stateless; files of the data folder. Context: the server's loop thread;
 *          renewal_take() waits for the disk, twice a year.
 */
#ifndef NTM_SERVERS_RENEWAL_H
#define NTM_SERVERS_RENEWAL_H

#include "common/ntm.pb-c.h"
#include "servers/servercert.h"
#include "servers/serverconf.h"

/** channel_send() or the like. Return: 0, -NTM_E... */
typedef int renewal_send_fn(void *arg, const Ntm__Envelope *msg);

/**
 * renewal_ask() - once half of @cert's life is over, and the AS is elsewhere
 * @role: "rs", "ns", "cs": whose certificate in @dir
 *
 * To be called when a channel to a DC has opened and every hour.
 * Return: 0 (asked, or not due), servercert_der()'s, @send's
 */
NTM_MUST_CHECK int renewal_ask(const char *dir, const char *role,
			       const struct server_conf *conf,
			       const struct servercert *cert, int64_t now,
			       renewal_send_fn *send, void *arg);
/** enrol_renew() or the like */
typedef int renewal_issue_fn(void *arg, const Ntm__CertificateRequest *q,
			     uint8_t *der, size_t *len);
/** the AS's side: @issue answers @q by @send. Return: @send's */
NTM_MUST_CHECK int renewal_answer(const Ntm__Envelope *q,
				  renewal_issue_fn *issue, void *issue_arg,
				  renewal_send_fn *send, void *arg);
/**
 * renewal_take() - the answer: verified, and written where servercert_is_stale() sees it
 *
 * Return: 0, the AS's refusal, -NTM_ECERT (not for this server, or not newer),
 * ntmc_trust_verify()'s, file_write()'s
 */
NTM_MUST_CHECK int renewal_take(const char *dir, const char *role,
				const struct servercert *cert, int64_t now,
				const Ntm__CertificateResponse *m);

#endif

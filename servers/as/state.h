/* SPDX-License-Identifier: MIT */
/*
 * state - the AS's own data: as.c (sockets), request.c and its parts (what nodes ask)
 *
 * Owner:   as.c makes and frees it. Context: loop thread.
 * A connection has at most one request under way; a request outlives its
 * connection (a thread or the DC works on it) and then answers nobody.
 */
#ifndef NTM_SERVERS_AS_STATE_H
#define NTM_SERVERS_AS_STATE_H

#include <uthash.h>

#include "common/addr.h"
#include "common/channel.h"
#include "common/log.h"
#include "servers/as/accounts.h"
#include "servers/as/as.h"
#include "servers/as/dclink.h"
#include "servers/as/hasher.h"
#include "servers/as/limiter.h"
#include "servers/servercert.h"

#define AS_SOURCE_LEN 16

struct request;
struct groupmanagers;

struct as_conn {
	UT_hash_handle hh;
	struct channel *channel; /* the key */
	struct as *as;
	struct request *busy;
	uint8_t source[AS_SOURCE_LEN]; /* IPv4, or the /64 of IPv6 */
	/* of a CS, box or GMS: is told tokens; @told: up to here, while @listing */
	bool subscriber, listing;
	char told[FQDN_MAX + 1];
};

struct as_stats {
	uint64_t logins, renewals, refused, rate_limited;
};

struct as {
	const struct role_env *env;
	struct loop *loop;
	const struct server_conf *conf;
	struct accounts *accounts;
	struct hasher *hasher;
	struct limiter *by_account, *by_source;
	struct ntmc_ca *ca;
	uint8_t ca_der[NTMC_CERT_MAX];
	size_t ca_len;
	struct servercert cert;
	bool restart; /* new certificates: the supervisor starts us again */
	struct channel_listener *listeners[ROLE_SOCKETS_MAX];
	struct dclink *dclink;
	struct loop_timer *daily;
	struct loop_task destroy;
	struct groupmanagers *groupmanagers;
	struct as_conn *conns;
	struct request *requests; /* all, for as_free() */
	struct as_stats stats;
	struct log_limit refused_log;
};

/** answer @msg of @conn, now or later */
void request_start(struct as_conn *conn, const Ntm__Envelope *msg);
/** the connection ends: what is under way answers nobody */
void request_orphan(struct request *r);
/** a server elsewhere wants its certificate renewed: renewal_issue_fn, @arg the AS */
int as_renew_server(void *arg, const Ntm__CertificateRequest *q, uint8_t *der,
		    size_t *len);
/** no callback will come any more */
void requests_free(struct as *as);

#endif

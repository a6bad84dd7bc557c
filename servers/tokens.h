/* SPDX-License-Identifier: MIT */
/*
 * tokens - who may speak to a Cache Server, box or GMS: tokens as the AS tells them
 *
 * Owner:   the role. Context: made, fed and freed by the loop thread; tokens_check()
 *          and tokens_state() from any thread.
 * States:  nothing known, until the whole list came for the first time; then known,
 *          also while the AS is away: what it said last holds, until it expires.
 */
#ifndef NTM_SERVERS_TOKENS_H
#define NTM_SERVERS_TOKENS_H

#include "common/err.h"
#include "common/fqdn.h"
#include "common/loop.h"
#include "common/ntm.pb-c.h"
#include "common/tls.h"
#include "servers/serverconf.h"

#define TOKENS_LEN 32

struct tokens;

/**
 * enum tokens_state - what the AS says of a node
 * @TOKENS_UNKNOWN:   nothing yet: the list has not come
 * @TOKENS_NOBODY:    there is no such node in the domain
 * @TOKENS_LIVE:      it may log in; perhaps it has a token
 * @TOKENS_WITHDRAWN: revoked, or its account disabled
 */
enum tokens_state {
	TOKENS_UNKNOWN,
	TOKENS_NOBODY,
	TOKENS_LIVE,
	TOKENS_WITHDRAWN
};

/** in the loop thread; each may be NULL */
struct tokens_ops {
	/** the list is whole, for the first time or again */
	void (*listed)(void *arg);
	/** a change of one node came */
	void (*changed)(void *arg, const char *fqdn, enum tokens_state state);
	/** the AS's answer to a Certificate Request that tokens_send() sent */
	void (*certificate)(void *arg, const Ntm__CertificateResponse *m);
	/** a GMS's: a key that it shares with the AS */
	void (*key)(void *arg, const Ntm__KeySharing *m);
};

/**
 * tokens_new() - connects to the AS, again and again
 * @tls:  with this role's certificate; borrowed, outlives it
 * @name: of the role, for the log
 * @as:   where it is
 */
NTM_MUST_CHECK int tokens_new(struct loop *l, struct tls_context *tls,
			      const char *name, const struct server_ways *as,
			      const struct tokens_ops *ops, void *arg,
			      struct tokens **out);
void tokens_free(struct tokens *t); /* NULL is fine */
/** a GMS's: where nodes reach it, as the AS tells them; before the next loop turn */
void tokens_announce(struct tokens *t, const struct server_ways *ways);
/** another certificate of ours, for the next channel; this one ends */
void tokens_set_tls(struct tokens *t, struct tls_context *tls);

/**
 * tokens_check() - is @token one of the node @fqdn?
 * Return: 0, -NTM_EAGAIN (nothing known yet), -NTM_EAUTH, -NTM_EEXPIRED
 */
NTM_MUST_CHECK int tokens_check(struct tokens *t, const char *fqdn,
				const uint8_t token[static TOKENS_LEN],
				int64_t now);
enum tokens_state tokens_state(struct tokens *t, const char *fqdn);
/** by the channel to the AS; @t. Return: 0, -NTM_ECLOSED, channel_send()'s */
NTM_MUST_CHECK int tokens_send(void *t, const Ntm__Envelope *msg);
/** does the channel stand? */
bool tokens_are_fed(const struct tokens *t);
/** nodes known */
size_t tokens_count(struct tokens *t);

/** where the AS is: @text (ADDRESS:PORT|...), or this machine's. Return: 0, -NTM_ECONF */
NTM_MUST_CHECK int tokens_find_as(const struct server_conf *c, const char *text,
				  struct server_ways *out);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * domains_impl - what domains.c, kdcdc.c and inbound.c share
 *
 * Owner:   see domains.h. For these files alone.
 */
#ifndef NTM_SERVERS_DC_DOMAINS_IMPL_H
#define NTM_SERVERS_DC_DOMAINS_IMPL_H

#include "servers/dc/domains.h"

/**
 * struct inbound - a channel from another DC
 * @name:    of its CA
 * @number:  of the domain, which has no place before a key came; 0: none came
 * @known:   somebody has vouched for that CA before it came; else it makes room for others
 * @has_key: it waits for DNS to vouch
 */
struct inbound {
	struct channel *channel; /* NULL: the place is free */
	char name[FQDN_MAX + 1];
	uint16_t number;
	bool known, has_key;
	uint32_t txn;
	uint64_t since;
	struct domain_key key;
};

struct domains {
	struct dc *dc;
	struct domain *list[DOMAINS_MAX];
	uint16_t last_number;
	uint32_t txn;
	struct inbound in[DOMAIN_LINKS_MAX];
	char blocked[DOMAIN_BLOCKS_MAX][FQDN_MAX + 1];
	size_t n_blocked;
};

/* domains.c */
struct domain *domains_find(const struct dc *dc, const char *name);
void domain_set_state(struct dc *dc, struct domain *d, enum domain_state s);
void domain_channel_drop(struct channel **c);
bool domains_nested(const char *a, const char *b);
/** what a person is told of an error with another DC */
const char *domain_reason(int err);
void domain_fail(struct dc *dc, struct domain *d, int err, const char *why);
/** has somebody vouched for its CA, and does it count now? */
bool domain_is_known(const struct dc *dc, const struct domain *d);
/** is there a key with it, ours or theirs? */
bool domain_has_key(const struct domain *d);

/* kdcdc.c */
/** does a session, a relay or a domain have it? */
bool kdcdc_id_is_used(const struct dc *dc, uint64_t id);
/** the CA of a DC at the other end. @der: borrowed. Return: 0, -NTM_ECERT,
 *  -NTM_ETOOBIG */
NTM_MUST_CHECK int kdcdc_ca_of(struct channel *c, struct ntmc_trust_domain *out,
			       const uint8_t **der, size_t *len);
/** the same, if it is @d's, which keeps it. Return: -NTM_EPIN, too: it is not */
NTM_MUST_CHECK int kdcdc_ca_keep(struct domain *d, struct channel *c);
/** @k takes the place of the one before, which lives a little on.
 *  @place: DOMAIN_OURS, DOMAIN_THEIRS */
void kdcdc_key_replace(struct dc *dc, struct domain *d, int place,
		       const struct domain_key *k);
/** what DNS says of @d. @links: to make a key with it then */
void kdcdc_look_for(struct dc *dc, struct domain *d, bool links);
/** another key in good time, beside the one that lives */
void kdcdc_renew(struct dc *dc, struct domain *d);
/** DNS has not answered in time */
void kdcdc_find_late(struct dc *dc, struct domain *d);

/* inbound.c */
/** of TLS: may that CA's DC connect? @arg: struct dc */
int inbound_accept(void *arg, const struct ntmc_trust_domain *ca);
void inbound_sweep(struct dc *dc, uint64_t now);
/** its channels to us end */
void inbound_drop(struct dc *dc, const struct domain *d);
/** DNS has vouched for @d: a key that it brought is good */
void inbound_vouched(struct dc *dc, struct domain *d);
/** DNS has not */
void inbound_refused(struct dc *dc, struct domain *d, int err);

#endif

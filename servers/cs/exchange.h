/* SPDX-License-Identifier: MIT */
/*
 * exchange - what the Cache Server asks of its domain's box: exchange requests, and that
 * it be listed
 *
 * Owner:   the role. Context: a thread of its own, by libcurl; exchange_wake() from any.
 * Limits:  EXCHANGE_RUNNING requests at once, of HTTP_BATCH_MAX exchange requests each, of
 *          one item and kind each. What was asked
 *          without success stands in the store, and is asked again after 5 s, doubling
 *          to 10 min; while the box cannot be reached nothing is counted.
 */
#ifndef NTM_SERVERS_CS_EXCHANGE_H
#define NTM_SERVERS_CS_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/err.h"
#include "servers/cs/desk.h"
#include "servers/serverconf.h"

#define EXCHANGE_RUNNING   16
#define EXCHANGE_ADDRESSES 4

struct exchange;

/** struct exchange_conf - copied
 * @db:     the store, of which it opens its own
 * @domain: the box is box.DOMAIN, at @box
 * @name:   ours, as in the certificate
 * @ca, @certificate, @key: files, PEM
 * @own:    where nodes find this Cache Server
 * @load:   how full it is; called in our thread
 */
struct exchange_load {
	uint64_t room, items, bytes;
	bool draining;
};
struct exchange_conf {
	struct desk *desk; /* outlives it */
	char db[512], domain[FQDN_MAX + 1], name[FQDN_MAX + 1], ca[512],
		certificate[512], key[512];
	struct server_ways box;
	struct addr own[EXCHANGE_ADDRESSES];
	size_t n_own;
	void (*load)(void *arg, struct exchange_load *out);
	void *arg;
};

/** struct exchange_stats - @reached: the last request was answered */
struct exchange_stats {
	uint64_t asked, later, refused;
	bool reached;
};

NTM_MUST_CHECK int exchange_new(const struct exchange_conf *conf,
				struct exchange **out);
/** its thread ends now; jobs that it brought are done by desk_free(), after which
 *  exchange_free() may come */
void exchange_stop(struct exchange *x);
void exchange_free(struct exchange *x);
/** the box is told at once where we are, and how full */
void exchange_register(struct exchange *x);
/** something is to be asked */
void exchange_wake(struct exchange *x);
void exchange_status(struct exchange *x, struct exchange_stats *out);

#endif

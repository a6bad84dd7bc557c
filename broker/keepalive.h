/* SPDX-License-Identifier: MIT */
/*
 * keepalive - how often the node must speak to its DC for its NAT to keep it reachable
 *
 * Owner:    the worker. Context: loop thread. session.c sends the keep-alives and asks
 *           here for the interval; here it is measured.
 * States:   see enum keepalive_state.
 */
#ifndef NTM_BROKER_KEEPALIVE_H
#define NTM_BROKER_KEEPALIVE_H

#include <stdbool.h>

#include "broker/worker.h"
#include "common/ntm.pb-c.h"
#include "common/packet.h"

struct feeler;
struct keepalive;

/** what a feeler hears; @buf is destroyed */
typedef void feeler_fn(void *arg, uint8_t *buf, size_t len,
		       const struct addr *from);

/** struct feeler_ops - a UDP socket beside the node's own.
 *  open: of @family, any port. Return: 0 or -NTM_ESYSTEM, -NTM_ENOMEM */
struct feeler_ops {
	int (*open)(struct worker *w, int family, feeler_fn *fn, void *arg,
		    struct feeler **out);
	void (*send)(struct feeler *f, const void *buf, size_t len,
		     const struct addr *to);
	void (*close)(struct feeler *f); /* NULL is fine */
};
/** real sockets */
extern const struct feeler_ops feeler_sockets;

/**
 * enum keepalive_state - of the measurement
 * @KEEPALIVE_FIXED:   nothing is measured: the DC's interval. Leaves by: online
 * @KEEPALIVE_OPENING: the feeler's mapping is made.           Leaves by: answers
 * @KEEPALIVE_SILENT:  the feeler says nothing.                Leaves by: the clock
 * @KEEPALIVE_ASKING:  the DC is asked to write to it.         Leaves by: what comes
 * @KEEPALIVE_DONE:    the interval is found.                  Leaves by: another
 *                     network (to OPENING), the clock when it was found too long
 */
enum keepalive_state {
	KEEPALIVE_FIXED,
	KEEPALIVE_OPENING,
	KEEPALIVE_SILENT,
	KEEPALIVE_ASKING,
	KEEPALIVE_DONE,
	KEEPALIVE_NSTATES
};

/** struct keepalive_status - for people; @alive_s: the longest silence that the
 *  mapping survived, @dead_s: the shortest that it did not; 0: none yet; @lost: how
 *  often the mapping died all the same */
struct keepalive_status {
	enum keepalive_state state;
	unsigned int interval_s, alive_s, dead_s, lost;
};

NTM_MUST_CHECK int keepalive_new(struct worker *w, struct keepalive **out);
void keepalive_free(struct keepalive *k);
/** the session is online: the DC's interval and its longest, s; where it sees us */
void keepalive_online(struct keepalive *k, unsigned int base_s,
		      unsigned int max_s, const struct addr *observed);
/** another network, or none: what was measured is forgotten */
void keepalive_moved(struct keepalive *k);
/** nothing is to be kept alive now: what was found stays, nothing more is measured */
void keepalive_rest(struct keepalive *k);
/** the DC saw us elsewhere though we had not moved: the mapping died */
void keepalive_lost(struct keepalive *k);

/** s, for the session; 0 before the DC has named one */
unsigned int keepalive_interval_s(const struct keepalive *k);
/** s, for paths over @family */
unsigned int keepalive_path_s(const struct keepalive *k, int family);
void keepalive_status(const struct keepalive *k, struct keepalive_status *out);

#endif

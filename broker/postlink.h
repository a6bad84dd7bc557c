/* SPDX-License-Identifier: MIT */
/*
 * postlink - when ntm-post is started, and what it is told
 *
 * Owner:    the worker. Context: loop thread. NULL everywhere: this node has no
 *           ntm-post (a test, or it is not installed).
 */
#ifndef NTM_BROKER_POSTLINK_H
#define NTM_BROKER_POSTLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/posterlink.h"

#define POSTLINK_PORT	4507	    /* of the virtual addresses, TCP */
#define POSTLINK_SOCKET "post.sock" /* in the runtime folder */

/** struct postlink_status - @serial: of the cache list, as heard; @starts: so far */
struct postlink_status {
	enum posterlink_state state;
	uint32_t serial;
	unsigned int starts;
};

struct postlink;

/** is there one beside this program? */
bool postlink_is_installed(void);
/** takes over what a worker before this one left. Return: 0, -NTM_ENOMEM,
 *  -NTM_ESYSTEM */
NTM_MUST_CHECK int postlink_new(struct worker *w, struct postlink **out);
void postlink_free(struct postlink *p);
/** there is a session, a new one or renewed: its file has changed */
void postlink_logged_in(struct postlink *p);
void postlink_logged_out(struct postlink *p);
/** registered, after it was not */
void postlink_online(struct postlink *p);
/** the number of our cache list at the box; 0: nothing waits */
void postlink_serial(struct postlink *p, uint32_t serial);
/** the policy was read anew */
void postlink_policy(struct postlink *p);
void postlink_status(const struct postlink *p, struct postlink_status *out);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * notify - the node's connection with a Notification Server, instead of a UDP mapping
 *
 * Owner:    the worker. Context: loop thread. session.c asks for it, tells what the DC
 *           says of it, and sends no keep-alives while it is up.
 * States:   see enum notify_state.
 */
#ifndef NTM_BROKER_NOTIFY_H
#define NTM_BROKER_NOTIFY_H

#include <stdbool.h>

#include "broker/worker.h"
#include "common/ntm.pb-c.h"

struct notify;

/** enum notify_mode - network.keepalive of broker.conf */
enum notify_mode { NOTIFY_AUTO, NOTIFY_UDP, NOTIFY_NS };

/**
 * enum notify_state - of the connection
 * @NOTIFY_OFF:     none is wanted, or none is named.    Leaves by: the DC's answer
 * @NOTIFY_WAITING: it ended.                            Leaves by: the clock
 * @NOTIFY_OPENING: TCP, greeting, registration.         Leaves by: answer, clock
 * @NOTIFY_UP:      the NS tells us of directions.       Leaves by: silence, its end
 */
enum notify_state { NOTIFY_OFF, NOTIFY_WAITING, NOTIFY_OPENING, NOTIFY_UP };

#define NOTIFY_TOKEN_MAX 512

/** struct notify_status - for people; s */
struct notify_status {
	Ntm__PushKind push; /* wanted */
	bool pushed;	    /* and the DC will */
	enum notify_state state;
	unsigned int interval_s, alive_s, dead_s;
	struct addr at;
};

NTM_MUST_CHECK int notify_new(struct worker *w, enum notify_mode mode,
			      struct notify **out);
void notify_free(struct notify *n);
/** what to ask the DC for */
Ntm__Wakeup notify_wanted(const struct notify *n);
/** a Registration Response without challenge */
void notify_named(struct notify *n, const Ntm__RegistrationResponse *r);
/** keepalive.c has found something out */
void notify_look(struct notify *n);
/** another network, or we slept: connect anew */
void notify_moved(struct notify *n);
/** logged out */
void notify_stop(struct notify *n);
/** a push service is to tell us, from now on; durable. NONE: no longer.
 *  Return: 0, -NTM_ESTORE, -NTM_ENOMEM */
NTM_MUST_CHECK int notify_set_push(struct notify *n, Ntm__PushKind kind,
				   const char *token);
/** for a Registration Request; false: none. @out borrows */
bool notify_push(const struct notify *n, Ntm__PushToken *out);
/** it did: what waits for us? */
void notify_pushed(struct notify *n);
/** no keep-alives need be sent by UDP */
bool notify_is_up(const struct notify *n);
void notify_status(const struct notify *n, struct notify_status *out);

#endif

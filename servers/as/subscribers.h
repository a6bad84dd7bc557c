/* SPDX-License-Identifier: MIT */
/*
 * subscribers - Cache Servers, boxes and GMSs, which are told every node's tokens
 *
 * Owner:   the AS. Context: loop thread. A subscriber is a connection (struct as_conn)
 *          of a server with the role CS, BOX or GMS that has asked for them.
 * Limits:  one list part on its way to each; a change goes out at once. One that does
 *          not read is closed by its channel, and begins anew with all of them.
 */
#ifndef NTM_SERVERS_AS_SUBSCRIBERS_H
#define NTM_SERVERS_AS_SUBSCRIBERS_H

#include "servers/as/state.h"

/** Return: false: it may not, the connection is closed */
bool subscribers_add(struct as_conn *conn, const Ntm__TokenSubscription *m);
/** its list part was acknowledged */
void subscribers_acked(struct as_conn *conn, const Ntm__NtmAck *ack);
/** it wants its certificate renewed */
void subscribers_renew(struct as_conn *conn, const Ntm__Envelope *msg);
/** connections of servers that an administrator took back end. Return: how many */
unsigned int subscribers_end_removed(struct as *as);
/** what is so of @fqdn now is told to all */
void subscribers_changed(struct as *as, const char *fqdn);

/** struct subscribers_names - devices that an admin command is about to change */
struct subscribers_names;
/** those of account @name, or device @name; NULL: out of memory, or none */
struct subscribers_names *subscribers_gather(struct as *as, const char *command,
					     const char *name);
/** tells of them, and frees; NULL is fine */
void subscribers_tell(struct as *as, struct subscribers_names *names);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * groupmanagers - the GMSs of the domain: nodes are told of them at the login
 *
 * Owner:   the AS. Context: loop thread; a change waits for the disk.
 * States:  a GMS is known from its first Token Subscription on, the one of this
 *          machine (server.roles) at once, over restarts (as/groupmanagers), until an administrator takes it back. Each shares keys
 *          with the AS, of which Kngms is made (libntmcrypto/groupnode.h); the newest
 *          one is used, for as long as a login lives.
 */
#ifndef NTM_SERVERS_AS_GROUPMANAGERS_H
#define NTM_SERVERS_AS_GROUPMANAGERS_H

#include "servers/as/state.h"

#define GROUPMANAGERS_MAX  4
#define GROUPMANAGERS_KEYS 3 /* of one; the oldest makes room */

/** what was known before. Return: 0, -NTM_ENOMEM; a line that is none is logged */
NTM_MUST_CHECK int groupmanagers_load(struct as *as);
void groupmanagers_free(struct as *as);

/** @conn, a GMS's, has subscribed: it is told the keys that logins have, and a new one
 *  where that is due. Return: 0; the connection should end: -NTM_EINVAL (where it is
 *  stands not in @m), -NTM_ELIMIT, -NTM_ESTORE */
NTM_MUST_CHECK int groupmanagers_add(struct as_conn *conn,
				     const Ntm__TokenSubscription *m);

/** struct groupmanagers_named - what a Login Response borrows; secret */
struct groupmanagers_named {
	Ntm__GroupManager msg[GROUPMANAGERS_MAX], *list[GROUPMANAGERS_MAX];
	struct ntmc_key key[GROUPMANAGERS_MAX];
	Ntm__Address at[GROUPMANAGERS_MAX][SERVERCONF_WAYS_MAX],
		*ways[GROUPMANAGERS_MAX][SERVERCONF_WAYS_MAX];
};
/** those that were not taken back, with the keys of the login @node_id of @ed_pub.
 *  @n: wiped by the caller when @body was sent */
void groupmanagers_name(struct as *as, uint64_t node_id,
			const uint8_t ed_pub[static NTMC_KEY_LEN],
			Ntm__LoginResponse *body,
			struct groupmanagers_named *n);

#endif

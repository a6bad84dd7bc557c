/* SPDX-License-Identifier: MIT */
/*
 * exits - who may use the domain's exits, and which exit a node is directed to
 *
 * Owner:    struct dc. Context: loop thread.
 * To nodes an exit is a device of the account EXITS_ACCOUNT. The AS tells the accounts
 * that may reach it, all of them, whenever its link begins or one changes; nothing is
 * kept over a restart. Before the first list nobody may.
 */
#ifndef NTM_SERVERS_DC_EXITS_H
#define NTM_SERVERS_DC_EXITS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ntm.pb-c.h"
#include "servers/dc/nodes.h"

#define EXITS_ACCOUNT  "exit"
#define EXITS_MAX      64 /* whose load is known; others count as idle */
#define EXITS_SILENT_S 15 /* nobody is sent to who reported, and does no more */

struct dc;
struct exits;

NTM_MUST_CHECK int exits_new(struct dc *dc, struct exits **out);
void exits_free(struct exits *e);
/** a part of the AS's list. Accounts that are gone from it lose their tunnels */
void exits_told(struct dc *dc, const Ntm__ExitAccounts *msg);
/** is @n an exit? */
bool exits_is(const struct dc *dc, const struct node *n);
/** may @mn be directed to @cn? False only for an exit that its account may not use.
 *  The exits themselves are no way from one to another */
bool exits_may(const struct dc *dc, const struct node *mn,
	       const struct node *cn);
/** what an exit says of itself. Return: 0, -NTM_EPERM: @h is none */
NTM_MUST_CHECK int exits_status(struct dc *dc, uint32_t h,
				const Ntm__ExitStatus *msg);
/** of exits that are online and do not drain the one with the least round trip to @mn,
 *  as much more as it is loaded: handle; 0: none is */
uint32_t exits_choose(struct dc *dc, const struct node *mn);
/** is it the name under which nodes ask for any exit? */
bool exits_is_name(const struct dc *dc, const char *fqdn);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * far_site - a site with two nodes, and the DC of another domain, played
 *
 * Owner: the test program, one at a time. Context: the site's loop.
 */
#ifndef NTM_TESTS_SERVERS_FAR_SITE_H
#define NTM_TESTS_SERVERS_FAR_SITE_H

#include "played_dc.h"
#include "relay_site.h"

#define CAROL "desk.carol." PLAYED_DOMAIN

extern struct played_dc far;
/** Path ID that direct_in() names, and whether it says that ours must know it */
extern uint64_t in_path;
extern bool in_check;

/* cmocka's; both nodes are registered. begin_added(): and `peer add` was said */
int begin(void **state);
int begin_added(void **state);
int end(void **state);

/** of the DC's status; new reference */
json_t *first_domain(void);
/** words of that DC that were refused */
long long refused(void);
/** MN asks for @fqdn; asserts that it is directed */
const Ntm__RouteDirection *directed(const char *fqdn);
/** the code of the NTM ACK that it gets instead */
uint32_t not_directed(const char *fqdn);
/** MOVE. @path_id: of a tunnel that @p says it has with @fqdn */
const Ntm__RouteDirection *moved(struct peer *p, const char *fqdn,
				 uint64_t path_id);
/** the other DC asks for @fqdn of ours */
const Ntm__NodeInformation *inform(const char *fqdn, const char *asker);
/** the other DC directs CAROL to @fqdn, by in_path. Return: code of the NTM ACK */
uint32_t direct_in(const char *fqdn);

#endif

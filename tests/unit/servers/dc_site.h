/* SPDX-License-Identifier: MIT */
/*
 * dc_site - a domain with two nodes that have logged in: MN and CN
 *
 * Owner: the test program, one at a time. Context: the site's loop.
 */
#ifndef NTM_TESTS_SERVERS_DC_SITE_H
#define NTM_TESTS_SERVERS_DC_SITE_H

#include "peer.h"
#include "servers/dc/state.h"

extern struct site site;
/** laptop.alice and desk.bob; not registered yet */
extern struct peer mn, cn;

/* cmocka's; on 127.0.0.1, ::1, or one of many addresses: answers must come from it */
int setup(void **state);
int setup_ipv6(void **state);
int setup_wildcard(void **state);
int teardown(void **state);

/** code of an NTM ACK; asserts that @s is one */
uint32_t ack_code(const Ntm__Signal *s);
/** a Registration Request, with @challenge (16 bytes) or NULL; its answer */
const Ntm__RegistrationResponse *registration(struct peer *p,
					      const uint8_t *challenge);
/** for site_wait(); @arg: a struct peer, which was sent a Withdraw */
bool was_withdrawn(void *arg);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * gms_stage - a site whose AS knows a GMS, and devices that have logged in, for tests
 *
 * Owner:   the test's process: one of it. Context: one loop, that of @site. What stands on
 *          it: gms_rig.h (members as the wire shows them), ../member/seats.h (members as
 *          the node has them). All assert.
 */
#ifndef NTM_TESTS_UNIT_SERVERS_GMS_STAGE_H
#define NTM_TESTS_UNIT_SERVERS_GMS_STAGE_H

#include "servers/gms/state.h"
#include "tests/unit/servers/peer.h"

extern struct site site;
extern struct role_env env; /* of the GMS */
extern struct gms *gms;	    /* NULL: none runs */
extern struct addr gms_at;  /* where it listens */
extern struct ntmc_trust *trust;

/** once for a program. The GMS has spoken to the AS, so that logins name it and give
 *  Kngms, and has ended */
void stage_up(void);
void stage_down(void);

/** a GMS, with what one before it left on the disk */
void stage_gms_start(void);
/** NULL @gms is fine */
void stage_gms_stop(void);
/** the GMS comes back with a store of another day: copy file @from of the site to @to */
void stage_copy(const char *from, const char *to);
/** a condition: the GMS knows what the AS has for it */
bool stage_is_fed(void *arg);

/** account "person@i", its device "desk" logged in. @tls: to speak to the GMS with */
void stage_device(int i, struct peer *p, struct tls_context **tls);
void stage_device_end(struct peer *p, struct tls_context *tls);

#endif

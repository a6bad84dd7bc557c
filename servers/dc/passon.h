/* SPDX-License-Identifier: MIT */
/* passon - servers' requests for certificates, to the AS and back */
#ifndef NTM_SERVERS_DC_PASSON_H
#define NTM_SERVERS_DC_PASSON_H

#include <stddef.h>
#include <stdint.h>

#include "common/channel.h"

#define PASSON_MAX     128
#define PASSON_EVERY_S 60 /* of one channel */

struct dc;

/** @ours: 0: answered */
struct passon_place {
	struct channel *from; /* NULL: free */
	uint64_t at;
	uint32_t txn, ours;
};
struct passon {
	struct passon_place list[PASSON_MAX];
	size_t next;
	uint32_t txn;
};

/** @c: of a relay or an NS of our domain; Certificate Request */
void passon_request(struct dc *dc, struct channel *c, const Ntm__Envelope *msg);
/** the AS's Certificate Response */
void passon_answer(struct dc *dc, const Ntm__Envelope *msg);
void passon_closed(struct dc *dc, const struct channel *c);

#endif

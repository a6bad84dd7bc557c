/* SPDX-License-Identifier: MIT */
/*
 * parts - inner packets that came in two halves, put together again
 *
 * Owner:    struct datapath; a tunnel embeds its struct parts_index.
 * Context:  loop thread. Only authenticated halves come here, so what is bounded
 *           is one peer's harm to the others: PARTS_PER_TUNNEL of PARTS_POOL.
 */
#ifndef NTM_BROKER_DATAPATH_PARTS_H
#define NTM_BROKER_DATAPATH_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define PARTS_PER_TUNNEL 64
#define PARTS_POOL	 512
#define PARTS_LIFE_NS	 1000000000ull

struct parts;

/** struct parts_index - slots of one tunnel by ident, 0: none, else slot + 1 */
struct parts_index {
	uint16_t slot[PARTS_PER_TUNNEL];
};

NTM_MUST_CHECK int parts_new(struct parts **out);
void parts_free(struct parts *p);
/**
 * parts_add() - one half
 * @offset: of @half in the packet; the first half has 0
 * @last:   the second half
 * @flags:  in: of this half; out: with those of the other (bits are or-ed)
 * @out:    DP_INNER_MIN_MTU bytes, written when both are there
 *
 * Return: bytes of the whole packet, 0: the other half is missing,
 *         -NTM_EDECODE, -NTM_ELIMIT (all slots are other tunnels')
 */
NTM_MUST_CHECK int parts_add(struct parts *p, struct parts_index *index,
			     uint64_t now, uint16_t ident, uint16_t offset,
			     bool last, const uint8_t *half, size_t len,
			     uint8_t *flags, uint8_t *out);
/** give back a tunnel's slots */
void parts_forget(struct parts *p, struct parts_index *index);

#endif

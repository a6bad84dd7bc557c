/* SPDX-License-Identifier: MIT */
/* pcp - the MAP request of the Port Control Protocol (RFC 6887) and its answer */
#include "broker/pcp.h"

#include <stdbool.h>
#include <string.h>

#define VERSION	   2
#define OPCODE_MAP 1
#define ANSWER	   0x80
#define UDP	   17
#define AT_OPCODE  24 /* behind the common header */

static const uint8_t v4_in_v6[12] = {[10] = 0xff, [11] = 0xff};

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

void pcp_map_put(const struct pcp_map *m, uint8_t buf[static PCP_MAP_LEN])
{
	uint8_t *p = buf + AT_OPCODE;

	memset(buf, 0, PCP_MAP_LEN);
	buf[0] = VERSION;
	buf[1] = OPCODE_MAP;
	put32(buf + 4, m->life_s);
	memcpy(buf + 8, v4_in_v6, 12);
	memcpy(buf + 20, m->client, 4);
	memcpy(p, m->nonce, PCP_NONCE_LEN);
	p[12] = UDP;
	put16(p + 16, m->inner_port);
	put16(p + 18, m->outer_port);
	memcpy(p + 20, v4_in_v6, 12);
	memcpy(p + 32, m->outer, 4);
}

/* Who has not seen the request does not know its nonce. */
static bool answers(const uint8_t *p, const struct pcp_map *ask)
{
	return !memcmp(p, ask->nonce, PCP_NONCE_LEN) && p[12] == UDP &&
	       get16(p + 16) == ask->inner_port;
}

int pcp_map_get(const uint8_t *buf, size_t len, const struct pcp_map *ask,
		struct pcp_map *out)
{
	const uint8_t *p = buf + AT_OPCODE;
	struct pcp_map m = *ask;

	if (len < 4 || len > PCP_ANSWER_MAX || !(buf[1] & ANSWER))
		return -NTM_EDECODE;
	if (buf[0] != VERSION)
		return -NTM_EVERSION;
	if (len < PCP_MAP_LEN || len % 4 || buf[1] != (ANSWER | OPCODE_MAP) ||
	    !answers(p, ask))
		return -NTM_EDECODE;
	m.result = buf[3];
	m.life_s = get32(buf + 4);
	m.outer_port = get16(p + 18);
	if (!m.result && memcmp(p + 20, v4_in_v6, 12))
		return -NTM_EDECODE;
	memcpy(m.outer, p + 32, 4);
	*out = m;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * mapping - how long a node's NAT bears silence: cookies, and what they allow
 *
 * Theory of operation
 *
 * A node measures with a second socket (broker/keepalive.c). Asked from there, the DC
 * says where it sees that socket, and gives a cookie: a MAC of that address, the Node
 * ID and the time, under the challenges' key. Asked from the node's proven address
 * with the cookie, it writes one datagram to that address, shorter than the request,
 * and tells the node that it has. So nothing is kept, and nobody is written to who did
 * not ask from there, within COOKIE_S.
 */
#include <string.h>

#include "servers/dc/state.h"

#define COOKIE_S     900 /* longer than any silence that is measured */
#define IS_COOKIE    UINT32_C(0x80000000) /* beside the port: no challenge's MAC */
#define INTERVAL_MAX 3600

static void tell(struct dc *dc, uint32_t sh, const struct endpoint *from,
		 size_t asked, uint32_t txn)
{
	Ntm__MappingResponse body = NTM__MAPPING_RESPONSE__INIT;
	Ntm__Address observed = NTM__ADDRESS__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	uint8_t cookie[DC_CHALLENGE_LEN];
	struct addr at;

	endpoint_to_addr(from, &at);
	addr_to_message(&at, NTM__ADDRESS_KIND__ADDRESS_OBSERVED, &observed);
	registration_mac(dc, from, IS_COOKIE,
			 nodes_session(&dc->nodes, sh)->node_id, dc_now_s(dc),
			 cookie);
	body.observed = &observed;
	body.cookie = (ProtobufCBinaryData){sizeof(cookie), cookie};
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_MAPPING_RESPONSE;
	msg.mapping_response = &body;
	if (PACKET_OVERHEAD + ntm__signal__get_packed_size(&msg) <= asked)
		signal_send(dc, sh, from, &msg);
}

/* where the cookie is for; by the socket that the node speaks to */
static bool endpoint_of(const Ntm__Address *m, const struct endpoint *from,
			struct endpoint *out)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (!m || (m->ip.len != 4 && m->ip.len != 16))
		return false;
	*out = *from;
	if (m->ip.len == 4)
		memcpy(out->ip, mapped, sizeof(mapped));
	memcpy(out->ip + 16 - m->ip.len, m->ip.data, m->ip.len);
	out->port = (uint16_t)m->port;
	return true;
}

static bool cookie_ok(struct dc *dc, const struct endpoint *at,
		      uint64_t node_id, const ProtobufCBinaryData *cookie)
{
	uint8_t want[DC_CHALLENGE_LEN];
	uint32_t time_s;

	memcpy(&time_s, cookie->data, 4);
	if (dc_now_s(dc) - time_s > COOKIE_S)
		return false;
	registration_mac(dc, at, IS_COOKIE, node_id, time_s, want);
	return ntmc_equal(want, cookie->data, DC_CHALLENGE_LEN);
}

void mapping_request(struct dc *dc, uint32_t sh, const struct endpoint *from,
		     size_t asked, bool proven, uint32_t txn,
		     const Ntm__MappingRequest *q)
{
	struct session *s = nodes_session(&dc->nodes, sh);
	Ntm__MappingResponse body = NTM__MAPPING_RESPONSE__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	struct endpoint at;

	if (!q->cookie.len) {
		tell(dc, sh, from, asked, txn);
		return;
	}
	if (!proven)
		return; /* its next keep-alive learns that */
	nodes_at(&dc->nodes, s->node)->heard_s = dc_now_s(dc);
	if (!endpoint_of(q->at, from, &at) ||
	    !cookie_ok(dc, &at, s->node_id, &q->cookie)) {
		signal_send_ack(dc, sh, from, txn, -NTM_EEXPIRED, 0);
		return;
	}
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_MAPPING_RESPONSE;
	msg.mapping_response = &body;
	signal_send(dc, sh, &at, &msg);
	signal_send_ack(dc, sh, from, txn, 0, 0);
}

void mapping_keepalive(struct dc *dc, struct node *n, uint32_t interval_s)
{
	uint32_t max = dc->conf->dc_keepalive_max;

	if (max < dc->conf->dc_keepalive)
		max = dc->conf->dc_keepalive;
	if (max > INTERVAL_MAX)
		max = INTERVAL_MAX;
	n->keepalive_s = (uint16_t)(interval_s > max ? max : interval_s);
}

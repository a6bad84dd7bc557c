/* SPDX-License-Identifier: MIT */
/*
 * signal - datagrams of nodes: opened, handed on, sealed; and keep-alives
 *
 * Theory of operation
 *
 * Every datagram: header, session by Node ID, replay window, one AEAD check; only
 * then is anything else looked at. Whoever has no session costs a look-up.
 *
 * The Keep Alive, all of a busy DC's traffic, is recognised and answered by its
 * bytes, without protobuf-c; everything else is unpacked into an arena. Nothing is
 * allocated here.
 */
#include <string.h>

#include "servers/dc/abroad.h"
#include "servers/dc/boxlink.h"
#include "servers/dc/exits.h"
#include "servers/dc/reach.h"
#include "servers/dc/state.h"

#define TAG_TXN	       0x08 /* Signal.txn, varint */
#define TAG_KEEP_ALIVE 0x62 /* Signal.keep_alive, length-delimited */
#define TAG_ACK	       0x6a /* Signal.keep_alive_ack */
#define TAG_BOOT       0x08
#define TAG_SERIAL     0x10
#define TAG_CACHE      0x18

/* --- arena ------------------------------------------------------------------ */

static void *arena_alloc(void *arg, size_t size)
{
	struct dc *dc = arg;
	void *p = dc->arena + dc->arena_used;

	size = (size + 15) & ~(size_t)15;
	if (size > DC_ARENA_SIZE - dc->arena_used)
		return NULL; /* unpacking fails: not a message of ours */
	dc->arena_used += size;
	return p;
}

static void arena_free(void *arg, void *p)
{
	(void)arg;
	(void)p; /* all at once, before the next datagram */
}

/* --- sending ------------------------------------------------------------------ */

/* header of the next datagram to this session; no counter is used twice */
static bool next_header(struct dc *dc, struct session *s,
			struct packet_header *h)
{
	if (s->seq == UINT32_MAX)
		return false; /* a session lives a day: never seen */
	*h = (struct packet_header){
		.type = PACKET_SIGNAL,
		.id = s->node_id,
		.counter = dc->boot << PACKET_BOOT_SHIFT | s->seq++,
	};
	return true;
}

bool signal_send(struct dc *dc, uint32_t session, const struct endpoint *to,
		 const Ntm__Signal *msg)
{
	struct session *s = nodes_session(&dc->nodes, session);
	uint8_t *buf = udp_slot(dc->udp, to);
	struct packet_header h;
	int len;

	if (!buf || !next_header(dc, s, &h))
		return false;
	len = datagram_seal(&h, s->aead, &s->down, &msg->base, buf);
	if (len < 0)
		return false;
	udp_commit(dc->udp, to, (size_t)len);
	return true;
}

bool signal_send_ack(struct dc *dc, uint32_t session, const struct endpoint *to,
		     uint32_t txn, int err, uint64_t retry_after_ms)
{
	Ntm__NtmAck body = NTM__NTM_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	body.code = (uint32_t)-err;
	body.retry_after_ms = retry_after_ms;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_ACK;
	msg.ack = &body;
	return signal_send(dc, session, to, &msg);
}

static size_t put_varint(uint8_t *p, uint64_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		p[n++] = (uint8_t)(v | 0x80);
	p[n++] = (uint8_t)v;
	return n;
}

/* KeepAliveAck by its bytes; test_dc compares with what protobuf-c packs */
static size_t put_keep_alive_ack(uint8_t *p, uint32_t txn, uint64_t boot,
				 uint64_t serial, uint32_t cache)
{
	size_t n = 0, len_at;

	if (txn) {
		p[n++] = TAG_TXN;
		n += put_varint(p + n, txn);
	}
	p[n++] = TAG_ACK;
	len_at = n++;
	if (boot) {
		p[n++] = TAG_BOOT;
		n += put_varint(p + n, boot);
	}
	if (serial) {
		p[n++] = TAG_SERIAL;
		n += put_varint(p + n, serial);
	}
	if (cache) {
		p[n++] = TAG_CACHE;
		n += put_varint(p + n, cache);
	}
	p[len_at] = (uint8_t)(n - len_at - 1);
	return n;
}

static void send_keep_alive_ack(struct dc *dc, struct session *s,
				const struct endpoint *to, uint32_t txn)
{
	uint8_t *buf = udp_slot(dc->udp, to);
	struct packet_header h;
	size_t len;

	if (!buf || !next_header(dc, s, &h))
		return;
	packet_header_put(&h, buf);
	len = put_keep_alive_ack(buf + PACKET_HEADER_LEN, txn, dc->boot,
				 dc->serial,
				 nodes_at(&dc->nodes, s->node)->cache_serial);
	if (!ntmc_seal_once(s->aead, &s->down, h.counter, buf,
			    PACKET_HEADER_LEN, buf + PACKET_HEADER_LEN, len))
		udp_commit(dc->udp, to, PACKET_OVERHEAD + len);
}

void signal_send_here(struct dc *dc, uint32_t session,
		      const struct endpoint *to, uint32_t txn)
{
	send_keep_alive_ack(dc, nodes_session(&dc->nodes, session), to, txn);
}

static void revocation_list(struct dc *dc, uint32_t sh,
			    const struct endpoint *from, uint32_t txn,
			    uint64_t since)
{
	Ntm__RevocationList body = NTM__REVOCATION_LIST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	ProtobufCBinaryData fps[30];
	size_t i = 0;

	while (i < dc->n_revocations && dc->revocations[i].serial <= since)
		i++;
	for (; i < dc->n_revocations && body.n_fingerprints < 30; i++) {
		fps[body.n_fingerprints++] = (ProtobufCBinaryData){
			NTMC_FP_LEN, dc->revocations[i].fp};
		body.serial = dc->revocations[i].serial;
	}
	body.more = i < dc->n_revocations;
	if (!body.more)
		body.serial = dc->serial; /* also what was taken off the list */
	body.fingerprints = fps;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_REVOCATION_LIST;
	msg.revocation_list = &body;
	signal_send(dc, sh, from, &msg);
}

/* --- receiving -------------------------------------------------------------------- */

/* Signal{ txn, keep_alive{} } as everybody packs it */
static bool is_keep_alive(const uint8_t *p, size_t len, uint32_t *txn)
{
	uint64_t v = 0;
	size_t i = 0;

	if (len && p[0] == TAG_TXN) {
		unsigned int shift = 0;

		for (i = 1; i < len && i <= 5; i++, shift += 7) {
			v |= (uint64_t)(p[i] & 0x7f) << shift;
			if (!(p[i] & 0x80))
				break;
		}
		i++;
		if (v > UINT32_MAX)
			return false;
	}
	*txn = (uint32_t)v;
	return len == i + 2 && p[i] == TAG_KEEP_ALIVE && p[i + 1] == 0;
}

/* @asked: bytes of the datagram */
static void dispatch(struct dc *dc, uint32_t sh, const struct endpoint *from,
		     size_t asked, const Ntm__Signal *msg)
{
	struct session *s = nodes_session(&dc->nodes, sh);
	struct node *n = nodes_at(&dc->nodes, s->node);
	bool proven = registration_is_proven(n, from) && sh == n->session;

	if (msg->body_case == NTM__SIGNAL__BODY_ACK) {
		if (msg->txn & WITHDRAW_TXN && !(msg->txn & ABROAD_TXN))
			withdraw_ack(dc, sh, msg->txn);
		else if (!proven || n->flags & NODE_REVOKED)
			return;
		else if ((msg->txn & BOXLINK_TXN) == BOXLINK_TXN)
			boxlink_acked(dc, sh, msg->txn);
		else if (msg->txn & ABROAD_TXN)
			guest_ack(dc, sh, msg->txn, msg->ack);
		else
			direction_ack(dc, sh, msg->txn, msg->ack);
		return;
	}
	if (n->flags & NODE_REVOKED || s->expires <= loop_wall(dc->loop)) {
		registration_answer(dc, sh, from, asked, msg->txn,
				    n->flags & NODE_REVOKED ? -NTM_EDISABLED
							    : -NTM_EEXPIRED);
		return;
	}
	if (msg->body_case == NTM__SIGNAL__BODY_REGISTRATION_REQUEST) {
		registration_take(dc, sh, from, asked, msg->txn,
				  msg->registration_request);
		return;
	}
	if (msg->body_case == NTM__SIGNAL__BODY_MAPPING_REQUEST) {
		mapping_request(dc, sh, from, asked, proven, msg->txn,
				msg->mapping_request);
		return;
	}
	if (!proven) { /* moved, or we were restarted: prove it first */
		registration_answer(dc, sh, from, asked, msg->txn, 0);
		return;
	}
	n->heard_s = dc_now_s(dc);
	switch (msg->body_case) {
	case NTM__SIGNAL__BODY_KEEP_ALIVE:
		dc->stats.keepalives++;
		if (msg->keep_alive->interval_s)
			mapping_keepalive(dc, n, msg->keep_alive->interval_s);
		if (registration_is_nudged(dc, n) && relays_may_nudge(dc)) {
			registration_answer(dc, sh, from, asked, msg->txn, 0);
			break;
		}
		send_keep_alive_ack(dc, s, from, msg->txn);
		break;
	case NTM__SIGNAL__BODY_DIRECTION_REQUEST:
		direction_request(dc, sh, from, msg->txn,
				  msg->direction_request);
		break;
	case NTM__SIGNAL__BODY_EXIT_STATUS:
		signal_send_ack(dc, sh, from, msg->txn,
				exits_status(dc, s->node, msg->exit_status), 0);
		break;
	case NTM__SIGNAL__BODY_DOMAIN_REQUEST:
		domains_request(dc, sh, from, msg->txn, msg->domain_request);
		break;
	case NTM__SIGNAL__BODY_ROUTE_DIRECTION_REQUEST:
		signal_send_ack(dc, sh, from, msg->txn, 0, 0);
		direction_fetch(dc, sh);
		boxlink_fetch(dc, sh);
		break;
	case NTM__SIGNAL__BODY_REVOCATION_REQUEST:
		revocation_list(dc, sh, from, msg->txn,
				msg->revocation_request->since);
		break;
	default: /* nothing that a node sends to a DC */
		dc->stats.bad_datagrams++;
		break;
	}
}

const Ntm__Signal *signal_unpack(struct dc *dc, const uint8_t *p, size_t len)
{
	ProtobufCAllocator arena = {arena_alloc, arena_free, dc};
	Ntm__Signal *msg;

	dc->arena_used = 0;
	msg = ntm__signal__unpack(&arena, len, p);
	return msg && !datagram_check(&msg->base) ? msg : NULL;
}

static void unpack(struct dc *dc, uint32_t sh, const struct endpoint *from,
		   const uint8_t *p, size_t len)
{
	const Ntm__Signal *msg = signal_unpack(dc, p, len);

	if (!msg)
		dc->stats.bad_datagrams++;
	else
		dispatch(dc, sh, from, len + PACKET_OVERHEAD, msg);
}

void signal_receive(void *arg, const struct endpoint *from, uint8_t *buf,
		    size_t len)
{
	struct dc *dc = arg;
	struct packet_header h;
	struct session *s;
	struct node *n;
	uint32_t sh, txn;

	if (packet_header_get(buf, len, &h) || h.type != PACKET_SIGNAL ||
	    len > PACKET_SIGNAL_MAX) {
		dc->stats.bad_datagrams++;
		return;
	}
	sh = nodes_find_session(&dc->nodes, h.id);
	if (!sh) {
		if (relays_receive(dc, from, &h, buf, len) ||
		    domains_receive(dc, from, &h, buf, len))
			return;
		dc->stats.unknown_sessions++;
		return;
	}
	s = nodes_session(&dc->nodes, sh);
	if (!ntmc_replay64_check(&s->replay, h.counter)) {
		dc->stats.replays++;
		return;
	}
	if (ntmc_open_once(s->aead, &s->up, h.counter, buf, PACKET_HEADER_LEN,
			   buf + PACKET_HEADER_LEN, len - PACKET_HEADER_LEN)) {
		dc->stats.bad_datagrams++;
		return;
	}
	if (!ntmc_replay64_mark(&s->replay, h.counter))
		return;
	len -= PACKET_OVERHEAD;
	n = nodes_at(&dc->nodes, s->node);
	if (is_keep_alive(buf + PACKET_HEADER_LEN, len, &txn) &&
	    registration_is_proven(n, from) && sh == n->session &&
	    !registration_is_nudged(dc, n) && !(n->flags & NODE_REVOKED) &&
	    s->expires > loop_wall(dc->loop)) {
		n->heard_s = dc_now_s(dc);
		dc->stats.keepalives++;
		send_keep_alive_ack(dc, s, from, txn);
		return;
	}
	unpack(dc, sh, from, buf + PACKET_HEADER_LEN, len);
}

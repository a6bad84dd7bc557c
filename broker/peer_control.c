/* SPDX-License-Identifier: MIT */
/* peer_control - messages inside a peer's tunnel (TunnelControl), to it and from it */
#include "broker/peer.h"

#include "common/datagram.h"
#include "common/log.h"

int peer_control_send(struct peer *p, const Ntm__TunnelControl *msg,
		      const struct addr *to)
{
	uint8_t buf[PACKET_SIGNAL_MAX];
	size_t len = ntm__tunnel_control__get_packed_size(msg);

	if (!p->tunnel)
		return -NTM_ESTATE;
	if (len > sizeof(buf) - PACKET_OVERHEAD)
		return -NTM_ETOOBIG;
	ntm__tunnel_control__pack(msg, buf);
	return dp_tunnel_send_control(p->tunnel, buf, len, to);
}

void peer_farewell(struct peer *p, int code)
{
	Ntm__TunnelControl msg = NTM__TUNNEL_CONTROL__INIT;
	Ntm__TunnelClose c = NTM__TUNNEL_CLOSE__INIT;

	c.code = (uint32_t)code;
	msg.body_case = NTM__TUNNEL_CONTROL__BODY_CLOSE;
	msg.close = &c;
	if (p->tunnel && peer_control_send(p, &msg, NULL))
		log_debug(p->fqdn, "no farewell");
}

static void echo(struct peer *p, const Ntm__Echo *e, const struct addr *from,
		 size_t wire_len)
{
	Ntm__TunnelControl msg = NTM__TUNNEL_CONTROL__INIT;
	Ntm__Echo reply = NTM__ECHO__INIT;

	if (e->reply) {
		if (p->w->echo_fn)
			p->w->echo_fn(p->w, e->cookie);
		return;
	}
	reply.cookie = e->cookie;
	reply.reply = true;
	if (wire_len <= PACKET_SIGNAL_MAX)
		reply.padding = e->padding;
	msg.body_case = NTM__TUNNEL_CONTROL__BODY_ECHO;
	msg.echo = &reply;
	if (peer_control_send(p, &msg, NULL) &&
	    peer_control_send(p, &msg, from))
		log_debug(p->fqdn, "an echo could not be sent");
}

static void closed_by_peer(struct peer *p, int code)
{
	if (!code) {
		if (p->state == PEER_UP)
			peer_sleep(p);
		return;
	}
	log_info(p->fqdn, "it closed the tunnel: %s", err_text(code));
	peer_close(p, code, false);
}

void peer_control(struct peer *p, const uint8_t *buf, size_t len,
		  const struct addr *from, size_t wire_len)
{
	ProtobufCMessage *raw;
	const Ntm__TunnelControl *msg;

	if (datagram_unpack(&ntm__tunnel_control__descriptor, buf, len, &raw))
		return;
	msg = (Ntm__TunnelControl *)raw;
	switch (msg->body_case) {
	case NTM__TUNNEL_CONTROL__BODY_CHALLENGE:
		path_challenged(p, msg->challenge, from, wire_len);
		break;
	case NTM__TUNNEL_CONTROL__BODY_RESPONSE:
		if (!pmtu_answered(p, msg->response))
			path_answered(p, msg->response, from);
		break;
	case NTM__TUNNEL_CONTROL__BODY_CLOSE:
		closed_by_peer(p, (int)msg->close->code);
		break;
	case NTM__TUNNEL_CONTROL__BODY_ADDRESSES:
		path_addresses(p, msg->addresses, from, wire_len);
		break;
	case NTM__TUNNEL_CONTROL__BODY_ECHO:
		echo(p, msg->echo, from, wire_len);
		break;
	case NTM__TUNNEL_CONTROL__BODY__NOT_SET:
	default:
		break;
	}
	datagram_free(raw);
}

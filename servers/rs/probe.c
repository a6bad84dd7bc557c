/* SPDX-License-Identifier: MIT */
/*
 * probe - Relay Probe: an echo with the address it came from
 *
 * Nothing is checked and nothing proven; the answer is as long as the probe, so it
 * is of no use for flooding somebody else.
 */
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "servers/rs/state.h"

#define FAMILY_AT PACKET_HEADER_LEN
#define PORT_AT	  (FAMILY_AT + 2)
#define IP_AT	  (PORT_AT + 2)
_Static_assert(IP_AT + 16 <= PACKET_PROBE_LEN, "the address fits");

static void put_address(const struct remote *from, bool is4, uint8_t *buf)
{
	memset(buf + FAMILY_AT, 0, PACKET_PROBE_LEN - FAMILY_AT);
	buf[FAMILY_AT + 1] = is4 ? 4 : 6;
	memcpy(buf + PORT_AT, &from->port, 2);
	if (is4)
		memcpy(buf + IP_AT, (const uint8_t *)from->ip + 12, 4);
	else
		memcpy(buf + IP_AT, from->ip, 16);
}

/* the second port of that listening address; -1: none */
static int other_socket(const struct rs *rs, uint8_t listen)
{
	const struct role_sockets *s = &rs->env->sockets;

	return listen < s->n_other ? s->other[listen] : -1;
}

/* From the address that was asked: a host with several has another one for this way,
 * perhaps, and then it would not be the relay that answers. */
static void send_other(struct rs_thread *t, struct arrival *a, uint8_t *buf)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
				   .sin6_port = a->from.port};
	struct sockaddr_in in4 = {.sin_family = AF_INET,
				  .sin_port = a->from.port};
	bool is4 = t->family[a->from.listen] == AF_INET;
	uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))]
		__attribute__((aligned(sizeof(size_t))));
	struct iovec iov = {buf, PACKET_PROBE_LEN};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	int fd = other_socket(t->rs, a->from.listen);

	if (fd < 0)
		return;
	memcpy(&in6.sin6_addr, a->from.ip, 16);
	memcpy(&in4.sin_addr, (const uint8_t *)a->from.ip + 12, 4);
	m.msg_name = is4 ? (void *)&in4 : (void *)&in6;
	m.msg_namelen = is4 ? sizeof(in4) : sizeof(in6);
	memset(control, 0, sizeof(control));
	m.msg_control = control;
	arrival_local(t, a);
	outbox_local(&t->outbox, &a->from, &m);
	if (!m.msg_controllen)
		m.msg_control = NULL;
	(void)!sendmsg(fd, &m, MSG_DONTWAIT);
}

void probe_receive(struct rs_thread *t, struct arrival *a,
		   const struct packet_header *h, uint8_t *buf, size_t len)
{
	struct packet_header ack = *h;

	if (len != PACKET_PROBE_LEN) {
		STAT_ADD(t->stats.malformed, 1);
		return;
	}
	STAT_ADD(t->stats.probes, 1);
	ack.type = PACKET_RELAY_PROBE_ACK;
	packet_header_put(&ack, buf);
	put_address(&a->from, t->family[a->from.listen] == AF_INET, buf);
	if (h->flags & PACKET_OTHER_PORT) {
		send_other(t, a, buf);
		return;
	}
	arrival_local(t, a);
	outbox_add(&t->outbox, 0, &a->from, 0, buf, len, (uint16_t)len);
}

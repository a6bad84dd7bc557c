/* SPDX-License-Identifier: MIT */
/*
 * udpmove - carries datagrams between a program's socket and its virtual peers
 *
 * Theory of operation
 *
 *   peer -> inside socket (vip:port) -> flow -> from alias -> program (wildcard:port)
 *   program -> alias -> flow by the alias -> inside socket -> peer
 *
 * One host socket serves all IPv4 and dual-stack flows: IP_PKTINFO chooses the alias
 * (127.80.0.0/12 and the flow number) as source, and names it when the answer comes.
 * Nobody else can send from there, the port is ours. A V6ONLY server can be reached
 * from ::1 only, so each of its flows has a socket on a port of its own.
 *
 * What arrives together leaves together: recvmmsg(), then sendmmsg(). A datagram
 * that cannot be sent is dropped, as networks do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/udpmap_impl.h"

#define BATCH	 32
#define DATA_MAX 65536

union pktinfo {
	struct cmsghdr head;
	char space[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/* One for both directions: a handler fills and empties it. */
struct udp_batch {
	struct mmsghdr in[BATCH], out[BATCH];
	struct iovec iov[BATCH], out_iov[BATCH];
	union udp_endpoint from[BATCH], to[BATCH];
	union pktinfo info[BATCH];
	uint8_t data[BATCH][DATA_MAX];
};

int udp_batch_new(struct udp_batch **out)
{
	struct udp_batch *b = calloc(1, sizeof(*b));
	int i;

	if (!b)
		return -NTM_ENOMEM;
	for (i = 0; i < BATCH; i++) {
		b->iov[i].iov_base = b->data[i];
		b->iov[i].iov_len = DATA_MAX;
	}
	*out = b;
	return 0;
}

void udp_batch_free(struct udp_batch *b)
{
	free(b);
}

static int batch_recv(struct udp_batch *b, int fd, bool info)
{
	int i;

	for (i = 0; i < BATCH; i++)
		b->in[i].msg_hdr = (struct msghdr){
			.msg_name = &b->from[i],
			.msg_namelen = sizeof(b->from[i]),
			.msg_iov = &b->iov[i],
			.msg_iovlen = 1,
			.msg_control = info ? &b->info[i] : NULL,
			.msg_controllen = info ? sizeof(b->info[i]) : 0,
		};
	return recvmmsg(fd, b->in, BATCH, MSG_DONTWAIT, NULL);
}

/* Datagram @i of what came becomes @n of what leaves, to .to[@n]. */
static struct msghdr *batch_put(struct udp_batch *b, int i, int n)
{
	struct msghdr *out = &b->out[n].msg_hdr;

	b->out_iov[n].iov_base = b->data[i];
	b->out_iov[n].iov_len = b->in[i].msg_len;
	*out = (struct msghdr){
		.msg_name = &b->to[n],
		.msg_namelen = b->to[n].sa.sa_family == AF_INET
				       ? sizeof(b->to[n].in4)
				       : sizeof(b->to[n].in6),
		.msg_iov = &b->out_iov[n],
		.msg_iovlen = 1,
	};
	return out;
}

static void batch_send(struct udp_batch *b, int fd, int n)
{
	int done = 0, sent;

	while (done < n) {
		sent = sendmmsg(fd, b->out + done, (unsigned int)(n - done),
				MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN)
			return;
		/* the first of them was refused, or they went */
		done += sent > 0 ? sent : 1;
	}
}

static void endpoint_set(union udp_endpoint *e, const struct shim_addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = shim_addr_to(a, &ss);

	memcpy(e, &ss, len < sizeof(*e) ? len : sizeof(*e));
}

/* --- from peers to programs ---------------------------------------------------------- */

static void host_endpoint(const struct udp_server *s, union udp_endpoint *e)
{
	memset(e, 0, sizeof(*e));
	if (s->v6only) {
		e->in6.sin6_family = AF_INET6;
		e->in6.sin6_port = htons(s->port);
		e->in6.sin6_addr = in6addr_loopback;
	} else {
		e->in4.sin_family = AF_INET;
		e->in4.sin_port = htons(s->port);
		e->in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
}

static void source_set(struct msghdr *msg, union pktinfo *info, uint32_t number)
{
	struct in_pktinfo pi = {.ipi_spec_dst.s_addr =
					htonl(SHIM_UDPALIAS_NET + number)};

	memset(info, 0, sizeof(*info));
	info->head.cmsg_level = IPPROTO_IP;
	info->head.cmsg_type = IP_PKTINFO;
	info->head.cmsg_len = CMSG_LEN(sizeof(pi));
	memcpy(CMSG_DATA(&info->head), &pi, sizeof(pi));
	msg->msg_control = info;
	msg->msg_controllen = sizeof(*info);
}

void udp_inside_ready(void *arg, int fd, unsigned int events)
{
	struct udp_side *side = arg;
	struct udp_server *s = side->server;
	struct udpmap *u = s->map;
	struct udp_batch *b = u->batch;
	struct shim_addr peer;
	struct msghdr *msg;
	uint32_t number;
	int got, i, n = 0;

	(void)events;
	got = batch_recv(b, fd, false);
	for (i = 0; i < got; i++) {
		if (shim_addr_from(&b->from[i].sa, b->in[i].msg_hdr.msg_namelen,
				   &peer) ||
		    !udp_flow_get(s, &peer, &number) ||
		    !udp_flow_owned(u, number))
			continue;
		u->flow[number].used = udp_now_s(u);
		host_endpoint(s, &b->to[n]);
		msg = batch_put(b, i, n);
		if (s->v6only) {
			batch_send(b, u->flow[number].fd, 1);
			continue;
		}
		source_set(msg, &b->info[n], number);
		n++;
	}
	if (n)
		batch_send(b, u->host, n);
}

/* --- from programs to peers -------------------------------------------------------------- */

static bool alias_number(struct msghdr *msg, uint32_t *number)
{
	struct in_pktinfo pi;
	struct cmsghdr *cm;
	uint32_t ip;

	for (cm = CMSG_FIRSTHDR(msg); cm; cm = CMSG_NXTHDR(msg, cm)) {
		if (cm->cmsg_level != IPPROTO_IP || cm->cmsg_type != IP_PKTINFO)
			continue;
		memcpy(&pi, CMSG_DATA(cm), sizeof(pi));
		ip = ntohl(pi.ipi_addr.s_addr);
		*number = ip & ~SHIM_UDPALIAS_MASK;
		return (ip & SHIM_UDPALIAS_MASK) == SHIM_UDPALIAS_NET &&
		       *number < SHIM_FLOWS;
	}
	return false;
}

/* May a datagram from @from leave through flow @number? Only from the announced
 * port, and only while the announced socket holds it. */
static bool flow_allows(struct udpmap *u, uint32_t number,
			const union udp_endpoint *from)
{
	const struct udp_flow *f = &u->flow[number];
	uint16_t port =
		ntohs(from->sa.sa_family == AF_INET ? from->in4.sin_port
						    : from->in6.sin6_port);

	return f->server && f->server->port == port &&
	       udp_flow_owned(u, number);
}

static const struct udp_side *flow_side(struct udpmap *u, uint32_t number)
{
	const struct shim_flow *pf = &page_map(u->page)->flows[number];
	const struct udp_server *s = u->flow[number].server;

	return pf->peer.family == AF_INET ? &s->side4 : &s->side6;
}

/* Datagram @i of the batch leaves through @number; runs through one socket are
 * sent together: @*fd is that of the @*n waiting ones. */
static void leave(struct udpmap *u, int i, uint32_t number, int *fd, int *n)
{
	struct udp_batch *b = u->batch;
	const struct udp_side *side;

	if (!flow_allows(u, number, &b->from[i]))
		return;
	side = flow_side(u, number);
	if (side->fd < 0)
		return;
	if (*n && side->fd != *fd) {
		batch_send(b, *fd, *n);
		*n = 0;
	}
	u->flow[number].used = udp_now_s(u);
	*fd = side->fd;
	endpoint_set(&b->to[*n], &page_map(u->page)->flows[number].peer);
	batch_put(b, i, *n);
	++*n;
}

void udp_host_ready(void *arg, int fd, unsigned int events)
{
	struct udpmap *u = arg;
	struct udp_batch *b = u->batch;
	int got, i, out = -1, n = 0;
	uint32_t number;

	(void)events;
	got = batch_recv(b, fd, true);
	for (i = 0; i < got; i++)
		if (alias_number(&b->in[i].msg_hdr, &number) &&
		    number >= UDP_FLOWS6)
			leave(u, i, number, &out, &n);
	if (n)
		batch_send(b, out, n);
}

void udp_flow_ready(void *arg, int fd, unsigned int events)
{
	struct udpmap *u = arg;
	struct udp_batch *b = u->batch;
	union udp_endpoint me;
	socklen_t len = sizeof(me);
	int got, i, out = -1, n = 0;
	uint32_t number;

	(void)events;
	if (getsockname(fd, &me.sa, &len) < 0)
		return;
	number = ntohs(me.in6.sin6_port) - SHIM_UDPALIAS6_PORT;
	got = number < UDP_FLOWS6 ? batch_recv(b, fd, false) : 0;
	for (i = 0; i < got; i++)
		if (IN6_IS_ADDR_LOOPBACK(&b->from[i].in6.sin6_addr))
			leave(u, i, number, &out, &n);
	if (n)
		batch_send(b, out, n);
}

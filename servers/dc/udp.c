/* SPDX-License-Identifier: MIT */
/* udp - the DC's sockets in batches: 64 datagrams a system call, both ways */
#include "servers/dc/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_MAX	 2048 /* longer ones are cut, counted and dropped */
#define BATCHES_PER_TURN 16   /* then others get the loop */
#define CONTROL_MAX	 CMSG_SPACE(sizeof(struct in6_pktinfo))

struct udp_socket {
	struct udp *udp;
	struct loop_io *io;
	int fd;
	uint8_t number;
	sa_family_t family;
	/* what waits to be sent */
	unsigned int n_out;
	struct mmsghdr out[UDP_BATCH];
	struct iovec out_iov[UDP_BATCH];
	struct sockaddr_in6 out_to[UDP_BATCH];
	uint8_t out_control[UDP_BATCH][CONTROL_MAX]
		__attribute__((aligned(sizeof(size_t))));
	uint8_t out_buf[UDP_BATCH][PACKET_SIGNAL_MAX];
};

struct udp {
	struct loop *loop;
	udp_fn *fn;
	void *arg;
	struct loop_task flush;
	struct udp_stats stats;
	size_t n_sockets;
	struct udp_socket *sockets[ROLE_SOCKETS_MAX];
	uint8_t locals[UDP_LOCALS_MAX][16]; /* number - 1 */
	unsigned int n_locals;
	/* one batch of what arrives; sockets are read one after the other */
	struct mmsghdr in[UDP_BATCH];
	struct iovec in_iov[UDP_BATCH];
	struct sockaddr_in6 in_from[UDP_BATCH];
	uint8_t in_control[UDP_BATCH][CONTROL_MAX + 64]
		__attribute__((aligned(sizeof(size_t))));
	uint8_t in_buf[UDP_BATCH][READ_MAX];
};

static void map_ip4(const void *ip4, uint8_t out[16])
{
	memset(out, 0, 10);
	memset(out + 10, 0xff, 2);
	memcpy(out + 12, ip4, 4);
}

/* the number of a local address; 0 (any) when the table is full */
static uint8_t local_number(struct udp *u, const uint8_t ip[16])
{
	for (unsigned int i = 0; i < u->n_locals; i++)
		if (!memcmp(u->locals[i], ip, 16))
			return (uint8_t)(i + 1);
	if (u->n_locals == UDP_LOCALS_MAX)
		return 0;
	memcpy(u->locals[u->n_locals], ip, 16);
	return (uint8_t)++u->n_locals;
}

static uint8_t control_local(struct udp *u, struct msghdr *m)
{
	uint8_t ip[16];

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			map_ip4(&info.ipi_addr, ip);
			return local_number(u, ip);
		}
		if (c->cmsg_level == IPPROTO_IPV6 &&
		    c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			return local_number(u, info.ipi6_addr.s6_addr);
		}
	}
	return 0;
}

static void endpoint_from(struct udp_socket *s, struct msghdr *m,
			  struct endpoint *out)
{
	memset(out, 0, sizeof(*out));
	if (s->family == AF_INET) {
		const struct sockaddr_in *in4 = m->msg_name;

		map_ip4(&in4->sin_addr, out->ip);
		out->port = ntohs(in4->sin_port);
	} else {
		const struct sockaddr_in6 *in6 = m->msg_name;

		memcpy(out->ip, &in6->sin6_addr, 16);
		out->port = ntohs(in6->sin6_port);
	}
	out->sock = s->number;
	out->local = control_local(s->udp, m);
}

static void udp_take(struct udp_socket *s, unsigned int i)
{
	struct udp *u = s->udp;
	struct endpoint from;

	if (u->in[i].msg_hdr.msg_flags & MSG_TRUNC) {
		u->stats.truncated++;
		return;
	}
	endpoint_from(s, &u->in[i].msg_hdr, &from);
	u->fn(u->arg, &from, u->in_buf[i], u->in[i].msg_len);
}

static void udp_readable(void *arg, int fd, unsigned int events)
{
	struct udp_socket *s = arg;
	struct udp *u = s->udp;
	int n;

	(void)events;
	for (int turn = 0; turn < BATCHES_PER_TURN; turn++) {
		for (unsigned int i = 0; i < UDP_BATCH; i++) {
			u->in[i].msg_hdr.msg_namelen = sizeof(u->in_from[i]);
			u->in[i].msg_hdr.msg_controllen =
				sizeof(u->in_control[i]);
			u->in[i].msg_hdr.msg_flags = 0;
		}
		n = recvmmsg(fd, u->in, UDP_BATCH, 0, NULL);
		if (n <= 0)
			break; /* empty, or an ICMP error of an answer of ours */
		u->stats.received += (unsigned int)n;
		for (int i = 0; i < n; i++)
			udp_take(s, (unsigned int)i);
		if (n < UDP_BATCH)
			break;
	}
	udp_flush(u);
}

static void udp_deferred(void *arg)
{
	udp_flush(arg);
}

static void in_init(struct udp *u)
{
	for (unsigned int i = 0; i < UDP_BATCH; i++) {
		struct msghdr *m = &u->in[i].msg_hdr;

		u->in_iov[i] = (struct iovec){u->in_buf[i], READ_MAX};
		m->msg_iov = &u->in_iov[i];
		m->msg_iovlen = 1;
		m->msg_name = &u->in_from[i];
		m->msg_control = u->in_control[i];
	}
}

static int socket_add(struct udp *u, int fd)
{
	struct udp_socket *s = calloc(1, sizeof(*s));
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int r;

	if (!s)
		return -NTM_ENOMEM;
	if (getsockname(fd, (struct sockaddr *)&ss, &len)) {
		free(s);
		return -NTM_ESYSTEM;
	}
	s->udp = u;
	s->fd = fd;
	s->family = ss.ss_family;
	s->number = (uint8_t)u->n_sockets;
	for (unsigned int i = 0; i < UDP_BATCH; i++) {
		struct msghdr *m = &s->out[i].msg_hdr;

		m->msg_iov = &s->out_iov[i];
		m->msg_iovlen = 1;
		m->msg_name = &s->out_to[i];
		s->out_iov[i].iov_base = s->out_buf[i];
	}
	r = loop_io_add(u->loop, fd, LOOP_READ, true, udp_readable, s, &s->io);
	if (r) {
		free(s);
		return r;
	}
	u->sockets[u->n_sockets++] = s;
	return 0;
}

int udp_new(struct loop *l, const int *fds, size_t n, udp_fn *fn, void *arg,
	    struct udp **out)
{
	struct udp *u = calloc(1, sizeof(*u));
	int r = 0;

	if (!u)
		return -NTM_ENOMEM;
	u->loop = l;
	u->fn = fn;
	u->arg = arg;
	u->flush = (struct loop_task){.fn = udp_deferred, .arg = u};
	in_init(u);
	for (size_t i = 0; !r && i < n; i++)
		r = socket_add(u, fds[i]);
	if (r) {
		for (size_t i = 0; i < u->n_sockets; i++) {
			loop_io_del(
				u->sockets[i]->io); /* fds stay the caller's */
			free(u->sockets[i]);
		}
		free(u);
		return r;
	}
	*out = u;
	return 0;
}

static void udp_destroy(void *arg)
{
	free(arg);
}

void udp_free(struct udp *u)
{
	if (!u)
		return;
	udp_flush(u);
	for (size_t i = 0; i < u->n_sockets; i++) {
		loop_io_del(u->sockets[i]->io);
		close(u->sockets[i]->fd);
		free(u->sockets[i]);
	}
	u->n_sockets = 0;
	/* the flush of this turn may be queued: it finds no socket, then we go */
	u->flush.fn = u->flush.queued ? udp_destroy : u->flush.fn;
	if (!u->flush.queued)
		free(u);
}

static void socket_flush(struct udp_socket *s)
{
	unsigned int done = 0;

	while (done < s->n_out) {
		int n = sendmmsg(s->fd, s->out + done, s->n_out - done, 0);

		if (n > 0) {
			done += (unsigned int)n;
			s->udp->stats.sent += (unsigned int)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		/* one that cannot go (no route, full buffer) is lost like any
		 * datagram; the others still go */
		s->udp->stats.send_failed++;
		done++;
	}
	s->n_out = 0;
}

void udp_flush(struct udp *u)
{
	for (size_t i = 0; i < u->n_sockets; i++)
		if (u->sockets[i]->n_out)
			socket_flush(u->sockets[i]);
}

bool udp_endpoint(const struct udp *u, const struct addr *to,
		  struct endpoint *out)
{
	const uint8_t *ip;
	size_t len;

	memset(out, 0, sizeof(*out));
	ip = addr_ip(to, &len);
	for (size_t i = 0; ip && i < u->n_sockets; i++) {
		if (u->sockets[i]->family != to->sa.sa_family)
			continue;
		if (len == 4)
			map_ip4(ip, out->ip);
		else
			memcpy(out->ip, ip, 16);
		out->port = addr_port(to);
		out->sock = (uint8_t)i;
		return true;
	}
	return false;
}

uint8_t *udp_slot(struct udp *u, const struct endpoint *to)
{
	struct udp_socket *s;

	if (to->sock >= u->n_sockets)
		return NULL;
	s = u->sockets[to->sock];
	if (s->n_out == UDP_BATCH)
		socket_flush(s);
	return s->out_buf[s->n_out];
}

static void put_local(struct udp_socket *s, struct msghdr *m, uint8_t *control,
		      const uint8_t *local)
{
	struct cmsghdr *c;

	m->msg_control = control;
	m->msg_controllen = CONTROL_MAX;
	c = CMSG_FIRSTHDR(m);
	if (s->family == AF_INET) {
		struct in_pktinfo info = {.ipi_ifindex = 0};

		memcpy(&info.ipi_spec_dst, local + 12, 4);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		m->msg_controllen = CMSG_SPACE(sizeof(info));
	} else {
		struct in6_pktinfo info = {.ipi6_ifindex = 0};

		memcpy(&info.ipi6_addr, local, 16);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		m->msg_controllen = CMSG_SPACE(sizeof(info));
	}
}

void udp_commit(struct udp *u, const struct endpoint *to, size_t len)
{
	struct udp_socket *s = u->sockets[to->sock];
	unsigned int i = s->n_out++;
	struct msghdr *m = &s->out[i].msg_hdr;

	s->out_iov[i].iov_len = len;
	memset(&s->out_to[i], 0, sizeof(s->out_to[i]));
	if (s->family == AF_INET) {
		struct sockaddr_in in4 = {.sin_family = AF_INET,
					  .sin_port = htons(to->port)};

		memcpy(&in4.sin_addr, to->ip + 12, 4);
		memcpy(&s->out_to[i], &in4, sizeof(in4));
		m->msg_namelen = sizeof(in4);
	} else {
		s->out_to[i].sin6_family = AF_INET6;
		s->out_to[i].sin6_port = htons(to->port);
		memcpy(&s->out_to[i].sin6_addr, to->ip, 16);
		m->msg_namelen = sizeof(struct sockaddr_in6);
	}
	m->msg_control = NULL;
	m->msg_controllen = 0;
	if (to->local)
		put_local(s, m, s->out_control[i], u->locals[to->local - 1]);
	loop_defer_task(u->loop, &u->flush);
}

const struct udp_stats *udp_stats(const struct udp *u)
{
	return &u->stats;
}

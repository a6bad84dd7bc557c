/* SPDX-License-Identifier: MIT */
/*
 * splice - a node's TLS to the Account Server or the GMS, byte for byte through the gate
 *
 * Theory of operation
 *
 * Two sockets and a buffer for each way. A socket is read while the buffer behind it
 * is empty and written while the one before it is not: so a side that does not read
 * stops the other one. The end of one is told to the other by shutdown(); both ends,
 * an error, or the channel's clock close the channel, and that frees the splice.
 *
 * A login is over in seconds; a member's connection with its GMS stays. The GMS ends what
 * nobody is by CHANNEL_HANDSHAKE_S, and a stranger's of another domain's CA 10 s later: what
 * it has let live for SPLICE_SETTLED_S has a place among the sessions, not the half-open
 * handshakes.
 *
 * Sources. The AS bounds what one source may do: half-open handshakes, sessions, wrong
 * passwords. By one address for all, a single stranger at the gate would use that up
 * for everybody. So each source has a loopback address of its own, by a keyed hash,
 * from which its connections come to an AS on this machine; by IPv6, where loopback is
 * one address, they do not.
 */
#include "servers/gate/splice.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"

enum { NODE, SERVER, SIDES };

struct splice {
	struct channel *c;
	struct loop_timer *settling; /* NULL: it does not stay */
	bool settled;
	int fd[SIDES];
	struct loop_io *io[SIDES];
	bool ended[SIDES], shut[SIDES];
	/* @buf[i]: read from @fd[i], to be written to the other */
	size_t start[SIDES], len[SIDES];
	uint8_t buf[SIDES][SPLICE_BUFFER];
};

static void set_events(struct splice *s)
{
	for (int i = 0; i < SIDES; i++)
		loop_io_set(s->io[i],
			    (!s->ended[i] && !s->len[i] ? LOOP_READ : 0) |
				    (s->len[!i] ? LOOP_WRITE : 0));
}

/* Return: false: the connection is broken */
static bool pull(struct splice *s, int i)
{
	ssize_t n;

	if (s->ended[i] || s->len[i])
		return true;
	n = recv(s->fd[i], s->buf[i], SPLICE_BUFFER, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	s->ended[i] = !n;
	s->start[i] = 0;
	s->len[i] = (size_t)n;
	return true;
}

static bool push(struct splice *s, int i)
{
	ssize_t n;

	if (s->len[i]) {
		n = send(s->fd[!i], s->buf[i] + s->start[i], s->len[i],
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		s->start[i] += (size_t)n;
		s->len[i] -= (size_t)n;
	}
	if (s->ended[i] && !s->len[i] && !s->shut[i]) {
		shutdown(s->fd[!i], SHUT_WR);
		s->shut[i] = true;
	}
	return true;
}

static bool is_ending(const struct splice *s)
{
	return s->ended[NODE] || s->ended[SERVER];
}

static void on_event(void *arg, int fd, unsigned int events)
{
	struct splice *s = arg;
	int i = fd == s->fd[SERVER] ? SERVER : NODE;
	bool ok = true;

	if (events & LOOP_WRITE)
		ok = push(s, !i);
	if (ok && events & LOOP_READ)
		ok = pull(s, i) && push(s, i);
	if (ok && s->settled)
		channel_taken_stay(s->c, is_ending(s) ? CHANNEL_FINISH_S
						      : SPLICE_IDLE_S);
	if (!ok || (s->shut[NODE] && s->shut[SERVER]))
		channel_close(s->c);
	else
		set_events(s);
}

/* 127.1.0.0 and up: beyond what else is used there */
static void bind_source(const struct gate *g, int fd, const struct addr *from)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	uint8_t ip[17] = {0};
	const uint8_t *of;
	uint64_t h;
	size_t len;

	of = addr_ip(from, &len);
	ip[16] = (uint8_t)len;
	memcpy(ip, of, len == 16 ? 8 : len); /* a /64 is one source */
	h = keyhash(&g->sources, ip, sizeof(ip));
	a.sin_addr.s_addr =
		htonl(0x7f010000u + (uint32_t)(h % (0x00fe0000u - 1)) + 1);
	/* in vain: one source for all, as by IPv6 */
	(void)!bind(fd, (struct sockaddr *)&a, sizeof(a));
}

static int connect_server(struct splice *s, const struct gate *g,
			  const struct addr *to)
{
	struct addr from;
	int on = 1;

	s->fd[SERVER] = socket(to->sa.sa_family,
			       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd[SERVER] < 0)
		return -NTM_ESYSTEM;
	(void)!setsockopt(s->fd[SERVER], IPPROTO_TCP, TCP_NODELAY, &on,
			  sizeof(on));
	if (to->sa.sa_family == AF_INET &&
	    !addr_from_sockaddr((const struct sockaddr *)channel_remote(s->c),
				sizeof(struct sockaddr_storage), &from))
		bind_source(g, s->fd[SERVER], &from);
	if (connect(s->fd[SERVER], &to->sa, addr_len(to)) &&
	    errno != EINPROGRESS)
		return -NTM_ESYSTEM;
	return 0;
}

static void on_settled(void *arg)
{
	struct splice *s = arg;

	/* whom the server has ended is let stay by nobody */
	if (is_ending(s)) {
		channel_close(s->c);
		return;
	}
	s->settled = true;
	channel_taken_stay(s->c, SPLICE_IDLE_S);
}

int splice_new(struct gate *g, struct channel *c, const struct addr *to,
	       bool stays, struct splice **out)
{
	struct splice *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -NTM_ENOMEM;
	s->c = c;
	s->fd[SERVER] = -1;
	s->fd[NODE] = channel_take(c);
	r = connect_server(s, g, to);
	for (int i = 0; !r && i < SIDES; i++)
		r = loop_io_add(g->loop, s->fd[i], LOOP_READ, false, on_event,
				s, &s->io[i]);
	if (!r && stays)
		r = loop_timer_new(g->loop, on_settled, s, &s->settling);
	if (!r && stays)
		loop_timer_arm(s->settling, LOOP_S(SPLICE_SETTLED_S));
	if (r) {
		splice_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void splice_free(struct splice *s)
{
	for (int i = 0; i < SIDES; i++)
		loop_io_del(s->io[i]);
	loop_timer_free(s->settling);
	if (s->fd[SERVER] >= 0)
		close(s->fd[SERVER]);
	free(s);
}

/* SPDX-License-Identifier: MIT */
/* sockets - bind what a role listens on, before privileges are dropped */
#include "servers/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/addr.h"
#include "servers/adminsock.h"

#define UDP_BUFFER (7 << 20) /* half a second of a full gigabit, if allowed */
#define BACKLOG	   1024

static void set(int fd, int level, int option, int value)
{
	/* what the kernel refuses, we do without: buffers, mostly */
	(void)!setsockopt(fd, level, option, &value, sizeof(value));
}

/* @shared: others of ours are bound to the same address and port */
static void set_options(int fd, int family, int type, bool shared)
{
	if (family == AF_INET6)
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (type == SOCK_STREAM) {
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		return;
	}
	if (shared)
		set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (family == AF_INET)
		set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	else
		set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	set(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER);
	set(fd, SOL_SOCKET, SO_SNDBUF, UDP_BUFFER);
	if (geteuid() == 0) {
		set(fd, SOL_SOCKET, SO_RCVBUFFORCE, UDP_BUFFER);
		set(fd, SOL_SOCKET, SO_SNDBUFFORCE, UDP_BUFFER);
	}
}

static int bind_one(const struct addr *a, int type, bool shared, int *out)
{
	int fd =
		socket(a->sa.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int e;

	if (fd < 0)
		return -errno;
	set_options(fd, a->sa.sa_family, type, shared);
	if (bind(fd, &a->sa, addr_len(a)) ||
	    (type == SOCK_STREAM && listen(fd, BACKLOG))) {
		e = errno;
		close(fd);
		return -e;
	}
	*out = fd;
	return 0;
}

static bool is_any6(const struct addr *a)
{
	return a->sa.sa_family == AF_INET6 &&
	       IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

/* @copies of one address; Return: 0, or -errno of the first that failed */
static int bind_copies(const struct addr *a, int type, size_t copies, int *fds,
		       size_t *n_fds)
{
	for (size_t i = 0; i < copies; i++) {
		int r = bind_one(a, type, copies > 1, &fds[*n_fds]);

		if (r)
			return r;
		++*n_fds;
	}
	return 0;
}

static int bind_list(const struct addr *list, int n, int type, size_t copies,
		     int *fds, size_t *n_fds, char *error)
{
	char text[ADDR_TEXT_LEN];

	for (int i = 0; i < n; i++) {
		int r = bind_copies(&list[i], type, copies, fds, n_fds);

		if (!r)
			continue;
		if ((r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL) &&
		    is_any6(&list[i]) && n > 1)
			continue;
		snprintf(error, SOCKETS_ERROR_LEN, "cannot listen on %s %s: %s",
			 type == SOCK_STREAM ? "TCP" : "UDP",
			 addr_format(&list[i], text), strerror(-r));
		return r == -EACCES || r == -EPERM ? -NTM_EPERM
		       : r == -EADDRINUSE	   ? -NTM_EEXISTS
						   : -NTM_ESYSTEM;
	}
	return *n_fds ? 0 : -NTM_ESYSTEM;
}

/* a small buffer: nobody reads them */
static int bind_other(const struct addr *list, int n, uint16_t port,
		      struct role_sockets *s, char *error)
{
	struct addr other[SERVERCONF_ADDRESSES_MAX];
	int r;

	for (int i = 0; i < n; i++) {
		other[i] = list[i];
		addr_set_port(&other[i], port);
	}
	r = bind_list(other, n, SOCK_DGRAM, 1, s->other, &s->n_other, error);
	for (size_t i = 0; i < s->n_other; i++)
		set(s->other[i], SOL_SOCKET, SO_RCVBUF, 0);
	return r;
}

int sockets_bind(const struct role *r, const struct server_conf *c,
		 const char *dir, struct role_sockets *out,
		 char error[static SOCKETS_ERROR_LEN])
{
	struct role_sockets s = {.admin = -1, .pair = -1, .copies = 1};
	struct addr list[SERVERCONF_ADDRESSES_MAX];
	uint16_t port = 0;
	const char *text = r->listens ? r->listens(c, &port) : NULL;
	int n = serverconf_addresses(text, port, list), err = 0;

	error[0] = '\0';
	if (n < 0)
		err = -NTM_ECONF;
	if (r->copies)
		s.copies = r->copies(c);
	if (!err && s.copies > ROLE_COPIES_MAX)
		err = -NTM_ECONF;
	if (!err && r->flags & ROLE_TCP)
		err = bind_list(list, n, SOCK_STREAM, 1, s.tcp, &s.n_tcp,
				error);
	if (!err && r->flags & ROLE_UDP)
		err = bind_list(list, n, SOCK_DGRAM, s.copies, s.udp, &s.n_udp,
				error);
	if (!err && r->other_port && r->other_port(c))
		err = bind_other(list, n, r->other_port(c), &s, error);
	if (!err) {
		err = adminsock_bind(dir, r->name, &s.admin);
		if (err)
			snprintf(error, SOCKETS_ERROR_LEN,
				 "cannot make the admin socket of %s: %s",
				 r->name, err_text(err));
	}
	if (err) {
		sockets_close(&s);
		return err;
	}
	*out = s;
	return 0;
}

int sockets_pair(struct role_sockets *a, struct role_sockets *b)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0, fd))
		return -NTM_ESYSTEM;
	a->pair = fd[0];
	b->pair = fd[1];
	return 0;
}

void sockets_close(struct role_sockets *s)
{
	while (s->n_tcp)
		close(s->tcp[--s->n_tcp]);
	while (s->n_udp)
		close(s->udp[--s->n_udp]);
	while (s->n_other)
		close(s->other[--s->n_other]);
	if (s->admin >= 0)
		close(s->admin);
	if (s->pair >= 0)
		close(s->pair);
	s->admin = s->pair = -1;
}

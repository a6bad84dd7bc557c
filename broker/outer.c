/* SPDX-License-Identifier: MIT */
/* outer - the UDP sockets towards the real network, one port for both families */
#include "broker/outer.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"

#define TRIES 16 /* an ephemeral port of one family may be taken in the other */

static int udp_make(int family)
{
	static const int on = 1, buffer = OUTER_BUFFER;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
				 sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	return fd;
}

/* Return: 0 or errno. @port: in and out. No such family: success, @*fd -1. */
static int udp_bind(int family, uint16_t *port, int *fd)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons(*port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
				   .sin6_port = htons(*port)};
	struct sockaddr *sa = family == AF_INET ? (struct sockaddr *)&in
						: (struct sockaddr *)&in6;
	socklen_t len = family == AF_INET ? sizeof(in) : sizeof(in6);
	int err;

	*fd = udp_make(family);
	if (*fd < 0)
		return errno == EAFNOSUPPORT ? 0 : errno;
	if (bind(*fd, sa, len) == 0 && getsockname(*fd, sa, &len) == 0) {
		*port = ntohs(family == AF_INET ? in.sin_port : in6.sin6_port);
		return 0;
	}
	err = errno;
	close(*fd);
	*fd = -1;
	return err == EADDRNOTAVAIL ? 0 : err; /* IPv6 disabled by sysctl */
}

static int outer_try(uint16_t port, struct outer *o)
{
	int err;

	o->port = port;
	o->udp4 = o->udp6 = -1;
	err = udp_bind(AF_INET, &o->port, &o->udp4);
	if (!err)
		err = udp_bind(AF_INET6, &o->port, &o->udp6);
	if (!err && o->udp4 < 0 && o->udp6 < 0)
		err = EAFNOSUPPORT;
	if (err)
		outer_close(o);
	return err;
}

int outer_open(uint16_t port, struct outer *out)
{
	struct outer o;
	int err, i;

	for (i = 0; i < TRIES; i++) {
		err = outer_try(port, &o);
		if (port || err != EADDRINUSE)
			break;
	}
	switch (err) {
	case 0:
		*out = o;
		return 0;
	case EADDRINUSE:
		return -NTM_EEXISTS;
	case EACCES:
		return -NTM_EPERM;
	default:
		errno = err;
		return -NTM_ESYSTEM;
	}
}

void outer_close(struct outer *o)
{
	if (o->udp4 >= 0)
		close(o->udp4);
	if (o->udp6 >= 0)
		close(o->udp6);
	o->udp4 = o->udp6 = -1;
}

/* --- the port of the last run --------------------------------------------------- */

static bool port_path(const char *state, char *path, size_t size)
{
	int n = snprintf(path, size, "%s/udp-port", state);

	return n > 0 && (size_t)n < size;
}

int outer_port_save(const char *state, uint16_t port)
{
	char path[PATH_MAX], text[16];
	int n = snprintf(text, sizeof(text), "%u\n", port);

	if (!port_path(state, path, sizeof(path)))
		return -NTM_EINVAL;
	return file_write(path, text, (size_t)n, 0600);
}

uint16_t outer_port_load(const char *state)
{
	char path[PATH_MAX];
	unsigned long port;
	uint8_t *text;
	size_t len;

	if (!port_path(state, path, sizeof(path)) ||
	    file_read(path, 16, &text, &len))
		return 0;
	port = strtoul((char *)text, NULL, 10);
	file_free(text, len);
	return port > UINT16_MAX ? 0 : (uint16_t)port;
}

/* Peers and NATs remember the port; so do we, over a restart. */
void outer_keep(const char *state, uint16_t port)
{
	if (outer_port_save(state, port))
		log_warn("keeper", "%s/udp-port cannot be written", state);
}

int outer_start(const char *state, uint16_t port, struct outer *out, char *why,
		size_t why_size)
{
	uint16_t last = outer_port_load(state);
	int err;

	if (port) {
		err = outer_open(port, out);
		if (err)
			snprintf(why, why_size,
				 "UDP port %u cannot be used (%s); choose "
				 "another with --port",
				 port,
				 err == -NTM_EEXISTS ? "another program has it"
						     : err_text(err));
		return err;
	}
	err = outer_open(last, out);
	if (err && last)
		err = outer_open(0, out);
	if (err)
		snprintf(why, why_size,
			 "no UDP socket can be opened (%s); see the log",
			 err_text(err));
	else if (out->port != last)
		outer_keep(state, out->port);
	return err;
}

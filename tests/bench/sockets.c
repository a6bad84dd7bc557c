/* SPDX-License-Identifier: MIT */
/* sockets - what the programs that make traffic send and receive on */
#include "tests/bench/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void failed(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
		why);
	exit(1);
}

int socket_connected(int type, const char *name, const char *port)
{
	struct addrinfo hints = {.ai_socktype = type}, *ai;
	int err = getaddrinfo(name, port, &hints, &ai), fd;

	if (err)
		failed(name, gai_strerror(err));
	fd = socket(ai->ai_family, type, 0);
	if (fd < 0 || connect(fd, ai->ai_addr, ai->ai_addrlen) < 0)
		failed("connect", strerror(errno));
	freeaddrinfo(ai);
	return fd;
}

int socket_bound(const char *port)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6,
				  .sin6_port = htons((uint16_t)atoi(port))};
	int fd = socket(AF_INET6, SOCK_DGRAM, 0), off = 0;

	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		failed("bind", strerror(errno));
	return fd;
}

/* SPDX-License-Identifier: MIT */
/*
 * web_socket - connections to box and CS, which do not outlive a move of the host
 *
 * Theory of operation
 *
 * They go by the host's own network, not through tunnels, and libcurl keeps them for the
 * next request. After a move nothing comes on them any more, and nobody says so: a request
 * would wait for a minute. So all are kept in a list, and those whose own address the host
 * has lost are shut down. libcurl sees that at once: what was under way ends with
 * -NTM_ECLOSED and is tried again, and none of them is used for another request.
 *
 * Where the address is still there, but not the way, the kernel gives up after UNHEARD_MS
 * without an acknowledgement.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/post/web_impl.h"
#include "common/log.h"

#define UNHEARD_MS 15000

struct web_socket {
	int fd;
	struct web_socket *next;
};

static void forget(struct web *w, int fd)
{
	struct web_socket **at = &w->sockets, *s;

	while (*at && (*at)->fd != fd)
		at = &(*at)->next;
	s = *at;
	if (s)
		*at = s->next;
	free(s);
}

static int on_made(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	struct web *w = arg;
	struct web_socket *s = malloc(sizeof(*s));
	unsigned int ms = UNHEARD_MS;

	(void)purpose;
	forget(w, fd); /* libcurl closes some without a word */
	if (!s)
		return CURL_SOCKOPT_ERROR;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
	s->fd = fd;
	s->next = w->sockets;
	w->sockets = s;
	return CURL_SOCKOPT_OK;
}

static int on_close(void *arg, curl_socket_t fd)
{
	forget(arg, fd);
	return close(fd);
}

void web_socket_set(struct web_call *c)
{
	curl_easy_setopt(c->easy, CURLOPT_SOCKOPTFUNCTION, on_made);
	curl_easy_setopt(c->easy, CURLOPT_SOCKOPTDATA, c->web);
	curl_easy_setopt(c->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl_easy_setopt(c->easy, CURLOPT_CLOSESOCKETDATA, c->web);
}

void web_sockets_end(struct web *w)
{
	while (w->sockets)
		forget(w, w->sockets->fd);
}

/* Can it still be an own address of this host? Port and so the rest do not matter. */
static bool is_ours(struct sockaddr_storage *ss, socklen_t len)
{
	int fd = socket(ss->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ours;

	if (fd < 0)
		return true;
	if (ss->ss_family == AF_INET)
		((struct sockaddr_in *)ss)->sin_port = 0;
	else if (ss->ss_family == AF_INET6)
		((struct sockaddr_in6 *)ss)->sin6_port = 0;
	ours = !bind(fd, (struct sockaddr *)ss, len) || errno != EADDRNOTAVAIL;
	close(fd);
	return ours;
}

void web_host_moved(struct web *w)
{
	const struct web_socket *s;
	struct sockaddr_storage ss;
	socklen_t len;

	for (s = w->sockets; s; s = s->next) {
		len = sizeof(ss);
		if (getsockname(s->fd, (struct sockaddr *)&ss, &len) ||
		    is_ours(&ss, len))
			continue;
		log_debug("web", "a connection of an address that has gone");
		(void)shutdown(s->fd, SHUT_RDWR);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * udpmap - wildcard UDP sockets of programs, reachable on the virtual addresses
 *
 * Theory of operation
 *
 * A server is an announced port: the program's socket stays on the host; inside the
 * namespace sockets on our virtual addresses have the same port. A flow is one peer of
 * one server; its number is the index in the shared page and part of the alias the
 * program sees. udpflow.c keeps them, udpmove.c carries the datagrams.
 *
 * Whoever holds the port on the host may change (a program that set SO_REUSEADDR can
 * be robbed of 127.0.0.1:port by another user): the kernel is asked who would
 * receive, and nothing passes unless it is an announced socket of our uid. The
 * answer holds for OWNED_NS, so that a request and its answer ask once; a flood
 * asks 4,000 times a second, not for every batch.
 *
 * A next worker takes over: sockets lie in the keeper's fd store, flows in the page.
 */
#include "broker/udpmap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/udpmap_impl.h"
#include "common/log.h"

#define ALIVE_NS LOOP_S(2)
#define OWNED_NS 250000ULL /* about what an answer needs on one machine */
#define BUFFER	 (2 * 1024 * 1024) /* as far as the limits allow */
#define HOST_KEY "shim/u/host"

/* --- sockets --------------------------------------------------------------------------- */

void udp_buffers_set(int fd)
{
	static const int buffer = BUFFER;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
}

static int host_take(struct udpmap *u, int fd)
{
	union udp_endpoint e;
	socklen_t len = sizeof(e);

	if (getsockname(fd, &e.sa, &len) < 0 ||
	    loop_io_add(u->loop, fd, LOOP_READ, false, udp_host_ready, u,
			&u->host_io))
		return -NTM_ESYSTEM;
	u->host = fd;
	u->host_port = ntohs(e.in4.sin_port);
	return 0;
}

static int host_open(struct udpmap *u)
{
	static const int on = 1;
	union udp_endpoint e = {.in4 = {.sin_family = AF_INET}};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0 ||
	    bind(fd, &e.sa, sizeof(e.in4)) < 0 || host_take(u, fd)) {
		if (fd >= 0)
			close(fd);
		return -NTM_ESYSTEM;
	}
	udp_buffers_set(fd);
	if (keeper_fd_put(u->keeper, HOST_KEY, fd))
		log_warn("udp", "the keeper did not take the host socket");
	return 0;
}

static void side_key(const struct udp_side *side, int family,
		     char key[KEEPER_KEY_MAX])
{
	snprintf(key, KEEPER_KEY_MAX, "shim/u/%u/%u/%u/%d",
		 side->server->domain, side->server->v6only, side->server->port,
		 family == AF_INET ? 4 : 6);
}

static void side_close(struct udp_side *side)
{
	loop_io_del(side->io);
	if (side->fd >= 0)
		close(side->fd);
	side->io = NULL;
	side->fd = -1;
}

static int side_take(struct udp_side *side, int fd)
{
	socklen_t len = sizeof(side->bound);
	int flags = fcntl(fd, F_GETFL);

	memset(&side->bound, 0, sizeof(side->bound));
	if (getsockname(fd, &side->bound.sa, &len) < 0 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    loop_io_add(side->server->map->loop, fd, LOOP_READ, false,
			udp_inside_ready, side, &side->io))
		return -NTM_ESYSTEM;
	side->fd = fd;
	return 0;
}

/* A socket on @want; one that is there already stays. */
static int side_open(struct udp_side *side, const union udp_endpoint *want)
{
	static const int on = 1;
	struct udpmap *u = side->server->map;
	int family = want->sa.sa_family, fd, err;
	socklen_t len =
		family == AF_INET ? sizeof(want->in4) : sizeof(want->in6);
	char key[KEEPER_KEY_MAX];

	if (side->fd >= 0 && !memcmp(&side->bound, want, sizeof(*want)))
		return 0;
	side_close(side);
	err = keeper_socket(u->keeper, family, SOCK_DGRAM, 0, &fd);
	if (err)
		return err;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
				 sizeof(on));
	udp_buffers_set(fd);
	if (bind(fd, &want->sa, len) < 0)
		err = errno == EADDRINUSE ? -NTM_EEXISTS : -NTM_ESYSTEM;
	else
		err = side_take(side, fd);
	if (err) {
		close(fd);
		return err;
	}
	side_key(side, family, key);
	if (keeper_fd_put(u->keeper, key, fd))
		log_warn(key, "the keeper did not take it");
	return 0;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

static int sides_open(struct udp_server *s)
{
	struct udpmap *u = s->map;
	union udp_endpoint e;
	int err = 0;

	if (s->v6only || is_zero(u->vip4, sizeof(u->vip4))) {
		side_close(&s->side4);
	} else {
		memset(&e, 0, sizeof(e));
		e.in4.sin_family = AF_INET;
		e.in4.sin_port = htons(s->port);
		memcpy(&e.in4.sin_addr, u->vip4, sizeof(u->vip4));
		err = side_open(&s->side4, &e);
	}
	if (err || s->domain != AF_INET6 || is_zero(u->vip6, sizeof(u->vip6))) {
		side_close(&s->side6);
	} else {
		memset(&e, 0, sizeof(e));
		e.in6.sin6_family = AF_INET6;
		e.in6.sin6_port = htons(s->port);
		memcpy(&e.in6.sin6_addr, u->vip6, sizeof(u->vip6));
		err = side_open(&s->side6, &e);
	}
	return err;
}

/* --- servers --------------------------------------------------------------------------- */

struct udp_server *udp_server_find(struct udpmap *u, bool v6only, uint16_t port)
{
	struct udp_server *s;

	LIST_FOREACH(s, &u->servers, link)
	if (s->port == port && s->v6only == v6only)
		return s;
	return NULL;
}

bool udp_flow_owned(struct udpmap *u, uint32_t number)
{
	struct udp_flow *f = &u->flow[number];
	struct udp_server *s = f->server;
	uint64_t now = loop_now(u->loop);
	union udp_endpoint local = {0}, remote = {0};
	struct sockdiag_info info;
	bool was = f->owned;

	if (f->checked == now || (f->owned && now - f->checked < OWNED_NS))
		return f->owned;
	if (s->v6only) {
		local.in6.sin6_family = remote.in6.sin6_family = AF_INET6;
		local.in6.sin6_addr = remote.in6.sin6_addr = in6addr_loopback;
		local.in6.sin6_port = htons(s->port);
		remote.in6.sin6_port =
			htons((uint16_t)(SHIM_UDPALIAS6_PORT + number));
	} else {
		local.in4.sin_family = remote.in4.sin_family = AF_INET;
		local.in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		local.in4.sin_port = htons(s->port);
		remote.in4.sin_addr.s_addr = htonl(SHIM_UDPALIAS_NET + number);
		remote.in4.sin_port = htons(u->host_port);
	}
	f->checked = now;
	f->owned = sockdiag_udp(u->diag, &local.sa, &remote.sa, &info) == 0 &&
		   info.uid == getuid() && announced_has(&s->socks, info.inode);
	if (was && !f->owned)
		log_warn("udp",
			 "port %u: its datagrams would reach another socket "
			 "than the one announced; held back",
			 s->port);
	return f->owned;
}

static struct udp_server *server_new(struct udpmap *u, uint16_t domain,
				     bool v6only, uint16_t port)
{
	struct udp_server *s;

	if (u->n_servers == UDP_SERVERS_MAX)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	*s = (struct udp_server){
		.map = u, .domain = domain, .v6only = v6only, .port = port};
	s->side4 = s->side6 = (struct udp_side){.server = s, .fd = -1};
	LIST_INSERT_HEAD(&u->servers, s, link);
	u->n_servers++;
	u->stats->udp_servers = u->n_servers;
	if (!loop_timer_armed(u->alive))
		loop_timer_arm(u->alive, ALIVE_NS);
	return s;
}

static void server_end(struct udpmap *u, struct udp_server *s)
{
	char key[KEEPER_KEY_MAX];
	uint32_t i;

	for (i = 0; i < SHIM_FLOWS; i++)
		if (u->flow[i].server == s)
			udp_flow_end(u, i);
	page_set_port(u->page, s->v6only, s->port, false);
	side_key(&s->side4, AF_INET, key);
	(void)!keeper_fd_del(u->keeper, key);
	side_key(&s->side6, AF_INET6, key);
	(void)!keeper_fd_del(u->keeper, key);
	snprintf(key, sizeof(key), "shim/u/%u/%u/%u", s->domain, s->v6only,
		 s->port);
	(void)!keeper_blob_del(u->keeper, key);
	side_close(&s->side4);
	side_close(&s->side6);
	LIST_REMOVE(s, link);
	u->n_servers--;
	u->stats->udp_servers = u->n_servers;
	free(s);
}

static void server_save(struct udpmap *u, const struct udp_server *s)
{
	char key[KEEPER_KEY_MAX];

	snprintf(key, sizeof(key), "shim/u/%u/%u/%u", s->domain, s->v6only,
		 s->port);
	if (keeper_blob_put(u->keeper, key, s->socks.inode,
			    s->socks.n * sizeof(s->socks.inode[0])))
		log_warn(key, "the keeper did not note it");
}

/* --- are the announced sockets there? ----------------------------------------------------- */

int udpmap_announce(struct udpmap *u, const struct shim_request *req)
{
	struct udp_server *s;
	int err;

	if ((req->domain != AF_INET && req->domain != AF_INET6) ||
	    (req->domain == AF_INET && req->v6only) || !req->local.port)
		return -NTM_EINVAL;
	err = announced_check(u->diag, IPPROTO_UDP, req);
	if (err)
		return err;
	s = udp_server_find(u, req->v6only, req->local.port);
	if (s && s->domain != req->domain) {
		/* IPv4 after dual stack or the reverse: only the newer is there */
		server_end(u, s);
		s = NULL;
	}
	if (!s)
		s = server_new(u, req->domain, req->v6only, req->local.port);
	if (!s || !announced_add(&s->socks, req->inode))
		return -NTM_ELIMIT;
	err = sides_open(s);
	if (err) {
		server_end(u, s);
		return err;
	}
	server_save(u, s);
	page_set_port(u->page, s->v6only, s->port, true);
	return 0;
}

static void alive_cb(void *arg, const struct sockdiag_info *info)
{
	struct udpmap *u = arg;
	struct udp_server *s;

	LIST_FOREACH(s, &u->servers, link)
	if (s->port == info->port)
		announced_see(&s->socks, info);
}

static void alive_check(void *arg)
{
	struct udpmap *u = arg;
	struct udp_server *s, *next;
	bool changed;

	LIST_FOREACH(s, &u->servers, link)
	announced_unsee(&s->socks);
	if (sockdiag_each(u->diag, AF_INET, IPPROTO_UDP, alive_cb, u) == 0 &&
	    sockdiag_each(u->diag, AF_INET6, IPPROTO_UDP, alive_cb, u) == 0)
		for (s = LIST_FIRST(&u->servers); s; s = next) {
			next = LIST_NEXT(s, link);
			if (!announced_keep_seen(&s->socks, &changed))
				server_end(u, s);
			else if (changed)
				server_save(u, s);
		}
	if (u->n_servers)
		loop_timer_arm(u->alive, ALIVE_NS);
}

/* --- requests ---------------------------------------------------------------------------------- */

static void alias_of(const struct udpmap *u, const struct udp_server *s,
		     uint32_t number, struct shim_addr *out)
{
	uint32_t ip = htonl(SHIM_UDPALIAS_NET + number);

	memset(out, 0, sizeof(*out));
	if (s->v6only) {
		out->family = AF_INET6;
		out->port = (uint16_t)(SHIM_UDPALIAS6_PORT + number);
		out->addr[15] = 1;
	} else {
		out->family = AF_INET;
		out->port = u->host_port;
		memcpy(out->addr, &ip, sizeof(ip));
	}
}

int udpmap_alias(struct udpmap *u, const struct shim_request *req,
		 bool is_virtual, struct shim_addr *out)
{
	struct udp_server *s = udp_server_find(u, req->v6only, req->local.port);
	struct shim_addr peer = req->remote;
	uint32_t number;

	if (!s || !announced_has(&s->socks, req->inode))
		return -NTM_ENOTFOUND;
	shim_addr_unmap(&peer);
	if (!is_virtual)
		return shim_flow_source(page_map(u->page), &req->remote,
					s->port, out)
			       ? 0
			       : -NTM_ENOTFOUND;
	if (!peer.port ||
	    (peer.family == AF_INET ? s->side4.fd : s->side6.fd) < 0)
		return -NTM_EUNREACHABLE;
	if (!udp_flow_get(s, &peer, &number))
		return -NTM_ELIMIT;
	u->flow[number].used = udp_now_s(u);
	alias_of(u, s, number, out);
	return 0;
}

void udpmap_configure(struct udpmap *u, const uint8_t vip6[static 16],
		      const uint8_t vip4[static 4])
{
	struct udp_server *s;

	memcpy(u->vip6, vip6, sizeof(u->vip6));
	memcpy(u->vip4, vip4, sizeof(u->vip4));
	LIST_FOREACH(s, &u->servers, link)
	if (sides_open(s))
		log_warn("udp",
			 "port %u cannot be served on the "
			 "virtual address",
			 s->port);
}

/* --- beginning, taking over, end ----------------------------------------------------------------- */

int udpmap_new(struct loop *l, struct keeper_link *k, struct page *page,
	       struct shim_stats *stats, struct udpmap **out)
{
	struct udpmap *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return -NTM_ENOMEM;
	u->loop = l;
	u->keeper = k;
	u->page = page;
	u->stats = stats;
	u->host = -1;
	LIST_INIT(&u->servers);
	u->range6 = (struct udp_range){.next = 0, .end = UDP_FLOWS6};
	u->range4 = (struct udp_range){.next = UDP_FLOWS6, .end = SHIM_FLOWS};
	STAILQ_INIT(&u->range6.rested);
	STAILQ_INIT(&u->range4.rested);
	err = sockdiag_new(&u->diag);
	if (!err)
		err = udp_batch_new(&u->batch);
	if (!err)
		err = loop_timer_new(l, alive_check, u, &u->alive);
	if (!err)
		err = loop_timer_new(l, udp_flows_expire, u, &u->expire);
	if (err) {
		udpmap_free(u);
		return err;
	}
	*out = u;
	return 0;
}

/* The keeper and the page keep all: a next worker goes on with it. */
void udpmap_free(struct udpmap *u)
{
	struct udp_server *s;
	uint32_t i;

	if (!u)
		return;
	for (i = 0; i < u->range6.next; i++)
		if (u->flow[i].io) {
			loop_io_del(u->flow[i].io);
			close(u->flow[i].fd);
		}
	while ((s = LIST_FIRST(&u->servers))) {
		LIST_REMOVE(s, link);
		side_close(&s->side4);
		side_close(&s->side6);
		free(s);
	}
	loop_io_del(u->host_io);
	if (u->host >= 0)
		close(u->host);
	if (u->alive)
		loop_timer_free(u->alive);
	if (u->expire)
		loop_timer_free(u->expire);
	udp_batch_free(u->batch);
	sockdiag_free(u->diag);
	free(u);
}

static struct udp_server *server_restore(struct udpmap *u, unsigned int domain,
					 unsigned int v6only, unsigned int port)
{
	struct udp_server *s = udp_server_find(u, v6only, (uint16_t)port);

	return s ? s : server_new(u, (uint16_t)domain, v6only, (uint16_t)port);
}

bool udpmap_restore_fd(struct udpmap *u, const char *key, int fd)
{
	unsigned int domain, v6only, port, ip, number;
	struct udp_server *s;
	bool taken = false;

	if (!strcmp(key, HOST_KEY)) {
		taken = host_take(u, fd) == 0;
	} else if (sscanf(key, "shim/u/flow/%u", &number) == 1) {
		taken = number < UDP_FLOWS6 &&
			udp_flow_socket_take(u, number, fd);
	} else if (sscanf(key, "shim/u/%u/%u/%u/%u", &domain, &v6only, &port,
			  &ip) == 4) {
		s = server_restore(u, domain, v6only, port);
		taken = s &&
			side_take(ip == 4 ? &s->side4 : &s->side6, fd) == 0;
	} else {
		return false;
	}
	if (!taken)
		close(fd);
	return true;
}

bool udpmap_restore_blob(struct udpmap *u, const char *key, const void *data,
			 size_t len)
{
	unsigned int domain, v6only, port;
	struct udp_server *s;

	if (sscanf(key, "shim/u/%u/%u/%u", &domain, &v6only, &port) != 3)
		return false;
	s = server_restore(u, domain, v6only, port);
	if (s)
		announced_set(&s->socks, data, len);
	return true;
}

/* A server lost on the way is no longer announced. */
static void ports_restore(struct udpmap *u)
{
	const struct shim_page *m = page_map(u->page);
	uint32_t port;

	for (port = 0; port < 65536; port++) {
		if (!m->udp_ports[port / 32] && !m->udp6_ports[port / 32])
			continue;
		page_set_port(u->page, false, (uint16_t)port,
			      udp_server_find(u, false, (uint16_t)port));
		page_set_port(u->page, true, (uint16_t)port,
			      udp_server_find(u, true, (uint16_t)port));
	}
}

int udpmap_restored(struct udpmap *u)
{
	int err = u->host < 0 ? host_open(u) : 0;

	if (err)
		return err;
	udp_flows_restore(u);
	ports_restore(u);
	return 0;
}

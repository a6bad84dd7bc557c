/* SPDX-License-Identifier: MIT */
/*
 * udpflow - one peer of one wildcard UDP server, its number and its alias
 *
 * Theory of operation
 *
 * Flows come with a peer's first datagram or a program's UDPALIAS, end after
 * UDP_IDLE_S without a datagram, and their numbers rest UDP_REST_S before another peer
 * gets them, so that what waits in a program's buffer is not taken for the new one's.
 * The page holds what a shim needs of a flow, struct udp_flow the rest.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/udpmap_impl.h"
#include "common/log.h"

#define EXPIRE_NS LOOP_S(10)

uint32_t udp_now_s(const struct udpmap *u)
{
	return (uint32_t)(loop_now(u->loop) / LOOP_S(1));
}

static uint16_t *peer_count(struct udpmap *u, const struct shim_addr *peer)
{
	struct shim_addr a = *peer;

	a.port = 0;
	return &u->per_peer[shim_flow_hash(&a, 0) %
			    (sizeof(u->per_peer) / sizeof(u->per_peer[0]))];
}

static struct udp_range *range_of(struct udpmap *u, uint32_t number)
{
	return number < UDP_FLOWS6 ? &u->range6 : &u->range4;
}

static bool number_take(struct udpmap *u, struct udp_range *r, uint32_t *number)
{
	struct udp_flow *f = STAILQ_FIRST(&r->rested);

	if (f && udp_now_s(u) - f->used >= UDP_REST_S) {
		STAILQ_REMOVE_HEAD(&r->rested, link);
		*number = (uint32_t)(f - u->flow);
		return true;
	}
	if (r->next == r->end)
		return false;
	*number = r->next++;
	return true;
}

static void number_rest(struct udpmap *u, uint32_t number)
{
	struct udp_flow *f = &u->flow[number];

	*f = (struct udp_flow){.fd = -1, .used = udp_now_s(u)};
	STAILQ_INSERT_TAIL(&range_of(u, number)->rested, f, link);
}

/* The host socket of a V6ONLY flow: ::1 and the port that is its number. */
static int flow_socket(struct udpmap *u, uint32_t number)
{
	union udp_endpoint e = {
		.in6 = {.sin6_family = AF_INET6,
			.sin6_port =
				htons((uint16_t)(SHIM_UDPALIAS6_PORT + number)),
			.sin6_addr = IN6ADDR_LOOPBACK_INIT},
	};
	char key[KEEPER_KEY_MAX];
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (bind(fd, &e.sa, sizeof(e.in6)) < 0) {
		close(fd);
		return -1;
	}
	udp_buffers_set(fd);
	snprintf(key, sizeof(key), "shim/u/flow/%u", number);
	if (keeper_fd_put(u->keeper, key, fd))
		log_warn(key, "the keeper did not take it");
	return fd;
}

bool udp_flow_socket_take(struct udpmap *u, uint32_t number, int fd)
{
	struct udp_flow *f = &u->flow[number];

	if (fd < 0 || loop_io_add(u->loop, fd, LOOP_READ, false, udp_flow_ready,
				  u, &f->io))
		return false;
	f->fd = fd;
	return true;
}

void udp_flow_end(struct udpmap *u, uint32_t number)
{
	struct udp_flow *f = &u->flow[number];
	char key[KEEPER_KEY_MAX];

	--*peer_count(u, &page_map(u->page)->flows[number].peer);
	page_flow_del(u->page, number);
	if (f->fd >= 0) {
		snprintf(key, sizeof(key), "shim/u/flow/%u", number);
		if (keeper_fd_del(u->keeper, key))
			log_debug(key, "the keeper did not have it");
		loop_io_del(f->io);
		close(f->fd);
	}
	u->stats->udp_flows--;
	number_rest(u, number);
}

static bool flow_find(struct udp_server *s, const struct shim_addr *peer,
		      uint32_t *number)
{
	const struct shim_page *m = page_map(s->map->page);
	uint32_t at = m->hash[shim_flow_hash(peer, s->port) % SHIM_FLOWS];
	const struct shim_flow *f;

	for (; at; at = f->next) {
		f = &m->flows[at - 1];
		if (f->server == s->port && f->peer.port == peer->port &&
		    f->peer.family == peer->family &&
		    s->map->flow[at - 1].server == s &&
		    !memcmp(f->peer.addr, peer->addr, sizeof(peer->addr))) {
			*number = at - 1;
			return true;
		}
	}
	return false;
}

static bool flow_new(struct udp_server *s, const struct shim_addr *peer,
		     uint32_t *number)
{
	struct udpmap *u = s->map;
	struct udp_flow *f;

	if (*peer_count(u, peer) >= UDP_FLOWS_PER_PEER ||
	    !number_take(u, s->v6only ? &u->range6 : &u->range4, number))
		return false;
	f = &u->flow[*number];
	f->fd = -1;
	if (s->v6only) {
		int fd = flow_socket(u, *number);

		if (!udp_flow_socket_take(u, *number, fd)) {
			if (fd >= 0)
				close(fd);
			number_rest(u, *number);
			return false;
		}
	}
	f->server = s;
	f->used = udp_now_s(u);
	++*peer_count(u, peer);
	u->stats->udp_flows++;
	if (!loop_timer_armed(u->expire))
		loop_timer_arm(u->expire, EXPIRE_NS);
	page_flow_add(u->page, *number, s->port, s->v6only ? 0 : u->host_port,
		      s->v6only ? (uint16_t)(SHIM_UDPALIAS6_PORT + *number) : 0,
		      peer);
	return true;
}

bool udp_flow_get(struct udp_server *s, const struct shim_addr *peer,
		  uint32_t *number)
{
	return flow_find(s, peer, number) || flow_new(s, peer, number);
}

void udp_flows_expire(void *arg)
{
	struct udpmap *u = arg;
	uint32_t now = udp_now_s(u), i;

	for (i = 0; i < SHIM_FLOWS; i++) {
		if (i == u->range6.next)
			i = UDP_FLOWS6; /* beyond it nothing was ever used */
		if (i >= UDP_FLOWS6 && i >= u->range4.next)
			break;
		if (u->flow[i].server && now - u->flow[i].used >= UDP_IDLE_S)
			udp_flow_end(u, i);
	}
	if (u->stats->udp_flows)
		loop_timer_arm(u->expire, EXPIRE_NS);
}

/* --- taking over ------------------------------------------------------------------------------ */

/* A flow of the page becomes ours again, if what it needs is there. */
static bool flow_restore(struct udpmap *u, uint32_t number)
{
	const struct shim_flow *pf = &page_map(u->page)->flows[number];
	struct udp_flow *f = &u->flow[number];
	bool v6only = number < UDP_FLOWS6;
	struct udp_server *s = udp_server_find(u, v6only, pf->server);

	if (!s || (v6only ? !f->io : pf->alias_port != u->host_port))
		return false;
	if (!v6only)
		f->fd = -1;
	f->server = s;
	f->used = udp_now_s(u);
	++*peer_count(u, &pf->peer);
	u->stats->udp_flows++;
	return true;
}

void udp_flows_restore(struct udpmap *u)
{
	const struct shim_page *m = page_map(u->page);
	struct udp_range *r;
	uint32_t i, at;

	for (i = 0; i < SHIM_FLOWS; i++) {
		r = range_of(u, i);
		if (!m->flows[i].live && !u->flow[i].io)
			continue;
		for (at = r->next; at < i; at++)
			number_rest(u, at);
		r->next = i + 1;
		if (m->flows[i].live && flow_restore(u, i))
			continue;
		if (m->flows[i].live)
			page_flow_del(u->page, i);
		if (u->flow[i].io) {
			loop_io_del(u->flow[i].io);
			close(u->flow[i].fd);
		}
		number_rest(u, i);
	}
	if (u->stats->udp_flows)
		loop_timer_arm(u->expire, EXPIRE_NS);
}

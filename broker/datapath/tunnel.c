/* SPDX-License-Identifier: MIT */
/*
 * tunnel - what the owner does to a tunnel
 *
 * Theory of operation
 *
 * A tunnel is found by its peer's virtual addresses (sending) and by its Path ID
 * (receiving); it is in those tables from dp_tunnel_new() and
 * dp_tunnel_set_path_id() until dp_tunnel_close(). Closing takes it out, wipes its
 * keys, gives back what it holds, and leaves the struct for the end of the turn,
 * because whoever closes it may be inside a call about it.
 */
#include "broker/datapath/tunnel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/datapath/output.h"
#include "broker/datapath/seal.h"

static bool all_zero(const uint8_t *p, size_t len)
{
	while (len && !*p)
		p++, len--;
	return len == 0;
}

static bool address_taken(struct datapath *dp, const struct dp_tunnel *t)
{
	struct dp_tunnel *other = NULL;

	if (t->has_vip6)
		HASH_FIND(hh_vip6, dp->by_vip6, t->vip6, 16, other);
	if (!other && t->has_vip4)
		HASH_FIND(hh_vip4, dp->by_vip4, t->shown4, 4, other);
	return other != NULL;
}

int dp_tunnel_new(struct datapath *dp, const uint8_t vip6[static 16],
		  const uint8_t vip4[static 4], void *arg,
		  struct dp_tunnel **out)
{
	return dp_tunnel_new_shown(dp, vip6, vip4, vip4, arg, out);
}

int dp_tunnel_new_shown(struct datapath *dp, const uint8_t vip6[static 16],
			const uint8_t vip4[static 4],
			const uint8_t shown4[static 4], void *arg,
			struct dp_tunnel **out)
{
	struct dp_tunnel *t = calloc(1, sizeof(*t));

	if (!t)
		return -NTM_ENOMEM;
	t->dp = dp;
	t->arg = arg;
	t->state = DP_HELD;
	t->mtu = DP_MTU_DEFAULT;
	t->budget = UINT64_MAX;
	memcpy(t->vip6, vip6, 16);
	memcpy(t->vip4, vip4, 4);
	memcpy(t->shown4, shown4, 4);
	t->alias = memcmp(vip4, shown4, 4) != 0;
	t->has_vip6 = !all_zero(vip6, 16);
	t->has_vip4 = !all_zero(vip4, 4);
	queue_init(&t->queue);
	if (!t->has_vip6 && !t->has_vip4) {
		free(t);
		return -NTM_EINVAL;
	}
	if (address_taken(dp, t)) {
		free(t);
		return -NTM_EEXISTS;
	}
	if (t->has_vip6)
		HASH_ADD(hh_vip6, dp->by_vip6, vip6, 16, t);
	if (t->has_vip4)
		HASH_ADD(hh_vip4, dp->by_vip4, shown4, 4, t);
	*out = t;
	return 0;
}

static void leave_path_table(struct dp_tunnel *t)
{
	if (t->has_path)
		HASH_DELETE(hh_path, t->dp->by_path, t);
	t->has_path = false;
	if (t->dp->last_in == t)
		t->dp->last_in = NULL;
}

static void leave_lists(struct dp_tunnel *t)
{
	struct dp_tunnel **at;

	for (at = &t->dp->backlog; t->backlog && *at;
	     at = &(*at)->next_backlog) {
		if (*at == t) {
			*at = t->next_backlog;
			break;
		}
	}
	for (at = &t->dp->events; t->events && *at; at = &(*at)->next_event) {
		if (*at == t) {
			*at = t->next_event;
			break;
		}
	}
	t->backlog = false;
	t->events = 0;
}

struct dp_tail *dp_tunnel_tail(const struct dp_tunnel *t)
{
	struct dp_tail *tail = t->tail.len ? malloc(sizeof(*tail)) : NULL;

	if (tail)
		*tail = t->tail;
	return tail;
}

void dp_tunnel_set_tail(struct dp_tunnel *t, const struct dp_tail *tail)
{
	t->tail = *tail;
	t->tail.due = false; /* until it is opened */
}

void dp_tail_free(struct dp_tail *tail)
{
	if (tail)
		ntmc_wipe(tail, sizeof(*tail));
	free(tail);
}

void dp_tunnel_close(struct dp_tunnel *t, bool reject)
{
	struct datapath *dp = t->dp;

	if (t->state == DP_DEAD)
		return;
	t->state = DP_DEAD;
	if (t->has_vip6)
		HASH_DELETE(hh_vip6, dp->by_vip6, t);
	if (t->has_vip4)
		HASH_DELETE(hh_vip4, dp->by_vip4, t);
	leave_path_table(t);
	if (dp->last_out == t)
		dp->last_out = NULL;
	if (dp->general.exit == t)
		dp->general.exit = NULL;
	output_reject_queue(t, reject);
	leave_lists(t);
	batch_forget(dp->batch, t);
	parts_forget(dp->parts, &t->parts);
	seal_clear(t);
	t->next_dead = dp->dead;
	dp->dead = t;
	dp_defer(dp);
}

void tunnel_add_counters(struct dp_counters *sum, const struct dp_counters *n)
{
	sum->tx_packets += n->tx_packets;
	sum->tx_bytes += n->tx_bytes;
	sum->rx_packets += n->rx_packets;
	sum->rx_bytes += n->rx_bytes;
	sum->tx_datagrams += n->tx_datagrams;
	sum->rx_datagrams += n->rx_datagrams;
	if (n->last_rx_ns > sum->last_rx_ns)
		sum->last_rx_ns = n->last_rx_ns;
	if (n->last_tx_ns > sum->last_tx_ns)
		sum->last_tx_ns = n->last_tx_ns;
	sum->bad_auth += n->bad_auth;
	sum->replayed += n->replayed;
	sum->bad_source += n->bad_source;
	sum->bad_lease += n->bad_lease;
	sum->bad_port += n->bad_port;
	sum->no_keys += n->no_keys;
	sum->queue_dropped += n->queue_dropped;
	sum->too_big += n->too_big;
	sum->parts += n->parts;
	sum->tails += n->tails;
}

void tunnel_free_dead(struct datapath *dp)
{
	struct dp_tunnel *t;

	while (dp->dead) {
		t = dp->dead;
		dp->dead = t->next_dead;
		tunnel_add_counters(&dp->totals.sum, &t->n);
		ports_free(t->ports);
		free(t);
	}
}

void tunnel_free_all(struct datapath *dp)
{
	struct dp_tunnel *t, *next;

	HASH_ITER (hh_vip6, dp->by_vip6, t, next)
		dp_tunnel_close(t, false);
	HASH_ITER (hh_vip4, dp->by_vip4, t, next)
		dp_tunnel_close(t, false);
	tunnel_free_dead(dp);
}

struct dp_tunnel *tunnel_by_path(struct datapath *dp, uint64_t path_id)
{
	struct dp_tunnel *t = dp->last_in;

	if (t && t->path_id == path_id)
		return t;
	HASH_FIND(hh_path, dp->by_path, &path_id, sizeof(path_id), t);
	if (t)
		dp->last_in = t;
	return t;
}

void *dp_tunnel_arg(const struct dp_tunnel *t)
{
	return t->arg;
}

int dp_tunnel_set_path_id(struct dp_tunnel *t, uint64_t path_id)
{
	struct datapath *dp = t->dp;
	struct dp_tunnel *other;

	if (t->state == DP_DEAD)
		return -NTM_ESTATE;
	HASH_FIND(hh_path, dp->by_path, &path_id, sizeof(path_id), other);
	if (other)
		return other == t ? 0 : -NTM_EEXISTS;
	leave_path_table(t);
	t->path_id = path_id;
	t->has_path = true;
	HASH_ADD(hh_path, dp->by_path, path_id, sizeof(path_id), t);
	return 0;
}

void dp_tunnel_open(struct dp_tunnel *t, const struct addr *remote)
{
	if (t->state == DP_DEAD)
		return;
	t->remote = *remote;
	t->state = DP_OPEN;
	t->stalled_until = 0;
	output_again(t);
	output_resume(t);
	if (t->dp->ops->opened)
		t->dp->ops->opened(t->dp->arg, t);
}

void dp_tunnel_hold(struct dp_tunnel *t)
{
	if (t->state == DP_OPEN)
		t->state = DP_HELD;
}

void dp_tunnel_set_relayed(struct dp_tunnel *t, bool relayed)
{
	t->relayed = relayed;
}

enum dp_state dp_tunnel_state(const struct dp_tunnel *t)
{
	return t->state;
}

void dp_tunnel_set_ports(struct dp_tunnel *t, bool all, const uint16_t *list,
			 size_t n)
{
	t->closed = false;
	if (t->dp->general.serves && all) {
		ports_free(t->ports);
		t->ports = NULL;
	} else if (t->ports) {
		t->closed = ports_set(t->ports, all, list, n) && !all;
	} else if (ports_new(all, list, n, &t->ports)) {
		t->ports = NULL;
		t->closed = !all;
	}
}

struct ports *dp_tunnel_take_ports(struct dp_tunnel *t)
{
	struct ports *p = t->ports;

	if (p)
		ports_rest(p, loop_now(t->dp->loop));
	t->ports = NULL;
	t->closed = true;
	return p;
}

void dp_tunnel_give_ports(struct dp_tunnel *t, struct ports *p)
{
	ports_free(t->ports);
	t->ports = p;
}

struct ports *dp_tunnel_ports(const struct dp_tunnel *t)
{
	return t->ports;
}

void dp_ports_free(struct ports *p)
{
	ports_free(p);
}

void dp_tunnel_set_mtu(struct dp_tunnel *t, unsigned int udp_payload)
{
	if (udp_payload < DP_MTU_MIN)
		udp_payload = DP_MTU_MIN;
	if (udp_payload > PACKET_DATA_MAX)
		udp_payload = PACKET_DATA_MAX;
	t->mtu = udp_payload;
}

void dp_tunnel_set_budget(struct dp_tunnel *t, uint64_t bytes)
{
	t->budget = bytes;
	if (t->state != DP_DEAD)
		output_resume(t);
}

void dp_tunnel_add_budget(struct dp_tunnel *t, uint64_t bytes)
{
	if (t->budget < UINT64_MAX - bytes)
		dp_tunnel_set_budget(t, t->budget + bytes);
}

int dp_tunnel_send_control(struct dp_tunnel *t, const uint8_t *msg, size_t len,
			   const struct addr *to)
{
	uint8_t buf[PACKET_DATA_MAX];
	struct datapath *dp = t->dp;
	uint32_t size;

	if (len > sizeof(buf) - PACKET_OVERHEAD)
		return -NTM_ETOOBIG;
	if (!to)
		to = &t->remote;
	if (!seal_ready(t) || !addr_is_set(to))
		return -NTM_ESTATE;
	size = seal_datagram(t, PACKET_CONTROL, NULL, 0, msg, len, buf);
	if (!size)
		return -NTM_ESTATE;
	if (t->budget != UINT64_MAX && addr_equal(to, &t->remote))
		t->budget -= t->budget < size ? t->budget : size;
	t->n.tx_datagrams++;
	return datapath_send(dp, buf, size, to);
}

void dp_tunnel_counters(const struct dp_tunnel *t, struct dp_counters *out)
{
	*out = t->n;
}

/* SPDX-License-Identifier: MIT */
/* fake_datapath - broker/datapath/datapath.h for the world */
#include "tests/unit/broker/control/fake_datapath.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/datapath/ports.h"

#define PHASES	  3
#define QUEUE_MAX 64
#define INNER_LEN                                                              \
	100 /* bytes of every inner packet: index of the sender first */

struct phase {
	bool used, confirmed;
	uint8_t phase;
	uint8_t send[16], recv[16];
	uint64_t counter;
	struct ntmc_replay replay;
};

struct dp_tunnel {
	struct datapath *dp;
	void *arg;
	enum dp_state state;
	uint8_t vip6[16], vip4[4];
	uint64_t path_id;
	struct addr remote;
	struct phase phases[PHASES]; /* newest first */
	struct phase *send;
	unsigned int queued, mtu;
	uint64_t budget;
	bool closed_in;
	struct dp_counters n;
	struct dp_tunnel *next;
};

struct datapath {
	struct node *node;
	struct dp_tunnel *tunnels;
	struct dp_tunnel *failed;
	struct loop_task fail_task;
	struct fake_group_relay group_relay;
};

struct fake_group_relay *fake_group_relay(struct datapath *dp)
{
	return &dp->group_relay;
}

/* --- the outside -------------------------------------------------------------------------- */

/* nothing is blocked in this world */
void datapath_set_carrier(struct datapath *dp, const struct dp_carrier *carrier,
			  void *arg)
{
	(void)dp;
	(void)carrier;
	(void)arg;
}

void datapath_carried(struct datapath *dp, uint8_t *data, size_t len,
		      const struct addr *from)
{
	dp->node->w.dp = dp;
	worker_dp_ops.signal(&dp->node->w, data, len, from);
}

void datapath_carried_end(struct datapath *dp)
{
	(void)dp;
}

int datapath_send_udp(struct datapath *dp, const uint8_t *buf, size_t len,
		      const struct addr *to)
{
	return datapath_send(dp, buf, len, to);
}

int datapath_send(struct datapath *dp, const uint8_t *buf, size_t len,
		  const struct addr *to)
{
	struct node *n = dp->node;
	struct addr source;
	unsigned int mtu;

	if (n->env.route(n, to, &source, &mtu)) {
		errno = ENETUNREACH;
		return -NTM_ESYSTEM;
	}
	if (len + (to->sa.sa_family == AF_INET6 ? 48 : 28) > mtu) {
		errno = EMSGSIZE;
		return -NTM_ESYSTEM;
	}
	addr_set_port(&source, WORLD_PORT);
	n->datagrams++;
	n->signals += buf[0] != PACKET_DATA;
	world_send(n->world, buf, len, &source, to);
	return 0;
}

static void report_failed(void *arg)
{
	struct datapath *dp = arg;
	struct dp_tunnel *t = dp->failed;

	dp->failed = NULL;
	if (t)
		worker_dp_ops.send_error(&dp->node->w, t, ENETUNREACH);
}

/* true: left, or is lost for good; false: it must wait */
static bool seal_and_send(struct dp_tunnel *t, uint8_t flags,
			  const uint8_t *body, size_t len,
			  const struct addr *to, int *err)
{
	struct packet_header h = {.type = PACKET_DATA, .flags = flags};
	static uint8_t buf[PACKET_DATA_MAX + 64];

	*err = 0;
	h.phase = t->send->phase;
	h.id = t->path_id ^ 1;
	h.counter = t->send->counter++;
	packet_header_put(&h, buf);
	memcpy(buf + PACKET_HEADER_LEN, body, len);
	memcpy(buf + PACKET_HEADER_LEN + len, t->send->send, NTMC_TAG_LEN);
	*err = datapath_send(t->dp, buf, len + PACKET_OVERHEAD, to);
	if (!*err)
		t->n.tx_datagrams++;
	return !*err;
}

static void drain(struct dp_tunnel *t)
{
	uint8_t inner[INNER_LEN] = {(uint8_t)t->dp->node->index};
	int err;

	while (t->queued && t->state == DP_OPEN && t->send &&
	       t->budget >= INNER_LEN + PACKET_OVERHEAD) {
		if (!seal_and_send(t, 0, inner, sizeof(inner), &t->remote,
				   &err)) {
			t->dp->failed = t;
			t->dp->fail_task.fn = report_failed;
			t->dp->fail_task.arg = t->dp;
			loop_defer_task(t->dp->node->w.loop, &t->dp->fail_task);
			return;
		}
		t->queued--;
		t->n.tx_packets++;
		t->n.last_tx_ns = loop_now(t->dp->node->w.loop);
		if (t->budget != UINT64_MAX)
			t->budget -= INNER_LEN + PACKET_OVERHEAD;
	}
}

void fake_output(struct datapath *dp, const uint8_t vip6[static 16])
{
	struct dp_tunnel *t;
	struct addr dst;

	if (addr_from_ip(vip6, 16, 0, &dst))
		return;
	if (!dp_tunnel_find(dp, &dst, &t) &&
	    (!worker_dp_ops.no_tunnel(&dp->node->w, &dst) ||
	     !dp_tunnel_find(dp, &dst, &t))) {
		dp->node->rejected++;
		return;
	}
	if (t->queued < QUEUE_MAX)
		t->queued++;
	drain(t);
}

/* --- coming in --------------------------------------------------------------------------------- */

static struct dp_tunnel *by_path(struct datapath *dp, uint64_t id)
{
	struct dp_tunnel *t = dp->tunnels;

	while (t && (t->path_id != id || t->state == DP_DEAD))
		t = t->next;
	return t;
}

static struct phase *phase_find(struct dp_tunnel *t, uint8_t phase)
{
	for (int i = 0; i < PHASES; i++)
		if (t->phases[i].used && t->phases[i].phase == phase)
			return &t->phases[i];
	return NULL;
}

static void content(struct dp_tunnel *t, const struct packet_header *h,
		    uint8_t *body, size_t len, const struct addr *from)
{
	struct datapath *dp = t->dp;

	if (h->flags & PACKET_CONTROL) {
		worker_dp_ops.control(&dp->node->w, t, body, len, from,
				      len + PACKET_OVERHEAD);
	} else if (t->closed_in) {
		t->n.bad_port++;
	} else if (len == INNER_LEN && body[0] < WORLD_NODES) {
		t->n.rx_packets++;
		dp->node->got[body[0]]++;
	}
}

static void data(struct datapath *dp, const struct packet_header *h,
		 uint8_t *buf, size_t len, const struct addr *from)
{
	struct dp_tunnel *t = by_path(dp, h->id);
	struct phase *p = t ? phase_find(t, h->phase) : NULL;
	struct worker *w = &dp->node->w;
	bool newest;

	if (!p) {
		worker_dp_ops.unknown_path(w, h->id, from);
		return;
	}
	if (!ntmc_replay_check(&p->replay, h->counter) ||
	    memcmp(buf + len - NTMC_TAG_LEN, p->recv, NTMC_TAG_LEN))
		return;
	newest = h->counter >= p->replay.last;
	ntmc_replay_mark(&p->replay, h->counter);
	t->n.rx_datagrams++;
	t->n.last_rx_ns = loop_now(w->loop);
	if (!p->confirmed) {
		p->confirmed = true;
		t->send = p;
		worker_dp_ops.confirmed(w, t, h->phase, from, len);
		if (t->state == DP_DEAD)
			return;
		drain(t);
	}
	if (newest && !(h->flags & PACKET_CONTROL) &&
	    !addr_equal(from, &t->remote))
		worker_dp_ops.moved(w, t, from, len);
	if (t->state != DP_DEAD)
		content(t, h, buf + PACKET_HEADER_LEN, len - PACKET_OVERHEAD,
			from);
}

void fake_input(struct datapath *dp, uint8_t *buf, size_t len,
		const struct addr *from)
{
	struct packet_header h;

	if (packet_header_get(buf, len, &h))
		return;
	if (h.type == PACKET_DATA)
		data(dp, &h, buf, len, from);
	else
		worker_dp_ops.signal(&dp->node->w, buf, len, from);
}

/* --- datapath.h --------------------------------------------------------------------------------- */

struct datapath *fake_datapath_new(struct node *n)
{
	struct datapath *dp = calloc(1, sizeof(*dp));

	if (!dp)
		abort();
	dp->node = n;
	return dp;
}

void fake_datapath_free(struct datapath *dp)
{
	struct dp_tunnel *t;

	while ((t = dp->tunnels)) {
		dp->tunnels = t->next;
		free(t);
	}
	dp->failed = NULL;
	if (loop_turn(dp->node->w.loop, false))
		abort();
	free(dp);
}

void datapath_set_lease(struct datapath *dp, const uint8_t vip6[static 16],
			const uint8_t vip4[static 4])
{
	(void)dp, (void)vip6, (void)vip4;
}

void datapath_set_virtual(struct datapath *dp, const struct dp_range *r,
			  size_t n)
{
	(void)dp;
	(void)r;
	(void)n;
}

void datapath_refuse(struct datapath *dp, bool say)
{
	(void)dp;
	(void)say;
}

void datapath_set_exit(struct datapath *dp, struct dp_tunnel *t)
{
	(void)dp;
	(void)t;
}

int dp_tunnel_new_shown(struct datapath *dp, const uint8_t vip6[static 16],
			const uint8_t vip4[static 4],
			const uint8_t shown4[static 4], void *arg,
			struct dp_tunnel **out)
{
	struct dp_tunnel *t;
	struct addr vip;

	(void)vip4; /* packets are not changed here */

	if (!addr_from_ip(vip6, 16, 0, &vip) && dp_tunnel_find(dp, &vip, &t))
		return -NTM_EEXISTS;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -NTM_ENOMEM;
	t->dp = dp;
	t->arg = arg;
	t->budget = UINT64_MAX;
	t->mtu = 1200;
	memcpy(t->vip6, vip6, 16);
	memcpy(t->vip4, shown4, 4);
	t->next = dp->tunnels;
	dp->tunnels = t;
	*out = t;
	return 0;
}

/* which segments are sent again is the real data path's test */
struct dp_tail *dp_tunnel_tail(const struct dp_tunnel *t)
{
	(void)t;
	return NULL;
}

void dp_tunnel_set_tail(struct dp_tunnel *t, const struct dp_tail *tail)
{
	(void)t, (void)tail;
}

void dp_tail_free(struct dp_tail *tail)
{
	(void)tail;
}

/* the dead stay in the list, as the real ones do until the end of the turn */
void dp_tunnel_close(struct dp_tunnel *t, bool reject)
{
	if (reject)
		t->dp->node->rejected += t->queued;
	t->queued = 0;
	t->state = DP_DEAD;
	t->arg = NULL;
	t->send = NULL;
	memset(t->phases, 0, sizeof(t->phases));
	if (t->dp->failed == t)
		t->dp->failed = NULL;
}

void *dp_tunnel_arg(const struct dp_tunnel *t)
{
	return t->arg;
}

bool dp_tunnel_find(struct datapath *dp, const struct addr *vip,
		    struct dp_tunnel **out)
{
	size_t len;
	const uint8_t *ip = addr_ip(vip, &len);

	for (struct dp_tunnel *t = dp->tunnels; t; t = t->next) {
		if (t->state == DP_DEAD ||
		    memcmp(len == 16 ? t->vip6 : t->vip4, ip, len))
			continue;
		*out = t;
		return true;
	}
	return false;
}

int dp_tunnel_set_path_id(struct dp_tunnel *t, uint64_t path_id)
{
	struct dp_tunnel *other = by_path(t->dp, path_id);

	if (other && other != t)
		return -NTM_EEXISTS;
	t->path_id = path_id;
	return 0;
}

int dp_tunnel_add_keys(struct dp_tunnel *t, uint8_t phase,
		       enum ntmc_aead_alg aead, const struct ntmc_key *send,
		       const struct ntmc_key *recv, bool confirmed)
{
	uint8_t sending = t->send ? t->send->phase : 0;
	bool has = t->send != NULL;
	struct phase *p = &t->phases[0];

	(void)aead;
	memmove(&t->phases[1], &t->phases[0], (PHASES - 1) * sizeof(*p));
	memset(p, 0, sizeof(*p));
	p->used = true;
	p->phase = phase;
	p->confirmed = confirmed;
	memcpy(p->send, send->b, 16);
	memcpy(p->recv, recv->b, 16);
	t->send = has ? phase_find(t, sending) : NULL;
	if (confirmed)
		t->send = p;
	drain(t);
	return 0;
}

void dp_tunnel_drop_old_keys(struct dp_tunnel *t)
{
	for (int i = PHASES - 1; i >= 0 && &t->phases[i] != t->send; i--)
		memset(&t->phases[i], 0, sizeof(t->phases[i]));
}

void dp_tunnel_stop(struct dp_tunnel *t)
{
	for (int i = PHASES - 1; t->send && i >= 0; i--) {
		struct phase *p = &t->phases[i];

		if (p == t->send)
			t->send = NULL;
		memset(p, 0, sizeof(*p));
	}
}

unsigned int dp_tunnel_phases(const struct dp_tunnel *t, uint8_t out[static 3])
{
	unsigned int n = 0;

	for (int i = 0; i < PHASES; i++)
		if (t->phases[i].used)
			out[n++] = t->phases[i].phase;
	return n;
}

void dp_tunnel_open(struct dp_tunnel *t, const struct addr *remote)
{
	if (t->state == DP_DEAD)
		return;
	t->remote = *remote;
	t->state = DP_OPEN;
	drain(t);
}

void dp_tunnel_hold(struct dp_tunnel *t)
{
	if (t->state == DP_OPEN)
		t->state = DP_HELD;
}

enum dp_state dp_tunnel_state(const struct dp_tunnel *t)
{
	return t->state;
}

void dp_tunnel_set_ports(struct dp_tunnel *t, bool all, const uint16_t *list,
			 size_t n)
{
	(void)list;
	t->closed_in = !all && !n;
}

struct ports *dp_tunnel_take_ports(struct dp_tunnel *t)
{
	(void)t;
	return NULL;
}

void dp_tunnel_give_ports(struct dp_tunnel *t, struct ports *p)
{
	(void)t;
	(void)p;
}

struct ports *dp_tunnel_ports(const struct dp_tunnel *t)
{
	(void)t;
	return NULL;
}

bool ports_due(const struct ports *p, uint64_t now)
{
	(void)p, (void)now;
	return false;
}

size_t ports_save(struct ports *p, uint64_t now, uint8_t *out, size_t size)
{
	(void)p, (void)now, (void)out, (void)size;
	return 0;
}

int ports_load(uint64_t now, uint32_t passed, const uint8_t *saved, size_t len,
	       struct ports **out)
{
	(void)now, (void)passed, (void)saved, (void)len, (void)out;
	return -NTM_ENOMEM;
}

void dp_ports_free(struct ports *p)
{
	(void)p;
}

void dp_tunnel_set_relayed(struct dp_tunnel *t, bool relayed)
{
	(void)t, (void)relayed;
}

void dp_tunnel_set_mtu(struct dp_tunnel *t, unsigned int udp_payload)
{
	t->mtu = udp_payload;
}

void dp_tunnel_set_budget(struct dp_tunnel *t, uint64_t bytes)
{
	t->budget = bytes;
	drain(t);
}

void dp_tunnel_add_budget(struct dp_tunnel *t, uint64_t bytes)
{
	if (t->budget != UINT64_MAX)
		dp_tunnel_set_budget(t, t->budget + bytes);
}

int dp_tunnel_send_control(struct dp_tunnel *t, const uint8_t *msg, size_t len,
			   const struct addr *to)
{
	int err;

	if (!to)
		to = &t->remote;
	if (!t->send || !addr_is_set(to) || t->state == DP_DEAD)
		return -NTM_ESTATE;
	if (t->budget != UINT64_MAX && addr_equal(to, &t->remote))
		t->budget -= t->budget < len + PACKET_OVERHEAD
				     ? t->budget
				     : len + PACKET_OVERHEAD;
	seal_and_send(t, PACKET_CONTROL, msg, len, to, &err);
	return err;
}

void dp_tunnel_counters(const struct dp_tunnel *t, struct dp_counters *out)
{
	*out = t->n;
}

/* for the control socket */
void datapath_totals(const struct datapath *dp, struct dp_totals *out)
{
	(void)dp;
	memset(out, 0, sizeof(*out));
}

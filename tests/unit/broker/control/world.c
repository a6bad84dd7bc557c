/* SPDX-License-Identifier: MIT */
/* world - nodes with real control planes over a network made of nothing */
#include "tests/unit/broker/control/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/broker/control/fake_datapath.h"

/* --- chance (splitmix64) -------------------------------------------------------------- */

static uint64_t next_random(struct world *wd)
{
	uint64_t z = wd->seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint32_t world_random(struct world *wd, uint32_t below)
{
	return below ? (uint32_t)(next_random(wd) % below) : 0;
}

static void fill_random(void *ctx, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len--)
		*p++ = (uint8_t)next_random(ctx);
}

static int64_t wall(void *ctx)
{
	const struct world *wd = ctx;

	return WORLD_START + wd->skew_s + (int64_t)(wd->now_ns / 1000000000);
}

static uint64_t mono(void *ctx)
{
	return ((struct world *)ctx)->now_ns;
}

/* --- the network ------------------------------------------------------------------------ */

/* struct feeler - one at a time for each node; the next has another port */
struct feeler {
	struct node *node;
	uint16_t port;
	feeler_fn *fn;
	void *arg;
};

static int feeler_open(struct worker *w, int family, feeler_fn *fn, void *arg,
		       struct feeler **out)
{
	static uint16_t next;
	struct node *n = w->env->ctx;
	struct feeler *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_null(n->feeler);
	assert_int_equal(family, AF_INET);
	f->node = n;
	f->port = (uint16_t)(20000 + next++ % 10000);
	f->fn = fn;
	f->arg = arg;
	*out = n->feeler = f;
	return 0;
}

static void feeler_send(struct feeler *f, const void *buf, size_t len,
			const struct addr *to)
{
	struct addr from = f->node->addrs[0];

	addr_set_port(&from, f->port);
	world_send(f->node->world, buf, len, &from, to);
}

static void feeler_close(struct feeler *f)
{
	if (!f)
		return;
	f->node->feeler = NULL;
	free(f);
}

static const struct feeler_ops feelers = {feeler_open, feeler_send,
					  feeler_close};

static struct node *owner_of(struct world *wd, const struct addr *a)
{
	for (size_t i = 0; i < wd->n_nodes; i++)
		for (size_t j = 0; j < wd->nodes[i].n_addrs; j++)
			if (addr_equal_ip(&wd->nodes[i].addrs[j], a))
				return &wd->nodes[i];
	return NULL;
}

static void enqueue(struct world *wd, const uint8_t *buf, size_t len,
		    const struct addr *from, const struct addr *to)
{
	struct packet *p = malloc(sizeof(*p) + len);
	uint64_t ms =
		wd->wire.delay_ms + world_random(wd, wd->wire.jitter_ms + 1);

	assert_non_null(p);
	p->due_ns = wd->now_ns + LOOP_MS(ms);
	p->from = *from;
	p->to = *to;
	p->len = len;
	memcpy(p->buf, buf, len);
	p->next = wd->packets;
	wd->packets = p;
}

static bool too_big(struct world *wd, size_t len, const struct addr *a)
{
	const struct node *n = owner_of(wd, a);
	size_t head = a->sa.sa_family == AF_INET6 ? 48 : 28;

	return n && n->path_mtu && len + head > n->path_mtu;
}

void world_send(struct world *wd, const uint8_t *buf, size_t len,
		const struct addr *sender, const struct addr *to)
{
	struct node *n = owner_of(wd, sender);
	struct addr outside = *sender;
	const struct addr *from = &outside;

	if (n && n->nat.on)
		nat_out(&n->nat, &outside, to);
	if (world_random(wd, 100) < wd->wire.loss_percent ||
	    too_big(wd, len, sender) || too_big(wd, len, to))
		return;
	enqueue(wd, buf, len, from, to);
	if (world_random(wd, 100) < wd->wire.dup_percent)
		enqueue(wd, buf, len, from, to);
}

static struct node *behind(struct world *wd, const struct addr *a)
{
	for (size_t i = 0; i < wd->n_nodes; i++)
		if (wd->nodes[i].nat.on &&
		    addr_equal_ip(&wd->nodes[i].nat.outside, a))
			return &wd->nodes[i];
	return NULL;
}

static bool to_relay(struct world *wd, struct packet *p)
{
	for (size_t i = 0; i < wd->n_rs; i++) {
		if (!rs_owns(wd->rs[i], &p->to))
			continue;
		rs_datagram(wd->rs[i], p->buf, p->len, &p->from, &p->to);
		return true;
	}
	return false;
}

/* What is behind a NAT is reached by its outside alone. */
static struct node *receiver(struct world *wd, struct packet *p)
{
	struct node *n = owner_of(wd, &p->to), *nat = behind(wd, &p->to);

	if (nat)
		return nat_in(&nat->nat, &p->from, &p->to) ? nat : NULL;
	if (n && n->nat.on && p->to.sa.sa_family == AF_INET)
		return NULL; /* inside */
	return n;
}

static void deliver(struct world *wd, struct packet *p)
{
	struct node *n;

	wd->delivered++;
	if ((wd->watch && wd->watch(wd, p)) || to_relay(wd, p))
		return;
	n = receiver(wd, p);
	if (dc_owns(&p->to))
		dc_datagram(wd->dc, p->buf, p->len, &p->from);
	else if (n && n->running && addr_port(&p->to) == WORLD_PORT)
		fake_input(n->w.dp, p->buf, p->len, &p->from);
	else if (n && n->running && n->feeler &&
		 addr_port(&p->to) == n->feeler->port)
		n->feeler->fn(n->feeler->arg, p->buf, p->len, &p->from);
}

/* the due one that was due first; of those alike the one sent last, or first */
static struct packet *take_due(struct world *wd)
{
	struct packet **at, **best = NULL, *p;

	for (at = &wd->packets; *at; at = &(*at)->next)
		if ((*at)->due_ns <= wd->now_ns &&
		    (!best || (*at)->due_ns < (*best)->due_ns + wd->in_order))
			best = at;
	if (!best)
		return NULL;
	p = *best;
	*best = p->next;
	return p;
}

static void step(struct world *wd, uint64_t ns)
{
	struct packet *p;

	wd->now_ns += ns;
	assert_int_equal(loop_turn(wd->loop, false), 0);
	while ((p = take_due(wd))) {
		deliver(wd, p);
		free(p);
	}
	assert_int_equal(loop_turn(wd->loop, false), 0);
}

bool world_until(struct world *wd, unsigned int ms, bool (*done)(void *arg),
		 void *arg)
{
	uint64_t end = wd->now_ns + LOOP_MS(ms);

	while (wd->now_ns < end) {
		if (done && done(arg))
			return true;
		step(wd, LOOP_MS(wd->packets ? 1 : 5));
	}
	return done && done(arg);
}

void world_run(struct world *wd, unsigned int ms)
{
	world_until(wd, ms, NULL, NULL);
}

/* --- a node's machine --------------------------------------------------------------------- */

static int env_route(void *ctx, const struct addr *remote, struct addr *source,
		     unsigned int *mtu)
{
	const struct node *n = ctx;

	for (size_t i = 0; i < n->n_addrs; i++)
		if (n->addrs[i].sa.sa_family == remote->sa.sa_family) {
			*source = n->addrs[i];
			*mtu = n->mtu;
			return 0;
		}
	return -NTM_EUNREACHABLE;
}

static size_t env_locals(void *ctx, struct addr *out, size_t max)
{
	const struct node *n = ctx;
	size_t i;

	for (i = 0; i < n->n_addrs && i < max; i++)
		out[i] = n->addrs[i];
	return i;
}

static void add_address(struct node *n, const char *text)
{
	if (text)
		assert_int_equal(addr_parse(text, 0, &n->addrs[n->n_addrs++]),
				 0);
}

void node_move(struct node *n, const char *v4, const char *v6)
{
	n->n_addrs = 0;
	add_address(n, v4);
	add_address(n, v6);
	if (n->running)
		worker_moved(&n->w);
}

void node_start(struct node *n)
{
	struct world *wd = n->world;
	char why[512];

	memset(&n->w, 0, sizeof(n->w));
	n->w.loop = wd->loop;
	n->w.keeper = &n->keeper;
	n->w.env = &n->env;
	n->w.udp_port = WORLD_PORT;
	assert_int_equal(
		worker_init(&n->w, n->config, n->state, why, sizeof(why)), 0);
	n->w.dp = fake_datapath_new(n);
	n->running = true;
	assert_int_equal(worker_start(&n->w), 0);
}

void node_kill(struct node *n)
{
	n->running = false;
	worker_clear(&n->w);
	fake_datapath_free(n->w.dp);
	n->w.dp = NULL;
}

void node_login(struct node *n, const char *fqdn)
{
	Ntm__LoginResponse *r;
	struct join join = {.n_addrs = 1};

	snprintf(n->fqdn, sizeof(n->fqdn), "%s", fqdn);
	snprintf(join.domain, sizeof(join.domain), WORLD_DOMAIN);
	memcpy(join.ca_fp, n->world->ca_fp, NTMC_FP_LEN);
	assert_int_equal(addr_parse("192.0.2.1:4501", 0, &join.addrs[0]), 0);
	r = dc_login(n->world->dc, n, fqdn);
	assert_int_equal(account_adopt(n->w.account, &join, r), 0);
	ntm__login_response__free_unpacked(r, NULL);
	memcpy(n->vip6, n->w.account->cert.vip6, 16);
	memcpy(n->vip4, n->w.account->cert.vip4, 4);
	assert_int_equal(worker_logged_in(&n->w), 0);
}

void node_send(struct node *n, const struct node *to)
{
	n->sent++;
	fake_output(n->w.dp, to->vip6);
}

struct peer *node_peer(struct node *n, const struct node *other)
{
	return peers_find(n->w.peers, other->fqdn);
}

/* In memory where there is such a folder: workers wait for their disk. */
static void scratch(char dir[40])
{
	snprintf(dir, 40, "%s/ntm-world-%d",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
}

static void node_init(struct world *wd, unsigned int i)
{
	struct node *n = &wd->nodes[i];
	char dir[40];

	scratch(dir);
	n->world = wd;
	n->index = i;
	n->mtu = 1500;
	n->env.crypto = wd->crypto;
	n->env.route = env_route;
	n->env.locals = env_locals;
	n->env.feeler = &feelers;
	n->env.ctx = n;
	snprintf(n->state, sizeof(n->state), "%s/%u", dir, i);
	snprintf(n->config, sizeof(n->config), "%s/c%u", dir, i);
}

/* --- all ------------------------------------------------------------------------------------ */

void world_up(struct world *wd, uint64_t seed, size_t n_nodes)
{
	static const uint8_t prefix4[4] = {198, 18, 0, 0};
	struct ntmc_trust_domain d;
	struct ntmc_trust *trust;
	char dir[40];

	memset(wd, 0, sizeof(*wd));
	wd->seed = seed;
	wd->now_ns = LOOP_S(1);
	wd->wire.delay_ms = 10;
	wd->crypto = (struct ntmc_env){fill_random, wall, wd};
	wd->n_nodes = n_nodes;
	scratch(dir);
	mkdir(dir, 0700);
	assert_int_equal(loop_new(&wd->loop), 0);
	loop_set_clock(wd->loop, mono, wall, wd);
	assert_int_equal(ntmc_ca_new(&wd->crypto, WORLD_DOMAIN, prefix4, 15,
				     3650, &wd->ca, wd->prefix6),
			 0);
	wd->ca_len = sizeof(wd->ca_der);
	assert_int_equal(ntmc_ca_der(wd->ca, wd->ca_der, &wd->ca_len), 0);
	assert_int_equal(ntmc_trust_new(&trust), 0);
	assert_int_equal(
		ntmc_trust_add(trust, wd->ca_der, wd->ca_len, NULL, &d), 0);
	memcpy(wd->ca_fp, d.fp, NTMC_FP_LEN);
	ntmc_trust_free(trust);
	wd->dc = dc_new(wd);
	for (unsigned int i = 0; i < n_nodes; i++)
		node_init(wd, i);
}

static void remove_files(const char *dir)
{
	static const char *const names[] = {"identity.key", "boot", "session",
					    "known", "policy"};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

void world_down(struct world *wd)
{
	struct packet *p;
	struct blob *b;
	char dir[40];

	for (size_t i = 0; i < wd->n_nodes; i++) {
		if (wd->nodes[i].running)
			node_kill(&wd->nodes[i]);
		while ((b = wd->nodes[i].keeper.blobs)) {
			wd->nodes[i].keeper.blobs = b->next;
			free(b);
		}
		remove_files(wd->nodes[i].state);
		remove_files(wd->nodes[i].config);
	}
	while ((p = wd->packets)) {
		wd->packets = p->next;
		free(p);
	}
	dc_free(wd->dc);
	for (size_t i = 0; i < wd->n_rs; i++)
		rs_free(wd->rs[i]);
	ntmc_ca_free(wd->ca);
	loop_free(wd->loop);
	scratch(dir);
	rmdir(dir);
}

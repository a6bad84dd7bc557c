/* SPDX-License-Identifier: MIT */
/*
 * net - the exit's process without keys: filters nodes' packets, ends their TCP and UDP
 *
 * Theory of operation
 *
 * Packets come over the seam from the data path, which has held their source against
 * the certificate of the tunnel: so a packet's source names the node (net_nodes.c).
 * What becomes of a packet: net_packet.c. What goes back: net_send.c.
 *
 * A turn: collect the descriptors of all stacks, poll(), read up to READS_TURN
 * messages, let the stacks work. libslirp wants to be asked for its descriptors before
 * each poll(); stacks without sockets and without a packet since a while are left out,
 * and those whose account has had its share, or has to pay first (share.h).
 *
 * Nothing here is believed: the bytes are the nodes', and behind libslirp those of any
 * host. The process holds no key and no file, and isolate.c says what it may do.
 */
#include "servers/exit/net.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "servers/exit/net_impl.h"

#define READS_TURN   64
#define LOOK_EVERY_S 10
#define ACTIVE_NS    UINT64_C(5000000000) /* fragments and timers end in it */
#define SPARE_FDS    64			  /* not for sockets of nodes */
#define SOCKETS_MAX  65536
#define SOCKET_BYTES                                                           \
	(256 * 1024) /* of libslirp, when both of its buffers are full */

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- messages of the seam ----------------------------------------------------------- */

static void control(struct net *n, const struct seam_control *c)
{
	if (c->op == SEAM_ACCOUNT) {
		n->stats->open[c->node % NET_OPEN] =
			(uint16_t)(net_node_account(n, c->vip4, 4, c) +
				   net_node_account(n, c->vip6, 16, c));
	} else if (c->op == SEAM_PATH) {
		net_node_path(n, c->vip4, 4);
		net_node_path(n, c->vip6, 16);
	} else if (c->op == SEAM_FORGET) {
		net_node_forget(n, c->vip4, 4);
		net_node_forget(n, c->vip6, 16);
	} else if (c->op == SEAM_SELF) {
		memcpy(n->vip4, c->vip4, 4);
		memcpy(n->vip6, c->vip6, 16);
		if (!n->has_self && c->slice_len &&
		    !filter_list_add(&n->conf.filter.deny, c->vip4, 4,
				     c->slice_len))
			log_warn("exit", "exit.deny is full");
		n->has_self = true;
	}
}

void net_message(struct net *n, uint8_t *msg, size_t len)
{
	struct virtio_net_hdr vh;
	struct seam_control c;

	if (len == sizeof(c) && msg[0] == SEAM_CONTROL) {
		memcpy(&c, msg, sizeof(c));
		control(n, &c);
	} else if (len > sizeof(vh)) {
		memcpy(&vh, msg, sizeof(vh));
		net_packet(n, &vh, msg + sizeof(vh), len - sizeof(vh));
	} else {
		COUNT(n, malformed);
	}
}

/* --- a turn ------------------------------------------------------------------------------------- */

static int read_seam(struct net *n)
{
	for (int i = 0; i < READS_TURN; i++) {
		ssize_t r = read(n->fd, n->msg, sizeof(n->msg));

		if (r < 0)
			return errno == EAGAIN || errno == EINTR ? 0
								 : -NTM_ECLOSED;
		if (!r)
			return -NTM_ECLOSED;
		net_message(n, n->msg, (size_t)r);
	}
	return 0;
}

static void look(struct net *n)
{
	int err;

	if (n->looked_ns &&
	    n->now_ns - n->looked_ns < LOOK_EVERY_S * UINT64_C(1000000000))
		return;
	n->looked_ns = n->now_ns;
	net_nodes_expire(n);
	if (!n->conf.look)
		return;
	err = filter_look(&n->conf.filter);
	n->knows |= !err;
	if (err && !n->said)
		log_warn("exit", "this machine's addresses and routes: %s; %s",
			 err_text(err),
			 n->knows ? "those of before hold"
				  : "nothing passes before they are known");
	n->said = err;
}

/* The descriptors of a turn; *@first: of the first node's. Return: somebody waits for
 * the others (share.h) */
static bool fill(struct net *n, uint32_t *timeout, size_t *first)
{
	struct node *node, *tmp;
	bool others = false;

	n->polled.n = 0;
	n->polled.full = false;
	polled_add(&n->polled, n->fd, POLLIN);
	echo_fill(n->echo, &n->polled);
	*first = n->polled.n;
	HASH_ITER (hh, n->nodes, node, tmp) {
		node->polled = (stack_sockets(node->stack) ||
				n->now_ns - node->used_ns < ACTIVE_NS) &&
			       share_turn(n->shares, node->share, n->now_ns,
					  timeout, &others);
		if (node->polled)
			stack_fill(node->stack, &n->polled, timeout);
	}
	return others;
}

/* Has any node's socket something to do? */
static bool is_busy(const struct net *n, size_t first)
{
	for (size_t i = first; i < n->polled.n; i++)
		if (n->polled.fds[i].revents)
			return true;
	return false;
}

int net_turn(struct net *n, int limit_ms)
{
	uint32_t timeout = (uint32_t)limit_ms;
	struct node *node, *tmp;
	size_t first;
	bool others;
	int err = 0;

	n->now_ns = clock_ns();
	look(n);
	others = fill(n, &timeout, &first);
	if (!n->polled.n)
		return -NTM_ENOMEM;
	if (others)
		timeout = 0;
	if (poll(n->polled.fds, n->polled.n, (int)timeout) < 0 &&
	    errno != EINTR)
		return -NTM_ESYSTEM;
	n->now_ns = clock_ns();
	if (n->polled.fds[0].revents)
		err = read_seam(n);
	echo_poll(n->echo, &n->polled);
	if (others && !is_busy(n, first))
		shares_round(n->shares);
	HASH_ITER (hh, n->nodes, node, tmp)
		if (node->polled)
			stack_poll(node->stack, &n->polled);
	n->stats->sockets = n->env.all;
	n->stats->unsolicited = n->env.unsolicited;
	return err;
}

/* --- life ---------------------------------------------------------------------------------------- */

/* poll() and libslirp take any number; the process has a limit, and half of the memory
 * must do for all buffers when all are full */
static unsigned int sockets_of_all(void)
{
	const rlim_t spare = SPARE_FDS + ECHO_MAX;
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) *
			  (uint64_t)sysconf(_SC_PAGESIZE) / 2 / SOCKET_BYTES;
	struct rlimit r;

	if (!getrlimit(RLIMIT_NOFILE, &r) && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur < 2 * spare)
		return SPARE_FDS;
	if (memory > SOCKETS_MAX)
		memory = SOCKETS_MAX;
	return memory > r.rlim_cur - spare ? (unsigned int)(r.rlim_cur - spare)
					   : (unsigned int)memory;
}

static uint64_t on_now(void *arg)
{
	struct net *n = arg;

	return n->now_ns;
}

int net_new(const struct net_conf *conf, int fd, struct net_stats *stats,
	    struct net **out)
{
	struct net *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return -NTM_ENOMEM;
	n->conf = *conf;
	n->stats = stats;
	n->fd = fd;
	n->now_ns = clock_ns();
	n->env = (struct stack_env){.deliver = net_deliver,
				    .now_ns = on_now,
				    .sockets_max = conf->sockets,
				    .all_max = sockets_of_all(),
				    .arg = n};
	stats->sockets_max = n->env.all_max;
	err = shares_new(conf->rate, &n->shares);
	if (!err)
		err = fragments_new(&n->fragments);
	if (!err)
		err = echo_new(&n->env, &n->echo);
	if (err) {
		fragments_free(n->fragments);
		shares_free(n->shares);
		free(n);
		return err;
	}
	*out = n;
	return 0;
}

void net_free(struct net *n)
{
	struct node *node, *tmp;

	if (!n)
		return;
	HASH_ITER (hh, n->nodes, node, tmp)
		net_node_free(n, node);
	echo_free(n->echo);
	fragments_free(n->fragments);
	shares_free(n->shares);
	free(n->polled.fds);
	close(n->fd);
	free(n);
}

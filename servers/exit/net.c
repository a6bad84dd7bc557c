/* SPDX-License-Identifier: MIT */
/*
 * net - the exit's process without keys: filters nodes' packets, ends their TCP and UDP
 *
 * Theory of operation
 *
 * Packets come over the seam from the data path, which has held their source against
 * the certificate of the tunnel: so a packet's source names the node. Each packet's
 * destination is asked of the filter (filter.h), its port too; TCP and UDP then go to
 * the node's stack, made with its first packet, echo requests to echo.c, and nothing
 * else anywhere. Parts of a datagram wait in fragments.c until they are one: libslirp
 * would keep any number of them, and ask nobody about ports and sockets. What is refused is answered with "administratively prohibited" from
 * our own virtual address, so that a program hears at once.
 *
 * A turn: collect the descriptors of all stacks, poll(), read up to READS_TURN
 * messages, let the stacks work. libslirp wants to be asked for its descriptors before
 * each poll(); stacks without sockets and without a packet since a while are left out,
 * and those whose account has had its share, or has to pay first (share.h).
 *
 * What libslirp sends to a node leaves at once, as one message. When the seam is full
 * we wait for up to SEND_WAIT_MS: the other process is slow, and this is how TCP feels
 * it; what then does not go is lost, and counted.
 *
 * Nothing here is believed: the bytes are the nodes', and behind libslirp those of any
 * host. The process holds no key and no file, and isolate_net.c says what it may do.
 */
#include "servers/exit/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "broker/datapath/checksum.h"
#include "broker/datapath/icmp.h"
#include "common/log.h"
#include "servers/exit/echo.h"
#include "servers/exit/fragments.h"
#include "servers/exit/recover.h"
#include "servers/exit/seam.h"
#include "servers/exit/share.h"
#include "servers/exit/stack.h"

#define READS_TURN   64
#define SEND_WAIT_MS 200
#define LOOK_EVERY_S 10
#define ACTIVE_NS    UINT64_C(5000000000) /* fragments and timers end in it */
#define REFUSALS_S   1000
#define NODE_MTU_MIN 1280 /* always fits */
#define NODE_MTU_S   600
#define SPARE_FDS    64 /* not for sockets of nodes */
#define SOCKETS_MAX  65536
#define SOCKET_BYTES                                                           \
	(256 * 1024) /* of libslirp, when both of its buffers are full */

#define COUNT(n, field)                                                        \
	atomic_fetch_add_explicit(&(n)->stats->field, 1, memory_order_relaxed)

/* struct node - by one of its two addresses; which belong together nobody tells us, so
 * IPv4 and IPv6 of a node have a stack each */
struct node {
	uint8_t vip[16]; /* widened */
	struct stack *stack;
	struct share *share;
	uint64_t used_ns;
	uint64_t mtu_until;
	uint32_t mtu; /* what the data path said fits; 0: nothing */
	bool polled;
	UT_hash_handle hh;
};

struct net {
	struct net_conf conf;
	struct net_stats *stats;
	int fd;
	struct stack_env env;
	struct echo *echo;
	struct fragments *fragments;
	struct shares *shares;
	uint32_t ident; /* of datagrams that are cut */
	struct node *nodes;
	struct polled polled;
	uint64_t now_ns, looked_ns, refused_ns;
	bool knows; /* this machine's addresses */
	bool said;  /* that they cannot be read */
	unsigned int refused;
	bool has_self;
	uint8_t vip4[4], vip6[16]; /* ours */
	uint8_t msg[sizeof(struct virtio_net_hdr) + SEAM_PACKET_MAX];
};

static struct node *node_find(struct net *n, const void *ip, size_t len)
{
	struct node *node;
	uint8_t vip[16];

	filter_widen(ip, len, vip);
	HASH_FIND(hh, n->nodes, vip, sizeof(vip), node);
	return node;
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- towards the nodes ------------------------------------------------------------------ */

static void send_message(struct net *n, const struct iovec *iov, int count)
{
	struct pollfd p = {.fd = n->fd, .events = POLLOUT};
	ssize_t r;

	do {
		r = writev(n->fd, iov, count);
	} while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EAGAIN && poll(&p, 1, SEND_WAIT_MS) > 0)
		r = writev(n->fd, iov, count);
	if (r < 0)
		COUNT(n, lost);
}

static void send_part(void *arg, const uint8_t *header, size_t header_len,
		      const uint8_t *body, size_t len)
{
	static const struct virtio_net_hdr none;
	const struct iovec iov[3] = {{(void *)&none, sizeof(none)},
				     {(void *)header, header_len},
				     {(void *)body, len}};

	send_message(arg, iov, 3);
}

/* what fits into its tunnel, as far as it has told */
static uint32_t mtu_of(struct net *n, const struct node *node)
{
	return node && node->mtu && n->now_ns < node->mtu_until ? node->mtu
								: n->conf.mtu;
}

/* @node: whose it is; NULL: one that has nothing but this packet */
static void send_packet(struct net *n, struct node *node, uint8_t *pkt,
			size_t len)
{
	struct virtio_net_hdr vh;
	struct inner in;
	const struct iovec iov[2] = {{&vh, sizeof(vh)}, {pkt, len}};
	uint32_t mtu;

	if (len > SEAM_PACKET_MAX || inner_parse(pkt, len, &in))
		return;
	COUNT(n, packets_out);
	atomic_fetch_add_explicit(&n->stats->bytes_out, len,
				  memory_order_relaxed);
	/* TCP is cut by the data path, which knows better */
	if (in.proto != IPPROTO_TCP && in.len > NODE_MTU_MIN) {
		mtu = mtu_of(n, node);
		if (in.len > mtu) {
			fragments_cut(pkt, &in, mtu, n->ident++, send_part, n);
			return;
		}
	}
	seam_super(&in, n->conf.mtu, &vh);
	send_message(n, iov, 2);
}

static void on_deliver(void *arg, uint8_t *pkt, size_t len)
{
	struct net *n = arg;
	struct node *node;

	if (pkt[0] >> 4 == 4)
		node = node_find(n, pkt + 16, 4);
	else
		node = node_find(n, pkt + 24, 16);
	if (node && !share_down(n->shares, node->share, n->now_ns, len))
		COUNT(n, over_rate);
	else
		send_packet(n, node, pkt, len);
}

static uint64_t on_now(void *arg)
{
	struct net *n = arg;

	return n->now_ns;
}

/* From our own address: that of the refused destination may be one that the node's
 * kernel takes from nobody, like 127.0.0.1. */
static void refuse(struct net *n, uint8_t *pkt, const struct inner *in)
{
	uint8_t icmp[ICMP_ERROR_MAX];
	struct inner from = *in;
	size_t len;

	if (n->now_ns - n->refused_ns > UINT64_C(1000000000)) {
		n->refused_ns = n->now_ns;
		n->refused = 0;
	}
	if (!n->has_self || n->refused++ >= REFUSALS_S)
		return;
	if (in->dst[0] >= 224 && in->version == 4)
		return;
	from.dst = in->version == 4 ? n->vip4 : n->vip6;
	len = icmp_prohibited(pkt, &from, icmp);
	if (len)
		send_packet(n, NULL, icmp, len);
}

/* --- nodes -------------------------------------------------------------------------------- */

static void node_free(struct net *n, struct node *node)
{
	HASH_DEL(n->nodes, node);
	stack_free(node->stack);
	share_put(n->shares, node->share);
	free(node);
	n->stats->nodes = HASH_COUNT(n->nodes);
}

static void send_reset(void *arg, uint8_t *pkt, size_t len)
{
	send_packet(arg, NULL, pkt, len);
}

static int node_stack(struct net *n, struct node *node)
{
	static const uint8_t none[16];
	const uint8_t *ip = node->vip;
	bool four = filter_is4(ip);

	return stack_new(&n->env, four ? ip + 12 : none, four ? none : ip,
			 &node->stack);
}

/* Its connections end, and its programs hear so. Without memory it is gone. */
static void node_reset(struct net *n, struct node *node)
{
	stack_reset(node->stack, send_reset, n);
	stack_free(node->stack);
	node->stack = NULL;
	if (!node_stack(n, node)) {
		stack_set_owner(node->stack, share_sockets(node->share));
		return;
	}
	node_free(n, node);
}

static struct node *node_idle(struct net *n)
{
	struct node *node, *tmp, *idle = NULL;

	HASH_ITER (hh, n->nodes, node, tmp)
		if (!stack_sockets(node->stack) &&
		    (!idle || node->used_ns < idle->used_ns))
			idle = node;
	return idle;
}

static struct node *node_get(struct net *n, const struct inner *in)
{
	bool four = in->version == 4;
	struct node *node = node_find(n, in->src, four ? 4 : 16);

	if (node)
		return node;
	if (HASH_COUNT(n->nodes) >= NET_NODES_MAX) {
		node = node_idle(n);
		if (!node)
			return NULL;
		node_free(n, node);
	}
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	filter_widen(in->src, four ? 4 : 16, node->vip);
	node->share = share_get(n->shares, 0);
	if (!node->share || node_stack(n, node)) {
		share_put(n->shares, node->share);
		free(node);
		return NULL;
	}
	stack_set_owner(node->stack, share_sockets(node->share));
	HASH_ADD(hh, n->nodes, vip, sizeof(node->vip), node);
	n->stats->nodes = HASH_COUNT(n->nodes);
	return node;
}

static void node_forget(struct net *n, const void *ip, size_t len)
{
	struct node *node = node_find(n, ip, len);

	if (node)
		node_free(n, node);
	echo_forget(n->echo, ip, len);
}

static void nodes_expire(struct net *n)
{
	struct node *node, *tmp;

	HASH_ITER (hh, n->nodes, node, tmp) {
		uint64_t idle = (n->now_ns - node->used_ns) / 1000000000;

		if (idle > NET_SILENT_S ||
		    (idle > NET_IDLE_S && !stack_sockets(node->stack)))
			node_free(n, node);
	}
}

/* --- packets of nodes -------------------------------------------------------------------------- */

/* Return: 0, -NTM_EPERM (forbidden), -NTM_EDECODE */
static int may_pass(struct net *n, const uint8_t *pkt, const struct inner *in)
{
	uint8_t dst[16];

	if (!in->plain && in->version == 6)
		return -NTM_EDECODE; /* libslirp knows no extension headers */
	filter_widen(in->dst, in->version == 4 ? 4 : 16, dst);
	/* before this machine is known nothing is known to be foreign */
	if ((n->conf.look && !n->knows) ||
	    !filter_address(&n->conf.filter, dst))
		return -NTM_EPERM;
	if (!in->transport)
		return -NTM_EDECODE;
	return filter_port(&n->conf.filter, get16(pkt + in->l4 + 2))
		       ? 0
		       : -NTM_EPERM;
}

/* An open connection heeds no "prohibited". Return: the packet was of one */
static bool end_connection(struct net *n, const uint8_t *pkt,
			   const struct inner *in)
{
	uint8_t reset[RECOVER_ACK];
	size_t len = 0;

	if (in->proto == IPPROTO_TCP && in->transport)
		len = recover_answer(pkt, in, reset);
	if (len)
		send_packet(n, NULL, reset, len);
	return len > 0;
}

/* the node of a packet, which its account may send now. Return: 0, -NTM_ELIMIT,
 * -NTM_EAGAIN: not now, and it is dropped */
static int take(struct net *n, const struct inner *in, struct node **out)
{
	struct node *node = node_get(n, in);

	if (!node)
		return -NTM_ELIMIT;
	node->used_ns = n->now_ns;
	*out = node;
	if (share_is_closed(node->share)) {
		COUNT(n, over_day);
		return -NTM_EDISABLED;
	}
	if (share_up(n->shares, node->share, n->now_ns, in->len))
		return 0;
	COUNT(n, over_rate);
	return -NTM_EAGAIN;
}

static int pass(struct net *n, uint8_t *pkt, const struct inner *in)
{
	struct node *node;

	int err = take(n, in, &node);

	return err ? err : stack_input(node->stack, pkt, in);
}

static bool is_icmp(const struct inner *in)
{
	return in->proto == IPPROTO_ICMP || in->proto == IPPROTO_ICMPV6;
}

/* The data path says that a packet to this node was too large: the next one is cut. A
 * node that says so itself harms itself alone. */
static bool is_too_big(struct net *n, const uint8_t *pkt,
		       const struct inner *in)
{
	const uint8_t *icmp = pkt + in->l4;
	bool four = in->version == 4;
	struct node *node;
	uint32_t mtu;

	if (in->len - in->l4 < 8 || icmp[0] != (four ? 3 : 2) ||
	    icmp[1] != (four ? 4 : 0))
		return false;
	mtu = four ? get16(icmp + 6) : get32(icmp + 4);
	node = node_get(n, in);
	if (node && mtu < n->conf.mtu) {
		node->mtu = mtu < NODE_MTU_MIN ? NODE_MTU_MIN : mtu;
		node->mtu_until = n->now_ns + NODE_MTU_S * UINT64_C(1000000000);
	}
	return true;
}

static int ping(struct net *n, const uint8_t *pkt, const struct inner *in)
{
	struct node *node;
	uint8_t dst[16];
	int err;

	if (is_too_big(n, pkt, in))
		return 0;
	filter_widen(in->dst, in->version == 4 ? 4 : 16, dst);
	if ((n->conf.look && !n->knows) ||
	    !filter_address(&n->conf.filter, dst))
		return -NTM_EPERM;
	err = take(n, in, &node);
	if (err)
		return err;
	err = echo_input(n->echo, pkt, in);
	if (err == -NTM_EPERM)
		COUNT(n, echo_denied);
	return err == -NTM_EINVAL ? -NTM_EDECODE : err;
}

/* A packet, or what a part makes whole, in its place. Return: 0; -NTM_EDECODE;
 * -NTM_EAGAIN: more parts are awaited */
static int parse(struct net *n, uint8_t **pkt, size_t len, struct inner *in)
{
	int r = inner_parse(*pkt, len, in);

	if (r)
		return r;
	COUNT(n, packets_in);
	atomic_fetch_add_explicit(&n->stats->bytes_in, in->len,
				  memory_order_relaxed);
	if (!in->fragment)
		return 0;
	r = fragments_add(n->fragments, n->now_ns, *pkt, in, pkt);
	if (r <= 0)
		return r ? r : -NTM_EAGAIN;
	return inner_parse(*pkt, (size_t)r, in);
}

static void packet(struct net *n, const struct virtio_net_hdr *vh, uint8_t *pkt,
		   size_t len)
{
	struct inner in;
	int err = parse(n, &pkt, len, &in);

	if (!err) {
		seam_complete(vh, pkt, &in);
		if (is_icmp(&in)) {
			err = ping(n, pkt, &in);
		} else {
			err = may_pass(n, pkt, &in);
			if (!err)
				err = pass(n, pkt, &in);
		}
	}
	switch (err) {
	case 0:
	case -NTM_EAGAIN:
		return;
	case -NTM_EPERM:
		COUNT(n, forbidden);
		refuse(n, pkt, &in);
		return;
	case -NTM_ELIMIT:
		COUNT(n, over_limit);
		refuse(n, pkt, &in);
		return;
	case -NTM_EDISABLED:
		if (!end_connection(n, pkt, &in))
			refuse(n, pkt, &in);
		return;
	default:
		COUNT(n, malformed);
	}
}

static void node_path(struct net *n, const void *ip, size_t len)
{
	struct node *node = node_find(n, ip, len);

	if (node)
		stack_path(node->stack);
}

/* Until now it had a share of its own, or is another's. Return: its sockets */
static unsigned int node_account(struct net *n, const void *ip, size_t len,
				 const struct seam_control *c)
{
	struct node *node = node_find(n, ip, len);
	unsigned int sockets;
	struct share *share;

	if (!node)
		return 0;
	if (!share_is_of(node->share, c->account)) {
		share = share_get(n->shares, c->account);
		if (!share)
			return 1; /* told again in a second */
		stack_set_owner(node->stack, share_sockets(share));
		share_put(n->shares, node->share);
		node->share = share;
	}
	share_close(node->share, c->closed);
	sockets = stack_sockets(node->stack);
	if (c->closed && sockets)
		node_reset(n, node);
	return sockets;
}

static void control(struct net *n, const struct seam_control *c)
{
	if (c->op == SEAM_ACCOUNT) {
		n->stats->open[c->node % NET_OPEN] =
			(uint16_t)(node_account(n, c->vip4, 4, c) +
				   node_account(n, c->vip6, 16, c));
	} else if (c->op == SEAM_PATH) {
		node_path(n, c->vip4, 4);
		node_path(n, c->vip6, 16);
	} else if (c->op == SEAM_FORGET) {
		node_forget(n, c->vip4, 4);
		node_forget(n, c->vip6, 16);
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
		packet(n, &vh, msg + sizeof(vh), len - sizeof(vh));
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
	nodes_expire(n);
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
	n->env = (struct stack_env){.deliver = on_deliver,
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
		node_free(n, node);
	echo_free(n->echo);
	fragments_free(n->fragments);
	shares_free(n->shares);
	free(n->polled.fds);
	close(n->fd);
	free(n);
}

/* SPDX-License-Identifier: MIT */
/* fixture - two data paths on one loop: packet sockets for TUNs, UDP on loopback */
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#define BUFFER_WANTED (4 << 20)

static const uint8_t *const vip6[2] = {vip6_a, vip6_b};
static const uint8_t *const vip4[2] = {vip4_a, vip4_b};

static uint64_t clock_mono(void *arg)
{
	return ((struct net *)arg)->now;
}

static int64_t clock_wall(void *arg)
{
	return (int64_t)(((struct net *)arg)->now / 1000000000u);
}

static void on_signal(void *arg, uint8_t *buf, size_t len,
		      const struct addr *from)
{
	(void)buf, (void)len, (void)from;
	((struct node *)arg)->signals++;
}

static bool on_no_tunnel(void *arg, const struct addr *dst)
{
	struct node *n = arg;

	n->asked++;
	n->asked_for = *dst;
	if (n->accept)
		net_tunnel(n->net, (int)(n - n->net->n));
	return n->accept;
}

static void on_control(void *arg, struct dp_tunnel *t, const uint8_t *msg,
		       size_t len, const struct addr *from, size_t wire_len)
{
	struct node *n = arg;

	(void)from;
	assert_int_equal(wire_len, len + PACKET_OVERHEAD);
	assert_true(len <= CONTROL_MAX);
	memcpy(n->control, msg, len);
	n->control_len = len;
	n->controls++;
	if (n->close_in_control)
		dp_tunnel_close(t, false);
}

static void on_unknown(void *arg, uint64_t path_id, const struct addr *from)
{
	(void)path_id, (void)from;
	((struct node *)arg)->unknowns++;
}

static void on_confirmed(void *arg, struct dp_tunnel *t, uint8_t phase,
			 const struct addr *from, size_t wire_len)
{
	struct node *n = arg;

	(void)t, (void)from, (void)wire_len;
	n->confirms++;
	n->confirmed_phase = phase;
}

static void on_moved(void *arg, struct dp_tunnel *t, const struct addr *from,
		     size_t wire_len)
{
	struct node *n = arg;

	(void)t, (void)wire_len;
	n->moves++;
	n->moved_to = *from;
}

static void on_rekey(void *arg, struct dp_tunnel *t)
{
	(void)t;
	((struct node *)arg)->rekeys++;
}

static void on_error(void *arg, struct dp_tunnel *t, int err)
{
	struct node *n = arg;

	(void)t;
	n->errors++;
	n->error = err;
}

static void on_group_wants(void *arg, struct dp_group *g, uint32_t index)
{
	struct node *n = arg;

	(void)g;
	n->wants++;
	n->wanted = index;
}

static void on_group_control(void *arg, struct dp_group *g, uint64_t epoch,
			     uint32_t index, const uint8_t *text, size_t len)
{
	struct node *n = arg;

	(void)g, (void)epoch;
	assert_true(len <= CONTROL_MAX);
	memcpy(n->control, text, len);
	n->control_len = len;
	n->heard++;
	n->heard_of = index;
}

static void on_broken(void *arg)
{
	((struct node *)arg)->broken++;
}

static const struct dp_ops ops = {
	.signal = on_signal,
	.no_tunnel = on_no_tunnel,
	.control = on_control,
	.unknown_path = on_unknown,
	.confirmed = on_confirmed,
	.moved = on_moved,
	.rekey_due = on_rekey,
	.send_error = on_error,
	.group_wants = on_group_wants,
	.group_control = on_group_control,
	.broken = on_broken,
};

static int udp_socket(struct addr *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(at->in4);

	assert_true(fd >= 0);
	assert_int_equal(addr_parse("127.0.0.1:0", 0, at), 0);
	assert_int_equal(bind(fd, &at->sa, addr_len(at)), 0);
	assert_int_equal(getsockname(fd, &at->sa, &len), 0);
	return fd;
}

static void node_up(struct net *net, int i)
{
	struct node *n = &net->n[i];
	int pair[2], size = BUFFER_WANTED;

	n->net = net;
	n->udp = udp_socket(&n->at);
	assert_int_equal(
		socketpair(AF_UNIX,
			   SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			   pair),
		0);
	for (int k = 0; k < 2; k++)
		setsockopt(pair[k], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	n->tun = pair[0];
	n->dp_tun = pair[1];
	assert_int_equal(
		datapath_new(net->loop, n->dp_tun, n->udp, -1, &ops, n, &n->dp),
		0);
	datapath_set_lease(n->dp, vip6[i], vip4[i]);
}

void net_keys(struct net *net, int i, uint8_t phase, bool confirmed)
{
	struct ntmc_key key[2] = {{{1, phase}}, {{2, phase}}};

	assert_int_equal(dp_tunnel_add_keys(net->n[i].t, phase,
					    ntmc_aead_preferred(), &key[i],
					    &key[!i], confirmed),
			 0);
}

void net_tunnel(struct net *net, int i)
{
	struct node *n = &net->n[i];

	assert_int_equal(dp_tunnel_new(n->dp, vip6[!i], vip4[!i], n, &n->t), 0);
	assert_int_equal(
		dp_tunnel_set_path_id(n->t, 0xabcdef0 | (unsigned int)i), 0);
}

void net_up(struct net *net, bool tunnels)
{
	memset(net, 0, sizeof(*net));
	net->now = 1000000000000ull;
	assert_int_equal(loop_new(&net->loop), 0);
	loop_set_clock(net->loop, clock_mono, clock_wall, net);
	for (int i = 0; i < 2; i++)
		node_up(net, i);
	for (int i = 0; tunnels && i < 2; i++) {
		net_tunnel(net, i);
		net_keys(net, i, 1, true);
		dp_tunnel_set_mtu(net->n[i].t, 1452);
		dp_tunnel_open(net->n[i].t, &net->n[!i].at);
	}
}

void net_down(struct net *net)
{
	for (int i = 0; i < 2; i++) {
		datapath_free(net->n[i].dp);
		close(net->n[i].tun);
		close(net->n[i].dp_tun);
		close(net->n[i].udp);
	}
	loop_free(net->loop);
}

void net_settle(struct net *net)
{
	struct dp_totals n[2];
	uint64_t seen = UINT64_MAX, sum = 0;

	/* Loopback delivers inside the send: what moves is seen by a counter
	 * of the same or the next turn. */
	while (seen != sum) {
		seen = sum;
		sum = 0;
		for (int i = 0; i < 3; i++)
			assert_int_equal(loop_turn(net->loop, false), 0);
		for (int i = 0; i < 2; i++) {
			datapath_totals(net->n[i].dp, &n[i]);
			sum += n[i].sum.tx_datagrams + n[i].sum.rx_datagrams;
		}
	}
}

void net_offload(struct net *net, bool gso, bool gro, bool join)
{
	struct dp_offload o = {gso, gro, join, join};

	for (int i = 0; i < 2; i++)
		datapath_set_offload(net->n[i].dp, &o);
}

void net_write(struct net *net, int i, const struct virtio_net_hdr *vh,
	       const uint8_t *pkt, size_t len)
{
	struct iovec iov[2] = {{(void *)vh, sizeof(*vh)}, {(void *)pkt, len}};

	assert_int_equal(writev(net->n[i].tun, iov, 2),
			 (int)(len + sizeof(*vh)));
}

bool net_read(struct net *net, int i, struct virtio_net_hdr *vh, uint8_t *pkt,
	      size_t *len)
{
	struct iovec iov[2] = {{vh, sizeof(*vh)}, {pkt, PACKET_BYTES}};
	ssize_t n = readv(net->n[i].tun, iov, 2);

	if (n < 0) {
		assert_int_equal(errno, EAGAIN);
		return false;
	}
	assert_true(n > (ssize_t)sizeof(*vh));
	*len = (size_t)n - sizeof(*vh);
	return true;
}

size_t net_collect(struct net *net, int i, struct packet_list *list)
{
	static uint8_t pkt[PACKET_BYTES];
	struct virtio_net_hdr vh;
	size_t len, writes = 0;

	for (; net_read(net, i, &vh, pkt, &len); writes++)
		packet_expand(&vh, pkt, len, list);
	return writes;
}

struct spec net_spec(int from, unsigned int version, uint8_t proto,
		     uint32_t payload)
{
	struct spec s = {
		.version = version,
		.proto = proto,
		.src = version == 4 ? vip4[from] : vip6[from],
		.dst = version == 4 ? vip4[!from] : vip6[!from],
		.sport = 1000,
		.dport = 2000,
		.seq = 0xfffff000,
		.ack = 77,
		.window = 500,
		.flags = 0x10,
		.ttl = 64,
		.ip_id = 0xfff0,
		.payload = payload,
		.payload_seed = 5,
		.partial = true,
	};

	return s;
}

void net_send(struct net *net, int i, const struct spec *s)
{
	static uint8_t pkt[PACKET_BYTES];
	struct virtio_net_hdr vh;
	size_t len = packet_build(s, &vh, pkt);

	net_write(net, i, &vh, pkt, len);
}

struct dp_counters net_counters(struct net *net, int i)
{
	struct dp_counters n;

	dp_tunnel_counters(net->n[i].t, &n);
	return n;
}

/* --- of tests whose state is a net --- */

struct packet_list net_got;

static int setup(void **state, bool tunnels)
{
	*state = calloc(1, sizeof(struct net));
	net_up(*state, tunnels);
	return 0;
}

int net_setup(void **state)
{
	return setup(state, true);
}

int net_setup_bare(void **state)
{
	return setup(state, false);
}

int net_teardown(void **state)
{
	packet_list_clear(&net_got);
	net_down(*state);
	free(*state);
	return 0;
}

size_t net_get(struct net *net, int i)
{
	packet_list_clear(&net_got);
	net_settle(net);
	net_collect(net, i, &net_got);
	return net_got.n;
}

/* SPDX-License-Identifier: MIT */
/*
 * group_fanout - one packet to 50 members, by the data path and by plain sendmmsg()
 *
 *   group_fanout SECONDS SIZE
 *
 * The data path of a member gets packets of SIZE bytes of payload at its TUN (a socket
 * stands for it), seals each once and sends it to 50 tunnels. Against it: datagrams of
 * the same size, sendmmsg() with 50 at a time, nothing else. Both go to one socket on
 * loopback, where a thread counts what arrives. They take turns; prints for each the
 * datagrams that arrived a second, and then the ratio.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "broker/datapath/checksum.h"
#include "broker/datapath/group.h"
#include "broker/datapath/tun.h"
#include "common/loop.h"
#include "tests/bench/fanout.h"

#define MORE  52 /* header and tag of a group's datagram */
#define AHEAD 64 /* packets that wait at the TUN */

static struct bench {
	struct loop *loop;
	struct datapath *dp;
	struct dp_group *group;
	struct ntmc_identity id[FANOUT_MEMBERS + 1];
	struct addr sink;
	int udp, tun;
	uint8_t packet[2048];
	size_t len;
} b;

static const uint8_t at6[16] = {0xff, 0x38, 0, 0x40, [15] = 1},
		     at4[4] = {239, 192, 0, 1};

/* --- the group ---------------------------------------------------------------------- */

static void change(struct group *g, struct group_change *c,
		   struct group_secret *s)
{
	static uint8_t entry[GROUP_ENTRY_MAX];
	struct ntmc_key share = {{7}};
	struct group_entry e;
	size_t len;

	c->share = &share;
	if (group_make(NULL, g, &b.id[0], c, entry, &len, NULL) ||
	    group_apply(g, entry, len, NULL) ||
	    group_entry_get(entry, len, &e) ||
	    (c->kind == GROUP_CREATE
		     ? group_secret_first(s, c->id, "bench", &share)
		     : group_secret_step(s, &e, NULL)))
		fanout_die("group_fanout: the group's log");
}

static struct group *log_make(struct group_keys *k)
{
	static const uint8_t id[GROUP_ID_LEN] = {1};
	struct ntmc_key rn2 = {{9}};
	struct group_secret s;
	struct group *g;
	char fqdn[64];
	struct group_joiner j = {.fqdn = fqdn};
	struct group_change create = {.kind = GROUP_CREATE,
				      .id = id,
				      .fqdn = "m0.bench.example.org",
				      .server = "gms.example.org",
				      .policy = &group_policy_default},
			    add = {.kind = GROUP_ADD,
				   .joiners = &j,
				   .n_joiners = 1};

	for (int i = 0; i <= FANOUT_MEMBERS; i++)
		ntmc_identity_new(NULL, &b.id[i]);
	create.server_key = b.id[0].x_pub;
	if (group_new(&g))
		fanout_die("group_fanout: group");
	change(g, &create, &s);
	for (int i = 1; i <= FANOUT_MEMBERS; i++) {
		snprintf(fqdn, sizeof(fqdn), "m%d.bench.example.org", i);
		j.token[0] = (uint8_t)i;
		memcpy(j.ed_pub, b.id[i].ed_pub, sizeof(j.ed_pub));
		change(g, &add, &s);
	}
	if (group_keys_derive(&s, g, &rn2, k))
		fanout_die("group_fanout: keys");
	return g;
}

static void on_signal(void *arg, uint8_t *buf, size_t len,
		      const struct addr *from)
{
	(void)arg, (void)buf, (void)len, (void)from;
}

static bool on_no_tunnel(void *arg, const struct addr *dst)
{
	(void)arg, (void)dst;
	return false;
}

static void on_error(void *arg, struct dp_tunnel *t, int err)
{
	(void)arg, (void)t;
	fprintf(stderr, "group_fanout: send: %s\n", strerror(err));
}

static const struct dp_ops ops = {
	.signal = on_signal, .no_tunnel = on_no_tunnel, .send_error = on_error};

static void tunnels(void)
{
	uint8_t vip6[16] = {0xfd, 0x6e}, vip4[4] = {198, 18};
	struct ntmc_key key = {{1}};
	struct dp_tunnel *t;

	for (int i = 1; i <= FANOUT_MEMBERS; i++) {
		vip6[15] = vip4[3] = (uint8_t)(i + 1);
		if (dp_tunnel_new(b.dp, vip6, vip4, NULL, &t) ||
		    dp_tunnel_set_path_id(t, 0x1000u + 2u * (unsigned int)i) ||
		    dp_tunnel_add_keys(t, 1, ntmc_aead_preferred(), &key, &key,
				       true))
			fanout_die("group_fanout: tunnel");
		dp_tunnel_set_mtu(t, 1472);
		dp_tunnel_open(t, &b.sink);
		dp_group_meet(b.group, (uint32_t)i, vip6, vip4);
	}
}

static void start(void)
{
	uint8_t our6[16] = {0xfd, 0x6e, [15] = 1}, our4[4] = {198, 18, 0, 1};
	int pair[2], big = 8 << 20;
	struct group_keys k;
	struct group *g;
	struct addr from;

	b.sink = *fanout_sink();
	b.udp = fanout_socket(&from);
	if (loop_new(&b.loop) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair))
		fanout_die("group_fanout: start");
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	b.tun = pair[0];
	if (datapath_new(b.loop, pair[1], b.udp, -1, &ops, NULL, &b.dp))
		fanout_die("group_fanout: data path");
	datapath_set_lease(b.dp, our6, our4);
	g = log_make(&k);
	if (dp_group_new(b.dp, NULL, NULL, &b.group) ||
	    dp_group_set_addresses(b.group, at6, at4) ||
	    dp_group_epoch(b.group, &k, g, &b.id[0], 0))
		fanout_die("group_fanout: group");
	dp_group_until(b.group, UINT64_MAX);
	tunnels();
	group_free(g);
}

/* an IPv4 packet with UDP, its checksum left out, as IPv4 allows */
static void packet_make(size_t payload)
{
	uint8_t *p = b.packet;
	uint16_t sum;

	b.len = 28 + payload;
	p[0] = 0x45;
	put16(p + 2, (uint32_t)b.len);
	p[8] = 1;
	p[9] = IPPROTO_UDP;
	memcpy(p + 12, (uint8_t[4]){198, 18, 0, 1}, 4);
	memcpy(p + 16, at4, 4);
	put16(p + 22, 5000);
	put16(p + 24, (uint32_t)(8 + payload));
	sum = (uint16_t)~checksum_fold(checksum_add(0, p, 20));
	memcpy(p + 10, &sum, 2);
}

/* --- the two ------------------------------------------------------------------------- */

static void by_group(void)
{
	struct virtio_net_hdr vh = {0};
	struct iovec iov[2] = {{&vh, sizeof(vh)}, {b.packet, b.len}};

	for (int i = 0; i < AHEAD; i++)
		if (writev(b.tun, iov, 2) < 0)
			break;
	if (loop_turn(b.loop, false))
		fanout_die("group_fanout: turn");
}

static void by_sendmmsg(void)
{
	static uint8_t data[MORE + 2048];

	fanout_plain(b.udp, data, b.len + MORE);
}

int main(int argc, char **argv)
{
	double seconds = argc == 3 ? atof(argv[1]) : 0, plain, group;
	int payload = argc == 3 ? atoi(argv[2]) : 0;

	if (seconds <= 0 || payload < 1 || payload > 1300) {
		fprintf(stderr, "usage: group_fanout SECONDS SIZE\n");
		return 2;
	}
	start();
	packet_make((size_t)payload);
	plain = fanout_rate(by_sendmmsg, seconds);
	group = fanout_rate(by_group, seconds);
	printf("%.0f %.0f %.3f\n", plain, group, group / plain);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * dp_pair - one end of the bare data path: no broker, no handshake, fixed keys
 *
 *   dp_pair a|b LOCAL REMOTE [no-gso] [no-gro] [no-join] [mtu=N] [payload=N] [group]
 *
 * Opens the outer UDP socket where it stands, then makes a network namespace of its
 * own with a TUN (fd6e::a or fd6e::b, 198.18.0.1 or 198.18.0.2) and runs the data
 * path until SIGTERM; then prints its counters. Started on two hosts, it shows what
 * the data path alone can do; tests/bench/datapath.sh measures it. With
 * `group` both are in one, 239.192.0.1: each makes its log anew, and it is the same, as
 * nothing in it is by chance.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "broker/datapath/group.h"
#include "common/loop.h"

#define TUN_NAME "ntm0"

struct pair {
	bool is_b;
	struct loop *loop;
	struct datapath *dp;
	struct dp_tunnel *tunnel;
	struct dp_offload offload;
	unsigned int mtu, payload;
	bool in_group;
	struct dp_group *group;
	struct ntmc_identity id[2];
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* The owner's side of the contract: nothing to decide here. */
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

static void on_control(void *arg, struct dp_tunnel *t, const uint8_t *msg,
		       size_t len, const struct addr *from, size_t wire_len)
{
	(void)arg, (void)t, (void)msg, (void)len, (void)from, (void)wire_len;
}

static void on_unknown(void *arg, uint64_t path_id, const struct addr *from)
{
	(void)arg, (void)path_id, (void)from;
}

static void on_confirmed(void *arg, struct dp_tunnel *t, uint8_t phase,
			 const struct addr *from, size_t wire_len)
{
	(void)arg, (void)t, (void)phase, (void)from, (void)wire_len;
}

static void on_moved(void *arg, struct dp_tunnel *t, const struct addr *from,
		     size_t wire_len)
{
	(void)arg, (void)t, (void)from, (void)wire_len;
}

static void on_rekey(void *arg, struct dp_tunnel *t)
{
	(void)arg, (void)t;
}

static void on_error(void *arg, struct dp_tunnel *t, int err)
{
	(void)arg, (void)t;
	fprintf(stderr, "dp_pair: send: %s\n", strerror(err));
}

static void on_broken(void *arg)
{
	(void)arg;
	fprintf(stderr, "dp_pair: the TUN is broken\n");
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
	.broken = on_broken,
};

static void on_term(void *arg)
{
	struct pair *p = arg;
	struct dp_totals n;

	datapath_totals(p->dp, &n);
	printf("tx packets %lu datagrams %lu, rx packets %lu datagrams %lu, "
	       "dropped %lu auth %lu replay %lu source %lu lease %lu parts %lu "
	       "big %lu malformed %lu tun failed %lu refused %lu fallbacks %lu "
	       "gso %lu gro %lu rcvbuf %u\n",
	       n.sum.tx_packets, n.sum.tx_datagrams, n.sum.rx_packets,
	       n.sum.rx_datagrams, n.sum.queue_dropped, n.sum.bad_auth,
	       n.sum.replayed, n.sum.bad_source, n.sum.bad_lease, n.sum.parts,
	       n.sum.too_big, n.malformed, n.tun_failed, n.tun_refused,
	       n.gso_fallbacks, n.gso_on, n.gro_on, n.rcvbuf);
	fflush(stdout);
	loop_stop(p->loop);
}

static void shell(const char *command)
{
	if (system(command))
		exit(1);
}

static int tun_open(const struct pair *p)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
	unsigned int flags = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 |
			     TUN_F_TSO_ECN | 0x20 | 0x40; /* USO4, USO6 */
	char command[256];
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	strcpy(ifr.ifr_name, TUN_NAME);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
		die("dp_pair: TUN");
	if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)flags) &&
	    ioctl(fd, TUNSETOFFLOAD, (unsigned long)flags & 0x1f))
		die("dp_pair: TUNSETOFFLOAD");
	snprintf(command, sizeof(command),
		 "ip addr add fd6e::%c/64 dev " TUN_NAME " nodad && "
		 "ip addr add 198.18.0.%d/15 dev " TUN_NAME " && "
		 "ip link set " TUN_NAME " mtu %u up && ip link set lo up",
		 p->is_b ? 'b' : 'a', p->is_b ? 2 : 1, p->mtu);
	shell(command);
	return fd;
}

static int udp_open(const struct addr *local)
{
	int fd = socket(local->sa.sa_family,
			SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, &local->sa, addr_len(local)))
		die("dp_pair: UDP");
	return fd;
}

/* --- the group ---------------------------------------------------------------------- */

static void no_chance(void *ctx, void *buf, size_t len)
{
	memset(buf, ++*(uint8_t *)ctx, len);
}

static int64_t no_time(void *ctx)
{
	(void)ctx;
	return 1800000000;
}

static void change(const struct ntmc_env *env, struct pair *p, struct group *g,
		   struct group_change *c, struct group_secret *s)
{
	static uint8_t entry[GROUP_ENTRY_MAX];
	struct ntmc_key share = {{7}};
	struct group_entry e;
	size_t len;

	c->share = &share;
	if (group_make(env, g, &p->id[0], c, entry, &len, NULL) ||
	    group_apply(g, entry, len, NULL) ||
	    group_entry_get(entry, len, &e) ||
	    (c->kind == GROUP_CREATE
		     ? group_secret_first(s, c->id, "bench", &share)
		     : group_secret_step(s, &e, NULL)))
		die("dp_pair: the group's log");
}

static void group_start(struct pair *p, const uint8_t (*vip6)[16],
			const uint8_t (*vip4)[4])
{
	static const uint8_t at6[16] = {0xff, 0x38, 0, 0x40, [15] = 1},
			     at4[4] = {239, 192, 0, 1}, id[GROUP_ID_LEN] = {1};
	uint8_t fill = 0;
	struct ntmc_env env = {no_chance, no_time, &fill};
	struct group_joiner j = {.token = {1}, .fqdn = "b.bench.example.org"};
	struct group_change create = {.kind = GROUP_CREATE,
				      .id = id,
				      .fqdn = "a.bench.example.org",
				      .server = "gms.example.org",
				      .policy = &group_policy_default},
			    add = {.kind = GROUP_ADD,
				   .joiners = &j,
				   .n_joiners = 1};
	struct ntmc_key rn2 = {{9}};
	struct group_secret s;
	struct group_keys k;
	struct group *g;

	ntmc_identity_new(&env, &p->id[0]);
	ntmc_identity_new(&env, &p->id[1]);
	create.server_key = p->id[1].x_pub;
	memcpy(j.ed_pub, p->id[1].ed_pub, sizeof(j.ed_pub));
	if (group_new(&g))
		die("dp_pair: group");
	change(&env, p, g, &create, &s);
	change(&env, p, g, &add, &s);
	if (group_keys_derive(&s, g, &rn2, &k) ||
	    dp_group_new(p->dp, NULL, p, &p->group) ||
	    dp_group_set_addresses(p->group, at6, at4) ||
	    dp_group_epoch(p->group, &k, g, &p->id[p->is_b], p->is_b))
		die("dp_pair: group");
	dp_group_until(p->group, UINT64_MAX);
	dp_group_meet(p->group, !p->is_b, vip6[!p->is_b], vip4[!p->is_b]);
	group_free(g);
	shell("ip route add 239.192.0.0/14 dev " TUN_NAME);
}

static void pair_start(struct pair *p, const struct addr *remote)
{
	uint8_t vip6[2][16] = {{0xfd, 0x6e, [15] = 0xa},
			       {0xfd, 0x6e, [15] = 0xb}};
	uint8_t vip4[2][4] = {{198, 18, 0, 1}, {198, 18, 0, 2}};
	struct ntmc_key key[2] = {{{1}}, {{2}}};
	int us = p->is_b, peer = !p->is_b;

	datapath_set_lease(p->dp, vip6[us], vip4[us]);
	datapath_set_offload(p->dp, &p->offload);
	if (dp_tunnel_new(p->dp, vip6[peer], vip4[peer], p, &p->tunnel) ||
	    dp_tunnel_set_path_id(p->tunnel, 0x1234560 | (unsigned int)us) ||
	    dp_tunnel_add_keys(p->tunnel, 1, ntmc_aead_preferred(), &key[us],
			       &key[peer], true))
		die("dp_pair: tunnel");
	dp_tunnel_set_mtu(p->tunnel, p->payload);
	dp_tunnel_open(p->tunnel, remote);
	if (p->in_group)
		group_start(p, vip6, vip4);
}

static void pair_option(struct pair *p, const char *word)
{
	if (!strcmp(word, "no-gso"))
		p->offload.gso = false;
	else if (!strcmp(word, "no-gro"))
		p->offload.gro = false;
	else if (!strcmp(word, "no-join"))
		p->offload.tcp = p->offload.udp = false;
	else if (!strcmp(word, "group"))
		p->in_group = true;
	else if (!strncmp(word, "mtu=", 4))
		p->mtu = (unsigned int)atoi(word + 4);
	else if (!strncmp(word, "payload=", 8))
		p->payload = (unsigned int)atoi(word + 8);
	else
		exit(2);
}

int main(int argc, char **argv)
{
	struct pair p = {.offload = {true, true, true, true},
			 .mtu = 1416,
			 .payload = 1452};
	struct loop_signal *term;
	struct addr local, remote;
	int udp, tun;

	if (argc < 4 || addr_parse(argv[2], 4500, &local) ||
	    addr_parse(argv[3], 4500, &remote)) {
		fprintf(stderr, "usage: dp_pair a|b LOCAL REMOTE [WORD...]\n");
		return 2;
	}
	p.is_b = argv[1][0] == 'b';
	for (int i = 4; i < argc; i++)
		pair_option(&p, argv[i]);
	udp = udp_open(&local);
	if (unshare(CLONE_NEWNET))
		die("dp_pair: unshare");
	tun = tun_open(&p);
	if (loop_new(&p.loop) ||
	    datapath_new(p.loop, tun, local.sa.sa_family == AF_INET ? udp : -1,
			 local.sa.sa_family == AF_INET6 ? udp : -1, &ops, &p,
			 &p.dp) ||
	    loop_signal_add(p.loop, SIGTERM, on_term, &p, &term))
		die("dp_pair: start");
	pair_start(&p, &remote);
	puts("ready");
	fflush(stdout);
	if (loop_run(p.loop))
		return 1;
	datapath_free(p.dp);
	loop_signal_del(term);
	loop_free(p.loop);
	return 0;
}

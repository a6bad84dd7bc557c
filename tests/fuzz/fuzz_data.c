/* SPDX-License-Identifier: MIT */
/*
 * fuzz_data - outer datagrams into a whole data path, raw and rightly sealed
 *
 * Input: records of u8 op, u8 a, u8 b, u16 length, bytes. op % 8:
 *   0  a datagram as it is
 *   1  content sealed under phase 1 + a % 3, with flags b: what an authenticated but
 *      hostile peer can say
 *   2  a packet of our own kernel: the bytes, with a virtio header in front
 *   3  the owner acts: a % 8 picks hold, open, size, budget, keys, close, time
 *   4  an inner packet sealed for the group by the other member, or a control packet of
 *      it; a: destination and source are put right, b & 1: inside the tunnel
 *   5  the same after sealing: bytes of the datagram are changed
 *   6  a packet of our own kernel, to the group
 *   7  the group: a % 4 picks relayed, not relayed, time to send under it, a control packet
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/datapath/group_move.h"
#include "broker/datapath/group.h"
#include "broker/datapath/input.h"
#include "broker/datapath/output.h"
#include "broker/datapath/tunnel.h"
#include "tests/fuzz/group_keys.h"

#define PHASES 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t our6[16] = {0xfd, 0x6e, [15] = 1},
		     our4[4] = {198, 18, 0, 1};
static const uint8_t peer6[16] = {0xfd, 0x6e, [15] = 2},
		     peer4[4] = {198, 18, 0, 2};

struct fuzz {
	struct loop *loop;
	struct datapath *dp;
	struct dp_tunnel *t; /* NULL while closed */
	struct ntmc_aead *seal[PHASES];
	uint64_t counter, now;
	int tun;
	struct addr from;
	struct fuzz_group members;
	struct dp_group *group;
	struct group_sender *other;
};

static struct fuzz f;

static const uint8_t group6[16] = {0xff, 0x38, 0, 0x40, [15] = 7},
		     group4[4] = {239, 192, 0, 7};

static uint64_t mono(void *arg)
{
	(void)arg;
	return f.now;
}

static int64_t wall(void *arg)
{
	(void)arg;
	return 0;
}

static void on_signal(void *arg, uint8_t *buf, size_t len,
		      const struct addr *from)
{
	(void)arg, (void)from;
	memset(buf, 0, len); /* it may be changed */
}

static bool on_no_tunnel(void *arg, const struct addr *dst)
{
	(void)arg, (void)dst;
	return false;
}

static void on_control(void *arg, struct dp_tunnel *t, const uint8_t *msg,
		       size_t len, const struct addr *from, size_t wire_len)
{
	(void)arg, (void)from, (void)wire_len;
	if (len && msg[0] == 0xfe && f.t) {
		dp_tunnel_close(t, msg[len - 1] & 1);
		f.t = NULL;
	}
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
	(void)arg, (void)wire_len;
	dp_tunnel_open(t, from);
}

static void on_rekey(void *arg, struct dp_tunnel *t)
{
	(void)arg, (void)t;
}

static void on_error(void *arg, struct dp_tunnel *t, int err)
{
	(void)arg, (void)t, (void)err;
}

static void on_broken(void *arg)
{
	(void)arg;
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

static void keys(unsigned int phase)
{
	struct ntmc_key k = {{(uint8_t)phase}};

	if (dp_tunnel_add_keys(f.t, (uint8_t)phase, NTMC_AES_256_GCM, &k, &k,
			       phase == 1))
		abort();
}

static void tunnel_up(void)
{
	if (dp_tunnel_new(f.dp, peer6, peer4, NULL, &f.t) ||
	    dp_tunnel_set_path_id(f.t, 2))
		abort();
	for (unsigned int p = 1; p <= PHASES; p++)
		keys(p);
	dp_tunnel_open(f.t, &f.from);
}

static void start(void)
{
	int null = open("/dev/null", O_WRONLY);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (null < 0 || udp < 0 || loop_new(&f.loop) ||
	    addr_parse("127.0.0.1:9", 0, &f.from))
		abort();
	loop_set_clock(f.loop, mono, wall, NULL);
	/* epoll takes no /dev/null: a pipe stands for the TUN until the loop has
	 * it, then what is written goes nowhere */
	int pair[2];

	if (pipe2(pair, O_NONBLOCK) ||
	    datapath_new(f.loop, pair[0], udp, -1, &ops, NULL, &f.dp) ||
	    dup2(null, pair[0]) < 0)
		abort();
	datapath_set_lease(f.dp, our6, our4);
	for (unsigned int p = 0; p < PHASES; p++) {
		struct ntmc_key k = {{(uint8_t)(p + 1)}};

		if (ntmc_aead_new(NTMC_AES_256_GCM, &k, &f.seal[p]))
			abort();
	}
}

/* we are its founder, the peer is the other one */
static void group_up(void)
{
	struct fuzz_group *m = &f.members;

	fuzz_group_open(m);
	if (dp_group_new(f.dp, &m->env, NULL, &f.group) ||
	    dp_group_set_addresses(f.group, group6, group4) ||
	    dp_group_epoch(f.group, &m->keys, m->g, &m->p[0], 0) ||
	    group_sender_new(&m->env, &m->keys, &m->p[1], 1, GROUP_AUTH_MAC,
			     &f.other))
		abort();
	dp_group_meet(f.group, 1, peer6, peer4);
	dp_group_until(f.group, UINT64_MAX);
}

static void give(uint8_t *datagram, size_t len)
{
	struct udp_read r = {.data = datagram,
			     .len = (uint32_t)len,
			     .seg = (uint32_t)len,
			     .from = f.from};

	f.dp->turn++;
	if (len)
		input_read(f.dp, &r);
	coalesce_flush(f.dp->coalesce);
	batch_flush(f.dp->batch);
}

static void give_sealed(uint8_t a, uint8_t b, const uint8_t *data, size_t len)
{
	struct packet_header h = {.type = PACKET_DATA,
				  .phase = (uint8_t)(1 + a % PHASES),
				  .flags = b,
				  .id = 2,
				  .counter = f.counter++};
	uint8_t *d = malloc(len + PACKET_OVERHEAD);

	if (!d)
		abort();
	packet_header_put(&h, d);
	memcpy(d + PACKET_HEADER_LEN, data, len);
	if (ntmc_aead_seal(f.seal[a % PHASES], h.counter, d, PACKET_HEADER_LEN,
			   d + PACKET_HEADER_LEN, len))
		abort();
	give(d, len + PACKET_OVERHEAD);
	free(d);
}

/* addresses as the group's packets have them, so that the rest is looked at */
static void put_addresses(uint8_t *pkt, size_t len, const uint8_t *src6,
			  const uint8_t *src4)
{
	if (len >= 20 && pkt[0] >> 4 == 4) {
		memcpy(pkt + 12, src4, 4);
		memcpy(pkt + 16, group4, 4);
	} else if (len >= 40 && pkt[0] >> 4 == 6) {
		memcpy(pkt + 8, src6, 16);
		memcpy(pkt + 24, group6, 16);
	}
}

static void give_grouped(uint8_t op, uint8_t a, uint8_t b, const uint8_t *data,
			 size_t len)
{
	uint8_t *d = malloc(len + GROUP_PACKET_MORE);
	unsigned int flags = b & GROUP_PACKET_CONTROL;
	size_t n;

	if (!d)
		abort();
	memcpy(d + GROUP_PACKET_HEADER, data, len);
	if (a)
		put_addresses(d + GROUP_PACKET_HEADER, len, peer6, peer4);
	if (group_sender_seal(f.other, flags, d, len, &n))
		abort();
	if (op == 5) {
		d[a % n] ^= b;
		if (len > 40) /* a salt of its own, and an index */
			memcpy(d + 20, data, 16);
	}
	if (b & 1)
		give_sealed(0, PACKET_INNER, d, n);
	else
		give(d, n);
	free(d);
}

static void group_act(uint8_t a, uint8_t b, const uint8_t *data, size_t len)
{
	switch (a % 4) {
	case 0:
	case 1:
		dp_tunnel_set_relayed(f.t, a % 4 == 0);
		break;
	case 2:
		dp_group_until(f.group, b & 1 ? UINT64_MAX : 0);
		break;
	case 3:
		if (dp_group_control(f.group, data,
				     len < DP_GROUP_TEXT ? len : DP_GROUP_TEXT))
			break; /* not now */
		break;
	}
}

static void give_tun(const uint8_t *data, size_t len, bool many)
{
	struct virtio_net_hdr vh;

	if (len <= sizeof(vh))
		return;
	memcpy(&vh, data, sizeof(vh));
	len -= sizeof(vh);
	memcpy(f.dp->packet, data + sizeof(vh), len);
	if (many)
		put_addresses(f.dp->packet, len, our6, our4);
	output_packet(f.dp, &vh, len);
	group_flush(f.dp);
	batch_flush(f.dp->batch);
}

static void act(uint8_t a, uint8_t b)
{
	switch (a % 8) {
	case 0:
		dp_tunnel_hold(f.t);
		break;
	case 1:
		dp_tunnel_open(f.t, &f.from);
		break;
	case 2:
		dp_tunnel_set_mtu(f.t, b * 40u);
		break;
	case 3:
		dp_tunnel_set_budget(f.t, b == 255 ? UINT64_MAX : b * 20u);
		break;
	case 4:
		keys(1 + b % PHASES);
		break;
	case 5:
		dp_tunnel_close(f.t, b & 1);
		f.t = NULL;
		break;
	case 6:
		f.now += b * 10000000ull;
		break;
	case 7:
		dp_tunnel_drop_old_keys(f.t);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!f.dp) {
		start();
		group_up();
	}
	f.now += 10000000000ull;
	tunnel_up();
	while (size >= 5) {
		uint8_t op = data[0], a = data[1], b = data[2], *copy;
		size_t len = get16(data + 3);

		data += 5;
		size -= 5;
		if (len > size)
			len = size;
		if (!f.t)
			tunnel_up();
		op %= 8;
		if (op == 0) {
			copy = malloc(len + 1);
			if (!copy)
				abort();
			memcpy(copy, data, len);
			give(copy, len);
			free(copy);
		} else if (op == 1 && len < PACKET_DATA_MAX) {
			give_sealed(a, b, data, len);
		} else if (op == 2 || op == 6) {
			give_tun(data, len, op == 6);
		} else if (op == 3) {
			act(a, b);
		} else if ((op == 4 || op == 5) && len < PACKET_DATA_MAX) {
			give_grouped(op, a, b, data, len);
		} else if (op == 7) {
			group_act(a, b, data, len);
		}
		data += len;
		size -= len;
		if (loop_turn(f.loop, false))
			abort();
	}
	if (f.t)
		dp_tunnel_close(f.t, false);
	f.t = NULL;
	if (loop_turn(f.loop, false) || f.dp->dead)
		abort();
	return 0;
}

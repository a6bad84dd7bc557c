/* SPDX-License-Identifier: MIT */
/*
 * datapath - inner packets from the TUN to peers and back, sealed, in batches
 *
 * Theory of operation
 *
 * One thread, three descriptors, all with high priority on the owner's loop.
 *
 *   TUN readable   up to DRAIN_TUN packets: output.c seals each into the batch;
 *                  super-packets leave at once, the others at the end of the drain.
 *   UDP readable   up to DRAIN_UDP reads: input.c opens each datagram in place and
 *                  gives the packets to coalesce.c, which writes super-packets to
 *                  the TUN, at the latest at the end of the drain.
 *   UDP full       reading the TUN stops, so that its queue, and then the programs,
 *                  feel it; it starts again when the socket can be written.
 *   TUN broken     it is read no more, and the owner is told: it ends, since nothing
 *                  mends a TUN whose interface is gone but another one.
 *
 * Turns are bounded so that no descriptor starves another. What the owner must
 * hear about sending (errors, rekey) and closed tunnels wait for the timer
 * ->turn_end, so that no call into the owner happens inside a send.
 *
 * Memory: buffers of about 0.6 MiB are made at start, a tunnel takes 3 KiB and 5
 * a key phase; queues come from a pool whose pages exist while packets wait.
 */
#include "broker/datapath/datapath.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/datapath/group_impl.h"
#include "broker/datapath/group_move.h"
#include "broker/datapath/input.h"
#include "broker/datapath/output.h"
#include "broker/datapath/state.h"
#include "broker/datapath/tunnel.h"
#include "common/log.h"

#define DRAIN_TUN	 64
#define DRAIN_TUN_BYTES	 (512 * 1024)
#define DRAIN_UDP	 64
#define FLUSH_READ_BYTES 16384 /* a read this large is worth a write at once */

bool dp_limit_ok(struct dp_limit *l, uint64_t now, unsigned int max)
{
	if (now - l->since >= LOOP_S(1)) {
		l->since = now;
		l->used = 0;
	}
	return l->used++ < max;
}

void dp_defer(struct datapath *dp)
{
	if (!loop_timer_armed(dp->turn_end))
		loop_timer_arm(dp->turn_end, 0);
}

static void on_turn_end(void *arg)
{
	struct datapath *dp = arg;
	struct dp_tunnel *t;
	unsigned int events;

	while (dp->events) {
		t = dp->events;
		dp->events = t->next_event;
		events = t->events;
		t->events = 0;
		if (events & DP_EVENT_REKEY)
			dp->ops->rekey_due(dp->arg, t);
		if (events & DP_EVENT_ERROR && t->state != DP_DEAD)
			dp->ops->send_error(dp->arg, t, t->error);
	}
	tunnel_free_dead(dp);
}

/* --- descriptors --------------------------------------------------------------------- */

static void on_tun(void *arg, int fd, unsigned int events)
{
	struct datapath *dp = arg;
	struct virtio_net_hdr vh;
	size_t bytes = 0;
	long len;

	(void)fd;
	(void)events;
	for (unsigned int i = 0; i < DRAIN_TUN && bytes < DRAIN_TUN_BYTES;
	     i++) {
		if (batch_blocked(dp->batch))
			break;
		len = tun_read(&dp->tun, &vh, dp->packet);
		if (len < 0) {
			log_err("datapath", "the TUN is broken: %s",
				strerror(errno));
			dp->tun.broken = true;
			loop_io_set(dp->io_tun, 0);
			dp->ops->broken(dp->arg);
		}
		if (len <= 0)
			break;
		output_packet(dp, &vh, (size_t)len);
		bytes += (size_t)len;
	}
	group_flush(dp);
	batch_flush(dp->batch);
}

static struct loop_io *udp_io(struct datapath *dp, int fd)
{
	return fd == dp->udp4 ? dp->io_udp4 : dp->io_udp6;
}

static void on_blocked(void *arg, int fd)
{
	struct datapath *dp = arg;

	loop_io_set(udp_io(dp, fd), LOOP_READ | LOOP_WRITE);
	loop_io_set(dp->io_tun, 0);
}

static void on_writable(struct datapath *dp, int fd)
{
	loop_io_set(udp_io(dp, fd), LOOP_READ);
	batch_flush(dp->batch);
	output_resume_all(dp);
	if (!batch_blocked(dp->batch) && !dp->tun.broken)
		loop_io_set(dp->io_tun, LOOP_READ);
}

static void on_udp(void *arg, int fd, unsigned int events)
{
	struct datapath *dp = arg;
	struct udp_read r;

	dp->turn++;
	if (events & LOOP_WRITE)
		on_writable(dp, fd);
	for (unsigned int i = 0; i < DRAIN_UDP; i++) {
		if (!udp_room(dp->rx)) {
			coalesce_flush(dp->coalesce);
			udp_rewind(dp->rx);
		}
		if (!udp_read(dp->rx, fd, &r))
			break;
		input_read(dp, &r);
		if (r.len >= FLUSH_READ_BYTES) {
			coalesce_flush(dp->coalesce);
			udp_rewind(dp->rx);
		}
	}
	coalesce_flush(dp->coalesce);
	udp_rewind(dp->rx);
	batch_flush(dp->batch);
}

/* --- life -------------------------------------------------------------------------------- */

static const struct batch_ops batch_handlers = {.blocked = on_blocked,
						.failed = output_failed};

static int make_parts(struct datapath *dp)
{
	int ret;

	dp->packet = malloc(TUN_PACKET_MAX);
	if (!dp->packet)
		return -NTM_ENOMEM;
	ret = batch_new(dp->udp4, dp->udp6, &batch_handlers, dp, &dp->batch);
	if (ret == 0)
		ret = coalesce_new(&dp->tun, &dp->coalesce);
	if (ret == 0)
		ret = parts_new(&dp->parts);
	if (ret == 0)
		ret = queue_pool_new(&dp->pool);
	if (ret == 0)
		ret = udp_buffer_new(&dp->rx);
	if (ret == 0)
		ret = loop_timer_new(dp->loop, on_turn_end, dp, &dp->turn_end);
	return ret;
}

static int add_socket(struct datapath *dp, int fd, struct loop_io **io)
{
	uint32_t granted;

	if (fd < 0)
		return 0;
	granted = udp_setup(fd);
	udp_set_gro(fd, dp->gro_works);
	if (!dp->totals.rcvbuf || granted < dp->totals.rcvbuf)
		dp->totals.rcvbuf = granted;
	return loop_io_add(dp->loop, fd, LOOP_READ, true, on_udp, dp, io);
}

static int add_descriptors(struct datapath *dp)
{
	int ret = add_socket(dp, dp->udp4, &dp->io_udp4);

	if (ret == 0)
		ret = add_socket(dp, dp->udp6, &dp->io_udp6);
	if (ret == 0)
		ret = loop_io_add(dp->loop, dp->tun.fd, LOOP_READ, true, on_tun,
				  dp, &dp->io_tun);
	return ret;
}

int datapath_new(struct loop *l, int tun, int udp4, int udp6,
		 const struct dp_ops *ops, void *arg, struct datapath **out)
{
	struct datapath *dp = calloc(1, sizeof(*dp));
	int ret;

	if (!dp)
		return -NTM_ENOMEM;
	dp->loop = l;
	dp->ops = ops;
	dp->arg = arg;
	dp->udp4 = udp4;
	dp->udp6 = udp6;
	dp->turn = 1;
	tun_init(&dp->tun, tun);
	udp_test(&dp->gso_works, &dp->gro_works);
	ret = make_parts(dp);
	if (ret == 0) {
		batch_set_gso(dp->batch, dp->gso_works);
		ret = add_descriptors(dp);
	}
	if (ret) {
		datapath_free(dp);
		return ret;
	}
	if (!dp->gso_works || !dp->gro_works)
		log_warn("datapath",
			 "this kernel fails the UDP offload test (GSO %s, GRO "
			 "%s): slower",
			 dp->gso_works ? "on" : "off",
			 dp->gro_works ? "on" : "off");
	*out = dp;
	return 0;
}

void datapath_free(struct datapath *dp)
{
	if (!dp)
		return;
	group_free_all(dp);
	if (dp->batch)
		tunnel_free_all(dp);
	loop_io_del(dp->io_tun);
	loop_io_del(dp->io_udp4);
	loop_io_del(dp->io_udp6);
	if (dp->turn_end)
		loop_timer_free(dp->turn_end);
	udp_buffer_free(dp->rx);
	queue_pool_free(dp->pool);
	parts_free(dp->parts);
	coalesce_free(dp->coalesce);
	batch_free(dp->batch);
	free(dp->packet);
	free(dp);
}

void datapath_set_lease(struct datapath *dp, const uint8_t vip6[static 16],
			const uint8_t vip4[static 4])
{
	memcpy(dp->vip6, vip6, 16);
	memcpy(dp->vip4, vip4, 4);
}

void datapath_set_virtual(struct datapath *dp, const struct dp_range *r,
			  size_t n)
{
	if (n > GENERAL_RANGES_MAX)
		n = GENERAL_RANGES_MAX;
	if (n)
		memcpy(dp->general.ranges, r, n * sizeof(*r));
	dp->general.n = n;
}

void datapath_set_exit(struct datapath *dp, struct dp_tunnel *t)
{
	dp->general.exit = t;
}

void datapath_serve_exit(struct datapath *dp)
{
	dp->general.serves = true;
}

void datapath_refuse(struct datapath *dp, bool say)
{
	dp->mute = !say;
}

void datapath_set_offload(struct datapath *dp, const struct dp_offload *o)
{
	batch_set_gso(dp->batch, o->gso && dp->gso_works);
	dp->gro_works = o->gro;
	if (dp->udp4 >= 0)
		udp_set_gro(dp->udp4, o->gro);
	if (dp->udp6 >= 0)
		udp_set_gro(dp->udp6, o->gro);
	coalesce_set(dp->coalesce, o->tcp, o->udp);
}

void datapath_set_carrier(struct datapath *dp, const struct dp_carrier *carrier,
			  void *arg)
{
	dp->carrier = carrier;
	dp->carrier_arg = arg;
	batch_set_carrier(dp->batch, carrier, arg);
}

/* Each stays where it lies: what coalesce.c holds of it is written before that goes. */
void datapath_carried(struct datapath *dp, uint8_t *data, size_t len,
		      const struct addr *from)
{
	struct udp_read r = {.data = data,
			     .len = (uint32_t)len,
			     .seg = (uint32_t)len,
			     .from = *from};

	input_read(dp, &r);
}

void datapath_carried_end(struct datapath *dp)
{
	dp->turn++;
	coalesce_flush(dp->coalesce);
	batch_flush(dp->batch);
}

int datapath_send(struct datapath *dp, const uint8_t *buf, size_t len,
		  const struct addr *to)
{
	if (!dp->carrier || !dp->carrier->takes(dp->carrier_arg, to))
		return datapath_send_udp(dp, buf, len, to);
	dp->carrier->send(dp->carrier_arg, to, buf, len, len);
	return 0;
}

int datapath_send_udp(struct datapath *dp, const uint8_t *buf, size_t len,
		      const struct addr *to)
{
	int fd = to->sa.sa_family == AF_INET ? dp->udp4 : dp->udp6;
	ssize_t n;

	if (fd < 0) {
		errno = EAFNOSUPPORT;
		return -NTM_ESYSTEM;
	}
	do {
		n = sendto(fd, buf, len, MSG_DONTWAIT, &to->sa, addr_len(to));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -NTM_ESYSTEM : 0;
}

void datapath_totals(const struct datapath *dp, struct dp_totals *out)
{
	struct dp_tunnel *t;

	*out = dp->totals;
	for (t = dp->by_vip6; t; t = t->hh_vip6.next)
		tunnel_add_counters(&out->sum, &t->n);
	for (t = dp->by_vip4; t; t = t->hh_vip4.next) {
		if (!t->has_vip6)
			tunnel_add_counters(&out->sum, &t->n);
	}
	out->gso_fallbacks = batch_fallbacks(dp->batch);
	out->gso_on = batch_gso(dp->batch);
	out->gro_on = dp->gro_works;
	out->tun_failed = dp->tun.failed;
	out->tun_refused = dp->tun.refused;
	out->unknown_group = dp->groups ? dp->groups->unknown : 0;
}

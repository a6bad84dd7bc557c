/* SPDX-License-Identifier: MIT */
/*
 * lane - one direction of a wire: frames wait, are lost, held back, and go on
 *
 * Theory of operation
 *
 * Data. A direction is a "lane": it reads one TAP and writes the other. A frame
 * is read straight into the lane's byte ring and described by a record (when it
 * is due, where it lies). A lane is first in, first out: jitter never makes a
 * frame overtake another. A frame chosen by --reorder is copied to one of a few
 * "late" slots and waits there longer, so that its successors overtake it.
 *
 * Chance. Each lane owns a generator seeded from --seed and its direction.
 * Every frame takes the same three draws whatever is switched on, so one
 * setting does not disturb another. ARP and IPv6 neighbour discovery take no
 * draw and are never lost, delayed out of order or refused: their timing is the
 * kernel's and would make a seeded run differ from the next.
 *
 * Limits. RING_MIB bytes and RECORDS frames in flight per lane; beyond that new
 * frames are dropped and counted as `queue`. With a rate, frames that would
 * wait longer than rate-queue-ms for their turn are dropped and counted as
 * `rate`.
 */
#include "tests/lab/lane.h"

#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define VNET_LEN   sizeof(struct virtio_net_hdr)
#define ETH_LEN	   14
#define FRAME_MAX  (VNET_LEN + ETH_LEN + 4 + 65535 + 64)
#define RING_MIB   64	 /* bytes in flight, per lane */
#define RECORDS	   65536 /* frames in flight, per lane; a power of two */
#define LATE_SLOTS 64	 /* frames held back by --reorder */
#define BATCH	   64	 /* frames read from one TAP before the other's turn */

struct record {
	uint64_t due;
	uint32_t off, len;
};

struct late {
	uint64_t due; /* 0: free */
	uint32_t len;
	uint8_t bytes[FRAME_MAX];
};

uint64_t lane_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* splitmix64: a full-period sequence from any seed; returns [0, 1). */
static double lane_draw(struct lane *lane)
{
	uint64_t z = lane->prng += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	z ^= z >> 31;
	return (double)(z >> 11) / 9007199254740992.0;
}

/* --- what a frame is --------------------------------------------------- */

/* ARP, or ICMPv6 130..137 and 143 (multicast listeners, neighbours). */
static bool frame_is_neighbour(const uint8_t *eth, size_t len)
{
	unsigned int type = len >= ETH_LEN ? eth[12] << 8 | eth[13] : 0;
	const uint8_t *ip = eth + ETH_LEN;

	if (type == 0x0806)
		return true;
	if (type != 0x86dd || len < ETH_LEN + 49)
		return false;
	if (ip[6] == 0) /* hop-by-hop options: MLD has them, 8 bytes long */
		return ip[40] == 58 && ip[48] >= 130 && ip[48] <= 143;
	return ip[6] == 58 && ip[40] >= 130 && ip[40] <= 137;
}

/* Size of the IP packets this frame is, or will be cut into. */
static size_t frame_packet_size(const uint8_t *frame, size_t len)
{
	const struct virtio_net_hdr *vh = (const void *)frame;
	unsigned int type = vh->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	const uint8_t *eth = frame + VNET_LEN;
	size_t start = vh->csum_start, l4 = 8;

	len -= VNET_LEN;
	if (type == VIRTIO_NET_HDR_GSO_NONE)
		return len > ETH_LEN ? len - ETH_LEN : 0;
	if ((type == VIRTIO_NET_HDR_GSO_TCPV4 ||
	     type == VIRTIO_NET_HDR_GSO_TCPV6) &&
	    start + 13 <= len)
		l4 = (eth[start + 12] >> 4) * 4;
	return start - ETH_LEN + l4 + vh->gso_size;
}

/* --- frames in, frames out ---------------------------------------------------------- */

void lane_seed(struct lane *lane, uint64_t seed)
{
	lane->prng = seed * 2 + (lane->name[0] == 'b');
}

bool lane_init(struct lane *lane, const char *name, uint64_t seed)
{
	lane->name = name;
	lane_seed(lane, seed);
	/* Never touched memory costs nothing; a calm lane stays at its start */
	lane->ring = mmap(NULL, (size_t)RING_MIB << 20, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	lane->records = calloc(RECORDS, sizeof(*lane->records));
	lane->late = calloc(LATE_SLOTS, sizeof(*lane->late));
	return lane->ring != MAP_FAILED && lane->records && lane->late;
}

/* Room for one frame at ->head, or NULL when the lane is full. */
static uint8_t *lane_room(struct lane *lane)
{
	const uint32_t size = (uint32_t)RING_MIB << 20;
	uint32_t tail;

	if (lane->first == lane->last)
		lane->head = 0;
	if (lane->first == lane->last)
		return lane->ring;
	if (lane->last - lane->first == RECORDS)
		return NULL;
	tail = lane->records[lane->first % RECORDS].off;
	if (lane->head > tail) {
		if (size - lane->head >= FRAME_MAX)
			return lane->ring + lane->head;
		lane->head = 0;
	}
	return tail - lane->head > FRAME_MAX ? lane->ring + lane->head : NULL;
}

static void lane_deliver(struct lane *lane, const uint8_t *frame, size_t len)
{
	if (write(lane->out, frame, len) < 0) {
		lane->count.failed++;
		return;
	}
	lane->count.frames++;
	lane->count.bytes += len - VNET_LEN;
}

/* Keep a frame back in a late slot; false when all are taken. */
static bool lane_hold(struct lane *lane, const uint8_t *frame, size_t len,
		      uint64_t due)
{
	for (int i = 0; i < LATE_SLOTS; i++) {
		if (lane->late[i].due)
			continue;
		lane->late[i].due = due;
		lane->late[i].len = len;
		memcpy(lane->late[i].bytes, frame, len);
		lane->late_used++;
		lane->count.late++;
		return true;
	}
	return false;
}

/* Decide the fate of a frame just read to @frame, which is at ->head. */
static void lane_take(struct lane *lane, uint8_t *frame, size_t len,
		      uint64_t now)
{
	const struct params *p = &lane->params;
	double lose, swap, jitter;
	uint64_t due = now;

	if (p->down) {
		lane->count.down++;
		return;
	}
	if (frame_is_neighbour(frame + VNET_LEN, len - VNET_LEN)) {
		lane_deliver(lane, frame, len);
		return;
	}
	lose = lane_draw(lane);
	swap = lane_draw(lane);
	jitter = lane_draw(lane);
	if (lose < p->loss) {
		lane->count.lost++;
		return;
	}
	if (p->drop_above && frame_packet_size(frame, len) > p->drop_above) {
		lane->count.large++;
		return;
	}
	if (p->rate_bps > 0) {
		if (lane->next_free < now)
			lane->next_free = now;
		if (lane->next_free - now > p->rate_queue_ns) {
			lane->count.rate++;
			return;
		}
		lane->next_free +=
			(len - VNET_LEN) * 8.0 * NS_PER_S / p->rate_bps;
		due = lane->next_free;
	}
	due += p->delay_ns + (uint64_t)(jitter * p->jitter_ns);
	if (swap < p->reorder &&
	    lane_hold(lane, frame, len, due + p->reorder_ns))
		return;
	if (due < lane->last_due)
		due = lane->last_due;
	lane->last_due = due;
	lane->records[lane->last++ % RECORDS] = (struct record){
		.due = due,
		.off = frame - lane->ring,
		.len = len,
	};
	lane->head = (frame - lane->ring) + ((len + 63) & ~63u);
}

void lane_read(struct lane *lane)
{
	static uint8_t scratch[FRAME_MAX];
	uint64_t now = lane_now_ns();

	for (int i = 0; i < BATCH; i++) {
		uint8_t *room = lane_room(lane);
		ssize_t len = read(lane->in, room ? room : scratch, FRAME_MAX);

		if (len < (ssize_t)VNET_LEN)
			return;
		if (room)
			lane_take(lane, room, len, now);
		else
			lane->count.queue++;
	}
}

/* Deliver what is due; returns when the next frame is, UINT64_MAX if none. */
uint64_t lane_drain(struct lane *lane)
{
	uint64_t now = lane_now_ns(), next = UINT64_MAX;

	for (int i = 0; lane->late_used && i < LATE_SLOTS; i++) {
		struct late *late = &lane->late[i];

		if (late->due && late->due <= now) {
			lane_deliver(lane, late->bytes, late->len);
			late->due = 0;
			lane->late_used--;
		} else if (late->due && late->due < next) {
			next = late->due;
		}
	}
	/* No longer than a batch: the other lane and the TAPs wait meanwhile */
	for (int i = 0; lane->first != lane->last; i++) {
		struct record *r = &lane->records[lane->first % RECORDS];

		if (r->due > now || i == BATCH)
			return r->due < next ? r->due : next;
		lane_deliver(lane, lane->ring + r->off, r->len);
		lane->first++;
	}
	return next;
}

/* A cut cable loses what is on it. */
void lane_flush(struct lane *lane)
{
	lane->count.down += lane->last - lane->first + lane->late_used;
	lane->first = lane->last;
	lane->late_used = 0;
	for (int i = 0; i < LATE_SLOTS; i++)
		lane->late[i].due = 0;
}

int lane_print(const struct lane *lane, char *out, size_t size)
{
	const struct counters *c = &lane->count;

	return snprintf(out, size,
			"%s frames=%lu bytes=%lu lost=%lu large=%lu late=%lu "
			"queue=%lu rate=%lu down=%lu failed=%lu held=%u\n",
			lane->name, c->frames, c->bytes, c->lost, c->large,
			c->late, c->queue, c->rate, c->down, c->failed,
			lane->last - lane->first + lane->late_used);
}

/* SPDX-License-Identifier: MIT */
/*
 * fuzz_relay - any bytes where a node reads what relays, and peers behind them, send
 *
 * Two nodes behind NATs, and a relay between (tests/unit/broker/control). The first
 * byte picks the place: any datagram; an answer to a punch, sealed correctly around
 * any body; an answer to the probe under way; a control message that came through
 * the relay; a direction of the DC.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/relay.h"
#include "common/log.h"
#include "tests/unit/broker/control/fake_datapath.h"

#define INPUTS_PER_WORLD 500

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world world;
static struct node *const a = &world.nodes[0], *const b = &world.nodes[1];
static struct addr relay;
static unsigned int left;
static uint64_t counter;

static void on_resolved(void *arg, int err, struct peer *p)
{
	(void)arg, (void)err, (void)p;
}

static void renew(void)
{
	struct resolve_wait *wait;

	if (left-- && a->running && a->w.account->logged_in)
		return;
	if (world.loop)
		world_down(&world);
	world_up(&world, 1, 2);
	world.in_order = true;
	rs_add(&world);
	nat_set(a, "203.0.113.1", NAT_PORT, NAT_PORT);
	nat_set(b, "203.0.113.2", NAT_PORT, NAT_PORT);
	node_move(a, "10.0.1.2", NULL);
	node_start(a);
	node_login(a, "laptop.alice." WORLD_DOMAIN);
	node_move(b, "10.0.2.2", NULL);
	node_start(b);
	node_login(b, "desk.alice." WORLD_DOMAIN);
	world_run(&world, 300);
	resolve_name(a->w.resolve, b->fqdn, on_resolved, NULL, &wait);
	world_run(&world, 300);
	if (addr_parse("192.0.2.10:4600", 0, &relay) || !node_peer(a, b) ||
	    !punch_owns(node_peer(a, b), &relay))
		abort();
	left = INPUTS_PER_WORLD;
	counter = (uint64_t)1 << 62;
}

static void sealed(uint8_t type, uint64_t id, const struct ntmc_key *key,
		   enum ntmc_aead_alg aead, const uint8_t *data, size_t size)
{
	struct packet_header h = {.type = type, .id = id, .counter = counter++};
	uint8_t buf[PACKET_SIGNAL_MAX];

	if (size > sizeof(buf) - PACKET_OVERHEAD)
		return;
	packet_header_put(&h, buf);
	memcpy(buf + PACKET_HEADER_LEN, data, size);
	if (ntmc_seal_once(aead, key, h.counter, buf, PACKET_HEADER_LEN,
			   buf + PACKET_HEADER_LEN, size))
		abort();
	fake_input(a->w.dp, buf, size + PACKET_OVERHEAD, &relay);
}

static void raw(const uint8_t *data, size_t size)
{
	uint8_t buf[PACKET_DATA_MAX];

	if (size > sizeof(buf))
		return;
	memcpy(buf, data, size);
	fake_input(a->w.dp, buf, size, &relay);
}

static void punch_ack(const uint8_t *data, size_t size)
{
	struct peer *p = node_peer(a, b);
	struct punch *u = p ? &p->punches.list[0] : NULL;

	if (!u || !u->path_id)
		return;
	/* so that whatever number the answer names is one of ours */
	u->sent_ms = UINT64_MAX;
	sealed(PACKET_HOLE_PUNCH_ACK, u->path_id, &u->keys.down, u->aead, data,
	       size);
}

static void probe_ack(const uint8_t *data, size_t size)
{
	struct packet_header h = {.type = PACKET_RELAY_PROBE_ACK};
	uint8_t buf[PACKET_PROBE_LEN * 2] = {0};
	const struct relay *r;

	if (!relays_count(a->w.relays) ||
	    size > sizeof(buf) - PACKET_HEADER_LEN)
		return;
	r = relays_at(a->w.relays, 0);
	h.id = r->id;
	h.counter = r->addrs[0].counter;
	h.flags = size ? data[0] & PACKET_OTHER_PORT : 0;
	packet_header_put(&h, buf);
	memcpy(buf + PACKET_HEADER_LEN, data, size);
	fake_input(a->w.dp, buf, PACKET_HEADER_LEN + size, &relay);
}

static void from_dc(const uint8_t *data, size_t size)
{
	const struct account *acc = a->w.account;
	struct datagram_keys keys;

	if (datagram_keys_derive(&acc->secrets->kntmdc, acc->node_id,
				 ntmc_aead_preferred(), &keys))
		abort();
	sealed(PACKET_SIGNAL, acc->node_id, &keys.down, keys.aead, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct peer *p;

	log_set_level(LOG_ERR);
	if (!size)
		return 0;
	renew();
	data++;
	size--;
	switch (data[-1] % 5) {
	case 0:
		raw(data, size);
		break;
	case 1:
		punch_ack(data, size);
		break;
	case 2:
		probe_ack(data, size);
		break;
	case 3:
		p = node_peer(a, b);
		if (p && p->tunnel)
			peer_control(p, data, size, &relay, size + 36);
		break;
	default:
		from_dc(data, size);
		break;
	}
	world_run(&world, 2);
	return 0;
}

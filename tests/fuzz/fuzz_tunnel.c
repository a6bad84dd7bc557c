/* SPDX-License-Identifier: MIT */
/*
 * fuzz_tunnel - any bytes where a worker reads foreign ones, behind the seal too
 *
 * Two nodes with a tunnel (tests/unit/broker/control). The first byte picks the
 * place: a datagram as it comes; sealed correctly, by the DC or the peer, around any
 * body; a control message inside the tunnel; what the keeper kept; a state file; a
 * line of the policy. Whoever holds the keys may still be broken or evil.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/statefile.h"
#include "common/file.h"
#include "common/log.h"
#include "tests/unit/broker/control/fake_datapath.h"

#define INPUTS_PER_WORLD 500

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world world;
static struct node *const a = &world.nodes[0], *const b = &world.nodes[1];
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
	node_move(a, "10.0.1.2", "2001:db8:1::2");
	node_start(a);
	node_login(a, "laptop.alice." WORLD_DOMAIN);
	node_move(b, "10.0.2.2", "2001:db8:2::2");
	node_start(b);
	node_login(b, "desk.alice." WORLD_DOMAIN);
	world_run(&world, 200);
	resolve_name(a->w.resolve, b->fqdn, on_resolved, NULL, &wait);
	world_run(&world, 200);
	left = INPUTS_PER_WORLD;
	counter = (uint64_t)1 << 62;
}

static void sealed(uint8_t type, uint8_t flags, uint64_t id,
		   const struct ntmc_key *key, enum ntmc_aead_alg aead,
		   const uint8_t *data, size_t size)
{
	struct packet_header h = {
		.type = type, .flags = flags, .id = id, .counter = counter++};
	uint8_t buf[PACKET_SIGNAL_MAX];

	if (size > sizeof(buf) - PACKET_OVERHEAD)
		return;
	packet_header_put(&h, buf);
	memcpy(buf + PACKET_HEADER_LEN, data, size);
	if (ntmc_seal_once(aead, key, h.counter, buf, PACKET_HEADER_LEN,
			   buf + PACKET_HEADER_LEN, size))
		abort();
	fake_input(a->w.dp, buf, size + PACKET_OVERHEAD, &b->addrs[0]);
}

static void from_dc(const uint8_t *data, size_t size)
{
	const struct account *acc = a->w.account;
	struct datagram_keys keys;

	if (datagram_keys_derive(&acc->secrets->kntmdc, acc->node_id,
				 ntmc_aead_preferred(), &keys))
		abort();
	sealed(PACKET_SIGNAL, 0, acc->node_id, &keys.down, keys.aead, data,
	       size);
}

static void from_peer(const uint8_t *data, size_t size, bool request)
{
	struct peer *p = node_peer(a, b);
	struct datagram_keys keys;

	if (!p || !p->has_secret)
		return;
	if (!request && shake_start(p, SHAKE_RESUME, NULL))
		return;
	if (datagram_tunnel_keys(&p->secret, p->path_id, true, p->aead, &keys))
		abort();
	sealed(request ? PACKET_TUNNEL_REQUEST : PACKET_TUNNEL_RESPONSE,
	       PACKET_RESUME, p->path_id, request ? &keys.up : &keys.down,
	       p->aead, data, size);
}

static void raw(const uint8_t *data, size_t size)
{
	uint8_t buf[PACKET_DATA_MAX];

	if (size > sizeof(buf))
		return;
	memcpy(buf, data, size);
	fake_input(a->w.dp, buf, size, &b->addrs[0]);
}

static void kept(const uint8_t *data, size_t size)
{
	if (size > KEEPER_BLOB_MAX)
		return;
	node_kill(a);
	if (keeper_blob_put(&a->keeper, "peer.fuzz", data, size))
		abort();
	node_start(a);
	if (keeper_blob_del(&a->keeper, "peer.fuzz"))
		return; /* its peer replaced it */
}

static void state_file(const uint8_t *data, size_t size)
{
	char dir[80], path[100];
	struct pins *pins;

	snprintf(dir, sizeof(dir), "%s.fuzz", a->state);
	snprintf(path, sizeof(path), "%s/known", dir);
	if (file_make_folder(dir, 0700) || file_write(path, data, size, 0600))
		abort();
	if (!pins_open(world.loop, a->w.writer, dir, &world.crypto, &pins))
		pins_free(pins);
	remove(path);
	remove(dir);
}

static void policy_line(const uint8_t *data, size_t size)
{
	struct policy_rule r;
	char *line = strndup((const char *)data, size);

	if (line && policy_parse_line(line, &r) == 1 &&
	    !fqdn_is_valid(r.subject + (*r.subject == '@')))
		abort();
	free(line);
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
	switch (data[-1] % 8) {
	case 0:
		raw(data, size);
		break;
	case 1:
		from_dc(data, size);
		break;
	case 2:
		from_peer(data, size, true);
		break;
	case 3:
		from_peer(data, size, false);
		break;
	case 4:
		p = node_peer(a, b);
		if (p && p->tunnel)
			peer_control(p, data, size, &b->addrs[0], size + 36);
		break;
	case 5:
		kept(data, size);
		break;
	case 6:
		state_file(data, size);
		break;
	default:
		policy_line(data, size);
		break;
	}
	world_run(&world, 2);
	return 0;
}

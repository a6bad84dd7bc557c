/* SPDX-License-Identifier: MIT */
/*
 * pins_file - what the pins' file, known, holds, and when it is written
 *
 * The whole file at a time, by the writer: at once where a person or a login waits for it,
 * some seconds later for what handshakes taught; where there was no room, again.
 */
#include "broker/pins_impl.h"

#include <stdlib.h>
#include <string.h>

#include "broker/state.pb-c.h"
#include "broker/statefile.h"
#include "broker/timers.h"
#include "common/log.h"

static const uint8_t zero[NTMC_FP_LEN];

/* @len: at most that of @zero; all zero means none */
static ProtobufCBinaryData bytes(const uint8_t *data, size_t len)
{
	ProtobufCBinaryData b = {0, NULL};

	if (memcmp(data, zero, len)) {
		b.len = len;
		b.data = (uint8_t *)data;
	}
	return b;
}

static void peer_put(const struct pin *pin, Ntm__State__KnownPeer *out)
{
	ntm__state__known_peer__init(out);
	out->fqdn = (char *)pin->fqdn;
	if (pin->pinned)
		out->fingerprint = bytes(pin->fp, NTMC_FP_LEN);
	out->offered = bytes(pin->offered, NTMC_FP_LEN);
	out->verified = pin->verified;
	out->first_seen = pin->first_seen;
	out->last_seen = pin->last_seen;
	out->vip6 = bytes(pin->vip6, 16);
	out->vip4 = bytes(pin->vip4, 4);
}

static size_t servers_put(const struct pins *p, Ntm__State__KnownServer *out,
			  Ntm__State__KnownServer **list)
{
	size_t n = 0;

	for (const struct pins_server *s = p->servers; s; s = s->next) {
		if (out) {
			ntm__state__known_server__init(&out[n]);
			out[n].domain = (char *)s->domain;
			out[n].ca_fingerprint = bytes(s->fp, NTMC_FP_LEN);
			out[n].ca.len = s->ca_len;
			out[n].ca.data = s->ca;
			list[n] = &out[n];
		}
		n++;
	}
	return n;
}

/* Hands the whole file to the writer; @fn(@arg) hears how it went. */
static int pack_and_write(const struct pins *p, const Ntm__State__Known *known,
			  writer_fn *fn, void *arg)
{
	size_t len = protobuf_c_message_get_packed_size(&known->base);
	uint8_t *data = len > STATEFILE_MAX ? NULL : malloc(len + 1);

	if (!data)
		return len > STATEFILE_MAX ? -NTM_ESTORE : -NTM_ENOMEM;
	protobuf_c_message_pack(&known->base, data);
	return writer_replace(p->writer, p->path, data, len, fn, arg);
}

int pins_save(const struct pins *p, writer_fn *fn, void *arg)
{
	Ntm__State__Known known = NTM__STATE__KNOWN__INIT;
	size_t n = HASH_COUNT(p->by_name), i = 0;
	size_t n_servers = servers_put(p, NULL, NULL);
	Ntm__State__KnownPeer *peers = calloc(n + 1, sizeof(*peers));
	Ntm__State__KnownPeer **list = calloc(n + 1, sizeof(*list));
	Ntm__State__KnownServer *servers =
		calloc(n_servers + 1, sizeof(*servers));
	Ntm__State__KnownServer **server_list =
		calloc(n_servers + 1, sizeof(*server_list));
	struct pins_entry *e, *tmp;
	int err = -NTM_ENOMEM;

	if (!peers || !list || !servers || !server_list)
		goto out;
	HASH_ITER (hh, p->by_name, e, tmp) {
		peer_put(&e->pin, &peers[i]);
		list[i] = &peers[i];
		i++;
	}
	known.n_peers = n;
	known.peers = list;
	known.n_servers = servers_put(p, servers, server_list);
	known.servers = server_list;
	known.revocation_serial = p->serial;
	err = pack_and_write(p, &known, fn, arg);
out:
	free(peers);
	free(list);
	free(servers);
	free(server_list);
	return err;
}

void pins_saved(void *arg, int err)
{
	struct pins *p = arg;

	if (!err)
		return;
	log_warn("pins", "%s could not be written: %s", p->path, err_text(err));
	if (!loop_timer_armed(p->flush))
		loop_timer_arm(p->flush, LOOP_S(PINS_RETRY_S));
}

void pins_flush(void *arg)
{
	struct pins *p = arg;
	int err = pins_save(p, pins_saved, p);

	if (err)
		pins_saved(p, err);
}

void pins_save_later(struct pins *p)
{
	if (!loop_timer_armed(p->flush))
		loop_timer_arm(p->flush, LOOP_MS(PINS_FLUSH_MS));
}

static bool take(const ProtobufCBinaryData *b, uint8_t *out, size_t len)
{
	if (b->len != len)
		return false;
	memcpy(out, b->data, len);
	return true;
}

static void peer_load(struct pins *p, const Ntm__State__KnownPeer *k)
{
	struct pins_entry *e = pins_get(p, k->fqdn);

	if (!e)
		return;
	e->pin.pinned = take(&k->fingerprint, e->pin.fp, NTMC_FP_LEN);
	e->pin.verified = e->pin.pinned && k->verified;
	take(&k->offered, e->pin.offered, NTMC_FP_LEN);
	take(&k->vip6, e->pin.vip6, 16);
	take(&k->vip4, e->pin.vip4, 4);
	e->pin.first_seen = k->first_seen;
	e->pin.last_seen = k->last_seen;
	pins_unindex(p, e);
	pins_index(p, e);
}

int pins_load(struct pins *p, const Ntm__State__Known *k)
{
	for (size_t i = 0; i < k->n_peers; i++)
		peer_load(p, k->peers[i]);
	for (size_t i = 0; i < k->n_servers; i++) {
		const Ntm__State__KnownServer *s = k->servers[i];

		if (s->ca_fingerprint.len == NTMC_FP_LEN &&
		    fqdn_is_valid(s->domain) &&
		    (pins_server_set(p, s->domain, s->ca_fingerprint.data) ||
		     pins_server_set_ca(pins_server_find(p, s->domain),
					s->ca.data, s->ca.len)))
			return -NTM_ENOMEM;
	}
	p->serial = k->revocation_serial;
	return 0;
}

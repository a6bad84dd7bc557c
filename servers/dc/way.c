/* SPDX-License-Identifier: MIT */
/*
 * way - how MN and CN are to meet: Path ID, keys, who sends, through which relay
 *
 * Theory of operation
 *
 * A way is drawn and chosen once MN and CN are known; whoever it concerns is then told
 * of it, MN last. Where it is through a relay, that must agree as CN must (@waits).
 *
 * A relay that refuses or says nothing is replaced by another one, once: CN is asked
 * anew, as it must meet MN there, and under another Ktun, as the relay before has keys
 * of this one. After that, or when there is none, MN is told of the direct way alone.
 *
 * Which relay a path had last is remembered in a table of hints (NAMED_MAX): MOVE means
 * that it did not help, or no longer, and takes another one. Others may have taken a
 * hint's place. That a path of others is not taken over is the relay's to see, which
 * knows whose it is.
 *
 * Path IDs and keys are drawn by the block: a system's generator is not free.
 */
#include "servers/dc/way.h"

#include <stdlib.h>
#include <string.h>

#include "common/fqdn.h"
#include "common/log.h"
#include "servers/dc/pathid.h"

#define LIFETIME_S   60 /* of Ktun and Ktmp */
#define RANDOM_BLOCK 4096
#define RELAY_TRIES  2	   /* relays asked for one direction */
#define NAMED_MAX    65536 /* a power of two */

/* which relay a path had last; @pair: of whom the path is, fp8 of both by XOR */
struct named {
	uint64_t path_id, pair;
	uint16_t relay;
};

struct ways {
	struct named *named; /* by Path ID; another one takes the place over */
	uint8_t random[RANDOM_BLOCK];
	size_t random_left;
};

/* --- drawing ---------------------------------------------------------------------- */

static void draw(struct ways *ws, void *out, size_t len)
{
	if (ws->random_left < len) {
		ntmc_random(NULL, ws->random, sizeof(ws->random));
		ws->random_left = sizeof(ws->random);
	}
	ws->random_left -= len;
	memcpy(out, ws->random + ws->random_left, len);
	ntmc_wipe(ws->random + ws->random_left, len);
}

void way_draw_ktun(struct dc *dc, struct way *w)
{
	draw(dc->ways, &w->ktun, sizeof(w->ktun));
}

void way_draw_path(struct dc *dc, struct way *w, uint64_t mn, uint64_t cn)
{
	uint64_t random;

	draw(dc->ways, &random, sizeof(random));
	w->path_id = pathid_make(dc, random, mn, cn);
	w->swapped = false;
}

void way_start(struct dc *dc, struct way *w, uint32_t reason)
{
	w->reason = (uint8_t)reason;
	way_draw_ktun(dc, w);
	draw(dc->ways, &w->ktmp, sizeof(w->ktmp));
}

void way_take_aead(struct way *w, uint32_t mn_aead, uint32_t cn_aead)
{
	w->aead = mn_aead == NTMC_AES_256_GCM && cn_aead == NTMC_AES_256_GCM
			  ? NTMC_AES_256_GCM
			  : NTMC_CHACHA20_POLY1305;
}

/* --- the relay -------------------------------------------------------------------- */

static struct named *named_at(struct ways *ws, uint64_t path_id)
{
	return &ws->named[(path_id >> 1) & (NAMED_MAX - 1)];
}

void way_choose(struct dc *dc, struct way *w, const struct node *mn,
		const struct node *cn)
{
	const struct named *was = named_at(dc->ways, w->path_id);

	w->cn_sends = reach_cn_sends(mn, cn);
	w->waits = WAY_CN;
	if (was->path_id == w->path_id && was->pair == (mn->fp8 ^ cn->fp8))
		w->not_relay = was->relay;
	if (w->reason == NTM__DIRECTION_REASON__DIRECTION_MOVE ||
	    reach_needs_relay(mn, cn))
		w->relay = reach_choose(dc, mn, cn, 0, w->not_relay);
	if (w->relay)
		w->waits |= WAY_RS;
}

bool way_choose_again(struct dc *dc, struct way *w, const struct node *mn,
		      const struct node *cn)
{
	uint16_t next = 0;

	if (mn && cn && ++w->relay_tries < RELAY_TRIES)
		next = reach_choose(dc, mn, cn, w->relay, w->not_relay);
	w->relay = next;
	if (!next) {
		w->waits &= (uint8_t)~WAY_RS;
		return false;
	}
	way_draw_ktun(dc, w);
	w->waits = WAY_CN | WAY_RS;
	return true;
}

void way_relay_silent(struct dc *dc, const struct way *w)
{
	struct relay *relay = relays_find(dc, w->relay);

	if (relay)
		relays_silent(dc, relay);
}

/* --- who is told ------------------------------------------------------------------- */

void way_tell(struct dc *dc, const struct way *w, bool to_mn,
	      struct way_told *out)
{
	const struct relay *relay = relays_find(dc, w->relay);
	Ntm__RouteDirection *m = &out->msg;

	ntm__route_direction__init(m);
	if (relay) {
		reach_fill_relay(relay, &out->relay);
		m->relay = &out->relay.msg;
	}
	m->path_id = w->path_id;
	m->role = w->cn_sends == to_mn ? NTM__TUNNEL_ROLE__ROLE_WAIT
				       : NTM__TUNNEL_ROLE__ROLE_SEND;
	m->ktun = (ProtobufCBinaryData){NTMC_KEY_LEN, (uint8_t *)w->ktun.b};
	m->ktmp = (ProtobufCBinaryData){NTMC_KEY_LEN, (uint8_t *)w->ktmp.b};
	m->aead = w->aead;
	m->lifetime_s = LIFETIME_S;
	m->reason = w->reason;
	m->end = to_mn != w->swapped ? NTM__TUNNEL_END__END_MN
				     : NTM__TUNNEL_END__END_CN;
}

void way_end_fill(struct dc *dc, const struct node *n, struct way_end *out)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	size_t skip = memcmp(n->at.ip, mapped, sizeof(mapped)) ? 0 : 12;

	ntm__relay_end__init(&out->msg);
	if (!fqdn_split(n->fqdn, dc->cert.domain.domain, &out->parts))
		out->msg.account = out->parts.account;
	out->msg.proven = (ProtobufCBinaryData){sizeof(n->at.ip) - skip,
						(uint8_t *)n->at.ip + skip};
}

bool way_direct_relay(struct dc *dc, const struct way *w, uint32_t txn,
		      Ntm__RelayEnd *mn, Ntm__RelayEnd *cn)
{
	Ntm__RelayDirection body = NTM__RELAY_DIRECTION__INIT;
	struct relay *relay = relays_find(dc, w->relay);
	struct ntmc_key kpunch;

	if (!relay || datagram_punch_secret(&w->ktun, w->path_id, &kpunch))
		return false;
	body.path_id = w->path_id;
	body.kpunch = (ProtobufCBinaryData){NTMC_KEY_LEN, kpunch.b};
	body.aead = w->aead;
	body.mn = w->swapped ? cn : mn; /* the path's ends */
	body.cn = w->swapped ? mn : cn;
	if (!relays_direct(dc, relay, txn, &body))
		log_debug("way", "a Relay Direction was not sent");
	ntmc_key_clear(&kpunch);
	return true;
}

void way_settled(struct dc *dc, const struct way *w, uint64_t mn, uint64_t cn,
		 int err)
{
	if (err) {
		dc->stats.directions_refused++;
		return;
	}
	dc->stats.directions++;
	dc->stats.directions_relayed += w->relay != 0;
	if (w->relay)
		*named_at(dc->ways, w->path_id) =
			(struct named){w->path_id, mn ^ cn, w->relay};
}

/* --- what all share ----------------------------------------------------------------- */

int ways_new(struct ways **out)
{
	struct ways *ws = calloc(1, sizeof(*ws));

	if (!ws)
		return -NTM_ENOMEM;
	/* pages are taken by the kernel as it fills */
	ws->named = calloc(NAMED_MAX, sizeof(*ws->named));
	if (!ws->named) {
		free(ws);
		return -NTM_ENOMEM;
	}
	*out = ws;
	return 0;
}

void ways_free(struct ways *ws)
{
	if (!ws)
		return;
	ntmc_wipe(ws->random, sizeof(ws->random));
	free(ws->named);
	free(ws);
}

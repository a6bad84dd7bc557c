/* SPDX-License-Identifier: MIT */
/* peers - all peers: found by name and Path ID, saved in the keeper, looked after */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/datapath/ports.h"
#include "broker/groups.h"
#include "broker/peer.h"
#include "broker/relayed.h"
#include "broker/resolve.h"
#include "broker/state.pb-c.h"
#include "broker/statefile.h"
#include "broker/timers.h"
#include "common/log.h"

struct peers {
	struct worker *w;
	struct peer *by_name;
	struct path_ref *by_path;
	struct loop_timer *tick;
	uint64_t rate_ns;
	unsigned int rate_used;
};

struct peer *peers_find(const struct peers *ps, const char *fqdn)
{
	struct peer *p;

	HASH_FIND_STR(ps->by_name, fqdn, p);
	return p;
}

struct peer *peers_find_path(const struct peers *ps, uint64_t path_id)
{
	struct path_ref *r;

	path_id &= ~1ull;
	HASH_FIND(hh, ps->by_path, &path_id, sizeof(path_id), r);
	return r ? r->peer : NULL;
}

size_t peers_count(const struct peers *ps)
{
	return HASH_COUNT(ps->by_name);
}

void peers_each(struct peers *ps, void (*fn)(void *arg, struct peer *p),
		void *arg)
{
	struct peer *p, *tmp;

	HASH_ITER (hh, ps->by_name, p, tmp)
		fn(arg, p);
}

/* Room for one more: the idle or failed one that is so for longest goes. */
static bool make_room(struct peers *ps)
{
	struct peer *p, *tmp, *oldest = NULL;

	if (HASH_COUNT(ps->by_name) < PEERS_MAX)
		return true;
	HASH_ITER (hh, ps->by_name, p, tmp)
		if ((p->state == PEER_IDLE || p->state == PEER_DOWN) &&
		    (!oldest || p->state_ns < oldest->state_ns))
			oldest = p;
	if (!oldest)
		return false;
	oldest->has_secret = false;
	peer_save(oldest);
	peer_free(oldest);
	return true;
}

struct peer *peers_get(struct peers *ps, const char *fqdn)
{
	struct peer *p = peers_find(ps, fqdn);

	if (p)
		return p;
	if (!make_room(ps))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	if (peer_init(p, ps->w, fqdn)) {
		peer_clear(p);
		free(p);
		return NULL;
	}
	p->state_ns = loop_now(ps->w->loop);
	HASH_ADD_STR(ps->by_name, fqdn, p);
	return p;
}

static void unindex(struct peer *p)
{
	for (size_t i = 0; i < PEER_PATHS_MAX; i++) {
		if (p->refs[i].used)
			HASH_DELETE(hh, p->w->peers->by_path, &p->refs[i]);
		p->refs[i].used = false;
	}
}

static int index_one(struct peer *p, size_t slot, uint64_t id)
{
	struct path_ref *r = &p->refs[slot];
	struct peer *owner;

	id &= ~1ull;
	if (!id)
		return 0;
	owner = peers_find_path(p->w->peers, id);
	if (owner)
		return owner == p ? 0 : -NTM_EEXISTS;
	r->id = id;
	r->peer = p;
	r->used = true;
	HASH_ADD(hh, p->w->peers->by_path, id, sizeof(r->id), r);
	return 0;
}

int peer_index(struct peer *p)
{
	int err;

	unindex(p);
	err = index_one(p, 0, p->path_id);
	if (!err)
		err = index_one(p, 1, shake_path(p));
	for (size_t i = 0; i < PEER_EXPECT_MAX && !err; i++)
		err = index_one(p, 2 + i, p->expect[i].path_id);
	if (!err)
		err = index_one(p, 2 + PEER_EXPECT_MAX, p->route_path);
	return err;
}

void peer_free(struct peer *p)
{
	struct peers *ps = p->w->peers;

	resolve_peer_gone(p->w->resolve, p);
	unindex(p);
	HASH_DEL(ps->by_name, p);
	peer_clear(p);
	ntmc_wipe(p, sizeof(*p));
	free(p);
}

bool peers_rate(struct peers *ps)
{
	uint64_t now = loop_now(ps->w->loop);

	if (now - ps->rate_ns >= LOOP_S(SHAKE_RATE_S)) {
		ps->rate_ns = now;
		ps->rate_used = 0;
	}
	return ps->rate_used++ < SHAKE_RATE_ALL;
}

/* --- looking after them ---------------------------------------------------------------- */

/* Ktun and Ktmp end with their time. Return: some are still expected */
static bool expects(struct peer *p, uint64_t now)
{
	bool any = false, changed = false;

	for (size_t i = 0; i < PEER_EXPECT_MAX; i++) {
		if (!p->expect[i].path_id)
			continue;
		if (p->expect[i].expires_ns > now) {
			any = true;
			continue;
		}
		ntmc_wipe(&p->expect[i], sizeof(p->expect[i]));
		changed = true;
	}
	if (changed && peer_index(p))
		log_debug(p->fqdn, "a Path ID is another's");
	return any;
}

/* who began what is to be known after this worker */
static void flows_tick(struct peer *p, uint64_t now)
{
	struct ports *ports = p->tunnel ? dp_tunnel_ports(p->tunnel) : NULL;

	if (ports && ports_due(ports, now))
		peer_save(p);
}

static void tick_due(void *arg)
{
	struct peers *ps = arg;
	uint64_t now = loop_now(ps->w->loop);
	bool busy = false, any = false;
	struct peer *p, *tmp;

	HASH_ITER (hh, ps->by_name, p, tmp) {
		any |= expects(p, now);
		if (p->state != PEER_UP && p->state != PEER_MOVING)
			continue;
		path_tick(p);
		punch_tick(p);
		flows_tick(p, now);
		any = true;
		busy |= now - p->inner_ns < LOOP_S(PATH_TRAFFIC_S);
	}
	if (any)
		loop_timer_arm(ps->tick, LOOP_MS(busy ? PATH_TICK_MS
						      : PATH_TICK_IDLE_MS));
}

void peers_tick_arm(struct peers *ps)
{
	if (!loop_timer_armed(ps->tick))
		loop_timer_arm(ps->tick, LOOP_MS(PATH_TICK_MS));
}

/* --- shown to people ------------------------------------------------------------------ */

const char *peer_shown(const struct peer *p)
{
	switch (p->state) {
	case PEER_IDLE:
		return "idle";
	case PEER_ASKING:
	case PEER_SHAKING:
		return "connecting";
	case PEER_UP:
		return relayed_is(p) ? "relayed" : "direct";
	case PEER_MOVING:
		return "moving";
	case PEER_DOWN:
	case PEER_NSTATES:
		break;
	}
	switch (p->why) {
	case NTM_EOFFLINE:
	case NTM_EUNREACHABLE:
	case NTM_ETIMEOUT:
		return "offline";
	default:
		return "refused";
	}
}

/* --- blobs of the keeper ------------------------------------------------------------------ */

#define BLOB_PREFIX "peer."

static void blob_key(const struct peer *p, char key[KEEPER_KEY_MAX])
{
	char text[NTMC_FP_TEXT_LEN];

	ntmc_fingerprint_text(p->fp, text);
	snprintf(key, KEEPER_KEY_MAX, BLOB_PREFIX "%.32s", text);
}

static ProtobufCBinaryData bytes(const void *data, size_t len)
{
	return (ProtobufCBinaryData){len, (uint8_t *)data};
}

static size_t remotes_put(const struct peer *p,
			  uint8_t buf[][STATEFILE_ADDR_MAX],
			  ProtobufCBinaryData *list)
{
	struct addr addrs[ADDR_REMOTES_MAX];
	size_t n = path_remotes(p, addrs, ADDR_REMOTES_MAX);

	for (size_t i = 0; i < n; i++)
		list[i] = bytes(buf[i], statefile_addr_put(&addrs[i], buf[i]));
	return n;
}

/* while it sleeps its flows are the peer's */
static void flows_put(struct peer *p, uint8_t buf[static PORTS_SAVED_MAX],
		      Ntm__State__Resume *r)
{
	struct ports *ports = p->tunnel ? dp_tunnel_ports(p->tunnel) : p->ports;

	if (!ports)
		return;
	r->flows = bytes(buf,
			 ports_save(ports, peer_now(p), buf, PORTS_SAVED_MAX));
	r->flows_at = peer_now(p) / LOOP_S(1);
}

static void flows_take(struct peer *p, const Ntm__State__Resume *r)
{
	uint64_t now = peer_now(p), passed = now / LOOP_S(1) - r->flows_at;

	if (r->flows.len && now / LOOP_S(1) >= r->flows_at &&
	    ports_load(now, passed > UINT32_MAX ? UINT32_MAX : (uint32_t)passed,
		       r->flows.data, r->flows.len, &p->ports))
		log_warn(p->fqdn, "who began what is forgotten");
}

void peer_save(struct peer *p)
{
	Ntm__State__Resume r = NTM__STATE__RESUME__INIT;
	uint8_t addr_buf[ADDR_REMOTES_MAX][STATEFILE_ADDR_MAX];
	ProtobufCBinaryData remotes[ADDR_REMOTES_MAX];
	struct punch_packed punches;
	uint8_t blob[KEEPER_BLOB_MAX], phases[3], flows[PORTS_SAVED_MAX];
	char key[KEEPER_KEY_MAX];
	size_t len;

	if (!p->known)
		return;
	blob_key(p, key);
	if (!p->has_secret && !p->has_pending) {
		if (keeper_blob_del(p->w->keeper, key))
			log_debug(p->fqdn, "nothing was kept");
		return;
	}
	r.fqdn = p->fqdn;
	r.ed_pub = bytes(p->ed_pub, NTMC_KEY_LEN);
	r.x_pub = bytes(p->x_pub, NTMC_KEY_LEN);
	r.vip6 = bytes(p->vip6, 16);
	r.vip4 = bytes(p->vip4, 4);
	r.path_id = p->path_id;
	r.aead = p->aead;
	r.secret =
		bytes(p->has_secret ? p->secret.b : p->pending.b, NTMC_KEY_LEN);
	if (!p->has_secret)
		r.aead = p->pending_aead;
	else if (p->has_pending)
		r.pending = bytes(p->pending.b, NTMC_KEY_LEN);
	r.pending_aead = p->pending_aead;
	r.n_remotes = remotes_put(p, addr_buf, remotes);
	r.remotes = remotes;
	r.sent_ms = p->seen_ms;
	if (p->tunnel)
		r.phases = bytes(phases, dp_tunnel_phases(p->tunnel, phases));
	r.idle = p->state == PEER_IDLE || p->state == PEER_DOWN;
	r.mtu = p->pmtu.size;
	r.outward = p->outward;
	r.n_punches = punch_save(p, &punches);
	r.punches = punches.list;
	flows_put(p, flows, &r);
	len = ntm__state__resume__get_packed_size(&r);
	if (len > sizeof(blob))
		return;
	ntm__state__resume__pack(&r, blob);
	if (keeper_blob_put(p->w->keeper, key, blob, len))
		log_warn(p->fqdn, "the keeper did not take its resumption");
	ntmc_wipe(blob, len);
}

static bool take(const ProtobufCBinaryData *b, void *out, size_t len)
{
	if (b->len != len)
		return false;
	memcpy(out, b->data, len);
	return true;
}

/* Killed between an answer and its confirmation: the peer has the newer secret
 * more likely than not. */
static void pending_take(struct peer *p, const Ntm__State__Resume *r)
{
	if (!take(&r->pending, p->pending.b, NTMC_KEY_LEN) ||
	    (r->pending_aead != NTMC_AES_256_GCM &&
	     r->pending_aead != NTMC_CHACHA20_POLY1305))
		return;
	p->pending_aead = (enum ntmc_aead_alg)r->pending_aead;
	p->has_pending = p->pending_kept = true;
	peer_swap_secrets(p);
}

static int resume_take(struct peer *p, const Ntm__State__Resume *r)
{
	struct addr a;

	if (!take(&r->ed_pub, p->ed_pub, NTMC_KEY_LEN) ||
	    !take(&r->x_pub, p->x_pub, NTMC_KEY_LEN) ||
	    !take(&r->vip6, p->vip6, 16) || !take(&r->vip4, p->vip4, 4) ||
	    !take(&r->secret, p->secret.b, NTMC_KEY_LEN) || !r->path_id ||
	    (r->aead != NTMC_AES_256_GCM && r->aead != NTMC_CHACHA20_POLY1305))
		return -NTM_EDECODE;
	ntmc_fingerprint(p->ed_pub, p->fp);
	p->known = p->has_secret = true;
	p->path_id = r->path_id;
	p->aead = (enum ntmc_aead_alg)r->aead;
	pending_take(p, r);
	p->seen_ms = r->sent_ms;
	p->outward = r->outward;
	p->pmtu.size = r->mtu;
	punch_restore(p, r->punches, r->n_punches);
	flows_take(p, r);
	for (size_t i = 0; i < r->n_remotes; i++)
		if (!statefile_addr_get(&r->remotes[i], &a))
			path_add(p, &a);
	if (p->paths.n)
		p->paths.current = 0;
	return peer_index(p);
}

static void blob_restore(void *arg, const char *key, const void *data,
			 size_t len)
{
	struct peers *ps = arg;
	Ntm__State__Resume *r;
	struct peer *p;

	if (strncmp(key, BLOB_PREFIX, strlen(BLOB_PREFIX)))
		return;
	r = ntm__state__resume__unpack(NULL, len, data);
	if (!r)
		return;
	p = fqdn_is_valid(r->fqdn) && !peers_find(ps, r->fqdn)
		    ? peers_get(ps, r->fqdn)
		    : NULL;
	if (p && resume_take(p, r)) {
		log_warn(r->fqdn, "what the keeper kept of it is unusable");
		peer_free(p);
	} else if (p && !r->idle) {
		groups_unsure(ps->w->groups);
		peer_resume(p);
	}
	statefile_free(&r->base);
}

void peers_restore(struct peers *ps)
{
	/* first: a restored peer asks at once */
	account_sent_restore(ps->w->account, ps->w->keeper);
	keeper_blob_each(ps->w->keeper, blob_restore, ps);
}

void peers_drop_all(struct peers *ps)
{
	struct peer *p, *tmp;

	HASH_ITER (hh, ps->by_name, p, tmp) {
		peer_close(p, 0, true);
		peer_free(p);
	}
}

/* --- life ----------------------------------------------------------------------------------- */

int peers_new(struct worker *w, struct peers **out)
{
	struct peers *ps = calloc(1, sizeof(*ps));

	if (!ps)
		return -NTM_ENOMEM;
	ps->w = w;
	if (loop_timer_new(w->loop, tick_due, ps, &ps->tick)) {
		free(ps);
		return -NTM_ENOMEM;
	}
	*out = ps;
	return 0;
}

void peers_free(struct peers *ps)
{
	struct peer *p, *tmp;

	if (!ps)
		return;
	HASH_ITER (hh, ps->by_name, p, tmp)
		peer_free(p);
	loop_timer_free(ps->tick);
	free(ps);
}

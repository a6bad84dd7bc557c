/* SPDX-License-Identifier: MIT */
/* pins - which key belongs to which name: peers' identities, servers' CAs */
#include "broker/pins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "broker/account.h"
#include "broker/state.pb-c.h"
#include "broker/statefile.h"
#include "broker/timers.h"
#include "common/log.h"

static const uint8_t zero[NTMC_FP_LEN];

/* struct entry - one pin, in both tables (vip tables hold only set addresses) */
struct entry {
	struct pin pin;
	UT_hash_handle hh, hh6, hh4;
	bool in6, in4;
};

struct server {
	char domain[FQDN_MAX + 1];
	uint8_t fp[NTMC_FP_LEN];
	uint8_t *ca; /* NULL: our own domain's */
	size_t ca_len;
	struct server *next;
};

struct pins {
	char *path;
	struct writer *writer;
	const struct ntmc_env *env;
	struct entry *by_name, *by_vip6, *by_vip4;
	struct server *servers;
	uint64_t serial;
	uint8_t home[8]; /* prefix of our own domain's addresses; zero: any */
	struct loop_timer *flush; /* armed: memory is ahead of the file */
};

static struct entry *find(const struct pins *p, const char *fqdn)
{
	struct entry *e;

	HASH_FIND_STR(p->by_name, fqdn, e);
	return e;
}

static void unindex_vips(struct pins *p, struct entry *e)
{
	if (e->in6)
		HASH_DELETE(hh6, p->by_vip6, e);
	if (e->in4)
		HASH_DELETE(hh4, p->by_vip4, e);
	e->in6 = e->in4 = false;
}

static bool is_home(const struct pins *p, const struct pin *pin)
{
	return !memcmp(p->home, zero, 8) || !memcmp(p->home, pin->vip6, 8);
}

/* The newest owner of an address has it: leases are given anew. */
static void index_vips(struct pins *p, struct entry *e)
{
	struct entry *old;

	if (memcmp(e->pin.vip6, zero, 16)) {
		HASH_FIND(hh6, p->by_vip6, e->pin.vip6, 16, old);
		if (old)
			unindex_vips(p, old);
		HASH_ADD(hh6, p->by_vip6, pin.vip6, 16, e);
		e->in6 = true;
	}
	if (memcmp(e->pin.vip4, zero, 4) && is_home(p, &e->pin)) {
		HASH_FIND(hh4, p->by_vip4, e->pin.vip4, 4, old);
		if (old)
			unindex_vips(p, old);
		HASH_ADD(hh4, p->by_vip4, pin.vip4, 4, e);
		e->in4 = true;
	}
}

static void drop(struct pins *p, struct entry *e)
{
	unindex_vips(p, e);
	HASH_DELETE(hh, p->by_name, e);
	free(e);
}

static void make_room(struct pins *p)
{
	struct entry *e, *tmp, *oldest = NULL;

	if (HASH_COUNT(p->by_name) < PINS_MAX)
		return;
	HASH_ITER (hh, p->by_name, e, tmp)
		if (!e->pin.verified &&
		    (!oldest || e->pin.last_seen < oldest->pin.last_seen))
			oldest = e;
	if (oldest)
		drop(p, oldest);
}

static struct entry *get(struct pins *p, const char *fqdn)
{
	struct entry *e = find(p, fqdn);

	if (e || !fqdn_is_valid(fqdn))
		return e;
	make_room(p);
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	snprintf(e->pin.fqdn, sizeof(e->pin.fqdn), "%s", fqdn);
	e->pin.first_seen = e->pin.last_seen = ntmc_now(p->env);
	HASH_ADD_STR(p->by_name, pin.fqdn, e);
	return e;
}

/* --- the file --------------------------------------------------------------------- */

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

	for (const struct server *s = p->servers; s; s = s->next) {
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

static int save(const struct pins *p, writer_fn *fn, void *arg)
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
	struct entry *e, *tmp;
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

/* Of what nobody waits for: memory holds it, until there is room. */
static void saved(void *arg, int err)
{
	struct pins *p = arg;

	if (!err)
		return;
	log_warn("pins", "%s could not be written: %s", p->path, err_text(err));
	if (!loop_timer_armed(p->flush))
		loop_timer_arm(p->flush, LOOP_S(PINS_RETRY_S));
}

static void flush(void *arg)
{
	struct pins *p = arg;
	int err = save(p, saved, p);

	if (err)
		saved(p, err);
}

static void save_later(struct pins *p)
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
	struct entry *e = get(p, k->fqdn);

	if (!e)
		return;
	e->pin.pinned = take(&k->fingerprint, e->pin.fp, NTMC_FP_LEN);
	e->pin.verified = e->pin.pinned && k->verified;
	take(&k->offered, e->pin.offered, NTMC_FP_LEN);
	take(&k->vip6, e->pin.vip6, 16);
	take(&k->vip4, e->pin.vip4, 4);
	e->pin.first_seen = k->first_seen;
	e->pin.last_seen = k->last_seen;
	unindex_vips(p, e);
	index_vips(p, e);
}

static struct server *server_find(const struct pins *p, const char *domain)
{
	struct server *s = p->servers;

	while (s && strcmp(s->domain, domain))
		s = s->next;
	return s;
}

static int server_set(struct pins *p, const char *domain, const uint8_t *fp)
{
	struct server *s = server_find(p, domain);

	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -NTM_ENOMEM;
		snprintf(s->domain, sizeof(s->domain), "%s", domain);
		s->next = p->servers;
		p->servers = s;
	}
	memcpy(s->fp, fp, NTMC_FP_LEN);
	return 0;
}

static int server_set_ca(struct server *s, const uint8_t *ca, size_t len)
{
	uint8_t *copy = len ? malloc(len) : NULL;

	if (!len)
		return 0;
	if (!copy || len > NTMC_CERT_MAX) {
		free(copy);
		return -NTM_ENOMEM;
	}
	memcpy(copy, ca, len);
	free(s->ca);
	s->ca = copy;
	s->ca_len = len;
	return 0;
}

static int known_load(struct pins *p, const Ntm__State__Known *k)
{
	for (size_t i = 0; i < k->n_peers; i++)
		peer_load(p, k->peers[i]);
	for (size_t i = 0; i < k->n_servers; i++) {
		const Ntm__State__KnownServer *s = k->servers[i];

		if (s->ca_fingerprint.len == NTMC_FP_LEN &&
		    fqdn_is_valid(s->domain) &&
		    (server_set(p, s->domain, s->ca_fingerprint.data) ||
		     server_set_ca(server_find(p, s->domain), s->ca.data,
				   s->ca.len)))
			return -NTM_ENOMEM;
	}
	p->serial = k->revocation_serial;
	return 0;
}

int pins_open(struct loop *l, struct writer *writer, const char *state_dir,
	      const struct ntmc_env *env, struct pins **out)
{
	struct pins *p = calloc(1, sizeof(*p));
	ProtobufCMessage *msg = NULL;
	int err = -NTM_ENOMEM;

	if (!p)
		return err;
	p->env = env;
	p->writer = writer;
	if (asprintf(&p->path, "%s/known", state_dir) < 0)
		p->path = NULL;
	if (!p->path || loop_timer_new(l, flush, p, &p->flush))
		goto err_free;
	err = statefile_load(state_dir, "known", &ntm__state__known__descriptor,
			     &msg);
	if (!err)
		err = known_load(p, (Ntm__State__Known *)msg);
	else if (err == -NTM_ENOTFOUND)
		err = 0;
	statefile_free(msg);
	if (err)
		goto err_free;
	*out = p;
	return 0;

err_free:
	pins_free(p);
	return err;
}

void pins_free(struct pins *p)
{
	struct entry *e, *tmp;
	struct server *s;

	if (!p)
		return;
	if (p->flush && loop_timer_armed(p->flush) && save(p, NULL, NULL))
		log_warn("pins", "%s could not be written", p->path);
	loop_timer_free(p->flush);
	HASH_ITER (hh, p->by_name, e, tmp)
		drop(p, e);
	while ((s = p->servers)) {
		p->servers = s->next;
		free(s->ca);
		free(s);
	}
	free(p->path);
	free(p);
}

/* --- look-ups and decisions --------------------------------------------------------- */

const struct pin *pins_find(const struct pins *p, const char *fqdn)
{
	const struct entry *e = find(p, fqdn);

	return e ? &e->pin : NULL;
}

const struct pin *pins_find_vip(const struct pins *p, const struct addr *vip)
{
	struct entry *e = NULL;
	size_t len;
	const uint8_t *ip = addr_ip(vip, &len);

	if (len == 16)
		HASH_FIND(hh6, p->by_vip6, ip, 16, e);
	else if (len == 4)
		HASH_FIND(hh4, p->by_vip4, ip, 4, e);
	return e ? &e->pin : NULL;
}

void pins_set_home(struct pins *p, const uint8_t prefix6[static 8])
{
	struct entry *e, *tmp;

	if (!memcmp(p->home, prefix6, 8))
		return;
	memcpy(p->home, prefix6, 8);
	HASH_ITER (hh, p->by_name, e, tmp)
		unindex_vips(p, e);
	HASH_ITER (hh, p->by_name, e, tmp)
		index_vips(p, e);
}

void pins_each(const struct pins *p,
	       void (*fn)(void *arg, const struct pin *pin), void *arg)
{
	struct entry *e, *tmp;

	HASH_ITER (hh, p->by_name, e, tmp)
		fn(arg, &e->pin);
}

static bool account_verified(const struct pins *p, const char *fqdn)
{
	struct entry *e, *tmp;

	HASH_ITER (hh, p->by_name, e, tmp)
		if (e->pin.verified && account_same(e->pin.fqdn, fqdn))
			return true;
	return false;
}

void pins_offer(struct pins *p, const char *fqdn,
		const uint8_t fp[static NTMC_FP_LEN])
{
	struct entry *e = get(p, fqdn);

	if (!e || !memcmp(e->pin.offered, fp, NTMC_FP_LEN) ||
	    (e->pin.pinned && !memcmp(e->pin.fp, fp, NTMC_FP_LEN)))
		return;
	memcpy(e->pin.offered, fp, NTMC_FP_LEN);
	save_later(p);
}

int pins_check(struct pins *p, const char *fqdn,
	       const uint8_t fp[static NTMC_FP_LEN])
{
	const struct entry *e = find(p, fqdn);
	int err = 0;

	if (e && e->pin.pinned)
		err = memcmp(e->pin.fp, fp, NTMC_FP_LEN) ? -NTM_EPIN : 0;
	else if (account_verified(p, fqdn))
		err = -NTM_EUNVERIFIED;
	if (err)
		pins_offer(p, fqdn, fp);
	return err;
}

int pins_learn(struct pins *p, const char *fqdn,
	       const uint8_t fp[static NTMC_FP_LEN],
	       const uint8_t vip6[static 16], const uint8_t vip4[static 4])
{
	struct entry *e = get(p, fqdn);

	if (!e)
		return -NTM_ENOMEM;
	if (e->pin.pinned && memcmp(e->pin.fp, fp, NTMC_FP_LEN))
		return -NTM_EPIN;
	e->pin.last_seen = ntmc_now(p->env);
	if (e->pin.pinned && !memcmp(e->pin.vip6, vip6, 16) &&
	    !memcmp(e->pin.vip4, vip4, 4))
		return 0;
	unindex_vips(p, e);
	e->pin.pinned = true;
	memcpy(e->pin.fp, fp, NTMC_FP_LEN);
	memset(e->pin.offered, 0, NTMC_FP_LEN);
	memcpy(e->pin.vip6, vip6, 16);
	memcpy(e->pin.vip4, vip4, 4);
	index_vips(p, e);
	save_later(p);
	return 0;
}

int pins_verify(struct pins *p, const char *fqdn,
		const uint8_t fp[static NTMC_FP_LEN], writer_fn *fn, void *arg)
{
	struct entry *e = get(p, fqdn);

	if (!e)
		return -NTM_ENOMEM;
	e->pin.pinned = e->pin.verified = true;
	memcpy(e->pin.fp, fp, NTMC_FP_LEN);
	memset(e->pin.offered, 0, NTMC_FP_LEN);
	return save(p, fn, arg);
}

int pins_forget(struct pins *p, const char *fqdn, writer_fn *fn, void *arg)
{
	struct entry *e = find(p, fqdn);

	if (!e)
		return -NTM_ENOTFOUND;
	drop(p, e);
	return save(p, fn, arg);
}

int pins_server_check(const struct pins *p, const char *domain,
		      const uint8_t fp[static NTMC_FP_LEN])
{
	const struct server *s = server_find(p, domain);

	return s && memcmp(s->fp, fp, NTMC_FP_LEN) ? -NTM_EPIN : 0;
}

int pins_server_learn(struct pins *p, const char *domain,
		      const uint8_t fp[static NTMC_FP_LEN])
{
	const struct server *s = server_find(p, domain);
	int err;

	if (s && !memcmp(s->fp, fp, NTMC_FP_LEN))
		return 0;
	err = server_set(p, domain, fp);
	if (!err)
		err = save(p, saved, p);
	return err ? err : writer_flush(p->writer);
}

int pins_server_keep(struct pins *p, const char *domain,
		     const uint8_t fp[static NTMC_FP_LEN], const uint8_t *ca,
		     size_t len)
{
	int err = pins_server_check(p, domain, fp);

	if (!err)
		err = server_set(p, domain, fp);
	if (!err)
		err = server_set_ca(server_find(p, domain), ca, len);
	if (!err)
		save_later(p);
	return err;
}

const uint8_t *pins_server_ca(const struct pins *p, const char *domain,
			      size_t *len)
{
	const struct server *s = server_find(p, domain);

	if (s && len)
		*len = s->ca_len;
	return s ? s->ca : NULL;
}

void pins_servers_each(const struct pins *p,
		       void (*fn)(void *arg, const char *domain,
				  const uint8_t *ca, size_t len),
		       void *arg)
{
	for (const struct server *s = p->servers; s; s = s->next)
		fn(arg, s->domain, s->ca, s->ca_len);
}

int pins_server_forget(struct pins *p, const char *domain, writer_fn *fn,
		       void *arg)
{
	struct server **at = &p->servers, *s;

	while (*at && strcmp((*at)->domain, domain))
		at = &(*at)->next;
	s = *at;
	if (!s || !s->ca)
		return -NTM_ENOTFOUND;
	*at = s->next;
	free(s->ca);
	free(s);
	return save(p, fn, arg);
}

uint64_t pins_serial(const struct pins *p)
{
	return p->serial;
}

int pins_set_serial(struct pins *p, uint64_t serial)
{
	if (p->serial == serial)
		return 0;
	p->serial = serial;
	return save(p, saved, p);
}

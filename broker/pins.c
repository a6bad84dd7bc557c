/* SPDX-License-Identifier: MIT */
/* pins - which key belongs to which name: of peers, and what is decided by it */
#include "broker/pins_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/statefile.h"
#include "common/log.h"

static const uint8_t zero[NTMC_FP_LEN];

static struct pins_entry *find(const struct pins *p, const char *fqdn)
{
	struct pins_entry *e;

	HASH_FIND_STR(p->by_name, fqdn, e);
	return e;
}

void pins_unindex(struct pins *p, struct pins_entry *e)
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
void pins_index(struct pins *p, struct pins_entry *e)
{
	struct pins_entry *old;

	if (memcmp(e->pin.vip6, zero, 16)) {
		HASH_FIND(hh6, p->by_vip6, e->pin.vip6, 16, old);
		if (old)
			pins_unindex(p, old);
		HASH_ADD(hh6, p->by_vip6, pin.vip6, 16, e);
		e->in6 = true;
	}
	if (memcmp(e->pin.vip4, zero, 4) && is_home(p, &e->pin)) {
		HASH_FIND(hh4, p->by_vip4, e->pin.vip4, 4, old);
		if (old)
			pins_unindex(p, old);
		HASH_ADD(hh4, p->by_vip4, pin.vip4, 4, e);
		e->in4 = true;
	}
}

static void drop(struct pins *p, struct pins_entry *e)
{
	pins_unindex(p, e);
	HASH_DELETE(hh, p->by_name, e);
	free(e);
}

static void make_room(struct pins *p)
{
	struct pins_entry *e, *tmp, *oldest = NULL;

	if (HASH_COUNT(p->by_name) < PINS_MAX)
		return;
	HASH_ITER (hh, p->by_name, e, tmp)
		if (!e->pin.verified &&
		    (!oldest || e->pin.last_seen < oldest->pin.last_seen))
			oldest = e;
	if (oldest)
		drop(p, oldest);
}

struct pins_entry *pins_get(struct pins *p, const char *fqdn)
{
	struct pins_entry *e = find(p, fqdn);

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

/* --- life --------------------------------------------------------------------------- */

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
	if (!p->path || loop_timer_new(l, pins_flush, p, &p->flush))
		goto err_free;
	err = statefile_load(state_dir, "known", &ntm__state__known__descriptor,
			     &msg);
	if (!err)
		err = pins_load(p, (Ntm__State__Known *)msg);
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
	struct pins_entry *e, *tmp;
	struct pins_server *s;

	if (!p)
		return;
	if (p->flush && loop_timer_armed(p->flush) && pins_save(p, NULL, NULL))
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
	const struct pins_entry *e = find(p, fqdn);

	return e ? &e->pin : NULL;
}

const struct pin *pins_find_vip(const struct pins *p, const struct addr *vip)
{
	struct pins_entry *e = NULL;
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
	struct pins_entry *e, *tmp;

	if (!memcmp(p->home, prefix6, 8))
		return;
	memcpy(p->home, prefix6, 8);
	HASH_ITER (hh, p->by_name, e, tmp)
		pins_unindex(p, e);
	HASH_ITER (hh, p->by_name, e, tmp)
		pins_index(p, e);
}

void pins_each(const struct pins *p,
	       void (*fn)(void *arg, const struct pin *pin), void *arg)
{
	struct pins_entry *e, *tmp;

	HASH_ITER (hh, p->by_name, e, tmp)
		fn(arg, &e->pin);
}

static bool account_verified(const struct pins *p, const char *fqdn)
{
	struct pins_entry *e, *tmp;

	HASH_ITER (hh, p->by_name, e, tmp)
		if (e->pin.verified && account_same(e->pin.fqdn, fqdn))
			return true;
	return false;
}

void pins_offer(struct pins *p, const char *fqdn,
		const uint8_t fp[static NTMC_FP_LEN])
{
	struct pins_entry *e = pins_get(p, fqdn);

	if (!e || !memcmp(e->pin.offered, fp, NTMC_FP_LEN) ||
	    (e->pin.pinned && !memcmp(e->pin.fp, fp, NTMC_FP_LEN)))
		return;
	memcpy(e->pin.offered, fp, NTMC_FP_LEN);
	pins_save_later(p);
}

int pins_check(struct pins *p, const char *fqdn,
	       const uint8_t fp[static NTMC_FP_LEN])
{
	const struct pins_entry *e = find(p, fqdn);
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
	struct pins_entry *e = pins_get(p, fqdn);

	if (!e)
		return -NTM_ENOMEM;
	if (e->pin.pinned && memcmp(e->pin.fp, fp, NTMC_FP_LEN))
		return -NTM_EPIN;
	e->pin.last_seen = ntmc_now(p->env);
	if (e->pin.pinned && !memcmp(e->pin.vip6, vip6, 16) &&
	    !memcmp(e->pin.vip4, vip4, 4))
		return 0;
	pins_unindex(p, e);
	e->pin.pinned = true;
	memcpy(e->pin.fp, fp, NTMC_FP_LEN);
	memset(e->pin.offered, 0, NTMC_FP_LEN);
	memcpy(e->pin.vip6, vip6, 16);
	memcpy(e->pin.vip4, vip4, 4);
	pins_index(p, e);
	pins_save_later(p);
	return 0;
}

int pins_verify(struct pins *p, const char *fqdn,
		const uint8_t fp[static NTMC_FP_LEN], writer_fn *fn, void *arg)
{
	struct pins_entry *e = pins_get(p, fqdn);

	if (!e)
		return -NTM_ENOMEM;
	e->pin.pinned = e->pin.verified = true;
	memcpy(e->pin.fp, fp, NTMC_FP_LEN);
	memset(e->pin.offered, 0, NTMC_FP_LEN);
	return pins_save(p, fn, arg);
}

int pins_forget(struct pins *p, const char *fqdn, writer_fn *fn, void *arg)
{
	struct pins_entry *e = find(p, fqdn);

	if (!e)
		return -NTM_ENOTFOUND;
	drop(p, e);
	return pins_save(p, fn, arg);
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
	return pins_save(p, pins_saved, p);
}

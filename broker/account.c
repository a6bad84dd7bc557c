/* SPDX-License-Identifier: MIT */
/*
 * account - who this device is: identity, certificate, session keys, boot number
 *
 * Theory of operation
 *
 * The identity is drawn once and never leaves the machine. A login or renewal
 * yields a session: certificate, Node ID, Kntmdc, the DC's addresses. It is written
 * to disk before it is used, so that a worker that was killed goes on without the
 * AS. The boot number is the upper part of every datagram counter under Kntmdc; it
 * is raised and on disk before the first datagram, so no nonce repeats.
 *
 * The number of a Tunnel Request (sent_ms) is the wall clock, and later than any
 * before: peers drop what is not. A clock that was ahead and is set right must not
 * bring lower ones with the next worker. The keeper has the last one; for the next
 * boot of the machine `boot` has a later one, written beside the loop once the last
 * passes it. Only a power failure between a handshake and that write, just after the
 * clock had jumped, can lose one.
 *
 * Trust: the files are ours (0600, checked); what the AS sent is checked against
 * the CA that the person named, and against our own keys.
 */
#include "broker/account.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/state.pb-c.h"
#include "broker/statefile.h"
#include "broker/writer.h"
#include "common/file.h"
#include "common/log.h"
#include "common/packet.h"

#define BOOT_MAX ((1u << (64 - PACKET_BOOT_SHIFT)) - 1)
/* sent_ms is promised that far ahead on the disk: it is written that often at most,
 * as long as the clock goes on evenly */
#define SENT_AHEAD_MS 60000u
#define SENT_BLOB     "sent"

const char *account_of(const char *fqdn)
{
	const char *dot = strchr(fqdn, '.');

	return dot ? dot + 1 : NULL;
}

bool account_same(const char *fqdn_a, const char *fqdn_b)
{
	const char *a = account_of(fqdn_a), *b = account_of(fqdn_b);

	return a && b && !strcmp(a, b);
}

uint64_t account_sent_ms(struct account *a)
{
	uint64_t now = (uint64_t)ntmc_now(&a->env->crypto) * 1000;

	a->sent_ms = now > a->sent_ms ? now : a->sent_ms + 1;
	return a->sent_ms;
}

static void promise_kept(void *arg, int err)
{
	struct account *a = arg;

	if (!err)
		return;
	log_warn("account", "%s/boot could not be written: %s", a->state_dir,
		 err_text(err));
	a->promised_ms = 0;
}

static void promise(struct account *a, struct writer *w)
{
	Ntm__State__Boot next = NTM__STATE__BOOT__INIT;
	char path[PATH_MAX];
	uint8_t *data;
	int err = -NTM_ENOMEM;

	next.number = a->boot;
	next.sent_ms = a->promised_ms = a->sent_ms + SENT_AHEAD_MS;
	data = malloc(ntm__state__boot__get_packed_size(&next));
	if (data && snprintf(path, sizeof(path), "%s/boot", a->state_dir) <
			    (int)sizeof(path))
		err = writer_replace(w, path, data,
				     ntm__state__boot__pack(&next, data),
				     promise_kept, a);
	else
		free(data);
	promise_kept(a, err);
}

void account_sent_keep(struct account *a, struct keeper_link *k,
		       struct writer *w)
{
	uint8_t blob[8];

	for (int i = 0; i < 8; i++)
		blob[i] = (uint8_t)(a->sent_ms >> (56 - 8 * i));
	if (keeper_blob_put(k, SENT_BLOB, blob, sizeof(blob)))
		log_warn("account", "the keeper did not take a number");
	if (a->sent_ms > a->promised_ms)
		promise(a, w);
}

static void sent_take(void *arg, const char *key, const void *data, size_t len)
{
	struct account *a = arg;
	const uint8_t *p = data;
	uint64_t sent = 0;

	if (strcmp(key, SENT_BLOB) || len != 8)
		return;
	while (len--)
		sent = sent << 8 | *p++;
	if (sent > a->sent_ms)
		a->sent_ms = sent;
}

void account_sent_restore(struct account *a, struct keeper_link *k)
{
	keeper_blob_each(k, sent_take, a);
}

static int identity_open(struct account *a, char *why, size_t why_size)
{
	struct ntmc_identity *id = &a->secrets->id;
	char path[4096];
	int err;

	if (snprintf(path, sizeof(path), "%s/identity.key", a->state_dir) >=
	    (int)sizeof(path))
		return -NTM_EINVAL;
	err = ntmc_identity_load(path, id);
	if (err == -NTM_ENOTFOUND) {
		ntmc_identity_new(&a->env->crypto, id);
		err = ntmc_identity_save(id, path);
		if (!err)
			log_info("account", "made this device's identity: %s",
				 path);
	}
	if (err)
		snprintf(why, why_size,
			 "the device's key %s cannot be used: %s", path,
			 err == -NTM_EPERM
				 ? "others may read it; run chmod 600 on it"
			 : err == -NTM_EDECODE
				 ? "it is damaged; restore it from a backup, "
				   "or remove it and log in as a new device"
				 : err_text(err));
	else
		ntmc_fingerprint(id->ed_pub, a->fp);
	return err;
}

static int boot_raise(struct account *a, char *why, size_t why_size)
{
	Ntm__State__Boot next = NTM__STATE__BOOT__INIT, *last;
	ProtobufCMessage *msg = NULL;
	int err;

	err = statefile_load(a->state_dir, "boot",
			     &ntm__state__boot__descriptor, &msg);
	if (err && err != -NTM_ENOTFOUND)
		goto out;
	last = (Ntm__State__Boot *)msg;
	a->boot = last ? last->number + 1 : 1;
	a->sent_ms = last ? last->sent_ms : 0;
	err = -NTM_ESTORE;
	if (!a->boot || a->boot > BOOT_MAX)
		goto out; /* 16 million starts under one Kntmdc: log in again */
	next.number = a->boot;
	next.sent_ms = a->promised_ms = account_sent_ms(a) + SENT_AHEAD_MS;
	err = statefile_save(a->state_dir, "boot", &next.base);
out:
	statefile_free(msg);
	if (err)
		snprintf(why, why_size, "%s/boot cannot be used: %s",
			 a->state_dir, err_text(err));
	return err;
}

/* --- a session ------------------------------------------------------------------ */

/* struct fresh - a session being checked, before it replaces the one in use */
struct fresh {
	struct ntmc_trust *trust;
	struct ntmc_trust_domain constraint;
	struct ntmc_cert cert;
	struct fqdn_parts parts;
};

static int ours(const struct account *a, const struct ntmc_cert *c)
{
	const struct ntmc_identity *id = &a->secrets->id;

	return c->kind == NTMC_CERT_NODE &&
	       ntmc_equal(c->ed_pub, id->ed_pub, NTMC_KEY_LEN) &&
	       ntmc_equal(c->x_pub, id->x_pub, NTMC_KEY_LEN);
}

static int fresh_check(const struct account *a, const uint8_t *ca_fp,
		       const ProtobufCBinaryData *ca,
		       const ProtobufCBinaryData *cert, const char *fqdn,
		       int64_t now, struct fresh *f)
{
	int err;

	memset(f, 0, sizeof(*f));
	if (ca->len > NTMC_CERT_MAX || cert->len > NTMC_CERT_MAX)
		return -NTM_ETOOBIG;
	err = ntmc_trust_new(&f->trust);
	if (err)
		return err;
	err = ntmc_trust_add(f->trust, ca->data, ca->len, ca_fp,
			     &f->constraint);
	if (!err)
		err = ntmc_trust_verify(f->trust, cert->data, cert->len, now,
					&f->cert);
	if (!err && (!ours(a, &f->cert) || strcmp(f->cert.fqdn, fqdn)))
		err = -NTM_ECERT;
	if (!err)
		err = fqdn_split(fqdn, f->constraint.domain, &f->parts);
	if (!err && !f->parts.device[0])
		err = -NTM_ECERT;
	if (err)
		ntmc_trust_free(f->trust);
	return err;
}

static void fresh_take(struct account *a, struct fresh *f,
		       const Ntm__State__Session *s, const struct join *join)
{
	ntmc_trust_free(a->trust);
	a->trust = f->trust;
	a->constraint = f->constraint;
	a->cert = f->cert;
	a->join = *join;
	snprintf(a->fqdn, sizeof(a->fqdn), "%s", f->cert.fqdn);
	snprintf(a->domain, sizeof(a->domain), "%s", f->constraint.domain);
	memcpy(a->device, f->parts.device, sizeof(a->device));
	memcpy(a->name, f->parts.account, sizeof(a->name));
	a->node_id = s->node_id;
	memcpy(a->secrets->kntmdc.b, s->kntmdc.data, NTMC_KEY_LEN);
	memcpy(a->cert_der, s->certificate.data, s->certificate.len);
	a->cert_len = s->certificate.len;
	memcpy(a->ca_der, s->ca.data, s->ca.len);
	a->ca_len = s->ca.len;
	a->obtained = s->obtained;
	a->expires = s->expires;
	a->n_dc = 0;
	for (size_t i = 0; i < s->n_dc && a->n_dc < ACCOUNT_DC_MAX; i++)
		if (!statefile_addr_get(&s->dc[i], &a->dc[a->n_dc]))
			a->n_dc++;
	a->ended = 0;
	a->damaged = false;
	a->logged_in = true;
}

static int session_check(const struct account *a, const Ntm__State__Session *s,
			 int64_t now, struct join *join, struct fresh *f)
{
	int err = join_parse(s->join, join);

	if (err)
		return err;
	if (s->kntmdc.len != NTMC_KEY_LEN || !s->node_id || !s->n_dc)
		return -NTM_EDECODE;
	return fresh_check(a, join->ca_fp, &s->ca, &s->certificate, s->fqdn,
			   now, f);
}

/* A certificate that has run out is no reason to forget who we are: the AS may
 * have been away. It is checked as of the day it was obtained. */
static void session_load(struct account *a)
{
	ProtobufCMessage *msg;
	struct fresh f;
	struct join join;
	int err;

	err = statefile_load(a->state_dir, "session",
			     &ntm__state__session__descriptor, &msg);
	if (err == -NTM_ENOTFOUND)
		return;
	if (!err) {
		const Ntm__State__Session *s = (Ntm__State__Session *)msg;

		err = session_check(a, s, s->obtained, &join, &f);
		if (!err)
			fresh_take(a, &f, s, &join);
		statefile_free(msg);
	}
	a->damaged = err;
	if (err)
		log_warn("account",
			 "%s/session cannot be used (%s): log in again",
			 a->state_dir, err_text(err));
}

int account_open(const struct worker_env *env, const char *state_dir,
		 struct account **out, char *why, size_t why_size)
{
	struct account *a = calloc(1, sizeof(*a));
	int err = -NTM_ENOMEM;

	snprintf(why, why_size, "%s", err_text(err));
	if (!a)
		return err;
	a->env = env;
	a->state_dir = strdup(state_dir);
	a->secrets = ntmc_secret_alloc(sizeof(*a->secrets));
	if (!a->state_dir || !a->secrets)
		goto err_free;
	err = file_make_folder(state_dir, 0700);
	if (err) {
		snprintf(why, why_size, "the folder %s cannot be made: %s",
			 state_dir, err_text(err));
		goto err_free;
	}
	err = identity_open(a, why, why_size);
	if (err)
		goto err_free;
	err = boot_raise(a, why, why_size);
	if (err)
		goto err_free;
	session_load(a);
	*out = a;
	return 0;

err_free:
	account_free(a);
	return err;
}

void account_free(struct account *a)
{
	if (!a)
		return;
	ntmc_trust_free(a->trust);
	ntmc_secret_free(a->secrets, sizeof(*a->secrets));
	free(a->state_dir);
	free(a);
}

/* struct managers - a login's GMSs as the session file has them; borrows from it */
struct managers {
	Ntm__State__Manager msg[ACCOUNT_MANAGERS_MAX],
		*list[ACCOUNT_MANAGERS_MAX];
	uint8_t buf[ACCOUNT_MANAGERS_MAX][ACCOUNT_WAYS_MAX][STATEFILE_ADDR_MAX];
	ProtobufCBinaryData at[ACCOUNT_MANAGERS_MAX][ACCOUNT_WAYS_MAX];
};

static int managers_take(const Ntm__LoginResponse *r, struct managers *m,
			 Ntm__State__Session *s)
{
	struct addr addr;
	size_t i, k;

	s->managers = m->list;
	for (i = 0; i < r->n_group_managers && i < ACCOUNT_MANAGERS_MAX; i++) {
		const Ntm__GroupManager *from = r->group_managers[i];
		Ntm__State__Manager *to = &m->msg[i];

		ntm__state__manager__init(to);
		to->name = from->name;
		to->ed_pub = from->ed_pub;
		to->key_id = from->key_id;
		to->key = from->key;
		to->addresses = m->at[i];
		for (k = 0; k < from->n_addresses && k < ACCOUNT_WAYS_MAX;
		     k++) {
			if (addr_from_message(from->addresses[k], &addr))
				return -NTM_EDECODE;
			m->at[i][k].len =
				statefile_addr_put(&addr, m->buf[i][k]);
			m->at[i][k].data = m->buf[i][k];
			to->n_addresses++;
		}
		m->list[s->n_managers++] = to;
	}
	return 0;
}

static int response_check(const Ntm__LoginResponse *r)
{
	if (r->kntmdc.len != NTMC_KEY_LEN || !r->node_id || !r->n_dc ||
	    r->n_dc > ACCOUNT_DC_MAX || !r->fqdn || !r->lifetime_s)
		return -NTM_EDECODE;
	return 0;
}

int account_adopt(struct account *a, const struct join *join,
		  const Ntm__LoginResponse *r)
{
	uint8_t dc_buf[ACCOUNT_DC_MAX][STATEFILE_ADDR_MAX];
	Ntm__State__Session s = NTM__STATE__SESSION__INIT;
	ProtobufCBinaryData dc[ACCOUNT_DC_MAX];
	char text[JOIN_TEXT_MAX];
	struct managers managers;
	struct addr addr;
	struct fresh f;
	int err;

	err = response_check(r);
	if (!err)
		err = join_format(join, text);
	if (err)
		return err;
	s.obtained = ntmc_now(&a->env->crypto);
	s.expires = s.obtained + r->lifetime_s;
	s.join = text;
	s.fqdn = r->fqdn;
	s.node_id = r->node_id;
	s.kntmdc = r->kntmdc;
	s.certificate = r->certificate;
	s.ca = r->ca;
	s.token = r->token;
	s.box_port = r->box_port;
	for (size_t i = 0; i < r->n_dc; i++) {
		if (addr_from_message(r->dc[i], &addr))
			return -NTM_EDECODE;
		dc[i].len = statefile_addr_put(&addr, dc_buf[i]);
		dc[i].data = dc_buf[i];
	}
	s.n_dc = r->n_dc;
	s.dc = dc;
	err = managers_take(r, &managers, &s);
	if (err)
		return err;
	err = fresh_check(a, join->ca_fp, &s.ca, &s.certificate, s.fqdn,
			  s.obtained, &f);
	if (err)
		return err;
	err = statefile_save(a->state_dir, "session", &s.base);
	if (err) {
		ntmc_trust_free(f.trust);
		return err;
	}
	fresh_take(a, &f, &s, join);
	log_info("account", "logged in as %s until %lld", a->fqdn,
		 (long long)a->expires);
	return 0;
}

void account_forget(struct account *a, int code)
{
	statefile_remove(a->state_dir, "session");
	ntmc_key_clear(&a->secrets->kntmdc);
	ntmc_trust_free(a->trust);
	a->trust = NULL;
	a->logged_in = false;
	a->ended = code < 0 ? -code : code;
}

/* SPDX-License-Identifier: MIT */
/* enrol - how a machine that has no CA becomes a relay, an NS or a CS of a domain */
#include "servers/enrol.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "servers/datadir.h"
#include "servers/removed.h"
#include "servers/servercert.h"

#define ENROL_LINE_MAX (2 * NTMC_CERT_MAX + 32)

static const struct {
	const char *head; /* of the file, before its version */
	enum datadir_file key, cert;
	uint32_t bit;
	bool needs[ENROL_TOS];
} kinds[] = {
	[ENROL_RELAY] = {"ntm-relay",
			 DATADIR_RS_KEY,
			 DATADIR_RS_CERT,
			 NTMC_ROLE_RS,
			 {[ENROL_TO_DC] = true}},
	[ENROL_NOTIFIER] = {"ntm-notifier",
			    DATADIR_NS_KEY,
			    DATADIR_NS_CERT,
			    NTMC_ROLE_NS,
			    {[ENROL_TO_DC] = true}},
	[ENROL_CACHE] = {"ntm-cache",
			 DATADIR_CS_KEY,
			 DATADIR_CS_CERT,
			 NTMC_ROLE_CS,
			 {[ENROL_TO_AS] = true, [ENROL_TO_BOX] = true}},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char *const to_names[ENROL_TOS] = {
	[ENROL_TO_DC] = "dc", [ENROL_TO_AS] = "as", [ENROL_TO_BOX] = "box"};

void enrol_clear(struct enrol *e)
{
	ntmc_wipe(e, sizeof(*e));
}

/* --- making ---------------------------------------------------------------------- */

static int load_ca(const char *dir, struct ntmc_ca **out)
{
	char key[DATADIR_PATH_MAX], cert[DATADIR_PATH_MAX];
	int r = datadir_file(dir, DATADIR_CA_KEY, key);

	if (!r)
		r = datadir_file(dir, DATADIR_CA_CERT, cert);
	return r ? r : ntmc_ca_load(key, cert, out);
}

/* Where the box is nodes are told by dc.address. Return: how many, or -NTM_EINVAL */
static int announced(const struct server_conf *c, enum enrol_to to,
		     struct addr list[static SERVERCONF_ADDRESSES_MAX])
{
	switch (to) {
	case ENROL_TO_AS:
		return serverconf_announced(c->as_address, c->as_listen,
					    (uint16_t)c->as_port, list);
	case ENROL_TO_BOX:
		return c->box_port ? serverconf_announced(
					     c->dc_address, c->box_listen,
					     (uint16_t)c->box_port, list)
				   : 0;
	case ENROL_TO_DC:
	case ENROL_TOS:
	default:
		return serverconf_announced(c->dc_address, c->dc_listen,
					    (uint16_t)c->dc_port, list);
	}
}

static int find_ways(const struct server_conf *c, struct enrol *e)
{
	struct addr list[SERVERCONF_ADDRESSES_MAX];

	for (int to = 0; to < ENROL_TOS; to++) {
		struct server_ways *w = &e->to[to];
		int n;

		if (!kinds[e->kind].needs[to])
			continue;
		n = announced(c, (enum enrol_to)to, list);
		if (n < 1)
			return -NTM_ECONF;
		for (int i = 0; i < n && i < SERVERCONF_WAYS_MAX; i++)
			w->a[w->n++] = list[i];
	}
	return 0;
}

static int name_for(const struct server_conf *c, const struct enrol *e,
		    char out[static FQDN_MAX + 1])
{
	uint8_t fp[NTMC_FP_LEN];
	char text[NTMC_FP_TEXT_LEN];
	int n;

	ntmc_fingerprint(e->id.ed_pub, fp);
	ntmc_fingerprint_text(fp, text);
	if (e->kind == ENROL_CACHE)
		n = snprintf(out, FQDN_MAX + 1, "cs-%.16s.%s", text, c->domain);
	else
		n = snprintf(out, FQDN_MAX + 1, "%s", c->domain);
	return n > FQDN_MAX ? -NTM_EINVAL : 0;
}

int enrol_new(const char *dir, const struct server_conf *conf,
	      enum enrol_kind kind, int64_t now, struct enrol *out)
{
	char name[FQDN_MAX + 1];
	struct enrol e = {.kind = kind,
			  .ca_len = NTMC_CERT_MAX,
			  .cert_len = NTMC_CERT_MAX};
	struct ntmc_ca *ca = NULL;
	int r = find_ways(conf, &e);

	if (!r)
		r = load_ca(dir, &ca);
	if (r)
		return r;
	snprintf(e.domain, sizeof(e.domain), "%s", conf->domain);
	ntmc_identity_new(NULL, &e.id);
	r = name_for(conf, &e, name);
	if (!r)
		r = ntmc_ca_der(ca, e.ca, &e.ca_len);
	if (!r)
		r = servercert_issue(ca, name, kinds[kind].bit, &e.id, now,
				     e.cert, &e.cert_len);
	ntmc_ca_free(ca);
	if (!r)
		*out = e;
	enrol_clear(&e);
	return r;
}

int enrol_renew(const char *dir, struct ntmc_ca *ca,
		const struct ntmc_trust *trust, const ProtobufCBinaryData *old,
		int64_t now, uint8_t *der, size_t *len)
{
	const int64_t life = (int64_t)SERVERCERT_DAYS * 86400;
	const uint32_t away = NTMC_ROLE_RS | NTMC_ROLE_NS | NTMC_ROLE_CS;
	uint8_t fp[NTMC_FP_LEN];
	struct ntmc_cert c;
	int r = ntmc_trust_verify(trust, old->data, old->len, now, &c);

	if (r)
		return r;
	if (c.kind != NTMC_CERT_SERVER || !c.roles || c.roles & ~away)
		return -NTM_EPERM;
	ntmc_fingerprint(c.ed_pub, fp);
	if (removed_has(dir, fp))
		return -NTM_EDISABLED;
	/* a day: for clocks that differ */
	if (c.not_after - now > life / 2 + 86400)
		return -NTM_EEXISTS;
	return ntmc_ca_issue(NULL, ca, &c, now - NTMC_CERT_BACKDATE_S,
			     now + life, der, len);
}

/* --- as text ----------------------------------------------------------------------- */

struct text {
	char *out;
	size_t used;
};

static void put(struct text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->out + t->used, ENROL_TEXT_MAX - t->used, fmt, ap);
	va_end(ap);
	t->used += n < 0 ? ENROL_TEXT_MAX : (size_t)n;
	if (t->used >= ENROL_TEXT_MAX)
		t->used = ENROL_TEXT_MAX - 1; /* full: said at the end */
}

static void put_hex(struct text *t, const char *name, const uint8_t *data,
		    size_t len)
{
	put(t, "%s ", name);
	for (size_t i = 0; i < len; i++)
		put(t, "%02x", data[i]);
	put(t, "\n");
}

int enrol_format(const struct enrol *e, char out[static ENROL_TEXT_MAX])
{
	struct text t = {.out = out};
	char addr[ADDR_TEXT_LEN];

	put(&t, "%s 1\ndomain %s\n", kinds[e->kind].head, e->domain);
	for (int to = 0; to < ENROL_TOS; to++)
		for (size_t i = 0; i < e->to[to].n; i++)
			put(&t, "%s %s\n", to_names[to],
			    addr_format(&e->to[to].a[i], addr));
	put_hex(&t, "ca", e->ca, e->ca_len);
	put_hex(&t, "certificate", e->cert, e->cert_len);
	put_hex(&t, "ed25519", e->id.ed_priv.b, NTMC_KEY_LEN);
	put_hex(&t, "x25519", e->id.x_priv.b, NTMC_KEY_LEN);
	return t.used == ENROL_TEXT_MAX - 1 ? -NTM_ETOOBIG : (int)t.used;
}

/* --- and back ------------------------------------------------------------------------ */

struct reader {
	const char *p, *end;
	char line[ENROL_LINE_MAX];
};

/* the value of the next line if it is @name's, else NULL and nothing is consumed */
static const char *value(struct reader *r, const char *name)
{
	size_t left = (size_t)(r->end - r->p), n = strlen(name);
	const char *newline = left ? memchr(r->p, '\n', left) : NULL;
	size_t len = newline ? (size_t)(newline - r->p) : 0;

	if (!newline || len >= ENROL_LINE_MAX || len < n + 1 ||
	    memcmp(r->p, name, n) || r->p[n] != ' ' || memchr(r->p, '\0', len))
		return NULL;
	memcpy(r->line, r->p + n + 1, len - n - 1);
	r->line[len - n - 1] = '\0';
	r->p = newline + 1;
	return r->line;
}

static int digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

/* Return: bytes, 0: not @min to @max of them in lower-case hexadecimal digits */
static size_t value_hex(struct reader *r, const char *name, uint8_t *out,
			size_t min, size_t max)
{
	const char *v = value(r, name);
	size_t len = v ? strlen(v) : 0;

	if (len % 2 || len / 2 < min || len / 2 > max)
		return 0;
	for (size_t i = 0; i < len / 2; i++) {
		int hi = digit(v[2 * i]), lo = digit(v[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return 0;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return len / 2;
}

/* the addresses that this kind must have */
static int decode_ways(struct reader *r, struct enrol *e)
{
	const char *v;

	for (int to = 0; to < ENROL_TOS; to++) {
		struct server_ways *w = &e->to[to];

		if (!kinds[e->kind].needs[to])
			continue;
		while ((v = value(r, to_names[to]))) {
			if (w->n == SERVERCONF_WAYS_MAX ||
			    addr_parse(v, 0, &w->a[w->n]) ||
			    !addr_port(&w->a[w->n]))
				return -NTM_EDECODE;
			w->n++;
		}
		if (!w->n)
			return -NTM_EDECODE;
	}
	return 0;
}

static int decode(struct reader *r, struct enrol *e)
{
	const char *v = NULL;

	for (size_t i = 0; !v && i < KINDS; i++) {
		v = value(r, kinds[i].head);
		e->kind = (enum enrol_kind)i;
	}
	if (!v || strcmp(v, "1"))
		return -NTM_EDECODE;
	v = value(r, "domain");
	if (!v || fqdn_normalize(v, e->domain))
		return -NTM_EDECODE;
	if (decode_ways(r, e))
		return -NTM_EDECODE;
	e->ca_len = value_hex(r, "ca", e->ca, 1, sizeof(e->ca));
	e->cert_len = value_hex(r, "certificate", e->cert, 1, sizeof(e->cert));
	if (!e->ca_len || !e->cert_len ||
	    !value_hex(r, "ed25519", e->id.ed_priv.b, NTMC_KEY_LEN,
		       NTMC_KEY_LEN) ||
	    !value_hex(r, "x25519", e->id.x_priv.b, NTMC_KEY_LEN,
		       NTMC_KEY_LEN) ||
	    r->p != r->end)
		return -NTM_EDECODE;
	ntmc_ed25519_public(&e->id.ed_priv, e->id.ed_pub);
	ntmc_x25519_public(&e->id.x_priv, e->id.x_pub);
	return 0;
}

static int check(const struct enrol *e)
{
	struct ntmc_trust_domain domain;
	struct ntmc_trust *trust;
	struct ntmc_cert cert;
	int r = ntmc_trust_new(&trust);

	if (r)
		return r;
	r = ntmc_trust_add(trust, e->ca, e->ca_len, NULL, &domain);
	if (!r)
		r = ntmc_trust_verify(trust, e->cert, e->cert_len,
				      ntmc_now(NULL), &cert);
	ntmc_trust_free(trust);
	if (r)
		return r;
	if (strcmp(domain.domain, e->domain) || cert.kind != NTMC_CERT_SERVER ||
	    !(cert.roles & kinds[e->kind].bit) ||
	    memcmp(cert.ed_pub, e->id.ed_pub, NTMC_KEY_LEN) ||
	    memcmp(cert.x_pub, e->id.x_pub, NTMC_KEY_LEN))
		return -NTM_ECERT;
	return 0;
}

int enrol_parse(const char *text, size_t len, struct enrol *out)
{
	struct reader r = {.p = text, .end = text + len};
	struct enrol e = {.ca_len = 0};
	int err = decode(&r, &e);

	if (!err)
		err = check(&e);
	if (!err)
		*out = e;
	enrol_clear(&e);
	ntmc_wipe(&r, sizeof(r));
	return err;
}

/* --- into a folder ----------------------------------------------------------------------- */

int enrol_store(const struct enrol *e, const char *dir)
{
	char ca[DATADIR_PATH_MAX], key[DATADIR_PATH_MAX],
		cert[DATADIR_PATH_MAX];
	int r = datadir_file(dir, DATADIR_DC_CA, ca);

	if (!r)
		r = datadir_file(dir, kinds[e->kind].key, key);
	if (!r)
		r = datadir_file(dir, kinds[e->kind].cert, cert);
	if (!r)
		r = file_write(ca, e->ca, e->ca_len, 0600);
	if (!r)
		r = ntmc_identity_save(&e->id, key);
	/* last: a running server looks at it to see that there are new ones */
	return r ? r : file_write(cert, e->cert, e->cert_len, 0600);
}

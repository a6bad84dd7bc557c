/* SPDX-License-Identifier: MIT */
/* servercert - the keys and certificates by which a domain's servers know each other */
#include "servers/servercert.h"

#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "servers/datadir.h"

#define DAY_S 86400

static const struct {
	const char *role;
	enum datadir_file key, cert;
	uint32_t bit;
	const char
		*name; /* before the domain: who comes by HTTPS looks at it */
} servers[] = {
	{"as", DATADIR_AS_KEY, DATADIR_AS_CERT, NTMC_ROLE_AS, NULL},
	{"dc", DATADIR_DC_KEY, DATADIR_DC_CERT, NTMC_ROLE_DC, NULL},
	{"rs", DATADIR_RS_KEY, DATADIR_RS_CERT, NTMC_ROLE_RS, NULL},
	{"ns", DATADIR_NS_KEY, DATADIR_NS_CERT, NTMC_ROLE_NS, NULL},
	{"cs", DATADIR_CS_KEY, DATADIR_CS_CERT, NTMC_ROLE_CS, "cs"},
	{"box", DATADIR_BOX_KEY, DATADIR_BOX_CERT, NTMC_ROLE_BOX, "box"},
	{"gms", DATADIR_GMS_KEY, DATADIR_GMS_CERT, NTMC_ROLE_GMS, "gms"},
};
#define N_SERVERS (sizeof(servers) / sizeof(servers[0]))

/* of a role there is; the callers name them by constants */
static size_t server_of(const char *role)
{
	size_t i = 0;

	while (strcmp(servers[i].role, role))
		i++;
	return i;
}

static int cert_on_disk(const char *dir, enum datadir_file f, uint8_t *der,
			size_t *len, struct ntmc_cert *out)
{
	char path[DATADIR_PATH_MAX];
	uint8_t *data;
	size_t n;
	int r = datadir_file(dir, f, path);

	if (!r)
		r = file_read(path, NTMC_CERT_MAX, &data, &n);
	if (r)
		return r;
	r = ntmc_cert_parse(data, n, out);
	if (!r && der) {
		memcpy(der, data, n);
		*len = n;
	}
	file_free(data, n);
	return r;
}

static int identity(const char *dir, enum datadir_file f,
		    struct ntmc_identity *id)
{
	char path[DATADIR_PATH_MAX];
	int r = datadir_file(dir, f, path);

	if (!r)
		r = ntmc_identity_load(path, id);
	if (r != -NTM_ENOTFOUND)
		return r;
	ntmc_identity_new(NULL, id);
	return ntmc_identity_save(id, path);
}

/* a folder of before this role was there lacks its part */
static int make_folder(const char *dir, const char *role)
{
	char path[DATADIR_PATH_MAX];
	int r = datadir_path(dir, role, path);

	return r ? r : file_make_folder(path, 0700);
}

int servercert_issue(struct ntmc_ca *ca, const char *name, uint32_t roles,
		     const struct ntmc_identity *id, int64_t now, uint8_t *der,
		     size_t *len)
{
	struct ntmc_cert cert = {.kind = NTMC_CERT_SERVER, .roles = roles};

	snprintf(cert.fqdn, sizeof(cert.fqdn), "%s", name);
	memcpy(cert.ed_pub, id->ed_pub, NTMC_KEY_LEN);
	memcpy(cert.x_pub, id->x_pub, NTMC_KEY_LEN);
	ntmc_static_sign(id, cert.x_sig);
	return ntmc_ca_issue(NULL, ca, &cert, now - NTMC_CERT_BACKDATE_S,
			     now + (int64_t)SERVERCERT_DAYS * DAY_S, der, len);
}

static int renew_one(const char *dir, struct ntmc_ca *ca, const char *domain,
		     int64_t now, size_t i)
{
	struct ntmc_identity id;
	char path[DATADIR_PATH_MAX], name[NTMC_FQDN_MAX + 1];
	uint8_t der[NTMC_CERT_MAX];
	size_t len = sizeof(der);
	int r = make_folder(dir, servers[i].role);

	if (snprintf(name, sizeof(name), "%s%s%s",
		     servers[i].name ? servers[i].name : "",
		     servers[i].name ? "." : "", domain) > NTMC_FQDN_MAX)
		return -NTM_EINVAL;
	if (!r)
		r = identity(dir, servers[i].key, &id);
	if (r)
		return r;
	r = servercert_issue(ca, name, servers[i].bit, &id, now, der, &len);
	ntmc_identity_clear(&id);
	if (!r)
		r = datadir_file(dir, servers[i].cert, path);
	return r ? r : file_write(path, der, len, 0600);
}

int servercert_renew(const char *dir, struct ntmc_ca *ca, const char *domain,
		     int64_t now, bool force, bool *renewed)
{
	for (size_t i = 0; i < N_SERVERS; i++) {
		struct ntmc_cert old;
		int r = cert_on_disk(dir, servers[i].cert, NULL, NULL, &old);

		if (!r && !force &&
		    old.not_after - now > (int64_t)SERVERCERT_DAYS * DAY_S / 2)
			continue;
		if (r && r != -NTM_ENOTFOUND)
			return r;
		r = renew_one(dir, ca, domain, now, i);
		if (r)
			return r;
		if (renewed)
			*renewed = true;
	}
	return 0;
}

static int load_ca(const char *dir, uint8_t *der, size_t *len)
{
	char path[DATADIR_PATH_MAX];
	uint8_t *data;
	size_t n;
	int r = datadir_file(dir, DATADIR_DC_CA, path);

	if (!r)
		r = file_read(path, NTMC_CERT_MAX, &data, &n);
	if (r)
		return r;
	memcpy(der, data, n);
	*len = n;
	file_free(data, n);
	return 0;
}

/* struct on_disk - a server's certificate, its CA and its key */
struct on_disk {
	uint8_t der[NTMC_CERT_MAX], ca[NTMC_CERT_MAX];
	size_t len, ca_len;
	struct ntmc_cert cert;
	struct ntmc_identity id; /* to be cleared after 0 */
};

static int read_all(const char *dir, const char *role, struct on_disk *out)
{
	size_t i = server_of(role);
	char path[DATADIR_PATH_MAX];
	int r = cert_on_disk(dir, servers[i].cert, out->der, &out->len,
			     &out->cert);

	if (!r)
		r = load_ca(dir, out->ca, &out->ca_len);
	if (!r)
		r = datadir_file(dir, servers[i].key, path);
	return r ? r : ntmc_identity_load(path, &out->id);
}

int servercert_load(const char *dir, const char *role, struct servercert *out)
{
	struct servercert c = {.trust = NULL};
	struct on_disk d;
	int r = read_all(dir, role, &d);

	if (r)
		return r;
	r = ntmc_trust_new(&c.trust);
	if (!r)
		r = ntmc_trust_add(c.trust, d.ca, d.ca_len, NULL, &c.domain);
	if (!r)
		r = tls_context_new(&d.id, d.der, d.len, d.ca, d.ca_len,
				    c.trust, NULL, &c.tls);
	ntmc_identity_clear(&d.id);
	if (r) {
		servercert_clear(&c);
		return r;
	}
	c.not_after = d.cert.not_after;
	*out = c;
	return 0;
}

int servercert_der(const char *dir, const char *role,
		   uint8_t der[static NTMC_CERT_MAX], size_t *len)
{
	struct ntmc_cert cert;

	return cert_on_disk(dir, servers[server_of(role)].cert, der, len,
			    &cert);
}

int servercert_put(const char *dir, const char *role, const uint8_t *der,
		   size_t len)
{
	char path[DATADIR_PATH_MAX];
	int r = datadir_file(dir, servers[server_of(role)].cert, path);

	return r ? r : file_write(path, der, len, 0600);
}

int servercert_pem(const char *dir, const char *role,
		   struct servercert_pem *out)
{
	size_t used;
	struct on_disk d;
	int r = read_all(dir, role, &d);

	if (r)
		return r;
	if (memcmp(d.cert.ed_pub, d.id.ed_pub, NTMC_KEY_LEN))
		r = -NTM_ECERT;
	if (!r)
		r = ntmc_identity_pem(&d.id, out->key, sizeof(out->key));
	if (!r)
		r = ntmc_cert_pem(d.ca, d.ca_len, out->ca, sizeof(out->ca));
	if (!r)
		r = ntmc_cert_pem(d.der, d.len, out->certificate,
				  sizeof(out->certificate));
	if (!r) {
		used = strlen(out->certificate);
		snprintf(out->certificate + used,
			 sizeof(out->certificate) - used, "%s", out->ca);
	}
	ntmc_identity_clear(&d.id);
	if (r)
		servercert_pem_clear(out);
	return r;
}

void servercert_pem_clear(struct servercert_pem *p)
{
	ntmc_wipe(p, sizeof(*p));
}

void servercert_clear(struct servercert *c)
{
	tls_context_free(c->tls);
	ntmc_trust_free(c->trust);
	c->tls = NULL;
	c->trust = NULL;
}

bool servercert_is_stale(const char *dir, const char *role,
			 const struct servercert *c)
{
	struct ntmc_cert now;
	size_t i = server_of(role);

	return !cert_on_disk(dir, servers[i].cert, NULL, NULL, &now) &&
	       now.not_after != c->not_after;
}

/* SPDX-License-Identifier: MIT */
/*
 * trust - the CAs a node or server trusts, and certificates held against them
 *
 * Theory of operation
 *
 * Each trusted CA speaks for one domain and one /64 (constraint.c), and no two
 * may overlap: neither share a /64, nor stand one domain under the other, else
 * the upper could speak for the lower. Adding a CA again with the same key
 * replaces it, which is how a longer lifetime arrives.
 *
 * A certificate passes when it parses (cert.c), names a trusted CA as its
 * issuer, bears that CA's signature, is in both lifetimes, and keeps to the
 * CA's constraints, by GnuTLS's check and by ours. Lifetimes are compared with
 * the caller's clock; GnuTLS's own look at the time is switched off.
 *
 * The same certificate is met again and again (each request of a server, each item of a
 * device), and a signature takes a quarter of a millisecond. So what passed is kept, by
 * its hash: SEEN certificates and signatures, the oldest goes. Times are compared each
 * time. What changes the list of CAs empties it.
 */
#include "libntmcrypto/cert.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TRUST_MAX     1024 /* domains */
#define CLOCK_SLACK_S 300  /* a certificate may be this much from the future */
#define SEEN	      32

struct anchor {
	struct ntmc_trust_domain domain;
	gnutls_x509_crt_t crt;
	int64_t not_before, not_after;
};

/* of a certificate; @cert is all zero of a signature */
struct seen {
	bool used;
	uint8_t hash[NTMC_HASH_LEN];
	struct ntmc_cert cert;
	int64_t not_before, not_after; /* of its CA */
};

struct cache {
	pthread_mutex_t lock; /* below */
	struct seen seen[SEEN];
	size_t next;
};

struct ntmc_trust {
	struct anchor *anchor;
	size_t n;
	struct cache *cache; /* verifying changes nothing else */
};

int ntmc_trust_new(struct ntmc_trust **out)
{
	struct ntmc_trust *t = calloc(1, sizeof(*t));

	if (!t)
		return -NTM_ENOMEM;
	t->cache = calloc(1, sizeof(*t->cache));
	if (!t->cache) {
		free(t);
		return -NTM_ENOMEM;
	}
	pthread_mutex_init(&t->cache->lock, NULL);
	*out = t;
	return 0;
}

void ntmc_trust_free(struct ntmc_trust *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		gnutls_x509_crt_deinit(t->anchor[i].crt);
	free(t->anchor);
	pthread_mutex_destroy(&t->cache->lock);
	free(t->cache);
	free(t);
}

/* --- what passed before
 * -------------------------------------------------------------------------- */

static void seen_clear(struct ntmc_trust *t)
{
	pthread_mutex_lock(&t->cache->lock);
	memset(t->cache->seen, 0, sizeof(t->cache->seen));
	pthread_mutex_unlock(&t->cache->lock);
}

static bool seen_get(const struct ntmc_trust *t, const uint8_t *hash,
		     struct seen *out)
{
	struct cache *c = t->cache;
	bool found = false;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < SEEN && !found; i++) {
		found = c->seen[i].used &&
			!memcmp(c->seen[i].hash, hash, NTMC_HASH_LEN);
		if (found)
			*out = c->seen[i];
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}

static void seen_put(const struct ntmc_trust *t, const struct seen *s)
{
	struct cache *c = t->cache;

	pthread_mutex_lock(&c->lock);
	c->seen[c->next++ % SEEN] = *s;
	pthread_mutex_unlock(&c->lock);
}

/* --- adding
 * -------------------------------------------------------------------------- */

static bool same_key(const struct ntmc_trust_domain *a,
		     const struct ntmc_trust_domain *b)
{
	return !memcmp(a->fp, b->fp, sizeof(a->fp));
}

static bool overlap(const struct ntmc_trust_domain *a,
		    const struct ntmc_trust_domain *b)
{
	return !memcmp(a->prefix6, b->prefix6, sizeof(a->prefix6)) ||
	       x509_name_within(a->domain, b->domain) ||
	       x509_name_within(b->domain, a->domain);
}

/* the place for @d: an old one of the same key and domain, or the end */
static int find_place(const struct ntmc_trust *t,
		      const struct ntmc_trust_domain *d, size_t *place)
{
	*place = t->n;
	for (size_t i = 0; i < t->n; i++) {
		const struct ntmc_trust_domain *have = &t->anchor[i].domain;

		if (same_key(have, d) && !strcmp(have->domain, d->domain))
			*place = i;
		else if (overlap(have, d))
			return -NTM_ECONSTRAINT;
	}
	return 0;
}

static int put_anchor(struct ntmc_trust *t, const struct anchor *a)
{
	struct anchor *grown;
	size_t place;
	int r;

	r = find_place(t, &a->domain, &place);
	if (r)
		return r;
	seen_clear(t);
	if (place < t->n) {
		gnutls_x509_crt_deinit(t->anchor[place].crt);
		t->anchor[place] = *a;
		return 0;
	}
	if (t->n == TRUST_MAX)
		return -NTM_ELIMIT;
	grown = realloc(t->anchor, (t->n + 1) * sizeof(*grown));
	if (!grown)
		return -NTM_ENOMEM;
	t->anchor = grown;
	t->anchor[t->n++] = *a;
	return 0;
}

int ntmc_trust_add(struct ntmc_trust *t, const uint8_t *der, size_t len,
		   const uint8_t *fp, struct ntmc_trust_domain *out)
{
	uint8_t pub[NTMC_KEY_LEN], got[NTMC_FP_LEN];
	struct anchor a;
	int r;

	r = x509_ca_import(der, len, &a.crt, pub, &a.domain);
	if (r && r != -NTM_ECONSTRAINT)
		return r;
	ntmc_fingerprint(pub, got);
	if (fp && memcmp(fp, got, sizeof(got))) {
		if (!r)
			gnutls_x509_crt_deinit(a.crt);
		return -NTM_EPIN; /* says more than the constraints do */
	}
	if (r)
		return r;
	a.not_before = gnutls_x509_crt_get_activation_time(a.crt);
	a.not_after = gnutls_x509_crt_get_expiration_time(a.crt);
	r = put_anchor(t, &a);
	if (r)
		gnutls_x509_crt_deinit(a.crt);
	else if (out)
		*out = a.domain;
	return r;
}

void ntmc_trust_each(const struct ntmc_trust *t,
		     void (*fn)(void *arg, const struct ntmc_trust_domain *d),
		     void *arg)
{
	for (size_t i = 0; i < t->n; i++)
		fn(arg, &t->anchor[i].domain);
}

void ntmc_trust_remove(struct ntmc_trust *t, const char *domain)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->anchor[i].domain.domain, domain))
			continue;
		seen_clear(t);
		gnutls_x509_crt_deinit(t->anchor[i].crt);
		memmove(&t->anchor[i], &t->anchor[i + 1],
			(--t->n - i) * sizeof(t->anchor[0]));
		return;
	}
}

/* --- verifying
 * ----------------------------------------------------------------------- */

static int check_time(int64_t not_before, int64_t not_after, int64_t now)
{
	if (now < not_before - CLOCK_SLACK_S)
		return -NTM_ECLOCK;
	return now > not_after ? -NTM_EEXPIRED : 0;
}

/* signature and constraints by GnuTLS, constraints by hand */
static int check_chain(const struct anchor *a, gnutls_x509_crt_t crt,
		       const struct ntmc_cert *c)
{
	gnutls_x509_crt_t ca = a->crt;
	unsigned int status = 0;

	if (gnutls_x509_crt_verify(
		    crt, &ca, 1,
		    GNUTLS_VERIFY_DISABLE_TIME_CHECKS |
			    GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS,
		    &status) < 0)
		return -NTM_ECERT;
	if (status & GNUTLS_CERT_SIGNATURE_FAILURE)
		return -NTM_ECERT;
	if ((status & GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE) ||
	    !x509_within(&a->domain, c))
		return -NTM_ECONSTRAINT;
	return status ? -NTM_ECERT : 0;
}

/* Of those that call themselves its issuer the one whose domain it is in: names and key
 * identifiers of CAs are theirs to choose, and one may copy another's. */
static const struct anchor *find_issuer(const struct ntmc_trust *t,
					gnutls_x509_crt_t crt,
					const struct ntmc_cert *c)
{
	const struct anchor *other = NULL;

	for (size_t i = 0; i < t->n; i++) {
		const struct anchor *a = &t->anchor[i];

		if (!gnutls_x509_crt_check_issuer(crt, a->crt))
			continue;
		if (x509_name_within(c->fqdn, a->domain.domain))
			return a;
		other = a;
	}
	return other;
}

/* all but the time */
static int verify_anew(const struct ntmc_trust *t, const uint8_t *der,
		       size_t len, struct seen *out)
{
	const struct anchor *a;
	gnutls_x509_crt_t crt;
	int r;

	r = cert_import(der, len, &crt, &out->cert);
	if (r)
		return r;
	a = find_issuer(t, crt, &out->cert);
	r = a ? check_chain(a, crt, &out->cert) : -NTM_ECERT;
	gnutls_x509_crt_deinit(crt);
	if (r)
		return r;
	out->used = true;
	out->not_before = a->not_before;
	out->not_after = a->not_after;
	seen_put(t, out);
	return 0;
}

int ntmc_trust_verify_late(const struct ntmc_trust *t, const uint8_t *der,
			   size_t len, int64_t now, unsigned int late_s,
			   struct ntmc_cert *out)
{
	struct seen s = {.used = false};
	int r = 0;

	ntmc_sha256(der, len, s.hash);
	if (!seen_get(t, s.hash, &s))
		r = verify_anew(t, der, len, &s);
	if (!r)
		r = check_time(s.not_before, s.not_after, now);
	if (!r)
		r = check_time(s.cert.not_before, s.cert.not_after + late_s,
			       now);
	if (!r)
		*out = s.cert;
	return r;
}

int ntmc_trust_verify(const struct ntmc_trust *t, const uint8_t *der,
		      size_t len, int64_t now, struct ntmc_cert *out)
{
	return ntmc_trust_verify_late(t, der, len, now, 0, out);
}

int trust_signed(const struct ntmc_trust *t,
		 const uint8_t pub[static NTMC_KEY_LEN], const uint8_t *msg,
		 size_t len, const uint8_t sig[static NTMC_SIG_LEN])
{
	struct seen s = {.used = false}, old;
	struct ntmc_digest *d;
	int r = ntmc_digest_new(&d);

	if (r)
		return r;
	/* no certificate begins so */
	ntmc_digest_add(d, "signed", 6);
	ntmc_digest_add(d, pub, NTMC_KEY_LEN);
	ntmc_digest_add(d, sig, NTMC_SIG_LEN);
	ntmc_digest_add(d, msg, len);
	ntmc_digest_end(d, s.hash);
	ntmc_digest_free(d);
	if (seen_get(t, s.hash, &old))
		return 0;
	r = ntmc_ed25519_verify(pub, msg, len, sig);
	s.used = true;
	if (!r)
		seen_put(t, &s);
	return r;
}

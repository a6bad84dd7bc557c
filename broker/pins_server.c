/* SPDX-License-Identifier: MIT */
/* pins_server - the CAs of domains: our own's by its fingerprint, others' with certificate */
#include "broker/pins_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pins_server *pins_server_find(const struct pins *p, const char *domain)
{
	struct pins_server *s = p->servers;

	while (s && strcmp(s->domain, domain))
		s = s->next;
	return s;
}

int pins_server_set(struct pins *p, const char *domain, const uint8_t *fp)
{
	struct pins_server *s = pins_server_find(p, domain);

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

int pins_server_set_ca(struct pins_server *s, const uint8_t *ca, size_t len)
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

int pins_server_check(const struct pins *p, const char *domain,
		      const uint8_t fp[static NTMC_FP_LEN])
{
	const struct pins_server *s = pins_server_find(p, domain);

	return s && memcmp(s->fp, fp, NTMC_FP_LEN) ? -NTM_EPIN : 0;
}

int pins_server_learn(struct pins *p, const char *domain,
		      const uint8_t fp[static NTMC_FP_LEN])
{
	const struct pins_server *s = pins_server_find(p, domain);
	int err;

	if (s && !memcmp(s->fp, fp, NTMC_FP_LEN))
		return 0;
	err = pins_server_set(p, domain, fp);
	if (!err)
		err = pins_save(p, pins_saved, p);
	return err ? err : writer_flush(p->writer);
}

int pins_server_keep(struct pins *p, const char *domain,
		     const uint8_t fp[static NTMC_FP_LEN], const uint8_t *ca,
		     size_t len)
{
	int err = pins_server_check(p, domain, fp);

	if (!err)
		err = pins_server_set(p, domain, fp);
	if (!err)
		err = pins_server_set_ca(pins_server_find(p, domain), ca, len);
	if (!err)
		pins_save_later(p);
	return err;
}

const uint8_t *pins_server_ca(const struct pins *p, const char *domain,
			      size_t *len)
{
	const struct pins_server *s = pins_server_find(p, domain);

	if (s && len)
		*len = s->ca_len;
	return s ? s->ca : NULL;
}

void pins_servers_each(const struct pins *p,
		       void (*fn)(void *arg, const char *domain,
				  const uint8_t *ca, size_t len),
		       void *arg)
{
	for (const struct pins_server *s = p->servers; s; s = s->next)
		fn(arg, s->domain, s->ca, s->ca_len);
}

int pins_server_forget(struct pins *p, const char *domain, writer_fn *fn,
		       void *arg)
{
	struct pins_server **at = &p->servers, *s;

	while (*at && strcmp((*at)->domain, domain))
		at = &(*at)->next;
	s = *at;
	if (!s || !s->ca)
		return -NTM_ENOTFOUND;
	*at = s->next;
	free(s->ca);
	free(s);
	return pins_save(p, fn, arg);
}

/* SPDX-License-Identifier: MIT */
/* ask - requests of ntm-post: header fields, servers */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/post/post.h"

#define HEADERS_MAX 12

/* --- servers
 * ---------------------------------------------------------------------------- */

int post_box(struct post *p, struct web_server *out)
{
	const struct who *w = &p->who;
	size_t i;

	if (!w->logged_in || !w->has_token)
		return -NTM_ENOLOGIN;
	if (!w->n_box)
		return -NTM_ENOTFOUND;
	memset(out, 0, sizeof(*out));
	out->ours = true;
	for (i = 0; i < w->n_box && i < WEB_ADDRS_MAX; i++)
		out->addrs[out->n_addrs++] = w->box[i];
	if ((size_t)snprintf(out->name, sizeof(out->name), "box.%s",
			     w->domain) >= sizeof(out->name) ||
	    !who_ca_file(w, w->domain, out->ca, sizeof(out->ca)))
		return -NTM_EINVAL;
	return 0;
}

int post_server(struct post *p, const json_t *cs, struct web_server *out)
{
	const char *name = json_string_value(json_object_get(cs, "name"));
	const char *domain;
	size_t i;
	json_t *a;

	memset(out, 0, sizeof(*out));
	if (!name || strlen(name) >= sizeof(out->name) || !fqdn_is_valid(name))
		return -NTM_EDECODE;
	domain = who_server_domain(&p->who, name);
	if (!domain)
		return -NTM_ECERT;
	strcpy(out->name, name);
	out->ours = !strcmp(domain, p->who.domain);
	if (!who_ca_file(&p->who, domain, out->ca, sizeof(out->ca)))
		return -NTM_EINVAL;
	json_array_foreach(json_object_get(cs, "addresses"), i, a)
	{
		struct addr *to = &out->addrs[out->n_addrs];

		if (out->n_addrs < WEB_ADDRS_MAX && json_is_string(a) &&
		    !addr_parse(json_string_value(a), 0, to) &&
		    (out->ours || addr_is_usable_remote(to)))
			out->n_addrs++;
	}
	return out->n_addrs ? 0 : -NTM_EDECODE;
}

/* --- requests
 * --------------------------------------------------------------------------- */

struct headers {
	char *line[HEADERS_MAX + 1];
	size_t n;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void
header(struct headers *h, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (h->n == HEADERS_MAX || vasprintf(&h->line[h->n], format, ap) < 0) {
		h->failed = true;
		h->line[h->n] = NULL;
	} else {
		h->n++;
	}
	va_end(ap);
}

static void headers_free(struct headers *h)
{
	while (h->n--) {
		ntmc_wipe(h->line[h->n], strlen(h->line[h->n]));
		free(h->line[h->n]);
	}
}

/* Everything but letters and digits as %XX */
static void message_header(struct headers *h, const char *text)
{
	char out[3 * 256 + 1], *at = out;

	for (; *text && at < out + sizeof(out) - 4; text++) {
		unsigned char c = (unsigned char)*text;

		if (((c | 32) >= 'a' && (c | 32) <= 'z') ||
		    (c >= '0' && c <= '9'))
			*at++ = (char)c;
		else
			at += sprintf(at, "%%%02X", c);
	}
	*at = '\0';
	header(h, "NTM-Message: %s", out);
}

static void headers_make(const struct post *p, const struct post_ask *a,
			 struct headers *h)
{
	char token[NTMC_BASE64URL_LEN(WHO_TOKEN_LEN) + 3];
	size_t i;

	ntmc_base64url_encode(p->who.token, WHO_TOKEN_LEN, token);
	header(h, "NTM-Version: " NTM_VERSION);
	if (!a->bearer || *a->bearer)
		header(h, "Authorization: Bearer %s",
		       a->bearer ? a->bearer : token);
	header(h, "NTM-Node: %s", p->who.fqdn);
	if (a->ids) {
		header(h, "NTM-Application: %s", a->ids->application);
		header(h, "NTM-Service: %s", a->ids->service);
		header(h, "NTM-Item: %s", a->ids->item);
	}
	if (a->to)
		header(h, "NTM-To: %s", a->to);
	if (a->message && *a->message)
		message_header(h, a->message);
	for (i = 0; i < 3; i++)
		if (a->more[i])
			header(h, "%s", a->more[i]);
	ntmc_wipe(token, sizeof(token));
}

int post_ask(struct post *p, const struct post_ask *a, web_fn *done, void *arg,
	     struct web_call **out)
{
	struct headers h = {.n = 0};
	struct web_server box;
	struct web_request r = {
		.server = a->server ? a->server : &box,
		.method = a->method,
		.path = a->path,
		.json = a->json,
		.body = a->body,
		.body_len = a->body_len,
		.read = a->read,
		.length = a->length,
		.write = a->write,
		.json_max = a->json_max,
		.connect_ms = a->connect_ms,
		.stall_s = a->stall_s,
		.last = a->last,
		.together = a->together,
		.done = done,
		.arg = arg,
	};
	int err = a->server ? 0 : post_box(p, &box);
	const char *dot;

	if (err)
		return err;
	/* our token speaks for us: to servers of our own domain alone */
	dot = strchr(r.server->name, '.');
	if (!a->bearer && (!dot || strcmp(dot + 1, p->who.domain)))
		return -NTM_EPERM;
	headers_make(p, a, &h);
	r.headers = (const char *const *)h.line;
	err = h.failed ? -NTM_ENOMEM : web_start(p->web, &r, out);
	post_flush_soon(p);
	headers_free(&h);
	return err;
}

/* --- pins
 * -------------------------------------------------------------------------------- */

/* A key must be the one that the worker knows, and the one that items came under: the
 * worker may have met a device for the first time when its key had changed. What the
 * person has compared stands above both. Whom the worker never met is pinned here. */
int post_pinned(struct post *p, const char *fqdn,
		const uint8_t ed_pub[static NTMC_KEY_LEN])
{
	uint8_t fp[NTMC_FP_LEN], kept[NTMC_FP_LEN];
	bool verified;
	int met, r;

	ntmc_fingerprint(ed_pub, fp);
	met = who_pinned(&p->who, fqdn, fp, &verified);
	if (verified || (met && met != -NTM_ENOTFOUND))
		return met;
	store_bind_text(p->store, PIN_GET, 1, fqdn);
	r = store_step(p->store, PIN_GET);
	if (r < 0)
		return r;
	if (!r)
		return met;
	store_blob(p->store, PIN_GET, 0, kept, sizeof(kept));
	store_reset(p->store, PIN_GET);
	return memcmp(kept, fp, sizeof(fp)) ? -NTM_EPIN : 0;
}

int post_pin(struct post *p, const char *fqdn,
	     const uint8_t ed_pub[static NTMC_KEY_LEN])
{
	uint8_t fp[NTMC_FP_LEN];
	int met = post_pinned(p, fqdn, ed_pub);

	if (met != -NTM_ENOTFOUND)
		return met;
	ntmc_fingerprint(ed_pub, fp);
	store_bind_text(p->store, PIN_PUT, 1, fqdn);
	store_bind_blob(p->store, PIN_PUT, 2, fp, sizeof(fp));
	return store_run(p->store, PIN_PUT);
}

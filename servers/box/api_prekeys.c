/* SPDX-License-Identifier: MIT */
/* api_prekeys - prekeys: a node brings its own, and asks for others' */
#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/item.h"
#include "servers/box/api.h"

static int put_work(struct clerk_job *job, struct shelf *s)
{
	return shelf_put_device(s, ((struct call *)job)->device);
}

/* what a sender checks, too: so that a device hears at once that it errs */
static int prekey_take(struct box *b, const char *fqdn, json_t *o,
		       struct shelf_prekey *out, uint8_t *fp)
{
	struct prekey p = {.not_before = 0};
	const char *text = api_text(o, "certificate");
	size_t digits = text ? strlen(text) : 0;
	struct ntmc_cert cert;

	out->cert_len = digits * 3 / 4;
	if (!digits || out->cert_len > sizeof(out->cert) ||
	    ntmc_base64url_decode(text, out->cert, out->cert_len) ||
	    !api_bytes(o, "id", out->id, sizeof(out->id)) ||
	    !api_bytes(o, "key", out->key, sizeof(out->key)) ||
	    !api_bytes(o, "signature", out->sig, sizeof(out->sig)) ||
	    !api_number(o, "not_before", &out->not_before) ||
	    !api_number(o, "not_after", &out->not_after))
		return -NTM_EDECODE;
	strcpy(p.fqdn, fqdn);
	memcpy(p.id, out->id, sizeof(p.id));
	memcpy(p.pub, out->key, sizeof(p.pub));
	memcpy(p.sig, out->sig, sizeof(p.sig));
	p.not_before = out->not_before;
	p.not_after = out->not_after;
	if (prekey_verify(&p, b->cert.trust, out->cert, out->cert_len,
			  box_now(), &cert))
		return -NTM_EINVAL;
	ntmc_fingerprint(cert.ed_pub, fp);
	return 0;
}

static int prekeys_take(struct box *b, json_t *list, struct shelf_device *d)
{
	uint8_t fp[NTMC_FP_LEN];
	json_t *one;
	size_t i;
	int err;

	d->n = json_array_size(list);
	if (!d->n || d->n > SHELF_PREKEYS_MAX)
		return -NTM_EINVAL;
	json_array_foreach(list, i, one)
	{
		err = prekey_take(b, d->fqdn, one, &d->prekeys[i], fp);
		if (err)
			return err;
		if (i && memcmp(fp, d->fp, sizeof(fp)))
			return -NTM_EINVAL; /* of two identities */
		memcpy(d->fp, fp, sizeof(fp));
	}
	return 0;
}

void api_prekeys_put(struct http_request *q, void *arg)
{
	struct box *b = arg;
	struct call *c = call_new(b, q);
	int err;

	if (!c)
		return;
	c->device = calloc(1, sizeof(*c->device));
	if (!c->device) {
		http_answer_err(q, -NTM_ENOMEM);
		free(c);
		return;
	}
	strcpy(c->device->fqdn, c->node);
	err = prekeys_take(b, json_object_get(http_json(q), "prekeys"),
			   c->device);
	if (!err) {
		call_start(c, put_work);
		return;
	}
	api_refuse(
		q,
		err == -NTM_EDECODE
			? "a prekey lacks a field, or one has the wrong form"
			: "1 to 8 prekeys of one identity, each valid now and "
			  "signed by the certificate beside it");
	free(c->device);
	free(c);
}

static int prekeys_work(struct clerk_job *job, struct shelf *s)
{
	struct call *c = (struct call *)job;

	return shelf_prekeys(s, c->node, &c->text);
}

void api_prekeys_get(struct http_request *q, void *arg)
{
	struct box *b = arg;
	char name[FQDN_MAX + 1];
	struct call *c;

	if (fqdn_normalize(http_param(q, 0), name)) {
		http_answer_err(q, -NTM_ENONAME);
	} else if (!box_is_own(b, name)) {
		ask_prekeys(b, q, name);
	} else {
		c = call_new(b, q);
		if (!c)
			return;
		strcpy(c->node, name);
		call_start(c, prekeys_work);
	}
}

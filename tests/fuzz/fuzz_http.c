/* SPDX-License-Identifier: MIT */
/*
 * fuzz_http - any bytes as a request to a box: method, path, query, fields, Range, JSON
 * body, several in a batch; and as what the box of another domain asks
 *
 * The first byte: 0 a node asks, 1 a Cache Server, else a BoxLink message of the DC. A
 * request is "METHOD PATH?QUERY" and "Name: value" lines, an empty line, the body.
 * libmicrohttpd is played: what it hands out are strings. What gets as far as the store
 * is held to what the store relies upon.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/datagram.h"
#include "servers/box/state.h"
#include "tests/fuzz/played_mhd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DOMAIN	  "example.org"
#define BLOB_SIZE 100

/* --- the rest of the box --------------------------------------------------------------- */

const char *box_domain(const struct box *b)
{
	(void)b;
	return DOMAIN;
}

bool box_is_own(const struct box *b, const char *name)
{
	return fqdn_is_within(name, box_domain(b));
}

int box_cut(const char *fqdn, const char *domain, char out[static FQDN_MAX + 1])
{
	struct fqdn_parts parts;

	if (!fqdn_is_valid(fqdn) || fqdn_split(fqdn, domain, &parts) ||
	    !parts.device[0])
		return -NTM_EINVAL;
	snprintf(out, FQDN_MAX + 1, "%s.%s", parts.device, parts.account);
	return 0;
}

int box_join(const char *local, const char *domain,
	     char out[static FQDN_MAX + 1])
{
	int n = snprintf(out, FQDN_MAX + 1, "%s.%s", local, domain);
	char cut[FQDN_MAX + 1];

	return n > FQDN_MAX ? -NTM_EINVAL : box_cut(out, domain, cut);
}

bool box_id_ok(const char *id)
{
	size_t n = strlen(id);

	return n && n <= SHELF_ID_MAX &&
	       strspn(id, NTMC_BASE64URL_DIGITS ".") == n;
}

bool box_message_ok(const char *text)
{
	json_t *o = json_string(text);

	json_decref(o);
	return o != NULL;
}

bool box_address_ok(const struct box *b, const struct addr *a)
{
	(void)b;
	return addr_port(a) && addr_is_usable_remote(a);
}

int64_t box_now(void)
{
	return 1800000000;
}

bool box_is_removed(void *arg, const uint8_t *fp)
{
	(void)arg, (void)fp;
	return false;
}

void box_opened(struct box *b)
{
	b->open++;
}

void box_answered(struct box *b)
{
	b->open--;
}

int tokens_check(struct tokens *t, const char *fqdn,
		 const uint8_t token[static TOKENS_LEN], int64_t now)
{
	(void)t, (void)token, (void)now;
	return fqdn_is_within(fqdn, DOMAIN) ? 0 : -NTM_EAUTH;
}

void ask_prekeys(struct box *b, struct http_request *q, const char *name)
{
	(void)b;
	want(fqdn_is_valid(name) && !fqdn_is_within(name, DOMAIN));
	http_answer_err(q, -NTM_EUNREACHABLE);
}

int clerk_ask(struct clerk *c, struct clerk_job *job)
{
	(void)c;
	job->done(job, job->work(job, NULL));
	return 0;
}

static struct box *box;

void clerk_post(struct clerk *c, struct clerk_post *post)
{
	(void)c;
	post->fn(post, box);
}

void box_link_answer(struct box_link *l, uint32_t id, const Ntm__BoxResponse *r)
{
	(void)l, (void)id;
	want(r->code < 64 && (!r->prekeys.len || r->prekeys.data));
}

/* --- the store, which believes what it is given --------------------------------------- */

static void item_is_good(const struct shelf_item *i)
{
	want(fqdn_is_valid(i->from) && fqdn_is_valid(i->to));
	want(box_id_ok(i->application) && box_id_ok(i->service) &&
	     box_id_ok(i->item));
}

static void exchange_is_good(const struct shelf_exchange *x)
{
	item_is_good(&x->i);
	want(fqdn_is_valid(x->cs) && x->n_addrs &&
	     x->n_addrs <= SHELF_CS_ADDRESSES_MAX && x->size <= INT64_MAX &&
	     strlen(x->message) <= SHELF_MESSAGE_MAX);
	for (size_t i = 0; i < x->n_addrs; i++)
		want(addr_port(&x->addrs[i]));
}

int shelf_put_device(struct shelf *s, const struct shelf_device *d)
{
	(void)s;
	want(d->n && d->n <= SHELF_PREKEYS_MAX && fqdn_is_valid(d->fqdn));
	return 0;
}

int shelf_put_key(struct shelf *s, const struct shelf_item *i,
		  const struct ntmc_key *key)
{
	(void)s, (void)key;
	item_is_good(i);
	return 0;
}

int shelf_put_exchange(struct shelf *s, const struct shelf_exchange *x)
{
	(void)s;
	exchange_is_good(x);
	return 0;
}

int shelf_put_server(struct shelf *s, const struct shelf_server *x)
{
	(void)s;
	want(x->n_addrs && x->n_addrs <= SHELF_CS_ADDRESSES_MAX);
	want(x->room <= INT64_MAX && x->items <= INT64_MAX &&
	     x->bytes <= INT64_MAX);
	return 0;
}

int shelf_prekeys(struct shelf *s, const char *name, char **out)
{
	(void)s;
	want(fqdn_is_valid(name));
	*out = strdup("{\"prekeys\":[]}");
	return 0;
}

json_t *shelf_keys(struct shelf *s, const char *fqdn, int64_t after,
		   unsigned int limit)
{
	(void)s, (void)fqdn;
	want(after >= 0 && limit && limit <= SHELF_PAGE_MAX);
	return json_object();
}

json_t *shelf_key(struct shelf *s, const char *fqdn,
		  const uint8_t hash[static 32], int *err)
{
	(void)s, (void)fqdn, (void)hash;
	*err = 0;
	return NULL;
}

int shelf_list(struct shelf *s, const char *fqdn, int64_t after,
	       unsigned int limit, char **out)
{
	(void)s, (void)fqdn;
	want(after >= 0 && limit && limit <= SHELF_PAGE_MAX);
	*out = strdup("{}");
	return 0;
}

int shelf_delete_key(struct shelf *s, const char *fqdn,
		     const uint8_t hash[static 32])
{
	(void)s, (void)fqdn, (void)hash;
	return -NTM_ENOTFOUND;
}

int shelf_delete_entry(struct shelf *s, const char *fqdn, int64_t id)
{
	(void)s, (void)fqdn;
	want(id > 0);
	return 0;
}

json_t *shelf_servers(struct shelf *s,
		      bool (*removed)(void *arg, const uint8_t *fp), void *arg,
		      bool all)
{
	(void)s, (void)removed, (void)arg, (void)all;
	return json_object();
}

struct errand *errand_new(struct box *b, struct http_request *q, size_t n)
{
	struct errand *e = calloc(1, sizeof(*e) + n * sizeof(e->to[0]));

	if (!e)
		abort();
	e->box = b;
	e->q = q;
	e->n = n;
	return e;
}

void errand_free(struct errand *e)
{
	free(e);
}

void errand_start(struct errand *e)
{
	want(e->n && e->n <= BOX_RECEIVERS_MAX);
	for (size_t i = 0; i < e->n; i++) {
		strcpy(e->x.i.to, e->to[i].name);
		if (e->keys)
			item_is_good(&e->x.i);
		else
			exchange_is_good(&e->x);
	}
	http_answer_empty(e->q);
	errand_free(e);
}

/* --- a file with Range, and a path with three parts -------------------------------------- */

static void blob(struct http_request *q, void *arg)
{
	int fd = memfd_create("blob", MFD_CLOEXEC);

	(void)arg;
	want(fd >= 0 && !ftruncate(fd, BLOB_SIZE));
	http_answer_file(q, fd, BLOB_SIZE);
}

static void parts(struct http_request *q, void *arg)
{
	uint8_t bytes[NTMC_HASH_LEN];
	uint64_t n;

	(void)arg;
	for (size_t i = 0; i < HTTP_PARAMS_MAX; i++)
		want(*http_param(q, i) && !strchr(http_param(q, i), '/'));
	if (!http_param_bytes(q, 1, bytes, sizeof(bytes)))
		want(strlen(http_param(q, 1)) == 43);
	if (!http_header_number(q, "NTM-Offset", &n))
		want(n <= INT64_MAX);
	http_answer_empty(q);
}

static struct http_route routes[32] = {
	{.method = "GET",
	 .path = "/v1/blob",
	 .flags = HTTP_BATCH,
	 .done = blob},
	{.method = "PATCH",
	 .path = "/x/{}/{}/{}/y",
	 .flags = HTTP_BATCH,
	 .body_max = 64,
	 .done = parts},
};

/* --- one input ------------------------------------------------------------------------------ */

static void foreign(const uint8_t *data, size_t size)
{
	Ntm__BoxLink *m = NULL;

	if (datagram_unpack(&ntm__box_link__descriptor, data, size,
			    (ProtobufCMessage **)&m))
		return;
	if (m->body_case == NTM__BOX_LINK__BODY_QUESTION)
		inbound_question(box, m->question);
	datagram_free((ProtobufCMessage *)m);
}

static void start(struct http_conf *conf)
{
	size_t n = 2;

	box = calloc(1, sizeof(*box));
	want(box && !ntmc_trust_new(&box->cert.trust));
	for (size_t i = 0; i < box_n_routes; i++)
		routes[n++] = box_routes[i];
	*conf = (struct http_conf){
		.domain = DOMAIN, .routes = routes, .n_routes = n, .arg = box};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ntmc_cert server = {.kind = NTMC_CERT_SERVER,
						.roles = NTMC_ROLE_CS,
						.fqdn = "cs." DOMAIN};
	static struct http_conf conf;
	char *text;

	if (!box)
		start(&conf);
	if (!size)
		return 0;
	if (data[0] > 1) {
		foreign(data + 1, size - 1);
		return 0;
	}
	text = malloc(size);
	want(text);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	played_ask(&conf, data[0] ? &server : NULL, text, text + size - 1);
	want(!box->open);
	free(text);
	return 0;
}

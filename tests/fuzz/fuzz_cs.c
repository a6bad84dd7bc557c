/* SPDX-License-Identifier: MIT */
/*
 * fuzz_cs - any bytes as a request to a Cache Server: keys, data, ends, confirmations,
 * lists, several in a batch
 *
 * A request is "METHOD PATH?QUERY" and "Name: value" lines, an empty line, the body.
 * Store, files and desk are played: one item, of which a byte of the input says how it
 * stands. What gets as far as they is held to what they rely upon.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libntmcrypto/blobsum.h"
#include "servers/cs/state.h"
#include "tests/fuzz/played_mhd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DOMAIN	  "example.org"
#define BLOB_SIZE 100

static struct cs cs;
static uint8_t mood; /* how the item stands, and what fails */
static uint64_t have;
static int held; /* uploads that somebody holds */

/* --- the store ------------------------------------------------------------------------ */

static bool id_ok(const char *id)
{
	size_t n = strlen(id);

	return n && n <= HTTP_ID_MAX &&
	       strspn(id, NTMC_BASE64URL_DIGITS ".") == n;
}

static void item_fill(struct item *out)
{
	memset(out, 0, sizeof(*out));
	out->number = 1;
	strcpy(out->sender, "desk.alice." DOMAIN);
	strcpy(out->application, "abc");
	strcpy(out->service, "xyz");
	strcpy(out->item, "A");
	out->state = (enum item_state)(mood % 5);
	out->size = BLOB_SIZE;
	out->expires = INT64_MAX;
	out->has_hash = out->state != ITEM_OPEN;
	out->small = mood & 128;
}

int items_find(struct items *s, const char *sender, const char *application,
	       const char *service, const char *item, struct item *out)
{
	(void)s;
	want(fqdn_is_valid(sender) && id_ok(application) && id_ok(service));
	if (strcmp(item, "A"))
		return -NTM_ENOTFOUND;
	item_fill(out);
	return 0;
}

int items_get(struct items *s, int64_t number, struct item *out)
{
	(void)s;
	want(number == 1);
	item_fill(out);
	return mood & 16 ? -NTM_ENOTFOUND : 0;
}

int items_by_ticket(struct items *s, const uint8_t ticket[static 32],
		    struct item *item, struct receiver *r)
{
	(void)s;
	if (ticket[0])
		return -NTM_ENOTFOUND;
	item_fill(item);
	memset(r, 0, sizeof(*r));
	strcpy(r->name, "tv.bob." DOMAIN);
	r->key_len = mood & 32 ? 0 : ITEMS_KEY_MAX;
	return 0;
}

int items_receivers(struct items *s, int64_t number, items_receiver_fn *fn,
		    void *arg)
{
	struct receiver r = {.name = "tv.bob." DOMAIN};

	(void)s;
	want(number == 1);
	fn(arg, &r);
	return 0;
}

int items_list(struct items *s, const char *sender, int64_t after,
	       unsigned int max, items_fn *fn, void *arg)
{
	struct item item;

	(void)s;
	want(fqdn_is_valid(sender) && after >= 0 && max && max <= 1001);
	item_fill(&item);
	for (unsigned int i = 0; i < max && i < mood; i++)
		fn(arg, &item);
	return 0;
}

int items_add(struct items *s, struct item *item, const char *account,
	      struct receiver *r, size_t n, const struct items_small *small,
	      const struct items_limits *limits)
{
	uint8_t hash[NTMC_HASH_LEN];

	(void)s, (void)limits;
	if (small) {
		want(small->len && small->len <= ITEMS_SMALL_MAX &&
		     small->len == item->size);
		blobsum_of(small->data, small->len, hash);
		want(!memcmp(hash, small->hash, sizeof(hash)));
	}
	want(*account && n && n <= HTTP_TO_MAX);
	want(id_ok(item->application) && id_ok(item->service) &&
	     id_ok(item->item));
	want(item->size && item->size <= INT64_MAX &&
	     item->expires > item->created &&
	     strlen(item->message) <= HTTP_MESSAGE_MAX);
	for (size_t i = 0; i < n; i++)
		want(fqdn_is_valid(r[i].name) && r[i].key_len &&
		     r[i].key_len <= ITEMS_KEY_MAX);
	item->number = 1;
	return mood & 64 ? -NTM_EEXISTS : small && mood & 32 ? 3 : mood & 1;
}

int items_small_get(struct items *s, int64_t number, uint8_t *out, size_t size)
{
	(void)s;
	want(number == 1 && size == BLOB_SIZE);
	memset(out, 7, size);
	return mood & 64 ? -NTM_ENOTFOUND : 0;
}

int items_complete(struct items *s, int64_t number,
		   const uint8_t hash[static NTMC_HASH_LEN])
{
	(void)s, (void)hash;
	want(number == 1);
	return mood & 64 ? -NTM_ESTATE : 0;
}

int items_cancel(struct items *s, int64_t number)
{
	(void)s;
	want(number == 1);
	return 0;
}

int items_lose(struct items *s, int64_t number)
{
	(void)s;
	want(number == 1);
	return 0;
}

int items_confirm(struct items *s, int64_t number, const char *name, int code,
		  const uint8_t *receipt, int64_t now, bool *over)
{
	static uint8_t kept[RECEIPT_LEN];

	(void)s, (void)now;
	if (receipt)
		memcpy(kept, receipt, sizeof(kept));
	want(number == 1 && fqdn_is_valid(name) && code >= 0 && code <= 65535);
	*over = mood & 64;
	return 0;
}

int items_use_blob(struct items *s, const uint8_t hash[static NTMC_HASH_LEN])
{
	(void)s, (void)hash;
	return mood & 1;
}

/* --- desk, files, the rest ------------------------------------------------------------- */

void desk_do(struct desk *d, struct desk_job *job)
{
	(void)d;
	job->done(job, job->run ? job->run(job, NULL) : 0);
}

void desk_send(struct desk *d, struct desk_errand *e)
{
	(void)d;
	e->run(e);
}

int blobs_room(struct blobs *b, uint64_t *out)
{
	(void)b;
	*out = mood & 128 ? 1000 : UINT64_C(1) << 40;
	return 0;
}

int blobs_keep(struct blobs *b, int64_t number,
	       const uint8_t hash[static NTMC_HASH_LEN])
{
	(void)b, (void)hash;
	want(number == 1);
	return 0;
}

int blobs_get(struct blobs *b, int64_t number,
	      const uint8_t hash[static NTMC_HASH_LEN], uint64_t size, int *fd)
{
	(void)b, (void)number, (void)hash;
	if (mood & 64)
		return -NTM_ENOTFOUND;
	*fd = memfd_create("blob", MFD_CLOEXEC);
	want(*fd >= 0 && !ftruncate(*fd, (off_t)size));
	return 0;
}

void blobs_remove_upload(struct blobs *b, int64_t number)
{
	(void)b;
	want(number == 1);
}

void blobs_remove(struct blobs *b, const uint8_t hash[static NTMC_HASH_LEN])
{
	(void)b, (void)hash;
}

int uploads_begin(struct uploads *u, const struct item *item, uint64_t offset,
		  struct upload **out, unsigned int *turn, uint64_t *at)
{
	(void)u;
	want(item->state == ITEM_OPEN && offset <= item->size);
	*at = have;
	*turn = 1;
	if (offset != have)
		return mood & 64 ? -NTM_EAGAIN : -NTM_ESTATE;
	*out = (struct upload *)&have;
	held++;
	return 0;
}

int uploads_get(struct uploads *u, const struct item *item, struct upload **out)
{
	(void)u;
	want(item->number == 1);
	*out = (struct upload *)&have;
	held++;
	return 0;
}

void upload_put(struct uploads *u, struct upload *up)
{
	(void)u;
	if (up)
		want(--held >= 0);
}

int upload_write(struct upload *up, unsigned int turn, const uint8_t *data,
		 size_t len)
{
	(void)data;
	want(up && held && turn == 1 && len);
	if (len > BLOB_SIZE - have)
		return -NTM_ETOOBIG;
	have += len;
	return mood & 64 ? -NTM_ESTATE : 0;
}

int upload_sync(struct upload *up, uint64_t *at)
{
	want(up && held);
	*at = have;
	return 0;
}

int upload_finish(struct upload *up, const uint8_t hash[static NTMC_HASH_LEN],
		  uint64_t *at)
{
	want(up && held);
	*at = have;
	return have < BLOB_SIZE ? -NTM_ESTATE : hash[0] ? -NTM_EAUTH : 0;
}

void upload_reopen(struct upload *up)
{
	want(up && held);
}

void uploads_end(struct uploads *u, int64_t number)
{
	(void)u;
	want(number == 1);
}

uint64_t uploads_offset(struct uploads *u, int64_t number)
{
	(void)u, (void)number;
	return have;
}

void exchange_wake(struct exchange *x)
{
	(void)x;
}

int tokens_check(struct tokens *t, const char *fqdn,
		 const uint8_t token[static TOKENS_LEN], int64_t now)
{
	(void)t, (void)token, (void)now;
	return !fqdn_is_within(fqdn, DOMAIN) ? -NTM_EAUTH
	       : mood & 8		     ? -NTM_EEXPIRED
					     : 0;
}

enum tokens_state tokens_state(struct tokens *t, const char *fqdn)
{
	(void)t, (void)fqdn;
	return mood & 4 ? TOKENS_LIVE : TOKENS_WITHDRAWN;
}

/* --- one input -------------------------------------------------------------------------- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_conf conf;
	char *text;

	if (!conf.arg) {
		strcpy(cs.cert.domain.domain, DOMAIN);
		cs.quota = 1 << 30;
		cs.lifetime = 30 * 86400;
		want(!pthread_mutex_init(&cs.lock, NULL));
		conf = (struct http_conf){.domain = DOMAIN,
					  .routes = cs_routes,
					  .n_routes = cs_n_routes,
					  .arg = &cs};
	}
	if (!size)
		return 0;
	mood = data[0];
	have = mood % 3 ? 0 : BLOB_SIZE;
	text = malloc(size);
	want(text);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	played_ask(&conf, NULL, text, text + size - 1);
	want(!held);
	free(text);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * api - requests of nodes and Cache Servers, as api.c and its parts see them
 *
 *   api.c          who may ask; fields of a request; questions to the clerk; the table
 *   api_prekeys.c  prekeys
 *   api_waiting.c  temporal keys, cache lists
 *   api_servers.c  what Cache Servers say
 *
 * Owner:   the framework; each request its own. Context: threads of HTTP; work() in
 *          the clerk's.
 */
#ifndef NTM_SERVERS_BOX_API_H
#define NTM_SERVERS_BOX_API_H

#include "servers/box/state.h"

/* --- fields: false, or NULL: not there, or not so --- */

const char *api_text(json_t *o, const char *key);
/** @out: @size bytes, with its end */
bool api_copy(json_t *o, const char *key, char *out, size_t size);
#define COPY(o, key, field) api_copy(o, key, field, sizeof(field))
/** @len bytes, as base64url */
bool api_bytes(json_t *o, const char *key, uint8_t *out, size_t len);
/** not negative */
bool api_number(json_t *o, const char *key, int64_t *out);
/** 0 where it is left out */
bool api_number_or_none(json_t *o, const char *key, int64_t *out);
/** receiver @n is one of those before it */
bool api_is_twice(const struct errand *e, size_t n);
/** 400, with what is wrong */
void api_refuse(struct http_request *q, const char *text);

/* --- simple questions to the clerk --- */

/* struct call - one question; @o or @text is the answer, none: an empty one */
struct call {
	struct clerk_job job;
	struct box *box;
	struct http_request *q;
	char node[FQDN_MAX + 1];
	uint8_t hash[32];
	int64_t number;
	unsigned int limit;
	struct shelf_device *device;
	struct shelf_server *server;
	json_t *o;
	char *text;
};

/** of @q's node. Return: NULL: answered */
struct call *call_new(struct box *b, struct http_request *q);
/** asks; answers and frees when @work has been done */
void call_start(struct call *c,
		int (*work)(struct clerk_job *job, struct shelf *s));
/** @after, @limit of a list. Return: false: answered, and @c freed */
bool call_page(struct http_request *q, struct call *c);

/* --- rows of the table; @arg: struct box --- */

void api_prekeys_put(struct http_request *q, void *arg);
void api_prekeys_get(struct http_request *q, void *arg);
void api_keys_post(struct http_request *q, void *arg);
void api_keys_get(struct http_request *q, void *arg);
void api_key_get(struct http_request *q, void *arg);
void api_key_delete(struct http_request *q, void *arg);
void api_cache_get(struct http_request *q, void *arg);
void api_cache_delete(struct http_request *q, void *arg);
void api_servers_get(struct http_request *q, void *arg);
void api_servers_post(struct http_request *q, void *arg);
void api_exchange_post(struct http_request *q, void *arg);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * box_site - two domains, each with AS, DC and box, and who asks the boxes
 *
 * Owner: the test program, one at a time. Context: one loop; each request in a thread
 * of its own while the loop turns.
 */
#ifndef NTM_TESTS_SERVERS_BOX_SITE_H
#define NTM_TESTS_SERVERS_BOX_SITE_H

#include <jansson.h>

#include "servers/box/box.h"
#include "peer.h"

#define FAR_DOMAIN "example.net"
#define B64_32	   44 /* text of 32 bytes, and its end */

/** struct box_site - a domain with its box; @at: of the box */
struct box_site {
	struct site site;
	struct role_env env;
	struct box *box;
	struct addr at;
};

extern struct box_site near, far;
/** of alice and bob in example.org, of carol in example.net; logged in */
extern struct peer alice, bob, carol;

int boxes_setup(void **state);
int boxes_teardown(void **state);
void box_start(struct box_site *s);
void box_stop(struct box_site *s);
/** links with DC and AS stand, and the box knows the tokens */
void box_wait(struct box_site *s);
/** of the box's status, after a sweep where that counts */
long long box_number(struct box_site *s, const char *key);

/**
 * struct web - one request
 * @peer: whose name and token; NULL: none
 * @as_cs: with the certificate of @site's Cache Server
 * @to: NTM-To, with the three IDs (@item, NULL: "item1"); NULL: none of them
 */
struct web {
	struct box_site *site;
	const char *method, *path;
	const struct peer *peer;
	const char *node; /* in place of the peer's */
	bool as_cs;
	const char *to, *item;
};
/** @body: stolen; may be NULL. @answer: new reference, NULL: not wanted.
 *  Return: the status, 0: there was no answer */
long web(const struct web *w, json_t *body, json_t **answer);
/** enum web_asked - of docs/exchange.yaml this program does
 * @WEB_ITEMS:  each operation on an item's way
 * @WEB_OTHERS: each other one
 * @WEB_SOME:   some
 */
enum web_asked { WEB_ITEMS, WEB_OTHERS, WEB_SOME };
/** all that was asked and answered is as the file says, and each of those was done */
void web_check(enum web_asked asked);
/** a program that does not ask that */
void web_forget(void);
/** bytes of the last answer; ms from the request to its end, and of processors' time:
 *  the box's and the client's, TLS and all */
size_t web_len(void);
double web_ms(void);
double web_cpu_ms(void);

/** @n bytes of @seed, as base64url */
const char *b64(uint8_t seed, size_t n);
/** what PUT /v1/prekeys wants, of @p's identity and certificate; @n of them */
json_t *prekeys_of(const struct peer *p, size_t n);
/** PUT; Return: the status */
long publish(struct box_site *s, const struct peer *p);
int64_t later(int seconds);
/** a Cache Server's request; @kind NULL: "key" */
json_t *exchange_of(struct box_site *s, const char *kind, const char *from,
		    const char *to, const char *item);
/** one of alice for bob, with @v (taken) as @key */
json_t *exchange_bent(const char *key, json_t *v);
/** POST /v1/exchange of @x; Return: the first result's code */
long long exchange(struct box_site *s, json_t *x);
/** POST of one temporal key; Return: its code */
long long give_key(struct box_site *s, const struct peer *from, const char *to,
		   const char *item, uint8_t seed);
/** the cache list; new reference */
json_t *list_of(struct box_site *s, const struct peer *p);
size_t list_len(struct box_site *s, const struct peer *p);

/** of a JSON answer: "" or 0 or NULL, borrowed, when it is not there */
const char *field_text(json_t *o, const char *key);
long long field_number(json_t *o, const char *key);
/** @i: of the array there */
json_t *field_at(json_t *o, const char *key, size_t i);

/** the number of a device's cache list that the DC has heard of last */
uint32_t serial_at(struct box_site *s, const struct peer *p);
/** wait until it is @serial */
void dc_hears(struct box_site *s, const struct peer *p, long long serial);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * cs_site - a Cache Server beside an AS, with a played box, and who asks it
 *
 * Owner: the test program, one at a time. Context: one loop; each request in a thread
 * of its own while the loop turns.
 */
#ifndef NTM_TESTS_SERVERS_CS_SITE_H
#define NTM_TESTS_SERVERS_CS_SITE_H

#include "https.h"
#include "servers/cs/state.h"
#include "peer.h"

#define SIZE	300000
#define ONE	"one.example.net"
#define KEY_LEN 6 /* of the sealed key that keys() has for each receiver */

extern struct site site;
extern struct peer alice, bob;
extern struct cs *cs;
extern struct http *box; /* NULL: away */
/** a blob, and its SHA-256 */
extern uint8_t data[SIZE + 1], hash[32];
extern char hash_text[48];
/** what the box says of each receiver; how often the CS registered, asked, and told it of
 *  a blob with its keys, which one that is older does not look at */
extern int box_code;
extern unsigned int n_registered, n_batches, n_with_blob;
extern bool box_older;

int setup(void **state);
int teardown(void **state);
void box_begin(void);
/** what is said of @item's keys ends in @err; NULL: of none */
void set_sick(const char *item, int err);
/** nothing is said of items whose names begin so, as of a domain that does not answer;
 *  NULL: now AGAIN, of all. Return: how many requests wait */
unsigned int set_silent(const char *items);
/** the next @n answers to several exchange requests in one have none */
void set_odd(unsigned int n);
void cs_begin(void);
void cs_end(void);
/** of the status */
long long number(const char *key);

/** struct say - a request with its header lines */
struct say {
	struct https_ask a;
	char path[160], lines[8][256], body[4096];
	unsigned int n;
};

void line(struct say *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/** @token: NULL: @p's */
void begin(struct say *s, const struct peer *p, const char *method,
	   const uint8_t *token, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void keys(struct say *s, const struct peer *p, const char *item, const char *to,
	  unsigned long long size);
/** a PATCH of @len bytes of data[] from @offset */
void patch(struct say *s, const struct peer *p, const char *item, size_t offset,
	   size_t len);
/** asks; the answer is in s->a, to be freed */
void expect(struct say *s, long status);
/** asks; an integer of the answer */
long long expect_number(struct say *s, long status, const char *key);
void expect_text(struct say *s, long status, const char *key, const char *text);
/** alice's item of data[] */
void upload(const char *item, const char *to);
void cancel(const char *item);

/** struct search - what the box was told of one receiver of an item */
struct search {
	const char *kind, *item, *to;
	uint8_t ticket[32];
	char hash[48];
};
/** awaits it; @kind: "key", "data", "status" */
void wait_exchange(struct search *f, const char *kind, const char *item,
		   const char *to);
/** a receiver of another domain: the CS knows its ticket alone */
struct peer stranger(const char *fqdn);
void confirm(struct say *s, const struct peer *p, const uint8_t *ticket,
	     int code);

#endif

/* SPDX-License-Identifier: MIT */
/* fuzz_finder - any bytes as DNS records, and as what the resolver says to the DC */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "servers/resolver/answer.h"
#include "servers/resolver/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t max)
{
	if (!memchr(text, '\0', max))
		abort();
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			abort();
}

static void check_ways(const struct server_ways *w, bool loopback)
{
	if (w->n > SERVERCONF_WAYS_MAX)
		abort();
	for (size_t i = 0; i < w->n; i++)
		if (!addr_port(&w->a[i]) ||
		    (!loopback && !addr_is_usable_remote(&w->a[i])))
			abort();
}

static void records(const uint8_t *data, size_t size)
{
	uint8_t fp[NTMC_FP_LEN];
	struct record_srv s;
	struct addr a;

	if (records_txt(data, size, fp) && size < 75)
		abort();
	if (records_srv(data, size, &s)) {
		check_text(s.target, sizeof(s.target));
		if (!s.target[0] || !s.port || records_srv_first(&s, &s))
			abort();
	}
	if (records_address(data, size, 4502, false, &a) &&
	    !addr_is_usable_remote(&a))
		abort();
}

/* as it comes, and with the version right, so that all of it is looked at */
static void said(const uint8_t *data, size_t size, bool loopback)
{
	struct finder_answer a;
	struct finder_say s;
	struct finder_ask q;
	uint32_t id = 0;

	if (!answer_take(data, size, loopback, &id, &a) && id) {
		check_text(a.why, sizeof(a.why));
		check_ways(&a.ways, loopback);
		if (a.ttl_s < ANSWER_TTL_MIN || a.ttl_s > ANSWER_TTL_MAX ||
		    a.err > 0 || (!a.err && !a.ways.n))
			abort();
		answer_put(&a, id, &s);
		if (answer_take(&s, sizeof(s), loopback, &id, &a))
			abort();
	}
	if (!answer_ask_take(data, size, &q))
		check_text(q.domain, sizeof(q.domain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union {
		struct finder_say say;
		struct finder_ask ask;
		uint8_t bytes[sizeof(struct finder_say)];
	} u;

	records(data, size);
	said(data, size, false);
	memset(&u, 0, sizeof(u));
	memcpy(u.bytes, data, size < sizeof(u) ? size : sizeof(u));
	u.say.version = ANSWER_VERSION;
	said(u.bytes, sizeof(u.say), size & 1);
	u.ask.version = ANSWER_VERSION;
	u.ask.need_ca &= 1;
	said(u.bytes, sizeof(u.ask), false);
	return 0;
}

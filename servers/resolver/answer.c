/* SPDX-License-Identifier: MIT */
/* answer - what the DC asks of the resolver process, and what that says */
#include "servers/resolver/answer.h"

#include <stdio.h>
#include <string.h>

#include "common/addr.h"

int answer_ask_take(const void *buf, size_t len, struct finder_ask *out)
{
	struct finder_ask q;

	if (len != sizeof(q))
		return -NTM_EDECODE;
	memcpy(&q, buf, sizeof(q));
	if (q.version != ANSWER_VERSION || !q.id || q.need_ca > 1 ||
	    !memchr(q.domain, '\0', sizeof(q.domain)) ||
	    !fqdn_is_valid(q.domain))
		return -NTM_EDECODE;
	*out = q;
	return 0;
}

void answer_put(const struct finder_answer *a, uint32_t id,
		struct finder_say *out)
{
	memset(out, 0, sizeof(*out));
	out->version = ANSWER_VERSION;
	out->id = id;
	out->code = (uint32_t)-a->err;
	out->ttl_s = a->ttl_s;
	memcpy(out->fp, a->fp, sizeof(out->fp));
	memcpy(out->why, a->why, sizeof(out->why));
	for (size_t i = 0; i < a->ways.n; i++) {
		struct finder_way *w = &out->ways[out->n_ways++];
		size_t len;
		const uint8_t *ip = addr_ip(&a->ways.a[i], &len);

		memcpy(w->ip, ip, len);
		w->len = (uint8_t)len;
		w->port = addr_port(&a->ways.a[i]);
	}
}

static int error_of(uint32_t code)
{
	switch (code) {
	case 0:
	case NTM_ENONAME:
	case NTM_EAUTH:
	case NTM_EUNVERIFIED:
	case NTM_EDECODE:
		return -(int)code;
	default:
		return -NTM_EUNREACHABLE;
	}
}

/* for logs and people */
static void why_take(const char *from, char out[ANSWER_WHY_MAX])
{
	size_t i = 0;

	for (; i < ANSWER_WHY_MAX - 1 && from[i]; i++)
		out[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	out[i] = '\0';
}

static int ways_take(const struct finder_say *s, bool loopback,
		     struct server_ways *out)
{
	if (s->n_ways > SERVERCONF_WAYS_MAX)
		return -NTM_EDECODE;
	for (size_t i = 0; i < s->n_ways; i++) {
		const struct finder_way *w = &s->ways[i];

		if (!w->port ||
		    addr_from_ip(w->ip, w->len, w->port, &out->a[out->n]))
			return -NTM_EDECODE;
		out->n += loopback || addr_is_usable_remote(&out->a[out->n]);
	}
	return 0;
}

int answer_take(const void *buf, size_t len, bool loopback, uint32_t *id,
		struct finder_answer *out)
{
	struct finder_answer a = {.err = 0};
	struct finder_say s;

	if (len != sizeof(s))
		return -NTM_EDECODE;
	memcpy(&s, buf, sizeof(s));
	if (s.version != ANSWER_VERSION || ways_take(&s, loopback, &a.ways))
		return -NTM_EDECODE;
	*id = s.id;
	if (!s.id)
		return 0;
	a.err = error_of(s.code);
	why_take(s.why, a.why);
	memcpy(a.fp, s.fp, sizeof(a.fp));
	a.ttl_s = s.ttl_s < ANSWER_TTL_MIN   ? ANSWER_TTL_MIN
		  : s.ttl_s > ANSWER_TTL_MAX ? ANSWER_TTL_MAX
					     : s.ttl_s;
	if (!a.err && !a.ways.n) {
		a.err = -NTM_ENONAME;
		snprintf(a.why, sizeof(a.why),
			 "DNS knows no address of its DC");
	}
	*out = a;
	return 0;
}

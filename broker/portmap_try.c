/* SPDX-License-Identifier: MIT */
/* portmap_try - PCP and NAT-PMP, asked of one router: a few packets each */
#include "broker/portmap_try.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* answers come within milliseconds, in one's own house */
#define FIRST_MS	250 /* repetition; doubles */
#define TRIES		3
#define NATPMP_MS	1750 /* as many packets */
#define NATPMP_BRIEF_MS 250  /* one, where PCP met silence */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Return: it can be read within @ms */
static bool readable(int fd, int64_t ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return ms >= 0 && poll(&p, 1, (int)ms) == 1;
}

/* --- PCP --------------------------------------------------------------------------- */

static enum portmap_why pcp_take(struct portmap_try *t,
				 const struct pcp_map *out)
{
	if (out->result)
		return PORTMAP_DENIED;
	memcpy(t->say.outer, out->outer, 4);
	t->say.outer_port = out->outer_port;
	t->say.life_s = out->life_s;
	return PORTMAP_DONE;
}

/* Return: the end of it, or UNASKED: repeat */
static enum portmap_why pcp_wait(struct portmap_try *t,
				 const struct pcp_map *ask, int64_t until)
{
	uint8_t buf[PCP_ANSWER_MAX + 1];
	struct pcp_map out;
	ssize_t n;
	int err;

	while (readable(t->natpmp.s, until - now_ms())) {
		n = recv(t->natpmp.s, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0)
			return errno == ECONNREFUSED ? PORTMAP_NO_SERVICE
						     : PORTMAP_FAILED;
		t->silent = false;
		err = pcp_map_get(buf, (size_t)n, ask, &out);
		if (!err)
			return pcp_take(t, &out);
		if (err == -NTM_EVERSION)
			return PORTMAP_NO_SERVICE;
	}
	return PORTMAP_UNASKED;
}

enum portmap_why portmap_try_pcp(struct portmap_try *t)
{
	struct pcp_map ask = {.life_s = t->ask.life_s,
			      .inner_port = t->ask.inner_port,
			      .outer_port = t->ask.outer_port};
	uint8_t buf[PCP_MAP_LEN];
	enum portmap_why why = PORTMAP_UNASKED;

	memcpy(ask.nonce, t->ask.nonce, sizeof(ask.nonce));
	memcpy(ask.client, t->ask.source, 4);
	pcp_map_put(&ask, buf);
	t->silent = true;
	for (int i = 0; i < TRIES && why == PORTMAP_UNASKED; i++) {
		if (send(t->natpmp.s, buf, sizeof(buf), 0) < 0)
			return errno == ECONNREFUSED ? PORTMAP_NO_SERVICE
						     : PORTMAP_FAILED;
		why = pcp_wait(t, &ask, now_ms() + (FIRST_MS << i));
	}
	if (why != PORTMAP_UNASKED)
		return why;
	return t->silent ? PORTMAP_NO_ANSWER : PORTMAP_GARBAGE;
}

/* --- NAT-PMP ------------------------------------------------------------------------ */

static enum portmap_why natpmp_why(int err)
{
	switch (err) {
	case NATPMP_ERR_NOGATEWAYSUPPORT:
	case NATPMP_ERR_UNSUPPORTEDVERSION:
	case NATPMP_ERR_UNSUPPORTEDOPCODE:
		return PORTMAP_NO_SERVICE;
	case NATPMP_ERR_NOTAUTHORIZED:
	case NATPMP_ERR_NETWORKFAILURE:
	case NATPMP_ERR_OUTOFRESOURCES:
		return PORTMAP_DENIED;
	case NATPMP_ERR_RECVFROM:
		return PORTMAP_NO_SERVICE;
	default:
		return PORTMAP_GARBAGE;
	}
}

/* The library repeats with doubling pauses, from 250 ms on. */
static enum portmap_why natpmp_wait(struct portmap_try *t, uint16_t type,
				    int64_t until, natpmpresp_t *out)
{
	struct timeval tv;
	int64_t ms, left;
	int r;

	for (;;) {
		if (getnatpmprequesttimeout(&t->natpmp, &tv))
			return PORTMAP_FAILED;
		ms = tv.tv_sec * 1000 + tv.tv_usec / 1000 + 1;
		left = until - now_ms();
		if (!readable(t->natpmp.s, ms < left ? ms : left) &&
		    now_ms() >= until)
			return PORTMAP_NO_ANSWER;
		r = readnatpmpresponseorretry(&t->natpmp, out);
		if (r == NATPMP_TRYAGAIN)
			continue;
		if (r)
			return natpmp_why(r);
		return out->type == type ? PORTMAP_DONE : PORTMAP_GARBAGE;
	}
}

static enum portmap_why natpmp_address(struct portmap_try *t, int64_t until)
{
	enum portmap_why why;
	natpmpresp_t r;

	if (sendpublicaddressrequest(&t->natpmp) < 0)
		return PORTMAP_NO_SERVICE;
	why = natpmp_wait(t, NATPMP_RESPTYPE_PUBLICADDRESS, until, &r);
	if (why == PORTMAP_DONE)
		memcpy(t->say.outer, &r.pnu.publicaddress.addr, 4);
	return why;
}

enum portmap_why portmap_try_natpmp(struct portmap_try *t)
{
	int64_t until = now_ms() + (t->silent ? NATPMP_BRIEF_MS : NATPMP_MS);
	enum portmap_why why = PORTMAP_DONE;
	natpmpresp_t r;

	if (t->ask.life_s)
		why = natpmp_address(t, until);
	if (why != PORTMAP_DONE)
		return why;
	if (sendnewportmappingrequest(
		    &t->natpmp, NATPMP_PROTOCOL_UDP, t->ask.inner_port,
		    t->ask.life_s ? t->ask.outer_port : 0, t->ask.life_s) < 0)
		return PORTMAP_NO_SERVICE;
	why = natpmp_wait(t, NATPMP_RESPTYPE_UDPPORTMAPPING,
			  now_ms() + NATPMP_MS, &r);
	if (why != PORTMAP_DONE)
		return why;
	if (r.pnu.newportmapping.privateport != t->ask.inner_port)
		return PORTMAP_GARBAGE;
	t->say.outer_port = r.pnu.newportmapping.mappedpublicport;
	t->say.life_s = r.pnu.newportmapping.lifetime;
	return PORTMAP_DONE;
}

/* SPDX-License-Identifier: MIT */
/* dcchannel - a server's TLS channel to a DC, made again whenever it ends */
#include "servers/dcchannel.h"

#include <stdlib.h>

#include "common/log.h"

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define STABLE_S     10

struct dcchannel {
	struct loop *loop;
	struct tls_context *tls;
	const char *name;
	struct server_ways dc;
	size_t way;
	const struct dcchannel_ops *ops;
	void *arg;
	struct channel *channel;
	bool open;
	unsigned int retry_ms;
	uint64_t open_ns;
	struct loop_timer *retry;
};

static const char *whom(const struct dcchannel *d)
{
	return d->ops->role == NTMC_ROLE_AS ? "AS" : "DC";
}

static void on_open(struct channel *c, void *arg)
{
	const struct ntmc_cert *peer = channel_peer(c);
	struct dcchannel *d = arg;

	if (!d)
		return;
	if (!peer || peer->kind != NTMC_CERT_SERVER ||
	    !(peer->roles & (d->ops->role ? d->ops->role : NTMC_ROLE_DC))) {
		log_err(d->name, "whoever answers is not the %s of this domain",
			whom(d));
		channel_close(c);
		return;
	}
	channel_set_idle(c, 0);
	d->open = true;
	d->open_ns = loop_now(d->loop);
	log_info(d->name, "the channel to the %s is open", whom(d));
	d->ops->open(d->arg);
}

static void on_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct dcchannel *d = arg;

	(void)c;
	if (d && d->open)
		d->ops->message(d->arg, msg);
}

static void on_closed(struct channel *c, int err, void *arg)
{
	struct dcchannel *d = arg;
	bool was = d && d->open;

	(void)c;
	if (!d)
		return;
	if (was || d->retry_ms == RETRY_MIN_MS)
		log_warn(d->name, "no channel to the %s: %s", whom(d),
			 err_text(err));
	/* a DC that ends each channel soon is not asked again and again */
	if (was && loop_now(d->loop) - d->open_ns > LOOP_S(STABLE_S))
		d->retry_ms = RETRY_MIN_MS;
	if (!was)
		d->way = (d->way + 1) % d->dc.n;
	d->channel = NULL;
	d->open = false;
	loop_timer_arm(d->retry, LOOP_MS(d->retry_ms));
	d->retry_ms *= 2;
	if (d->retry_ms > RETRY_MAX_MS)
		d->retry_ms = RETRY_MAX_MS;
	if (was)
		d->ops->closed(d->arg);
}

static const struct channel_ops ops = {
	.open = on_open,
	.message = on_message,
	.closed = on_closed,
};

static void retry(void *arg)
{
	struct dcchannel *d = arg;
	const struct addr *a = &d->dc.a[d->way];
	int r = channel_connect(d->loop, d->tls, &a->sa, addr_len(a), &ops, d,
				&d->channel);

	if (r)
		on_closed(NULL, r, d);
}

int dcchannel_new(struct loop *l, struct tls_context *tls, const char *name,
		  const struct server_ways *dc,
		  const struct dcchannel_ops *dc_ops, void *arg,
		  struct dcchannel **out)
{
	struct dcchannel *d = calloc(1, sizeof(*d));

	if (!d)
		return -NTM_ENOMEM;
	d->loop = l;
	d->tls = tls;
	d->name = name;
	d->dc = *dc;
	d->ops = dc_ops;
	d->arg = arg;
	d->retry_ms = RETRY_MIN_MS;
	if (loop_timer_new(l, retry, d, &d->retry)) {
		free(d);
		return -NTM_ENOMEM;
	}
	loop_timer_arm(d->retry, 0);
	*out = d;
	return 0;
}

void dcchannel_free(struct dcchannel *d)
{
	if (!d)
		return;
	if (d->channel) {
		channel_set_arg(d->channel, NULL); /* closed comes after us */
		channel_close(d->channel);
	}
	loop_timer_free(d->retry);
	free(d);
}

int dcchannel_send(struct dcchannel *d, const Ntm__Envelope *msg)
{
	return d->open ? channel_send(d->channel, msg) : -NTM_ECLOSED;
}

void dcchannel_close(struct dcchannel *d)
{
	if (d->channel)
		channel_close(d->channel);
}

void dcchannel_set_tls(struct dcchannel *d, struct tls_context *tls)
{
	d->tls = tls;
	dcchannel_close(d);
}

bool dcchannel_is_open(const struct dcchannel *d)
{
	return d->open;
}

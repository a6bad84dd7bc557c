/* SPDX-License-Identifier: MIT */
/*
 * inbound - DCs of other domains that connect to us, and the keys they bring
 *
 * Theory of operation
 *
 * Whoever has a CA of his own may connect when DNSSEC can vouch, so a channel
 * costs us nothing but one of DOMAIN_LINKS_MAX places, in which known domains stand
 * before others; a domain begins with its key, which waits for what DNS says, and may
 * have half of the look-ups.
 */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "servers/dc/domains_impl.h"
#include "servers/dc/finder.h"
#include "servers/dc/state.h"

int inbound_accept(void *arg, const struct ntmc_trust_domain *ca)
{
	struct dc *dc = arg;
	const struct domain *d = domains_find(dc, ca->domain);
	char why[DOMAIN_WHY_MAX];

	if (domains_blocked(dc, ca->domain))
		return -NTM_EPERM;
	if (domains_conflict(dc, ca->domain, ca->fp, why)) {
		log_warn("domains", "%s", why);
		return -NTM_ECONSTRAINT;
	}
	if (domain_is_known(dc, d))
		return memcmp(d->fp, ca->fp, NTMC_FP_LEN) ? -NTM_EPIN : 0;
	/* whether it may speak is seen when DNSSEC has said so */
	return finder_vouches(dc->finder) ? 0 : -NTM_EPIN;
}

static struct inbound *find_inbound(const struct dc *dc,
				    const struct channel *c)
{
	for (size_t i = 0; i < DOMAIN_LINKS_MAX; i++)
		if (dc->domains->in[i].channel == c)
			return &dc->domains->in[i];
	return NULL;
}

static void inbound_end(struct inbound *in)
{
	domain_channel_drop(&in->channel);
	ntmc_wipe(in, sizeof(*in));
}

void inbound_drop(struct dc *dc, const struct domain *d)
{
	for (size_t i = 0; i < DOMAIN_LINKS_MAX; i++)
		if (dc->domains->in[i].number == d->number)
			inbound_end(&dc->domains->in[i]);
}

/* a free one, or the oldest of those for whom nobody has vouched */
static struct inbound *inbound_place(struct dc *dc)
{
	struct inbound *oldest = find_inbound(dc, NULL);

	for (size_t i = 0; !oldest && i < DOMAIN_LINKS_MAX; i++)
		if (!dc->domains->in[i].known)
			oldest = &dc->domains->in[i];
	for (size_t i = 0; oldest && i < DOMAIN_LINKS_MAX; i++) {
		struct inbound *in = &dc->domains->in[i];

		if (oldest->channel && !in->known && in->since < oldest->since)
			oldest = in;
	}
	return oldest;
}

void domains_link_open(struct dc *dc, struct channel *c)
{
	struct inbound *in = inbound_place(dc);
	struct ntmc_trust_domain ca;
	const uint8_t *der;
	size_t len;

	if (!in || kdcdc_ca_of(c, &ca, &der, &len)) {
		channel_close(c);
		return;
	}
	inbound_end(in);
	in->channel = c;
	snprintf(in->name, sizeof(in->name), "%s", ca.domain);
	in->known = domain_is_known(dc, domains_find(dc, ca.domain));
	in->since = loop_now(dc->loop);
}

static void inbound_answer(struct inbound *in, int err)
{
	Ntm__NtmAck body = NTM__NTM_ACK__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	struct channel *c = in->channel;

	body.code = (uint32_t)-err;
	msg.txn = in->txn;
	msg.body_case = NTM__ENVELOPE__BODY_ACK;
	msg.ack = &body;
	if (!c || channel_send(c, &msg))
		return;
	channel_set_idle(c, CHANNEL_FINISH_S);
}

static void inbound_take(struct dc *dc, struct domain *d, struct inbound *in)
{
	int err = kdcdc_ca_keep(d, in->channel);

	if (!err)
		kdcdc_key_replace(dc, d, DOMAIN_THEIRS, &in->key);
	else
		log_warn("domains", "%s: its DC's key is not taken: %s",
			 d->name, domain_reason(err));
	ntmc_wipe(&in->key, sizeof(in->key));
	in->has_key = false;
	inbound_answer(in, err);
}

void inbound_refused(struct dc *dc, struct domain *d, int err)
{
	for (size_t i = 0; i < DOMAIN_LINKS_MAX; i++) {
		struct inbound *in = &dc->domains->in[i];

		if (!in->channel || in->number != d->number || !in->has_key)
			continue;
		ntmc_wipe(&in->key, sizeof(in->key));
		in->has_key = false;
		inbound_answer(in, err);
	}
}

void inbound_vouched(struct dc *dc, struct domain *d)
{
	for (size_t i = 0; i < DOMAIN_LINKS_MAX; i++) {
		struct inbound *in = &dc->domains->in[i];

		if (in->channel && in->number == d->number && in->has_key)
			inbound_take(dc, d, in);
	}
}

static int key_sharing(struct dc *dc, struct inbound *in,
		       const Ntm__KeySharing *s)
{
	struct ntmc_key kdcdc;
	uint32_t life =
		s->lifetime_s < DOMAIN_KEY_S ? s->lifetime_s : DOMAIN_KEY_S;
	int err;

	if (!life || s->key.len != NTMC_KEY_LEN)
		return -NTM_EINVAL;
	if (kdcdc_id_is_used(dc, s->id))
		return -NTM_EEXISTS;
	memcpy(kdcdc.b, s->key.data, NTMC_KEY_LEN);
	in->key = (struct domain_key){.id = s->id};
	err = datagram_domain_keys(&kdcdc, s->id, (enum ntmc_aead_alg)s->aead,
				   &in->key.keys);
	ntmc_key_clear(&kdcdc);
	in->key.until = loop_now(dc->loop) + LOOP_S(life);
	in->has_key = !err;
	return err;
}

bool domains_link_message(struct dc *dc, struct channel *c,
			  const Ntm__Envelope *msg)
{
	struct inbound *in = find_inbound(dc, c);
	struct domain *d;
	int err;

	if (!in)
		return false;
	/* one key, and nothing else */
	if (in->number || msg->body_case != NTM__ENVELOPE__BODY_KEY_SHARING) {
		inbound_end(in);
		return true;
	}
	in->txn = msg->txn;
	d = domain_put(dc, in->name);
	in->number = d ? d->number : 0;
	err = d ? key_sharing(dc, in, msg->key_sharing) : -NTM_ELIMIT;
	if (err)
		inbound_answer(in, err);
	else if (domain_is_known(dc, d))
		inbound_take(dc, d, in);
	else
		kdcdc_look_for(dc, d, false);
	return true;
}

bool domains_link_closed(struct dc *dc, struct channel *c)
{
	struct inbound *in = find_inbound(dc, c);

	if (in)
		ntmc_wipe(in, sizeof(*in));
	return in != NULL;
}

void inbound_sweep(struct dc *dc, uint64_t now)
{
	for (size_t i = 0; i < DOMAIN_LINKS_MAX; i++) {
		struct inbound *in = &dc->domains->in[i];

		if (in->channel && now > in->since + LOOP_S(DOMAIN_LINK_S))
			inbound_end(in);
	}
}

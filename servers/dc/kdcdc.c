/* SPDX-License-Identifier: MIT */
/*
 * kdcdc - our keys with the DCs of other domains: finding, TLS, Key Sharing; datagrams
 *
 * Theory of operation
 *
 * Keys. Who asks makes the key: TLS to the other DC, both by certificate, Key Sharing
 * with a fresh Kdcdc and its id, the acknowledgement, and the channel is closed: it has
 * done all it is for. Requests then go as sealed datagrams under the key that their
 * sender made, answers under the same. So a pair of DCs that ask each other has two
 * keys. A key lives a day; used ones are replaced at half of it, and the one before
 * opens for a minute more. A DC that does not answer may have been restarted, and
 * have forgotten its keys: another one is made beside what is under way, and if that
 * cannot be had, the one before ends. A key that is only to be renewed lives on when it
 * cannot be, and is tried again after DOMAIN_FAILED_S.
 *
 * Finding. Addresses come from `peer add`, else from DNS (finder.c), for as long as its
 * answers live; a name that is not there, and a DC that is not, are remembered for
 * DOMAIN_FAILED_S.
 */
#include <stdio.h>
#include <string.h>

#include "common/keysharing.h"
#include "common/log.h"
#include "servers/dc/abroad.h"
#include "servers/dc/courier.h"
#include "servers/dc/domains_impl.h"
#include "servers/dc/finder.h"
#include "servers/dc/state.h"

/* --- our key ---------------------------------------------------------------------- */

bool kdcdc_id_is_used(const struct dc *dc, uint64_t id)
{
	if (!id || nodes_find_session(&dc->nodes, id) || relays_find_id(dc, id))
		return true;
	for (size_t i = 0; i < DOMAINS_MAX; i++) {
		const struct domain *d = dc->domains->list[i];

		for (int k = 0; d && k < 4; k++)
			if (d->keys[k].id == id)
				return true;
		if (d && d->next.id == id)
			return true;
	}
	for (size_t i = 0; i < DOMAIN_LINKS_MAX; i++)
		if (dc->domains->in[i].key.id == id)
			return true;
	return false;
}

static int share_key(struct dc *dc, struct domain *d)
{
	struct domain_key *k = &d->next;
	struct ntmc_key kdcdc;
	uint64_t id;
	int err;

	ntmc_wipe(k, sizeof(*k));
	if (!udp_endpoint(dc->udp, &d->ways.a[d->way], &k->at))
		return -NTM_EUNREACHABLE;
	do
		ntmc_random(NULL, &id, sizeof(id));
	while (kdcdc_id_is_used(dc, id));
	k->id = id;
	k->ours = true;
	ntmc_key_random(NULL, &kdcdc);
	err = datagram_domain_keys(&kdcdc, k->id, ntmc_aead_preferred(),
				   &k->keys);
	if (!err) {
		d->share_txn = ++dc->domains->txn;
		err = keysharing_send(
			d->channel,
			&(struct keysharing){.txn = d->share_txn,
					     .id = k->id,
					     .key = &kdcdc,
					     .aead = k->keys.aead,
					     .lifetime_s = DOMAIN_KEY_S});
	}
	ntmc_key_clear(&kdcdc);
	k->until = loop_now(dc->loop) + LOOP_S(DOMAIN_KEY_S);
	return err;
}

/* what a channel's peer shows: a DC's certificate under a CA of @out */
int kdcdc_ca_of(struct channel *c, struct ntmc_trust_domain *out,
		const uint8_t **der, size_t *len)
{
	const struct ntmc_cert *cert = channel_peer(c);
	struct ntmc_trust *t;
	int err;

	*der = channel_peer_ca(c, len);
	if (!cert || !*der || cert->kind != NTMC_CERT_SERVER ||
	    !(cert->roles & NTMC_ROLE_DC))
		return -NTM_ECERT;
	if (*len > DOMAIN_CA_MAX)
		return -NTM_ETOOBIG;
	err = ntmc_trust_new(&t);
	if (err)
		return err;
	err = ntmc_trust_add(t, *der, *len, NULL, out);
	ntmc_trust_free(t);
	return err;
}

int kdcdc_ca_keep(struct domain *d, struct channel *c)
{
	struct ntmc_trust_domain found;
	const uint8_t *der;
	size_t len;
	int err = kdcdc_ca_of(c, &found, &der, &len);

	if (err)
		return err;
	if (strcmp(found.domain, d->name) || !d->has_fp ||
	    memcmp(found.fp, d->fp, NTMC_FP_LEN))
		return -NTM_EPIN;
	memcpy(d->ca, der, len);
	d->ca_len = len;
	d->constraint = found;
	return 0;
}

static struct domain *find_channel(const struct dc *dc, const struct channel *c)
{
	for (size_t i = 0; i < DOMAINS_MAX; i++)
		if (dc->domains->list[i] && dc->domains->list[i]->channel == c)
			return dc->domains->list[i];
	return NULL;
}

static void out_open(struct channel *c, void *arg)
{
	struct dc *dc = arg;
	struct domain *d = dc ? find_channel(dc, c) : NULL;
	int err;

	if (!d) {
		channel_close(c);
		return;
	}
	err = kdcdc_ca_keep(d, c);
	if (!err)
		err = share_key(dc, d);
	if (err)
		domain_fail(dc, d, err, domain_reason(err));
}

void kdcdc_key_replace(struct dc *dc, struct domain *d, int place,
		       const struct domain_key *k)
{
	uint64_t grace = loop_now(dc->loop) + LOOP_S(DOMAIN_KEY_GRACE_S);
	struct domain_key *now = &d->keys[place], *old = &d->keys[place + 1];

	*old = *now;
	if (old->until > grace)
		old->until = grace;
	*now = *k;
}

static void out_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct dc *dc = arg;
	struct domain *d = dc ? find_channel(dc, c) : NULL;

	if (!d)
		return;
	if (msg->body_case != NTM__ENVELOPE__BODY_ACK ||
	    msg->txn != d->share_txn || msg->ack->code) {
		domain_fail(dc, d, -NTM_EAUTH, "its DC does not take a key");
		return;
	}
	kdcdc_key_replace(dc, d, DOMAIN_OURS, &d->next);
	ntmc_wipe(&d->next, sizeof(d->next));
	d->channel = NULL;
	channel_set_arg(c, NULL); /* it may outlive the DC */
	channel_finish(c);
	d->used = d->suspected = false;
	d->again = 0;
	d->err = 0;
	d->why[0] = '\0';
	log_info("domains", "%s: its DC has a new key", d->name);
	domain_set_state(dc, d, DOMAIN_READY);
	abroad_domain_changed(dc, d);
	courier_domain_changed(dc, d);
}

static void link_start(struct dc *dc, struct domain *d);

static void out_closed(struct channel *c, int err, void *arg)
{
	struct dc *dc = arg;
	struct domain *d = dc ? find_channel(dc, c) : NULL;

	if (!d)
		return;
	d->channel = NULL;
	d->way = (d->way + 1) % d->ways.n;
	if (++d->tried < d->ways.n)
		link_start(dc, d);
	else
		domain_fail(dc, d, err ? err : -NTM_ECLOSED,
			    domain_reason(err ? err : -NTM_ECLOSED));
}

static const struct channel_ops out_ops = {
	.open = out_open,
	.message = out_message,
	.closed = out_closed,
};

static void link_start(struct dc *dc, struct domain *d)
{
	const struct addr *to = &d->ways.a[d->way];
	int err;

	if (d->state != DOMAIN_READY)
		domain_set_state(dc, d, DOMAIN_LINKING);
	err = channel_connect(dc->loop, dc->cert.tls, &to->sa, addr_len(to),
			      &out_ops, dc, &d->channel);
	if (!err)
		return;
	d->channel = NULL;
	d->way = (d->way + 1) % d->ways.n;
	if (++d->tried < d->ways.n)
		link_start(dc, d);
	else
		domain_fail(dc, d, err, domain_reason(err));
}

static void find_failed(struct dc *dc, struct domain *d, int err,
			const char *why)
{
	bool links = d->links;

	d->finding = d->links = false;
	inbound_refused(dc, d, err);
	if (links || d->state == DOMAIN_IDLE)
		domain_fail(dc, d, err, why);
}

/* finder.c has done */
static void found(struct dc *dc, uint16_t number, const struct finder_answer *a)
{
	struct domain *d = domains_at(dc, number);
	char why[DOMAIN_WHY_MAX];
	bool links;

	if (!d || !d->finding)
		return;
	if (a->err) {
		find_failed(dc, d, a->err, a->why);
		return;
	}
	if (!d->added && domains_conflict(dc, d->name, a->fp, why)) {
		find_failed(dc, d, -NTM_ECONSTRAINT, why);
		return;
	}
	if (!d->added) {
		if (d->has_fp && memcmp(d->fp, a->fp, NTMC_FP_LEN))
			domain_other_ca(dc, d);
		memcpy(d->fp, a->fp, NTMC_FP_LEN);
		d->has_fp = true;
		d->vouched = loop_now(dc->loop) + LOOP_S(a->ttl_s);
	}
	links = d->links;
	d->finding = d->links = false;
	d->ways = a->ways;
	d->way = d->tried = 0;
	d->found = loop_now(dc->loop) + LOOP_S(a->ttl_s);
	d->deadline = loop_now(dc->loop) + LOOP_S(DOMAIN_LINK_S);
	inbound_vouched(dc, d);
	if (links)
		link_start(dc, d);
}

void kdcdc_find_late(struct dc *dc, struct domain *d)
{
	finder_cancel(dc->finder, d->number);
	find_failed(dc, d, -NTM_ETIMEOUT, "DNS does not answer");
}

/* @links: to connect; else to hear whether its CA is vouched for */
void kdcdc_look_for(struct dc *dc, struct domain *d, bool links)
{
	int err;

	d->links |= links;
	if (links && d->state != DOMAIN_READY)
		domain_set_state(dc, d, DOMAIN_FINDING);
	if (d->finding)
		return;
	d->finding = true;
	d->find_until = loop_now(dc->loop) + LOOP_S(DOMAIN_LINK_S);
	err = finder_find(dc->finder, d->name, d->number, !d->added,
			  links ? FINDER_MAX : FINDER_MAX / 2, found);
	if (err)
		find_failed(dc, d, err, "DNS cannot be asked");
}

static void begin(struct dc *dc, struct domain *d)
{
	uint64_t now = loop_now(dc->loop);

	d->tried = 0;
	d->deadline = now + LOOP_S(DOMAIN_LINK_S);
	if (d->fixed.n) {
		d->ways = d->fixed;
		d->way %= d->ways.n;
		link_start(dc, d);
	} else if (d->found > now && d->ways.n && domain_is_known(dc, d)) {
		link_start(dc, d);
	} else {
		kdcdc_look_for(dc, d, true);
	}
}

int domain_ready(struct dc *dc, struct domain *d)
{
	uint64_t now = loop_now(dc->loop);

	if (d->state == DOMAIN_READY && d->keys[DOMAIN_OURS].until > now) {
		d->used = true;
		return 0;
	}
	if (d->state == DOMAIN_FAILED && now < d->deadline)
		return d->err;
	if (d->state == DOMAIN_FAILED || d->state == DOMAIN_READY)
		domain_set_state(dc, d, DOMAIN_IDLE);
	if (d->state == DOMAIN_IDLE)
		begin(dc, d);
	return d->state == DOMAIN_FAILED ? d->err : -NTM_EAGAIN;
}

static bool is_renewing(const struct domain *d)
{
	return d->channel || d->links;
}

void domain_suspect(struct dc *dc, struct domain *d)
{
	if (d->state != DOMAIN_READY || is_renewing(d))
		return;
	d->suspected = true;
	begin(dc, d);
}

void kdcdc_renew(struct dc *dc, struct domain *d)
{
	if (!is_renewing(d))
		begin(dc, d);
}

/* --- datagrams --------------------------------------------------------------------- */

bool domain_send(struct dc *dc, struct domain *d, bool ours,
		 const Ntm__Signal *msg)
{
	struct domain_key *k = &d->keys[ours ? DOMAIN_OURS : DOMAIN_THEIRS];
	struct packet_header h = {.type = PACKET_SIGNAL, .id = k->id};
	uint8_t *buf;
	int len;

	if (!k->id || k->until <= loop_now(dc->loop) || !k->at.port ||
	    k->seq == UINT32_MAX)
		return false;
	buf = udp_slot(dc->udp, &k->at);
	if (!buf)
		return false;
	h.counter = dc->boot << PACKET_BOOT_SHIFT | k->seq++;
	len = datagram_seal(&h, k->keys.aead,
			    ours ? &k->keys.up : &k->keys.down, &msg->base,
			    buf);
	if (len < 0)
		return false;
	udp_commit(dc->udp, &k->at, (size_t)len);
	return true;
}

static struct domain_key *find_key(struct dc *dc, uint64_t id,
				   struct domain **out)
{
	for (size_t i = 0; i < DOMAINS_MAX; i++) {
		struct domain *d = dc->domains->list[i];

		for (int k = 0; d && k < 4; k++) {
			if (d->keys[k].id != id)
				continue;
			*out = d;
			return d->keys[k].until > loop_now(dc->loop)
				       ? &d->keys[k]
				       : NULL;
		}
	}
	return NULL;
}

bool domains_receive(struct dc *dc, const struct endpoint *from,
		     const struct packet_header *h, uint8_t *buf, size_t len)
{
	struct domain *d = NULL;
	struct domain_key *k = h->id ? find_key(dc, h->id, &d) : NULL;
	const Ntm__Signal *msg;

	if (!k)
		return false;
	if (!ntmc_replay64_check(&k->replay, h->counter)) {
		dc->stats.replays++;
		return true;
	}
	if (ntmc_open_once(k->keys.aead, k->ours ? &k->keys.down : &k->keys.up,
			   h->counter, buf, PACKET_HEADER_LEN,
			   buf + PACKET_HEADER_LEN, len - PACKET_HEADER_LEN)) {
		dc->stats.bad_datagrams++;
		return true;
	}
	if (!ntmc_replay64_mark(&k->replay, h->counter))
		return true;
	msg = signal_unpack(dc, buf + PACKET_HEADER_LEN, len - PACKET_OVERHEAD);
	if (!msg) {
		dc->stats.bad_datagrams++;
		return true;
	}
	d->heard = loop_now(dc->loop);
	if (k->ours) {
		abroad_receive(dc, d, msg);
	} else {
		k->at = *from;
		guest_receive(dc, d, msg);
	}
	return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * callers - nodes' connections to the GMS, and what they say
 *
 * Theory of operation
 *
 * Who a caller is, its TLS certificate says; in which groups it has a part, the groups'
 * logs say, by its identity. So a node of another domain may come with the certificate
 * of whatever CA: what it is called there, counts for nothing. It follows a group from its hello on: it is told what it
 * lacks, then each new entry. What it submits must be its own; the ledger decides.
 * A node of our domain says in its hello which login gave it Kngms, and gets RN2 under
 * that: so the identity's key alone, without a login, brings nobody RN2. One that the AS
 * withdraws is cut off at once.
 *
 * A node that has been further than the ledger (which was restored from a backup) is
 * told so, and gives back the entries, which vouch for themselves. RN2 of those epochs
 * is gone: as soon as the ledger is where the node was, and nobody who is here was further
 * and gives, it renews, and tells nobody of an epoch between: a second seal of it would
 * look like a fork. Until then nothing else moves the group on. Parts are gone, too, so
 * such entries are taken without: nobody may say so who cannot show our own seal of a
 * later epoch, or a member could begin an epoch that nobody else has a share of.
 */
#include <stdlib.h>
#include <string.h>

#include "common/fqdn.h"
#include "common/log.h"
#include "servers/gms/state.h"

static struct caller *caller_of(struct gms *gms, struct channel *c)
{
	struct caller *ca;

	HASH_FIND_PTR(gms->callers, &c, ca);
	return ca;
}

/* --- answers --------------------------------------------------------------------- */

void caller_send(struct caller *ca, Ntm__Envelope *msg)
{
	int r = channel_send(ca->channel, msg);

	if (r)
		log_debug("gms", "%s: not sent: %s", ca->fqdn, err_text(r));
}

void caller_ack(struct caller *ca, uint32_t txn, int code)
{
	Ntm__Envelope env = NTM__ENVELOPE__INIT;
	Ntm__NtmAck body = NTM__NTM_ACK__INIT;

	env.txn = txn;
	env.body_case = NTM__ENVELOPE__BODY_ACK;
	env.ack = &body;
	body.code = (uint32_t)-code;
	caller_send(ca, &env);
}

void caller_gone(struct caller *ca, const uint8_t *group, int code,
		 uint64_t epoch)
{
	Ntm__Envelope env = NTM__ENVELOPE__INIT;
	Ntm__GroupGone body = NTM__GROUP_GONE__INIT;

	env.body_case = NTM__ENVELOPE__BODY_GROUP_GONE;
	env.group_gone = &body;
	body.group = (ProtobufCBinaryData){GROUP_ID_LEN, (uint8_t *)group};
	body.code = (uint32_t)-code;
	body.epoch = epoch;
	caller_send(ca, &env);
}

void callers_flushed(struct gms *gms, int code)
{
	struct caller *ca, *tmp;
	unsigned int i, n;

	HASH_ITER (hh, gms->callers, ca, tmp) {
		n = ca->n_acks;
		ca->n_acks = 0;
		for (i = 0; i < n; i++)
			caller_ack(ca, ca->acks[i], code);
	}
}

void caller_ack_later(struct caller *ca, uint32_t txn)
{
	gms_flush_soon(ca->gms);
	if (!txn)
		return; /* a thousand members that wait for nothing */
	if (ca->n_acks == GMS_ACKS) {
		caller_ack(ca, txn, -NTM_ERATE);
		return;
	}
	ca->acks[ca->n_acks++] = txn;
}

/* --- hello ---------------------------------------------------------------------------- */

/* the group that @id names, and which member of it the caller is */
int caller_member(struct caller *ca, const ProtobufCBinaryData *id,
		  struct ledger_group **lg, uint32_t *index)
{
	const struct group_member *m;

	*lg = ledger_find(ca->gms->ledger, id->data);
	if (!*lg)
		return -NTM_ENOTFOUND;
	m = group_find_key(ledger_state(*lg), ca->ed_pub);
	if (!m)
		return -NTM_ENONAME;
	if (ledger_ended(*lg))
		return -NTM_EEXPIRED;
	*index = m->index;
	return 0;
}

/* Kngms, of which the node says by what login it has it. One that it cannot show any more
 * takes nothing from it: what it follows goes on under the one before. */
static int take_key(struct caller *ca, const Ntm__GroupHello *m)
{
	struct asfeed *a = ca->gms->asfeed;
	struct ntmc_key k;
	int r;

	if (!ca->ours || !asfeed_has_keys(a))
		return 0;
	if (!m->key_id)
		return ca->has_key ? 0 : -NTM_ENOLOGIN;
	r = asfeed_node_key(a, m->key_id, m->node_id, ca->ed_pub, &k);
	if (!r) {
		ca->kngms = k;
		ca->has_key = true;
	}
	ntmc_key_clear(&k);
	return r;
}

bool caller_needs_key(const struct caller *ca)
{
	return ca->ours && !ca->has_key && asfeed_has_keys(ca->gms->asfeed);
}

/* does the node's past agree with ours? */
static int compare(struct caller *ca, const struct ledger_group *lg,
		   const Ntm__GroupHello *m)
{
	uint8_t hash[NTMC_HASH_LEN];
	int r;

	if (!m->epoch)
		return 0;
	if (m->epoch > group_epoch(ledger_state(lg)))
		return -NTM_EAGAIN;
	if (m->hash.len != sizeof(hash))
		return -NTM_EDECODE;
	r = ledger_hash(ca->gms->ledger, lg, m->epoch, hash);
	if (r)
		return r;
	return memcmp(hash, m->hash.data, sizeof(hash)) ? -NTM_EFORK : 0;
}

/* was our store in a later epoch, as we signed ourselves? Return: that epoch; 0: no */
static uint64_t shown_ahead(const struct ledger_group *lg,
			    const Ntm__GroupHello *m,
			    uint8_t hash[static NTMC_HASH_LEN])
{
	const struct group *g = ledger_state(lg);
	uint64_t epoch;

	if (group_seal_read(g, m->seal.data, m->seal.len, &epoch, hash))
		return 0;
	return epoch > group_epoch(g) ? epoch : 0;
}

static void hello(struct caller *ca, const Ntm__GroupHello *m)
{
	struct gms *gms = ca->gms;
	struct ledger_group *lg = NULL;
	struct follow *f = NULL;
	uint32_t index = 0;
	int r = caller_member(ca, &m->group, &lg, &index);
	int past;

	if (!r)
		r = take_key(ca, m);
	past = r ? r : compare(ca, lg, m);
	if (!r && m->prekey.len) {
		r = ledger_prekey(gms->ledger, lg, index, m->prekey.data,
				  m->prekey.len);
		if (r == -NTM_EEXISTS)
			r = 0;
		gms_flush_soon(gms);
	}
	gms->stats.forks += past == -NTM_EFORK;
	if (!r && past && past != -NTM_EAGAIN)
		r = past;
	if (!r)
		f = follow_find(ca, lg);
	if (!r && !f)
		r = follow_new(ca, lg, index, &f);
	if (r) {
		caller_gone(ca, m->group.data, r,
			    lg ? group_epoch(ledger_state(lg)) : 0);
		if (ca->stranger)
			channel_finish(ca->channel);
		return;
	}
	follow_only(f);
	f->told = m->epoch;
	f->more = false;
	f->ahead = past ? shown_ahead(lg, m, f->past) : 0;
	f->gave = loop_now(gms->loop);
	if (past && !f->ahead) {
		/* it has invented an epoch, or shows nothing: it hears no news, as what
		 * we have is not what it has */
		follow_free(f);
		caller_gone(ca, m->group.data, past,
			    group_epoch(ledger_state(lg)));
		return;
	}
	if (past) {
		log_warn("gms",
			 "%s has been in epoch %llu of a group that is in %llu "
			 "here: this store is an old one, and is brought up to "
			 "date",
			 ca->fqdn, (unsigned long long)m->epoch,
			 (unsigned long long)group_epoch(ledger_state(lg)));
		caller_gone(ca, m->group.data, past,
			    group_epoch(ledger_state(lg)));
		return;
	}
	ledger_ack(gms->ledger, lg, index, m->epoch, NULL);
	gms_flush_soon(gms);
	follow_leaves(f);
	if (follow_renew(gms, lg, false) || f->told == m->epoch)
		follow_news(f);
}

void callers_withdrawn(struct gms *gms, const char *fqdn)
{
	struct caller *ca, *tmp;

	HASH_ITER (hh, gms->callers, ca, tmp) {
		if (!ca->ours || (fqdn && strcmp(fqdn, ca->fqdn)) ||
		    !asfeed_withdrawn(gms->asfeed, ca->fqdn))
			continue;
		log_info("gms", "%s was withdrawn", ca->fqdn);
		channel_close(ca->channel);
	}
}

/* --- the connection ----------------------------------------------------------------------- */

void caller_known(struct caller *ca)
{
	if (!ca->stranger)
		return;
	ca->stranger = false;
	ca->gms->n_strangers--;
	channel_set_idle(ca->channel, GMS_IDLE_S);
}

/* Anybody can make a domain: such a node is given little until a log names its key. */
static bool let_stranger(struct caller *ca)
{
	if (ca->ours)
		return true;
	if (ca->gms->n_strangers == GMS_STRANGERS)
		return false;
	ca->stranger = true;
	ca->gms->n_strangers++;
	channel_set_idle(ca->channel, GMS_STRANGER_S);
	return true;
}

static void opened(struct channel *c, void *arg)
{
	const struct ntmc_cert *peer = channel_peer(c);
	struct gms *gms = arg;
	struct caller *ca;

	if (!peer || peer->kind != NTMC_CERT_NODE) {
		channel_close(c);
		return;
	}
	ca = calloc(1, sizeof(*ca));
	if (!ca) {
		channel_close(c);
		return;
	}
	ca->gms = gms;
	ca->channel = c;
	memcpy(ca->ed_pub, peer->ed_pub, sizeof(ca->ed_pub));
	memcpy(ca->fqdn, peer->fqdn, sizeof(ca->fqdn));
	ca->ours = fqdn_is_within(ca->fqdn, gms->conf->domain);
	channel_set_idle(c, GMS_IDLE_S);
	if ((ca->ours && asfeed_withdrawn(gms->asfeed, ca->fqdn)) ||
	    !let_stranger(ca)) {
		free(ca);
		channel_close(c);
		return;
	}
	HASH_ADD_PTR(gms->callers, channel, ca);
	pace_opened(ca);
}

static void message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct gms *gms = arg;
	struct caller *ca = caller_of(gms, c);
	uint64_t repaired = gms->stats.repaired;

	if (!ca)
		return;
	switch (msg->body_case) {
	case NTM__ENVELOPE__BODY_GROUP_HELLO:
		hello(ca, msg->group_hello);
		break;
	case NTM__ENVELOPE__BODY_GROUP_PARTS:
		entries_parts(ca, msg->group_parts);
		break;
	case NTM__ENVELOPE__BODY_GROUP_SUBMIT:
		entries_submit(ca, msg->txn, msg->group_submit);
		break;
	case NTM__ENVELOPE__BODY_GROUP_ACK:
		people_acked(ca, msg->txn, msg->group_ack);
		break;
	case NTM__ENVELOPE__BODY_GROUP_QUESTION:
		people_question(ca, msg->txn, msg->group_question);
		break;
	case NTM__ENVELOPE__BODY_GROUP_LEAVE:
		people_leave(ca, msg->txn, msg->group_leave);
		break;
	case NTM__ENVELOPE__BODY_GROUP_WANT:
		people_want(ca, msg->txn, msg->group_want);
		break;
	case NTM__ENVELOPE__BODY_GROUP_PLAN_QUESTION:
		defined_question(ca, msg->txn, msg->group_plan_question);
		break;
	default:
		channel_close(c);
	}
	/* one word, by which it is a member: who says others would stay for good */
	ca = caller_of(gms, c);
	if (ca && ca->stranger)
		channel_finish(c);
	else if (ca && gms->stats.repaired == repaired)
		pace_said(ca); /* what we lacked is no burden */
}

static void closed(struct channel *c, int err, void *arg)
{
	struct gms *gms = arg;
	struct caller *ca = caller_of(gms, c);

	if (!ca) {
		log_debug("gms", "handshake failed: %s", err_text(err));
		return;
	}
	while (ca->n_follows)
		follow_free(ca->follows[0]);
	caller_drop_parts(ca);
	gms->n_strangers -= ca->stranger;
	HASH_DEL(gms->callers, ca);
	ntmc_key_clear(&ca->kngms);
	free(ca);
}

const struct channel_ops caller_ops = {
	.open = opened,
	.message = message,
	.closed = closed,
};

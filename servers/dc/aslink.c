/* SPDX-License-Identifier: MIT */
/*
 * aslink - what the AS says: new sessions and withdrawals
 *
 * Theory of operation
 *
 * Channels by a certificate of role AS (serverlink.c). A Key Distribution makes the node and its lease in memory, then goes to the journal;
 * only when it is durable does the session exist and the acknowledgement leave. A
 * Revocation is written first, too, then carried out, then acknowledged. Jobs of
 * the journal end in the order they were made, so what the AS sent first happens
 * first. A job whose channel has gone meanwhile is carried out all the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/fqdn.h"
#include "common/log.h"
#include "servers/dc/exits.h"
#include "servers/dc/reach.h"
#include "servers/dc/state.h"

struct aslink {
	struct aslink *prev, *next;
	struct channel *channel;
	uint64_t id; /* jobs remember it: a pointer could be reused */
};

struct job {
	struct dc *dc;
	uint64_t link;
	uint32_t txn;
	/* Key Distribution */
	struct journal_node node;
	struct journal_session session;
	/* Revocation */
	bool release;
	size_t n;
	uint64_t last_serial;
	uint8_t fps[][NTMC_FP_LEN];
};

static struct aslink *link_of(struct dc *dc, const struct channel *c)
{
	struct aslink *l;

	DL_SEARCH_SCALAR(dc->links, l, channel, c);
	return l;
}

static void link_send(struct dc *dc, uint64_t id, const Ntm__Envelope *msg)
{
	struct aslink *l;

	DL_SEARCH_SCALAR(dc->links, l, id, id);
	if (l && channel_send(l->channel, msg))
		log_warn("aslink", "an acknowledgement was not sent");
}

static void job_free(struct job *job)
{
	ntmc_key_clear(&job->session.kntmdc);
	free(job);
}

/* --- Key Distribution -------------------------------------------------------- */

static void ack_session(struct dc *dc, uint64_t link, uint32_t txn, int err,
			const struct node *n)
{
	Ntm__KeyDistributionAck body = NTM__KEY_DISTRIBUTION_ACK__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	struct reach_relay gates[REACH_TOLD_MAX];
	Ntm__Relay *list[REACH_TOLD_MAX];
	uint8_t vip6[16], vip4[4];

	body.code = (uint32_t)-err;
	if (n) {
		nodes_vip6(&dc->nodes, n, vip6);
		for (int i = 0; i < 4; i++)
			vip4[i] = (uint8_t)(n->vip4 >> (24 - 8 * i));
		body.vip6 = (ProtobufCBinaryData){sizeof(vip6), vip6};
		if (n->vip4)
			body.vip4 = (ProtobufCBinaryData){sizeof(vip4), vip4};
		body.n_relays = reach_gates(dc, gates);
		for (size_t i = 0; i < body.n_relays; i++)
			list[i] = &gates[i].msg;
		body.relays = list;
		body.box_port = dc->conf->box_port;
	}
	msg.txn = txn;
	msg.body_case = NTM__ENVELOPE__BODY_KEY_DISTRIBUTION_ACK;
	msg.key_distribution_ack = &body;
	link_send(dc, link, &msg);
}

static void session_durable(void *arg, int err)
{
	struct job *job = arg;
	struct dc *dc = job->dc;
	const struct journal_session *s = &job->session;
	uint8_t fp[NTMC_FP_LEN];
	struct node *n;
	uint32_t h;

	if (err == -NTM_ECLOSED) { /* the DC ends: nothing but memory is left */
		job_free(job);
		return;
	}
	h = nodes_find(&dc->nodes, job->node.fqdn);
	n = h ? nodes_at(&dc->nodes, h) : NULL;
	if (!err && (!n || memcmp(n->ed_pub, job->node.ed_pub, NTMC_KEY_LEN)))
		err = -NTM_EAGAIN; /* released or taken over meanwhile */
	if (!err && n->flags & NODE_REVOKED) {
		if (n->next)
			notify_end_session(dc, n->next);
		if (n->session)
			notify_end_session(dc, n->session);
		n->flags &= (uint8_t) ~(NODE_REVOKED | NODE_RELEASED);
	}
	if (!err)
		err = nodes_add_session(&dc->nodes, h, s->node_id, &s->kntmdc,
					s->aead, s->expires);
	if (!err) {
		ntmc_fingerprint(n->ed_pub, fp);
		dc_remove_revocation(dc, fp);
	} else {
		log_warn("aslink", "session of %s: %s", job->node.fqdn,
			 err_text(err));
	}
	ack_session(dc, job->link, job->txn, err, err ? NULL : n);
	job_free(job);
}

static int check_distribution(struct dc *dc, const Ntm__KeyDistribution *kd)
{
	int64_t now = loop_wall(dc->loop);
	struct fqdn_parts parts;

	if (fqdn_split(kd->fqdn, dc->cert.domain.domain, &parts) ||
	    !parts.device[0])
		return -NTM_EINVAL;
	if (kd->expires <= now || kd->expires > now + DC_SESSION_MAX_S)
		return -NTM_ECLOCK;
	return 0;
}

static int node_for(struct dc *dc, const Ntm__KeyDistribution *kd,
		    uint32_t *out, bool *replaced)
{
	struct node_keys k = {.fqdn = kd->fqdn,
			      .ed_pub = kd->ed_pub.data,
			      .x_pub = kd->x_pub.data,
			      .x_sig = kd->x_sig.data};
	uint32_t h = nodes_find(&dc->nodes, kd->fqdn);
	struct node *n = h ? nodes_at(&dc->nodes, h) : NULL;

	*replaced = n && memcmp(n->ed_pub, k.ed_pub, NTMC_KEY_LEN);
	if (*replaced) { /* the name is another device's now */
		if (n->next)
			notify_end_session(dc, n->next);
		if (n->session)
			notify_end_session(dc, n->session);
		wake_forget(dc, n);
		n->flags = 0;
		n->n_addrs = 0;
	}
	return nodes_put(&dc->nodes, &k, out);
}

static int key_distribution(struct dc *dc, struct aslink *l, uint32_t txn,
			    const Ntm__KeyDistribution *kd)
{
	struct job *job;
	struct node *n;
	uint32_t h;
	bool replaced;
	int r = check_distribution(dc, kd);

	if (!r)
		r = node_for(dc, kd, &h, &replaced);
	if (r)
		return r;
	job = calloc(1, sizeof(*job));
	if (!job)
		return -NTM_ENOMEM;
	n = nodes_at(&dc->nodes, h);
	job->dc = dc;
	job->link = l->id;
	job->txn = txn;
	snprintf(job->node.fqdn, sizeof(job->node.fqdn), "%s", n->fqdn);
	job->node.vip6_host = n->vip6_host;
	job->node.vip4 = n->vip4;
	memcpy(job->node.ed_pub, n->ed_pub, NTMC_KEY_LEN);
	memcpy(job->node.x_pub, n->x_pub, NTMC_KEY_LEN);
	memcpy(job->node.x_sig, n->x_sig, NTMC_SIG_LEN);
	job->session.node_id = kd->node_id;
	memcpy(job->session.kntmdc.b, kd->kntmdc.data, NTMC_KEY_LEN);
	job->session.aead = kd->aead;
	job->session.expires = (uint32_t)kd->expires;
	r = journal_session(dc->journal, &job->node, &job->session, replaced,
			    session_durable, job);
	if (r)
		job_free(job);
	return r;
}

/* --- Revocation ----------------------------------------------------------------- */

static void ack_plain(struct dc *dc, uint64_t link, uint32_t txn, int err)
{
	Ntm__NtmAck body = NTM__NTM_ACK__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;

	body.code = (uint32_t)-err;
	msg.txn = txn;
	msg.body_case = NTM__ENVELOPE__BODY_ACK;
	msg.ack = &body;
	link_send(dc, link, &msg);
}

static void revocation_durable(void *arg, int err)
{
	struct job *job = arg;
	struct dc *dc = job->dc;

	if (err == -NTM_ECLOSED) {
		job_free(job);
		return;
	}
	for (size_t i = 0; !err && i < job->n; i++) {
		struct dc_revocation r = {
			.serial = job->last_serial - job->n + 1 + i,
			.at = loop_wall(dc->loop),
		};

		memcpy(r.fp, job->fps[i], NTMC_FP_LEN);
		dc_remove_revocation(dc, r.fp);
		err = dc_add_revocation(dc, &r);
	}
	if (!err) {
		dc->serial = job->last_serial;
		withdraw_start(dc, (const uint8_t(*)[NTMC_FP_LEN])job->fps,
			       job->n, job->release);
	}
	ack_plain(dc, job->link, job->txn, err);
	job_free(job);
}

static int revocation(struct dc *dc, struct aslink *l, uint32_t txn,
		      const Ntm__Revocation *q)
{
	size_t n = q->n_fingerprints;
	struct journal_revocation *list;
	struct job *job;
	int r;

	if (!n || n > JOURNAL_REVOKE_MAX)
		return -NTM_EINVAL;
	list = calloc(n, sizeof(*list));
	job = calloc(1, sizeof(*job) + n * NTMC_FP_LEN);
	if (!list || !job) {
		free(list);
		free(job);
		return -NTM_ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		const uint8_t *fp = q->fingerprints[i].data;
		uint32_t h = nodes_find_fp(&dc->nodes, fp);

		memcpy(job->fps[i], fp, NTMC_FP_LEN);
		memcpy(list[i].fp, fp, NTMC_FP_LEN);
		list[i].serial = ++dc->serial_given;
		list[i].at = loop_wall(dc->loop);
		if (h)
			snprintf(list[i].fqdn, sizeof(list[i].fqdn), "%s",
				 nodes_at(&dc->nodes, h)->fqdn);
	}
	job->dc = dc;
	job->link = l->id;
	job->txn = txn;
	job->n = n;
	job->release = q->release;
	job->last_serial = dc->serial_given;
	r = journal_revoke(dc->journal, list, n, q->release, revocation_durable,
			   job);
	free(list);
	if (r)
		job_free(job);
	return r;
}

/* --- channels ------------------------------------------------------------------------ */

void aslink_open(struct dc *dc, struct channel *c)
{
	struct aslink *l = calloc(1, sizeof(*l));

	if (!l) {
		channel_close(c);
		return;
	}
	l->channel = c;
	ntmc_random(NULL, &l->id, sizeof(l->id));
	channel_set_idle(c, 0);
	DL_APPEND(dc->links, l);
	log_info("aslink", "the AS is here");
}

bool aslink_message(struct dc *dc, struct channel *c, const Ntm__Envelope *msg)
{
	struct aslink *l = link_of(dc, c);
	int r;

	if (!l)
		return false;
	switch (msg->body_case) {
	case NTM__ENVELOPE__BODY_KEY_DISTRIBUTION:
		r = key_distribution(dc, l, msg->txn, msg->key_distribution);
		if (r)
			ack_session(dc, l->id, msg->txn, r, NULL);
		break;
	case NTM__ENVELOPE__BODY_REVOCATION:
		r = revocation(dc, l, msg->txn, msg->revocation);
		if (r)
			ack_plain(dc, l->id, msg->txn, r);
		break;
	case NTM__ENVELOPE__BODY_EXIT_ACCOUNTS:
		exits_told(dc, msg->exit_accounts);
		ack_plain(dc, l->id, msg->txn, 0);
		break;
	case NTM__ENVELOPE__BODY_CERTIFICATE_RESPONSE:
		passon_answer(dc, msg);
		break;
	default:
		log_warn("aslink", "the AS said what an AS does not say");
		channel_close(c);
		break;
	}
	return true;
}

bool aslink_closed(struct dc *dc, struct channel *c, int err)
{
	struct aslink *l = link_of(dc, c);

	if (!l)
		return false;
	log_info("aslink", "the AS has gone: %s", err_text(err));
	DL_DELETE(dc->links, l);
	free(l);
	return true;
}

bool aslink_ask(struct dc *dc, const Ntm__Envelope *msg)
{
	struct aslink *l = dc->links ? dc->links->prev : NULL; /* the last */

	return l && !channel_send(l->channel, msg);
}

void aslinks_free(struct dc *dc)
{
	struct aslink *l, *tmp;

	DL_FOREACH_SAFE (dc->links, l, tmp) {
		DL_DELETE(dc->links, l);
		free(l);
	}
}

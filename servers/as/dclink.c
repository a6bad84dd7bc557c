/* SPDX-License-Identifier: MIT */
/*
 * dclink - the AS's lasting channel to its DC: keys out, leases back, withdrawals
 *
 * Theory of operation
 *
 * One TLS channel, opened at start and again after it ends, with a wait that
 * doubles from 100 ms to 5 s. While it is UP:
 *  - a Key Distribution gets a txn and a place in pending[]; its answer, or the
 *    clock, or the channel's end, frees the place and calls back exactly once;
 *  - withdrawals stand in the store until the DC has acknowledged them: the
 *    oldest not yet sent goes out, its id as txn | WITHDRAWAL, and the next one
 *    when it is acknowledged. After a reconnection the oldest goes out again; the
 *    DC takes it twice without harm.
 *  - a server that asks for a certificate is answered at once;
 *  - who may use the domain's exits goes out as a whole, in parts, when the channel
 *    is there and when one has changed.
 * No key is distributed for an identity that a withdrawal in the store names
 * (request.c): a device that was disabled and enabled again ends up enabled, however
 * many withdrawals go before its own.
 */
#include "servers/as/dclink.h"

#include <stdlib.h>
#include <string.h>

#include "common/channel.h"
#include "common/log.h"

#define WITHDRAWAL 0x80000000u /* txn of a withdrawal */
#define EXITS	   0x40000000u /* txn of who may use exits */
#define EXITS_PART 400	       /* accounts in one ExitAccounts */

struct pending {
	dclink_fn *fn; /* NULL: free */
	void *arg;
	uint32_t txn;
	uint64_t deadline;
};

enum dclink_state { DCLINK_DOWN, DCLINK_CONNECTING, DCLINK_UP };
/* the list of who may use exits: nothing under way, parts to come, the last sent */
enum exits_state { EXITS_IDLE, EXITS_PARTS, EXITS_LAST };

struct dclink {
	enum exits_state exits;
	bool exits_again;		      /* it has changed meanwhile */
	char exits_after[FQDN_LABEL_MAX + 1]; /* the last name sent */
	struct loop *loop;
	struct addr dc;
	struct tls_context *tls;
	struct accounts *accounts;
	dclink_renew_fn *renew;
	void *renew_arg;
	struct channel *channel;
	enum dclink_state state;
	unsigned int retry_ms;
	struct loop_timer *retry, *expiry;
	uint32_t next_txn;
	int64_t sent; /* id of the withdrawal that waits for its ack; 0 none */
	struct pending pending[DCLINK_PENDING_MAX];
};

static const char *const state_names[] = {
	[DCLINK_DOWN] = "down",
	[DCLINK_CONNECTING] = "connecting",
	[DCLINK_UP] = "up",
};

static void dclink_set_state(struct dclink *d, enum dclink_state s)
{
	if (s == d->state)
		return;
	if (s == DCLINK_UP || d->state == DCLINK_UP)
		log_info("dclink", "%s -> %s", state_names[d->state],
			 state_names[s]);
	d->state = s;
}

static void pending_end(struct pending *p, int err,
			const Ntm__KeyDistributionAck *ack)
{
	dclink_fn *fn = p->fn;

	p->fn = NULL;
	fn(p->arg, err, ack);
}

static void dclink_expire(void *arg)
{
	struct dclink *d = arg;
	uint64_t now = loop_now(d->loop);

	for (size_t i = 0; i < DCLINK_PENDING_MAX; i++)
		if (d->pending[i].fn && d->pending[i].deadline <= now)
			pending_end(&d->pending[i], -NTM_EAGAIN, NULL);
	for (size_t i = 0; i < DCLINK_PENDING_MAX; i++)
		if (d->pending[i].fn)
			loop_timer_arm(d->expiry, LOOP_MS(250));
}

static void dclink_send_withdrawal(struct dclink *d)
{
	struct withdrawal w;
	Ntm__Revocation body = NTM__REVOCATION__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	ProtobufCBinaryData fps[ACCOUNTS_BATCH_MAX];
	int r;

	if (d->state != DCLINK_UP || d->sent)
		return;
	r = accounts_withdrawal_next(d->accounts, 0, &w);
	if (r) {
		if (r != -NTM_ENOTFOUND)
			log_err("dclink", "withdrawals: %s", err_text(r));
		return;
	}
	for (size_t i = 0; i < w.n; i++)
		fps[i] = (ProtobufCBinaryData){NTMC_FP_LEN, w.fps[i]};
	body.n_fingerprints = w.n;
	body.fingerprints = fps;
	body.release = w.release;
	msg.txn = WITHDRAWAL | (uint32_t)w.id;
	msg.body_case = NTM__ENVELOPE__BODY_REVOCATION;
	msg.revocation = &body;
	r = channel_send(d->channel, &msg);
	if (r)
		log_warn("dclink", "withdrawal %lld waits: %s", (long long)w.id,
			 err_text(r));
	else
		d->sent = w.id;
}

/* The next part of who may use exits; after the last one the list is whole. */
static void exits_send_part(struct dclink *d)
{
	Ntm__ExitAccounts body = NTM__EXIT_ACCOUNTS__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	char names[EXITS_PART][FQDN_LABEL_MAX + 1];
	char *list[EXITS_PART];
	int r;

	for (size_t i = 0; i < EXITS_PART; i++)
		list[i] = names[i];
	r = accounts_exits(d->accounts, d->exits_after, EXITS_PART, names,
			   &body.n_accounts);
	body.first = !d->exits_after[0];
	body.last = body.n_accounts < EXITS_PART;
	body.accounts = list;
	msg.txn = EXITS;
	msg.body_case = NTM__ENVELOPE__BODY_EXIT_ACCOUNTS;
	msg.exit_accounts = &body;
	if (!body.last)
		strcpy(d->exits_after, names[EXITS_PART - 1]);
	d->exits = body.last ? EXITS_LAST : EXITS_PARTS;
	if (!r)
		r = channel_send(d->channel, &msg);
	if (r)
		log_err("dclink", "who may use exits is not told: %s",
			err_text(r));
}

/* All of them, in parts, each when the one before is acknowledged: the DC keeps
 * nothing of it over a restart, and what has changed is seldom much less. */
static void exits_send(struct dclink *d)
{
	if (d->state != DCLINK_UP)
		return;
	d->exits_again = d->exits != EXITS_IDLE;
	if (d->exits_again)
		return;
	d->exits_after[0] = '\0';
	exits_send_part(d);
}

static void exits_acked(struct dclink *d)
{
	if (d->exits == EXITS_PARTS) {
		exits_send_part(d);
	} else if (d->exits == EXITS_LAST) {
		d->exits = EXITS_IDLE;
		if (d->exits_again)
			exits_send(d);
	}
}

static void dclink_open(struct channel *c, void *arg)
{
	struct dclink *d = arg;
	const struct ntmc_cert *peer = channel_peer(c);

	if (!peer || peer->kind != NTMC_CERT_SERVER ||
	    !(peer->roles & NTMC_ROLE_DC)) {
		log_err("dclink", "whoever answers is not a DC of this domain");
		channel_close(c);
		return;
	}
	d->retry_ms = DCLINK_RETRY_MIN_MS;
	d->sent = 0;
	channel_set_idle(c, 0);
	dclink_set_state(d, DCLINK_UP);
	d->exits = EXITS_IDLE;
	exits_send(d);
	dclink_send_withdrawal(d);
}

static void dclink_acked(struct dclink *d, const Ntm__KeyDistributionAck *ack,
			 uint32_t txn)
{
	for (size_t i = 0; i < DCLINK_PENDING_MAX; i++) {
		struct pending *p = &d->pending[i];

		if (!p->fn || p->txn != txn)
			continue;
		if (ack->code)
			pending_end(p, -(int)ack->code, NULL);
		else
			pending_end(p, 0, ack);
		return;
	}
	/* the answer came after its time: the node has been told to try again */
}

static int send_on(void *arg, const Ntm__Envelope *msg)
{
	return channel_send(arg, msg);
}

static void dclink_renew(struct dclink *d, const Ntm__Envelope *q)
{
	if (renewal_answer(q, d->renew, d->renew_arg, send_on, d->channel))
		log_warn("dclink", "a server's certificate was not sent");
}

static void dclink_message(struct channel *c, const Ntm__Envelope *msg,
			   void *arg)
{
	struct dclink *d = arg;
	int r;

	(void)c;
	if (msg->body_case == NTM__ENVELOPE__BODY_KEY_DISTRIBUTION_ACK) {
		dclink_acked(d, msg->key_distribution_ack, msg->txn);
		return;
	}
	if (msg->body_case == NTM__ENVELOPE__BODY_CERTIFICATE_REQUEST) {
		dclink_renew(d, msg);
		return;
	}
	if (msg->body_case == NTM__ENVELOPE__BODY_ACK && msg->txn == EXITS) {
		exits_acked(d);
		return;
	}
	if (msg->body_case != NTM__ENVELOPE__BODY_ACK || !d->sent ||
	    msg->txn != (WITHDRAWAL | (uint32_t)d->sent))
		return;
	if (msg->ack->code) {
		/* the DC could not store it; it stays queued and is tried again */
		log_warn("dclink", "withdrawal %lld refused: %s",
			 (long long)d->sent, err_text((int)msg->ack->code));
		d->sent = 0;
		loop_timer_arm(d->retry, LOOP_S(1));
		return;
	}
	r = accounts_withdrawal_done(d->accounts, d->sent);
	d->sent = 0;
	if (r) { /* told, but still queued: told again later, without harm */
		log_err("dclink", "withdrawal: %s", err_text(r));
		loop_timer_arm(d->retry, LOOP_S(1));
		return;
	}
	dclink_send_withdrawal(d);
}

static void dclink_closed(struct channel *c, int err, void *arg)
{
	struct dclink *d = arg;

	(void)c;
	if (!d)
		return;
	if (d->state == DCLINK_UP || d->retry_ms == DCLINK_RETRY_MIN_MS)
		log_warn("dclink", "no channel to the DC: %s", err_text(err));
	d->channel = NULL;
	d->sent = 0;
	dclink_set_state(d, DCLINK_DOWN);
	for (size_t i = 0; i < DCLINK_PENDING_MAX; i++)
		if (d->pending[i].fn)
			pending_end(&d->pending[i], -NTM_EAGAIN, NULL);
	loop_timer_arm(d->retry, LOOP_MS(d->retry_ms));
	d->retry_ms *= 2;
	if (d->retry_ms > DCLINK_RETRY_MAX_MS)
		d->retry_ms = DCLINK_RETRY_MAX_MS;
}

static const struct channel_ops dclink_ops = {
	.open = dclink_open,
	.message = dclink_message,
	.closed = dclink_closed,
};

/* connect, or (when up) try a withdrawal again */
static void dclink_retry(void *arg)
{
	struct dclink *d = arg;
	int r;

	if (d->channel) {
		dclink_send_withdrawal(d);
		return;
	}
	dclink_set_state(d, DCLINK_CONNECTING);
	r = channel_connect(d->loop, d->tls, &d->dc.sa, addr_len(&d->dc),
			    &dclink_ops, d, &d->channel);
	if (r)
		dclink_closed(NULL, r, d);
}

int dclink_new(struct loop *l, const struct addr *dc, struct tls_context *tls,
	       struct accounts *accounts, dclink_renew_fn *renew, void *arg,
	       struct dclink **out)
{
	struct dclink *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -NTM_ENOMEM;
	d->loop = l;
	d->dc = *dc;
	d->tls = tls;
	d->accounts = accounts;
	d->renew = renew;
	d->renew_arg = arg;
	d->retry_ms = DCLINK_RETRY_MIN_MS;
	r = loop_timer_new(l, dclink_retry, d, &d->retry);
	if (!r)
		r = loop_timer_new(l, dclink_expire, d, &d->expiry);
	if (r) {
		dclink_free(d);
		return r;
	}
	loop_timer_arm(d->retry, 0);
	*out = d;
	return 0;
}

void dclink_free(struct dclink *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < DCLINK_PENDING_MAX; i++)
		d->pending[i].fn = NULL;
	if (d->channel) {
		channel_set_arg(d->channel, NULL); /* closed comes after us */
		channel_close(d->channel);
	}
	loop_timer_free(d->retry);
	loop_timer_free(d->expiry);
	free(d);
}

int dclink_distribute(struct dclink *d, const Ntm__KeyDistribution *kd,
		      dclink_fn *fn, void *arg)
{
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	struct pending *p = NULL;
	int r;

	if (d->state != DCLINK_UP)
		return -NTM_EAGAIN;
	for (size_t i = 0; i < DCLINK_PENDING_MAX && !p; i++)
		if (!d->pending[i].fn)
			p = &d->pending[i];
	if (!p)
		return -NTM_ELIMIT;
	d->next_txn = (d->next_txn + 1) & ~WITHDRAWAL;
	msg.txn = d->next_txn;
	msg.body_case = NTM__ENVELOPE__BODY_KEY_DISTRIBUTION;
	msg.key_distribution = (Ntm__KeyDistribution *)kd;
	r = channel_send(d->channel, &msg);
	if (r)
		return r;
	*p = (struct pending){.fn = fn,
			      .arg = arg,
			      .txn = msg.txn,
			      .deadline = loop_now_exact(d->loop) +
					  LOOP_S(DCLINK_TIMEOUT_S)};
	if (!loop_timer_armed(d->expiry))
		loop_timer_arm(d->expiry, LOOP_MS(250));
	return 0;
}

void dclink_withdraw(struct dclink *d)
{
	exits_send(d);
	dclink_send_withdrawal(d);
}

bool dclink_is_up(const struct dclink *d)
{
	return d->state == DCLINK_UP;
}

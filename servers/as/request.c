/* SPDX-License-Identifier: MIT */
/*
 * request - what nodes ask of the AS: each from its message until it is answered
 *
 * Logins are login.c's, passwords password.c's; what is asked of one's own devices is
 * answered at once, here.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/log.h"
#include "servers/as/request.h"
#include "servers/as/subscribers.h"

#define DEVICES_MAX 256 /* in one answer */

static struct request *request_new(struct as_conn *conn, uint32_t txn)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->as = conn->as;
	r->conn = conn;
	r->txn = txn;
	memcpy(r->source, conn->source, AS_SOURCE_LEN);
	conn->busy = r;
	DL_APPEND(r->as->requests, r);
	return r;
}

void request_free(struct request *r)
{
	if (r->conn)
		r->conn->busy = NULL;
	DL_DELETE(r->as->requests, r);
	if (r->new_password)
		ntmc_wipe(r->new_password, strlen(r->new_password));
	free(r->new_password);
	ntmc_wipe(r, sizeof(*r));
	free(r);
}

void request_orphan(struct request *r)
{
	r->conn = NULL;
}

void requests_free(struct as *as)
{
	struct request *r, *tmp;

	DL_FOREACH_SAFE (as->requests, r, tmp)
		request_free(r);
}

/* --- answers --------------------------------------------------------------- */

/* Return: -NTM_ETOOBIG: something shorter must be said; else 0 */
static int try_send(struct as_conn *conn, const Ntm__Envelope *msg)
{
	int err = conn ? channel_send(conn->channel, msg) : 0;

	/* a peer that does not read is closed by the channel itself */
	if (err)
		log_debug("as", "an answer was not sent: %s", err_text(err));
	return err == -NTM_ETOOBIG ? err : 0;
}

void request_send(struct as_conn *conn, const Ntm__Envelope *msg)
{
	/* none of these comes near the limit of a frame */
	if (try_send(conn, msg))
		channel_close(conn->channel);
}

void request_ack(struct as_conn *conn, uint32_t txn, int err,
		 unsigned int retry_s)
{
	Ntm__NtmAck body = NTM__NTM_ACK__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;

	body.code = (uint32_t)-err;
	body.retry_after_ms = retry_s * UINT64_C(1000);
	msg.txn = txn;
	msg.body_case = NTM__ENVELOPE__BODY_ACK;
	msg.ack = &body;
	request_send(conn, &msg);
}

int request_public_error(int err)
{
	switch (-err) {
	case NTM_ENOMEM:
	case NTM_ESYSTEM:
		return -NTM_ESERVER;
	case NTM_ELIMIT:
		return -NTM_EAGAIN;
	default:
		return err;
	}
}

/* --- one's own devices ------------------------------------------------------------ */

int request_device(struct as_conn *conn, unsigned int late_s,
		   struct device *out)
{
	const struct ntmc_cert *cert = channel_peer(conn->channel);
	uint8_t fp[NTMC_FP_LEN];
	int err;

	if (!cert || cert->kind != NTMC_CERT_NODE)
		return -NTM_EAUTH;
	ntmc_fingerprint(cert->ed_pub, fp);
	if (cert->not_after + late_s < loop_wall(conn->as->loop))
		return -NTM_EEXPIRED;
	err = accounts_device_live(conn->as->accounts, cert->fqdn, fp);
	if (!err)
		err = accounts_device(conn->as->accounts, cert->fqdn, out);
	return err;
}

struct devices {
	size_t n;
	Ntm__Device *list[DEVICES_MAX];
	Ntm__Device msgs[DEVICES_MAX];
	struct device devices[DEVICES_MAX];
};

static void devices_add(void *arg, const struct device *d)
{
	struct devices *all = arg;
	Ntm__Device *m;

	if (all->n == DEVICES_MAX)
		return;
	all->devices[all->n] = *d;
	d = &all->devices[all->n];
	m = &all->msgs[all->n];
	ntm__device__init(m);
	m->fqdn = (char *)d->fqdn;
	m->fingerprint = (ProtobufCBinaryData){NTMC_FP_LEN, (uint8_t *)d->fp};
	m->last_login = d->last_login;
	m->revoked = d->revoked;
	m->version = (char *)d->version;
	all->list[all->n++] = m;
}

static void devices_start(struct as_conn *conn, uint32_t txn)
{
	Ntm__DevicesResponse body = NTM__DEVICES_RESPONSE__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	struct devices *all = calloc(1, sizeof(*all));
	struct device d;
	int err = all ? request_device(conn, 0, &d) : -NTM_ESERVER;

	if (!err)
		err = accounts_device_each(conn->as->accounts, d.account,
					   devices_add, all);
	body.code = (uint32_t)-err;
	if (!err) {
		body.n_devices = all->n;
		body.devices = all->list;
	}
	msg.txn = txn;
	msg.body_case = NTM__ENVELOPE__BODY_DEVICES_RESPONSE;
	msg.devices_response = &body;
	if (try_send(conn, &msg)) { /* long names, many of them */
		body.code = NTM_ELIMIT;
		body.n_devices = 0;
		request_send(conn, &msg);
	}
	free(all);
}

static void revoke_start(struct as_conn *conn, uint32_t txn,
			 const Ntm__RevokeRequest *q)
{
	struct as *as = conn->as;
	struct device own, other;
	int err = request_device(conn, 0, &own);

	if (!err)
		err = accounts_device(as->accounts, q->fqdn, &other);
	if (!err && strcmp(own.account, other.account))
		err = -NTM_ENOTFOUND; /* says nothing about others */
	if (!err && !other.revoked)
		err = accounts_device_revoke(as->accounts, other.fqdn, false,
					     loop_wall(as->loop));
	if (!err) {
		log_info("as", "%s revoked by %s", other.fqdn, own.fqdn);
		dclink_withdraw(as->dclink);
		subscribers_changed(as, other.fqdn);
	}
	request_ack(conn, txn, err, 0);
}

void request_start(struct as_conn *conn, const Ntm__Envelope *msg)
{
	struct request *r = NULL;

	if (conn->busy) {
		/* one at a time; a well-behaved node waits for its answer */
		request_ack(conn, msg->txn, -NTM_EAGAIN, 0);
		return;
	}
	switch (msg->body_case) {
	case NTM__ENVELOPE__BODY_TOKEN_SUBSCRIPTION:
		subscribers_add(conn, msg->token_subscription);
		return;
	case NTM__ENVELOPE__BODY_ACK:
		if (conn->subscriber)
			subscribers_acked(conn, msg->ack);
		else
			channel_close(conn->channel);
		return;
	case NTM__ENVELOPE__BODY_CERTIFICATE_REQUEST:
		subscribers_renew(conn, msg);
		return;
	case NTM__ENVELOPE__BODY_DEVICES_REQUEST:
		devices_start(conn, msg->txn);
		return;
	case NTM__ENVELOPE__BODY_REVOKE_REQUEST:
		revoke_start(conn, msg->txn, msg->revoke_request);
		return;
	case NTM__ENVELOPE__BODY_LOGIN_REQUEST:
	case NTM__ENVELOPE__BODY_PASSWORD_REQUEST:
		break;
	default: /* nothing that a node sends */
		channel_close(conn->channel);
		return;
	}
	r = request_new(conn, msg->txn);
	if (!r)
		request_ack(conn, msg->txn, -NTM_ESERVER, 0);
	else if (msg->body_case == NTM__ENVELOPE__BODY_LOGIN_REQUEST)
		login_start(r, msg->login_request);
	else
		password_start(r, msg->password_request);
}

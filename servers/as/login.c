/* SPDX-License-Identifier: MIT */
/*
 * login - a node logs in, by password or by certificate
 *
 * Theory of operation
 *
 * A login goes through these steps, each of which may refuse:
 *
 *   login_start()     form of names and keys, the node's clock
 *   by password:      password_try(): rate limits, then Argon2 in the hasher's
 *                     threads
 *   by certificate:   the identity TLS proved is a live device; its certificate may
 *                     have run out, no longer ago than as.renew_grace: whoever was
 *                     off for a week needs no password. For all else it is too late.
 *   device_known()    device row: known, new within the limit, or refused; durable.
 *                     AGAIN while the DC has yet to hear of its last withdrawal
 *   distribute()      Node ID and Kntmdc drawn; the DC leases and acknowledges
 *   issue()           still so? certificate with the leased addresses; answer
 *
 * Kntmdc lives in the request alone and is wiped with it: the AS forgets it.
 */
#include <stdio.h>
#include <string.h>

#include "common/fqdn.h"
#include "common/log.h"
#include "servers/as/groupmanagers.h"
#include "servers/as/request.h"
#include "servers/as/subscribers.h"

#define CLOCK_TOLERANCE_S 300
#define AS_TOKEN_LEN	  32

static void send_refusal(struct as_conn *conn, uint32_t txn, int err,
			 unsigned int retry_s)
{
	Ntm__LoginResponse body = NTM__LOGIN_RESPONSE__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;

	body.code = (uint32_t)-err;
	body.retry_after_s = retry_s;
	body.now = conn ? loop_wall(conn->as->loop) : 0;
	msg.txn = txn;
	msg.body_case = NTM__ENVELOPE__BODY_LOGIN_RESPONSE;
	msg.login_response = &body;
	request_send(conn, &msg);
}

/* end a login that failed with @err */
static void refuse(struct request *r, int err, unsigned int retry_s)
{
	r->as->stats.refused++;
	if (log_allowed(
		    &r->as->refused_log)) /* strangers cannot fill the log */
		log_info("as", "login %s%s refused: %s",
			 r->device.fqdn[0] ? r->device.fqdn : r->account,
			 r->by_cert ? " (certificate)" : "", err_text(err));
	send_refusal(r->conn, r->txn, err, retry_s);
	request_free(r);
}

/* --- the last steps -------------------------------------------------------------- */

static void send_login(struct request *r, const uint8_t *der, size_t len,
		       uint8_t *token, const Ntm__KeyDistributionAck *ack)
{
	struct as *as = r->as;
	Ntm__LoginResponse body = NTM__LOGIN_RESPONSE__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	struct account account = {.exit = false};
	struct groupmanagers_named groups;
	struct addr dc[SERVERCONF_ADDRESSES_MAX];
	Ntm__Address at[SERVERCONF_ADDRESSES_MAX],
		*list[SERVERCONF_ADDRESSES_MAX];
	int n = serverconf_announced(as->conf->dc_address, as->conf->dc_listen,
				     (uint16_t)as->conf->dc_port, dc);

	for (int i = 0; i < n; i++) {
		ntm__address__init(&at[i]);
		addr_to_message(&dc[i], NTM__ADDRESS_KIND__ADDRESS_LOCAL,
				&at[i]);
		list[i] = &at[i];
	}
	body.fqdn = r->device.fqdn;
	body.node_id = r->node_id;
	body.kntmdc = (ProtobufCBinaryData){NTMC_KEY_LEN, r->kntmdc.b};
	body.certificate = (ProtobufCBinaryData){len, (uint8_t *)der};
	body.ca = (ProtobufCBinaryData){as->ca_len, as->ca_der};
	body.n_dc = n > 0 ? (size_t)n : 0;
	body.dc = list;
	body.lifetime_s = as->conf->as_lifetime;
	body.n_relays = ack->n_relays;
	body.relays = ack->relays;
	body.box_port = ack->box_port;
	body.now = loop_wall(as->loop);
	if (!accounts_get(as->accounts, r->account, &account))
		body.exit = account.exit;
	ntmc_wipe(account.hash, sizeof(account.hash));
	body.token = (ProtobufCBinaryData){AS_TOKEN_LEN, token};
	msg.txn = r->txn;
	msg.body_case = NTM__ENVELOPE__BODY_LOGIN_RESPONSE;
	msg.login_response = &body;
	groupmanagers_name(as, r->node_id, r->ed_pub, &body, &groups);
	request_send(r->conn, &msg);
	ntmc_wipe(groups.key, sizeof(groups.key));
}

/* a token for CS and box, which are told first: the node may be there soon */
static int issue_token(struct request *r, uint8_t token[static AS_TOKEN_LEN])
{
	struct as *as = r->as;
	int64_t now = loop_wall(as->loop);
	struct accounts_token t = {.expires = now + as->conf->as_lifetime};
	int err;

	ntmc_random(NULL, token, AS_TOKEN_LEN);
	ntmc_sha256(token, AS_TOKEN_LEN, t.hash);
	err = accounts_token_add(as->accounts, r->device.fqdn, &t, now);
	if (!err)
		subscribers_changed(as, r->device.fqdn);
	return err;
}

static void issue(void *arg, int err, const Ntm__KeyDistributionAck *ack)
{
	struct request *r = arg;
	struct as *as = r->as;
	struct ntmc_cert cert = {.kind = NTMC_CERT_NODE};
	uint8_t der[NTMC_CERT_MAX], token[AS_TOKEN_LEN];
	size_t len = sizeof(der);
	int64_t now = loop_wall(as->loop);

	if (!err) /* disabled while the DC was asked? */
		err = accounts_device_live(as->accounts, r->device.fqdn,
					   r->device.fp);
	if (!err) /* and enabled again, but the DC is told later */
		err = accounts_withdrawal_settled(as->accounts, r->device.fp);
	if (!err && (ack->vip6.len != sizeof(cert.vip6) ||
		     (ack->vip4.len && ack->vip4.len != sizeof(cert.vip4))))
		err = -NTM_ESERVER;
	if (err) {
		refuse(r, request_public_error(err), 1);
		return;
	}
	strcpy(cert.fqdn, r->device.fqdn);
	memcpy(cert.ed_pub, r->ed_pub, NTMC_KEY_LEN);
	memcpy(cert.x_pub, r->x_pub, NTMC_KEY_LEN);
	memcpy(cert.x_sig, r->x_sig, NTMC_SIG_LEN);
	memcpy(cert.vip6, ack->vip6.data, sizeof(cert.vip6));
	if (ack->vip4.len)
		memcpy(cert.vip4, ack->vip4.data, sizeof(cert.vip4));
	err = ntmc_ca_issue(NULL, as->ca, &cert, now - NTMC_CERT_BACKDATE_S,
			    now + as->conf->as_lifetime, der, &len);
	if (!err)
		err = issue_token(r, token);
	if (err) {
		log_err("as", "certificate and token for %s: %s", cert.fqdn,
			err_text(err));
		refuse(r, -NTM_ESERVER, 0);
		return;
	}
	if (r->by_cert)
		as->stats.renewals++;
	else
		as->stats.logins++;
	log_info("as", "login %s%s", r->device.fqdn,
		 r->by_cert ? " (certificate)" : "");
	send_login(r, der, len, token, ack);
	ntmc_wipe(token, sizeof(token));
	request_free(r);
}

static void distribute(struct request *r)
{
	struct as *as = r->as;
	Ntm__KeyDistribution kd = NTM__KEY_DISTRIBUTION__INIT;
	int err;

	ntmc_random(NULL, &r->node_id, sizeof(r->node_id));
	ntmc_key_random(NULL, &r->kntmdc);
	kd.node_id = r->node_id;
	kd.fqdn = r->device.fqdn;
	kd.kntmdc = (ProtobufCBinaryData){NTMC_KEY_LEN, r->kntmdc.b};
	kd.aead = r->aead;
	kd.expires = loop_wall(as->loop) + as->conf->as_lifetime;
	kd.ed_pub = (ProtobufCBinaryData){NTMC_KEY_LEN, r->ed_pub};
	kd.x_pub = (ProtobufCBinaryData){NTMC_KEY_LEN, r->x_pub};
	kd.x_sig = (ProtobufCBinaryData){NTMC_SIG_LEN, r->x_sig};
	err = dclink_distribute(as->dclink, &kd, issue, r);
	if (err)
		refuse(r, request_public_error(err), 1);
}

/* the account or certificate is good: the device? */
static void device_known(struct request *r)
{
	int err = accounts_device_login(r->as->accounts, &r->device,
					r->as->conf->as_device_limit);

	if (!err) /* a withdrawal still queued would end the new session */
		err = accounts_withdrawal_settled(r->as->accounts,
						  r->device.fp);
	if (err)
		refuse(r, err, err == -NTM_EAGAIN);
	else
		distribute(r);
}

/* --- by password ------------------------------------------------------------------ */

static void login_checked(void *arg, int err, const char *hash)
{
	struct request *r = arg;

	(void)hash;
	if (!err)
		err = password_was_right(r);
	if (err)
		refuse(r, request_public_error(err), password_wait_s(r));
	else if (!r->conn)
		request_free(r); /* nobody waits for it */
	else
		device_known(r);
}

static void login_by_password(struct request *r, const Ntm__LoginRequest *q)
{
	unsigned int wait = 0;
	int err;

	if (strlen(q->account) > FQDN_LABEL_MAX ||
	    fqdn_normalize(q->account, r->device.fqdn) ||
	    !fqdn_label_is_valid(r->device.fqdn)) {
		/* no such account can be; say what a wrong password says */
		r->device.fqdn[0] = '\0';
		refuse(r, -NTM_EPASSWORD, 0);
		return;
	}
	snprintf(r->account, sizeof(r->account), "%.63s", r->device.fqdn);
	strcpy(r->device.account, r->account);
	if (fqdn_join(q->device, r->account, r->as->conf->domain,
		      r->device.fqdn)) {
		refuse(r, -NTM_EINVAL, 0);
		return;
	}
	err = password_try(r, q->password, login_checked, &wait);
	if (err)
		refuse(r, err, wait);
}

/* --- by certificate --------------------------------------------------------------- */

static void login_by_certificate(struct request *r, const Ntm__LoginRequest *q)
{
	const struct ntmc_cert *cert = channel_peer(r->conn->channel);
	struct device d;
	int err = request_device(r->conn, r->as->conf->as_renew_grace, &d);

	if (!err && memcmp(cert->ed_pub, r->ed_pub, NTMC_KEY_LEN))
		err = -NTM_EAUTH;
	if (!err && *q->device) {
		size_t len = strlen(q->device);

		/* a certificate speaks for its own device only */
		if (strncmp(d.fqdn, q->device, len) || d.fqdn[len] != '.')
			err = -NTM_EEXISTS;
	}
	if (err) {
		refuse(r, err, 0);
		return;
	}
	strcpy(r->account, d.account);
	strcpy(r->device.account, d.account);
	strcpy(r->device.fqdn, d.fqdn);
	device_known(r);
}

/* --- the first step ----------------------------------------------------------------- */

static int login_check(struct request *r, const Ntm__LoginRequest *q)
{
	int64_t now = loop_wall(r->as->loop);

	if (q->now < now - CLOCK_TOLERANCE_S ||
	    q->now > now + CLOCK_TOLERANCE_S)
		return -NTM_ECLOCK;
	if (q->ed_pub.len != NTMC_KEY_LEN || q->x_pub.len != NTMC_KEY_LEN ||
	    q->x_sig.len != NTMC_SIG_LEN)
		return -NTM_EDECODE;
	if (q->aead != NTMC_AES_256_GCM && q->aead != NTMC_CHACHA20_POLY1305)
		return -NTM_EINVAL;
	if (!r->by_cert && !fqdn_label_is_valid(q->device))
		return -NTM_EINVAL;
	if (!ntmc_ed25519_public_ok(q->ed_pub.data))
		return -NTM_EAUTH;
	return ntmc_static_verify(q->ed_pub.data, q->x_pub.data, q->x_sig.data);
}

void login_start(struct request *r, const Ntm__LoginRequest *q)
{
	int err;

	r->by_cert = !*q->account;
	if (!r->by_cert)
		snprintf(r->account, sizeof(r->account), "%.63s", q->account);
	for (char *p = r->account; *p; p++) /* it goes into the log */
		if (*p < ' ' || *p > '~')
			*p = '?';
	err = login_check(r, q);
	if (err) {
		refuse(r, err, 0);
		return;
	}
	memcpy(r->ed_pub, q->ed_pub.data, NTMC_KEY_LEN);
	memcpy(r->x_pub, q->x_pub.data, NTMC_KEY_LEN);
	memcpy(r->x_sig, q->x_sig.data, NTMC_SIG_LEN);
	ntmc_fingerprint(r->ed_pub, r->device.fp);
	r->aead = q->aead;
	r->device.last_login = loop_wall(r->as->loop);
	snprintf(r->device.version, sizeof(r->device.version), "%.63s",
		 q->version);
	if (r->by_cert)
		login_by_certificate(r, q);
	else
		login_by_password(r, q);
}

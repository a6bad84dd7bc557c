/* SPDX-License-Identifier: MIT */
/*
 * request - what nodes ask of the AS: log in, change a password, list, revoke
 *
 * Theory of operation
 *
 * A login goes through these steps, each of which may refuse:
 *
 *   request_start()   form of names and keys, the node's clock
 *   by password:      rate limits, then Argon2 in the hasher's threads
 *   by certificate:   the identity TLS proved is a live device; its certificate may
 *                     have run out, no longer ago than as.renew_grace: whoever was
 *                     off for a week needs no password. For all else it is too late.
 *   device_known()    device row: known, new within the limit, or refused; durable.
 *                     AGAIN while the DC has yet to hear of its last withdrawal
 *   distribute()      Node ID and Kntmdc drawn; the DC leases and acknowledges
 *   issue()           still so? certificate with the leased addresses; answer
 *
 * A failure is counted before the password is checked and taken back afterwards,
 * so that guesses in parallel do not outrun the limit. An unknown account costs an
 * Argon2 like a known one, and "disabled" is said only to who knows the password.
 * Kntmdc lives in the request alone and is wiped with it: the AS forgets it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/datagram.h"
#include "common/fqdn.h"
#include "common/log.h"
#include "servers/as/groupmanagers.h"
#include "servers/as/state.h"
#include "servers/as/subscribers.h"

#define CLOCK_TOLERANCE_S 300
#define BACKDATE_S	  3600 /* a certificate is good where the clock is behind */
#define PASSWORD_MIN	  8
#define PASSWORD_MAX	  1024
#define DEVICES_MAX	  256 /* in one answer */
#define AS_TOKEN_LEN	  32

struct request {
	struct request *prev, *next; /* as->requests */
	struct as *as;
	struct as_conn *conn; /* NULL: it has gone */
	uint32_t txn;
	bool by_cert;
	char account[FQDN_LABEL_MAX + 1];
	struct device device;
	uint8_t ed_pub[NTMC_KEY_LEN], x_pub[NTMC_KEY_LEN], x_sig[NTMC_SIG_LEN];
	uint32_t aead;
	uint64_t node_id;
	struct ntmc_key kntmdc;
	uint8_t source[AS_SOURCE_LEN];
	char *new_password; /* of a password change */
};

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

static void request_free(struct request *r)
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

static void send_msg(struct as_conn *conn, const Ntm__Envelope *msg)
{
	/* none of these comes near the limit of a frame */
	if (try_send(conn, msg))
		channel_close(conn->channel);
}

static void send_ack(struct as_conn *conn, uint32_t txn, int err,
		     unsigned int retry_s)
{
	Ntm__NtmAck body = NTM__NTM_ACK__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;

	body.code = (uint32_t)-err;
	body.retry_after_ms = retry_s * UINT64_C(1000);
	msg.txn = txn;
	msg.body_case = NTM__ENVELOPE__BODY_ACK;
	msg.ack = &body;
	send_msg(conn, &msg);
}

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
	send_msg(conn, &msg);
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

/* what we tell a node about trouble of ours */
static int public_error(int err)
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

/* --- the last steps of a login ----------------------------------------------- */

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
	send_msg(r->conn, &msg);
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
		refuse(r, public_error(err), 1);
		return;
	}
	strcpy(cert.fqdn, r->device.fqdn);
	memcpy(cert.ed_pub, r->ed_pub, NTMC_KEY_LEN);
	memcpy(cert.x_pub, r->x_pub, NTMC_KEY_LEN);
	memcpy(cert.x_sig, r->x_sig, NTMC_SIG_LEN);
	memcpy(cert.vip6, ack->vip6.data, sizeof(cert.vip6));
	if (ack->vip4.len)
		memcpy(cert.vip4, ack->vip4.data, sizeof(cert.vip4));
	err = ntmc_ca_issue(NULL, as->ca, &cert, now - BACKDATE_S,
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
		refuse(r, public_error(err), 1);
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

/* --- by password ----------------------------------------------------------- */

static unsigned int must_wait(struct request *r)
{
	uint64_t now = loop_now(r->as->loop);
	unsigned int a = limiter_wait_s(r->as->by_account, r->account,
					strlen(r->account), now);
	unsigned int s =
		limiter_wait_s(r->as->by_source, r->source, AS_SOURCE_LEN, now);

	return a > s ? a : s;
}

/* Return: 0 and the failure counted, or the error with @wait */
static int attempt(struct request *r, const char *password, hasher_fn *fn,
		   unsigned int *wait)
{
	struct as *as = r->as;
	struct account account = {.enabled = false};
	uint64_t now = loop_now(as->loop);
	int err;

	*wait = must_wait(r);
	if (*wait) {
		as->stats.rate_limited++;
		return -NTM_ERATE;
	}
	err = accounts_get(as->accounts, r->account, &account);
	if (err && err != -NTM_ENOTFOUND)
		return err;
	err = hasher_verify(as->hasher, password, err ? NULL : account.hash, fn,
			    r);
	ntmc_wipe(account.hash, sizeof(account.hash));
	if (err) {
		*wait = 1;
		return public_error(err);
	}
	limiter_failure(as->by_account, r->account, strlen(r->account), now);
	limiter_failure(as->by_source, r->source, AS_SOURCE_LEN, now);
	return 0;
}

/* the password was right: Return: 0, or DISABLED, STORE ... */
static int attempt_succeeded(struct request *r)
{
	struct as *as = r->as;
	struct account account;
	int err;

	limiter_success(as->by_account, r->account, strlen(r->account));
	limiter_take_back(as->by_source, r->source, AS_SOURCE_LEN);
	err = accounts_get(as->accounts, r->account, &account);
	ntmc_wipe(account.hash, sizeof(account.hash));
	if (err == -NTM_ENOTFOUND) /* deleted in between */
		return -NTM_EPASSWORD;
	if (!err && !account.enabled)
		err = -NTM_EDISABLED;
	return err;
}

static void login_checked(void *arg, int err, const char *hash)
{
	struct request *r = arg;

	(void)hash;
	if (!err)
		err = attempt_succeeded(r);
	if (err)
		refuse(r, public_error(err), must_wait(r));
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
	err = attempt(r, q->password, login_checked, &wait);
	if (err)
		refuse(r, err, wait);
}

/* --- by certificate ---------------------------------------------------------- */

/* The live device that the channel's certificate names, or an error; @late_s: the
 * certificate may have run out, also while the channel stood, that long ago. */
static int channel_device(struct as_conn *conn, unsigned int late_s,
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

static void login_by_certificate(struct request *r, const Ntm__LoginRequest *q)
{
	const struct ntmc_cert *cert = channel_peer(r->conn->channel);
	struct device d;
	int err = channel_device(r->conn, r->as->conf->as_renew_grace, &d);

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

static void login_start(struct request *r, const Ntm__LoginRequest *q)
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

/* --- password change ----------------------------------------------------------- */

static void end_ack(struct request *r, int err, unsigned int wait)
{
	log_info("as", "password of %s: %s", r->account, err_text(err));
	send_ack(r->conn, r->txn, err, wait);
	request_free(r);
}

static void password_hashed(void *arg, int err, const char *hash)
{
	struct request *r = arg;

	if (!err)
		err = accounts_set_hash(r->as->accounts, r->account, hash);
	end_ack(r, public_error(err), 0);
}

static void password_checked(void *arg, int err, const char *hash)
{
	struct request *r = arg;

	(void)hash;
	if (!err)
		err = attempt_succeeded(r);
	if (!err)
		err = hasher_hash(r->as->hasher, r->new_password,
				  password_hashed, r);
	if (err)
		end_ack(r, public_error(err), must_wait(r));
}

static void password_start(struct request *r, const Ntm__PasswordRequest *q)
{
	size_t len = strlen(q->new_password);
	unsigned int wait = 0;
	int err = 0;

	if (!fqdn_label_is_valid(q->account))
		err = -NTM_EPASSWORD;
	else if (len < PASSWORD_MIN || len > PASSWORD_MAX)
		err = -NTM_EINVAL;
	if (!err) {
		snprintf(r->account, sizeof(r->account), "%.63s", q->account);
		r->new_password = strdup(q->new_password);
		err = r->new_password ? 0 : -NTM_ESERVER;
	}
	if (!err)
		err = attempt(r, q->old_password, password_checked, &wait);
	if (err)
		end_ack(r, err, wait);
}

/* --- one's own devices ------------------------------------------------------------ */

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
	int err = all ? channel_device(conn, 0, &d) : -NTM_ESERVER;

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
		send_msg(conn, &msg);
	}
	free(all);
}

static void revoke_start(struct as_conn *conn, uint32_t txn,
			 const Ntm__RevokeRequest *q)
{
	struct as *as = conn->as;
	struct device own, other;
	int err = channel_device(conn, 0, &own);

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
	send_ack(conn, txn, err, 0);
}

void request_start(struct as_conn *conn, const Ntm__Envelope *msg)
{
	struct request *r = NULL;

	if (conn->busy) {
		/* one at a time; a well-behaved node waits for its answer */
		send_ack(conn, msg->txn, -NTM_EAGAIN, 0);
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
		send_ack(conn, msg->txn, -NTM_ESERVER, 0);
	else if (msg->body_case == NTM__ENVELOPE__BODY_LOGIN_REQUEST)
		login_start(r, msg->login_request);
	else
		password_start(r, msg->password_request);
}

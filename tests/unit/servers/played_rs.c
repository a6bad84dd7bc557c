/* SPDX-License-Identifier: MIT */
/* played_rs - a Relay Server as far as the DC sees one */
#include "played_rs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY_S 86400

/* --- datagrams ------------------------------------------------------------------ */

void played_send(struct played_rs *p, struct played_key *k, Ntm__Signal *msg)
{
	struct packet_header h = {
		.type = PACKET_SIGNAL, .id = k->id, .counter = k->counter++};
	uint8_t buf[PACKET_SIGNAL_MAX];
	int len = datagram_seal(&h, k->keys.aead, &k->keys.up, &msg->base, buf);

	assert_true(len > 0);
	(void)!send(p->fd, buf, (size_t)len, 0);
}

static void send_ack(struct played_rs *p, uint32_t txn, uint32_t code)
{
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	ack.code = code;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_ACK;
	msg.ack = &ack;
	played_send(p, &p->now, &msg);
}

static void on_direction(struct played_rs *p, uint32_t txn,
			 const Ntm__RelayDirection *d)
{
	const Ntm__RelayEnd *ends[2] = {d->mn, d->cn};

	p->n_directions++;
	p->direction_txn = txn;
	p->path_id = d->path_id;
	memcpy(p->kpunch, d->kpunch.data, sizeof(p->kpunch));
	for (int i = 0; i < 2; i++) {
		snprintf(p->accounts[i], sizeof(p->accounts[i]), "%s",
			 ends[i]->account);
		p->proven_len[i] = ends[i]->proven.len;
		if (ends[i]->proven.len)
			memcpy(p->proven[i], ends[i]->proven.data,
			       ends[i]->proven.len);
	}
	if (!p->silent)
		send_ack(p, txn, p->code);
}

static void on_withdraw(struct played_rs *p, uint32_t txn,
			const Ntm__RelayWithdraw *w)
{
	if (txn != p->withdraw_txn)
		for (size_t i = 0; i < w->n_accounts && p->n_withdrawn < 64;
		     i++)
			snprintf(p->withdrawn[p->n_withdrawn++], 64, "%s",
				 w->accounts[i]);
	p->withdraw_txn = txn;
	if (!p->deaf)
		send_ack(p, txn, 0);
}

static void on_group(struct played_rs *p, uint32_t txn,
		     const Ntm__GroupDirection *d)
{
	p->n_groups++;
	p->group_tag = d->tag;
	memcpy(p->relay_key, d->relay_key.data, sizeof(p->relay_key));
	memcpy(p->bind_key, d->bind_key.data, sizeof(p->bind_key));
	p->group_aead = d->aead;
	p->places = d->places;
	p->group_lifetime_s = d->lifetime_s;
	snprintf(p->group_account, sizeof(p->group_account), "%s", d->account);
	if (!p->silent)
		send_ack(p, txn, p->code);
}

static void on_signal(struct played_rs *p, const Ntm__Signal *msg)
{
	switch (msg->body_case) {
	case NTM__SIGNAL__BODY_RELAY_REGISTRATION_ACK:
		p->n_acks++;
		p->ack_code = msg->relay_registration_ack->code;
		p->ack_boot = msg->relay_registration_ack->boot;
		break;
	case NTM__SIGNAL__BODY_RELAY_DIRECTION:
		on_direction(p, msg->txn, msg->relay_direction);
		break;
	case NTM__SIGNAL__BODY_GROUP_DIRECTION:
		on_group(p, msg->txn, msg->group_direction);
		break;
	case NTM__SIGNAL__BODY_RELAY_WITHDRAW:
		on_withdraw(p, msg->txn, msg->relay_withdraw);
		break;
	default:
		fail_msg("a DC does not say %d", (int)msg->body_case);
	}
}

static void on_datagram(void *arg, int fd, unsigned int events)
{
	struct played_rs *p = arg;
	struct played_key *k;
	struct packet_header h;
	ProtobufCMessage *msg;
	uint8_t buf[2048];
	ssize_t len = recv(fd, buf, sizeof(buf), 0);

	(void)events;
	if (len < 0)
		return;
	assert_int_equal(packet_header_get(buf, (size_t)len, &h), 0);
	k = h.id == p->now.id ? &p->now : &p->before;
	assert_true(h.id == k->id);
	assert_int_equal(datagram_open(&h, k->keys.aead, &k->keys.down, buf,
				       (size_t)len, &ntm__signal__descriptor,
				       &msg),
			 0);
	on_signal(p, (const Ntm__Signal *)msg);
	datagram_free(msg);
}

/* --- the channel ------------------------------------------------------------------ */

static void on_certificate(struct played_rs *p, uint32_t txn,
			   const Ntm__CertificateResponse *m)
{
	p->n_certs++;
	p->cert_txn = txn;
	p->cert_code = m->code;
	p->fresh_len = m->certificate.len;
	if (m->certificate.len) /* as long as a certificate: it was checked */
		memcpy(p->fresh, m->certificate.data, m->certificate.len);
}

static void on_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;
	Ntm__Envelope answer = NTM__ENVELOPE__INIT;
	const Ntm__KeySharing *s = msg->key_sharing;
	struct played_rs *p = arg;
	struct ntmc_key kdcrs;

	if (c != p->channel)
		return;
	if (msg->body_case == NTM__ENVELOPE__BODY_CERTIFICATE_RESPONSE) {
		on_certificate(p, msg->txn, msg->certificate_response);
		return;
	}
	assert_int_equal(msg->body_case, NTM__ENVELOPE__BODY_KEY_SHARING);
	assert_true(s->id && s->id != p->now.id);
	assert_int_equal(s->lifetime_s, DAY_S);
	p->before = p->now;
	p->now.id = s->id;
	p->now.counter = UINT64_C(3) << PACKET_BOOT_SHIFT;
	memcpy(kdcrs.b, s->key.data, NTMC_KEY_LEN);
	assert_int_equal(datagram_relay_keys(&kdcrs, s->id,
					     (enum ntmc_aead_alg)s->aead,
					     &p->now.keys),
			 0);
	p->n_keys++;
	if (p->keep_key)
		return;
	answer.txn = msg->txn;
	answer.body_case = NTM__ENVELOPE__BODY_ACK;
	answer.ack = &ack;
	assert_int_equal(channel_send(c, &answer), 0);
}

static void on_closed(struct channel *c, int err, void *arg)
{
	struct played_rs *p = arg;

	(void)err;
	if (!p || c != p->channel)
		return; /* replaced */
	p->channel = NULL;
	p->closed = true;
}

void played_connect(struct played_rs *p)
{
	static const struct channel_ops ops = {.message = on_message,
					       .closed = on_closed};
	const struct addr *dc = &p->site->dc_addr;

	p->closed = false;
	assert_int_equal(channel_connect(p->site->loop, p->tls, &dc->sa,
					 addr_len(dc), &ops, p, &p->channel),
			 0);
}

bool played_is_closed(void *arg)
{
	return ((struct played_rs *)arg)->closed;
}

/* --- the rest ------------------------------------------------------------------------ */

static void make_cert(struct played_rs *p, uint32_t roles)
{
	struct ntmc_cert cert = {.kind = NTMC_CERT_SERVER, .roles = roles};
	int64_t now = loop_wall(p->site->loop);
	char key[128], pem[128];
	uint8_t ca_der[NTMC_CERT_MAX];
	size_t ca_len = sizeof(ca_der);
	struct ntmc_ca *ca;

	snprintf(key, sizeof(key), "%s/as/ca.key", p->site->dir);
	snprintf(pem, sizeof(pem), "%s/as/ca.pem", p->site->dir);
	assert_int_equal(ntmc_ca_load(key, pem, &ca), 0);
	strcpy(cert.fqdn, SITE_DOMAIN);
	memcpy(cert.ed_pub, p->id.ed_pub, NTMC_KEY_LEN);
	memcpy(cert.x_pub, p->id.x_pub, NTMC_KEY_LEN);
	ntmc_static_sign(&p->id, cert.x_sig);
	p->cert_len = sizeof(p->cert);
	assert_int_equal(ntmc_ca_issue(NULL, ca, &cert, now, now + DAY_S,
				       p->cert, &p->cert_len),
			 0);
	assert_int_equal(ntmc_ca_der(ca, ca_der, &ca_len), 0);
	ntmc_ca_free(ca);
	assert_int_equal(tls_context_new(&p->id, p->cert, p->cert_len, ca_der,
					 ca_len, NULL, p->site->ca_fp, &p->tls),
			 0);
}

static void open_udp(struct played_rs *p)
{
	const struct addr *dc = &p->site->dc_addr;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr any;

	assert_int_equal(addr_parse("127.0.0.1", 0, &any), 0);
	p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(p->fd >= 0);
	assert_int_equal(bind(p->fd, &any.sa, addr_len(&any)), 0);
	assert_int_equal(connect(p->fd, &dc->sa, addr_len(dc)), 0);
	assert_int_equal(getsockname(p->fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, len, &any),
			 0);
	p->port = addr_port(&any);
	assert_int_equal(loop_io_add(p->site->loop, p->fd, LOOP_READ, false,
				     on_datagram, p, &p->io),
			 0);
}

void played_new(struct played_rs *p, struct site *s, uint32_t roles)
{
	memset(p, 0, sizeof(*p));
	p->site = s;
	ntmc_identity_new(NULL, &p->id);
	make_cert(p, roles);
	open_udp(p);
}

void played_free(struct played_rs *p)
{
	loop_io_del(p->io);
	close(p->fd);
	if (p->channel) {
		channel_set_arg(p->channel, NULL);
		channel_close(p->channel);
		p->channel = NULL;
		assert_int_equal(loop_turn(p->site->loop, false), 0);
	}
	tls_context_free(p->tls);
}

struct waiting {
	struct played_rs *p;
	const unsigned int *n;
	unsigned int want;
	uint64_t until;
};

static bool is_there(void *arg)
{
	struct waiting *w = arg;

	return *w->n >= w->want || loop_now_exact(w->p->site->loop) > w->until;
}

bool played_wait(struct played_rs *p, const unsigned int *n, unsigned int want)
{
	struct waiting w = {p, n, want,
			    loop_now_exact(p->site->loop) + LOOP_S(2)};

	assert_true(site_wait(p->site, is_there, &w));
	return *n >= want;
}

bool played_register(struct played_rs *p)
{
	Ntm__RelayRegistration body = NTM__RELAY_REGISTRATION__INIT;
	Ntm__Address a = NTM__ADDRESS__INIT, *list[1] = {&a};
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	struct addr at;

	assert_int_equal(
		addr_parse(p->address ? p->address : "127.0.0.1", p->port, &at),
		0);
	addr_to_message(&at, NTM__ADDRESS_KIND__ADDRESS_LOCAL, &a);
	body.n_addresses = 1;
	body.addresses = list;
	body.draining = p->draining;
	body.load = p->load;
	body.paths = 7;
	msg.txn = 99;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_REGISTRATION;
	msg.relay_registration = &body;
	played_send(p, &p->now, &msg);
	return played_wait(p, &p->n_acks, p->n_acks + 1);
}

void played_start(struct played_rs *p)
{
	played_connect(p);
	assert_true(played_wait(p, &p->n_keys, p->n_keys + 1));
	assert_true(played_register(p));
	assert_int_equal(p->ack_code, 0);
}

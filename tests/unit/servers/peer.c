/* SPDX-License-Identifier: MIT */
/* peer - a node as far as the servers see one, in their test process */
#include "peer.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- TLS ------------------------------------------------------------------ */

struct call {
	const Ntm__Envelope *request;
	uint8_t *answer; /* packed */
	size_t answer_len;
	bool done;
	int err;
	struct peer *peer;
};

static void call_open(struct channel *c, void *arg)
{
	struct call *call = arg;
	size_t len;
	const uint8_t *ca = channel_peer_ca(c, &len);

	if (ca && len <= sizeof(call->peer->ca)) {
		memcpy(call->peer->ca, ca, len);
		call->peer->ca_len = len;
	}
	assert_int_equal(channel_send(c, call->request), 0);
}

static void call_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct call *call = arg;

	call->answer_len = ntm__envelope__get_packed_size(msg);
	call->answer = malloc(call->answer_len + 1);
	ntm__envelope__pack(msg, call->answer);
	channel_close(c);
}

static void call_closed(struct channel *c, int err, void *arg)
{
	struct call *call = arg;

	(void)c;
	call->done = true;
	call->err = err;
}

static bool call_done(void *arg)
{
	struct call *call = arg;

	return call->done;
}

int peer_ask(struct peer *p, bool with_cert, const Ntm__Envelope *request,
	     Ntm__Envelope **answer)
{
	static const struct channel_ops ops = {.open = call_open,
					       .message = call_message,
					       .closed = call_closed};
	struct site *s = p->site;
	struct call call = {.request = request, .peer = p};
	struct tls_context *tls;
	struct channel *c;

	*answer = NULL;
	assert_int_equal(
		tls_context_new(
			with_cert ? &p->id : NULL, with_cert ? p->cert : NULL,
			with_cert ? p->cert_len : 0, with_cert ? p->ca : NULL,
			with_cert ? p->ca_len : 0, NULL, s->ca_fp, &tls),
		0);
	tls_context_set_alpn(tls, s->alpn);
	assert_int_equal(channel_connect(s->loop, tls, &s->as_addr.sa,
					 addr_len(&s->as_addr), &ops, &call,
					 &c),
			 0);
	assert_true(site_wait(s, call_done, &call));
	tls_context_free(tls);
	if (!call.answer)
		return call.err ? call.err : -NTM_ECLOSED;
	*answer = ntm__envelope__unpack(NULL, call.answer_len, call.answer);
	assert_non_null(*answer);
	assert_int_equal((*answer)->txn, request->txn);
	free(call.answer);
	return 0;
}

void peer_login_request(struct peer *p, Ntm__LoginRequest *q,
			uint8_t sig[NTMC_SIG_LEN])
{
	ntm__login_request__init(q);
	ntmc_static_sign(&p->id, sig);
	q->device = p->device;
	q->ed_pub = (ProtobufCBinaryData){NTMC_KEY_LEN, p->id.ed_pub};
	q->x_pub = (ProtobufCBinaryData){NTMC_KEY_LEN, p->id.x_pub};
	q->x_sig = (ProtobufCBinaryData){NTMC_SIG_LEN, sig};
	q->aead = NTMC_AES_256_GCM;
	q->version = (char *)"test";
	q->now = loop_wall(p->site->loop);
}

static void take_login(struct peer *p, const Ntm__LoginResponse *r)
{
	struct ntmc_key kntmdc;

	p->code = r->code;
	p->retry_after_s = r->retry_after_s;
	p->as_now = r->now;
	if (r->code)
		return;
	snprintf(p->fqdn, sizeof(p->fqdn), "%s", r->fqdn);
	p->node_id = r->node_id;
	p->n_dc = r->n_dc;
	memcpy(kntmdc.b, r->kntmdc.data, NTMC_KEY_LEN);
	assert_int_equal(datagram_keys_derive(&kntmdc, p->node_id,
					      NTMC_AES_256_GCM, &p->keys),
			 0);
	memcpy(p->cert, r->certificate.data, r->certificate.len);
	assert_int_equal(r->token.len, sizeof(p->token));
	memcpy(p->token, r->token.data, sizeof(p->token));
	p->key_id = 0;
	if (r->n_group_managers) {
		const Ntm__GroupManager *m = r->group_managers[0];

		p->key_id = m->key_id;
		memcpy(p->kngms.b, m->key.data, sizeof(p->kngms.b));
		memcpy(p->gms_pub, m->ed_pub.data, sizeof(p->gms_pub));
		snprintf(p->gms_name, sizeof(p->gms_name), "%s", m->name);
		assert_int_equal(addr_from_message(m->addresses[0], &p->gms_at),
				 0);
	}
	p->cert_len = r->certificate.len;
	memcpy(p->ca, r->ca.data, r->ca.len);
	p->ca_len = r->ca.len;
	p->counter = UINT64_C(1) << PACKET_BOOT_SHIFT;
}

static int login(struct peer *p, bool with_cert, Ntm__LoginRequest *q)
{
	Ntm__Envelope msg = NTM__ENVELOPE__INIT, *answer;
	int r;

	msg.txn = 7;
	msg.body_case = NTM__ENVELOPE__BODY_LOGIN_REQUEST;
	msg.login_request = q;
	r = peer_ask(p, with_cert, &msg, &answer);
	if (r)
		return r;
	assert_int_equal(answer->body_case, NTM__ENVELOPE__BODY_LOGIN_RESPONSE);
	take_login(p, answer->login_response);
	ntm__envelope__free_unpacked(answer, NULL);
	return 0;
}

int peer_login(struct peer *p, const char *account, const char *password)
{
	uint8_t sig[NTMC_SIG_LEN];
	Ntm__LoginRequest q;

	peer_login_request(p, &q, sig);
	q.account = (char *)account;
	q.password = (char *)password;
	return login(p, false, &q);
}

int peer_login_cert(struct peer *p)
{
	uint8_t sig[NTMC_SIG_LEN];
	Ntm__LoginRequest q;

	peer_login_request(p, &q, sig);
	return login(p, true, &q);
}

/* --- UDP ---------------------------------------------------------------------- */

static void on_withdraw(struct peer *p, uint32_t txn)
{
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	p->n_withdraw++;
	if (!p->ack_withdraw)
		return;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_ACK;
	msg.ack = &ack;
	peer_send(p, &msg);
}

static void on_route(struct peer *p, Ntm__Signal *route)
{
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	if (p->route_wait)
		ntm__signal__free_unpacked(p->route_wait, NULL);
	p->route_wait = route;
	if (p->silent)
		return;
	ack.code = p->cn_code;
	msg.txn = route->txn;
	msg.body_case = NTM__SIGNAL__BODY_ACK;
	msg.ack = &ack;
	peer_send(p, &msg);
}

static void on_datagram(void *arg, int fd, unsigned int events)
{
	struct peer *p = arg;
	uint8_t buf[2048];
	struct packet_header h;
	ProtobufCMessage *msg;
	Ntm__Signal *s;
	ssize_t len = recv(fd, buf, sizeof(buf), 0);

	(void)events;
	if (len < 0 || packet_header_get(buf, (size_t)len, &h))
		return;
	p->got_len = (size_t)len;
	if (h.id != p->node_id ||
	    datagram_open(&h, NTMC_AES_256_GCM, &p->keys.down, buf, (size_t)len,
			  &ntm__signal__descriptor, &msg))
		return;
	s = (Ntm__Signal *)msg;
	p->n_got++;
	if (s->body_case == NTM__SIGNAL__BODY_WITHDRAW) {
		on_withdraw(p, s->txn);
	} else if (s->body_case == NTM__SIGNAL__BODY_ROUTE_DIRECTION &&
		   s->txn != p->asked) {
		on_route(p, s);
		return;
	}
	if (p->got)
		ntm__signal__free_unpacked(p->got, NULL);
	p->got = s;
}

static void open_udp(struct peer *p)
{
	const struct addr *dc = &p->site->dc_addr;
	struct addr any;

	assert_int_equal(
		addr_parse(dc->sa.sa_family == AF_INET ? "127.0.0.1" : "::1", 0,
			   &any),
		0);
	p->fd = socket(dc->sa.sa_family,
		       SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(p->fd >= 0);
	assert_int_equal(bind(p->fd, &any.sa, addr_len(&any)), 0);
	/* connected: an answer from another address does not arrive */
	assert_int_equal(connect(p->fd, &dc->sa, addr_len(dc)), 0);
	assert_int_equal(loop_io_add(p->site->loop, p->fd, LOOP_READ, false,
				     on_datagram, p, &p->io),
			 0);
}

void peer_new(struct peer *p, struct site *s, const char *device)
{
	memset(p, 0, sizeof(*p));
	p->site = s;
	strcpy(p->device, device);
	p->ack_withdraw = true;
	ntmc_identity_new(NULL, &p->id);
	open_udp(p);
}

void peer_free(struct peer *p)
{
	loop_io_del(p->io);
	close(p->fd);
	if (p->got)
		ntm__signal__free_unpacked(p->got, NULL);
	if (p->route_wait)
		ntm__signal__free_unpacked(p->route_wait, NULL);
}

void peer_move(struct peer *p)
{
	loop_io_del(p->io);
	close(p->fd);
	open_udp(p);
}

void peer_send(struct peer *p, Ntm__Signal *msg)
{
	struct packet_header h = {.type = PACKET_SIGNAL,
				  .id = p->node_id,
				  .counter = p->counter++};
	uint8_t buf[PACKET_SIGNAL_MAX];
	int len = datagram_seal(&h, NTMC_AES_256_GCM, &p->keys.up, &msg->base,
				buf);

	assert_true(len > 0);
	p->sent_len = (size_t)len;
	/* a DC that is down refuses: that is the test's business */
	(void)!send(p->fd, buf, (size_t)len, 0);
}

const Ntm__Signal *peer_call(struct peer *p, Ntm__Signal *msg)
{
	if (!msg->txn)
		msg->txn = ++p->txn;
	p->asked = msg->txn;
	if (p->got)
		ntm__signal__free_unpacked(p->got, NULL);
	p->got = NULL;
	peer_send(p, msg);
	return site_answer(p->site, &p->got, p->asked);
}

const Ntm__RegistrationResponse *peer_registration(struct peer *p,
						   Ntm__RegistrationRequest *q,
						   const uint8_t *challenge)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const Ntm__Signal *r;

	if (challenge)
		q->challenge = (ProtobufCBinaryData){16, (uint8_t *)challenge};
	msg.body_case = NTM__SIGNAL__BODY_REGISTRATION_REQUEST;
	msg.registration_request = q;
	datagram_pad_registration(&msg);
	r = peer_call(p, &msg);
	assert_non_null(r);
	assert_int_equal(r->body_case, NTM__SIGNAL__BODY_REGISTRATION_RESPONSE);
	return r->registration_response;
}

void peer_register(struct peer *p)
{
	Ntm__RegistrationRequest q = NTM__REGISTRATION_REQUEST__INIT;
	const Ntm__RegistrationResponse *r = peer_registration(p, &q, NULL);
	uint8_t challenge[16];

	assert_int_equal(r->code, 0);
	if (r->challenge.len) {
		memcpy(challenge, r->challenge.data, sizeof(challenge));
		r = peer_registration(p, &q, challenge);
		assert_int_equal(r->code, 0);
		assert_int_equal(r->challenge.len, 0);
	}
	p->boot = r->boot;
}

const Ntm__Signal *peer_direction(struct peer *p, const char *fqdn)
{
	Ntm__DirectionRequest q = NTM__DIRECTION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	q.fqdn = (char *)fqdn;
	q.aead = NTMC_AES_256_GCM;
	msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg.direction_request = &q;
	return peer_call(p, &msg);
}

const Ntm__Signal *peer_keep_alive(struct peer *p)
{
	Ntm__KeepAlive q = NTM__KEEP_ALIVE__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.body_case = NTM__SIGNAL__BODY_KEEP_ALIVE;
	msg.keep_alive = &q;
	return peer_call(p, &msg);
}

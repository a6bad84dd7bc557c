/* SPDX-License-Identifier: MIT */
/* dc - a DC for the nodes of the world: what docs/protocol.md says of it, no more */
#include "tests/unit/broker/control/dc_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DC4 "192.0.2.1:4502"
#define DC6 "[2001:db8::1]:4502"

bool dc_owns(const struct addr *a)
{
	struct addr own;

	return (!addr_parse(DC4, 0, &own) && addr_equal(&own, a)) ||
	       (!addr_parse(DC6, 0, &own) && addr_equal(&own, a));
}

void dc_signal(struct dc *dc, struct dc_member *m, const Ntm__Signal *msg,
	       const struct addr *to)
{
	struct packet_header h = {.type = PACKET_SIGNAL,
				  .id = m->node_id,
				  .counter = dc->boot << PACKET_BOOT_SHIFT |
					     m->sequence++};
	uint8_t buf[PACKET_SIGNAL_MAX];
	struct addr from;
	int n = datagram_seal(&h, m->keys.aead, &m->keys.down, &msg->base, buf);

	assert_true(n > 0);
	assert_int_equal(
		addr_parse(to->sa.sa_family == AF_INET6 ? DC6 : DC4, 0, &from),
		0);
	if (!dc->down)
		world_send(dc->wd, buf, (size_t)n, &from, to);
}

void dc_code(struct dc *dc, struct dc_member *m, uint32_t txn, int code)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;

	ack.code = (uint32_t)code;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_ACK;
	msg.ack = &ack;
	dc_signal(dc, m, &msg, &m->proven);
}

/* --- registration -------------------------------------------------------------------------- */

static void registered(struct dc *dc, struct dc_member *m, uint32_t txn,
		       const struct addr *from, bool challenge, bool wants_ns)
{
	Ntm__NotificationServer ns = NTM__NOTIFICATION_SERVER__INIT;
	Ntm__Address at, *at_list = &at;
	uint8_t sevens[NTMC_KEY_LEN];
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__RegistrationResponse r = NTM__REGISTRATION_RESPONSE__INIT;
	Ntm__Address where, a[WORLD_RELAYS][2], *lists[WORLD_RELAYS][2];
	Ntm__Relay relays[WORLD_RELAYS], *list[WORLD_RELAYS];
	struct challenge *c = &m->challenges[from->sa.sa_family == AF_INET6];

	addr_to_message(from, NTM__ADDRESS_KIND__ADDRESS_OBSERVED, &where);
	r.observed = &where;
	r.vip6 = (ProtobufCBinaryData){16, m->vip6};
	r.vip4 = (ProtobufCBinaryData){4, m->vip4};
	r.keepalive_s = dc->base_s;
	r.keepalive_max_s = dc->max_s;
	r.boot = dc->boot;
	r.revocation_serial = dc->serial;
	r.now = ntmc_now(&dc->wd->crypto);
	if (challenge) {
		ntmc_random(&dc->wd->crypto, c->text, DC_CHALLENGE_LEN);
		c->at = *from;
		r.challenge = (ProtobufCBinaryData){DC_CHALLENGE_LEN, c->text};
	}
	for (size_t i = 0; i < dc->wd->n_rs && !challenge; i++) {
		if (rs_is_down(dc->wd->rs[i]))
			continue;
		rs_name(dc->wd->rs[i], &relays[r.n_relays], a[i], lists[i]);
		list[r.n_relays] = &relays[r.n_relays];
		r.n_relays++;
	}
	r.relays = list;
	r.has_ns = addr_is_set(&dc->notifier);
	memset(sevens, 7, sizeof(sevens));
	if (r.has_ns && wants_ns && !challenge) {
		addr_to_message(&dc->notifier, NTM__ADDRESS_KIND__ADDRESS_LOCAL,
				&at);
		ns.n_addresses = 1;
		ns.addresses = &at_list;
		ns.key_id = 7;
		ns.key = (ProtobufCBinaryData){NTMC_KEY_LEN, sevens};
		ns.aead = NTMC_CHACHA20_POLY1305;
		r.ns = &ns;
	}
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_REGISTRATION_RESPONSE;
	msg.registration_response = &r;
	dc_signal(dc, m, &msg, from);
}

static void on_register(struct dc *dc, struct dc_member *m,
			const Ntm__Signal *s, const struct addr *from)
{
	const Ntm__RegistrationRequest *r = s->registration_request;
	const struct challenge *c =
		&m->challenges[from->sa.sa_family == AF_INET6];
	bool proven = addr_equal(&m->proven, from);

	m->told.requests++;
	m->told.mapping = r->mapping;
	m->told.unasked = r->unasked;
	m->told.interval_s = r->keepalive_s;
	m->told.n_relays = r->n_relays;
	m->told.rtt_us = r->n_relays ? r->relays[0]->rtt_us : 0;
	if (r->challenge.len == DC_CHALLENGE_LEN && addr_equal(&c->at, from) &&
	    !memcmp(r->challenge.data, c->text, DC_CHALLENGE_LEN))
		proven = true;
	if (proven) {
		m->proven = *from;
		m->n_locals = addr_list_from_messages(r->addresses,
						      r->n_addresses, m->locals,
						      ADDR_REMOTES_MAX - 1);
	}
	registered(dc, m, s->txn, from, !proven,
		   r->wakeup == NTM__WAKEUP__WAKEUP_NS);
}

static void on_revocations(struct dc *dc, struct dc_member *m,
			   const Ntm__Signal *s)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__RevocationList l = NTM__REVOCATION_LIST__INIT;
	ProtobufCBinaryData fp = {NTMC_FP_LEN, dc->revoked};

	l.n_fingerprints = s->revocation_request->since < dc->serial;
	l.fingerprints = &fp;
	l.serial = dc->serial;
	msg.txn = s->txn;
	msg.body_case = NTM__SIGNAL__BODY_REVOCATION_LIST;
	msg.revocation_list = &l;
	dc_signal(dc, m, &msg, &m->proven);
}

/* --- datagrams -------------------------------------------------------------------------------- */

/* The cookie is a number and the address itself: nodes echo it, no more. */
static void on_mapping(struct dc *dc, struct dc_member *m, const Ntm__Signal *s,
		       const struct addr *from)
{
	const Ntm__MappingRequest *q = s->mapping_request;
	Ntm__MappingResponse r = NTM__MAPPING_RESPONSE__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__Address where;
	uint8_t cookie[DC_CHALLENGE_LEN] = {7};
	struct addr at;

	m->told.mappings++;
	msg.txn = s->txn;
	msg.body_case = NTM__SIGNAL__BODY_MAPPING_RESPONSE;
	msg.mapping_response = &r;
	if (q->cookie.len) {
		assert_true(addr_equal(from, &m->proven));
		assert_memory_equal(q->cookie.data, cookie, sizeof(cookie));
		assert_non_null(q->at);
		assert_int_equal(addr_from_message(q->at, &at), 0);
		dc_signal(dc, m, &msg, &at);
		dc_code(dc, m, s->txn, 0);
		return;
	}
	assert_false(addr_equal(from, &m->proven));
	addr_to_message(from, NTM__ADDRESS_KIND__ADDRESS_OBSERVED, &where);
	r.observed = &where;
	r.cookie = (ProtobufCBinaryData){sizeof(cookie), cookie};
	dc_signal(dc, m, &msg, from);
}

static void on_domain(struct dc *dc, struct dc_member *m, const Ntm__Signal *s)
{
	Ntm__DomainInformation r = NTM__DOMAIN_INFORMATION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	dc->n_domain++;
	r.code = dc->domain_code;
	if (!r.code) {
		r.domain = dc->domain;
		r.ca = (ProtobufCBinaryData){dc->ca_len, dc->ca};
	}
	msg.txn = s->txn;
	msg.body_case = NTM__SIGNAL__BODY_DOMAIN_INFORMATION;
	msg.domain_information = &r;
	dc_signal(dc, m, &msg, &m->proven);
}

void dc_domain(struct dc *dc, const char *domain, const uint8_t *ca, size_t len,
	       uint32_t code)
{
	snprintf(dc->domain, sizeof(dc->domain), "%s", domain);
	memcpy(dc->ca, ca, len);
	dc->ca_len = len;
	dc->domain_code = code;
}

unsigned int dc_domain_requests(const struct dc *dc)
{
	return dc->n_domain;
}

static void dispatch(struct dc *dc, struct dc_member *m, const Ntm__Signal *s,
		     const struct addr *from)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__KeepAliveAck ka = NTM__KEEP_ALIVE_ACK__INIT;

	if (s->body_case == NTM__SIGNAL__BODY_REGISTRATION_REQUEST) {
		on_register(dc, m, s, from);
		return;
	}
	if (s->body_case == NTM__SIGNAL__BODY_ACK) {
		dc_directed(dc, m, s);
		return;
	}
	if (s->body_case == NTM__SIGNAL__BODY_MAPPING_REQUEST) {
		on_mapping(dc, m, s, from);
		return;
	}
	if (!addr_equal(&m->proven, from)) {
		/* a Keep Alive is too small to be answered by a challenge */
		registered(dc, m, s->txn, from,
			   s->body_case != NTM__SIGNAL__BODY_KEEP_ALIVE, false);
		return;
	}
	if (s->body_case == NTM__SIGNAL__BODY_DIRECTION_REQUEST) {
		dc_direct(dc, m, s);
	} else if (s->body_case == NTM__SIGNAL__BODY_KEEP_ALIVE) {
		m->told.keepalives++;
		if (s->keep_alive->interval_s)
			m->told.interval_s = s->keep_alive->interval_s;
		ka.boot = dc->boot;
		ka.revocation_serial = dc->serial;
		msg.txn = s->txn;
		msg.body_case = NTM__SIGNAL__BODY_KEEP_ALIVE_ACK;
		msg.keep_alive_ack = &ka;
		dc_signal(dc, m, &msg, from);
	} else if (s->body_case == NTM__SIGNAL__BODY_REVOCATION_REQUEST) {
		on_revocations(dc, m, s);
	} else if (s->body_case == NTM__SIGNAL__BODY_DOMAIN_REQUEST) {
		on_domain(dc, m, s);
	} else if (s->body_case == NTM__SIGNAL__BODY_ROUTE_DIRECTION_REQUEST) {
		dc->fetched++;
		dc_code(dc, m, s->txn, 0);
	}
}

void dc_datagram(struct dc *dc, uint8_t *buf, size_t len,
		 const struct addr *from)
{
	struct packet_header h;
	ProtobufCMessage *msg;

	if (dc->down || packet_header_get(buf, len, &h) ||
	    h.type != PACKET_SIGNAL)
		return;
	for (size_t i = 0; i < dc->n; i++) {
		struct dc_member *m = &dc->members[i];

		if (m->node_id != h.id)
			continue;
		if (!ntmc_replay64_check(&m->replay, h.counter) ||
		    datagram_open(&h, m->keys.aead, &m->keys.up, buf, len,
				  &ntm__signal__descriptor, &msg))
			return;
		assert_true(ntmc_replay64_mark(&m->replay, h.counter));
		dispatch(dc, m, (Ntm__Signal *)msg, from);
		datagram_free(msg);
		return;
	}
}

/* --- logins -------------------------------------------------------------------------------------- */

static Ntm__LoginResponse *answer(struct dc *dc, struct dc_member *m,
				  const struct ntmc_key *kntmdc,
				  const uint8_t *cert, size_t cert_len)
{
	Ntm__LoginResponse r = NTM__LOGIN_RESPONSE__INIT, *copy;
	Ntm__Address a[2], *list[2] = {&a[0], &a[1]};
	struct addr dc4, dc6;
	uint8_t buf[4096];
	size_t len;

	assert_int_equal(addr_parse(DC4, 0, &dc4), 0);
	assert_int_equal(addr_parse(DC6, 0, &dc6), 0);
	addr_to_message(&dc4, NTM__ADDRESS_KIND__ADDRESS_LOCAL, &a[0]);
	addr_to_message(&dc6, NTM__ADDRESS_KIND__ADDRESS_LOCAL, &a[1]);
	r.fqdn = m->fqdn;
	r.node_id = m->node_id;
	r.kntmdc = (ProtobufCBinaryData){32, (uint8_t *)kntmdc->b};
	r.certificate = (ProtobufCBinaryData){cert_len, (uint8_t *)cert};
	r.ca = (ProtobufCBinaryData){dc->wd->ca_len, dc->wd->ca_der};
	r.n_dc = 2;
	r.dc = list;
	r.lifetime_s = 86400;
	r.now = ntmc_now(&dc->wd->crypto);
	len = ntm__login_response__pack(&r, buf);
	copy = ntm__login_response__unpack(NULL, len, buf);
	assert_non_null(copy);
	return copy;
}

Ntm__LoginResponse *dc_login(struct dc *dc, struct node *n, const char *fqdn)
{
	const struct ntmc_identity *id = &n->w.account->secrets->id;
	struct dc_member *m = &dc->members[dc->n++];
	struct ntmc_cert cert = {.kind = NTMC_CERT_NODE};
	struct ntmc_key kntmdc;
	uint8_t der[NTMC_CERT_MAX];
	size_t len = sizeof(der);
	int64_t now = ntmc_now(&dc->wd->crypto);

	assert_true(dc->n <= 16);
	m->node = n;
	strcpy(m->fqdn, fqdn);
	ntmc_random(&dc->wd->crypto, &m->node_id, sizeof(m->node_id));
	ntmc_key_random(&dc->wd->crypto, &kntmdc);
	assert_int_equal(datagram_keys_derive(&kntmdc, m->node_id,
					      ntmc_aead_preferred(), &m->keys),
			 0);
	memcpy(m->ed_pub, id->ed_pub, 32);
	memcpy(m->x_pub, id->x_pub, 32);
	ntmc_static_sign(id, m->x_sig);
	memcpy(m->vip6, dc->wd->prefix6, 16);
	m->vip6[15] = (uint8_t)(n->index + 1);
	memcpy(m->vip4, (uint8_t[]){198, 18, 0, (uint8_t)(n->index + 1)}, 4);
	strcpy(cert.fqdn, fqdn);
	memcpy(cert.ed_pub, m->ed_pub, 32);
	memcpy(cert.x_pub, m->x_pub, 32);
	memcpy(cert.x_sig, m->x_sig, 64);
	memcpy(cert.vip6, m->vip6, 16);
	memcpy(cert.vip4, m->vip4, 4);
	assert_int_equal(ntmc_ca_issue(&dc->wd->crypto, dc->wd->ca, &cert,
				       now - 60, now + 86400, der, &len),
			 0);
	return answer(dc, m, &kntmdc, der, len);
}

void dc_set_down(struct dc *dc, bool down)
{
	dc->down = down;
}

void dc_restart(struct dc *dc)
{
	dc->boot++;
	for (size_t i = 0; i < dc->n; i++) {
		addr_clear(&dc->members[i].proven);
		dc->members[i].sequence = 0;
	}
	for (size_t i = 0; i < DC_DIRECTIONS; i++) {
		dc->directions[i].used = false;
		dc->directions[i].answered = true;
	}
}

void dc_keepalive(struct dc *dc, unsigned int base_s, unsigned int max_s)
{
	dc->base_s = base_s;
	dc->max_s = max_s;
}

void dc_notifier(struct dc *dc, const struct addr *at)
{
	if (at)
		dc->notifier = *at;
	else
		addr_clear(&dc->notifier);
}

unsigned int dc_fetched(const struct dc *dc)
{
	return dc->fetched;
}

bool dc_reaches(struct dc *dc, const struct node *n)
{
	struct nat nat = n->nat; /* which does not notice */
	struct addr from;

	assert_int_equal(addr_parse(DC4, 0, &from), 0);
	for (size_t i = 0; i < dc->n; i++) {
		struct addr to = dc->members[i].proven;

		if (dc->members[i].node == n)
			return nat_in(&nat, &from, &to);
	}
	return false;
}

void dc_withdraw(struct dc *dc, const uint8_t *fp, struct node *to)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__Withdraw w = NTM__WITHDRAW__INIT;
	ProtobufCBinaryData list = {NTMC_FP_LEN, (uint8_t *)fp};

	w.n_fingerprints = 1;
	w.fingerprints = &list;
	w.revocation_serial = 1;
	msg.txn = ++dc->txn;
	msg.body_case = NTM__SIGNAL__BODY_WITHDRAW;
	msg.withdraw = &w;
	for (size_t i = 0; i < dc->n; i++)
		if (dc->members[i].node == to)
			dc_signal(dc, &dc->members[i], &msg,
				  &dc->members[i].proven);
}

void dc_revoke(struct dc *dc, const uint8_t *fp)
{
	memcpy(dc->revoked, fp, NTMC_FP_LEN);
	dc->serial++;
}

void dc_cn_sends(struct dc *dc, bool on)
{
	dc->cn_sends = on;
}

const struct dc_told *dc_told(struct dc *dc, const struct node *n)
{
	for (size_t i = 0; i < dc->n; i++)
		if (dc->members[i].node == n)
			return &dc->members[i].told;
	return NULL;
}

struct dc *dc_new(struct world *wd)
{
	struct dc *dc = calloc(1, sizeof(*dc));

	assert_non_null(dc);
	dc->wd = wd;
	dc->boot = 1;
	dc->base_s = 20;
	return dc;
}

void dc_free(struct dc *dc)
{
	for (size_t i = 0; i < DC_DIRECTIONS; i++)
		loop_timer_free(dc->directions[i].timer);
	free(dc);
}

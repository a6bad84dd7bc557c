/* SPDX-License-Identifier: MIT */
/* test_mapping - how long a NAT bears silence: what the DC writes, where, and to whom not */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "servers/dc/state.h"
#include "peer.h"

static struct site site;
static struct peer mn, feeler, cn;

static int setup(void **state)
{
	(void)state;
	site_new(&site);
	site.conf.dc_keepalive_max = 5;
	site_add_account(&site, "alice");
	peer_new(&mn, &site, "laptop");
	peer_new(&cn, &site, "desk");
	assert_int_equal(peer_login(&mn, "alice", SITE_PASSWORD), 0);
	assert_int_equal(peer_login(&cn, "alice", SITE_PASSWORD), 0);
	peer_register(&mn);
	peer_register(&cn);
	/* another socket of the same node, with counters of its own */
	peer_new(&feeler, &site, "laptop");
	feeler.node_id = mn.node_id;
	feeler.keys = mn.keys;
	feeler.counter = mn.counter + 1000;
	feeler.txn = 1000;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	peer_free(&feeler);
	peer_free(&mn);
	peer_free(&cn);
	site_free(&site);
	return 0;
}

/* as in ntm.proto; what one of the node's sockets sends moves the window on */
static const Ntm__Signal *ask(struct peer *p, const Ntm__Address *at,
			      const uint8_t *cookie, size_t padding)
{
	static uint8_t zeros[DATAGRAM_MAPPING_PADDING];
	Ntm__MappingRequest q = NTM__MAPPING_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	if (p != &cn)
		p->counter = mn.counter = feeler.counter =
			(mn.counter > feeler.counter ? mn.counter
						     : feeler.counter) +
			1;
	q.at = (Ntm__Address *)at;
	if (cookie)
		q.cookie = (ProtobufCBinaryData){16, (uint8_t *)cookie};
	q.padding = (ProtobufCBinaryData){padding, zeros};
	msg.body_case = NTM__SIGNAL__BODY_MAPPING_REQUEST;
	msg.mapping_request = &q;
	return peer_call(p, &msg);
}

/* struct seen - where the feeler is seen, kept beyond the next answer */
struct seen {
	Ntm__Address at;
	uint8_t ip[16], cookie[16];
};

static void open_feeler(struct seen *s)
{
	const Ntm__Signal *r = ask(&feeler, NULL, NULL, 64);
	struct sockaddr_in own;
	socklen_t len = sizeof(own);

	assert_non_null(r);
	assert_int_equal(r->body_case, NTM__SIGNAL__BODY_MAPPING_RESPONSE);
	assert_true(feeler.got_len <= feeler.sent_len);
	assert_int_equal(r->mapping_response->cookie.len, 16);
	assert_non_null(r->mapping_response->observed);
	s->at = *r->mapping_response->observed;
	memcpy(s->ip, s->at.ip.data, s->at.ip.len);
	s->at.ip.data = s->ip;
	memcpy(s->cookie, r->mapping_response->cookie.data, 16);
	assert_int_equal(getsockname(feeler.fd, (struct sockaddr *)&own, &len),
			 0);
	assert_int_equal(s->at.port, ntohs(own.sin_port));
}

static uint32_t code(const Ntm__Signal *s)
{
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ACK);
	return s->ack->code;
}

static bool has_two(void *arg)
{
	return ((struct peer *)arg)->n_got >= 2;
}

static void writes_there(void **state)
{
	struct seen s;

	(void)state;
	open_feeler(&s);
	assert_int_equal(feeler.n_got, 1);
	assert_int_equal(code(ask(&mn, &s.at, s.cookie, 0)), 0);
	assert_true(site_wait(&site, has_two, &feeler));
	assert_int_equal(feeler.got->body_case,
			 NTM__SIGNAL__BODY_MAPPING_RESPONSE);
	assert_int_equal(feeler.got->mapping_response->cookie.len, 0);
	assert_int_equal(feeler.got->txn, mn.txn);
	/* both answers together are no more than what asked for them */
	assert_true(feeler.got_len < mn.sent_len);
	assert_true(mn.got_len < mn.sent_len);
}

/* A request that is smaller than its answer gets none. */
static void no_reflection(void **state)
{
	(void)state;
	for (size_t padding = 0; padding <= 64; padding++)
		if (ask(&feeler, NULL, NULL, padding)) {
			assert_true(feeler.got_len <= feeler.sent_len);
			assert_true(padding > 0);
			return;
		}
	fail();
}

static void forged(void **state)
{
	struct seen s, other;
	uint8_t bent[16];

	(void)state;
	open_feeler(&s);
	other = s;
	memcpy(bent, s.cookie, 16);
	bent[15] ^= 1;
	assert_int_equal(code(ask(&mn, &s.at, bent, 0)), NTM_EEXPIRED);
	memcpy(bent, s.cookie, 16);
	bent[0] ^= 4; /* another time */
	assert_int_equal(code(ask(&mn, &s.at, bent, 0)), NTM_EEXPIRED);
	/* somebody else's port, and no address at all */
	other.at.port++;
	assert_int_equal(code(ask(&mn, &other.at, s.cookie, 0)), NTM_EEXPIRED);
	assert_int_equal(code(ask(&mn, NULL, s.cookie, 0)), NTM_EEXPIRED);
	/* another node's cookie */
	assert_int_equal(code(ask(&cn, &s.at, s.cookie, 0)), NTM_EEXPIRED);
	assert_int_equal(feeler.n_got, 1);
	/* from an address that is not proven: nothing, not even to itself */
	assert_null(ask(&feeler, &s.at, s.cookie, 0));
	assert_int_equal(feeler.n_got, 1);
}

/* a registration's challenge is no cookie, nor the other way round */
static void not_a_challenge(void **state)
{
	Ntm__RegistrationRequest q = NTM__REGISTRATION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const Ntm__Signal *r;
	struct seen s;

	(void)state;
	open_feeler(&s);
	q.challenge = (ProtobufCBinaryData){16, s.cookie};
	msg.body_case = NTM__SIGNAL__BODY_REGISTRATION_REQUEST;
	msg.registration_request = &q;
	datagram_pad_registration(&msg);
	r = peer_call(&feeler, &msg);
	assert_non_null(r);
	assert_int_equal(r->registration_response->challenge.len, 16);
}

static void says_interval(struct peer *p, uint32_t interval_s)
{
	Ntm__KeepAlive k = NTM__KEEP_ALIVE__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const Ntm__Signal *r;

	k.interval_s = interval_s;
	msg.body_case = NTM__SIGNAL__BODY_KEEP_ALIVE;
	msg.keep_alive = &k;
	r = peer_call(p, &msg);
	assert_non_null(r);
	assert_int_equal(r->body_case, NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
}

static bool is_online_after(struct peer *p, uint32_t silent_s)
{
	struct node *n =
		nodes_at(&site.dc->nodes, nodes_find(&site.dc->nodes, p->fqdn));
	uint32_t heard = n->heard_s;
	bool online;

	n->heard_s = dc_now_s(site.dc) - silent_s;
	online = dc_is_online(site.dc, n);
	n->heard_s = heard;
	return online;
}

/* Offline: three of its own intervals; none longer than the DC's longest. */
static void own_interval(void **state)
{
	(void)state;
	assert_true(is_online_after(&mn, 3));
	assert_false(is_online_after(&mn, 4));
	says_interval(&mn, 4);
	assert_true(is_online_after(&mn, 12));
	assert_false(is_online_after(&mn, 13));
	says_interval(&mn, 60);
	assert_true(is_online_after(&mn, 15));
	assert_false(is_online_after(&mn, 16));
	assert_false(is_online_after(&cn, 4));
	/* a Keep Alive without it changes nothing; a registration without does */
	peer_keep_alive(&mn);
	assert_true(is_online_after(&mn, 15));
	peer_register(&mn);
	assert_false(is_online_after(&mn, 4));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(writes_there), T(no_reflection),   T(forged),
		T(own_interval), T(not_a_challenge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

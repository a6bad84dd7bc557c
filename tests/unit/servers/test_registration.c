/* SPDX-License-Identifier: MIT */
/* test_registration - registration and keep-alive; what is no datagram of a node */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dc_site.h"

static void registration_challenge(void **state)
{
	const Ntm__RegistrationResponse *r;
	uint8_t challenge[16], bent[16];
	const Ntm__Signal *s;

	(void)state;
	peer_register(&mn);
	r = registration(&cn, NULL);
	assert_int_equal(r->code, 0);
	assert_int_equal(r->challenge.len, 16);
	assert_int_equal(r->vip6.len, 16);
	assert_int_equal(r->vip4.len, 4);
	assert_int_equal(r->observed->ip.len, 4);
	assert_int_equal(r->keepalive_s, 1);
	memcpy(challenge, r->challenge.data, 16);
	/* not online before the echo */
	assert_int_equal(ack_code(peer_direction(&mn, cn.fqdn)), NTM_EOFFLINE);
	/* a wrong echo is answered by another challenge */
	memcpy(bent, challenge, 16);
	bent[15] ^= 1;
	assert_int_equal(registration(&cn, bent)->challenge.len, 16);
	/* the right echo from another address is worth nothing */
	peer_move(&cn);
	assert_int_equal(registration(&cn, challenge)->challenge.len, 16);
	assert_int_equal(ack_code(peer_direction(&mn, cn.fqdn)), NTM_EOFFLINE);
	peer_register(&cn);
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
}

/* Return: what answers @msg of cn; it is not longer */
static const Ntm__Signal *not_longer(Ntm__Signal *msg)
{
	const Ntm__Signal *s;

	msg->txn = 0;
	s = peer_call(&cn, msg);
	assert_non_null(s);
	assert_true(cn.got_len <= cn.sent_len);
	return s;
}

static size_t challenge_of(Ntm__Signal *msg)
{
	return not_longer(msg)->registration_response->challenge.len;
}

/* To an address that may be forged never goes more than came from there. */
static void no_reflection(void **state)
{
	Ntm__RegistrationRequest q = NTM__REGISTRATION_REQUEST__INIT;
	Ntm__DirectionRequest d = NTM__DIRECTION_REQUEST__INIT;
	Ntm__RevocationRequest rev = NTM__REVOCATION_REQUEST__INIT;
	Ntm__KeepAlive alive = NTM__KEEP_ALIVE__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	uint8_t padding[256] = {0};

	(void)state;
	/* from nothing to more than what any answer takes */
	msg.body_case = NTM__SIGNAL__BODY_REGISTRATION_REQUEST;
	msg.registration_request = &q;
	q.padding.data = padding;
	for (q.padding.len = 0; q.padding.len < sizeof(padding);
	     q.padding.len++) {
		size_t len = challenge_of(&msg);

		assert_true(len == 16 || q.padding.len < 20);
	}
	assert_non_null(cn.got->registration_response->observed);
	d.fqdn = mn.fqdn;
	d.aead = NTMC_AES_256_GCM;
	msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg.direction_request = &d;
	assert_int_equal(challenge_of(&msg), 16);
	/* too small for a challenge: only that there is something to prove */
	msg.body_case = NTM__SIGNAL__BODY_KEEP_ALIVE;
	msg.keep_alive = &alive;
	assert_int_equal(challenge_of(&msg), 0);
	msg.body_case = NTM__SIGNAL__BODY_REVOCATION_REQUEST;
	msg.revocation_request = &rev;
	not_longer(&msg);
}

static void keep_alive(void **state)
{
	const Ntm__Signal *s;
	uint8_t mine[64], theirs[64];
	size_t n;
	Ntm__KeepAliveAck ack = NTM__KEEP_ALIVE_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	(void)state;
	/* before registration: prove the address first */
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REGISTRATION_RESPONSE);
	peer_register(&mn);
	for (uint32_t txn = 1; txn && txn < 0x80000000u; txn = txn * 2 + 1) {
		mn.txn = txn - 1;
		s = peer_keep_alive(&mn);
		assert_non_null(s);
		assert_int_equal(s->body_case,
				 NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
		assert_int_equal(s->keep_alive_ack->boot, mn.boot);
		/* what the DC writes by hand is what protobuf-c packs */
		ack.boot = mn.boot;
		ack.revocation_serial = s->keep_alive_ack->revocation_serial;
		msg.txn = txn;
		msg.body_case = NTM__SIGNAL__BODY_KEEP_ALIVE_ACK;
		msg.keep_alive_ack = &ack;
		n = ntm__signal__pack(&msg, mine);
		assert_int_equal(ntm__signal__pack(s, theirs), n);
		assert_memory_equal(mine, theirs, n);
	}
	/* moved: prove the new address */
	peer_move(&mn);
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REGISTRATION_RESPONSE);
	assert_int_equal(s->registration_response->code, 0);
	peer_register(&mn);
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
}

static void renewal(void **state)
{
	struct datagram_keys old = cn.keys;
	const Ntm__Signal *s;
	uint64_t old_id, old_counter;
	struct peer was;

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	old_id = cn.node_id;
	old_counter = cn.counter;
	assert_int_equal(peer_login_cert(&cn), 0);
	assert_int_equal(cn.code, 0);
	/* the old session is valid until the new one registers */
	was = cn;
	cn.keys = old;
	cn.node_id = old_id;
	cn.counter = old_counter;
	s = peer_keep_alive(&cn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
	old_counter = cn.counter;
	cn.keys = was.keys;
	cn.node_id = was.node_id;
	cn.counter = was.counter;
	peer_register(&cn);
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	assert_int_equal(site_dc_number(&site, "sessions"), 2);
	cn.keys = old;
	cn.node_id = old_id;
	cn.counter = old_counter;
	assert_null(peer_keep_alive(&cn));
}

static void garbage(void **state)
{
	uint8_t buf[1500];
	const Ntm__Signal *s;
	unsigned int seed = 20240607;

	(void)state;
	peer_register(&mn);
	print_message("seed %u\n", seed);
	for (int i = 0; i < 5000; i++) {
		size_t len = (size_t)rand_r(&seed) % sizeof(buf);

		for (size_t k = 0; k < len; k++)
			buf[k] = (uint8_t)rand_r(&seed);
		if (i % 2 && len >= PACKET_HEADER_LEN) {
			struct packet_header h = {.type = PACKET_SIGNAL,
						  .id = mn.node_id,
						  .counter = mn.counter + 1};

			packet_header_put(&h, buf); /* a node's own forged */
		}
		(void)!send(mn.fd, buf, len, 0);
		if (i % 64 == 0)
			assert_int_equal(loop_turn(site.loop, false), 0);
	}
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
	assert_true(site_dc_number(&site, "dropped") > 1000);
}

static void replay(void **state)
{
	const Ntm__Signal *s;

	(void)state;
	peer_register(&mn);
	assert_non_null(peer_keep_alive(&mn));
	mn.counter--; /* the same counter again */
	assert_null(peer_keep_alive(&mn));
	s = peer_keep_alive(&mn);
	assert_non_null(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(registration_challenge),
		T(no_reflection),
		T(keep_alive),
		T(renewal),
		T(garbage),
		T(replay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* test_handshake - Tunnel Request and Response: whole, cut, bent, by the wrong one */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/handshake.h"

#define NOW    1800000000
#define DOMAIN "ntm.test"

static uint64_t chance = 1;

static void some_random(void *ctx, void *buf, size_t len)
{
	uint8_t *p = buf;

	(void)ctx;
	while (len--) {
		chance = chance * 6364136223846793005ull +
			 1442695040888963407ull;
		*p++ = (uint8_t)(chance >> 56);
	}
}

static int64_t now(void *ctx)
{
	(void)ctx;
	return NOW;
}

static const struct ntmc_env env = {some_random, now, NULL};

/* struct side - a node; @spec: what it knows of the other */
struct side {
	struct ntmc_identity id;
	uint8_t fp[NTMC_FP_LEN], cert[NTMC_CERT_MAX];
	size_t cert_len;
	struct handshake_self self;
	struct handshake_spec spec;
};

static struct ntmc_ca *ca;
static struct ntmc_trust *trust;
static uint8_t prefix6[16];
static struct side mn, cn;

static void side_make(struct side *s, const char *fqdn, uint8_t host,
		      int64_t until)
{
	struct ntmc_cert cert = {.kind = NTMC_CERT_NODE};

	memset(s, 0, sizeof(*s));
	ntmc_identity_new(&env, &s->id);
	ntmc_fingerprint(s->id.ed_pub, s->fp);
	strcpy(cert.fqdn, fqdn);
	memcpy(cert.ed_pub, s->id.ed_pub, 32);
	memcpy(cert.x_pub, s->id.x_pub, 32);
	ntmc_static_sign(&s->id, cert.x_sig);
	memcpy(cert.vip6, prefix6, 16);
	cert.vip6[15] = host;
	memcpy(cert.vip4, (uint8_t[]){198, 18, 0, host}, 4);
	s->cert_len = sizeof(s->cert);
	assert_int_equal(ntmc_ca_issue(&env, ca, &cert, NOW - 86400 * 2, until,
				       s->cert, &s->cert_len),
			 0);
	s->self = (struct handshake_self){&env,	   &s->id,	s->fp,
					  s->cert, s->cert_len, trust};
}

static void knows(struct side *s, const struct side *other, const char *fqdn,
		  unsigned int peer_bit)
{
	s->spec.path_id = 0x1122334455667788;
	s->spec.peer_bit = peer_bit;
	s->spec.aead = NTMC_AES_256_GCM;
	memset(&s->spec.request, 5, sizeof(s->spec.request));
	memset(&s->spec.psk_secret, 6, sizeof(s->spec.psk_secret));
	strcpy(s->spec.fqdn, fqdn);
	memcpy(s->spec.fp, other->fp, NTMC_FP_LEN);
	memcpy(s->spec.x_pub, other->id.x_pub, NTMC_KEY_LEN);
}

static int setup(void **state)
{
	static const uint8_t prefix4[4] = {198, 18, 0, 0};
	uint8_t der[NTMC_CERT_MAX];
	size_t len = sizeof(der);

	(void)state;
	assert_int_equal(
		ntmc_ca_new(&env, DOMAIN, prefix4, 15, 3650, &ca, prefix6), 0);
	assert_int_equal(ntmc_ca_der(ca, der, &len), 0);
	assert_int_equal(ntmc_trust_new(&trust), 0);
	assert_int_equal(ntmc_trust_add(trust, der, len, NULL, NULL), 0);
	side_make(&mn, "a.alice." DOMAIN, 1, NOW + 86400);
	side_make(&cn, "b.bob." DOMAIN, 2, NOW + 86400);
	knows(&mn, &cn, "b.bob." DOMAIN, 1);
	knows(&cn, &mn, "a.alice." DOMAIN, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ntmc_ca_free(ca);
	ntmc_trust_free(trust);
	return 0;
}

/* @buf: PACKET_SIGNAL_MAX bytes: the request of mn */
static struct handshake *request(uint8_t *buf, size_t *len)
{
	static const uint8_t phases[2] = {4, 3};
	struct handshake *h;

	assert_int_equal(
		handshake_new(&mn.self, &mn.spec, 77, phases, 2, &h, buf, len),
		0);
	assert_in_range(*len, PACKET_OVERHEAD, PACKET_SIGNAL_MAX);
	return h;
}

/* Return: as handshake_open() and handshake_read() say */
static int receive(const uint8_t *buf, size_t len, struct handshake **h,
		   struct handshake_request *rq)
{
	uint8_t copy[PACKET_SIGNAL_MAX];
	struct packet_header hdr;
	int err;

	memcpy(copy, buf, len);
	err = packet_header_get(copy, len, &hdr);
	if (err)
		return err;
	if (hdr.type != PACKET_TUNNEL_REQUEST)
		return -NTM_EDECODE;
	err = handshake_open(&cn.spec, &hdr, copy, len, h);
	if (err)
		return err;
	err = handshake_read(*h, &cn.self, rq);
	if (err)
		handshake_free(*h);
	return err;
}

static int finish(struct handshake *h, const uint8_t *buf, size_t len,
		  struct handshake_keys *keys, int *code)
{
	uint8_t copy[PACKET_SIGNAL_MAX];
	struct packet_header hdr;
	struct ntmc_cert cert;
	struct addr observed;

	memcpy(copy, buf, len);
	if (packet_header_get(copy, len, &hdr))
		return -NTM_EDECODE;
	return handshake_finish(h, &mn.self, &hdr, copy, len, keys, &cert,
				&observed, code);
}

static void whole(bool resume, enum ntmc_aead_alg aead)
{
	struct handshake_keys at_mn, at_cn;
	struct handshake_request rq;
	struct handshake *h, *r;
	struct addr from;
	uint8_t buf[PACKET_SIGNAL_MAX];
	size_t len;
	int code = 0;

	mn.spec.resume = cn.spec.resume = resume;
	mn.spec.aead = cn.spec.aead = aead;
	h = request(buf, &len);
	assert_int_equal(buf[11] & 1, 1); /* the responder's bit */
	assert_int_equal(receive(buf, len, &r, &rq), 0);
	assert_int_equal(rq.sent_ms, 77);
	assert_int_equal(rq.n_phases, 2);
	assert_string_equal(rq.cert.fqdn, "a.alice." DOMAIN);
	assert_int_equal(addr_parse("192.0.2.7:99", 0, &from), 0);
	assert_int_equal(
		handshake_answer(r, &cn.self, 5, &from, &at_cn, buf, &len), 0);
	assert_int_equal(buf[11] & 1, 0);
	assert_int_equal(finish(h, buf, len, &at_mn, &code), 0);
	assert_memory_equal(&at_mn.send, &at_cn.recv, 32);
	assert_memory_equal(&at_mn.recv, &at_cn.send, 32);
	assert_memory_equal(&at_mn.resume, &at_cn.resume, 32);
	assert_int_equal(at_mn.phase, 5);
	handshake_free(h);
	handshake_free(r);
}

static void test_whole(void **state)
{
	(void)state;
	whole(false, NTMC_AES_256_GCM);
	whole(true, NTMC_AES_256_GCM);
	whole(false, NTMC_CHACHA20_POLY1305);
	whole(true, NTMC_CHACHA20_POLY1305);
}

static void test_cut_and_bent(void **state)
{
	struct handshake_request rq;
	struct handshake *h, *r;
	uint8_t buf[PACKET_SIGNAL_MAX];
	size_t len;

	(void)state;
	h = request(buf, &len);
	for (size_t i = 0; i < len; i++)
		assert_int_not_equal(receive(buf, i, &r, &rq), 0);
	for (size_t i = 0; i < len; i++) {
		buf[i] ^= 0x10;
		assert_int_not_equal(receive(buf, len, &r, &rq), 0);
		buf[i] ^= 0x10;
	}
	assert_int_equal(receive(buf, len, &r, &rq), 0);
	handshake_free(r);
	handshake_free(h);
}

/* A forged answer leaves the initiator waiting for the true one. */
static void test_bent_answer(void **state)
{
	struct handshake_keys at_mn, at_cn;
	struct handshake_request rq;
	struct handshake *h, *r;
	struct addr from;
	uint8_t buf[PACKET_SIGNAL_MAX];
	size_t len;
	int code;

	(void)state;
	addr_clear(&from);
	h = request(buf, &len);
	assert_int_equal(receive(buf, len, &r, &rq), 0);
	assert_int_equal(
		handshake_answer(r, &cn.self, 0, &from, &at_cn, buf, &len), 0);
	for (size_t i = PACKET_HEADER_LEN; i < len; i++) {
		buf[i] ^= 1;
		assert_int_equal(finish(h, buf, len, &at_mn, &code),
				 -NTM_EAUTH);
		buf[i] ^= 1;
	}
	assert_int_equal(finish(h, buf, len, &at_mn, &code), 0);
	handshake_free(h);
	handshake_free(r);
}

static void test_refusal(void **state)
{
	struct handshake_keys keys;
	struct handshake_request rq;
	struct handshake *h, *r;
	uint8_t buf[PACKET_SIGNAL_MAX];
	size_t len;
	int code = 0;

	(void)state;
	h = request(buf, &len);
	assert_int_equal(receive(buf, len, &r, &rq), 0);
	assert_int_equal(handshake_refuse(r, &cn.self, -NTM_EPOLICY, buf, &len),
			 0);
	assert_int_equal(finish(h, buf, len, &keys, &code), -NTM_ECLOSED);
	assert_int_equal(code, NTM_EPOLICY);
	handshake_free(h);
	handshake_free(r);
}

/* A refusal says nothing about any request but the one that it refuses, though both
 * were made under one secret. */
static void test_refusal_of_another(void **state)
{
	struct handshake_keys keys;
	struct handshake_request rq;
	struct handshake *first, *second, *r;
	uint8_t buf[PACKET_SIGNAL_MAX], other[PACKET_SIGNAL_MAX];
	size_t len, other_len;
	int code = 0;

	(void)state;
	first = request(buf, &len);
	assert_int_equal(receive(buf, len, &r, &rq), 0);
	assert_int_equal(handshake_refuse(r, &cn.self, -NTM_EPOLICY, buf, &len),
			 0);
	handshake_free(r);
	second = request(other, &other_len);
	assert_int_equal(finish(second, buf, len, &keys, &code), -NTM_EAUTH);
	assert_int_equal(finish(first, buf, len, &keys, &code), -NTM_ECLOSED);
	handshake_free(first);
	handshake_free(second);
}

/* What the request says of itself must be what the direction said. */
static void test_wrong_one(void **state)
{
	struct handshake_request rq;
	struct handshake *h, *r;
	uint8_t buf[PACKET_SIGNAL_MAX];
	struct side other;
	size_t len;

	(void)state;
	h = request(buf, &len);
	handshake_free(h);
	strcpy(cn.spec.fqdn, "c.alice." DOMAIN);
	assert_int_equal(receive(buf, len, &r, &rq), -NTM_ECERT);
	strcpy(cn.spec.fqdn, "a.alice." DOMAIN);
	cn.spec.request.b[0] ^= 1; /* without Ktun */
	assert_int_equal(receive(buf, len, &r, &rq), -NTM_EAUTH);
	cn.spec.request.b[0] ^= 1;
	/* IKpsk2 brings the psk in with message 2: a wrong Ktmp ends there */
	cn.spec.fp[0] ^= 1; /* another identity was expected: the prologue */
	assert_int_equal(receive(buf, len, &r, &rq), -NTM_EAUTH);
	cn.spec.fp[0] ^= 1;
	side_make(&other, "a.alice." DOMAIN, 1, NOW + 86400);
	memcpy(cn.spec.x_pub, other.id.x_pub, 32);
	assert_int_equal(receive(buf, len, &r, &rq), -NTM_ECERT);
}

static void test_wrong_psk(void **state)
{
	struct handshake_keys at_mn, at_cn;
	struct handshake_request rq;
	struct handshake *h, *r;
	struct addr from;
	uint8_t buf[PACKET_SIGNAL_MAX];
	size_t len;
	int code;

	(void)state;
	addr_clear(&from);
	cn.spec.psk_secret.b[0] ^= 1;
	h = request(buf, &len);
	assert_int_equal(receive(buf, len, &r, &rq), 0);
	assert_int_equal(
		handshake_answer(r, &cn.self, 0, &from, &at_cn, buf, &len), 0);
	assert_int_equal(finish(h, buf, len, &at_mn, &code), -NTM_EAUTH);
	handshake_free(h);
	handshake_free(r);
}

static void test_expired(void **state)
{
	struct handshake_request rq;
	struct handshake *h, *r;
	uint8_t buf[PACKET_SIGNAL_MAX];
	size_t len;

	(void)state;
	side_make(&mn, "a.alice." DOMAIN, 1, NOW - 86400);
	knows(&mn, &cn, "b.bob." DOMAIN, 1);
	knows(&cn, &mn, "a.alice." DOMAIN, 0);
	h = request(buf, &len);
	assert_int_equal(receive(buf, len, &r, &rq), -NTM_EEXPIRED);
	handshake_free(h);
}

static void test_phase(void **state)
{
	static const uint8_t ours[3] = {9, 8, 7}, theirs[2] = {10, 11};
	static const uint8_t last[1] = {255}, first[1] = {0};

	(void)state;
	assert_int_equal(handshake_phase(ours, 0, theirs, 0), 0);
	assert_int_equal(handshake_phase(ours, 3, theirs, 0), 10);
	assert_int_equal(handshake_phase(ours, 3, theirs, 2), 12);
	assert_int_equal(handshake_phase(last, 1, first, 1), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_whole),
		T(test_cut_and_bent),
		T(test_bent_answer),
		T(test_refusal),
		T(test_wrong_one),
		T(test_wrong_psk),
		T(test_expired),
		T(test_phase),
		T(test_refusal_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

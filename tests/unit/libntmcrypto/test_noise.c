/* SPDX-License-Identifier: MIT */
/* test_noise - published vectors, damaged messages, order of calls */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "libntmcrypto/aead.h"
#include "noise_model.h"
#include "noise_vectors.h"

/* both ends of one handshake with the vectors' keys */
struct pair {
	struct script si, sr;
	struct ntmc_env env_i, env_r;
	struct ntmc_noise *i, *r;
};

static int noise_make(const struct noise_vector *v, bool initiator,
		      const struct ntmc_env *env, struct ntmc_noise **out)
{
	struct ntmc_key s, psk;
	uint8_t prologue[16], rs[32];
	struct ntmc_noise_config c = {
		.pattern = v->pattern,
		.aead = v->aead,
		.initiator = initiator,
		.prologue = prologue,
		.prologue_len = unhex(noise_prologue, prologue, 16),
		.static_priv = &s,
		.peer_static = initiator ? rs : NULL,
		.psk = v->pattern == NTMC_NOISE_IKPSK2 ? &psk : NULL,
		.env = env,
	};

	unhex(initiator ? noise_init_static : noise_resp_static, s.b, 32);
	unhex(noise_resp_static_pub, rs, 32);
	unhex(noise_psk, psk.b, 32);
	return ntmc_noise_new(&c, out);
}

static void pair_open(struct pair *p, const struct noise_vector *v)
{
	memset(p, 0, sizeof(*p));
	p->si.len = unhex(noise_init_ephemeral, p->si.bytes, 64);
	p->sr.len = unhex(noise_resp_ephemeral, p->sr.bytes, 64);
	p->env_i = script_env(&p->si);
	p->env_r = script_env(&p->sr);
	assert_int_equal(noise_make(v, true, &p->env_i, &p->i), 0);
	assert_int_equal(noise_make(v, false, &p->env_r, &p->r), 0);
}

static void pair_close(struct pair *p)
{
	ntmc_noise_free(p->i);
	ntmc_noise_free(p->r);
}

/* one message of the vector from @from to @to */
static void pass(const struct noise_vector *v, int n, struct ntmc_noise *from,
		 struct ntmc_noise *to)
{
	uint8_t payload[64], msg[256], got[64];
	size_t len = unhex(noise_payloads[n], payload, sizeof(payload));
	size_t msg_len = 0, got_len = 0;

	assert_int_equal(ntmc_noise_write(from, payload, len, msg, sizeof(msg),
					  &msg_len),
			 0);
	assert_hex(msg, msg_len, v->message[n]);
	/* exactly the room the header promises */
	assert_int_equal(ntmc_noise_read(to, msg, msg_len, got, len, &got_len),
			 0);
	assert_int_equal(got_len, len);
	assert_memory_equal(got, payload, len);
}

/* transport message @n under @k with the specification's nonce */
static void transport(const struct noise_vector *v, int n,
		      const struct ntmc_key *k, uint64_t counter)
{
	uint8_t payload[64], got[80], nonce[12] = {0};
	size_t len = unhex(noise_payloads[n], payload, sizeof(payload));

	nonce[v->aead == NTMC_AES_256_GCM ? 11 : 4] = (uint8_t)counter;
	assert_int_equal(
		aead_encrypt(v->aead, k, nonce, NULL, 0, payload, len, got), 0);
	assert_hex(got, len + 16, v->message[n]);
}

static void finish_x(const struct noise_vector *v, struct pair *p)
{
	struct ntmc_key send, recv, none;

	assert_int_equal(ntmc_noise_split(p->i, &send, &none, NULL),
			 -NTM_EINVAL);
	assert_int_equal(ntmc_noise_split(p->i, &send, NULL, NULL), 0);
	assert_int_equal(ntmc_noise_split(p->r, NULL, &recv, NULL), 0);
	assert_memory_equal(&send, &recv, sizeof(send));
	for (int n = 1; n < NOISE_MESSAGES; n++)
		transport(v, n, &send, (uint64_t)n - 1);
}

static void finish_ikpsk2(const struct noise_vector *v, struct pair *p)
{
	struct ntmc_key si, ri, sr, rr, res_i, res_r;

	assert_int_equal(ntmc_noise_split(p->i, &si, &ri, &res_i), 0);
	assert_int_equal(ntmc_noise_split(p->r, &sr, &rr, &res_r), 0);
	assert_memory_equal(&si, &rr, sizeof(si));
	assert_memory_equal(&sr, &ri, sizeof(si));
	assert_memory_equal(&res_i, &res_r, sizeof(si));
	assert_memory_not_equal(&res_i, &si, sizeof(si));
	for (int n = 2; n < NOISE_MESSAGES; n++)
		transport(v, n, n % 2 ? &sr : &si, (uint64_t)(n - 2) / 2);
}

static void published(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(noise_vectors); i++) {
		const struct noise_vector *v = &noise_vectors[i];
		struct ntmc_key k;
		uint8_t hash[32];
		struct pair p;

		noise_model_hash(v, hash);
		pair_open(&p, v);
		assert_null(ntmc_noise_peer_static(p.r));
		pass(v, 0, p.i, p.r);
		assert_hex(ntmc_noise_peer_static(p.r), 32,
			   noise_init_static_pub);
		if (v->pattern == NTMC_NOISE_IKPSK2) {
			assert_false(ntmc_noise_done(p.i));
			assert_int_equal(ntmc_noise_split(p.i, &k, &k, NULL),
					 -NTM_ESTATE);
			pass(v, 1, p.r, p.i);
		}
		assert_true(ntmc_noise_done(p.i));
		assert_true(ntmc_noise_done(p.r));
		assert_memory_equal(ntmc_noise_hash(p.i), hash, 32);
		assert_memory_equal(ntmc_noise_hash(p.r), hash, 32);
		if (v->pattern == NTMC_NOISE_X)
			finish_x(v, &p);
		else
			finish_ikpsk2(v, &p);
		assert_int_equal(ntmc_noise_split(p.i, &k, &k, NULL),
				 -NTM_ESTATE);
		assert_memory_equal(ntmc_noise_hash(p.i), hash, 32);
		pair_close(&p);
	}
}

/* a fresh reader for message @n (0 or 1) of @v, and the good message */
static struct ntmc_noise *reader(struct pair *p, const struct noise_vector *v,
				 int n, uint8_t *msg, size_t *len)
{
	pair_open(p, v);
	if (n == 1)
		pass(v, 0, p->i, p->r);
	*len = unhex(v->message[n], msg, 256);
	return n ? p->i : p->r;
}

static void expect_refusal(const struct noise_vector *v, int n,
			   void (*damage)(uint8_t *msg, size_t *len, size_t k),
			   size_t k, int want)
{
	uint8_t msg[256 + 1], out[256], zero[256] = {0};
	size_t len, out_len = 99, payload = strlen(noise_payloads[n]) / 2;
	struct ntmc_noise *to;
	struct pair p;
	int r;

	to = reader(&p, v, n, msg, &len);
	damage(msg, &len, k);
	memset(out, 0, sizeof(out));
	r = ntmc_noise_read(to, msg, len, out, sizeof(out), &out_len);
	if (want ? r != want : r != -NTM_EAUTH && r != -NTM_EDECODE)
		fail_msg("message %d, case %zu: %d", n, k, r);
	assert_int_equal(out_len, 99);
	assert_memory_equal(out, zero, payload); /* no unverified plaintext */
	/* After a bad message 1 the handshake is over, also for a good one; for
	 * the right message 2 the initiator waits on. */
	to = n ? p.i : p.r;
	len = unhex(v->message[n], msg, 256);
	assert_int_equal(
		ntmc_noise_read(to, msg, len, out, sizeof(out), &out_len),
		n ? 0 : -NTM_ESTATE);
	assert_true(ntmc_noise_done(to) == (n == 1));
	pair_close(&p);
}

static void cut(uint8_t *msg, size_t *len, size_t k)
{
	(void)msg;
	*len = k;
}

static void grow(uint8_t *msg, size_t *len, size_t k)
{
	msg[(*len)++] = (uint8_t)k;
}

static void flip(uint8_t *msg, size_t *len, size_t k)
{
	(void)len;
	msg[k / 8] ^= (uint8_t)(1 << k % 8);
}

static void zero_ephemeral(uint8_t *msg, size_t *len, size_t k)
{
	(void)len;
	(void)k;
	memset(msg, 0, 32);
}

static void damaged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(noise_vectors); i++) {
		const struct noise_vector *v = &noise_vectors[i];
		int messages = v->pattern == NTMC_NOISE_X ? 1 : 2;

		for (int n = 0; n < messages; n++) {
			size_t len = strlen(v->message[n]) / 2;

			for (size_t k = 0; k < len; k++)
				expect_refusal(v, n, cut, k, 0);
			expect_refusal(v, n, grow, 0, -NTM_EAUTH);
			/* the top bit of e is masked by X25519, not by the
			 * hash; every bit counts */
			for (size_t k = 0; k < len * 8; k += 5)
				expect_refusal(v, n, flip, k, -NTM_EAUTH);
			expect_refusal(v, n, zero_ephemeral, 0, -NTM_EAUTH);
		}
	}
}

/* calls out of turn or with too little room change nothing */
static void order_and_room(void **state)
{
	const struct noise_vector *v = &noise_vectors[0];
	uint8_t msg[256], out[64];
	struct ntmc_key k;
	size_t len;
	struct pair p;

	(void)state;
	pair_open(&p, v);
	assert_int_equal(ntmc_noise_write(p.r, "", 0, msg, sizeof(msg), &len),
			 -NTM_ESTATE);
	assert_int_equal(ntmc_noise_read(p.i, msg, 200, out, 64, &len),
			 -NTM_ESTATE);
	assert_int_equal(ntmc_noise_write(p.i, "abcd", 4, msg, 99, &len),
			 -NTM_ETOOBIG);
	assert_int_equal(ntmc_noise_write(p.i, "", NTMC_NOISE_MSG_MAX - 95, msg,
					  SIZE_MAX, &len),
			 -NTM_ETOOBIG);
	assert_int_equal(ntmc_noise_read(p.r, msg, NTMC_NOISE_MSG_MAX + 1, out,
					 SIZE_MAX, &len),
			 -NTM_ETOOBIG);
	len = unhex(v->message[0], msg, sizeof(msg));
	assert_int_equal(ntmc_noise_read(p.r, msg, len, out, 15, &len),
			 -NTM_ETOOBIG);
	assert_int_equal(ntmc_noise_split(p.r, &k, &k, NULL), -NTM_ESTATE);
	/* and it still works */
	pass(v, 0, p.i, p.r);
	assert_int_equal(ntmc_noise_write(p.i, "", 0, msg, sizeof(msg), &len),
			 -NTM_ESTATE);
	pass(v, 1, p.r, p.i);
	assert_int_equal(ntmc_noise_set_psk(p.r, &k), -NTM_ESTATE);
	pair_close(&p);
	ntmc_noise_free(NULL);
}

/* a responder that learns the psk from who speaks; a wrong one is refused */
static void late_psk(void **state)
{
	struct ntmc_key s, psk, wrong = {{1}};
	struct ntmc_noise_config c = {.pattern = NTMC_NOISE_IKPSK2,
				      .aead = NTMC_AES_256_GCM,
				      .static_priv = &s};
	uint8_t prologue[16], msg[256], out[64];
	struct ntmc_noise *r = NULL;
	struct pair p;
	size_t len;

	(void)state;
	unhex(noise_resp_static, s.b, 32);
	unhex(noise_psk, psk.b, 32);
	c.prologue = prologue;
	c.prologue_len = unhex(noise_prologue, prologue, 16);
	for (int right = 0; right < 2; right++) {
		pair_open(&p, &noise_vectors[0]);
		assert_int_equal(ntmc_noise_new(&c, &r), 0);
		len = unhex(noise_vectors[0].message[0], msg, sizeof(msg));
		assert_int_equal(ntmc_noise_read(r, msg, len, out, 64, &len),
				 0);
		assert_int_equal(ntmc_noise_write(r, "ok", 2, msg, 256, &len),
				 -NTM_ESTATE);
		assert_int_equal(ntmc_noise_set_psk(r, right ? &psk : &wrong),
				 0);
		assert_int_equal(ntmc_noise_write(r, "ok", 2, msg, 256, &len),
				 0);
		assert_int_equal(len, 50);
		/* only now does the initiator send; the vector's message 1 was
		 * read by r already, so p.i must produce the same bytes */
		pass(&noise_vectors[0], 0, p.i, p.r);
		assert_int_equal(ntmc_noise_read(p.i, msg, len, out, 2, &len),
				 right ? 0 : -NTM_EAUTH);
		ntmc_noise_free(r);
		pair_close(&p);
	}
}

/* another prologue, responder or low-order responder key */
static void mismatches(void **state)
{
	struct ntmc_key s = {{0, 5}}, other = {{0, 6}};
	uint8_t low[32] = {1}, pub[32], msg[256], out[64];
	struct ntmc_noise_config ci = {.pattern = NTMC_NOISE_X,
				       .aead = NTMC_AES_256_GCM,
				       .initiator = true,
				       .prologue = "a",
				       .prologue_len = 1,
				       .static_priv = &s,
				       .peer_static = pub};
	struct ntmc_noise_config cr = {.pattern = NTMC_NOISE_X,
				       .aead = NTMC_AES_256_GCM,
				       .prologue = "a",
				       .prologue_len = 1,
				       .static_priv = &other};
	struct ntmc_noise *i, *r;
	size_t len;

	(void)state;
	ntmc_x25519_public(&other, pub);
	for (int n = 0; n < 4; n++) {
		struct ntmc_noise_config c = cr;

		if (n == 1)
			c.prologue = "b";
		else if (n == 2)
			c.static_priv = &s;
		else if (n == 3)
			c.aead = NTMC_CHACHA20_POLY1305;
		assert_int_equal(ntmc_noise_new(&ci, &i), 0);
		assert_int_equal(ntmc_noise_new(&c, &r), 0);
		assert_int_equal(ntmc_noise_write(i, "hi", 2, msg, 256, &len),
				 0);
		assert_int_equal(ntmc_noise_read(r, msg, len, out, 64, &len),
				 n ? -NTM_EAUTH : 0);
		ntmc_noise_free(i);
		ntmc_noise_free(r);
	}
	ci.peer_static = low;
	assert_int_equal(ntmc_noise_new(&ci, &i), 0);
	assert_int_equal(ntmc_noise_write(i, "hi", 2, msg, 256, &len),
			 -NTM_EAUTH);
	ntmc_noise_free(i);
}

static void bad_config(void **state)
{
	struct ntmc_key s = {{5}};
	uint8_t pub[32] = {9};
	const struct ntmc_noise_config good = {.pattern = NTMC_NOISE_IKPSK2,
					       .aead = NTMC_AES_256_GCM,
					       .initiator = true,
					       .static_priv = &s,
					       .peer_static = pub,
					       .psk = &s};
	struct ntmc_noise *n = NULL;
	struct ntmc_noise_config c;

	(void)state;
	for (int i = 0; i < 7; i++) {
		c = good;
		switch (i) {
		case 0:
			c.pattern = 3;
			break;
		case 1:
			c.aead = 3;
			break;
		case 2:
			c.static_priv = NULL;
			break;
		case 3:
			c.peer_static = NULL;
			break;
		case 4:
			c.initiator = false;
			break;
		case 5:
			c.prologue_len = 1;
			break;
		case 6:
			c.pattern = NTMC_NOISE_X; /* has no psk */
			break;
		}
		assert_int_equal(ntmc_noise_new(&c, &n), -NTM_EINVAL);
	}
	assert_null(n);
	assert_int_equal(ntmc_noise_new(&good, &n), 0);
	ntmc_noise_free(n);
}

/* the largest message there is, read in place */
static void largest(void **state)
{
	const struct noise_vector *v = &noise_vectors[1];
	uint8_t *msg = malloc(NTMC_NOISE_MSG_MAX);
	uint8_t *plain = malloc(NTMC_NOISE_MSG_MAX);
	size_t room = NTMC_NOISE_MSG_MAX - 96, len;
	struct pair p;

	(void)state;
	assert_non_null(msg);
	assert_non_null(plain);
	pair_open(&p, v);
	memset(plain, 'x', room);
	assert_int_equal(ntmc_noise_write(p.i, plain, room, msg,
					  NTMC_NOISE_MSG_MAX, &len),
			 0);
	assert_int_equal(len, NTMC_NOISE_MSG_MAX);
	assert_int_equal(ntmc_noise_read(p.r, msg, len, msg, room, &len), 0);
	assert_int_equal(len, room);
	assert_memory_equal(msg, plain, room);
	pair_close(&p);
	free(plain);
	free(msg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published),  cmocka_unit_test(damaged),
		cmocka_unit_test(late_psk),   cmocka_unit_test(order_and_room),
		cmocka_unit_test(mismatches), cmocka_unit_test(bad_config),
		cmocka_unit_test(largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

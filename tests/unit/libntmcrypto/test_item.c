/* SPDX-License-Identifier: MIT */
/* test_item - prekeys and K sealed to one: the right receiver, and every wrong one */
#include "fixture.h"
#include "libntmcrypto/item.h"

#include <string.h>

#define SENDER	 "laptop.mn.example.org"
#define RECEIVER "desk.cn.example.org"
#define DAY	 86400
#define HASH_OF_T                                                              \
	"da198c039d2d2ba20d6f1ebee436d49d9db9921bb5c2aef6dcde9b9d54ccb941"

/* a sender with a certificate, a receiver with a prekey */
struct world {
	struct ntmc_ca *ca;
	struct ntmc_trust *trust;
	uint8_t prefix6[16];
	struct ntmc_identity sender, receiver;
	uint8_t sender_der[NTMC_CERT_MAX], receiver_der[NTMC_CERT_MAX];
	size_t sender_len, receiver_len;
	struct ntmc_key prekey_priv, k;
	struct prekey prekey;
	struct script script;
	struct ntmc_env env;
	uint8_t item[ITEM_ID_LEN];
	struct item_names names;
	struct ntmc_agreed agreed;
};

static void issue(struct world *w, const char *fqdn,
		  const struct ntmc_identity *id, uint8_t *der, size_t *len)
{
	struct ntmc_cert c;

	fixture_node(w->prefix6, fqdn, id, &c);
	*len = NTMC_CERT_MAX;
	assert_int_equal(ntmc_ca_issue(&w->env, w->ca, &c, FIXTURE_NOW,
				       FIXTURE_NOW + DAY, der, len),
			 0);
}

static void world_open(struct world *w)
{
	uint8_t der[NTMC_CERT_MAX];
	size_t len = sizeof(der);

	memset(w, 0, sizeof(*w));
	w->script.now = FIXTURE_NOW;
	w->script.fill = 1;
	w->env = script_env(&w->script);
	w->ca = fixture_ca("example.org", 40, w->prefix6);
	assert_int_equal(ntmc_trust_new(&w->trust), 0);
	assert_int_equal(ntmc_ca_der(w->ca, der, &len), 0);
	assert_int_equal(ntmc_trust_add(w->trust, der, len, NULL, NULL), 0);
	fixture_identity(50, &w->sender);
	fixture_identity(60, &w->receiver);
	issue(w, SENDER, &w->sender, w->sender_der, &w->sender_len);
	issue(w, RECEIVER, &w->receiver, w->receiver_der, &w->receiver_len);

	strcpy(w->prekey.fqdn, RECEIVER);
	memset(w->prekey.id, 7, sizeof(w->prekey.id));
	ntmc_x25519_keygen(&w->env, &w->prekey_priv, w->prekey.pub);
	w->prekey.not_before = FIXTURE_NOW + 3600;
	w->prekey.not_after = FIXTURE_NOW + 3600 + 35 * DAY;
	assert_int_equal(prekey_sign(&w->receiver, &w->prekey), 0);
	ntmc_key_random(&w->env, &w->k);
	memset(w->item, 0x17, sizeof(w->item));
	w->names = (struct item_names){w->item, SENDER, RECEIVER};
}

static void world_close(struct world *w)
{
	ntmc_trust_free(w->trust);
	ntmc_ca_free(w->ca);
}

static int verify(struct world *w, int64_t now)
{
	struct ntmc_cert c;
	int r = prekey_verify(&w->prekey, w->trust, w->receiver_der,
			      w->receiver_len, now, &c);

	if (!r)
		assert_string_equal(c.fqdn, RECEIVER);
	return r;
}

static void test_prekey(void **state)
{
	struct world w;
	struct prekey good;
	struct ntmc_cert c;
	size_t i;

	(void)state;
	world_open(&w);
	good = w.prekey;
	assert_int_equal(verify(&w, FIXTURE_NOW + 7200), 0);
	/* long after the certificate's end, as only its beginning counts */
	assert_int_equal(verify(&w, good.not_after - 1), 0);
	assert_int_equal(verify(&w, good.not_after), -NTM_EEXPIRED);
	assert_int_equal(verify(&w, good.not_before - ITEM_CLOCK_S), 0);
	assert_int_equal(verify(&w, good.not_before - ITEM_CLOCK_S - 1),
			 -NTM_ECLOCK);
	for (i = 0; i < sizeof(good.id) + sizeof(good.pub); i++) {
		w.prekey = good;
		((uint8_t *)&w.prekey.id)[i] ^= 1;
		assert_int_equal(verify(&w, good.not_before), -NTM_EAUTH);
	}
	w.prekey = good;
	w.prekey.not_after--;
	assert_int_equal(verify(&w, good.not_before), -NTM_EAUTH);
	w.prekey.not_after = good.not_before + 35 * DAY + 1;
	assert_int_equal(verify(&w, good.not_before), -NTM_EINVAL);
	assert_int_equal(prekey_sign(&w.receiver, &w.prekey), -NTM_EINVAL);
	/* signed when the certificate was not valid */
	w.prekey = good;
	w.prekey.not_before = FIXTURE_NOW + 2 * DAY;
	assert_int_equal(prekey_sign(&w.receiver, &w.prekey), 0);
	assert_int_equal(verify(&w, w.prekey.not_before), -NTM_EEXPIRED);
	/* with somebody else's certificate */
	w.prekey = good;
	assert_int_equal(prekey_verify(&w.prekey, w.trust, w.sender_der,
				       w.sender_len, good.not_before, &c),
			 -NTM_ECERT);
	world_close(&w);
}

static void wrap(struct world *w, uint8_t *msg, size_t *len)
{
	assert_int_equal(item_key_wrap(&w->env, &w->sender, w->sender_der,
				       w->sender_len, &w->names, &w->prekey,
				       &w->k, &w->agreed, msg, len),
			 0);
}

static int unwrap(struct world *w, const uint8_t *msg, size_t len)
{
	struct ntmc_key k = {{0}}, none = {{0}};
	struct ntmc_cert c;
	int r = item_key_unwrap(&w->env, w->trust, &w->names, &w->prekey_priv,
				w->prekey.pub, &w->agreed, msg, len, &k, &c);

	if (r) {
		assert_memory_equal(k.b, none.b, sizeof(k.b));
		return r;
	}
	assert_memory_equal(k.b, w->k.b, sizeof(k.b));
	assert_string_equal(c.fqdn, SENDER);
	assert_memory_equal(c.ed_pub, w->sender.ed_pub, NTMC_KEY_LEN);
	return 0;
}

static void test_wrap(void **state)
{
	uint8_t msg[ITEM_KEY_MAX], bad[ITEM_KEY_MAX], id[PREKEY_ID_LEN];
	struct world w;
	size_t len, i;
	int r;

	(void)state;
	world_open(&w);
	wrap(&w, msg, &len);
	assert_int_equal(item_key_prekey(msg, len, id), 0);
	assert_memory_equal(id, w.prekey.id, sizeof(id));
	assert_int_equal(unwrap(&w, msg, len), 0);
	/* the receiver comes back after a month */
	w.script.now += 30 * DAY;
	assert_int_equal(unwrap(&w, msg, len), 0);
	w.script.now += 36 * DAY;
	assert_int_equal(unwrap(&w, msg, len), -NTM_EEXPIRED);
	w.script.now = FIXTURE_NOW - ITEM_CLOCK_S;
	assert_int_equal(unwrap(&w, msg, len), 0);
	w.script.now--;
	assert_int_equal(unwrap(&w, msg, len), -NTM_ECLOCK);
	w.script.now = FIXTURE_NOW;
	for (i = 0; i < len; i++) {
		r = unwrap(&w, msg, i);
		assert_true(r == -NTM_EDECODE || r == -NTM_EAUTH);
	}
	/* every byte but the prekey's id, which only says which key to take */
	for (i = PREKEY_ID_LEN; i < len; i++) {
		memcpy(bad, msg, len);
		bad[i] ^= 0x40;
		r = unwrap(&w, bad, len);
		assert_true(r == -NTM_EDECODE || r == -NTM_EAUTH);
	}
	memset(bad, 0, sizeof(bad));
	memcpy(bad, msg, len);
	assert_int_equal(unwrap(&w, bad, len + 1), -NTM_EAUTH);
	world_close(&w);
}

static void test_wrong_ends(void **state)
{
	uint8_t msg[ITEM_KEY_MAX], other[ITEM_ID_LEN] = {1};
	struct item_names names;
	struct ntmc_key priv;
	struct world w;
	size_t len;

	(void)state;
	world_open(&w);
	wrap(&w, msg, &len);
	names = w.names;
	w.names.item = other;
	assert_int_equal(unwrap(&w, msg, len), -NTM_EAUTH);
	w.names = names;
	w.names.receiver = "desk.dn.example.org";
	assert_int_equal(unwrap(&w, msg, len), -NTM_EAUTH);
	w.names = names;
	w.names.sender = "laptop.dn.example.org";
	assert_int_equal(unwrap(&w, msg, len), -NTM_EAUTH);
	w.names = names;
	priv = w.prekey_priv;
	w.prekey_priv = w.receiver.x_priv;
	assert_int_equal(unwrap(&w, msg, len), -NTM_EAUTH);
	w.prekey_priv = priv;
	assert_int_equal(unwrap(&w, msg, len), 0);
	world_close(&w);
}

/* A thief of the certificate alone, of the static key alone, of an old one. */
static void test_wrong_sender(void **state)
{
	struct ntmc_identity thief, real;
	uint8_t msg[ITEM_KEY_MAX];
	struct world w;
	size_t len;

	(void)state;
	world_open(&w);
	real = w.sender;
	fixture_identity(90, &thief);
	w.sender = thief;
	wrap(&w, msg, &len);
	w.sender = real;
	assert_int_equal(unwrap(&w, msg, len), -NTM_ECERT);
	/* the static key was stolen, the identity was not */
	w.sender = thief;
	w.sender.x_priv = real.x_priv;
	memcpy(w.sender.x_pub, real.x_pub, NTMC_KEY_LEN);
	wrap(&w, msg, &len);
	w.sender = real;
	assert_int_equal(unwrap(&w, msg, len), -NTM_EAUTH);
	/* another node's certificate for the sender's name */
	issue(&w, "laptop.dn.example.org", &real, w.sender_der, &w.sender_len);
	wrap(&w, msg, &len);
	assert_int_equal(unwrap(&w, msg, len), -NTM_ECERT);
	issue(&w, SENDER, &real, w.sender_der, &w.sender_len);
	/* certificate had run out when it was sealed */
	w.script.now += 2 * DAY;
	wrap(&w, msg, &len);
	assert_int_equal(unwrap(&w, msg, len), -NTM_EEXPIRED);
	world_close(&w);
}

static void test_low_order(void **state)
{
	uint8_t msg[ITEM_KEY_MAX];
	struct world w;
	size_t len;

	(void)state;
	world_open(&w);
	memset(w.prekey.pub, 0, sizeof(w.prekey.pub));
	assert_int_equal(item_key_wrap(&w.env, &w.sender, w.sender_der,
				       w.sender_len, &w.names, &w.prekey, &w.k,
				       &w.agreed, msg, &len),
			 -NTM_EAUTH);
	world_close(&w);
}

static void test_temporal(void **state)
{
	uint8_t msg[300], sealed[400], out[400], item[ITEM_ID_LEN] = {5};
	uint8_t hash[NTMC_HASH_LEN], other[ITEM_ID_LEN] = {6};
	struct ntmc_key t = {{9}}, t2 = {{8}};
	size_t len, got, i;
	int r;

	(void)state;
	memset(msg, 'k', sizeof(msg));
	assert_int_equal(
		item_temporal_seal(&t, item, msg, sizeof(msg), sealed, &len),
		0);
	assert_int_equal(len, sizeof(msg) + 17);
	assert_int_equal(item_temporal_open(&t, item, sealed, len, out, &got),
			 0);
	assert_int_equal(got, sizeof(msg));
	assert_memory_equal(out, msg, got);
	assert_int_equal(item_temporal_open(&t2, item, sealed, len, out, &got),
			 -NTM_EAUTH);
	assert_int_equal(item_temporal_open(&t, other, sealed, len, out, &got),
			 -NTM_EAUTH);
	for (i = 0; i < len; i++) {
		r = item_temporal_open(&t, item, sealed, i, out, &got);
		assert_true(r == -NTM_EAUTH || r == -NTM_EDECODE);
		sealed[i] ^= 0x10;
		r = item_temporal_open(&t, item, sealed, len, out, &got);
		assert_true(r == -NTM_EAUTH || r == -NTM_EDECODE);
		sealed[i] ^= 0x10;
	}
	/* "ntm temporal hash v1" and 32 bytes, by sha256sum */
	item_temporal_hash(&t, hash);
	assert_hex(hash, sizeof(hash), HASH_OF_T);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prekey),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_wrong_ends),
		cmocka_unit_test(test_wrong_sender),
		cmocka_unit_test(test_low_order),
		cmocka_unit_test(test_temporal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

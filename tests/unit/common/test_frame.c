/* SPDX-License-Identifier: MIT */
/* test_frame - sealed Signals on TCP: good ones, cut ones, those of another connection */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/frame.h"

#define NODE UINT64_C(0x1122334455667788)

static struct datagram_keys keys, others;

static int setup(void **state)
{
	uint8_t greeting[FRAME_GREETING_LEN] = {1}, random[16] = {2};
	struct ntmc_key k;

	(void)state;
	memset(k.b, 7, sizeof(k.b));
	assert_int_equal(
		frame_keys(&k, greeting, random, NTMC_AES_256_GCM, &keys), 0);
	greeting[0] = 3;
	assert_int_equal(
		frame_keys(&k, greeting, random, NTMC_AES_256_GCM, &others), 0);
	assert_memory_not_equal(keys.up.b, keys.down.b, NTMC_KEY_LEN);
	assert_memory_not_equal(keys.up.b, others.up.b, NTMC_KEY_LEN);
	return 0;
}

static size_t make(uint64_t counter, uint8_t buf[FRAME_MAX])
{
	Ntm__NotificationRegistration r = NTM__NOTIFICATION_REGISTRATION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	int n;

	r.interval_s = 60;
	msg.txn = 5;
	msg.body_case = NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION;
	msg.notification_registration = &r;
	n = frame_seal(NODE, counter, keys.aead, &keys.up, &msg, buf);
	assert_true(n > 0);
	return (size_t)n;
}

static int open_as(uint64_t node, uint64_t counter,
		   const struct datagram_keys *k, const uint8_t *buf,
		   size_t len, Ntm__Signal **out)
{
	uint8_t copy[FRAME_MAX];

	memcpy(copy, buf, len);
	return frame_open(node, counter, k->aead, &k->up, copy, len, out);
}

static void good_and_others(void **state)
{
	uint8_t buf[FRAME_MAX];
	size_t len = make(3, buf);
	Ntm__Signal *msg;

	(void)state;
	assert_int_equal(frame_len(buf, len), len);
	assert_int_equal(open_as(NODE, 3, &keys, buf, len, &msg), 0);
	assert_int_equal(msg->notification_registration->interval_s, 60);
	datagram_free(&msg->base);
	assert_int_equal(open_as(NODE, 4, &keys, buf, len, &msg), -NTM_EAUTH);
	assert_int_equal(open_as(NODE + 1, 3, &keys, buf, len, &msg),
			 -NTM_EAUTH);
	assert_int_equal(open_as(NODE, 3, &others, buf, len, &msg), -NTM_EAUTH);
	for (size_t i = 2; i < len; i++) {
		buf[i] ^= 1;
		assert_int_not_equal(open_as(NODE, 3, &keys, buf, len, &msg),
				     0);
		buf[i] ^= 1;
	}
}

static void cut(void **state)
{
	uint8_t buf[FRAME_MAX];
	size_t len = make(0, buf);

	(void)state;
	for (size_t i = 0; i < len; i++)
		assert_int_equal(frame_len(buf, i), 0);
	buf[0] = 0;
	buf[1] = PACKET_OVERHEAD - 1;
	assert_int_equal(frame_len(buf, len), -NTM_EDECODE);
	buf[0] = (FRAME_MAX - 1) >> 8;
	buf[1] = (uint8_t)(FRAME_MAX - 1);
	assert_int_equal(frame_len(buf, len), -NTM_EDECODE);
}

static void hello(void **state)
{
	struct frame_hello h = {.key_id = 1, .node_id = NODE}, got;
	uint8_t buf[FRAME_HELLO_LEN];

	(void)state;
	memset(h.random, 9, sizeof(h.random));
	frame_hello_put(&h, buf);
	assert_int_equal(buf[7], 1);
	assert_int_equal(buf[8], 0x11);
	frame_hello_get(buf, &got);
	assert_memory_equal(&got, &h, sizeof(h));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_and_others),
		cmocka_unit_test(cut),
		cmocka_unit_test(hello),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

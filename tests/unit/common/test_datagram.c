/* SPDX-License-Identifier: MIT */
/*
 * test_datagram - sealing and opening every message, and every limit at its edge
 *
 * Messages come from tests/vectors/sample.c, so a message added to ntm.proto is
 * tested here without a line more.
 */
#include "common/datagram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/addr.h"
#include "common/file.h"
#include "common/limits.h"
#include "tests/vectors/sample.h"

static const struct packet_header head = {
	.type = PACKET_SIGNAL, .id = 42, .counter = 7};

static struct ntmc_key key_of(uint8_t byte)
{
	struct ntmc_key k;

	memset(k.b, byte, sizeof(k.b));
	return k;
}

/* Bytes of a message in memory of its exact size, so that reading on is seen. */
static uint8_t *pack(const ProtobufCMessage *msg, size_t *len)
{
	uint8_t *buf;

	*len = protobuf_c_message_get_packed_size(msg);
	buf = malloc(*len ? *len : 1);
	assert_non_null(buf);
	protobuf_c_message_pack(msg, buf);
	return buf;
}

static int unpack(const ProtobufCMessageDescriptor *d, const uint8_t *data,
		  size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	ProtobufCMessage *msg;
	int ret;

	memcpy(exact, data, len);
	ret = datagram_unpack(d, exact, len, &msg);
	if (ret == 0)
		datagram_free(msg);
	free(exact);
	return ret;
}

/* --- tables ------------------------------------------------------------------------ */

/* Every field has its row, by name and in order, of a kind its type can have. */
static void test_tables_match_proto(void **state)
{
	const ProtobufCMessageDescriptor *d;
	const ProtobufCFieldDescriptor *f;
	const struct limit *rows;
	size_t i, k, n;

	(void)state;
	for (i = 0; (d = limits_message(i)); i++) {
		rows = limits_of(d, &n);
		if (n != d->n_fields)
			fail_msg("%s: %zu rows, %u fields", d->name, n,
				 d->n_fields);
		for (k = 0; k < n; k++) {
			f = &d->fields[k];
			assert_string_equal(rows[k].field, f->name);
			assert_int_equal(rows[k].count != 0,
					 f->label == PROTOBUF_C_LABEL_REPEATED);
			assert_int_equal(rows[k].kind == LIMIT_MESSAGE ||
						 rows[k].kind == LIMIT_BODY,
					 f->type == PROTOBUF_C_TYPE_MESSAGE);
			assert_int_equal(
				rows[k].kind == LIMIT_BODY,
				(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0);
			assert_int_equal(rows[k].kind == LIMIT_BYTES ||
						 rows[k].kind ==
							 LIMIT_BYTES_OR_NONE ||
						 rows[k].kind == LIMIT_IP,
					 f->type == PROTOBUF_C_TYPE_BYTES);
			assert_int_equal(rows[k].kind == LIMIT_TEXT ||
						 rows[k].kind == LIMIT_FQDN ||
						 rows[k].kind == LIMIT_LABEL,
					 f->type == PROTOBUF_C_TYPE_STRING);
			assert_int_equal(rows[k].kind == LIMIT_ENUM,
					 f->type == PROTOBUF_C_TYPE_ENUM);
		}
	}
}

/* No message of ntm.proto is without a table. */
static void test_every_message_known(void **state)
{
	const ProtobufCMessageDescriptor *d;
	char *text, *line, *rest, name[64];
	size_t len, i, found = 0;
	uint8_t *data;

	(void)state;
	assert_int_equal(file_read("common/ntm.proto", 1 << 20, &data, &len),
			 0);
	text = (char *)data;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		if (sscanf(line, "message %63[A-Za-z0-9]", name) != 1)
			continue;
		for (i = 0; (d = limits_message(i)); i++)
			if (strcmp(d->short_name, name) == 0)
				break;
		if (!d)
			fail_msg("%s has no table in common/limits.c", name);
		found++;
	}
	free(data);
	for (i = 0; limits_message(i); i++)
		;
	assert_int_equal(found, i);
}

/* --- every message --------------------------------------------------------------------- */

typedef void each_fn(const ProtobufCMessageDescriptor *d, unsigned int body);

static void for_each_message(each_fn *fn)
{
	const ProtobufCMessageDescriptor *d;
	const ProtobufCFieldDescriptor *f;
	size_t i, k;

	for (i = 0; (d = limits_message(i)); i++) {
		if (!sample_body(d, 0))
			fn(d, 0);
		for (k = 0; (f = sample_body(d, k)); k++)
			fn(d, f->id);
	}
}

/* Packs, unpacks, packs to the same bytes; every truncation is refused or another
 * message in its limits; a byte too many is never read. */
static void round_trip(const ProtobufCMessageDescriptor *d, unsigned int body)
{
	static const enum sample_size sizes[] = {SAMPLE_USUAL, SAMPLE_LARGEST};
	ProtobufCMessage *msg, *got;
	uint8_t *buf, *again;
	size_t len, again_len, i, k;
	int ret;

	for (i = 0; i < 2; i++) {
		msg = sample_new(d, body, sizes[i]);
		assert_int_equal(datagram_check(msg), 0);
		buf = pack(msg, &len);
		assert_int_equal(datagram_unpack(d, buf, len, &got), 0);
		again = pack(got, &again_len);
		assert_int_equal(len, again_len);
		assert_memory_equal(buf, again, len);
		for (k = 0; k < len && len < 3000; k++) {
			ret = unpack(d, buf, k);
			assert_true(ret == 0 || ret == -NTM_EDECODE);
		}
		free(buf);
		free(again);
		datagram_free(msg);
		datagram_free(got);
	}
}

static void test_every_message(void **state)
{
	(void)state;
	for_each_message(round_trip);
	datagram_free(NULL);
}

/* Every field of every message one step over its limit: refused. */
static void over_limit(const ProtobufCMessageDescriptor *d, unsigned int body)
{
	ProtobufCMessage *msg;
	const struct limit *rows;
	uint8_t *base;
	size_t n, k;

	rows = limits_of(d, &n);
	for (k = 0; k < n; k++) {
		const ProtobufCFieldDescriptor *f = &d->fields[k];
		ProtobufCBinaryData *bytes;
		char *old;

		msg = sample_new(d, body, SAMPLE_LARGEST);
		base = (uint8_t *)msg;
		if (rows[k].count) {
			size_t *count = (size_t *)(base + f->quantifier_offset);

			/* the check must not look at the elements first */
			*count += 1;
			assert_int_equal(datagram_check(msg), -NTM_EDECODE);
			*count -= 1;
		} else if (f->type == PROTOBUF_C_TYPE_BYTES) {
			bytes = (ProtobufCBinaryData *)(base + f->offset);
			bytes->len++;
			assert_int_equal(datagram_check(msg), -NTM_EDECODE);
			bytes->len--;
			if (rows[k].min > 1) {
				size_t len = bytes->len;

				bytes->len = rows[k].min - 1;
				assert_int_equal(datagram_check(msg),
						 -NTM_EDECODE);
				bytes->len = len;
			}
		} else if (f->type == PROTOBUF_C_TYPE_STRING) {
			old = *(char **)(base + f->offset);
			*(char **)(base + f->offset) = malloc(strlen(old) + 2);
			sprintf(*(char **)(base + f->offset), "%sx", old);
			assert_int_equal(datagram_check(msg), -NTM_EDECODE);
			strcpy(*(char **)(base + f->offset), "a\nb");
			assert_int_equal(datagram_check(msg), -NTM_EDECODE);
			free(old);
		} else if (rows[k].kind == LIMIT_NUMBER &&
			   rows[k].max < UINT32_MAX) {
			*(uint32_t *)(base + f->offset) =
				(uint32_t)rows[k].max + 1;
			assert_int_equal(datagram_check(msg), -NTM_EDECODE);
		} else if (rows[k].kind == LIMIT_ENUM) {
			*(uint32_t *)(base + f->offset) = 99;
			assert_int_equal(datagram_check(msg), -NTM_EDECODE);
		} else if (rows[k].kind == LIMIT_PATH_ID) {
			*(uint64_t *)(base + f->offset) |= 1;
			assert_int_equal(datagram_check(msg), -NTM_EDECODE);
		}
		datagram_free(msg);
	}
}

static void test_over_every_limit(void **state)
{
	(void)state;
	for_each_message(over_limit);
}

static void test_absent(void **state)
{
	static const uint8_t nothing[1];
	ProtobufCMessage *msg;

	(void)state;
	/* no body: of a newer version, or nonsense */
	assert_int_equal(unpack(&ntm__signal__descriptor, nothing, 0),
			 -NTM_EDECODE);
	assert_int_equal(unpack(&ntm__envelope__descriptor, nothing, 0),
			 -NTM_EDECODE);
	assert_int_equal(unpack(&ntm__tunnel_control__descriptor, nothing, 0),
			 -NTM_EDECODE);
	/* a peer that must be there */
	assert_int_equal(unpack(&ntm__route_direction__descriptor, nothing, 0),
			 -NTM_EDECODE);
	assert_int_equal(
		datagram_unpack(&ntm__keep_alive__descriptor, nothing, 0, &msg),
		0);
	datagram_free(msg);
	/* lone fields may be absent where none is allowed */
	assert_int_equal(
		unpack(&ntm__registration_response__descriptor, nothing, 0), 0);
}

/* A field of a newer version is no error, and is not kept. */
static void test_unknown_field(void **state)
{
	static const uint8_t bytes[] = {0x0a, 4,    1, 2, 3,   4,  0x10,
					80,   0xfa, 1, 2, 'h', 'i'};
	ProtobufCMessage *msg;
	size_t len;
	uint8_t *buf;

	(void)state;
	assert_int_equal(datagram_unpack(&ntm__address__descriptor, bytes,
					 sizeof(bytes), &msg),
			 0);
	assert_int_equal(msg->n_unknown_fields, 0);
	buf = pack(msg, &len);
	assert_int_equal(len, sizeof(bytes) - 5);
	assert_memory_equal(buf, bytes, len);
	free(buf);
	datagram_free(msg);
}

/* --- datagrams ----------------------------------------------------------------------- */

static void seal_and_open(const ProtobufCMessageDescriptor *d,
			  unsigned int body)
{
	static const enum ntmc_aead_alg algs[] = {NTMC_AES_256_GCM,
						  NTMC_CHACHA20_POLY1305};
	struct ntmc_key key = key_of(1), other = key_of(2);
	uint8_t sealed[PACKET_SIGNAL_MAX], buf[PACKET_SIGNAL_MAX];
	struct packet_header h;
	ProtobufCMessage *msg, *got;
	int len, i, bit;

	if (d != &ntm__signal__descriptor &&
	    d != &ntm__tunnel_message__descriptor)
		return;
	msg = sample_new(d, body, SAMPLE_USUAL);
	for (i = 0; i < 2; i++) {
		len = datagram_seal(&head, algs[i], &key, msg, sealed);
		assert_true(len > PACKET_OVERHEAD);
		assert_int_equal(packet_header_get(sealed, (size_t)len, &h), 0);
		memcpy(buf, sealed, sizeof(buf));
		assert_int_equal(datagram_open(&h, algs[i], &key, buf,
					       (size_t)len, d, &got),
				 0);
		assert_int_equal(protobuf_c_message_get_packed_size(got),
				 len - PACKET_OVERHEAD);
		datagram_free(got);
		memcpy(buf, sealed, sizeof(buf));
		assert_int_equal(datagram_open(&h, algs[i], &other, buf,
					       (size_t)len, d, &got),
				 -NTM_EAUTH);
		memcpy(buf, sealed, sizeof(buf));
		assert_int_equal(datagram_open(&h, algs[1 - i], &key, buf,
					       (size_t)len, d, &got),
				 -NTM_EAUTH);
		for (bit = 0; bit < len * 8; bit++) {
			memcpy(buf, sealed, sizeof(buf));
			buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
			/* a changed header may not even be one */
			if (packet_header_get(buf, (size_t)len, &h))
				continue;
			assert_int_equal(datagram_open(&h, algs[i], &key, buf,
						       (size_t)len, d, &got),
					 -NTM_EAUTH);
		}
	}
	datagram_free(msg);
}

static void test_seal_and_open(void **state)
{
	(void)state;
	for_each_message(seal_and_open);
}

static void test_wrong_lengths(void **state)
{
	struct ntmc_key key = key_of(1);
	uint8_t sealed[PACKET_SIGNAL_MAX], *exact;
	ProtobufCMessage *msg, *got;
	int len, i, ret;

	(void)state;
	msg = sample_new(&ntm__signal__descriptor, 15, SAMPLE_USUAL);
	len = datagram_seal(&head, NTMC_AES_256_GCM, &key, msg, sealed);
	assert_true(len > 0);
	for (i = 0; i <= len + 1; i++) {
		exact = calloc(1, (size_t)i ? (size_t)i : 1);
		memcpy(exact, sealed, (size_t)(i < len ? i : len));
		ret = datagram_open(&head, NTMC_AES_256_GCM, &key, exact,
				    (size_t)i, &ntm__signal__descriptor, &got);
		assert_int_equal(ret, i < PACKET_OVERHEAD ? -NTM_EDECODE
				      : i == len	  ? 0
							  : -NTM_EAUTH);
		if (ret == 0)
			datagram_free(got);
		free(exact);
	}
	exact = calloc(1, PACKET_SIGNAL_MAX + 1);
	assert_int_equal(datagram_open(&head, NTMC_AES_256_GCM, &key, exact,
				       PACKET_SIGNAL_MAX + 1,
				       &ntm__signal__descriptor, &got),
			 -NTM_EDECODE);
	free(exact);
	datagram_free(msg);
}

/* The largest that fits, to the byte, and one byte more. */
static void test_largest(void **state)
{
	Ntm__TunnelMessage msg = NTM__TUNNEL_MESSAGE__INIT;
	struct ntmc_key key = key_of(1);
	uint8_t *buf = malloc(PACKET_SIGNAL_MAX), noise[PACKET_SIGNAL_MAX];

	(void)state;
	memset(noise, 3, sizeof(noise));
	msg.noise.data = noise;
	msg.noise.len = PACKET_SIGNAL_MAX - PACKET_OVERHEAD - 3;
	assert_int_equal(
		datagram_seal(&head, NTMC_AES_256_GCM, &key, &msg.base, buf),
		PACKET_SIGNAL_MAX);
	msg.noise.len++;
	assert_int_equal(
		datagram_seal(&head, NTMC_AES_256_GCM, &key, &msg.base, buf),
		-NTM_ETOOBIG);
	free(buf);
}

/* Authentic but beyond the limits: a broken or malicious node, not a forger. */
static void test_authentic_nonsense(void **state)
{
	static const uint8_t body[] = {0xff, 0xff, 0xff};
	struct ntmc_key key = key_of(1);
	uint8_t buf[PACKET_HEADER_LEN + sizeof(body) + NTMC_TAG_LEN];
	ProtobufCMessage *got;
	size_t i;

	(void)state;
	packet_header_put(&head, buf);
	memcpy(buf + PACKET_HEADER_LEN, body, sizeof(body));
	assert_int_equal(ntmc_seal_once(NTMC_AES_256_GCM, &key, head.counter,
					buf, PACKET_HEADER_LEN,
					buf + PACKET_HEADER_LEN, sizeof(body)),
			 0);
	assert_int_equal(datagram_open(&head, NTMC_AES_256_GCM, &key, buf,
				       sizeof(buf), &ntm__signal__descriptor,
				       &got),
			 -NTM_EDECODE);
	for (i = 0; i < sizeof(body); i++) /* nothing decrypted stays */
		assert_int_equal(buf[PACKET_HEADER_LEN + i], 0);
}

/* --- keys ------------------------------------------------------------------------------- */

static void test_keys(void **state)
{
	struct ntmc_key secret = key_of(9), direct;
	struct datagram_keys a, b, r;
	static const uint8_t salt[8] = {0, 0, 0, 0, 0, 0, 1, 2};

	(void)state;
	assert_int_equal(
		datagram_keys_derive(&secret, 0x102, NTMC_AES_256_GCM, &a), 0);
	assert_int_equal(ntmc_derive(&secret, salt, 8, "ntm node->dc v1", NULL,
				     0, &direct),
			 0);
	assert_memory_equal(a.up.b, direct.b, 32);
	assert_memory_not_equal(a.up.b, a.down.b, 32);
	assert_int_equal(
		datagram_keys_derive(&secret, 0x103, NTMC_AES_256_GCM, &b), 0);
	assert_memory_not_equal(a.up.b, b.up.b, 32);

	/* both ends of a tunnel, whichever bit 0 they see */
	assert_int_equal(datagram_tunnel_keys(&secret, 0x102, false,
					      NTMC_AES_256_GCM, &a),
			 0);
	assert_int_equal(datagram_tunnel_keys(&secret, 0x103, false,
					      NTMC_AES_256_GCM, &b),
			 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(datagram_tunnel_keys(&secret, 0x103, true,
					      NTMC_AES_256_GCM, &r),
			 0);
	assert_memory_not_equal(r.up.b, b.up.b, 32);
	assert_memory_not_equal(r.down.b, b.down.b, 32);
	datagram_keys_clear(&a);
	memset(&b, 0, sizeof(b));
	assert_memory_equal(&a, &b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_match_proto),
		cmocka_unit_test(test_every_message_known),
		cmocka_unit_test(test_every_message),
		cmocka_unit_test(test_over_every_limit),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_unknown_field),
		cmocka_unit_test(test_seal_and_open),
		cmocka_unit_test(test_wrong_lengths),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_authentic_nonsense),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

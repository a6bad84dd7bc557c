/* SPDX-License-Identifier: MIT */
/* sample - a message of any kind with fixed contents, within its limits */
#include "tests/vectors/sample.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_BYTES 24 /* where a length is free */
#define USUAL_COUNT 2

static const char longest_name[] =
	"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg."
	"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg."
	"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg."
	"hhhhhhhhhhiiiiiiiiiijjjjjjjjjjkkkkkkkkkkllllllllllmmmmmmmmmmn";

static void *get_memory(size_t len)
{
	void *p = calloc(1, len ? len : 1);

	if (!p)
		abort();
	return p;
}

static size_t value_size(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
	case PROTOBUF_C_TYPE_STRING:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return sizeof(uint64_t);
	default:
		return sizeof(uint32_t);
	}
}

static void put_number(const ProtobufCFieldDescriptor *f, uint64_t v, void *to)
{
	uint32_t v32 = (uint32_t)v;

	if (value_size(f) == sizeof(v))
		memcpy(to, &v, sizeof(v));
	else
		memcpy(to, &v32, sizeof(v32));
}

static uint64_t number(const struct limit *l, const ProtobufCFieldDescriptor *f,
		       size_t k, enum sample_size size)
{
	const ProtobufCEnumDescriptor *e = f->descriptor;

	if (l->kind == LIMIT_ENUM)
		return (uint64_t)e->values[e->n_values - 1].value;
	if (l->kind == LIMIT_PATH_ID)
		return UINT64_C(0x1122334455667788);
	if (size == SAMPLE_LARGEST)
		return f->type == PROTOBUF_C_TYPE_INT64 ? INT64_MAX : l->max;
	if (l->max == UINT64_MAX)
		return f->type == PROTOBUF_C_TYPE_FIXED64
			       ? UINT64_C(0x0102030405060700) + f->id
			       : 1000 * f->id + k;
	return (1000 * f->id + k) % (l->max + 1);
}

static void put_bytes(const struct limit *l, const ProtobufCFieldDescriptor *f,
		      size_t k, enum sample_size size, ProtobufCBinaryData *to)
{
	static const uint8_t ip4[4] = {192, 0, 2, 0};
	static const uint8_t ip6[16] = {0x20, 0x01, 0x0d, 0xb8};
	size_t i;

	to->len = size == SAMPLE_LARGEST || l->min == l->max ? l->max
		  : l->max < USUAL_BYTES		     ? l->max
							     : USUAL_BYTES;
	if (l->kind == LIMIT_IP && size == SAMPLE_USUAL)
		to->len = k % 2 ? 16 : 4;
	to->data = get_memory(to->len);
	for (i = 0; i < to->len; i++)
		to->data[i] = (uint8_t)(f->id * 16 + k * 64 + i);
	if (l->kind == LIMIT_IP) {
		memcpy(to->data, to->len == 4 ? ip4 : ip6, to->len);
		to->data[to->len - 1] = (uint8_t)(k + 1);
	}
}

static char *text(const struct limit *l, enum sample_size size)
{
	const char *usual = l->kind == LIMIT_FQDN    ? "desk.me.example.org"
			    : l->kind == LIMIT_LABEL ? "desk"
						     : "some text";
	char *s;

	if (size == SAMPLE_USUAL)
		return strdup(usual);
	if (l->kind == LIMIT_FQDN)
		return strdup(longest_name);
	s = get_memory(l->max + 1);
	memset(s, 'x', l->max);
	return s;
}

/* @place: which of its siblings the message is; tells its addresses apart. */
static ProtobufCMessage *make(const ProtobufCMessageDescriptor *desc,
			      unsigned int body, size_t place,
			      enum sample_size size);

static void put_value(const struct limit *l, const ProtobufCFieldDescriptor *f,
		      size_t k, size_t place, enum sample_size size, void *to)
{
	char *s;
	void *sub;

	switch (f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		sub = make(f->descriptor, 0, k, size);
		memcpy(to, &sub, sizeof(sub));
		break;
	case PROTOBUF_C_TYPE_STRING:
		s = text(l, size);
		memcpy(to, &s, sizeof(s));
		break;
	case PROTOBUF_C_TYPE_BYTES:
		put_bytes(l, f, k + place, size, to);
		break;
	default:
		put_number(f, number(l, f, k, size), to);
	}
}

static void put_field(ProtobufCMessage *msg, const struct limit *l,
		      const ProtobufCFieldDescriptor *f, size_t place,
		      enum sample_size size)
{
	uint8_t *base = (uint8_t *)msg;
	size_t n = size == SAMPLE_LARGEST ? l->count : USUAL_COUNT, k;
	uint8_t *values;

	if (f->label != PROTOBUF_C_LABEL_REPEATED) {
		put_value(l, f, 0, place, size, base + f->offset);
		return;
	}
	values = get_memory(n * value_size(f));
	for (k = 0; k < n; k++)
		put_value(l, f, k, place, size, values + k * value_size(f));
	memcpy(base + f->offset, &values, sizeof(values));
	memcpy(base + f->quantifier_offset, &n, sizeof(n));
}

static ProtobufCMessage *make(const ProtobufCMessageDescriptor *desc,
			      unsigned int body, size_t place,
			      enum sample_size size)
{
	ProtobufCMessage *msg = get_memory(desc->sizeof_message);
	const ProtobufCFieldDescriptor *f;
	const struct limit *rows;
	unsigned int i;
	uint32_t set;
	size_t n;

	protobuf_c_message_init(desc, msg);
	rows = limits_of(desc, &n);
	assert(rows && n == desc->n_fields);
	for (i = 0; i < n; i++) {
		f = &desc->fields[i];
		if (rows[i].kind == LIMIT_BODY) {
			if (!body)
				body = f->id;
			if (f->id != body)
				continue;
			set = f->id;
			memcpy((uint8_t *)msg + f->quantifier_offset, &set,
			       sizeof(set));
		}
		put_field(msg, &rows[i], f, place, size);
	}
	return msg;
}

ProtobufCMessage *sample_new(const ProtobufCMessageDescriptor *desc,
			     unsigned int body, enum sample_size size)
{
	if (body && !protobuf_c_message_descriptor_get_field(desc, body))
		return NULL;
	return make(desc, body, 0, size);
}

const ProtobufCFieldDescriptor *
sample_body(const ProtobufCMessageDescriptor *desc, size_t i)
{
	const struct limit *rows;
	size_t n, k;

	rows = limits_of(desc, &n);
	for (k = 0; rows && k < n; k++)
		if (rows[k].kind == LIMIT_BODY && i-- == 0)
			return &desc->fields[k];
	return NULL;
}

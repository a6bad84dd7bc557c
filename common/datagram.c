/* SPDX-License-Identifier: MIT */
/* datagram - sealed signalling datagrams: pack a protobuf message, seal, and back */
#include "common/datagram.h"

#include <stdlib.h>
#include <string.h>

#include "common/fqdn.h"
#include "common/limits.h"

_Static_assert(PACKET_OVERHEAD == PACKET_HEADER_LEN + NTMC_TAG_LEN,
	       "the overhead is header and tag");

/* --- keys -------------------------------------------------------------------- */

static int derive(const struct ntmc_key *secret, uint64_t salt,
		  const char *label, struct ntmc_key *out)
{
	uint8_t salt_be[8];

	for (int i = 7; i >= 0; i--, salt >>= 8)
		salt_be[i] = (uint8_t)salt;
	return ntmc_derive(secret, salt_be, sizeof(salt_be), label, NULL, 0,
			   out);
}

static int derive_both(const struct ntmc_key *secret, uint64_t salt,
		       const char *up, const char *down,
		       enum ntmc_aead_alg aead, struct datagram_keys *out)
{
	struct datagram_keys k = {.aead = aead};
	int ret = derive(secret, salt, up, &k.up);

	if (ret == 0)
		ret = derive(secret, salt, down, &k.down);
	if (ret == 0)
		*out = k;
	datagram_keys_clear(&k);
	return ret;
}

int datagram_keys_derive(const struct ntmc_key *kntmdc, uint64_t node_id,
			 enum ntmc_aead_alg aead, struct datagram_keys *out)
{
	return derive_both(kntmdc, node_id, "ntm node->dc v1",
			   "ntm dc->node v1", aead, out);
}

int datagram_tunnel_keys(const struct ntmc_key *secret, uint64_t path_id,
			 bool resume, enum ntmc_aead_alg aead,
			 struct datagram_keys *out)
{
	path_id &= ~UINT64_C(1);
	if (resume)
		return derive_both(secret, path_id, "ntm resume request v1",
				   "ntm resume response v1", aead, out);
	return derive_both(secret, path_id, "ntm tunnel request v1",
			   "ntm tunnel response v1", aead, out);
}

int datagram_relay_keys(const struct ntmc_key *kdcrs, uint64_t id,
			enum ntmc_aead_alg aead, struct datagram_keys *out)
{
	return derive_both(kdcrs, id, "ntm rs->dc v1", "ntm dc->rs v1", aead,
			   out);
}

int datagram_domain_keys(const struct ntmc_key *kdcdc, uint64_t id,
			 enum ntmc_aead_alg aead, struct datagram_keys *out)
{
	return derive_both(kdcdc, id, "ntm dc->dc ask v1",
			   "ntm dc->dc answer v1", aead, out);
}

int datagram_notify_secret(const struct ntmc_key *kdcns, uint64_t node_id,
			   struct ntmc_key *kntmns)
{
	return derive(kdcns, node_id, "ntm kntmns v1", kntmns);
}

int datagram_punch_secret(const struct ntmc_key *ktun, uint64_t path_id,
			  struct ntmc_key *kpunch)
{
	return derive(ktun, path_id & ~UINT64_C(1), "ntm punch v1", kpunch);
}

int datagram_punch_keys(const struct ntmc_key *kpunch, uint64_t path_id,
			enum ntmc_aead_alg aead, struct datagram_keys *out)
{
	/* both ends share Kpunch: each has keys of its own, so that random
	 * counters of two nodes never meet under one */
	if (path_id & 1)
		return derive_both(kpunch, path_id & ~UINT64_C(1),
				   "ntm hole punch cn v1",
				   "ntm hole punch ack cn v1", aead, out);
	return derive_both(kpunch, path_id, "ntm hole punch mn v1",
			   "ntm hole punch ack mn v1", aead, out);
}

int datagram_place_secret(const struct ntmc_key *bind, uint64_t tag,
			  uint32_t place, struct ntmc_key *kpunch)
{
	uint8_t salt[8], context[4];

	for (int i = 7; i >= 0; i--, tag >>= 8)
		salt[i] = (uint8_t)tag;
	for (int i = 3; i >= 0; i--, place >>= 8)
		context[i] = (uint8_t)place;
	return ntmc_derive(bind, salt, sizeof(salt), "ntm group place v1",
			   context, sizeof(context), kpunch);
}

int datagram_place_keys(const struct ntmc_key *kpunch, uint64_t tag,
			enum ntmc_aead_alg aead, struct datagram_keys *out)
{
	return derive_both(kpunch, tag, "ntm group punch v1",
			   "ntm group punch ack v1", aead, out);
}

int datagram_punch_keys_of(const struct ntmc_key *ktun, uint64_t path_id,
			   enum ntmc_aead_alg aead, struct datagram_keys *out)
{
	struct ntmc_key kpunch;
	int err = datagram_punch_secret(ktun, path_id, &kpunch);

	if (!err)
		err = datagram_punch_keys(&kpunch, path_id, aead, out);
	ntmc_key_clear(&kpunch);
	return err;
}

void datagram_keys_clear(struct datagram_keys *k)
{
	ntmc_wipe(k, sizeof(*k));
}

/* --- seal and open ------------------------------------------------------------- */

int datagram_seal(const struct packet_header *h, enum ntmc_aead_alg aead,
		  const struct ntmc_key *key, const ProtobufCMessage *msg,
		  uint8_t *buf)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	int ret;

	if (len > PACKET_SIGNAL_MAX - PACKET_OVERHEAD)
		return -NTM_ETOOBIG;
	packet_header_put(h, buf);
	protobuf_c_message_pack(msg, buf + PACKET_HEADER_LEN);
	ret = ntmc_seal_once(aead, key, h->counter, buf, PACKET_HEADER_LEN,
			     buf + PACKET_HEADER_LEN, len);
	if (ret) {
		ntmc_wipe(buf, PACKET_HEADER_LEN + len);
		return ret;
	}
	return (int)(len + PACKET_OVERHEAD);
}

void datagram_pad_registration(Ntm__Signal *msg)
{
	static uint8_t zeros[DATAGRAM_REGISTRATION_MIN];
	size_t len = PACKET_OVERHEAD + ntm__signal__get_packed_size(msg);

	if (len >= sizeof(zeros))
		return;
	msg->registration_request->padding.data = zeros;
	msg->registration_request->padding.len = sizeof(zeros) - len;
}

int datagram_open(const struct packet_header *h, enum ntmc_aead_alg aead,
		  const struct ntmc_key *key, uint8_t *buf, size_t len,
		  const ProtobufCMessageDescriptor *desc,
		  ProtobufCMessage **out)
{
	uint8_t *body = buf + PACKET_HEADER_LEN;
	int ret;

	if (len < PACKET_OVERHEAD || len > PACKET_SIGNAL_MAX)
		return -NTM_EDECODE;
	if (ntmc_open_once(aead, key, h->counter, buf, PACKET_HEADER_LEN, body,
			   len - PACKET_HEADER_LEN))
		return -NTM_EAUTH;
	ret = datagram_unpack(desc, body, len - PACKET_OVERHEAD, out);
	ntmc_wipe(body, len - PACKET_OVERHEAD);
	return ret;
}

/* --- a walk over a message by its descriptor ------------------------------------ */

/* Elements of field @f in @msg: where they lie, and how many. A field of a oneof
 * counts only when it is the one that is set. */
static const void *field_values(const ProtobufCMessage *msg,
				const ProtobufCFieldDescriptor *f, size_t *n)
{
	const uint8_t *base = (const uint8_t *)msg;

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		*n = *(const size_t *)(base + f->quantifier_offset);
		return *(void *const *)(base + f->offset);
	}
	*n = 1;
	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
	    *(const uint32_t *)(base + f->quantifier_offset) != f->id)
		*n = 0;
	return base + f->offset;
}

/* @fn on every message of a tree, the leaves first. */
static void for_each(ProtobufCMessage *msg, void (*fn)(ProtobufCMessage *))
{
	const ProtobufCMessageDescriptor *d = msg->descriptor;
	ProtobufCMessage *const *sub;
	unsigned int i;
	size_t n, k;

	for (i = 0; i < d->n_fields; i++) {
		if (d->fields[i].type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		sub = field_values(msg, &d->fields[i], &n);
		for (k = 0; k < n; k++)
			if (sub[k])
				for_each(sub[k], fn);
	}
	fn(msg);
}

static void wipe_fields(ProtobufCMessage *msg)
{
	const ProtobufCMessageDescriptor *d = msg->descriptor;
	const ProtobufCBinaryData *bytes;
	char *const *text;
	const void *v;
	unsigned int i;
	size_t n, k;

	for (i = 0; i < d->n_fields; i++) {
		v = field_values(msg, &d->fields[i], &n);
		bytes = v;
		text = v;
		for (k = 0; k < n; k++) {
			if (d->fields[i].type == PROTOBUF_C_TYPE_BYTES &&
			    bytes[k].len)
				ntmc_wipe(bytes[k].data, bytes[k].len);
			/* the empty default is shared and constant */
			if (d->fields[i].type == PROTOBUF_C_TYPE_STRING &&
			    text[k] && text[k][0])
				ntmc_wipe(text[k], strlen(text[k]));
		}
	}
}

/* What a newer version may say is no business of ours, nor of our memory. */
static void drop_unknown(ProtobufCMessage *msg)
{
	unsigned int i;

	for (i = 0; i < msg->n_unknown_fields; i++)
		free(msg->unknown_fields[i].data);
	free(msg->unknown_fields);
	msg->unknown_fields = NULL;
	msg->n_unknown_fields = 0;
}

void datagram_free(ProtobufCMessage *msg)
{
	if (!msg)
		return;
	for_each(msg, wipe_fields);
	protobuf_c_message_free_unpacked(msg, NULL);
}

int datagram_unpack(const ProtobufCMessageDescriptor *desc, const void *data,
		    size_t len, ProtobufCMessage **out)
{
	ProtobufCMessage *msg =
		protobuf_c_message_unpack(desc, NULL, len, data);

	if (!msg)
		return -NTM_EDECODE;
	for_each(msg, drop_unknown);
	if (datagram_check(msg)) {
		datagram_free(msg);
		return -NTM_EDECODE;
	}
	*out = msg;
	return 0;
}

/* --- limits ---------------------------------------------------------------------- */

static bool text_ok(const char *s, size_t max)
{
	size_t len = 0;

	for (; s && s[len]; len++)
		if ((unsigned char)s[len] < 0x20 || s[len] == 0x7f ||
		    len >= max)
			return false;
	return true;
}

static bool name_ok(const struct limit *l, const char *s)
{
	if (!s || !s[0])
		return l->min == 0;
	return l->kind == LIMIT_FQDN ? fqdn_is_valid(s)
				     : fqdn_label_is_valid(s);
}

static uint64_t number_at(const ProtobufCFieldDescriptor *f, const void *v,
			  size_t k)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return ((const uint64_t *)v)[k];
	default: /* uint32, bool and enum; nothing else in ntm.proto */
		return ((const uint32_t *)v)[k];
	}
}

static bool bytes_ok(const struct limit *l, const ProtobufCBinaryData *b)
{
	if (l->kind == LIMIT_IP)
		return b->len == 4 || b->len == 16;
	if (l->kind == LIMIT_BYTES_OR_NONE && b->len == 0)
		return true;
	return b->len >= l->min && b->len <= l->max;
}

static bool value_ok(const struct limit *l, const ProtobufCFieldDescriptor *f,
		     const void *v, size_t k)
{
	const ProtobufCMessage *sub;

	switch (l->kind) {
	case LIMIT_NUMBER:
		return number_at(f, v, k) <= l->max;
	case LIMIT_PATH_ID:
		return (number_at(f, v, k) & 1) == 0;
	case LIMIT_ENUM:
		return protobuf_c_enum_descriptor_get_value(
			       f->descriptor, (int)number_at(f, v, k)) != NULL;
	case LIMIT_BYTES:
	case LIMIT_BYTES_OR_NONE:
	case LIMIT_IP:
		return bytes_ok(l, (const ProtobufCBinaryData *)v + k);
	case LIMIT_TEXT:
		return text_ok(((char *const *)v)[k], l->max);
	case LIMIT_FQDN:
	case LIMIT_LABEL:
		return name_ok(l, ((char *const *)v)[k]);
	case LIMIT_MESSAGE:
	case LIMIT_BODY:
		sub = ((ProtobufCMessage *const *)v)[k];
		return sub ? datagram_check(sub) == 0 : l->min == 0;
	}
	return false;
}

/* The descent is as deep as ntm.proto nests: three levels. */
int datagram_check(const ProtobufCMessage *msg)
{
	const ProtobufCMessageDescriptor *d = msg->descriptor;
	bool has_body = false, needs_body = false;
	const struct limit *rows;
	const void *v;
	size_t n_rows, n, k;
	unsigned int i;

	rows = limits_of(d, &n_rows);
	if (!rows || n_rows != d->n_fields)
		return -NTM_EDECODE;
	for (i = 0; i < d->n_fields; i++) {
		v = field_values(msg, &d->fields[i], &n);
		if (rows[i].kind == LIMIT_BODY) {
			needs_body = true;
			has_body |= n != 0;
		}
		if (d->fields[i].label == PROTOBUF_C_LABEL_REPEATED &&
		    n > rows[i].count)
			return -NTM_EDECODE;
		for (k = 0; k < n; k++)
			if (!value_ok(&rows[i], &d->fields[i], v, k))
				return -NTM_EDECODE;
	}
	return needs_body && !has_body ? -NTM_EDECODE : 0;
}

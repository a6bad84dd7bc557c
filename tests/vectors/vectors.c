/* SPDX-License-Identifier: MIT */
/* vectors - docs/vectors.txt: every message and datagram, with fixed keys */
#include "tests/vectors/vectors.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/datagram.h"
#include "tests/vectors/sample.h"

#define NODE_ID UINT64_C(0x0123456789abcdef)
#define PATH_ID UINT64_C(0x1122334455667788)
#define BOOT	3

static const char head[] =
	"# Test vectors of the NTMobile protocol; `make vectors` writes this "
	"file.\n"
	"#\n"
	"# message:  the protobuf message (common/ntm.proto), fields in order\n"
	"# frame:    the message as it stands on a TLS channel\n"
	"# datagram: the message sealed, header first (common/packet.h)\n"
	"# key:      what seals it; each key stands before its first use, "
	"derived as\n"
	"#           docs/protocol.md says; AES-256-GCM unless another is "
	"named\n"
	"# All bytes in hexadecimal. Contents are arbitrary within their "
	"limits: keys\n"
	"# and signatures in them are no real ones.\n";

static void hex(FILE *out, const char *name, const void *data, size_t len)
{
	const uint8_t *b = data;
	size_t i;

	fprintf(out, "%s: ", name);
	for (i = 0; i < len; i++)
		fprintf(out, "%02x", b[i]);
	fputc('\n', out);
}

static void fixed_key(struct ntmc_key *k, uint8_t first)
{
	size_t i;

	for (i = 0; i < sizeof(k->b); i++)
		k->b[i] = (uint8_t)(first + i);
}

static void message(FILE *out, const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	uint8_t *buf = malloc(len ? len : 1);

	assert(buf && datagram_check(msg) == 0);
	protobuf_c_message_pack(msg, buf);
	hex(out, "message", buf, len);
	free(buf);
}

static void frame(FILE *out, const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	uint8_t *buf = malloc(len + 4);

	assert(buf);
	buf[0] = (uint8_t)(len >> 24);
	buf[1] = (uint8_t)(len >> 16);
	buf[2] = (uint8_t)(len >> 8);
	buf[3] = (uint8_t)len;
	protobuf_c_message_pack(msg, buf + 4);
	hex(out, "frame", buf, len + 4);
	free(buf);
}

static void datagram(FILE *out, const struct packet_header *h,
		     enum ntmc_aead_alg aead, const struct ntmc_key *key,
		     const char *key_name, const ProtobufCMessage *msg)
{
	uint8_t buf[PACKET_SIGNAL_MAX];
	int len = datagram_seal(h, aead, key, msg, buf);

	assert(len > 0);
	fprintf(out, "key: %s\n", key_name);
	hex(out, "datagram", buf, (size_t)len);
}

/* --- each message by itself ------------------------------------------------------- */

static void write_messages(FILE *out)
{
	const ProtobufCMessageDescriptor *d;
	const ProtobufCFieldDescriptor *body;
	ProtobufCMessage *msg;
	size_t i;

	for (i = 0; (d = limits_message(i)); i++) {
		body = sample_body(d, 0);
		if (body)
			continue; /* these follow, once per body */
		msg = sample_new(d, 0, SAMPLE_USUAL);
		fprintf(out, "\nname: %s\n", d->short_name);
		message(out, msg);
		datagram_free(msg);
	}
}

/* --- datagrams ---------------------------------------------------------------------- */

/* What a node or a relay sends; the rest comes from the DC. */
static bool goes_up(const char *body)
{
	static const char *const up[] = {
		"registration_request",
		"keep_alive",
		"ack",
		"direction_request",
		"revocation_request",
		"relay_registration",
	};
	size_t i;

	for (i = 0; i < sizeof(up) / sizeof(up[0]); i++)
		if (strcmp(up[i], body) == 0)
			return true;
	return false;
}

/* names of the keys: node's and relay's */
static const char *key_of(bool relay, bool up)
{
	if (relay)
		return up ? "rs->dc" : "dc->rs";
	return up ? "node->dc" : "dc->node";
}

static void write_signals(FILE *out, const struct ntmc_key *kntmdc,
			  const struct ntmc_key *kdcrs)
{
	static const struct {
		enum ntmc_aead_alg alg;
		const char *suffix;
	} suites[] = {
		{NTMC_AES_256_GCM, ""},
		{NTMC_CHACHA20_POLY1305, " ChaCha20-Poly1305"},
	};
	struct packet_header h = {.type = PACKET_SIGNAL, .id = NODE_ID};
	const ProtobufCFieldDescriptor *body;
	struct datagram_keys keys[2]; /* of a node, of a relay */
	ProtobufCMessage *msg;
	char key_name[64];
	size_t i, k;
	bool up, relay;
	int ret;

	ret = datagram_keys_derive(kntmdc, NODE_ID, NTMC_AES_256_GCM, &keys[0]);
	assert(ret == 0);
	ret = datagram_relay_keys(kdcrs, NODE_ID, NTMC_AES_256_GCM, &keys[1]);
	assert(ret == 0);
	for (i = 0; i < 2; i++) {
		hex(out, key_of(i, true), keys[i].up.b, NTMC_KEY_LEN);
		hex(out, key_of(i, false), keys[i].down.b, NTMC_KEY_LEN);
	}
	for (i = 0; (body = sample_body(&ntm__signal__descriptor, i)); i++) {
		up = goes_up(body->name);
		relay = strncmp(body->name, "relay_", 6) == 0;
		msg = sample_new(&ntm__signal__descriptor, body->id,
				 SAMPLE_USUAL);
		fprintf(out, "\nname: Signal %s\n", body->name);
		message(out, msg);
		for (k = 0; k < sizeof(suites) / sizeof(suites[0]); k++) {
			h.counter =
				(uint64_t)BOOT << PACKET_BOOT_SHIFT | (i + 1);
			snprintf(key_name, sizeof(key_name), "%s%s",
				 key_of(relay, up), suites[k].suffix);
			datagram(out, &h, suites[k].alg,
				 up ? &keys[relay].up : &keys[relay].down,
				 key_name, msg);
		}
		datagram_free(msg);
	}
}

static void write_tunnel_messages(FILE *out, const struct ntmc_key *secret,
				  bool resume)
{
	const char *kind = resume ? "resume" : "tunnel";
	struct packet_header h = {.flags = resume ? PACKET_RESUME : 0,
				  .counter = UINT64_C(0x8877665544332211)};
	struct datagram_keys keys;
	ProtobufCMessage *msg;
	char name[32];
	int i, ret;

	ret = datagram_tunnel_keys(secret, PATH_ID | 1, resume,
				   NTMC_AES_256_GCM, &keys);
	assert(ret == 0);
	msg = sample_new(&ntm__tunnel_message__descriptor, 0, SAMPLE_USUAL);
	for (i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "%s %s", kind,
			 i ? "response" : "request");
		h.type = i ? PACKET_TUNNEL_RESPONSE : PACKET_TUNNEL_REQUEST;
		h.id = i ? PATH_ID : PATH_ID | 1;
		fprintf(out, "\nname: TunnelMessage %s\n", name);
		hex(out, name, i ? keys.down.b : keys.up.b, NTMC_KEY_LEN);
		message(out, msg);
		datagram(out, &h, NTMC_AES_256_GCM, i ? &keys.down : &keys.up,
			 name, msg);
	}
	datagram_free(msg);
}

/* both ends', each with its answer */
static void write_punches(FILE *out, const struct ntmc_key *ktun)
{
	static const struct {
		const char *name;
		const ProtobufCMessageDescriptor *d;
		uint8_t type;
	} kinds[] = {
		{"hole punch", &ntm__hole_punch__descriptor, PACKET_HOLE_PUNCH},
		{"hole punch ack", &ntm__hole_punch_ack__descriptor,
		 PACKET_HOLE_PUNCH_ACK},
	};
	struct packet_header h = {.counter = UINT64_C(0x1020304050607080)};
	struct datagram_keys keys;
	ProtobufCMessage *msg;
	char name[32];
	int ret;

	for (unsigned int i = 0; i < 4; i++) {
		h.type = kinds[i % 2].type;
		h.id = PATH_ID | i / 2;
		ret = datagram_punch_keys_of(ktun, h.id, NTMC_AES_256_GCM,
					     &keys);
		assert(ret == 0);
		snprintf(name, sizeof(name), "%s %s", kinds[i % 2].name,
			 i / 2 ? "cn" : "mn");
		fprintf(out, "\nname: %s\n", name);
		hex(out, name, i % 2 ? keys.down.b : keys.up.b, NTMC_KEY_LEN);
		msg = sample_new(kinds[i % 2].d, 0, SAMPLE_USUAL);
		message(out, msg);
		datagram(out, &h, NTMC_AES_256_GCM,
			 i % 2 ? &keys.down : &keys.up, name, msg);
		datagram_free(msg);
	}
}

static void write_controls(FILE *out, const struct ntmc_key *transport)
{
	const ProtobufCMessageDescriptor *d = &ntm__tunnel_control__descriptor;
	struct packet_header h = {.type = PACKET_DATA,
				  .phase = 7,
				  .flags = PACKET_CONTROL,
				  .id = PATH_ID | 1};
	const ProtobufCFieldDescriptor *body;
	ProtobufCMessage *msg;
	size_t i;

	for (i = 0; (body = sample_body(d, i)); i++) {
		msg = sample_new(d, body->id, SAMPLE_USUAL);
		h.counter = i;
		fprintf(out, "\nname: TunnelControl %s\n", body->name);
		message(out, msg);
		datagram(out, &h, NTMC_AES_256_GCM, transport, "transport",
			 msg);
		datagram_free(msg);
	}
}

/* An inner packet whole, and in two parts. */
static void write_data(FILE *out, const struct ntmc_key *transport)
{
	static const struct {
		const char *name;
		uint8_t flags, head[PACKET_PART_LEN];
		size_t head_len, from, to;
	} packets[] = {
		{"Data whole", 0, {0}, 0, 0, 64},
		{"Data first part", PACKET_PART, {0, 9, 0, 0}, 4, 0, 32},
		{"Data last part",
		 PACKET_PART | PACKET_LAST,
		 {0, 9, 0, 32},
		 4,
		 32,
		 64},
	};
	uint8_t inner[64], buf[128];
	struct packet_header h = {
		.type = PACKET_DATA, .phase = 7, .id = PATH_ID};
	size_t i, len;
	int ret;

	for (i = 0; i < sizeof(inner); i++)
		inner[i] = (uint8_t)i;
	inner[0] = 0x60; /* IPv6 */
	for (i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		h.flags = packets[i].flags;
		h.counter = 1000 + i;
		packet_header_put(&h, buf);
		len = packets[i].head_len;
		memcpy(buf + PACKET_HEADER_LEN, packets[i].head, len);
		memcpy(buf + PACKET_HEADER_LEN + len, inner + packets[i].from,
		       packets[i].to - packets[i].from);
		len += packets[i].to - packets[i].from;
		fprintf(out, "\nname: %s\n", packets[i].name);
		hex(out, "message", buf + PACKET_HEADER_LEN, len);
		ret = ntmc_seal_once(NTMC_AES_256_GCM, transport, h.counter,
				     buf, PACKET_HEADER_LEN,
				     buf + PACKET_HEADER_LEN, len);
		assert(ret == 0);
		fprintf(out, "key: transport\n");
		hex(out, "datagram", buf, len + PACKET_OVERHEAD);
	}
}

static void write_frames(FILE *out)
{
	const ProtobufCFieldDescriptor *body;
	ProtobufCMessage *msg;
	size_t i;

	for (i = 0; (body = sample_body(&ntm__envelope__descriptor, i)); i++) {
		msg = sample_new(&ntm__envelope__descriptor, body->id,
				 SAMPLE_USUAL);
		fprintf(out, "\nname: Envelope %s\n", body->name);
		message(out, msg);
		frame(out, msg);
		datagram_free(msg);
	}
}

void vectors_write(FILE *out)
{
	struct ntmc_key kntmdc, ktun, resume, transport, kdcrs;

	fixed_key(&kntmdc, 0x00);
	fixed_key(&ktun, 0x20);
	fixed_key(&resume, 0x40);
	fixed_key(&transport, 0x60);
	fixed_key(&kdcrs, 0x80);
	fputs(head, out);
	fprintf(out, "\nNode ID: %016llx\nPath ID: %016llx\n",
		(unsigned long long)NODE_ID, (unsigned long long)PATH_ID);
	hex(out, "Kntmdc", kntmdc.b, sizeof(kntmdc.b));
	hex(out, "Ktun", ktun.b, sizeof(ktun.b));
	hex(out, "resumption secret", resume.b, sizeof(resume.b));
	hex(out, "transport", transport.b, sizeof(transport.b));
	hex(out, "Kdcrs", kdcrs.b, sizeof(kdcrs.b));
	write_signals(out, &kntmdc, &kdcrs);
	write_tunnel_messages(out, &ktun, false);
	write_tunnel_messages(out, &resume, true);
	write_punches(out, &ktun);
	write_controls(out, &transport);
	write_data(out, &transport);
	write_frames(out);
	write_messages(out);
	vectors_write_items(out, hex);
	vectors_write_groups(out, hex);
}

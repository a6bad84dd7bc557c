/* SPDX-License-Identifier: MIT */
/* frame - sealed Signals on a TCP connection between a node and its NS */
#include "common/frame.h"

#include <endian.h>
#include <string.h>

#define HEAD 2

void frame_hello_put(const struct frame_hello *h,
		     uint8_t buf[static FRAME_HELLO_LEN])
{
	uint64_t v = htobe64(h->key_id);

	memcpy(buf, &v, sizeof(v));
	v = htobe64(h->node_id);
	memcpy(buf + 8, &v, sizeof(v));
	memcpy(buf + 16, h->random, sizeof(h->random));
}

void frame_hello_get(const uint8_t buf[static FRAME_HELLO_LEN],
		     struct frame_hello *out)
{
	uint64_t v;

	memcpy(&v, buf, sizeof(v));
	out->key_id = be64toh(v);
	memcpy(&v, buf + 8, sizeof(v));
	out->node_id = be64toh(v);
	memcpy(out->random, buf + 16, sizeof(out->random));
}

int frame_keys(const struct ntmc_key *kntmns,
	       const uint8_t greeting[static FRAME_GREETING_LEN],
	       const uint8_t random[static 16], enum ntmc_aead_alg aead,
	       struct datagram_keys *out)
{
	struct datagram_keys k = {.aead = aead};
	uint8_t salt[FRAME_GREETING_LEN + 16];
	int r;

	memcpy(salt, greeting, FRAME_GREETING_LEN);
	memcpy(salt + FRAME_GREETING_LEN, random, 16);
	r = ntmc_derive(kntmns, salt, sizeof(salt), "ntm node->ns v1", NULL, 0,
			&k.up);
	if (!r)
		r = ntmc_derive(kntmns, salt, sizeof(salt), "ntm ns->node v1",
				NULL, 0, &k.down);
	if (!r)
		*out = k;
	datagram_keys_clear(&k);
	return r;
}

int frame_seal(uint64_t node_id, uint64_t counter, enum ntmc_aead_alg aead,
	       const struct ntmc_key *key, const Ntm__Signal *msg,
	       uint8_t buf[static FRAME_MAX])
{
	struct packet_header h = {
		.type = PACKET_SIGNAL, .id = node_id, .counter = counter};
	uint8_t whole[PACKET_SIGNAL_MAX];
	int n = datagram_seal(&h, aead, key, &msg->base, whole);

	if (n < 0)
		return n;
	if (n > FRAME_MAX - HEAD)
		return -NTM_ETOOBIG;
	buf[0] = (uint8_t)(n >> 8);
	buf[1] = (uint8_t)n;
	memcpy(buf + HEAD, whole, (size_t)n);
	return HEAD + n;
}

int frame_len(const uint8_t *buf, size_t len)
{
	size_t n;

	if (len < HEAD)
		return 0;
	n = HEAD + ((size_t)buf[0] << 8 | buf[1]);
	if (n > FRAME_MAX || n < HEAD + PACKET_OVERHEAD)
		return -NTM_EDECODE;
	return len < n ? 0 : (int)n;
}

int frame_open(uint64_t node_id, uint64_t counter, enum ntmc_aead_alg aead,
	       const struct ntmc_key *key, uint8_t *buf, size_t len,
	       Ntm__Signal **out)
{
	struct packet_header h;
	ProtobufCMessage *msg;
	int r = packet_header_get(buf + HEAD, len - HEAD, &h);

	if (r || h.type != PACKET_SIGNAL)
		return -NTM_EDECODE;
	if (h.id != node_id || h.counter != counter)
		return -NTM_EAUTH;
	r = datagram_open(&h, aead, key, buf + HEAD, len - HEAD,
			  &ntm__signal__descriptor, &msg);
	if (!r)
		*out = (Ntm__Signal *)msg;
	return r;
}

/* SPDX-License-Identifier: MIT */
/* grouppacket - header, keys, hop, and the sender of group packets */
#include "libntmcrypto/grouppacket.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/grouppacket_impl.h"

#define VERSION	  1
#define ALL_FLAGS 0x1fu

/* --- the encodings ---------------------------------------------------------------- */

void group_header_put(const struct group_header *h,
		      uint8_t out[static GROUP_PACKET_HEADER])
{
	uint64_t counter = htobe64(h->counter);
	uint32_t index = htobe32(h->index);

	out[0] = GROUP_PACKET_TYPE;
	out[1] = VERSION;
	out[2] = 0;
	out[3] = (uint8_t)h->flags;
	memcpy(out + 4, h->tag, GROUP_TAG_LEN);
	memcpy(out + 12, &counter, 8);
	memcpy(out + 20, &index, 4);
	memcpy(out + 24, h->salt, GROUP_SALT_LEN);
}

int group_header_get(const uint8_t *b, size_t len, struct group_header *out)
{
	uint64_t counter;
	uint32_t index;
	size_t least = GROUP_PACKET_HEADER + NTMC_TAG_LEN;

	if (len < least || b[0] != GROUP_PACKET_TYPE || b[1] != VERSION ||
	    b[2] || (b[3] & ~ALL_FLAGS))
		return -NTM_EDECODE;
	if (b[3] & GROUP_PACKET_HOP)
		least += GROUP_HOP_LEN;
	if (b[3] & (GROUP_PACKET_SIGNED | GROUP_PACKET_BATCH))
		least += NTMC_SIG_LEN;
	if (len < least)
		return -NTM_EDECODE;
	memcpy(&counter, b + 12, 8);
	memcpy(&index, b + 20, 4);
	out->flags = b[3];
	memcpy(out->tag, b + 4, GROUP_TAG_LEN);
	out->counter = be64toh(counter);
	out->index = be32toh(index);
	memcpy(out->salt, b + 24, GROUP_SALT_LEN);
	return 0;
}

int group_sender_key(const struct ntmc_key *k, uint32_t index,
		     const uint8_t salt[static GROUP_SALT_LEN],
		     enum ntmc_aead_alg alg, struct ntmc_aead **out)
{
	uint8_t text[64];
	struct wire_out info = wire_out(text, sizeof(text));
	struct ntmc_key key;
	int r;

	wire_put_name(&info, "ntm group sender v1");
	wire_put_number(&info, index, 4);
	wire_put(&info, salt, GROUP_SALT_LEN);
	r = ntmc_hkdf_expand(k->b, text, info.len, key.b, sizeof(key.b));
	if (!r)
		r = ntmc_aead_new(alg, &key, out);
	ntmc_key_clear(&key);
	return r;
}

void group_hop_put(const struct ntmc_key *relay, const uint8_t *packet,
		   const uint8_t *tag, uint8_t out[static GROUP_HOP_LEN])
{
	uint8_t text[GROUP_PACKET_HEADER + NTMC_TAG_LEN], mac[NTMC_HASH_LEN];

	memcpy(text, packet, GROUP_PACKET_HEADER);
	memcpy(text + GROUP_PACKET_HEADER, tag, NTMC_TAG_LEN);
	ntmc_hmac(relay->b, sizeof(relay->b), text, sizeof(text), mac);
	memcpy(out, mac, GROUP_HOP_LEN);
}

int group_hop_check(const struct ntmc_key *relay,
		    const uint8_t tag[static GROUP_TAG_LEN],
		    const uint8_t *packet, size_t len)
{
	uint8_t want[GROUP_HOP_LEN];
	struct group_header h;
	int r = group_header_get(packet, len, &h);

	if (r)
		return r;
	if (!(h.flags & GROUP_PACKET_HOP) || memcmp(h.tag, tag, sizeof(h.tag)))
		return -NTM_EDECODE;
	packet += len - GROUP_HOP_LEN;
	group_hop_put(relay, packet - (len - GROUP_HOP_LEN),
		      packet - NTMC_TAG_LEN, want);
	return ntmc_equal(want, packet, sizeof(want)) ? 0 : -NTM_EAUTH;
}

size_t group_data_text(const uint8_t *id, uint64_t epoch, const uint8_t *header,
		       const uint8_t *data, size_t len,
		       uint8_t out[static GROUP_DATA_TEXT])
{
	struct wire_out w = wire_out(out, GROUP_DATA_TEXT);
	uint8_t hash[NTMC_HASH_LEN];

	ntmc_sha256(data, len, hash);
	wire_put_label(&w, "ntm group data v1");
	wire_put(&w, id, GROUP_ID_LEN);
	wire_put_number(&w, epoch, 8);
	wire_put(&w, header, GROUP_PACKET_HEADER);
	wire_put(&w, hash, sizeof(hash));
	return w.len;
}

size_t group_batch_text(const uint8_t *id, uint64_t epoch, uint32_t index,
			const uint8_t *salt, const uint8_t *list, size_t len,
			uint8_t out[static GROUP_BATCH_TEXT])
{
	struct wire_out w = wire_out(out, GROUP_BATCH_TEXT);

	wire_put_label(&w, "ntm group batch v1");
	wire_put(&w, id, GROUP_ID_LEN);
	wire_put_number(&w, epoch, 8);
	wire_put_number(&w, index, 4);
	wire_put(&w, salt, GROUP_SALT_LEN);
	wire_put(&w, list, len);
	return w.len;
}

/* --- the sender ---------------------------------------------------------------------- */

/** struct group_sender - @tags: of the packets from @first on, for the next batch */
struct group_sender {
	const struct ntmc_env *env;
	const struct ntmc_identity *id;
	struct group_keys keys;
	enum group_auth auth;
	enum ntmc_aead_alg alg;
	struct group_header h;
	int64_t since, last; /* of this salt; of any */
	struct ntmc_aead *data, *control;
	uint64_t first;
	unsigned int pending;
	uint8_t tags[GROUP_BATCH_MAX][NTMC_TAG_LEN];
};

/* another key for what follows: the counter begins anew with it */
static int draw_salt(struct group_sender *s)
{
	struct ntmc_aead *data, *control;
	uint8_t salt[GROUP_SALT_LEN];
	struct wire_out w = wire_out(salt, 4);
	int64_t now = ntmc_now(s->env);
	int r;

	/* a clock that is put back must not make the new one look older */
	if (now < s->last)
		now = s->last;
	wire_put_number(&w, (uint64_t)now, 4);
	ntmc_random(s->env, salt + 4, sizeof(salt) - 4);
	r = group_sender_key(&s->keys.data, s->h.index, salt, s->alg, &data);
	if (r)
		return r;
	r = group_sender_key(&s->keys.control, s->h.index, salt, s->alg,
			     &control);
	if (r) {
		ntmc_aead_free(data);
		return r;
	}
	ntmc_aead_free(s->data);
	ntmc_aead_free(s->control);
	s->data = data;
	s->control = control;
	memcpy(s->h.salt, salt, sizeof(salt));
	s->h.counter = 0;
	s->since = ntmc_now(s->env);
	s->last = now;
	return 0;
}

int group_sender_new(const struct ntmc_env *env, const struct group_keys *k,
		     const struct ntmc_identity *id, uint32_t index,
		     enum group_auth auth, struct group_sender **out)
{
	struct group_sender *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -NTM_ENOMEM;
	s->env = env;
	s->id = id;
	s->keys = *k;
	s->auth = auth;
	s->alg = ntmc_aead_preferred();
	s->h.index = index;
	memcpy(s->h.tag, k->tag, sizeof(s->h.tag));
	r = draw_salt(s);
	if (r)
		group_sender_free(s);
	else
		*out = s;
	return r;
}

void group_sender_free(struct group_sender *s)
{
	if (!s)
		return;
	ntmc_aead_free(s->data);
	ntmc_aead_free(s->control);
	ntmc_wipe(s, sizeof(*s));
	free(s);
}

unsigned int group_sender_pending(const struct group_sender *s)
{
	return s->pending;
}

static int look_at_salt(struct group_sender *s)
{
	int64_t age = ntmc_now(s->env) - s->since;

	if (age >= 0 && age < GROUP_SALT_S && s->h.counter < GROUP_SALT_PACKETS)
		return 0;
	return s->pending ? -NTM_ESTATE : draw_salt(s);
}

/* header, seal, hop: @len bytes of plaintext, signature included */
static int seal(struct group_sender *s, unsigned int flags, uint8_t *buf,
		size_t len, size_t *packet_len)
{
	struct ntmc_aead *a =
		flags & GROUP_PACKET_CONTROL ? s->control : s->data;
	uint8_t *end = buf + GROUP_PACKET_HEADER + len + NTMC_TAG_LEN;
	int r = ntmc_aead_seal(a, s->h.counter, buf, GROUP_PACKET_HEADER,
			       buf + GROUP_PACKET_HEADER, len);

	if (r)
		return r;
	s->h.counter++;
	if (flags & GROUP_PACKET_HOP) {
		group_hop_put(&s->keys.relay, buf, end - NTMC_TAG_LEN, end);
		end += GROUP_HOP_LEN;
	}
	*packet_len = (size_t)(end - buf);
	return 0;
}

static unsigned int all_flags(const struct group_sender *s, unsigned int flags)
{
	flags &= GROUP_PACKET_CONTROL | GROUP_PACKET_HOP;
	return flags |
	       (s->alg == NTMC_CHACHA20_POLY1305 ? GROUP_PACKET_CHACHA : 0);
}

int group_sender_seal(struct group_sender *s, unsigned int flags, uint8_t *buf,
		      size_t len, size_t *packet_len)
{
	uint8_t text[GROUP_DATA_TEXT], *data = buf + GROUP_PACKET_HEADER;
	bool sign = s->auth == GROUP_AUTH_SIGN || flags & GROUP_PACKET_CONTROL;
	bool batch = s->auth == GROUP_AUTH_BATCH && !sign;
	int r = look_at_salt(s);

	if (!r && batch && s->pending == GROUP_BATCH_MAX)
		r = -NTM_ESTATE;
	/* a batch's packets lie one behind the other */
	if (!r && !batch && s->pending)
		r = -NTM_ESTATE;
	if (r)
		return r;
	s->h.flags = all_flags(s, flags) | (sign ? GROUP_PACKET_SIGNED : 0);
	group_header_put(&s->h, buf);
	if (sign) {
		size_t n = group_data_text(s->keys.id, s->keys.epoch, buf, data,
					   len, text);

		ntmc_ed25519_sign(&s->id->ed_priv, s->id->ed_pub, text, n,
				  data + len);
		len += NTMC_SIG_LEN;
	}
	r = seal(s, s->h.flags, buf, len, packet_len);
	if (!r && batch) {
		if (!s->pending)
			s->first = s->h.counter - 1;
		memcpy(s->tags[s->pending++], data + len, NTMC_TAG_LEN);
	}
	return r;
}

int group_sender_batch(struct group_sender *s, unsigned int flags, uint8_t *buf,
		       size_t *packet_len)
{
	uint8_t text[GROUP_BATCH_TEXT], *data = buf + GROUP_PACKET_HEADER;
	struct wire_out w = wire_out(data, GROUP_BATCH_LEN);
	size_t n;
	int r;

	if (!s->pending)
		return -NTM_ESTATE;
	wire_put_number(&w, s->first, 8);
	wire_put_number(&w, s->pending, 1);
	wire_put(&w, s->tags, s->pending * NTMC_TAG_LEN);
	n = group_batch_text(s->keys.id, s->keys.epoch, s->h.index, s->h.salt,
			     data, w.len, text);
	ntmc_ed25519_sign(&s->id->ed_priv, s->id->ed_pub, text, n,
			  data + w.len);
	s->h.flags =
		all_flags(s, flags & GROUP_PACKET_HOP) | GROUP_PACKET_BATCH;
	group_header_put(&s->h, buf);
	r = seal(s, s->h.flags, buf, w.len + NTMC_SIG_LEN, packet_len);
	if (!r)
		s->pending = 0;
	return r;
}

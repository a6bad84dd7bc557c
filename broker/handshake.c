/* SPDX-License-Identifier: MIT */
/*
 * handshake - Tunnel Request and Tunnel Response: one exchange, bytes in, bytes out
 *
 * Theory of operation
 *
 * A datagram of either kind is sealed twice: outside under a key from Ktun (or the
 * resumption secret), so that whoever lacks it costs one AEAD check; inside by
 * Noise_IKpsk2, whose psk comes from Ktmp (or the resumption secret). The prologue
 * binds Path ID, both identities and the algorithm. The certificate travels in the
 * Noise payload and is checked here: chain and constraints, name, identity and
 * static key as the caller expects them. What the Noise static key proved must be
 * the key the certificate names; IK makes the initiator's known to the responder.
 *
 * Lifecycle. Initiator: handshake_new(), datagram repeated by the caller,
 * handshake_finish(). A datagram that does not open leaves it waiting: forged
 * answers cannot end it, nor can a refusal of an earlier request under the same
 * secret, said once more: it names the request by its tag. Responder: handshake_open(), rate by the caller,
 * handshake_read(), policy by the caller, then handshake_answer() or handshake_refuse(), handshake_free().
 */
#include "broker/handshake.h"

#include <stdlib.h>
#include <string.h>

#include "common/datagram.h"

#define HANDSHAKE_VERSION 1
#define PROLOGUE_LABEL	  "ntm tunnel v1"
#define PROLOGUE_LEN	  (sizeof(PROLOGUE_LABEL) - 1 + 8 + 2 * NTMC_FP_LEN + 2)
#define PAYLOAD_MAX	  (NTMC_CERT_MAX + 128)
#define REQUEST_LEN	  8 /* of the request's tag, in a refusal */

struct handshake {
	struct handshake_spec spec;
	struct datagram_keys keys;
	struct ntmc_noise *noise;
	ProtobufCMessage *opened; /* responder: between open and read */
	uint8_t request[REQUEST_LEN];
};

static void request_note(struct handshake *h, const uint8_t *buf, size_t len)
{
	if (len >= NTMC_TAG_LEN)
		memcpy(h->request, buf + len - NTMC_TAG_LEN, REQUEST_LEN);
}

static uint64_t path_base(const struct handshake_spec *spec)
{
	return spec->path_id & ~1ull;
}

static void put64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
}

static void prologue_put(const struct handshake_spec *spec,
			 const uint8_t *initiator, const uint8_t *responder,
			 uint8_t out[static PROLOGUE_LEN])
{
	size_t n = sizeof(PROLOGUE_LABEL) - 1;

	memcpy(out, PROLOGUE_LABEL, n);
	put64(out + n, path_base(spec));
	n += 8;
	memcpy(out + n, initiator, NTMC_FP_LEN);
	n += NTMC_FP_LEN;
	memcpy(out + n, responder, NTMC_FP_LEN);
	n += NTMC_FP_LEN;
	out[n++] = (uint8_t)spec->aead;
	out[n] = HANDSHAKE_VERSION;
}

static int psk_derive(const struct handshake_spec *spec, struct ntmc_key *psk)
{
	uint8_t salt[8];

	put64(salt, path_base(spec));
	return ntmc_derive(&spec->psk_secret, salt, sizeof(salt),
			   spec->resume ? "ntm resume psk v1"
					: "ntm tunnel psk v1",
			   NULL, 0, psk);
}

static int noise_start(struct handshake *h, const struct handshake_self *self,
		       bool initiator)
{
	uint8_t prologue[PROLOGUE_LEN];
	struct ntmc_noise_config conf = {
		.pattern = NTMC_NOISE_IKPSK2,
		.aead = h->spec.aead,
		.initiator = initiator,
		.prologue = prologue,
		.prologue_len = sizeof(prologue),
		.static_priv = &self->id->x_priv,
		.peer_static = initiator ? h->spec.x_pub : NULL,
		.env = self->env,
	};
	struct ntmc_key psk;
	int err = psk_derive(&h->spec, &psk);

	if (err)
		return err;
	conf.psk = &psk;
	prologue_put(&h->spec, initiator ? self->fp : h->spec.fp,
		     initiator ? h->spec.fp : self->fp, prologue);
	err = ntmc_noise_new(&conf, &h->noise);
	ntmc_key_clear(&psk);
	return err;
}

static int handshake_make(const struct handshake_spec *spec,
			  struct handshake **out)
{
	struct handshake *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return -NTM_ENOMEM;
	h->spec = *spec;
	err = datagram_tunnel_keys(&spec->request, path_base(spec),
				   spec->resume, spec->aead, &h->keys);
	if (err) {
		handshake_free(h);
		return err;
	}
	*out = h;
	return 0;
}

void handshake_free(struct handshake *h)
{
	if (!h)
		return;
	if (h->opened)
		datagram_free(h->opened);
	ntmc_noise_free(h->noise);
	datagram_keys_clear(&h->keys);
	ntmc_wipe(&h->spec, sizeof(h->spec));
	free(h);
}

/* --- packing ---------------------------------------------------------------------- */

static int payload_pack(const ProtobufCMessage *msg, uint8_t *out, size_t *len)
{
	*len = protobuf_c_message_get_packed_size(msg);
	if (*len > PAYLOAD_MAX)
		return -NTM_ETOOBIG;
	protobuf_c_message_pack(msg, out);
	return 0;
}

static int seal(struct handshake *h, const struct handshake_self *self,
		enum packet_type type, const struct ntmc_key *key,
		const Ntm__TunnelMessage *msg, uint8_t *buf, size_t *len)
{
	struct packet_header hdr = {
		.type = type,
		.flags = h->spec.resume ? PACKET_RESUME : 0,
		.id = path_base(&h->spec) | h->spec.peer_bit,
	};
	int n;

	ntmc_random(self->env, &hdr.counter, sizeof(hdr.counter));
	n = datagram_seal(&hdr, h->spec.aead, key, &msg->base, buf);
	if (n < 0)
		return n;
	*len = (size_t)n;
	return 0;
}

/* Noise message around @payload, sealed into a datagram */
static int message_make(struct handshake *h, const struct handshake_self *self,
			enum packet_type type, const ProtobufCMessage *payload,
			uint8_t *buf, size_t *len)
{
	Ntm__TunnelMessage msg = NTM__TUNNEL_MESSAGE__INIT;
	uint8_t plain[PAYLOAD_MAX], noise[PAYLOAD_MAX + 96];
	size_t plain_len, noise_len;
	int err = payload_pack(payload, plain, &plain_len);

	if (!err)
		err = ntmc_noise_write(h->noise, plain, plain_len, noise,
				       sizeof(noise), &noise_len);
	if (err)
		return err;
	msg.noise.data = noise;
	msg.noise.len = noise_len;
	return seal(h, self, type,
		    type == PACKET_TUNNEL_REQUEST ? &h->keys.up : &h->keys.down,
		    &msg, buf, len);
}

static ProtobufCBinaryData bytes(const void *data, size_t len)
{
	return (ProtobufCBinaryData){len, (uint8_t *)data};
}

int handshake_new(const struct handshake_self *self,
		  const struct handshake_spec *spec, uint64_t sent_ms,
		  const uint8_t *phases, size_t n_phases,
		  struct handshake **out, uint8_t *buf, size_t *len)
{
	Ntm__TunnelRequestPayload p = NTM__TUNNEL_REQUEST_PAYLOAD__INIT;
	struct handshake *h;
	int err;

	err = handshake_make(spec, &h);
	if (err)
		return err;
	err = noise_start(h, self, true);
	if (err)
		goto err_free;
	p.certificate = bytes(self->cert, self->cert_len);
	p.sent_ms = sent_ms;
	p.phases = bytes(phases, n_phases);
	p.version = HANDSHAKE_VERSION;
	err = message_make(h, self, PACKET_TUNNEL_REQUEST, &p.base, buf, len);
	if (err)
		goto err_free;
	request_note(h, buf, *len);
	*out = h;
	return 0;

err_free:
	handshake_free(h);
	return err;
}

/* Is it a refusal, and of this request? */
static int refused(const struct handshake *h, const Ntm__TunnelMessage *t)
{
	if (!t->code)
		return 0;
	return t->request.len == REQUEST_LEN &&
			       !memcmp(t->request.data, h->request, REQUEST_LEN)
		       ? -NTM_ECLOSED
		       : -NTM_EAUTH;
}

/* --- checking ---------------------------------------------------------------------- */

/* The certificate is who the direction, or the pin, says it must be. */
static int cert_check(const struct handshake_self *self,
		      const struct handshake *h, const ProtobufCBinaryData *der,
		      struct ntmc_cert *out)
{
	uint8_t fp[NTMC_FP_LEN];
	int err = ntmc_trust_verify(self->trust, der->data, der->len,
				    ntmc_now(self->env), out);

	if (err)
		return err;
	if (out->kind != NTMC_CERT_NODE || strcmp(out->fqdn, h->spec.fqdn))
		return -NTM_ECERT;
	ntmc_fingerprint(out->ed_pub, fp);
	if (!ntmc_equal(fp, h->spec.fp, NTMC_FP_LEN))
		return -NTM_EPIN;
	if (!ntmc_equal(out->x_pub, h->spec.x_pub, NTMC_KEY_LEN))
		return -NTM_ECERT;
	return 0;
}

int handshake_finish(struct handshake *h, const struct handshake_self *self,
		     const struct packet_header *hdr, uint8_t *buf, size_t len,
		     struct handshake_keys *keys, struct ntmc_cert *cert,
		     struct addr *observed, int *code)
{
	uint8_t plain[PAYLOAD_MAX];
	ProtobufCMessage *msg;
	const Ntm__TunnelMessage *t;
	const Ntm__TunnelResponsePayload *p;
	size_t plain_len;
	int err;

	err = datagram_open(hdr, h->spec.aead, &h->keys.down, buf, len,
			    &ntm__tunnel_message__descriptor, &msg);
	if (err)
		return err;
	t = (Ntm__TunnelMessage *)msg;
	*code = (int)t->code;
	err = refused(h, t);
	if (!err)
		err = ntmc_noise_read(h->noise, t->noise.data, t->noise.len,
				      plain, sizeof(plain), &plain_len);
	datagram_free(msg);
	if (err)
		return err;
	err = datagram_unpack(&ntm__tunnel_response_payload__descriptor, plain,
			      plain_len, &msg);
	if (err)
		return -NTM_ECERT; /* authentic and yet wrong: it is over */
	p = (Ntm__TunnelResponsePayload *)msg;
	addr_clear(observed);
	err = cert_check(self, h, &p->certificate, cert);
	if (!err && p->version != HANDSHAKE_VERSION)
		err = -NTM_EVERSION;
	if (!err)
		err = ntmc_noise_split(h->noise, &keys->send, &keys->recv,
				       &keys->resume);
	if (!err) {
		keys->phase = (uint8_t)p->phase;
		keys->aead = h->spec.aead;
		if (p->observed && addr_from_message(p->observed, observed))
			addr_clear(observed);
	}
	datagram_free(msg);
	return err;
}

int handshake_open(const struct handshake_spec *spec,
		   const struct packet_header *hdr, uint8_t *buf, size_t len,
		   struct handshake **out)
{
	struct handshake *h;
	int err = handshake_make(spec, &h);

	if (err)
		return err;
	request_note(h, buf, len);
	err = datagram_open(hdr, spec->aead, &h->keys.up, buf, len,
			    &ntm__tunnel_message__descriptor, &h->opened);
	if (err) {
		handshake_free(h);
		return err;
	}
	*out = h;
	return 0;
}

static int request_check(const struct handshake *h,
			 const struct handshake_self *self,
			 const Ntm__TunnelRequestPayload *p,
			 struct handshake_request *out)
{
	const uint8_t *peer_static = ntmc_noise_peer_static(h->noise);
	int err;

	if (!peer_static ||
	    !ntmc_equal(peer_static, h->spec.x_pub, NTMC_KEY_LEN))
		return -NTM_ECERT;
	err = cert_check(self, h, &p->certificate, &out->cert);
	if (err)
		return err;
	if (p->version < HANDSHAKE_VERSION)
		return -NTM_EVERSION;
	if (p->phases.len > HANDSHAKE_PHASES_MAX)
		return -NTM_EDECODE;
	out->sent_ms = p->sent_ms;
	out->n_phases = p->phases.len;
	if (p->phases.len)
		memcpy(out->phases, p->phases.data, p->phases.len);
	return 0;
}

int handshake_read(struct handshake *h, const struct handshake_self *self,
		   struct handshake_request *request)
{
	const Ntm__TunnelMessage *t = (Ntm__TunnelMessage *)h->opened;
	uint8_t plain[PAYLOAD_MAX];
	ProtobufCMessage *msg;
	size_t plain_len;
	int err = noise_start(h, self, false);

	if (!err)
		err = ntmc_noise_read(h->noise, t->noise.data, t->noise.len,
				      plain, sizeof(plain), &plain_len);
	if (!err)
		err = datagram_unpack(&ntm__tunnel_request_payload__descriptor,
				      plain, plain_len, &msg);
	if (err)
		return err;
	err = request_check(h, self, (Ntm__TunnelRequestPayload *)msg, request);
	datagram_free(msg);
	return err;
}

int handshake_answer(struct handshake *h, const struct handshake_self *self,
		     uint8_t phase, const struct addr *observed,
		     struct handshake_keys *keys, uint8_t *buf, size_t *len)
{
	Ntm__TunnelResponsePayload p = NTM__TUNNEL_RESPONSE_PAYLOAD__INIT;
	Ntm__Address where;
	int err;

	p.certificate = bytes(self->cert, self->cert_len);
	p.phase = phase;
	p.version = HANDSHAKE_VERSION;
	if (addr_is_set(observed)) {
		addr_to_message(observed, NTM__ADDRESS_KIND__ADDRESS_OBSERVED,
				&where);
		p.observed = &where;
	}
	err = message_make(h, self, PACKET_TUNNEL_RESPONSE, &p.base, buf, len);
	if (err)
		return err;
	keys->phase = phase;
	keys->aead = h->spec.aead;
	return ntmc_noise_split(h->noise, &keys->send, &keys->recv,
				&keys->resume);
}

int handshake_refuse(struct handshake *h, const struct handshake_self *self,
		     int code, uint8_t *buf, size_t *len)
{
	Ntm__TunnelMessage msg = NTM__TUNNEL_MESSAGE__INIT;

	msg.code = (uint32_t)(code < 0 ? -code : code);
	msg.request = bytes(h->request, REQUEST_LEN);
	return seal(h, self, PACKET_TUNNEL_RESPONSE, &h->keys.down, &msg, buf,
		    len);
}

static bool holds(const uint8_t *list, size_t n, uint8_t phase)
{
	return n && memchr(list, phase, n);
}

uint8_t handshake_phase(const uint8_t *ours, size_t n_ours,
			const uint8_t *theirs, size_t n_theirs)
{
	uint8_t phase = n_ours ? (uint8_t)(ours[0] + 1) : 0;

	while (holds(ours, n_ours, phase) || holds(theirs, n_theirs, phase))
		phase++;
	return phase;
}

/* SPDX-License-Identifier: MIT */
/*
 * passon - servers' requests for certificates, to the AS and back
 *
 * Theory of operation
 *
 * A server away from the AS has a channel to us, the AS has one, too, and the CA. What
 * a server asks goes on under a number of ours; a ring remembers for whom. Nothing is
 * repeated here: who has no answer asks again. A server asks for its own certificate
 * alone, and once in PASSON_EVERY_S; a place that is used again before its answer came
 * costs that answer.
 */
#include "servers/dc/passon.h"

#include <string.h>

#include "common/log.h"
#include "servers/dc/state.h"

static struct passon_place *place_for(struct dc *dc, const struct channel *c)
{
	struct passon *p = &dc->passon;

	for (size_t i = 0; i < PASSON_MAX; i++)
		if (p->list[i].from == c)
			return &p->list[i];
	return &p->list[p->next++ % PASSON_MAX];
}

static bool is_its_own(const struct channel *c, const ProtobufCBinaryData *der)
{
	struct ntmc_cert cert;

	return !ntmc_cert_parse(der->data, der->len, &cert) &&
	       !memcmp(cert.ed_pub, channel_peer(c)->ed_pub, NTMC_KEY_LEN);
}

void passon_request(struct dc *dc, struct channel *c, const Ntm__Envelope *msg)
{
	struct passon_place *p = place_for(dc, c);
	Ntm__Envelope on = NTM__ENVELOPE__INIT;
	uint64_t now = loop_now(dc->loop);

	if (!is_its_own(c, &msg->certificate_request->certificate)) {
		log_warn("passon", "a server wants another's certificate");
		channel_close(c);
		return;
	}
	if (p->from == c && now - p->at < LOOP_S(PASSON_EVERY_S))
		return;
	*p = (struct passon_place){.from = c,
				   .at = now,
				   .txn = msg->txn,
				   .ours = ++dc->passon.txn};
	on.txn = p->ours;
	on.body_case = NTM__ENVELOPE__BODY_CERTIFICATE_REQUEST;
	on.certificate_request = msg->certificate_request;
	if (!aslink_ask(dc, &on)) {
		log_info("passon", "no AS is here to renew a certificate");
		memset(p, 0, sizeof(*p));
	}
}

void passon_answer(struct dc *dc, const Ntm__Envelope *msg)
{
	Ntm__Envelope back = NTM__ENVELOPE__INIT;

	for (size_t i = 0; i < PASSON_MAX; i++) {
		struct passon_place *p = &dc->passon.list[i];

		if (!p->from || p->ours != msg->txn)
			continue;
		back.txn = p->txn;
		back.body_case = NTM__ENVELOPE__BODY_CERTIFICATE_RESPONSE;
		back.certificate_response = msg->certificate_response;
		p->ours = 0;
		if (channel_send(p->from, &back))
			log_debug("passon", "an answer was not sent");
		return;
	}
}

void passon_closed(struct dc *dc, const struct channel *c)
{
	for (size_t i = 0; i < PASSON_MAX; i++)
		if (dc->passon.list[i].from == c)
			memset(&dc->passon.list[i], 0,
			       sizeof(dc->passon.list[i]));
}

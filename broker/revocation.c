/* SPDX-License-Identifier: MIT */
/* revocation - identities withdrawn: told by the DC, or asked for after an absence */
#include "broker/revocation.h"

#include "broker/peer.h"
#include "broker/pins.h"
#include "broker/session.h"
#include "broker/timers.h"
#include "common/log.h"

static void withdraw(struct revocation *r, ProtobufCBinaryData *fps, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fps[i].len == NTMC_FP_LEN)
			worker_withdraw(r->w, fps[i].data);
}

static void got(void *arg, int err, const Ntm__Signal *msg)
{
	struct revocation *r = arg;
	const Ntm__RevocationList *l;

	r->asked = false;
	if (err || msg->body_case != NTM__SIGNAL__BODY_REVOCATION_LIST)
		return;
	l = msg->revocation_list;
	if (l->serial <= pins_serial(r->w->pins))
		return;
	withdraw(r, l->fingerprints, l->n_fingerprints);
	if (pins_set_serial(r->w->pins, l->serial))
		return; /* said; asked again at the next start */
	if (l->more)
		revocation_ask(r, l->serial + 1);
}

void revocation_ask(struct revocation *r, uint64_t serial)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__RevocationRequest rq = NTM__REVOCATION_REQUEST__INIT;
	uint64_t known = pins_serial(r->w->pins);
	uint32_t id;

	if (serial <= known || r->asked)
		return;
	if (!known && !peers_count(r->w->peers) &&
	    !pins_set_serial(r->w->pins, serial))
		return; /* a new node: nobody it knows was withdrawn before */
	rq.since = known;
	msg.body_case = NTM__SIGNAL__BODY_REVOCATION_REQUEST;
	msg.revocation_request = &rq;
	r->asked = !session_request(r->w->session, &msg, DIRECTION_LIMIT_MS,
				    got, r, &id);
}

void revocation_told(struct revocation *r, const Ntm__Withdraw *wd)
{
	withdraw(r, wd->fingerprints, wd->n_fingerprints);
	/* last: killed in between, we hear of it again */
	if (wd->revocation_serial == pins_serial(r->w->pins) + 1 &&
	    pins_set_serial(r->w->pins, wd->revocation_serial))
		log_debug("session", "serial not kept");
}

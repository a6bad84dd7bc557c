/* SPDX-License-Identifier: MIT */
/*
 * serverlink - channels of servers, to whom their role belongs
 *
 * Accepted only by a certificate that makes it a server's: the AS's go to aslink.c,
 * a relay's to relays.c, an NS's to notify.c, a GMS's to groupdirect.c, another domain's
 * DC's to domains.c. Each of them knows its channels.
 */
#include <string.h>

#include "common/log.h"
#include "servers/dc/domains.h"
#include "servers/dc/groupdirect.h"
#include "servers/dc/state.h"
#include "servers/removed.h"

static bool is_removed(const struct dc *dc, const struct ntmc_cert *peer)
{
	uint8_t fp[NTMC_FP_LEN];

	ntmc_fingerprint(peer->ed_pub, fp);
	return removed_has(dc->env->dir, fp);
}

static void link_open(struct channel *c, void *arg)
{
	const struct ntmc_cert *peer = channel_peer(c);
	struct dc *dc = arg;
	uint32_t roles =
		peer && peer->kind == NTMC_CERT_SERVER ? peer->roles : 0;

	bool gms = groupdirect_is_gms(dc, c);

	if (roles && !gms && strcmp(peer->fqdn, dc->cert.domain.domain)) {
		domains_link_open(dc, c); /* whatever else it may be there */
	} else if (roles && is_removed(dc, peer)) {
		log_warn("serverlink", "closed a channel of a server that was "
				       "removed");
		channel_close(c);
	} else if (roles & NTMC_ROLE_AS) {
		aslink_open(arg, c);
	} else if (roles & NTMC_ROLE_RS) {
		relays_link_open(arg, c);
	} else if (roles & NTMC_ROLE_NS) {
		notify_link_open(arg, c);
	} else if (gms) {
		groupdirect_link_open(arg, c);
	} else {
		log_debug("serverlink",
			  "closed a channel of no AS, RS, NS or GMS");
		channel_close(c);
	}
}

/* a relay or an NS of ours wants another certificate */
static bool is_renewal(struct dc *dc, const struct channel *c,
		       const Ntm__Envelope *msg)
{
	const struct ntmc_cert *peer = channel_peer(c);

	return msg->body_case == NTM__ENVELOPE__BODY_CERTIFICATE_REQUEST &&
	       peer && peer->kind == NTMC_CERT_SERVER &&
	       peer->roles & (NTMC_ROLE_RS | NTMC_ROLE_NS) &&
	       !strcmp(peer->fqdn, dc->cert.domain.domain);
}

static void link_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	if (is_renewal(arg, c, msg)) {
		passon_request(arg, c, msg);
		return;
	}
	/* of neither: replaced or turned away, and about to close */
	if (!aslink_message(arg, c, msg) && !relays_link_message(arg, c, msg) &&
	    !notify_link_message(arg, c, msg) &&
	    !groupdirect_link_message(arg, c, msg))
		(void)domains_link_message(arg, c, msg);
}

static void link_closed(struct channel *c, int err, void *arg)
{
	passon_closed(arg, c);
	if (!aslink_closed(arg, c, err) && !relays_link_closed(arg, c, err) &&
	    !notify_link_closed(arg, c, err) &&
	    !groupdirect_link_closed(arg, c))
		(void)domains_link_closed(arg, c);
}

const struct channel_ops serverlink_ops = {
	.open = link_open,
	.message = link_message,
	.closed = link_closed,
};

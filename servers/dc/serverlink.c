/* SPDX-License-Identifier: MIT */
/*
 * serverlink - channels of servers, to whom their role belongs
 *
 * Accepted only by a certificate that makes it a server's: the AS's go to aslink.c,
 * a relay's to relays.c. Each of them knows its channels.
 */
#include "common/log.h"
#include "servers/dc/state.h"

static void link_open(struct channel *c, void *arg)
{
	const struct ntmc_cert *peer = channel_peer(c);
	uint32_t roles =
		peer && peer->kind == NTMC_CERT_SERVER ? peer->roles : 0;

	if (roles & NTMC_ROLE_AS) {
		aslink_open(arg, c);
	} else if (roles & NTMC_ROLE_RS) {
		relays_link_open(arg, c);
	} else {
		log_debug("serverlink", "closed a channel of no AS or RS");
		channel_close(c);
	}
}

static void link_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	/* of neither: replaced or turned away, and about to close */
	if (!aslink_message(arg, c, msg))
		(void)relays_link_message(arg, c, msg);
}

static void link_closed(struct channel *c, int err, void *arg)
{
	if (!aslink_closed(arg, c, err))
		(void)relays_link_closed(arg, c, err);
}

const struct channel_ops serverlink_ops = {
	.open = link_open,
	.message = link_message,
	.closed = link_closed,
};

/* SPDX-License-Identifier: MIT */
/*
 * dcchannel - a server's TLS channel to a DC (or AS), made again whenever it ends
 *
 * Owner:    the server's link. Context: loop thread.
 * States:   waiting (100 ms, doubling to 5 s), connecting, open. A DC that has several
 *           addresses is tried by the next one each time.
 */
#ifndef NTM_SERVERS_DCCHANNEL_H
#define NTM_SERVERS_DCCHANNEL_H

#include "common/channel.h"
#include "servers/serverconf.h"

struct dcchannel;

/** @open, @message: of the channel, once the DC's certificate shows its role;
 *  @closed: it ended. Messages that are not for this server: dcchannel_close()
 *  @role: of whom it leads to, where that is no DC: NTMC_ROLE_AS */
struct dcchannel_ops {
	void (*open)(void *arg);
	void (*message)(void *arg, const Ntm__Envelope *msg);
	void (*closed)(void *arg);
	uint32_t role;
};

/** @tls: borrowed, outlives it; @name: of the role, for the log. Connects at once */
NTM_MUST_CHECK int dcchannel_new(struct loop *l, struct tls_context *tls,
				 const char *name, const struct server_ways *dc,
				 const struct dcchannel_ops *ops, void *arg,
				 struct dcchannel **out);
void dcchannel_free(struct dcchannel *d); /* NULL is fine */
/** Return: 0, -NTM_ECLOSED when there is none now, and channel_send()'s */
NTM_MUST_CHECK int dcchannel_send(struct dcchannel *d,
				  const Ntm__Envelope *msg);
/** end it; another one is made */
void dcchannel_close(struct dcchannel *d);
/** for the next one; this one ends */
void dcchannel_set_tls(struct dcchannel *d, struct tls_context *tls);
bool dcchannel_is_open(const struct dcchannel *d);

#endif

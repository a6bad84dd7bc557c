/* SPDX-License-Identifier: MIT */
/*
 * state - the RS's own data, shared by the files of this folder
 *
 * Owner: rs.c makes and frees it. Context: as each field says.
 *
 *   rs.c       start, stop, clock, admin               control thread
 *   link.c     links to the DCs: keys, registration, Signals
 *   directed.c what a DC has us do: directions, withdrawals
 *   thread.c   the forwarding threads: poll, receive, send
 *   forward.c  what a thread does with a datagram
 *   punch.c    Hole Punch: proves an end, binds it      forwarding threads
 *   fanout.c   group packets, one copy to each member   forwarding threads
 *   placepunch.c  Hole Punch of a member of a group     forwarding threads
 *   probe.c    Relay Probe: an echo                     forwarding threads
 */
#ifndef NTM_SERVERS_RS_STATE_H
#define NTM_SERVERS_RS_STATE_H

#include <stdatomic.h>

#include "common/datagram.h"
#include "servers/rs/groups.h"
#include "servers/rs/locals.h"
#include "servers/rs/paths.h"
#include "servers/rs/quota.h"
#include "servers/rs/rs.h"
#include "servers/rs/thread.h"
#include "servers/servercert.h"

#define RS_THREADS_MAX	  16
#define RS_LINKS_MAX	  SERVERCONF_ADDRESSES_MAX
#define RS_CLOCK_MS	  250
#define RS_SWEEP_ROUND_S  4 /* every path is looked at this often */
#define RS_REGISTRATION_S 5
#define RS_COOKIE_LEN	  16
#define RS_COOKIE_S	  30

struct link;

/** struct signal_peer - whose Signals are taken: of a DC, from its address. Written by
 *  the control thread, word by word: a reader in between loses one datagram.
 *  @ids: that a Signal may carry; 0: none; @ip, @port as in struct remote */
struct signal_peer {
	_Atomic uint64_t ids[2], ip[2];
	_Atomic uint16_t port;
};

struct rs {
	const struct role_env *env;
	struct loop *loop;
	const struct server_conf *conf;
	struct servercert cert, cert_before;
	/* control thread writes, all read */
	struct paths paths;
	struct groups groups;
	struct quota quota;
	_Atomic uint32_t now_s; /* rs_now_s() */
	struct signal_peer signal_peers[RS_LINKS_MAX];
	struct ntmc_key cookie_key; /* constant */
	struct locals locals;
	/* control thread */
	struct rs_thread *threads[RS_THREADS_MAX];
	unsigned int n_threads;
	/* Signals, from the threads to the control thread: one packet a datagram */
	int signals[2];
	struct loop_io *signals_io;
	struct link *links[RS_LINKS_MAX];
	unsigned int n_links;
	bool draining;
	unsigned int load; /* permille */
	uint64_t load_cpu_ns, load_at_ns;
	uint32_t start_s, daily_s;
	struct loop_timer *clock;
	struct loop_task destroy;
	uint64_t directions, withdrawals, ended, group_directions;
	uint64_t idle_refused; /* directions of who leaves too many unbound */
};

/** is there a newer certificate on disk? then it is taken; old ones are renewed */
void rs_look_at_certificate(struct rs *rs);
/** monotonic seconds since an hour before the start, as the control thread last
 *  said: never 0. Any thread */
static inline uint32_t rs_now_s(const struct rs *rs)
{
	return atomic_load_explicit(&rs->now_s, memory_order_relaxed);
}
/** the sum of the threads' counter at @offset in struct rs_stats */
uint64_t rs_sum(const struct rs *rs, size_t offset);
/** paths that one account may ask for and leave unbound: of all that there is room
 *  for, a 256th part, at least RS_FRESH_MIN */
#define RS_FRESH_MIN 64
static inline uint32_t rs_fresh_max(const struct rs *rs)
{
	uint32_t n = rs->paths.size / 256;

	return n > RS_FRESH_MIN ? n : RS_FRESH_MIN;
}
/** an epoch of a group ends: its account is free of it (groups_fn; @arg: struct rs) */
void rs_group_gone(void *arg, const struct group_here *h);
/** a path ends: its accounts are free of it (paths_fn; @arg: struct rs) */
void rs_path_gone(void *arg, const struct path *path);

/* directed.c; @dc: the number of its link */
/** Return: 0, or what the DC is answered: -NTM_EINVAL, -NTM_EAGAIN (draining),
 *  -NTM_ELIMIT, -NTM_EEXISTS (another DC's path) */
NTM_MUST_CHECK int directed_path(struct rs *rs, unsigned int dc,
				 const Ntm__RelayDirection *d);
NTM_MUST_CHECK int directed_group(struct rs *rs, unsigned int dc,
				  const Ntm__GroupDirection *d);
/** paths and groups of these accounts end, as far as this DC directed them */
void directed_withdraw(struct rs *rs, unsigned int dc,
		       const Ntm__RelayWithdraw *w);

/* link.c */
NTM_MUST_CHECK int link_new(struct rs *rs, unsigned int number,
			    const struct server_ways *dc, struct link **out);
void link_free(struct link *l);
/** its channel ends; the next one shows the certificate of now */
void link_reconnect(struct link *l);
/** tell the DC now: something has changed */
void link_register(struct link *l);
/** ask for another certificate, if half of its life is over */
void link_renew(struct link *l);
/** a Signal, as a thread received it; destroyed */
void link_signal(struct rs *rs, uint8_t *buf, size_t len);
/** has the DC acknowledged a registration lately? */
bool link_is_up(const struct link *l);

/* punch.c */
void punch_receive(struct rs_thread *t, struct arrival *a,
		   const struct packet_header *h, uint8_t *buf, size_t len);
/* placepunch.c */
void place_punch_receive(struct rs_thread *t, struct arrival *a,
			 const struct packet_header *h, uint8_t *buf,
			 size_t len);
/* probe.c */
void probe_receive(struct rs_thread *t, struct arrival *a,
		   const struct packet_header *h, uint8_t *buf, size_t len);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * worker - the node's control plane, put together
 *
 * Owner:    worker_main.c (the program ntm-worker), or a test with its own clock,
 *           network and datapath.
 * Context:  loop thread only. The parts below know each other through this struct;
 *           each is made and freed here, in order.
 */
#ifndef NTM_BROKER_WORKER_H
#define NTM_BROKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/datapath/datapath.h"
#include "broker/keeper_link.h"
#include "broker/shimserver.h"
#include "common/addr.h"
#include "common/err.h"
#include "common/loop.h"
#include "libntmcrypto/ntmcrypto.h"

/**
 * struct worker_env - what the control plane asks of its machine
 * @crypto: randomness and wall clock
 * @route:  source address and MTU (IP) with which the kernel would send to
 *          @remote now; -NTM_EUNREACHABLE when it would not
 * @locals: usable addresses of the interfaces (no loopback, no link-local, none
 *          tentative), port 0; returns how many
 * @feeler: keepalive.h; NULL: keep-alives go as the DC says
 */
struct worker_env {
	struct ntmc_env crypto;
	int (*route)(void *ctx, const struct addr *remote, struct addr *source,
		     unsigned int *mtu);
	size_t (*locals)(void *ctx, struct addr *out, size_t max);
	const struct feeler_ops *feeler;
	void *ctx;
};

struct account;
struct as_link;
struct control;
struct domains;
struct feeler_ops;
struct exit;
struct grouplink;
struct groups;
struct handover;
struct held;
struct keepalive;
struct notify;
struct login;
struct peer;
struct early;
struct gate;
struct peers;
struct ping;
struct pins;
struct policy;
struct portmap;
struct memberlink;
struct postlink;
struct relays;
struct resolve;
struct session;
struct writer;

/* inner MTU of the virtual interface: a sealed packet fills a UDP payload of an
 * Ethernet frame over IPv6 */
#define WORKER_MTU     1416
#define WORKER_WHY_MAX 512 /* a sentence with a path */

struct worker {
	struct loop *loop;
	struct keeper_link *keeper;
	struct datapath *dp;
	struct shimserver *shim; /* NULL while logged out and in tests */
	const struct worker_env *env;
	uint16_t udp_port; /* of our outer sockets */
	uint64_t started_ns;
	bool broken; /* the TUN: another worker must come */

	struct writer *writer; /* of policy and pins */
	struct account *account;
	struct pins *pins;
	struct policy *policy;
	char policy_why[WORKER_WHY_MAX]; /* its file is wrong; "": it is not */
	struct keepalive *keepalive;
	struct notify *notify;
	struct session *session;
	struct relays *relays;
	struct gate *gate;
	struct portmap *portmap;
	struct early *early;
	unsigned int n_directions; /* asked for, not answered */
	struct peers *peers;
	struct resolve *resolve;
	struct exit *exit;
	struct domains *domains;
	struct login *login;
	struct groups *groups;
	struct postlink *postlink;     /* NULL: no ntm-post here */
	struct memberlink *memberlink; /* NULL: no ntm-member here */
	struct grouplink *grouplink;   /* NULL in tests */

	struct held *held; /* questions of shims, worker.c's */
	struct addr locals[ADDR_REMOTES_MAX]; /* as told last */
	size_t n_locals;

	struct ping *pings; /* under way, control_peer.c's */
	void (*echo_fn)(struct worker *w,
			uint64_t cookie); /* NULL: nobody asks */
};

/**
 * worker_init() - make the parts
 * @w:   loop, keeper, env, udp_port set by the caller; dp set before
 *       worker_start()
 * @config, @state: folders; made when missing
 * @why: @why_size bytes: one sentence when it fails
 * Return: 0 or an error; then worker_clear() is still right
 */
NTM_MUST_CHECK int worker_init(struct worker *w, const char *config,
			       const char *state, char *why, size_t why_size);
void worker_clear(struct worker *w);
/** the datapath's reports, for datapath_new(..., w) */
extern const struct dp_ops worker_dp_ops;
/** names, for shimserver_new(); @arg is the worker */
void worker_shim_names(struct worker *w, struct shim_names *out);

/** logged in already: lease, page, resumption of peers, registration. Nothing
 *  when logged out. Return: 0, -NTM_ENOENGINE, -NTM_ESYSTEM */
NTM_MUST_CHECK int worker_start(struct worker *w);
/** tell the peers that we end (an orderly end) */
void worker_say_goodbye(struct worker *w);

/* --- events between the parts ------------------------------------------------- */

/** account.c: there is a (new) session: configure engine, data path, page */
NTM_MUST_CHECK int worker_logged_in(struct worker *w);
/** account.c: it ended; @code: why (0: the person wanted it) */
void worker_logged_out(struct worker *w, int code);
/** domains.c: which addresses are virtual has changed */
void worker_ranges(struct worker *w);
/** session.c: proven with the DC */
void worker_online(struct worker *w);
/** gate.c: the way to DC and relays is another one, from the same address */
void worker_rerouted(struct worker *w);
/** an identity was withdrawn: ours, or a peer's */
void worker_withdraw(struct worker *w, const uint8_t *fp);
/** handover.c: addresses or routes changed */
void worker_moved(struct worker *w);

/** wake.c: nothing was sent or heard for so long */
void worker_woke(struct worker *w, unsigned int slept_s);

/** loop time in ms, wall time in s and ms (env's) */
uint64_t worker_now_ms(const struct worker *w);
int64_t worker_wall(const struct worker *w);
uint64_t worker_wall_ms(const struct worker *w);

#endif

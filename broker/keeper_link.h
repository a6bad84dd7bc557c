/* SPDX-License-Identifier: MIT */
/*
 * keeper_link - the worker's side of its keeper
 *
 * The keeper outlives workers. It holds the engine, the outer UDP sockets, and for
 * the next worker an fd store and a blob store under short keys. It never looks
 * inside. Session keys and counters are never put there.
 *
 * Owner:    the worker. Context: loop thread; calls are synchronous over one
 * SEQPACKET socket to the parent (about 40 us).
 *
 * The keeper runs the worker in the host's own network namespace as
 *     ntm-worker --link=FD --config=DIR --state=DIR --log-level=LEVEL
 * with standard error where log lines go, SIGTERM to end in order (tell the peers,
 * then exit 0; killed after 3 s), SIGHUP to read the configuration again. It gets
 * SIGTERM too when the keeper dies. A death without SIGTERM is followed by the next
 * worker at once, unless several in a row died within 200 ms of their start. One that
 * is not heard for 10 s once it is ready hangs, and is killed: keeper_beat().
 */
#ifndef NTM_BROKER_KEEPER_LINK_H
#define NTM_BROKER_KEEPER_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "broker/engine.h"
#include "common/err.h"

#define KEEPER_BEAT_MS	 2000
#define KEEPER_KEY_MAX	 64
#define KEEPER_BLOB_MAX	 4096
#define KEEPER_FDS_MAX	 4096
#define KEEPER_BLOBS_MAX 4096

struct keeper_link;

/**
 * keeper_link_open() - greet the keeper over the inherited descriptor
 * After it, tun/udp4/udp6 and the stores are available.
 */
NTM_MUST_CHECK int keeper_link_open(int fd, struct keeper_link **out);
void keeper_link_close(struct keeper_link *k);
/** readable only when the keeper is gone: end in order */
int keeper_link_fd(const struct keeper_link *k);

/** the worker serves; a waiting `ntm-broker --background` returns now */
NTM_MUST_CHECK int keeper_ready(struct keeper_link *k);
/** this worker cannot start, and another would not either: @why, one sentence
 *  (configuration FILE:LINE ...), is what the person reads; then exit(1). Before
 *  the first keeper_ready() the keeper ends too, later it tries again slowly */
NTM_MUST_CHECK int keeper_refuse(struct keeper_link *k, const char *why);
/** the loop turns: every KEEPER_BEAT_MS once ready. Waits for nobody: as long as the
 *  keeper has not read the last one it sends none */
void keeper_beat(struct keeper_link *k);
/** end the whole broker (`ntm down`): the keeper sends SIGTERM, waits, tidies up */
NTM_MUST_CHECK int keeper_quit(struct keeper_link *k);

int keeper_tun(const struct keeper_link *k);
int keeper_udp(const struct keeper_link *k, int family);
/** their local port; both families share it */
uint16_t keeper_udp_port(const struct keeper_link *k);
/**
 * keeper_udp_rebind() - exchange both for sockets on @port (configuration)
 * Nothing happens when they have it already. The old descriptors are closed, so call
 * it before the data path starts. Without it the port of the last run is used.
 * Return: 0, -NTM_EEXISTS (taken; the old ones stay)
 */
NTM_MUST_CHECK int keeper_udp_rebind(struct keeper_link *k, uint16_t port);
/** starts counted by the keeper: 1 for the first worker */
uint32_t keeper_generation(const struct keeper_link *k);
/** path of the runtime folder */
const char *keeper_rundir(const struct keeper_link *k);

NTM_MUST_CHECK int keeper_configure(struct keeper_link *k,
				    const struct engine_config *conf);
/** a socket inside the namespace */
NTM_MUST_CHECK int keeper_socket(struct keeper_link *k, int domain, int type,
				 int protocol, int *fd);

/** start ntm-portmap, which is asked over *@fd (portmap_proto.h); the one before ends.
 *  *@fd is the caller's */
NTM_MUST_CHECK int keeper_portmap(struct keeper_link *k, int *fd);

/** enum poster_kind - which program beside the worker; numbers as in KEEPER_POST */
enum poster_kind { POSTER_ITEMS, POSTER_GROUPS, POSTER_KINDS };
/** start ntm-post or ntm-member, with the sockets that are kept for it (poster.h); *@fd is
 *  the caller's.
 *  Return: 0, -NTM_EEXISTS (one runs), -NTM_ENOTFOUND (it is not installed) ... */
NTM_MUST_CHECK int keeper_post(struct keeper_link *k, enum poster_kind kind,
			       int *fd);
/** the one that runs is to end */
NTM_MUST_CHECK int keeper_post_end(struct keeper_link *k,
				   enum poster_kind kind);

/** keep a duplicate of @fd for later workers; replaces */
NTM_MUST_CHECK int keeper_fd_put(struct keeper_link *k, const char *key,
				 int fd);
NTM_MUST_CHECK int keeper_fd_del(struct keeper_link *k, const char *key);
/** those stored before this worker started whose key begins with @prefix; each is
 *  handed out once and then owned by the callback */
void keeper_fd_each(struct keeper_link *k, const char *prefix,
		    void (*fn)(void *arg, const char *key, int fd), void *arg);

NTM_MUST_CHECK int keeper_blob_put(struct keeper_link *k, const char *key,
				   const void *data, size_t len);
NTM_MUST_CHECK int keeper_blob_del(struct keeper_link *k, const char *key);
/** those stored before this worker started, all keys, at every call */
void keeper_blob_each(struct keeper_link *k,
		      void (*fn)(void *arg, const char *key, const void *data,
				 size_t len),
		      void *arg);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * paths - the relayed paths: who is at either end, under which keys they punch
 *
 * Owner:   struct rs; all memory is taken at the start, less than 1 KiB a path.
 * Context: the control thread (the loop's) adds, removes and sweeps; any thread
 *          finds, reads ends and, holding paths_lock(), writes an end. Reading an
 *          end takes no lock; see Theory of operation in paths.c.
 * Ends:    0 MN, 1 CN, as bit 0 of a Hole Punch's id says.
 * Time:    @now_s: seconds of rs_now_s(); never 0.
 */
#ifndef NTM_SERVERS_RS_PATHS_H
#define NTM_SERVERS_RS_PATHS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/datagram.h"
#include "common/err.h"

#define PATHS_LIFETIME_S 60 /* without a punch an end is forgotten */
#define PATHS_SURE_S	 60 /* without a cookie from there it is sure no more */
#define PATHS_CREDIT	 1048576 /* bytes to an end that is not sure */
#define PATHS_MAX	 (1u << 24)

/** struct remote - an outer address, and by which of ours it spoke to us;
 *  IPv4 as ::ffff:a.b.c.d, both halves as they lie in memory */
struct remote {
	uint64_t ip[2];
	uint16_t port;	/* network order */
	uint8_t listen; /* which listening address of the relay */
	uint8_t local;	/* which local address (locals.h); 0: any */
};

/** the same address and port */
static inline bool remote_same(const struct remote *a, const struct remote *b)
{
	return a->ip[0] == b->ip[0] && a->ip[1] == b->ip[1] &&
	       a->port == b->port;
}

/** struct path_end - of one end; but for @remote, @state and @account guarded by
 *  paths_lock() */
struct path_end {
	_Atomic uint64_t ip[2];
	_Atomic uint64_t at; /* port, listen, local, bound, sure; see paths.c */
	_Atomic uint32_t account; /* handle of quota.h; 0 none */
	_Atomic uint32_t
		credit;	    /* bytes that may go there while it is not sure */
	uint32_t heard_s;   /* last good punch; 0: none yet, or left */
	uint32_t sure_s;    /* last one with a cookie */
	uint64_t proven[2]; /* by the DC; zero: none */
	uint64_t sent_ms;   /* of the newest punch */
	struct ntmc_key up, down; /* Hole Punch, its answer */
};

struct path {
	_Atomic uint64_t id;   /* bit 0 clear; 0: place not in use */
	_Atomic uint32_t lock; /* odd: being written */
	_Atomic uint32_t next; /* handle: next of its chain */
	uint32_t next_free, freed_s;
	uint32_t made_s;
	uint32_t
		fresh; /* handle of the account that asked, until an end is bound */
	uint8_t aead;
	uint8_t owner; /* which link made it */
	struct path_end end[2];
};

struct paths {
	uint32_t size, used, top;  /* @top: places used so far */
	uint32_t n_buckets;	   /* a power of two */
	_Atomic uint32_t *buckets; /* handle of the first of a chain */
	struct path *all;	   /* handle - 1 */
	uint32_t free_first, free_last;
	uint32_t swept; /* handle the next sweep begins behind */
	uint64_t salt;
};

/** @size: at most PATHS_MAX. Return: 0, -NTM_ENOMEM, -NTM_EINVAL */
NTM_MUST_CHECK int paths_init(struct paths *p, uint32_t size);
void paths_clear(struct paths *p);
/** bytes that @size paths take, quotas of their accounts not counted */
size_t paths_bytes(uint32_t size);

/** any thread; handle or 0. @id: either end's */
uint32_t paths_find(const struct paths *p, uint64_t id);
static inline struct path *paths_at(const struct paths *p, uint32_t handle)
{
	return &p->all[handle - 1];
}

/** struct path_view - both ends of a path at one moment, as @id names them */
struct path_view {
	struct remote sender, receiver;
	bool sender_bound, receiver_bound, receiver_sure;
	uint32_t account; /* of the sender */
};
/** any thread, without a lock. @id: of a data packet: bit 0 names the receiver.
 *  Return: false: not this path any more, or it is being written without end */
bool paths_view(const struct path *path, uint64_t id, struct path_view *out);

/** any thread, without a lock: of @bytes in datagrams of @size to the end that is not
 *  sure, how many may go; they are taken from its credit */
size_t paths_take_credit(struct path *path, uint64_t id, size_t bytes,
			 uint16_t size);

/** any thread: for a few lines that neither block nor call the system */
void paths_lock(struct path *path);
void paths_unlock(struct path *path);
/** with paths_lock() */
/** @cookie: whoever is there has just shown that it gets what we send: all may go
 *  there for PATHS_SURE_S; else PATHS_CREDIT bytes in all, unless it was sure before */
void paths_bind(struct path_end *e, const struct remote *at, bool cookie,
		uint32_t now_s);
void paths_unbind(struct path_end *e);
bool paths_is_bound(const struct path_end *e);
bool paths_is_sure(const struct path_end *e);
bool paths_is_at(const struct path_end *e, const struct remote *at);

/** struct path_keys - what Relay Direction gives */
struct path_keys {
	uint64_t id; /* bit 0 clear */
	enum ntmc_aead_alg aead;
	struct datagram_keys end[2];
	uint64_t proven[2][2];
	uint32_t account[2];
	uint8_t owner;
};
/**
 * paths_put() - control thread: a new path, or other keys for a known one, whose
 * ends stay bound
 * @old: set to the accounts a known one had, else zeros
 *
 * Return: 0, -NTM_ELIMIT (no place), -NTM_EEXISTS (another link's, or of
 * other accounts)
 */
NTM_MUST_CHECK int paths_put(struct paths *p, const struct path_keys *k,
			     uint32_t now_s, uint32_t old[2]);
/** control thread: called for each path that ends, while its fields still stand */
typedef void paths_fn(void *arg, const struct path *path);
/** control thread: end it; its keys are wiped */
void paths_remove(struct paths *p, uint32_t handle, uint32_t now_s);
/** control thread: look at the next @n places: ends and paths whose time is over;
 *  @bound is called for a path with .fresh to which an end is bound now */
void paths_sweep(struct paths *p, uint32_t n, uint32_t now_s, paths_fn *gone,
		 paths_fn *bound, void *arg);

#endif

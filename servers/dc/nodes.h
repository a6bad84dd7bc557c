/* SPDX-License-Identifier: MIT */
/*
 * nodes - who the DC knows: nodes with their leases, sessions with their keys
 *
 * Owner:   struct dc. Context: loop thread. Written for a million nodes in 1 GiB:
 *          keys instead of cipher handles, 32-bit handles instead of pointers,
 *          nothing allocated by a keep-alive.
 * A node is a name with its lease and lives until it is released; a session is one
 * login and lives until it expires. During a renewal a node has two: @next becomes
 * @session at the first registration with it.
 */
#ifndef NTM_SERVERS_DC_NODES_H
#define NTM_SERVERS_DC_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/datagram.h"
#include "common/err.h"
#include "servers/dc/index.h"
#include "servers/dc/slab.h"
#include "servers/keyhash.h"
#include "servers/serverconf.h"

#define NODES_MAX	    (4u << 20)
#define NODES_ADDRESSES_MAX 8 /* kept of what a node says it has */
#define NODES_RELAYS_MAX    4 /* and of the relays that it measures */

/** struct endpoint - a node's outer address, and by which of ours it came;
 *  compared and hashed as bytes */
struct endpoint {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;	/* host order */
	uint8_t sock;	/* which socket of struct udp */
	uint8_t local;	/* which local address of struct udp; 0: any */
};

struct session {
	uint32_t slab_link;
	uint32_t node; /* handle; 0: place not in use */
	uint64_t node_id;
	struct ntmc_key up, down;
	struct ntmc_replay64 replay;
	uint32_t seq;	  /* datagrams we sealed, this boot */
	uint32_t expires; /* seconds since 1970 */
	uint8_t aead;
};

struct node_address {
	uint8_t ip[16];
	uint16_t port;
};

enum node_flags {
	NODE_PROVEN = 1,    /* @at echoed a challenge in this boot */
	NODE_REVOKED = 2,   /* withdrawn; only the Withdraw is still sent */
	NODE_RELEASED = 4,  /* goes when the Withdraw is done */
	NODE_REACHABLE = 8, /* @at is one of its own addresses, and open */
	NODE_AWAY = 16,	    /* its NS lacks it; until it is heard of */
};

/* what a node measured: struct relay's number, 0 none; in units of 100 us */
struct node_relay {
	uint16_t relay, rtt;
};

struct node {
	uint32_t slab_link;
	uint32_t vip4; /* host order; 0: none left when it was leased */
	char *fqdn;    /* NULL: place not in use */
	uint8_t ed_pub[NTMC_KEY_LEN], x_pub[NTMC_KEY_LEN];
	uint8_t x_sig[NTMC_SIG_LEN];
	uint64_t fp8;	    /* first 8 bytes of the fingerprint */
	uint64_t vip6_host; /* lower half of the virtual IPv6 address */
	uint64_t last_pair; /* pairs.h */
	uint32_t session, next;
	uint32_t next_of_account;
	uint32_t heard_s, registered_s; /* monotonic seconds + 1; 0 never */
	uint64_t paid_us; /* directions: time paid for, see direction.c */
	struct endpoint at;
	struct node_address addrs[NODES_ADDRESSES_MAX];
	struct node_relay relays[NODES_RELAYS_MAX];
	uint8_t n_addrs, flags;
	uint8_t families;    /* REACH_IP4, REACH_IP6: observed and its own */
	uint8_t mapping;     /* enum NatMapping */
	uint8_t relays_told; /* dc.relays_change when it was told of relays */
	uint8_t push_kind;   /* enum PushKind */
	uint8_t wakeup;	     /* enum Wakeup */
	uint8_t notifier;    /* its NS, see notify.c; 0: none */
	char *push;	     /* token; NULL: none */
	uint32_t pushed_s;   /* when it was pushed last, monotonic; 0: never */
	uint32_t waiting;    /* the direction that it was told of last */
	uint32_t cache_serial; /* of its list at the box; 0: nothing waits */
	uint16_t keepalive_s;  /* its interval; 0: the configured one */
};

struct nodes {
	struct slab nodes, sessions;
	struct index by_id, by_fqdn, by_account, by_fp, by_vip6;
	struct keyhash hash;
	uint8_t prefix6[8];
	struct server_slice slice;
	uint64_t *vip4_used; /* bitmap over the slice */
	uint32_t vip4_cursor, vip4_free;
};

/** @prefix6: of the CA, 8 bytes; @slice: of the CA */
NTM_MUST_CHECK int nodes_init(struct nodes *n, const uint8_t prefix6[static 8],
			      const struct server_slice *slice);
void nodes_clear(struct nodes *n);

static inline struct node *nodes_at(const struct nodes *n, uint32_t handle)
{
	return slab_at(&n->nodes, handle);
}
static inline struct session *nodes_session(const struct nodes *n,
					    uint32_t handle)
{
	return slab_at(&n->sessions, handle);
}

/** handles; 0 when there is none */
uint32_t nodes_find(const struct nodes *n, const char *fqdn);
uint32_t nodes_find_fp(const struct nodes *n,
		       const uint8_t fp[static NTMC_FP_LEN]);
uint32_t nodes_find_session(const struct nodes *n, uint64_t node_id);
/** first device of account.domain; the others by @next_of_account */
uint32_t nodes_find_account(const struct nodes *n, const char *name);

/** struct node_lease - what a node row holds; vip6_host 0: draw a fresh lease */
struct node_keys {
	const char *fqdn;
	const uint8_t *ed_pub, *x_pub, *x_sig;
	uint64_t vip6_host;
	uint32_t vip4;
};
/**
 * nodes_put() - find or make the node of a name; a lease for a new one
 *
 * Another identity takes the name over: the AS decides about names. Its keys are
 * replaced; the caller drops the old sessions (nodes_drop_sessions()).
 * Return: 0, -NTM_ENOMEM, -NTM_ELIMIT
 */
NTM_MUST_CHECK int nodes_put(struct nodes *n, const struct node_keys *k,
			     uint32_t *out);
/** forget the name and give its lease back */
void nodes_release(struct nodes *n, uint32_t node);
/** @kntmdc: only derived keys are kept. Return: 0, -NTM_ENOMEM, -NTM_EEXISTS (a
 *  Node ID drawn twice). The node's @next (or @session) becomes it */
NTM_MUST_CHECK int nodes_add_session(struct nodes *n, uint32_t node,
				     uint64_t node_id,
				     const struct ntmc_key *kntmdc,
				     enum ntmc_aead_alg aead, uint32_t expires);
/** unlinks it from its node and wipes it */
void nodes_drop_session(struct nodes *n, uint32_t session);

void nodes_vip6(const struct nodes *n, const struct node *node,
		uint8_t out[static 16]);
void endpoint_to_addr(const struct endpoint *e, struct addr *out);
bool endpoint_same_address(const struct endpoint *a, const struct endpoint *b);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * world - nodes with real control planes over a network made of nothing
 *
 * Owner:    the test. Context: one thread, one loop, the test's clock; a seed decides
 * every random number, so a failing seed fails again. Real: session, direction,
 * handshakes, peers, paths, cryptography, files. Made up: the data path (what is
 * sealed carries its key's first bytes instead), the keeper's stores, the shims, the
 * DC (dc.c) and the network: delay, jitter, loss, duplicates, addresses that come and
 * go.
 */
#ifndef NTM_TESTS_CONTROL_WORLD_H
#define NTM_TESTS_CONTROL_WORLD_H

#include "broker/account.h"
#include "broker/keepalive.h"
#include "broker/login.h"
#include "broker/peer.h"
#include "broker/pins.h"
#include "broker/policy.h"
#include "broker/resolve.h"
#include "broker/session.h"
#include "broker/worker.h"
#include "broker/writer.h"
#include "common/datagram.h"

#define WORLD_NODES  4
#define WORLD_ADDRS  4
#define WORLD_DOMAIN "ntm.test"
#define WORLD_START  1800000000 /* seconds since 1970 */
#define WORLD_PORT   7000

struct world;

/** struct blob - one of the fake keeper's; a new worker sees those of before */
struct blob {
	char key[KEEPER_KEY_MAX];
	uint8_t data[KEEPER_BLOB_MAX];
	size_t len;
	struct blob *next;
};

struct keeper_link {
	struct blob *blobs;
	struct engine_config configured;
	/* NULL: ntm-portmap cannot be started */
	int (*portmap)(int *fd);
};

#define NAT_MAPS    32
#define NAT_FILTERS 32

/** enum nat_rule - what a NAT makes its choice by */
enum nat_rule { NAT_ANY, NAT_ADDRESS, NAT_PORT };

/**
 * struct nat - in front of one node, IPv4 alone
 * @mapping: NAT_ANY: one outside port whoever is spoken to; NAT_PORT: one for each
 * @filter:  who may come in: anybody; an address, or address and port, spoken to
 */
struct nat {
	bool on;
	struct addr outside;
	uint64_t clock;
	uint16_t shift;	    /* of the outside ports */
	uint64_t forget_ns; /* a mapping silent for so long is gone; 0 never */
	uint64_t cut_ns;    /* every mapping older than that is; 0 none */
	const uint64_t *now_ns;
	enum nat_rule mapping, filter;
	struct nat_map {
		struct addr inside, to;
		uint16_t port;
		uint64_t used, made_ns, used_ns;
		struct addr spoken[NAT_FILTERS];
		size_t n_spoken;
	} maps[NAT_MAPS];
	size_t n;
};

/**
 * struct node - one device
 * @addrs:   outer addresses it has now
 * @path_mtu: outer IP packets above are lost on its link, silently
 * @got:     inner packets received, by sender's index; @bad: wrongly sealed ones
 *           accepted (must stay 0)
 */
struct node {
	struct world *world;
	unsigned int index;
	char fqdn[FQDN_MAX + 1], state[64], config[64];
	bool running;
	struct worker w;
	struct worker_env env;
	struct keeper_link keeper;
	struct addr addrs[WORLD_ADDRS];
	size_t n_addrs;
	struct nat nat;
	struct feeler *feeler; /* the open one */
	unsigned int mtu, path_mtu;
	uint8_t vip6[16], vip4[4];
	uint64_t sent, got[WORLD_NODES], rejected;
	uint64_t signals, datagrams;
};

struct packet;

/** struct wire - what the network does to a datagram */
struct wire {
	unsigned int delay_ms, jitter_ms, loss_percent, dup_percent;
};

struct packet {
	uint64_t due_ns;
	struct addr from, to;
	size_t len;
	struct packet *next;
	uint8_t buf[];
};

struct dc;
struct rs;

#define WORLD_RELAYS 2

struct world {
	uint64_t seed, now_ns;
	int64_t skew_s; /* of every wall clock */
	struct loop *loop;
	struct ntmc_env crypto;
	struct ntmc_ca *ca;
	uint8_t ca_der[NTMC_CERT_MAX], ca_fp[NTMC_FP_LEN], prefix6[16];
	size_t ca_len;
	struct node nodes[WORLD_NODES];
	size_t n_nodes;
	struct wire wire;
	bool in_order; /* what is sent in one ms arrives so, not the other way */
	struct packet *packets;
	struct dc *dc;
	struct rs *rs[WORLD_RELAYS];
	size_t n_rs;
	/* sees each datagram on its way; true: lost */
	bool (*watch)(struct world *wd, const struct packet *p);
	uint64_t delivered;
};

/** nodes are devN.alice.DOMAIN, not yet running */
void world_up(struct world *wd, uint64_t seed, size_t n_nodes);
void world_down(struct world *wd);
uint32_t world_random(struct world *wd, uint32_t below);
/** let @ms pass */
void world_run(struct world *wd, unsigned int ms);
/** until @done, or @ms are over. Return: it came true */
bool world_until(struct world *wd, unsigned int ms, bool (*done)(void *arg),
		 void *arg);

/** node: login (once) and start a worker */
void node_login(struct node *n, const char *fqdn);
void node_start(struct node *n);
/** as kill -9: no farewell, the keeper's stores stay */
void node_kill(struct node *n);
/** replace its addresses: text, or NULL for none of that family */
void node_move(struct node *n, const char *v4, const char *v6);
/** one inner packet towards the other's virtual IPv6 address */
void node_send(struct node *n, const struct node *to);
struct peer *node_peer(struct node *n, const struct node *other);

/* --- dc.c: a DC for the nodes of the world --- */
struct dc *dc_new(struct world *wd);
void dc_free(struct dc *dc);
void dc_datagram(struct dc *dc, uint8_t *buf, size_t len,
		 const struct addr *from);
/** a login: a session for the node. Return: the answer, freed by the caller */
Ntm__LoginResponse *dc_login(struct dc *dc, struct node *n, const char *fqdn);
void dc_set_down(struct dc *dc, bool down);
/** forget addresses, raise boot */
void dc_restart(struct dc *dc);
/** what it says of keep-alives: s; 20 and 0 at first */
void dc_keepalive(struct dc *dc, unsigned int base_s, unsigned int max_s);
/** it names that NS to who wants one, with a key of sevens; NULL: it has none */
void dc_notifier(struct dc *dc, const struct addr *at);
/** Route Direction Requests so far */
unsigned int dc_fetched(const struct dc *dc);
/** the DC writes to the node, as with a Route Direction. Return: it would arrive */
bool dc_reaches(struct dc *dc, const struct node *n);
/** note it in the list alone: nodes that ask find it */
void dc_revoke(struct dc *dc, const uint8_t *fp);
void dc_withdraw(struct dc *dc, const uint8_t *fp, struct node *to);
bool dc_owns(const struct addr *a);
/** its answer to every Domain Request from now on; and how many there were */
void dc_domain(struct dc *dc, const char *domain, const uint8_t *ca, size_t len,
	       uint32_t code);
unsigned int dc_domain_requests(const struct dc *dc);
/** the way of the next directions: CN is the one that sends */
void dc_cn_sends(struct dc *dc, bool on);
/** what the node told of itself, and how often */
const struct dc_told {
	unsigned int requests;
	Ntm__NatMapping mapping;
	size_t n_relays;
	uint32_t rtt_us, unasked;
	uint32_t interval_s;
	unsigned int keepalives, mappings;
} * dc_told(struct dc *dc, const struct node *n);

/* --- nat.c --- */
/** @outside: NULL: no NAT. Forgets every mapping */
void nat_set(struct node *n, const char *outside, enum nat_rule mapping,
	     enum nat_rule filter);
/** @silent_s: of a mapping until it is gone; @life_s: of every one, used or not */
void nat_forgets(struct node *n, unsigned int silent_s, unsigned int life_s);
/** a datagram leaves: @from becomes the outside */
void nat_out(struct nat *nat, struct addr *from, const struct addr *to);
/** a datagram comes to the outside: @to becomes the inside. Return: let in */
bool nat_in(struct nat *nat, const struct addr *from, struct addr *to);

/* --- rs.c: relays; each has an IPv4 and an IPv6 address --- */
/** another one, that the DC names from now on */
struct rs *rs_add(struct world *wd);
void rs_free(struct rs *rs);
bool rs_owns(const struct rs *rs, const struct addr *a);
void rs_datagram(struct rs *rs, uint8_t *buf, size_t len,
		 const struct addr *from, const struct addr *to);
void rs_set_down(struct rs *rs, bool down);
bool rs_is_down(const struct rs *rs);
/** say LIMIT to every punch, forward nothing */
void rs_set_limit(struct rs *rs, bool on);
/** say that it is the other end's account, to both */
void rs_set_limit_peer(struct rs *rs, bool on);
/** ends that have brought back the cookie from where they are bound */
unsigned int rs_sure(const struct rs *rs);
/** a Relay Direction; @proven: by end, NULL: none */
void rs_direct(struct rs *rs, uint64_t path_id, const struct ntmc_key *ktun,
	       const struct addr *mn, const struct addr *cn);
/** a Group Direction of two places */
void rs_group(struct rs *rs, uint64_t tag, const struct ntmc_key *bind);
void rs_name(const struct rs *rs, Ntm__Relay *out, Ntm__Address *a,
	     Ntm__Address **list);
uint64_t rs_id(const struct rs *rs);
/** struct rs_count - since it was made */
struct rs_count {
	uint64_t probes, punches, cookies, leaves, forwarded, refused;
};
const struct rs_count *rs_count(const struct rs *rs);
/** ends bound now */
unsigned int rs_bound(const struct rs *rs);

/* network, for dc.c and rs.c */
void world_send(struct world *wd, const uint8_t *buf, size_t len,
		const struct addr *from, const struct addr *to);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * domains - the DCs of other domains: who they are, keys with them, what they may say
 *
 * Owner:   struct dc. Context: loop thread. File: dc/peers, a line for each
 *          `ntm-server peer add`: DOMAIN SHA256 [ADDRESS], or `peer block`: DOMAIN -;
 *          durable when the command returns.
 * States:  enum domain_state; only domains.c writes it.
 *
 *   domains.c    the table
 *   kdcdc.c      finding, links, Kdcdc, datagrams under it
 *   inbound.c    links of others, and their Kdcdc
 *   peersfile.c  the file, and the commands that change it
 *   abroad.c     directions of our nodes towards theirs (we are DCmn)
 *   foreign.c    their node, as its DC says
 *   guest.c      directions of their nodes towards ours (we are DCcn), withdrawals
 *   meetings.c   which of our nodes met which of theirs
 */
#ifndef NTM_SERVERS_DC_DOMAINS_H
#define NTM_SERVERS_DC_DOMAINS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/channel.h"
#include "common/datagram.h"
#include "common/fqdn.h"
#include "servers/dc/chain.h"
#include "servers/dc/nodes.h"
#include "servers/serverconf.h"

#define DOMAINS_MAX	   256
#define DOMAIN_KEY_S	   86400 /* life of Kdcdc; renewed at half when it is used */
#define DOMAIN_KEY_GRACE_S 60 /* the key before opens so long */
#define DOMAIN_LINK_S	   10 /* to find the DC, connect, and have the key taken */
#define DOMAIN_FAILED_S	   30	/* then it is tried again */
#define DOMAIN_CA_MAX	   1100 /* bytes: nodes get it in one datagram */
#define DOMAIN_WHY_MAX	   200
#define DOMAIN_LINKS_MAX   32 /* channels from other DCs at once */
#define DOMAIN_BLOCKS_MAX  256

struct dc;
struct domains;

/**
 * enum domain_state - of our own key with its DC
 * @DOMAIN_IDLE:    none, and nobody asked. Leaves by domain_ready()
 * @DOMAIN_FINDING: DNS is asked
 * @DOMAIN_LINKING: TLS, Key Sharing, its acknowledgement
 * @DOMAIN_READY:   there is a key
 * @DOMAIN_FAILED:  for @err; DOMAIN_FAILED_S, then IDLE
 */
enum domain_state {
	DOMAIN_IDLE,
	DOMAIN_FINDING,
	DOMAIN_LINKING,
	DOMAIN_READY,
	DOMAIN_FAILED,
	DOMAIN_NSTATES
};

/** struct domain_key - one Kdcdc; @id 0: none. @ours: we made it, and ask under it */
struct domain_key {
	uint64_t id;
	bool ours;
	struct datagram_keys keys;
	struct ntmc_replay64 replay;
	uint64_t until; /* loop_now() */
	uint32_t seq;	/* datagrams we sealed */
	struct endpoint at;
};

enum { DOMAIN_OURS, DOMAIN_OURS_OLD, DOMAIN_THEIRS, DOMAIN_THEIRS_OLD };

/** struct domain_meetings - handles of meetings.c, oldest first */
struct domain_meetings {
	struct chain chain;
	uint32_t n;
};

/**
 * struct domain - one other domain
 * @number:   0: place not in use; not given to another one soon
 * @added:    by `peer add`; else DNSSEC vouches, until @vouched
 * @fp:       the CA's fingerprint, as added or as DNS says
 * @fixed:    its DC's addresses as added; none: DNS says
 * @ways:     in use; @found: until then, 0 never
 * @ca_len:   0: its CA has not been seen yet; else @ca and @constraint
 * @used:     our key has been asked for since it was made
 * @finding:  DNS is asked, until @find_until; @links: a link is made when it answers
 * @suspected: its DC did not answer under our key, which ends if no other is to be had;
 *            else one that cannot be renewed yet lives on, tried again from @again on
 * @met:      meetings.c
 */
struct domain {
	uint16_t number;
	char name[FQDN_MAX + 1];
	bool added, has_fp, used, finding, links, suspected;
	uint64_t vouched, find_until, again;
	uint8_t fp[NTMC_FP_LEN];
	struct server_ways fixed, ways;
	uint64_t found;
	size_t way, tried;
	enum domain_state state;
	int err;
	char why[DOMAIN_WHY_MAX];
	uint64_t since, deadline, heard;
	uint8_t ca[NTMC_CERT_MAX];
	size_t ca_len;
	struct ntmc_trust_domain constraint;
	struct channel *channel; /* ours to it */
	uint32_t share_txn;
	struct domain_key keys[4], next; /* @next: shared, not acknowledged */
	uint64_t paid_us, logged_ns;
	uint64_t asked, answered, refused;
	struct domain_meetings met;
};

NTM_MUST_CHECK int domains_new(struct dc *dc, struct domains **out);
void domains_close(
	struct domains *ds); /* channels, timers: before dc_destroy() */
void domains_free(struct domains *ds);

/** which other domain a name is in: one or two labels under it. NULL: none known */
struct domain *domains_of(const struct dc *dc, const char *fqdn);
/** NULL: forgotten */
struct domain *domains_at(const struct dc *dc, uint16_t number);
/** the same, or a place where DNSSEC may vouch for one. NULL: nobody knows it */
struct domain *domains_want(struct dc *dc, const char *fqdn);
/**
 * domain_ready() - can we ask its DC now? Begins to make a key where there is none
 * Return: 0, -NTM_EAGAIN (under way), or why not, for DOMAIN_FAILED_S
 */
int domain_ready(struct dc *dc, struct domain *d);
/** it has not answered: another key is made, with a DC that may have been restarted */
void domain_suspect(struct dc *dc, struct domain *d);
/** the key it made, or DNS, is of another CA than before: nothing of before counts */
void domain_other_ca(struct dc *dc, struct domain *d);
/** under our key (@ours), or under the newest of theirs. Return: false: not sent */
bool domain_send(struct dc *dc, struct domain *d, bool ours,
		 const Ntm__Signal *msg);
/** what it said is not its to say: counted, and logged now and then */
void domain_refuse(struct dc *dc, struct domain *d, const char *what,
		   const char *about);
/** a node's certificate content of @d: name, ranges, signature. Return: 0, -NTM_EPERM
 *  (not its to say), -NTM_EDECODE, -NTM_EAUTH */
NTM_MUST_CHECK int domain_check_node(const struct domain *d,
				     const Ntm__NodeInfo *n);
/** ms to wait, 0: go on and the request is paid */
uint64_t domain_must_wait_ms(struct dc *dc, struct domain *d);

/** Return: false when h->id is no other DC's */
bool domains_receive(struct dc *dc, const struct endpoint *from,
		     const struct packet_header *h, uint8_t *buf, size_t len);
/** node's Domain Request */
void domains_request(struct dc *dc, uint32_t session,
		     const struct endpoint *from, uint32_t txn,
		     const Ntm__DomainRequest *q);

/** channels of other domains' DCs, from serverlink.c */
void domains_link_open(struct dc *dc, struct channel *c);
bool domains_link_message(struct dc *dc, struct channel *c,
			  const Ntm__Envelope *msg);
bool domains_link_closed(struct dc *dc, struct channel *c);

/** once a second */
void domains_sweep(struct dc *dc, uint64_t now);

/* --- for peersfile.c ----------------------------------------------------------- */

/** add or find; NULL: no place, or it is blocked */
struct domain *domain_put(struct dc *dc, const char *name);
/** keys, link: all ends now; the place is free */
void domain_drop(struct dc *dc, struct domain *d);
/** the same, but the place, its name and who met its nodes stay */
void domain_reset(struct dc *dc, struct domain *d);
/**
 * domains_conflict() - may a CA with @fp speak for @name beside the others?
 * @why: DOMAIN_WHY_MAX bytes: one sentence when not
 */
bool domains_conflict(const struct dc *dc, const char *name,
		      const uint8_t fp[static NTMC_FP_LEN], char *why);
/** is it, or a domain above it, blocked? Nobody vouches for it then */
bool domains_blocked(const struct dc *dc, const char *name);
/** new reference: an array */
json_t *domains_admin(struct dc *dc);

/* peersfile.c */
NTM_MUST_CHECK int peersfile_load(struct dc *dc);
/** "peer-add", "peer-list", "peer-remove", "peer-block", "peer-unblock"; NULL: another
 *  command */
json_t *peersfile_admin(struct dc *dc, const char *command, json_t *request);

#endif

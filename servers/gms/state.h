/* SPDX-License-Identifier: MIT */
/*
 * state - the GMS's own data, shared by the files of this folder
 *
 * Owner: gms.c makes and frees it. Context: loop thread.
 *
 *   gms.c      start, stop, clock, admin
 *   callers.c  nodes' connections, who they are
 *   entries.c  what members write
 *   pace.c     how much of us one device has
 *   people.c   what else they say, and ask
 *   follow.c   who follows which group, and what each is told
 *   asfeed.c   what the AS says: keys, who was withdrawn
 *   replica.c  the relay of a group's packets, by the DC
 *   defined.c  groups that an administrator has defined
 *   ledger.c   the groups
 */
#ifndef NTM_SERVERS_GMS_STATE_H
#define NTM_SERVERS_GMS_STATE_H

#include <uthash.h>

#include "common/channel.h"
#include "servers/gms/gms.h"
#include "servers/gms/ledger.h"
#include "servers/clockguard.h"
#include "servers/servercert.h"

#define GMS_FOLLOWED	 64 /* groups that one connection follows */
#define GMS_FOUNDED	 64 /* groups that one node has founded and is in */
#define GMS_WINDOW_S	 10
#define GMS_ENTRIES	 10   /* entries of one device in a window */
#define GMS_SAID	 1024 /* messages of one device at once */
#define GMS_SAID_S	 50   /* and a second from then on */
#define GMS_ACKS	 64   /* that wait for the disk, of one connection */
#define GMS_IDLE_S	 600
#define GMS_WANT_S	 60	     /* between two welcomes for one member */
#define GMS_KEEP_S	 (7 * 86400) /* the log of a group that has ended */
#define GMS_SESSIONS	 16384
#define GMS_STRANGERS	 256 /* of other domains, that follow nothing (yet) */
#define GMS_STRANGER_S	 10  /* for as long */
#define GMS_GIVE_S	 10  /* an old store waits for who has what it lacks */
#define GMS_FLUSH_MS	 100
#define GMS_NEWS_MAX	 49152 /* bytes of entries in one Group News */
#define GMS_NEWS_ENTRIES 200
#define GMS_PEOPLE	 200 /* members in one Group Answer */

struct caller;
struct news;
struct pace;

/** struct follow - a member that is told of a group
 * @told: the epoch of the last news
 * @ahead: the node has had a later one than we, as our own seal of it shows: what we lack
 *         is taken from it. @past: th of that epoch. @gave: when it gave last, or came;
 *         loop_now()
 * @more: it was not told all; the rest when it has acknowledged
 */
struct follow {
	struct follow *prev, *next; /* of the group; utlist */
	struct caller *caller;
	struct ledger_group *lg;
	uint32_t index;
	uint64_t told, ahead, gave;
	uint8_t past[NTMC_HASH_LEN];
	bool more;
};

/** struct caller - a node's connection
 * @stranger: of another domain, and no member that we know of yet
 * @ours:  of our domain; @kngms: valid where @has_key
 * @slowed: it has said more than one device may, once
 * @parts: of the entry that it is about to submit
 * @acks:  txns to answer when the disk has what they were about
 */
struct caller {
	UT_hash_handle hh; /* by channel */
	struct gms *gms;
	struct channel *channel;
	uint8_t ed_pub[NTMC_KEY_LEN];
	char fqdn[NTMC_FQDN_MAX + 1];
	bool ours, stranger, has_key, slowed;
	struct ntmc_key kngms;
	struct follow *follows[GMS_FOLLOWED];
	unsigned int n_follows;
	uint8_t group[GROUP_ID_LEN];
	uint64_t epoch;
	struct ledger_part *parts;
	uint8_t *part_bytes;
	size_t n_parts, parts_max;
	uint32_t acks[GMS_ACKS];
	unsigned int n_acks;
};

struct gms_stats {
	uint64_t entries, refused, renewals, news, repaired, forks, wants,
		slowed;
};

struct gms {
	const struct role_env *env;
	struct loop *loop;
	const struct server_conf *conf;
	struct servercert cert, cert_before; /* until its sessions have ended */
	int64_t look;
	struct ntmc_identity id;
	struct ledger *ledger;
	struct asfeed *asfeed;
	struct replica *replica;
	struct news *news; /* follow.c */
	struct channel_listener *listeners[ROLE_SOCKETS_MAX];
	struct caller *callers;
	struct pace *paces; /* pace.c */
	struct plan *plans; /* defined.c */
	unsigned int n_plans;
	unsigned int n_strangers;
	unsigned int people_page; /* members in one answer; tests take less */
	struct loop_timer *clock, *flush;
	bool flushing;
	struct clockguard guard;
	bool held; /* the clock has jumped: nothing ends by time */
	struct gms_stats stats;
	struct loop_task destroy;
};

/* gms.c */
/** what is noted is written soon, and answered then */
void gms_flush_soon(struct gms *gms);

/* callers.c */
extern const struct channel_ops caller_ops;
/** the AS has withdrawn it: its connections end. @fqdn: NULL: look at all */
void callers_withdrawn(struct gms *gms, const char *fqdn);
/** the disk has it all: answer */
void callers_flushed(struct gms *gms, int code);
void caller_send(struct caller *ca, Ntm__Envelope *msg);
void caller_ack(struct caller *ca, uint32_t txn, int code);
/** when the disk has what was noted */
void caller_ack_later(struct caller *ca, uint32_t txn);
void caller_gone(struct caller *ca, const uint8_t *group, int code,
		 uint64_t epoch);
/** the group that @id names, and which member of it the caller is.
 *  Return: 0, -NTM_ENOTFOUND, -NTM_ENONAME, -NTM_EEXPIRED (it has ended) */
NTM_MUST_CHECK int caller_member(struct caller *ca,
				 const ProtobufCBinaryData *id,
				 struct ledger_group **lg, uint32_t *index);
void caller_drop_parts(struct caller *ca);
/** it is of our domain and has shown no login: RN2 is not for it */
bool caller_needs_key(const struct caller *ca);
/** it is a member of one of the groups here */
void caller_known(struct caller *ca);

/* entries.c */
void entries_parts(struct caller *ca, const Ntm__GroupParts *m);
void entries_submit(struct caller *ca, uint32_t txn, const Ntm__GroupSubmit *m);

/* pace.c */
/** a connection: where its device has said too much before, it waits */
void pace_opened(struct caller *ca);
/** it has said something, which was done: one more counts */
void pace_said(struct caller *ca);
/** it writes an entry. Return: false: not now (RATE) */
NTM_MUST_CHECK bool pace_writes(struct caller *ca);
/** forget who has said nothing of late, or everybody */
void pace_sweep(struct gms *gms, bool all);

/* people.c */
void people_acked(struct caller *ca, uint32_t txn, const Ntm__GroupAck *m);
void people_question(struct caller *ca, uint32_t txn,
		     const Ntm__GroupQuestion *m);
void people_leave(struct caller *ca, uint32_t txn, const Ntm__GroupLeave *m);
void people_want(struct caller *ca, uint32_t txn, const Ntm__GroupWant *m);

/* defined.c */
/** what is on the disk. Return: 0, -NTM_ESTORE, -NTM_ENOMEM */
NTM_MUST_CHECK int defined_open(struct gms *gms);
void defined_close(struct gms *gms);
/** what has been over for long goes */
void defined_tidy(struct gms *gms);
void defined_question(struct caller *ca, uint32_t txn,
		      const Ntm__GroupPlanQuestion *m);
json_t *defined_list(struct gms *gms);
/** define and undefine; NULL: neither */
json_t *defined_admin(struct gms *gms, const char *command,
		      const json_t *request);

/* asfeed.c */
struct asfeed;
/** Return: 0; -NTM_ECONF: it is not known where the AS is; -NTM_ESTORE, -NTM_ENOMEM */
NTM_MUST_CHECK int asfeed_new(struct gms *gms, struct asfeed **out);
void asfeed_free(struct asfeed *a); /* NULL is fine */
/** for the next channel to the AS: another certificate */
void asfeed_set_tls(struct asfeed *a, struct tls_context *tls);
/** does the AS share keys with us? Then nodes of the domain are to show theirs */
bool asfeed_has_keys(const struct asfeed *a);
/** Kngms of a login. Return: 0, -NTM_ENOLOGIN (of a key that is not known), -NTM_ENOMEM */
NTM_MUST_CHECK int asfeed_node_key(const struct asfeed *a, uint64_t key_id,
				   uint64_t node_id,
				   const uint8_t ed_pub[static NTMC_KEY_LEN],
				   struct ntmc_key *kngms);
/** was the node withdrawn? Nobody knows until the AS has said it */
bool asfeed_withdrawn(const struct asfeed *a, const char *fqdn);
/** does the channel to the AS stand? */
bool asfeed_is_fed(const struct asfeed *a);

/* replica.c */
#define REPLICA_LIFETIME_S 60 /* of an epoch at its relay */
#define REPLICA_EVERY_S	   20 /* it is given more time */
#define REPLICA_RETRY_S	   5  /* where no relay was found, or nobody answered */

struct replica;
/** connects to the DC. Return: 0, -NTM_ENOMEM, -NTM_ECONF (it is not known where) */
NTM_MUST_CHECK int replica_new(struct gms *gms, struct replica **out);
void replica_free(struct replica *r); /* NULL is fine */
/** for the next channel to the DC: another certificate */
void replica_set_tls(struct replica *r, struct tls_context *tls);
/** has it a relay, as it should? Else, and now and then, the DC is asked */
void replica_look(struct gms *gms, struct ledger_group *lg);
/** @f, who has the epoch: where its packets are replicated, if that is known */
void replica_tell(struct follow *f);
bool replica_is_linked(const struct replica *r);
/** groups that have a relay */
size_t replica_count(const struct replica *r);

/* follow.c */
/** room for what is told; freed with @gms. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int follow_open(struct gms *gms);
struct follow *follow_find(const struct caller *ca,
			   const struct ledger_group *lg);
/** Return: 0, -NTM_ELIMIT, -NTM_ENOMEM */
NTM_MUST_CHECK int follow_new(struct caller *ca, struct ledger_group *lg,
			      uint32_t index, struct follow **out);
void follow_free(struct follow *f);
/** does the node have what we lack, still? Another may have given it back meanwhile */
bool follow_ahead(struct follow *f);
/** does anybody here have what we lack, and gives it? Then nothing else moves @lg on */
bool follow_gives(struct gms *gms, struct ledger_group *lg);
/** what @f has not been told yet; nothing where the epoch was given back to us just now */
void follow_news(struct follow *f);
/** all of @lg: news; those that are no members any more: Gone */
void follow_push(struct gms *gms, struct ledger_group *lg);
/** a member's wish to leave, to all others */
void follow_leave(struct gms *gms, struct ledger_group *lg,
		  const struct group_leave *leave);
/** and to one who has just come */
void follow_leaves(struct follow *f);
/** those who ask for a welcome, each to one who is there and can give it */
void follow_wants(struct gms *gms, struct ledger_group *lg);
/** all have left: the group ends */
void follow_end(struct gms *gms, struct ledger_group *lg);
/** the connection before ends, where a member comes by a second one */
void follow_only(struct follow *f);
/** the GMS's own entry, if it is time and nobody gives back what we lack (or @now); Return: 0, ledger_renew()'s */
NTM_MUST_CHECK int follow_renew(struct gms *gms, struct ledger_group *lg,
				bool now);

#endif

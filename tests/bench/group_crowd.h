/* SPDX-License-Identifier: MIT */
/*
 * group_crowd - members of one group in one process, each with ntm-member's own engine
 *
 * Owner:    group_load. Context: one loop.
 * A mate is what one device has: identity, TLS connection, store, and the engine
 * (broker/member/member.h), which is given what the parts of ntm-member around it give it:
 * messages to and from the GMS, the word to the worker with each epoch's keys, and the
 * emptying of the store's log behind each epoch. Whatever a member finds wrong ends the
 * process.
 */
#ifndef NTM_TESTS_BENCH_GROUP_CROWD_H
#define NTM_TESTS_BENCH_GROUP_CROWD_H

#include "broker/member/member_impl.h"
#include "common/addr.h"
#include "common/channel.h"

/**
 * struct mate - a member
 * @m:      NULL: not in the group. @prekey: the one that it joins with
 * @epoch:  whose keys it has. @key_ns: when they came, loop_now_exact()
 * @done:   what became of its wish; 1: nothing yet
 * @people: its question has an answer
 * @untidy: its store's log has an epoch of before
 */
struct mate {
	struct crowd *crowd;
	struct ntmc_identity id;
	char fqdn[NTMC_FQDN_MAX + 1];
	struct tls_context *tls;
	struct channel *channel;
	struct memberstore *store;
	struct member_setup setup;
	struct member *m;
	struct member_prekey prekey;
	uint64_t epoch, key_ns;
	bool open, people, untidy;
	int done;
};

/** struct crowd - @word: both ends of the way to the worker; what comes is dropped */
struct crowd {
	struct loop *loop;
	struct loop_timer *tick; /* so that no wait is for ever */
	struct mate *mate;
	unsigned int n;
	int word[2];
};

/** struct crowd_domain - whose devices they are; borrowed while the crowd is made */
struct crowd_domain {
	struct ntmc_ca *ca;
	struct ntmc_trust *trust;
	struct ntmc_trust_domain domain;
	uint8_t der[NTMC_CERT_MAX];
	size_t len;
};

/** ends the process with a line, unless @r is 0 */
void must(int r, const char *what);

/** @stores: a folder, where each has a store */
void crowd_open(struct crowd *c, unsigned int n, const struct crowd_domain *d,
		const char *stores);
void crowd_close(struct crowd *c);
/** until it is so; after a minute the process ends */
void crowd_turn(struct crowd *c, bool (*cond)(struct crowd *c));
/** all stores' logs are emptied. A device does it half a second behind its key; here all do
 *  when the last one has the key, as nobody waits for the others' disks */
void crowd_tidy(struct crowd *c);

/** connect; the engine says hello when it is open */
void mate_connect(struct mate *p, const struct addr *at);
/** found a group at the GMS of @key */
void mate_found(struct mate *p, const uint8_t *key);
/** as who is added by an entry of its inviter; its next prekey is drawn */
void mate_joiner(struct mate *p, struct group_joiner *out);
/** with the welcome of @from, which has the entry; hello where there is a connection */
void mate_join(struct mate *p, const struct mate *from);
/** after it was removed */
void mate_forget(struct mate *p);

#endif

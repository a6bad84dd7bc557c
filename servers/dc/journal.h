/* SPDX-License-Identifier: MIT */
/*
 * journal - the DC's durable side: leases, sessions, push tokens, withdrawals, boot number
 *
 * Owner:   struct dc. A thread owns the SQLite store once journal_start() was
 *          called, because a commit waits for the disk and datagrams must not.
 *          Calls and callbacks are on the loop thread, callbacks in order.
 * What is asked while a commit is under way shares the next one. When a commit
 * fails (disk full), every job in it is told so, and the next one starts afresh.
 * Limit:   JOURNAL_QUEUE_MAX jobs waiting.
 */
#ifndef NTM_SERVERS_DC_JOURNAL_H
#define NTM_SERVERS_DC_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/fqdn.h"
#include "common/loop.h"
#include "libntmcrypto/ntmcrypto.h"

#define JOURNAL_QUEUE_MAX  65536
#define JOURNAL_REVOKE_MAX 256 /* fingerprints in one call */

struct journal;

struct journal_node {
	char fqdn[FQDN_MAX + 1];
	uint64_t vip6_host;
	uint32_t vip4;
	uint8_t ed_pub[NTMC_KEY_LEN], x_pub[NTMC_KEY_LEN], x_sig[NTMC_SIG_LEN];
};

struct journal_session {
	uint64_t node_id;
	struct ntmc_key kntmdc;
	uint32_t aead, expires;
};

struct journal_revocation {
	uint64_t serial;
	int64_t at;
	uint8_t fp[NTMC_FP_LEN];
	char fqdn[FQDN_MAX + 1]; /* whose sessions go; empty: none known */
};

/** @err: 0 when it is durable, -NTM_ESTORE */
typedef void journal_fn(void *arg, int err);

/** opens or makes the store. @start: raises the boot number, durably */
NTM_MUST_CHECK int journal_open(const char *path, bool start,
				struct journal **out);
/** every session goes: after a restore the boot number is an old one, and counters
 *  under their keys would be used twice */
NTM_MUST_CHECK int journal_forget_sessions(struct journal *j);
/** a consistent copy; before journal_start() */
NTM_MUST_CHECK int journal_backup(struct journal *j, const char *path);
uint64_t journal_boot(const struct journal *j);
uint64_t journal_serial(const struct journal *j);

/** what the last process left: every node, then its sessions, oldest first, push
 *  tokens, then the withdrawals by serial; before journal_start() */
struct journal_load_ops {
	int (*node)(void *arg, const struct journal_node *n);
	int (*session)(void *arg, const char *fqdn,
		       const struct journal_session *s);
	int (*push)(void *arg, const char *fqdn, int kind, const char *token);
	int (*revocation)(void *arg, const struct journal_revocation *r);
};
NTM_MUST_CHECK int journal_load(struct journal *j,
				const struct journal_load_ops *ops, void *arg,
				int64_t now);
NTM_MUST_CHECK int journal_start(struct journal *j, struct loop *l);
/** finishes what is queued; callbacks not yet made get -NTM_ECLOSED */
void journal_close(struct journal *j);

/**
 * journal_session() - a lease and a session; takes the identity off the list
 * @replace: another identity had the name: its sessions go
 * Return: 0 (@fn will be called), -NTM_ELIMIT, -NTM_ENOMEM
 */
NTM_MUST_CHECK int journal_session(struct journal *j,
				   const struct journal_node *n,
				   const struct journal_session *s,
				   bool replace, journal_fn *fn, void *arg);
/** a session is over; if it cannot be queued it goes when it expires */
void journal_drop(struct journal *j, uint64_t node_id);
/** the token by which a node is told; NULL: none. Not more than a hint, so nobody
 *  waits: a node says it again with each registration */
void journal_push(struct journal *j, const char *fqdn, int kind,
		  const char *token);
/** the tokens go with the sessions. @release: the leases too */
NTM_MUST_CHECK int journal_revoke(struct journal *j,
				  const struct journal_revocation *r, size_t n,
				  bool release, journal_fn *fn, void *arg);
/** withdrawals before @revoked_before and sessions expired at @now */
void journal_prune(struct journal *j, int64_t revoked_before, int64_t now);

#endif

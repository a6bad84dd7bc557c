/* SPDX-License-Identifier: MIT */
/*
 * dcstore - what stands in the DC's store, and how a job of the journal changes it
 *
 * Owner:   the journal, whose thread runs dcstore_write(); the rest is called before it
 *          starts. No state of its own.
 */
#ifndef NTM_SERVERS_DC_DCSTORE_H
#define NTM_SERVERS_DC_DCSTORE_H

#include "common/store.h"
#include "servers/dc/journal.h"

enum job_kind { JOB_SESSION, JOB_DROP, JOB_REVOKE, JOB_PRUNE, JOB_PUSH };

/** struct job - a change that somebody waits for (@fn), in the journal's order */
struct job {
	struct job *next;
	enum job_kind kind;
	journal_fn *fn;
	void *arg;
	int err;
	bool flag; /* SESSION: replace; REVOKE: release */
	int64_t a, b;
	char *token; /* PUSH; NULL: none */
	struct journal_node node;
	struct journal_session session;
	size_t n;
	struct journal_revocation revocations[]; /* REVOKE: @n */
};

/** opens or makes it. @start: raises @boot, durably. @out is the caller's to close, on
 *  an error too; @serial: of the last withdrawal */
NTM_MUST_CHECK int dcstore_open(const char *path, bool start,
				struct store **out, uint64_t *boot,
				uint64_t *serial);
NTM_MUST_CHECK int dcstore_forget_sessions(struct store *s);
/** as journal_load() says */
NTM_MUST_CHECK int dcstore_load(struct store *s,
				const struct journal_load_ops *ops, void *arg,
				int64_t now);
/** all of @list in one transaction, or nothing of it. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int dcstore_write(struct store *s, const struct job *list);

/** the steps of its tables, each as stores have run it: to try upgrades */
const char *const *dcstore_schema(size_t *n);

#endif

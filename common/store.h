/* SPDX-License-Identifier: MIT */
/*
 * store - durable state in SQLite (WAL, synchronous=FULL): what was acknowledged
 * survives kill -9
 *
 * Owner:    one process opens one store; statements are prepared once, by number.
 * Context:  loop thread; calls are short but may wait for the disk.
 * The SQL lives in the role that owns the tables, as a table of statements.
 */
#ifndef NTM_COMMON_STORE_H
#define NTM_COMMON_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct store;

/**
 * store_open() - open or create (0600)
 * @schema:   array of @n_schema scripts; number i brings user_version i to i + 1
 * @statements: array of @n_statements SQL texts, prepared now, used by index
 * Return: 0, -NTM_ESTORE, -NTM_EVERSION (made by a newer program)
 */
NTM_MUST_CHECK int store_open(const char *path, const char *const *schema,
			      size_t n_schema, const char *const *statements,
			      size_t n_statements, struct store **out);
/**
 * store_alone() - nobody else opens this file: its locks are kept from the next statement
 * to store_close(), in place of taken and given back by each. Who opens it even so waits
 * for some seconds, and gets -NTM_ESTORE
 * Return: 0, -NTM_ESTORE
 */
NTM_MUST_CHECK int store_alone(struct store *s);
void store_close(struct store *s);

NTM_MUST_CHECK int store_begin(struct store *s);
NTM_MUST_CHECK int store_commit(struct store *s);
void store_rollback(struct store *s);

/**
 * store_group() - from now on what is written waits for store_flush(), and shares one
 * commit; a transaction is a part of it that can be undone alone
 * @begun: called when the first of it is written; it sees to it that store_flush() is
 *         called before anybody hears of success
 */
void store_group(struct store *s, void (*begun)(void *arg), void *arg);
/** is there something that is not on the disk? */
bool store_pending(const struct store *s);
/** Return: 0: all is on the disk; -NTM_ESTORE: nothing since the last flush is, and
 *  nothing of it is in the store any more */
NTM_MUST_CHECK int store_flush(struct store *s);
/** nothing since the last flush is in the store any more */
void store_drop(struct store *s);

/** bind arguments (1-based) of statement @st; reset by store_step's end */
void store_bind_int(struct store *s, size_t st, int index, int64_t value);
void store_bind_text(struct store *s, size_t st, int index, const char *text);
void store_bind_blob(struct store *s, size_t st, int index, const void *data,
		     size_t len);
/** Return: 1 a row, 0 done (statement reset), -NTM_ESTORE (disk full included),
 *  -NTM_EEXISTS (a UNIQUE constraint) */
NTM_MUST_CHECK int store_step(struct store *s, size_t st);
void store_reset(struct store *s, size_t st);
int64_t store_int(struct store *s, size_t st, int column);
/** borrowed until the next step or reset; "" for NULL */
const char *store_text(struct store *s, size_t st, int column);
/** copies at most @size bytes; Return: the column's length */
size_t store_blob(struct store *s, size_t st, int column, void *out,
		  size_t size);
/** one step, a row is not looked at; 0 or store_step()'s errors */
NTM_MUST_CHECK int store_run(struct store *s, size_t st);
/**
 * store_tidy() - what was written over leaves the write-ahead log, too: secure_delete
 * wipes its place in the database, and the log's file is emptied
 * Return: 0; -NTM_ESTORE: not now, nothing has changed
 */
NTM_MUST_CHECK int store_tidy(struct store *s);
/** rows that the last statement changed */
int64_t store_changes(const struct store *s);
/** A number that grows with all that this store changes or takes back: what was read at
 *  the same number is so still, as far as nobody else writes the file (store_alone()). */
int64_t store_moment(const struct store *s);
/** a consistent copy while running (online backup); Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int store_backup(struct store *s, const char *path);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * writer - small files to the disk, beside the loop
 *
 * Owner:    the worker. Context: calls and callbacks on the loop thread; one thread of
 *           its own waits for the disk, so that packets do not.
 * What was asked for last about a path is what it holds in the end: a job that has
 * not begun is replaced by a newer one, and whoever asked for it hears of that one.
 * Limit:    WRITER_JOBS_MAX paths.
 */
#ifndef NTM_BROKER_WRITER_H
#define NTM_BROKER_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/loop.h"

#define WRITER_JOBS_MAX 16

struct writer;

/** @err: 0 when it is durable, else that of file_write() */
typedef void writer_fn(void *arg, int err);

NTM_MUST_CHECK int writer_new(struct loop *l, struct writer **out);
/** writes what is queued, calls nobody back; NULL is fine */
void writer_free(struct writer *w);

/**
 * writer_replace() - @path with @len bytes, 0600, whole or not at all
 * @data: from malloc(); taken even when this fails, and wiped
 * @fn:   called once, in a later turn; NULL: nobody asks
 * Return: 0, -NTM_ENOMEM, -NTM_ELIMIT
 */
NTM_MUST_CHECK int writer_replace(struct writer *w, const char *path,
				  uint8_t *data, size_t len, writer_fn *fn,
				  void *arg);
/** wait until all of it is on the disk; nobody is called back yet. Return: 0, or an
 *  error of what was not called back before */
NTM_MUST_CHECK int writer_flush(struct writer *w);
/** the same, and call back, until nothing is left: an orderly end; NULL is fine */
void writer_finish(struct writer *w);

#endif

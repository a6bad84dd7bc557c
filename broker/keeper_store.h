/* SPDX-License-Identifier: MIT */
/*
 * keeper_store - descriptors and blobs that outlive a worker, under short keys
 *
 * Owner:    the keeper. Context: keeper process. Never looks inside a blob.
 */
#ifndef NTM_BROKER_KEEPER_STORE_H
#define NTM_BROKER_KEEPER_STORE_H

#include <stdint.h>

#include "broker/keeper_proto.h"

struct keeper_store;

NTM_MUST_CHECK int keeper_store_new(struct keeper_store **out);
void keeper_store_free(struct keeper_store *s);

/** @fd: becomes the store's, also on error. @generation: the worker that puts it.
 *  Return: 0, -NTM_ELIMIT, -NTM_ENOMEM, -NTM_EINVAL (no key) */
NTM_MUST_CHECK int keeper_store_put_fd(struct keeper_store *s, const char *key,
				       int fd, uint32_t generation);
NTM_MUST_CHECK int keeper_store_put_blob(struct keeper_store *s,
					 const char *key, const void *data,
					 size_t len, uint32_t generation);
/** Return: 0, -NTM_ENOTFOUND */
NTM_MUST_CHECK int keeper_store_del_fd(struct keeper_store *s, const char *key);
NTM_MUST_CHECK int keeper_store_del_blob(struct keeper_store *s,
					 const char *key);

/** the descriptor under @key, which stays the store's; -1: there is none */
int keeper_store_fd(const struct keeper_store *s, const char *key);

/** calls @fn for what older generations than @generation put under keys that begin
 *  with @prefix; descriptors only once per generation, and they stay the store's.
 *  Ends when @fn does not return 0. Return: what @fn returned last, or 0 */
NTM_MUST_CHECK int keeper_store_each(struct keeper_store *s, enum keeper_op op,
				     const char *prefix, uint32_t generation,
				     int (*fn)(void *arg, const char *key,
					       int fd, const void *data,
					       size_t len),
				     void *arg);

#endif

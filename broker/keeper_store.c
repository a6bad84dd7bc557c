/* SPDX-License-Identifier: MIT */
/* keeper_store - descriptors and blobs that outlive a worker, under short keys */
#include "broker/keeper_store.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* out of memory is an answer, not an end */
#define HASH_NONFATAL_OOM	   1
#define uthash_nonfatal_oom(entry) ((entry)->lost = true)
#include <stdbool.h>
#include <uthash.h>

struct entry {
	char key[KEEPER_KEY_MAX];
	uint32_t generation; /* of who put it, or to whom it was handed */
	bool lost;	     /* could not be hashed */
	int fd;		     /* -1: a blob */
	size_t len;
	UT_hash_handle hh;
	uint8_t data[];
};

struct keeper_store {
	struct entry *fds, *blobs;
};

int keeper_store_new(struct keeper_store **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -NTM_ENOMEM;
}

static void entry_free(struct entry **table, struct entry *e)
{
	HASH_DEL(*table, e);
	if (e->fd >= 0)
		close(e->fd);
	explicit_bzero(e->data, e->len); /* a blob may hold a secret */
	free(e);
}

void keeper_store_free(struct keeper_store *s)
{
	struct entry *e, *next;

	HASH_ITER (hh, s->fds, e, next)
		entry_free(&s->fds, e);
	HASH_ITER (hh, s->blobs, e, next)
		entry_free(&s->blobs, e);
	free(s);
}

static int put(struct entry **table, size_t max, const struct entry *head,
	       const void *data)
{
	struct entry *e, *old;

	if (!head->key[0] || !memchr(head->key, '\0', sizeof(head->key)))
		return -NTM_EINVAL;
	HASH_FIND_STR(*table, head->key, old);
	if (!old && HASH_COUNT(*table) >= max)
		return -NTM_ELIMIT;
	e = malloc(sizeof(*e) + head->len);
	if (!e)
		return -NTM_ENOMEM;
	*e = *head;
	if (head->len)
		memcpy(e->data, data, head->len);
	if (old)
		entry_free(table, old);
	HASH_ADD_STR(*table, key, e);
	if (!e->lost)
		return 0;
	explicit_bzero(e->data, e->len);
	free(e);
	return -NTM_ENOMEM;
}

int keeper_store_put_fd(struct keeper_store *s, const char *key, int fd,
			uint32_t generation)
{
	struct entry head = {.fd = fd, .generation = generation};
	int err;

	strncpy(head.key, key, sizeof(head.key) - 1);
	err = put(&s->fds, KEEPER_FDS_MAX, &head, NULL);
	if (err)
		close(fd);
	return err;
}

int keeper_store_put_blob(struct keeper_store *s, const char *key,
			  const void *data, size_t len, uint32_t generation)
{
	struct entry head = {.fd = -1, .generation = generation, .len = len};

	if (len > KEEPER_BLOB_MAX)
		return -NTM_ETOOBIG;
	strncpy(head.key, key, sizeof(head.key) - 1);
	return put(&s->blobs, KEEPER_BLOBS_MAX, &head, data);
}

static int del(struct entry **table, const char *key)
{
	struct entry *e;

	HASH_FIND_STR(*table, key, e);
	if (!e)
		return -NTM_ENOTFOUND;
	entry_free(table, e);
	return 0;
}

int keeper_store_del_fd(struct keeper_store *s, const char *key)
{
	return del(&s->fds, key);
}

int keeper_store_del_blob(struct keeper_store *s, const char *key)
{
	return del(&s->blobs, key);
}

int keeper_store_fd(const struct keeper_store *s, const char *key)
{
	struct entry *e;

	HASH_FIND_STR(s->fds, key, e);
	return e ? e->fd : -1;
}

int keeper_store_each(struct keeper_store *s, enum keeper_op op,
		      const char *prefix, uint32_t generation,
		      int (*fn)(void *arg, const char *key, int fd,
				const void *data, size_t len),
		      void *arg)
{
	struct entry *table = op == KEEPER_FD_EACH ? s->fds : s->blobs;
	size_t prefix_len = strlen(prefix);
	struct entry *e, *next;
	int err;

	HASH_ITER (hh, table, e, next) {
		if (e->generation >= generation ||
		    strncmp(e->key, prefix, prefix_len))
			continue;
		err = fn(arg, e->key, e->fd, e->data, e->len);
		if (err)
			return err;
		if (op == KEEPER_FD_EACH)
			e->generation = generation;
	}
	return 0;
}

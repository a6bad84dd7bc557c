/* SPDX-License-Identifier: MIT */
/* fake_keeper - broker/keeper_link.h and broker/shimserver.h for the world: blobs are kept */
#include "tests/unit/broker/control/world.h"

#include <stdlib.h>
#include <string.h>

#include "broker/keeper_link.h"
#include "broker/shimserver.h"

int keeper_configure(struct keeper_link *k, const struct engine_config *conf)
{
	k->configured = *conf;
	return 0;
}

int keeper_blob_del(struct keeper_link *k, const char *key)
{
	struct blob **at = &k->blobs, *b;

	while (*at && strcmp((*at)->key, key))
		at = &(*at)->next;
	b = *at;
	if (!b)
		return -NTM_ENOTFOUND;
	*at = b->next;
	free(b);
	return 0;
}

int keeper_blob_put(struct keeper_link *k, const char *key, const void *data,
		    size_t len)
{
	struct blob *b;
	int err = keeper_blob_del(k, key);

	if (err && err != -NTM_ENOTFOUND)
		return err;
	b = calloc(1, sizeof(*b));
	if (!b || len > sizeof(b->data))
		abort();
	strcpy(b->key, key);
	memcpy(b->data, data, len);
	b->len = len;
	b->next = k->blobs;
	k->blobs = b;
	return 0;
}

void keeper_blob_each(struct keeper_link *k,
		      void (*fn)(void *arg, const char *key, const void *data,
				 size_t len),
		      void *arg)
{
	struct blob *list = NULL, *b, *copy;

	/* as they were before this worker: it may change them meanwhile */
	for (b = k->blobs; b; b = b->next) {
		copy = malloc(sizeof(*copy));
		if (!copy)
			abort();
		*copy = *b;
		copy->next = list;
		list = copy;
	}
	while ((b = list)) {
		list = b->next;
		fn(arg, b->key, b->data, b->len);
		free(b);
	}
}

int keeper_quit(struct keeper_link *k)
{
	(void)k;
	return 0;
}

uint32_t keeper_generation(const struct keeper_link *k)
{
	(void)k;
	return 1;
}

int keeper_portmap(struct keeper_link *k, int *fd)
{
	return k->portmap ? k->portmap(fd) : -NTM_ESYSTEM;
}

int keeper_fd_put(struct keeper_link *k, const char *key, int fd)
{
	(void)k, (void)key, (void)fd;
	return 0;
}

/* worlds have no ntm-post: never called */
int keeper_post(struct keeper_link *k, enum poster_kind kind, int *fd)
{
	(void)k, (void)kind, (void)fd;
	return -NTM_ENOTFOUND;
}

int keeper_post_end(struct keeper_link *k, enum poster_kind kind)
{
	(void)k, (void)kind;
	return -NTM_ENOTFOUND;
}

int keeper_socket(struct keeper_link *k, int domain, int type, int protocol,
		  int *fd)
{
	(void)k, (void)domain, (void)type, (void)protocol, (void)fd;
	return -NTM_ENOTFOUND;
}

int keeper_fd_del(struct keeper_link *k, const char *key)
{
	(void)k, (void)key;
	return -NTM_ENOTFOUND;
}

void keeper_fd_each(struct keeper_link *k, const char *prefix,
		    void (*fn)(void *arg, const char *key, int fd), void *arg)
{
	(void)k, (void)prefix, (void)fn, (void)arg;
}

const char *keeper_rundir(const struct keeper_link *k)
{
	(void)k;
	return "/nonexistent";
}

/* --- shimserver.h --- */

int shimserver_configure(struct shimserver *s, const uint8_t vip6[static 16],
			 const uint8_t vip4[static 4],
			 const struct engine_config *ranges, size_t n_ranges)
{
	(void)s, (void)vip6, (void)vip4, (void)ranges, (void)n_ranges;
	return 0;
}

void shimserver_resolved(struct shimserver *s, struct shim_ticket *ticket,
			 int err, const char *canonical,
			 const uint8_t vip6[static 16],
			 const uint8_t vip4[static 4])
{
	(void)s, (void)ticket, (void)err, (void)canonical, (void)vip6;
	(void)vip4;
}

void shimserver_stats(const struct shimserver *s, struct shim_stats *out)
{
	(void)s;
	memset(out, 0, sizeof(*out));
}

/* SPDX-License-Identifier: MIT */
/* seams - what the node's control plane asks of its keeper, played for an exit */
#include "servers/exit/seams.h"

#include <string.h>

#include "broker/brokerconf.h"
#include "broker/keeper_link.h"
#include "broker/shimserver.h"

int keeper_configure(struct keeper_link *k, const struct engine_config *conf)
{
	k->configured(k->arg, conf);
	return 0;
}

int keeper_portmap(struct keeper_link *k, int *fd)
{
	(void)k;
	(void)fd;
	return -NTM_ESYSTEM; /* never asked: see brokerconf_read() */
}

int keeper_blob_put(struct keeper_link *k, const char *key, const void *data,
		    size_t len)
{
	(void)k;
	(void)key;
	(void)data;
	(void)len;
	return 0;
}

int keeper_blob_del(struct keeper_link *k, const char *key)
{
	(void)k;
	(void)key;
	return 0;
}

void keeper_blob_each(struct keeper_link *k,
		      void (*fn)(void *arg, const char *key, const void *data,
				 size_t len),
		      void *arg)
{
	(void)k;
	(void)fn;
	(void)arg;
}

/* an exit sends and receives no items, and is in no group (postlink, memberlink: NULL) */
int keeper_post(struct keeper_link *k, enum poster_kind kind, int *fd)
{
	(void)k;
	(void)kind;
	(void)fd;
	return -NTM_ENOTFOUND;
}

int keeper_post_end(struct keeper_link *k, enum poster_kind kind)
{
	(void)k;
	(void)kind;
	return -NTM_ENOTFOUND;
}

int keeper_socket(struct keeper_link *k, int domain, int type, int protocol,
		  int *fd)
{
	(void)k;
	(void)domain;
	(void)type;
	(void)protocol;
	(void)fd;
	return -NTM_ENOTFOUND;
}

int keeper_fd_put(struct keeper_link *k, const char *key, int fd)
{
	(void)k;
	(void)key;
	(void)fd;
	return -NTM_ENOTFOUND;
}

int keeper_fd_del(struct keeper_link *k, const char *key)
{
	(void)k;
	(void)key;
	return -NTM_ENOTFOUND;
}

void keeper_fd_each(struct keeper_link *k, const char *prefix,
		    void (*fn)(void *arg, const char *key, int fd), void *arg)
{
	(void)k;
	(void)prefix;
	(void)fn;
	(void)arg;
}

const char *keeper_rundir(const struct keeper_link *k)
{
	(void)k;
	return "";
}

/* the shims' server: an exit has none (worker.shim is NULL) */
int shimserver_configure(struct shimserver *s, const uint8_t vip6[static 16],
			 const uint8_t vip4[static 4],
			 const struct engine_config *ranges, size_t n_ranges)
{
	(void)s;
	(void)vip6;
	(void)vip4;
	(void)ranges;
	(void)n_ranges;
	return 0;
}

void shimserver_resolved(struct shimserver *s, struct shim_ticket *ticket,
			 int err, const char *canonical,
			 const uint8_t vip6[static 16],
			 const uint8_t vip4[static 4])
{
	(void)s;
	(void)ticket;
	(void)err;
	(void)canonical;
	(void)vip6;
	(void)vip4;
}

/* a server asks no router for a port, and has no file of a person's wishes */
int brokerconf_read(const char *config_dir, struct brokerconf *out, char *why,
		    size_t why_size)
{
	(void)config_dir;
	(void)why_size;
	memset(out, 0, sizeof(*out));
	why[0] = '\0';
	return 0;
}

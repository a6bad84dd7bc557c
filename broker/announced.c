/* SPDX-License-Identifier: MIT */
/* announced - the programs' sockets on one wildcard port, as their shims named them */
#include "broker/announced.h"

#include <string.h>
#include <unistd.h>

struct check {
	const struct shim_request *req;
	bool found;
};

static void check_cb(void *arg, const struct sockdiag_info *info)
{
	struct check *c = arg;

	if (info->inode == c->req->inode && info->uid == getuid() &&
	    info->port == c->req->local.port && info->wildcard)
		c->found = true;
}

int announced_check(struct sockdiag *d, int protocol,
		    const struct shim_request *req)
{
	struct check c = {.req = req};
	int err = sockdiag_each(d, req->domain, protocol, check_cb, &c);

	if (err)
		return err;
	return c.found ? 0 : -NTM_EPERM;
}

bool announced_has(const struct announced *a, uint64_t inode)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->inode[i] == inode)
			return true;
	return false;
}

bool announced_add(struct announced *a, uint64_t inode)
{
	if (announced_has(a, inode))
		return true;
	if (a->n == ANNOUNCED_MAX)
		return false;
	a->inode[a->n++] = inode;
	return true;
}

bool announced_set(struct announced *a, const void *inodes, size_t len)
{
	if (len > sizeof(a->inode))
		return false;
	memcpy(a->inode, inodes, len);
	a->n = len / sizeof(a->inode[0]);
	return true;
}

void announced_unsee(struct announced *a)
{
	memset(a->seen, 0, sizeof(a->seen));
}

void announced_see(struct announced *a, const struct sockdiag_info *info)
{
	for (size_t i = 0; i < a->n && info->uid == getuid(); i++)
		if (a->inode[i] == info->inode)
			a->seen[i] = true;
}

bool announced_keep_seen(struct announced *a, bool *changed)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		if (a->seen[i])
			a->inode[n++] = a->inode[i];
	*changed = n && n != a->n;
	if (*changed)
		a->n = n;
	return n > 0;
}

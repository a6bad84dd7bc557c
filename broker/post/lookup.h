/* SPDX-License-Identifier: MIT */
/*
 * lookup - who has a name: its devices and their keys, as their prekeys show them
 *
 * Owner:    struct post. Context: loop thread.
 * For programs that invite: what they name is what an item to that name would be sealed
 * to. A key is pinned as an item's would be.
 */
#ifndef NTM_BROKER_POST_LOOKUP_H
#define NTM_BROKER_POST_LOOKUP_H

#include "broker/post/post.h"

#define LOOKUP_MAX 64 /* under way, or not fetched yet */

struct lookups;

NTM_MUST_CHECK int lookups_open(struct post *p, struct lookups **out);
void lookups_close(struct lookups *l); /* NULL is fine */
/**
 * lookup_name() - a device's name, or an account's
 * @out: [{"name", "key"}], a new reference; on 0 only
 * Return: 0; -NTM_EAGAIN: it is being asked for, asking_changed() tells of the end;
 *         -NTM_ENONAME, -NTM_EPIN, -NTM_ECERT ..., once; -NTM_ELIMIT
 */
NTM_MUST_CHECK int lookup_name(struct lookups *l, const char *name,
			       json_t **out);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * recent - what the box has answered a moment ago, for the next item to the same
 *
 * Owner:    struct post. Context: loop thread.
 * An answer holds RECENT_S seconds: so a hundred items to one name ask for its prekeys
 * once, and a device that is new is known as soon.
 */
#ifndef NTM_BROKER_POST_RECENT_H
#define NTM_BROKER_POST_RECENT_H

#include <jansson.h>
#include <stdint.h>

#define RECENT_S   1
#define RECENT_MAX 64 /* names */

struct recent;

/** NULL: no memory */
struct recent *recent_new(void);
void recent_free(struct recent *r);
/** borrowed; NULL: nothing that holds at @now (seconds) */
const json_t *recent_get(struct recent *r, const char *name, int64_t now);
void recent_put(struct recent *r, const char *name, const json_t *answer,
		int64_t now);

#endif

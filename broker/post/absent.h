/* SPDX-License-Identifier: MIT */
/*
 * absent - who could not be reached a moment ago, and is not asked for again
 *
 * Owner:    struct post. Context: loop thread.
 * Each look for a device is a question to its DC, which answers only so many; one for a
 * domain that is away takes seconds, in which others wait.
 */
#ifndef NTM_BROKER_POST_ABSENT_H
#define NTM_BROKER_POST_ABSENT_H

#include <stdbool.h>
#include <stdint.h>

#define ABSENT_S   3  /* a device */
#define SILENT_S   5  /* a domain */
#define ABSENT_MAX 64 /* names; the oldest goes */

struct absent;

/** NULL: no memory */
struct absent *absent_new(void);
void absent_free(struct absent *a); /* NULL is fine */
/** @name: a device, or domain; @until_ns: of loop_now() */
void absent_put(struct absent *a, const char *name, uint64_t until_ns);
/** does that hold? */
bool absent_is(const struct absent *a, const char *name, uint64_t now_ns);
/** we are online (again): all may be there */
void absent_clear(struct absent *a);

#endif

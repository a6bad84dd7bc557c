/* SPDX-License-Identifier: MIT */
/*
 * wake - the machine, or this process, slept: time passed that nobody saw
 *
 * Owner:    worker_main.c; member/main.c. Context: loop thread.
 */
#ifndef NTM_BROKER_WAKE_H
#define NTM_BROKER_WAKE_H

#include "common/err.h"
#include "common/loop.h"

struct wake;

/** @slept_s: how long, rounded down; called at once after it */
typedef void wake_fn(void *arg, unsigned int slept_s);

NTM_MUST_CHECK int wake_open(struct loop *l, wake_fn *fn, void *arg,
			     struct wake **out);
void wake_close(struct wake *w); /* NULL is fine */

#endif

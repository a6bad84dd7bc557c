/* SPDX-License-Identifier: MIT */
/*
 * postcall - what ntm-member asks of ntm-post: by post.sock, as any program would
 *
 * Owner:    struct node. Context: loop thread. One request after the other, each on a
 *           connection of its own: ntm-post ends when nobody is connected.
 */
#ifndef NTM_BROKER_MEMBER_POSTCALL_H
#define NTM_BROKER_MEMBER_POSTCALL_H

#include "broker/member/node.h"

#define POSTCALL_MAX	  256	     /* that wait */
#define POSTCALL_LINE_MAX (4u << 20) /* an answer */
#define POSTCALL_LIMIT_S  30

/** @err: 0, or why not: -NTM_ECLOSED, -NTM_ETIMEOUT (nothing was heard), or ntm-post's
 *  own; @answer: borrowed, may be NULL */
typedef void postcall_fn(void *arg, int err, const json_t *answer);

NTM_MUST_CHECK int postcall_open(struct node *n, struct postcall **out);
/** no function is called any more */
void postcall_close(struct postcall *c);
/** @request: taken. Return: 0 and @fn will be called, from the loop; -NTM_ELIMIT,
 *  -NTM_ENOMEM */
NTM_MUST_CHECK int postcall_ask(struct postcall *c, json_t *request,
				postcall_fn *fn, void *arg);
/** calls with @arg are forgotten */
void postcall_forget(struct postcall *c, const void *arg);
bool postcall_busy(const struct postcall *c);

#endif

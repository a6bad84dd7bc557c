/* SPDX-License-Identifier: MIT */
/*
 * link - the worker, which has ntm-post started and tells it what happens
 *
 * Owner:    struct post. Context: loop thread. SEQPACKET, one JSON object a message;
 *           what is not known is passed over.
 */
#ifndef NTM_BROKER_POST_LINK_H
#define NTM_BROKER_POST_LINK_H

#include "broker/post/post.h"

#define LINK_MESSAGE_MAX 4096

/** @fd: taken */
NTM_MUST_CHECK int link_open(struct post *p, int fd, struct link **out);
void link_close(struct link *l);
/** whose virtual address is that? The door hears. Nothing without a worker */
void link_who(struct link *l, const char *address);
/** an item of application ntm-group is here, or is held: ntm-member is told */
void link_group(struct link *l);
/** there is work: if we die, we are to be started again */
void link_busy(struct link *l);
/** nothing is left; @again_s: start us then, 0: not by time */
void link_idle(struct link *l, uint64_t serial, unsigned int again_s);

#endif

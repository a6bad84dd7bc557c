/* SPDX-License-Identifier: MIT */
/*
 * door - port 4507 of our virtual addresses: devices that have an item for us, now
 *
 * Owner:    struct post. Context: loop thread, in which libmicrohttpd runs too.
 * Who is at the other end the worker knows, by the tunnel: a connection is read when it
 * has said the name, and the name may connect in. Plain HTTP, as the tunnel seals; what
 * may be asked stands in door_request.c.
 */
#ifndef NTM_BROKER_POST_DOOR_H
#define NTM_BROKER_POST_DOOR_H

#include "broker/post/post.h"

#define DOOR_FDS_MAX	 2
#define DOOR_PORT	 4507
#define DOOR_CONNS_MAX	 64 /* at a time; a younger one has to come again */
#define DOOR_PER_SOURCE	 8  /* of one device */
#define DOOR_ASKING_S	 5  /* until the worker has said who it is */
#define DOOR_HEADER_S	 10 /* until it has asked something */
#define DOOR_IDLE_S	 10 /* from one request to the next */
#define DOOR_STALL_S	 30 /* a body moves DOOR_STALL_BYTES in each */
#define DOOR_STALL_BYTES 16384
#define DOOR_BODY_MAX	 24576 /* of a request that is no blob */
#define DOOR_BATCH	 64    /* requests in one */
#define DOOR_BATCH_MAX	 (256u << 10)

/** @fds: listening; taken on success; none before there is an address.
 *  Return: 0, -NTM_ENOMEM, -NTM_ESYSTEM */
NTM_MUST_CHECK int door_open(struct post *p, const int *fds, size_t n,
			     struct door **out);
/** one more: the first login came after our start. @fd: taken on success.
 *  Return: 0, -NTM_EINVAL (@d is NULL), -NTM_ENOMEM, -NTM_ESYSTEM, -NTM_ELIMIT */
NTM_MUST_CHECK int door_listen(struct door *d, int fd);
void door_close(struct door *d); /* NULL is fine */
/** does somebody speak? Who has asked something and is silent does not count */
bool door_busy(const struct door *d);
/** the worker's word: @name has @address; NULL: nobody it knows. @d NULL is fine */
void door_name(struct door *d, const char *address, const char *name);

#endif

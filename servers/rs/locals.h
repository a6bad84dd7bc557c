/* SPDX-License-Identifier: MIT */
/*
 * locals - a number for each local address that nodes have spoken to
 *
 * A machine with several addresses must answer from the one the node's NAT knows.
 * Owner: struct rs. Context: any thread; numbers are read without a lock, a new one
 * takes one. Numbers are never taken back.
 */
#ifndef NTM_SERVERS_RS_LOCALS_H
#define NTM_SERVERS_RS_LOCALS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define LOCALS_MAX 255

struct locals {
	pthread_mutex_t lock;
	_Atomic unsigned int n;
	uint8_t ip[LOCALS_MAX][16]; /* IPv4 as ::ffff:a.b.c.d */
};

void locals_init(struct locals *l);
void locals_clear(struct locals *l);
/** Return: 1 to LOCALS_MAX, or 0 (any) when the table is full */
uint8_t locals_number(struct locals *l, const uint8_t ip[static 16]);
/** @number: not 0 */
static inline const uint8_t *locals_ip(const struct locals *l, uint8_t number)
{
	return l->ip[number - 1];
}

#endif

/* SPDX-License-Identifier: MIT */
/* locals - a number for each local address that nodes have spoken to */
#include "servers/rs/locals.h"

#include <string.h>

void locals_init(struct locals *l)
{
	pthread_mutex_init(&l->lock, NULL);
	atomic_init(&l->n, 0);
}

void locals_clear(struct locals *l)
{
	pthread_mutex_destroy(&l->lock);
}

static uint8_t find(const struct locals *l, const uint8_t ip[16])
{
	unsigned int n = atomic_load_explicit(&l->n, memory_order_acquire);

	for (unsigned int i = 0; i < n; i++)
		if (!memcmp(l->ip[i], ip, 16))
			return (uint8_t)(i + 1);
	return 0;
}

uint8_t locals_number(struct locals *l, const uint8_t ip[static 16])
{
	uint8_t number = find(l, ip);
	unsigned int n;

	if (number)
		return number;
	pthread_mutex_lock(&l->lock);
	number = find(l, ip); /* another thread may have been first */
	n = atomic_load(&l->n);
	if (!number && n < LOCALS_MAX) {
		memcpy(l->ip[n], ip, 16);
		number = (uint8_t)(n + 1);
		atomic_store_explicit(&l->n, n + 1, memory_order_release);
	}
	pthread_mutex_unlock(&l->lock);
	return number;
}

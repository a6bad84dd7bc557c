/* SPDX-License-Identifier: MIT */
/*
 * lane - one direction of a wire: frames wait, are lost, held back, and go on
 *
 * Owner: struct wire has two. Context: its one thread.
 */
#ifndef NTM_TESTS_LAB_LANE_H
#define NTM_TESTS_LAB_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_S 1000000000ull

struct record;
struct late;

struct params {
	uint64_t delay_ns;
	uint64_t jitter_ns;	 /* uniform, added to the delay */
	uint64_t reorder_ns;	 /* how much longer a chosen frame waits */
	uint64_t rate_queue_ns;	 /* longest wait for the rate's turn */
	double loss;		 /* 0..1 */
	double reorder;		 /* 0..1 */
	double rate_bps;	 /* 0: none */
	unsigned int drop_above; /* bytes of IP packet; 0: none */
	bool down;
};

struct counters {
	uint64_t frames, bytes; /* delivered */
	uint64_t lost, large, late, queue, rate, down, failed;
};

/** struct lane - @params: as the wire was told, at any time */
struct lane {
	const char *name;
	int in, out;
	struct params params;
	struct counters count;
	uint64_t prng;
	uint64_t last_due;  /* keeps the order under jitter */
	uint64_t next_free; /* when the rate lets the next frame start */
	uint8_t *ring;
	uint32_t head; /* where the next frame is read to */
	struct record *records;
	uint32_t first, last; /* records in use: [first, last) modulo RECORDS */
	struct late *late;
	unsigned int late_used;
};

/** CLOCK_MONOTONIC */
uint64_t lane_now_ns(void);
/** its chance begins anew */
void lane_seed(struct lane *lane, uint64_t seed);
/** @lane: zeroed. Return: false: out of memory */
bool lane_init(struct lane *lane, const char *name, uint64_t seed);
/** what its TAP has, at most a batch */
void lane_read(struct lane *lane);
/** what is due goes on. Return: when it must be called again; UINT64_MAX: never */
uint64_t lane_drain(struct lane *lane);
/** all that is under way is gone */
void lane_flush(struct lane *lane);
/** its counters. Return: as snprintf() */
int lane_print(const struct lane *lane, char *out, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * wake - the machine, or this process, slept: time passed that nobody saw
 *
 * Theory of operation
 *
 * Timers go by CLOCK_MONOTONIC, which stands still while the machine sleeps; NATs,
 * relays, peers and the DC go on. A timer by CLOCK_BOOTTIME, which does not stand
 * still, rings every WAKE_LOOK_S; after a sleep it rings at once. When it comes more
 * than WAKE_LATE_S late, the machine slept, or this process was stopped: for the
 * network it is the same.
 */
#include "broker/wake.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "broker/timers.h"

struct wake {
	struct loop_io *io;
	wake_fn *fn;
	void *arg;
	uint64_t last_ns;
	int fd;
};

static uint64_t boot_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return LOOP_S(ts.tv_sec) + (uint64_t)ts.tv_nsec;
}

static void ring(void *arg, int fd, unsigned int events)
{
	struct wake *w = arg;
	uint64_t times, now = boot_ns(), passed = now - w->last_ns;

	(void)events;
	if (read(fd, &times, sizeof(times)) != sizeof(times))
		return;
	w->last_ns = now;
	if (passed > LOOP_S(WAKE_LOOK_S + WAKE_LATE_S))
		w->fn(w->arg, (unsigned int)(passed / LOOP_S(1)) - WAKE_LOOK_S);
}

int wake_open(struct loop *l, wake_fn *fn, void *arg, struct wake **out)
{
	struct itimerspec every = {.it_interval = {.tv_sec = WAKE_LOOK_S},
				   .it_value = {.tv_sec = WAKE_LOOK_S}};
	struct wake *w = calloc(1, sizeof(*w));
	int err = -NTM_ESYSTEM;

	if (!w)
		return -NTM_ENOMEM;
	w->fn = fn;
	w->arg = arg;
	w->last_ns = boot_ns();
	w->fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (w->fd < 0 || timerfd_settime(w->fd, 0, &every, NULL))
		goto err_close;
	err = loop_io_add(l, w->fd, LOOP_READ, true, ring, w, &w->io);
	if (err)
		goto err_close;
	*out = w;
	return 0;
err_close:
	wake_close(w);
	return err;
}

void wake_close(struct wake *w)
{
	if (!w)
		return;
	loop_io_del(w->io);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

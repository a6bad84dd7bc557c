/* SPDX-License-Identifier: MIT */
/*
 * direct_site - two ends, a door at CN whose worker the test plays, and a relay before it
 *
 * Owner: the test program. The relay is the test's own: it counts, cuts and stops. All of
 * it runs on the loop of ends.h.
 */
#ifndef NTM_TESTS_UNIT_POST_DIRECT_SITE_H
#define NTM_TESTS_UNIT_POST_DIRECT_SITE_H

#include "common/addr.h"
#include "tests/unit/post/ends.h"

#define LEGS_MAX 32
#define NEVER	 UINT64_MAX

/* one connection through the relay; @pair[0]: who came, @pair[1]: the door */
struct leg {
	int pair[2];
	struct loop_io *io[2];
};

/* @up, @down: bytes to the door and back, all in all; both are cut where @cut_up,
 * @cut_down say, once; @stop_up: nothing more goes there. @closed: nobody gets in */
struct relay {
	int fd, door;
	struct loop_io *io;
	struct addr at, door_at;
	struct leg legs[LEGS_MAX];
	size_t n_legs;
	uint64_t up, down, cut_up, cut_down, stop_up;
	bool closed;
};
extern struct relay r;

/* CN's worker. @name: who it says is there; NULL: nobody that it knows */
struct worker_played {
	int fd;
	struct loop_io *io;
	const char *name;
	unsigned int asked;
};
extern struct worker_played played;

/** cmocka's setup and teardown of one test */
int direct_open(void **state);
int direct_close(void **state);
/** the relay takes nobody any more, and its port is closed; then does again */
void relay_end(void);
void relay_again(void);
/** CN's door and its worker end; are made anew, for what end_run() has begun */
void door_end(void);
void door_make(void);

/** the newest item sent went so: "direct", "server" */
void went(const char *by);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * group_server - a GMS as a process of its own, whose renewals are begun by hand
 *
 * Owner:    group_load. The process ends with its parent.
 */
#ifndef NTM_TESTS_BENCH_GROUP_SERVER_H
#define NTM_TESTS_BENCH_GROUP_SERVER_H

#include <sys/types.h>

#define GROUP_SERVER_PORT 4509

/** struct group_server - @renew: each byte that is written there renews each group's RN2,
 *  as its timer would */
struct group_server {
	pid_t pid;
	int renew;
};

/**
 * group_server_start() - it listens when this returns; what fails ends the process
 * @dir:  of ntm-server init, with roles
 * @host: the lab's host that it is on, as a file of its network; NULL: this one
 */
void group_server_start(struct group_server *s, const char *dir,
			const char *host);
void group_server_stop(struct group_server *s);

#endif

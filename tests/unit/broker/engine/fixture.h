/* SPDX-License-Identifier: MIT */
/*
 * fixture - a real ntm-broker with the worker that stands in, and hands to poke it
 *
 * Owner:    one broker a test process, in a runtime folder of its own. Failures end the
 *           test by assertion. Needs /dev/net/tun: runs in a lab.
 */
#ifndef NTM_TESTS_ENGINE_FIXTURE_H
#define NTM_TESTS_ENGINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <netinet/in.h>
#include <cmocka.h>

#include "preload/shimproto.h"

#define VIP4 "198.18.0.5"
#define VIP6 "fd6e:1:2:3::5"

/* cmocka group and test hooks */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/** runs ntm-broker --background with @env ("NAME=value" or NULL); @out: what it said */
int broker_start(const char *env, char *out, size_t size);
void broker_stop(void);
pid_t broker_pid(void);
/** in the runtime folder */
const char *run_path(const char *name);

/** a counter of the stand-in worker; -1 while it is not there */
long standin(const char *name);
/** until standin(@name) >= @value, or `false` after 5 s */
bool standin_reaches(const char *name, long value);
/** until @fn(@arg), at most @ms */
bool await(bool (*fn)(void *arg), void *arg, int ms);
/** a child of the broker by its short name; 0: none */
pid_t child_of_broker(const char *comm);
bool gone(void *pid);

/** one request on a connection of its own. Return: the answer's error */
int ask(const char *server, const struct shim_request *req,
	struct shim_answer *ans, int *fd);
int server_connect(const char *server);
/** a socket of the namespace */
int inside_socket_get(int domain, int type);
bool is_inside(int fd);

union sockaddr_any {
	struct sockaddr sa;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};
socklen_t addr_make(union sockaddr_any *a, const char *ip, uint16_t port);
uint64_t inode_of(int fd);

#endif

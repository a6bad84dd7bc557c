/* SPDX-License-Identifier: MIT */
/*
 * role - what the supervisor knows about each role, and a role's own process
 *
 * Owner:   the table is static; a role's state belongs to its process.
 * Context: roles run one per process, one loop each. The unit tests run several
 *          in one process: nothing here is global.
 */
#ifndef NTM_SERVERS_ROLE_H
#define NTM_SERVERS_ROLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/loop.h"
#include "servers/serverconf.h"

#define ROLE_SOCKETS_MAX SERVERCONF_ADDRESSES_MAX
#define ROLE_COPIES_MAX	 16

/** struct role_sockets - bound by the supervisor before privileges are dropped,
 * handed down by fork()
 * @udp:    address by address; @copies of each by SO_REUSEPORT, one after the other
 * @other:  one of each address on a second port, in the same order
 */
struct role_sockets {
	int tcp[ROLE_SOCKETS_MAX], udp[ROLE_SOCKETS_MAX * ROLE_COPIES_MAX];
	int other[ROLE_SOCKETS_MAX];
	size_t n_tcp, n_udp, n_other, copies;
	int admin; /* Unix, listening; -1 in tests */
	int pair;  /* of ROLE_PAIR: an end of the SEQPACKET pair; -1: none */
};

/** struct role_env - all a role gets; outlives it */
struct role_env {
	struct loop *loop;
	const char *dir;
	const struct server_conf *conf;
	struct role_sockets sockets;
};

/** at least @n descriptors may be open, if the system lets us; else it is logged: too few
 *  for @what. Return: @n, or how many it is then */
unsigned int role_want_descriptors(const char *role, unsigned int n,
				   const char *what);

/**
 * struct role - one row of the table
 * @name:       as in server.roles
 * @parent:     started with this role instead of by server.roles; or NULL
 * @configured: may stand in server.roles
 * @listens:    addresses and port of @c; NULL: it has no sockets for others
 * @copies:     UDP sockets of each address, at most ROLE_COPIES_MAX; NULL: one
 * @other_port: a second UDP port; 0: none. May be NULL
 * @flags:      ROLE_TCP, ROLE_UDP: which sockets it needs; ROLE_SPARED: where they
 *              cannot be had, the others run without it; ROLE_PAIR, ROLE_SEALED
 * @wanted:     may a role that has a parent run? NULL: yes
 * @exec:       the process becomes another program instead of using the functions
 *              below; it is the folder's owner by then. Returns when that fails. NULL:
 *              no other program
 * @start:      takes over the sockets of @env on success
 * @stop:       orderly; frees @state
 * @reload:     run-time values of @c, which lives on; may be NULL
 * @restarts:   after the loop: start me again at once? may be NULL
 * @admin:      answers one request; new reference, or NULL: no such command
 */
struct role {
	const char *name, *parent;
	bool configured;
	unsigned int flags; /* ROLE_... */
	bool (*wanted)(const struct server_conf *c);
	const char *(*listens)(const struct server_conf *c, uint16_t *port);
	unsigned int (*copies)(const struct server_conf *c);
	uint16_t (*other_port)(const struct server_conf *c);
	int (*exec)(const char *dir, const struct server_conf *c,
		    const struct role_sockets *s);
	int (*start)(const struct role_env *env, void **state);
	void (*stop)(void *state);
	void (*reload)(void *state, const struct server_conf *c);
	bool (*restarts)(const void *state);
	json_t *(*admin)(void *state, const char *command, json_t *request);
};
#define ROLE_TCP    1u
#define ROLE_UDP    2u
#define ROLE_SPARED 4u
#define ROLE_PAIR   8u	/* of the two that speak with each other */
#define ROLE_SEALED 16u /* isolate_seal() once it has started; no SIGHUP then */
#define ROLE_SEALS  32u /* the same, but it calls that by itself */

#define ROLE_EXIT_RESTART 75 /* exit status: start me again at once */

/** the table; ends with a row without name */
extern const struct role role_table[];
const struct role *role_find(const char *name);
/** does @c start @r on this machine? */
bool role_is_wanted(const struct role *r, const struct server_conf *c);

/**
 * role_main() - a role's process after fork(): isolate, loop, stop
 * @conf_path: read again at SIGHUP
 *
 * Return: exit status
 */
int role_main(const struct role *r, const char *dir, const char *conf_path,
	      struct server_conf *conf, const struct role_sockets *sockets);

#endif

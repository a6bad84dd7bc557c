/* SPDX-License-Identifier: MIT */
/*
 * serverconf - the configuration of ntm-server (server.def) and what follows from it
 *
 * Owner:   the supervisor reads it once and hands it down; a role may read it again
 *          at SIGHUP. Strings belong to the struct.
 * Context: start of a process; loop thread at reload.
 */
#ifndef NTM_SERVERS_SERVERCONF_H
#define NTM_SERVERS_SERVERCONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/err.h"
#include "common/log.h"

#define SERVERCONF_ERROR_LEN	 512
#define SERVERCONF_ADDRESSES_MAX 8 /* in one list */
#define SERVERCONF_WAYS_MAX	 4 /* to one server */

struct server_conf {
#define SERVERCONF_STRING			    char *
#define SERVERCONF_LIST				    char *
#define SERVERCONF_UINT				    unsigned int
#define SERVERCONF_SIZE				    uint64_t
#define SERVERCONF_DURATION			    unsigned int
#define SERVERCONF_BOOL				    bool
#define CONF(section, key, type, field, dflt, help) SERVERCONF_##type field;
#include "servers/server.def"
#undef CONF
};

/** struct server_slice - the virtual IPv4 addresses of a domain */
struct server_slice {
	uint8_t prefix[4];
	unsigned int len;
};

/**
 * serverconf_load() - defaults, then the file, then checks of every value
 * @error: SERVERCONF_ERROR_LEN bytes: one sentence on failure
 *
 * Return: 0, -NTM_ECONF, -NTM_ENOTFOUND (no such file), -NTM_ENOMEM
 */
NTM_MUST_CHECK int serverconf_load(const char *path, struct server_conf *out,
				   char error[static SERVERCONF_ERROR_LEN]);
void serverconf_clear(struct server_conf *c);

/** one value that init writes instead of the default */
struct server_conf_value {
	const char *section, *key, *value;
};
/**
 * serverconf_write() - a commented file with every key; defaults stand as comments
 * Return: 0, -NTM_EEXISTS, -NTM_ESTORE
 */
NTM_MUST_CHECK int serverconf_write(const char *path,
				    const struct server_conf_value *values,
				    size_t n);
/** what a manual page lists: mdoc text of every key, on standard output */
void serverconf_print_mdoc(void);

/**
 * serverconf_addresses() - a list value as addresses
 * @list: "192.0.2.1, ::"; NULL is an empty list
 * @out:  SERVERCONF_ADDRESSES_MAX places
 *
 * Return: how many, or -NTM_EINVAL
 */
NTM_MUST_CHECK int
serverconf_addresses(const char *list, uint16_t port,
		     struct addr out[static SERVERCONF_ADDRESSES_MAX]);
/** struct server_ways - addresses of one server, to be tried in turn */
struct server_ways {
	struct addr a[SERVERCONF_WAYS_MAX];
	size_t n;
};
/**
 * serverconf_ways() - a list of servers; "192.0.2.1:4502|[2001:db8::1]:4502" is one
 * that has two addresses
 * Return: how many servers, or -NTM_EINVAL
 */
NTM_MUST_CHECK int
serverconf_ways(const char *list, uint16_t port,
		struct server_ways out[static SERVERCONF_ADDRESSES_MAX]);
/**
 * serverconf_announced() - addresses to tell nodes: @address if set, else @listen,
 * with wildcards replaced by this machine's global addresses (loopback if none)
 *
 * Return: how many, or -NTM_EINVAL
 */
NTM_MUST_CHECK int
serverconf_announced(const char *address, const char *listen, uint16_t port,
		     struct addr out[static SERVERCONF_ADDRESSES_MAX]);

/** where a server of this machine that listens on @a is reached from here: @a, or
 *  loopback for a wildcard. Return: 0, -NTM_EINVAL */
NTM_MUST_CHECK int serverconf_reachable(struct addr *a);

/** "198.18.0.0/15"; /8 to /24, host bits zero. Return: 0, -NTM_EINVAL */
NTM_MUST_CHECK int serverconf_slice(const char *text, struct server_slice *out);
/** is @role named in the comma separated @list? */
bool serverconf_has_role(const char *list, const char *role);

/** the DC on this machine, as one reaches it from here. Return: 0, -NTM_ECONF */
NTM_MUST_CHECK int serverconf_own_dc(const struct server_conf *c,
				     struct addr *out);

#endif

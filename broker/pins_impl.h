/* SPDX-License-Identifier: MIT */
/*
 * pins_impl - the pins' own data, shared by their files
 *
 * Owner:    pins.c makes and frees it. Context: loop thread.
 * Files:    pins.c has peers and decides, pins_server.c has domains' CAs, pins_file.c reads
 *           and writes both.
 */
#ifndef NTM_BROKER_PINS_IMPL_H
#define NTM_BROKER_PINS_IMPL_H

#include <uthash.h>

#include "broker/pins.h"
#include "broker/state.pb-c.h"

/** struct pins_entry - one pin, in both tables (vip tables hold only set addresses) */
struct pins_entry {
	struct pin pin;
	UT_hash_handle hh, hh6, hh4;
	bool in6, in4;
};

/** struct pins_server - the CA of a domain */
struct pins_server {
	char domain[FQDN_MAX + 1];
	uint8_t fp[NTMC_FP_LEN];
	uint8_t *ca; /* NULL: our own domain's */
	size_t ca_len;
	struct pins_server *next;
};

struct pins {
	char *path;
	struct writer *writer;
	const struct ntmc_env *env;
	struct pins_entry *by_name, *by_vip6, *by_vip4;
	struct pins_server *servers;
	uint64_t serial;
	uint8_t home[8]; /* prefix of our own domain's addresses; zero: any */
	struct loop_timer *flush; /* armed: memory is ahead of the file */
};

/* --- pins.c ------------------------------------------------------------------- */

/** find or make. NULL: no memory, or no name */
struct pins_entry *pins_get(struct pins *p, const char *fqdn);
/** its addresses into the tables, and out of them before they change */
void pins_index(struct pins *p, struct pins_entry *e);
void pins_unindex(struct pins *p, struct pins_entry *e);

/* --- pins_server.c ------------------------------------------------------------ */

struct pins_server *pins_server_find(const struct pins *p, const char *domain);
/** in memory. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int pins_server_set(struct pins *p, const char *domain,
				   const uint8_t *fp);
/** ... with its certificate; none: nothing. Return: 0, -NTM_ENOMEM (or too long) */
NTM_MUST_CHECK int pins_server_set_ca(struct pins_server *s, const uint8_t *ca,
				      size_t len);

/* --- pins_file.c -------------------------------------------------------------- */

/** the whole file to the writer; @fn(@arg) hears how it went.
 *  Return: 0, -NTM_ENOMEM, -NTM_ESTORE (too large), or as writer_replace() */
NTM_MUST_CHECK int pins_save(const struct pins *p, writer_fn *fn, void *arg);
/** a writer_fn, @arg: the pins: of what nobody waits for; memory holds it, until there is
 *  room */
void pins_saved(void *arg, int err);
/** what was learned is written soon */
void pins_save_later(struct pins *p);
/** its timer, @arg: the pins */
void pins_flush(void *arg);
/** from the file. Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int pins_load(struct pins *p, const Ntm__State__Known *k);

#endif

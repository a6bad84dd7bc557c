/* SPDX-License-Identifier: MIT */
/*
 * who - who this device is, whom it trusts, and who may send to it unasked
 *
 * Owner:    struct post, and struct node of ntm-member. Context: loop thread.
 * Reads what the worker writes (session, known, identity.key, policy) and writes
 * none of it. A domain's CA is also kept as PEM in the folder, one file a domain,
 * for libcurl: a server is believed by the CA of its own domain alone.
 */
#ifndef NTM_BROKER_POST_WHO_H
#define NTM_BROKER_POST_WHO_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/fqdn.h"
#include "libntmcrypto/item.h"

#define WHO_DC_MAX	 8
#define WHO_TOKEN_LEN	 32
#define WHO_MANAGERS_MAX 4
#define WHO_WAYS_MAX	 4

struct known_state; /* the file of the worker */
struct policy;

/** struct who_manager - a GMS of our domain; @key: Kngms, secret */
struct who_manager {
	char name[FQDN_MAX + 1];
	uint8_t ed_pub[NTMC_KEY_LEN];
	struct addr ways[WHO_WAYS_MAX];
	size_t n_ways;
	uint64_t key_id;
	struct ntmc_key key;
};

/**
 * struct who - read by all, written by who.c
 * @dir:  our folder in the state folder
 * @logged_in: what is below it is valid
 * @token: @has_token
 * @box:  addresses of the domain's box; @n_box 0: it has none
 */
struct who {
	char *config, *state, *dir;
	struct ntmc_identity *id;
	struct ntmc_trust *trust;
	struct known_state *known;
	struct policy *policy;

	bool logged_in, has_token;
	char fqdn[FQDN_MAX + 1], domain[FQDN_MAX + 1];
	uint8_t cert_der[NTMC_CERT_MAX];
	size_t cert_len;
	uint8_t ca[NTMC_CERT_MAX]; /* of our own domain, DER */
	size_t ca_len;
	struct ntmc_cert cert;
	uint8_t token[WHO_TOKEN_LEN];
	struct addr box[WHO_DC_MAX];
	size_t n_box;
	uint64_t node_id;
	struct who_manager managers[WHO_MANAGERS_MAX];
	size_t n_managers;
};

/** @folder, in @state, is made: @dir. Return: 0, -NTM_ESTORE, -NTM_EPERM, -NTM_ENOMEM */
NTM_MUST_CHECK int who_open(const char *config, const char *state,
			    const char *folder, struct who *w);
void who_close(struct who *w);
/** read the worker's files again; without a session logged_in is false.
 *  Return: 0, or the error of a file that cannot be used */
NTM_MUST_CHECK int who_load(struct who *w);
/** the worker's `known` alone, if it has changed: pins and CAs of other domains */
void who_load_known(struct who *w);
void who_load_policy(struct who *w);

/** the domain of a server ("cs.example.org") whose CA is known; NULL: none */
const char *who_server_domain(const struct who *w, const char *server);
/** the PEM file of that domain's CA; false: no room in @path */
bool who_ca_file(const struct who *w, const char *domain, char *path,
		 size_t size);
/**
 * who_pinned() - what the worker knows of @fqdn's key
 * @verified: it is @fp, and the person has compared
 * Return: 0 it is @fp; -NTM_EPIN another; -NTM_ENOTFOUND nothing pinned;
 *         -NTM_EUNVERIFIED a new device of an account with a verified one
 */
NTM_MUST_CHECK int who_pinned(const struct who *w, const char *fqdn,
			      const uint8_t fp[static NTMC_FP_LEN],
			      bool *verified);
/** may @sender's items be fetched unasked? */
bool who_allows(const struct who *w, const char *sender);

#endif

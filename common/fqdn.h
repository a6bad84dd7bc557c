/* SPDX-License-Identifier: MIT */
/*
 * fqdn - names of nodes: device.account.domain, account.domain
 *
 * Lower case, letters, digits and hyphens (no underscore: `_ntm` is not a node),
 * no final dot, labels of 63, 253 bytes in all. Names from people are made so by
 * fqdn_normalize(); names from messages must be so already.
 */
#ifndef NTM_COMMON_FQDN_H
#define NTM_COMMON_FQDN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define FQDN_MAX       253
#define FQDN_LABEL_MAX 63

/** in the form above, one label or more */
bool fqdn_is_valid(const char *name);
/** one label in the form above (an account or device name) */
bool fqdn_label_is_valid(const char *label);

/**
 * fqdn_normalize() - lower case, one final dot dropped, checked
 * @out: FQDN_MAX + 1 bytes; may be @name
 *
 * Return: 0, -NTM_EINVAL (@out untouched)
 */
NTM_MUST_CHECK int fqdn_normalize(const char *name,
				  char out[static FQDN_MAX + 1]);

/** @name is @domain or under it (by whole labels); both in the form above */
bool fqdn_is_within(const char *name, const char *domain);

/** struct fqdn_parts - a name cut at a known domain; device empty in account.domain */
struct fqdn_parts {
	char device[FQDN_LABEL_MAX + 1];
	char account[FQDN_LABEL_MAX + 1];
};

/**
 * fqdn_split() - device and account of @name in @domain
 *
 * Return: 0, -NTM_ENOTOURS (not under @domain, or @domain itself),
 *         -NTM_EINVAL (no valid name, or more than two labels before @domain)
 */
NTM_MUST_CHECK int fqdn_split(const char *name, const char *domain,
			      struct fqdn_parts *out);
/**
 * fqdn_join() - the reverse; @device may be NULL or empty
 * @out: FQDN_MAX + 1 bytes
 *
 * Return: 0, -NTM_EINVAL
 */
NTM_MUST_CHECK int fqdn_join(const char *device, const char *account,
			     const char *domain, char out[static FQDN_MAX + 1]);

#endif

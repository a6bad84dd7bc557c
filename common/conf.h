/* SPDX-License-Identifier: MIT */
/*
 * conf - INI configuration: a table of keys, a file, errors with file and line
 *
 * Each program has a .def list CONF(section, key, type, field, default, "help")
 * from which its struct, this table and the manual's list come. An unknown key or
 * section, or a bad value, is an error that names file and line.
 */
#ifndef NTM_COMMON_CONF_H
#define NTM_COMMON_CONF_H

#include <stddef.h>

#include "common/err.h"

enum conf_type {
	CONF_STRING,   /* char *; strdup'ed */
	CONF_LIST,     /* char *; comma separated, kept as written */
	CONF_UINT,     /* unsigned int */
	CONF_BOOL,     /* bool: yes/no/true/false/on/off/1/0 */
	CONF_DURATION, /* unsigned int seconds: 30, 30s, 5m, 2h, 1d */
	CONF_SIZE,     /* uint64_t bytes: 512, 64K, 1M, 2G */
};

struct conf_key {
	const char *section, *key;
	enum conf_type type;
	size_t offset;	  /* in the program's struct */
	const char *dflt; /* as it would stand in the file; NULL: unset */
	const char *help;
};

/** fill @out with every key's default; Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int conf_defaults(const struct conf_key *keys, size_t n,
				 void *out);
/**
 * conf_load() - read a file over what is there
 * @error: @error_size bytes: one sentence "FILE:LINE: ..." on failure
 * Return: 0, -NTM_ECONF, -NTM_ENOTFOUND
 */
NTM_MUST_CHECK int conf_load(const struct conf_key *keys, size_t n,
			     const char *path, void *out, char *error,
			     size_t error_size);
/** one key from a command line: "section.key=value" */
NTM_MUST_CHECK int conf_set(const struct conf_key *keys, size_t n,
			    const char *assignment, void *out, char *error,
			    size_t error_size);
void conf_clear(const struct conf_key *keys, size_t n, void *out);

#endif

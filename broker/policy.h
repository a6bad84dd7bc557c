/* SPDX-License-Identifier: MIT */
/*
 * policy - who may connect in, and to which ports
 *
 * Owner:    the worker. Context: loop thread. File: policy, in the config folder, a
 * line each, written by `ntm allow` (which keeps no comments) and by people:
 *     allow SUBJECT [id=ID] [PORT...]
 *                                  SUBJECT: device.account.domain, account.domain, a domain,
 *                                  or @NAME.group.DOMAIN: who is in that group now; ID: its
 *                                  GroupID, base64url
 *     # comment
 * A group's name may be another group's one day, so a rule is of a GroupID; one that was
 * written without is bound to the first group of that name, in the file as well.
 * Devices of the own account may always connect. Members of a group that we are in may
 * open tunnels, for its packets, but reach no port by that. No port named: every port. A line
 * that is none stops the start: FILE:LINE says which (nobody is let in by mistake).
 */
#ifndef NTM_BROKER_POLICY_H
#define NTM_BROKER_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/writer.h"
#include "common/err.h"
#include "common/fqdn.h"
#include "libntmcrypto/group.h"

#define POLICY_RULES_MAX 256
#define POLICY_PORTS_MAX 64 /* of one rule */
#define POLICY_LINE_MAX	 1024

struct policy;

/** struct policy_rule - @n_ports 0: every port; @subject with its @ where it has one; @bound:
 *  of the group @id alone */
struct policy_rule {
	char subject[FQDN_MAX + 1];
	bool bound;
	uint8_t id[GROUP_ID_LEN];
	uint16_t ports[POLICY_PORTS_MAX];
	size_t n_ports;
};

/**
 * struct policy_grant - what one peer may reach here
 * @in:   may open tunnels and connections at all
 * @all:  every port; else @ports
 */
struct policy_grant {
	bool in, all;
	uint16_t ports[POLICY_PORTS_MAX];
	size_t n_ports;
};

/** @why: @why_size bytes: one sentence with FILE:LINE. Return: 0, -NTM_ECONF,
 *  -NTM_ENOMEM; a missing file is an empty one */
NTM_MUST_CHECK int policy_open(struct writer *writer, const char *config_dir,
			       struct policy **out, char *why, size_t why_size);
/** after writer_finish(): the writer knows what is under way */
void policy_free(struct policy *p);
/**
 * policy_reload() - the file again; what a person wrote there is not lost
 * @why: as above; empty on success
 * Return: 0; or an error, and the rules are what they were
 */
NTM_MUST_CHECK int policy_reload(struct policy *p, char *why, size_t why_size);

/**
 * policy_set_groups() - who is in a group
 * @has: is @peer in @group (NAME.group.DOMAIN; NULL: in any that we are in), if that is
 *       @id (NULL: whichever)? Not called before; without one nobody is in any
 */
void policy_set_groups(struct policy *p,
		       bool (*has)(void *arg, const char *group,
				   const uint8_t *id, const char *peer),
		       void *arg);
/**
 * policy_bind() - @group, NAME.group.DOMAIN, is here: rules of that name without ID are its
 * From then on they mean no other one. Where the disk does not take it, that holds for
 * this process.
 */
void policy_bind(struct policy *p, const char *group,
		 const uint8_t id[static GROUP_ID_LEN]);
/** a subject as rules have it. Return: 0, -NTM_EINVAL; @out may be @text */
NTM_MUST_CHECK int policy_subject(const char *text,
				  char out[static FQDN_MAX + 1]);
/** @own: our FQDN, NULL while logged out */
void policy_check(const struct policy *p, const char *own, const char *peer,
		  struct policy_grant *out);
/**
 * policy_allow() - adds or replaces a rule; in force once it is durable
 * @fn: hears then, or of -NTM_ESTORE, -NTM_ELIMIT, and nothing changed; may be NULL
 * Changes are made one after another. Return: 0 (@fn will be called, in a later
 * turn), -NTM_EINVAL, -NTM_ELIMIT, -NTM_ENOMEM
 */
NTM_MUST_CHECK int policy_allow(struct policy *p, const struct policy_rule *r,
				writer_fn *fn, void *arg);
/** the same. Return: also -NTM_ENOTFOUND, there or to @fn */
NTM_MUST_CHECK int policy_remove(struct policy *p, const char *subject,
				 writer_fn *fn, void *arg);
size_t policy_count(const struct policy *p);
/** borrowed until the next change */
const struct policy_rule *policy_rule(const struct policy *p, size_t index);

/* --- policy_line.c ------------------------------------------------------------------- */

/** one line of the file. Return: 1 a rule, 0 none (empty, comment), -NTM_ECONF */
NTM_MUST_CHECK int policy_parse_line(const char *line, struct policy_rule *out);
/** the line of a rule, with its end */
void policy_line_put(const struct policy_rule *r, FILE *f);
/** @line, without its end, as it is; but for @id behind a subject @subject that has none */
void policy_line_bind(const char *line, const char *subject,
		      const uint8_t id[static GROUP_ID_LEN], FILE *f);

#endif

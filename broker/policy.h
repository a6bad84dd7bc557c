/* SPDX-License-Identifier: MIT */
/*
 * policy - who may connect in, and to which ports
 *
 * Owner:    the worker. Context: loop thread. File: policy, in the config folder, a
 * line each, written by `ntm allow` (which keeps no comments) and by people:
 *     allow SUBJECT [PORT...]      SUBJECT: device.account.domain, account.domain, a domain
 *     # comment
 * Devices of the own account may always connect. No port named: every port. A line
 * that is none stops the start: FILE:LINE says which (nobody is let in by mistake).
 */
#ifndef NTM_BROKER_POLICY_H
#define NTM_BROKER_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/fqdn.h"

#define POLICY_RULES_MAX 256
#define POLICY_PORTS_MAX 64 /* of one rule */
#define POLICY_LINE_MAX	 1024

struct policy;

/** struct policy_rule - @n_ports 0: every port */
struct policy_rule {
	char subject[FQDN_MAX + 1];
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
NTM_MUST_CHECK int policy_open(const char *config_dir, struct policy **out,
			       char *why, size_t why_size);
void policy_free(struct policy *p);
/**
 * policy_reload() - the file again; what a person wrote there is not lost
 * @why: as above; empty on success
 * Return: 0 and *@p replaced; or an error and *@p as it was
 */
NTM_MUST_CHECK int policy_reload(struct policy **p, char *why, size_t why_size);

/** @own: our FQDN, NULL while logged out */
void policy_check(const struct policy *p, const char *own, const char *peer,
		  struct policy_grant *out);
/** adds or replaces a rule, durable. Return: 0, -NTM_EINVAL, -NTM_ELIMIT,
 *  -NTM_ESTORE */
NTM_MUST_CHECK int policy_allow(struct policy *p, const struct policy_rule *r);
/** Return: 0, -NTM_ENOTFOUND, -NTM_ESTORE */
NTM_MUST_CHECK int policy_remove(struct policy *p, const char *subject);
size_t policy_count(const struct policy *p);
/** borrowed until the next change */
const struct policy_rule *policy_rule(const struct policy *p, size_t index);
/** one line of the file. Return: 1 a rule, 0 none (empty, comment), -NTM_ECONF */
NTM_MUST_CHECK int policy_parse_line(const char *line, struct policy_rule *out);

#endif

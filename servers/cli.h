/* SPDX-License-Identifier: MIT */
/*
 * cli - the commands of ntm-server: options, and one function a command
 *
 * Context: a command's own process; may block, prints to standard output, errors
 *          to standard error. Return of a command: exit status 0, 1 (failed),
 *          2 (usage).
 */
#ifndef NTM_SERVERS_CLI_H
#define NTM_SERVERS_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "servers/datadir.h"
#include "servers/enrol.h"
#include "servers/serverconf.h"

#define CLI_FAILED 1
#define CLI_USAGE  2

#define CLI_ARGS_MAX 80 /* of `gms define` */

enum cli_option {
	CLI_DIR = 1 << 0,
	CLI_JSON = 1 << 1,
	CLI_DOMAIN = 1 << 2,
	CLI_LISTEN = 1 << 3,
	CLI_SLICE = 1 << 4,
	CLI_USER = 1 << 5,
	CLI_PASSWORD = 1 << 6, /* --password-file, --password-stdin */
	CLI_FORCE = 1 << 7,
	CLI_CHECK = 1 << 8, /* -n */
	CLI_ACCOUNT = 1 << 9,
	CLI_RELAY = 1 << 10, /* --relay, --ns, --cs */
};

struct cli {
	char dir[DATADIR_PATH_MAX];
	const char *domain, *slice, *user, *password_file, *account, *relay,
		*ns, *cs;
	const char *listen[SERVERCONF_ADDRESSES_MAX];
	size_t n_listen;
	bool json, force, check, password_stdin;
	const char *args[CLI_ARGS_MAX];
	size_t n_args;
};

/**
 * cli_parse() - options and arguments behind a command's name
 * @allowed: enum cli_option bits; others are a usage error
 * Return: 0, CLI_USAGE (said why)
 */
int cli_parse(int argc, char **argv, unsigned int allowed, struct cli *out);
/** "ntm-server: ..." on standard error; Return: CLI_FAILED */
int cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** wrong arguments of @command, said. Return: CLI_USAGE */
int cli_misused(const char *command);
/** into the folder, as its owner. Return: 0 or CLI_FAILED (said why) */
int cli_enter(const struct cli *c);
/** datadir_make(); @not_empty: what to say then. Return: 0 or CLI_FAILED (said why) */
int cli_make_dir(const struct cli *c, bool force, const char *not_empty);
/** load the folder's configuration; Return: 0 or CLI_FAILED (said why) */
int cli_conf(const struct cli *c, struct server_conf *out);
/** cli_enter(), then that */
int cli_enter_conf(const struct cli *c, struct server_conf *out);

int cli_init(struct cli *c);
int cli_run(struct cli *c);
int cli_join_string(struct cli *c);
int cli_status(struct cli *c);
int cli_backup(struct cli *c);
int cli_restore(struct cli *c);
/** @verb: "add", "list" ...; arguments in @c */
int cli_account(struct cli *c, const char *verb);
/** ask the AS, or its store while it does not run; takes @request, prints a refusal.
 *  Return: 0 with @answer, a new reference, or CLI_FAILED */
int cli_ask_as(const struct cli *c, json_t *request, json_t **answer);
/** the join string of the domain. Return: 0 or CLI_FAILED (said why) */
int cli_join_text(struct cli *c, char *out, size_t size);
/** @verb: "status", "enrol" */
int cli_exit(struct cli *c, const char *verb);
int cli_device(struct cli *c, const char *verb);
/** @verb: "status", "drain", "undrain", "enrol", "renew", "remove" */
int cli_relay(struct cli *c, const char *verb);
/** @verb: "status", "enrol", "renew", "remove" */
int cli_ns(struct cli *c, const char *verb);
/** @verb: "status", "drain", "undrain", "list", "enrol", "renew", "remove" */
int cli_cs(struct cli *c, const char *verb);
/** @verb: "status", "list" */
int cli_gms(struct cli *c, const char *verb);
/** what waits on the Cache Server with that fingerprint, if the box here knows */
void cli_cs_losses(struct cli *c, const char *fp);
/** the number and bool fields of an answer, one a line; or with --json all of it */
void cli_print(const struct cli *c, const json_t *answer);
/** one of these: "enrol", "renew", "remove", with its argument */
int cli_enrol(struct cli *c, enum enrol_kind kind, const char *verb);
bool cli_enrol_is(const char *verb);
/** @verb: "add", "list", "remove" */
int cli_peer(struct cli *c, const char *verb);
/** init with --relay, --ns, --cs: no domain is made, but a server of one */
int cli_init_away(struct cli *c);

#endif

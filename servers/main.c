/* SPDX-License-Identifier: MIT */
/* main - ntm-server: the table of commands */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "servers/cli.h"

struct command {
	const char *name, *args, *help;
	unsigned int options;
	size_t min_args, max_args;
	int (*run)(struct cli *c);
};

static int account(struct cli *c)
{
	return cli_account(c, c->args[0]);
}

static int device(struct cli *c)
{
	return cli_device(c, c->args[0]);
}

static int relay(struct cli *c)
{
	return cli_relay(c, c->args[0]);
}

static int ns(struct cli *c)
{
	return cli_ns(c, c->args[0]);
}

static int cs(struct cli *c)
{
	return cli_cs(c, c->args[0]);
}

static int gms(struct cli *c)
{
	return cli_gms(c, c->args[0]);
}

static int peer(struct cli *c)
{
	return cli_peer(c, c->args[0]);
}

static int exit_of(struct cli *c)
{
	return cli_exit(c, c->args[0]);
}

/* clang-format off */
static const struct command commands[] = {
	{ "init", "--domain DOMAIN [--listen ADDRESS]... [--slice PREFIX] [--user USER]",
	  "make a domain: CA, keys, configuration, stores",
	  CLI_DIR | CLI_DOMAIN | CLI_LISTEN | CLI_SLICE | CLI_USER | CLI_RELAY,
	  0, 0, cli_init },
	{ NULL, "init --relay FILE [--listen ADDRESS]... [--user USER]",
	  "make a relay of a domain that is elsewhere, by what `relay enrol` wrote",
	  0, 0, 0, NULL },
	{ NULL, "init --ns FILE [--listen ADDRESS]... [--user USER]",
	  "the same with a Notification Server, by what `ns enrol` wrote",
	  0, 0, 0, NULL },
	{ NULL, "init --cs FILE [--listen ADDRESS]... [--user USER]",
	  "the same with a Cache Server, by what `cs enrol` wrote",
	  0, 0, 0, NULL },
	{ "run", "[-n]", "run the configured roles; -n: check the configuration only",
	  CLI_DIR | CLI_CHECK, 0, 0, cli_run },
	{ "account", "add|passwd NAME [--password-file FILE | --password-stdin]",
	  "make an account, or give it another password",
	  CLI_DIR | CLI_JSON | CLI_PASSWORD, 1, 3, account },
	{ NULL, "account list", "list them", 0, 0, 0, NULL },
	{ NULL, "account disable|enable|delete NAME",
	  "withdraw all its devices; let them in again; forget it", 0, 0, 0, NULL },
	{ NULL, "account exit NAME on|off", "may its nodes use the domain's exit?",
	  0, 0, 0, NULL },
	{ "device", "list [--account NAME]", "list devices",
	  CLI_DIR | CLI_JSON | CLI_ACCOUNT, 1, 2, device },
	{ NULL, "device revoke|delete FQDN",
	  "a device never comes back; delete: its name and addresses are free again",
	  0, 0, 0, NULL },
	{ "relay", "status|drain|undrain",
	  "the relay of this machine; let it take no new paths, or again",
	  CLI_DIR | CLI_JSON, 1, 2, relay },
	{ NULL, "relay enrol FILE", "write key and certificate for a relay elsewhere",
	  0, 0, 0, NULL },
	{ NULL, "relay remove SHA256", "end a relay or NS elsewhere, by its fingerprint",
	  0, 0, 0, NULL },
	{ NULL, "relay renew FILE", "on the relay's machine: take new ones",
	  0, 0, 0, NULL },
	{ "ns", "status", "the Notification Server of this machine",
	  CLI_DIR | CLI_JSON, 1, 2, ns },
	{ NULL, "ns enrol|renew FILE, ns remove SHA256",
	  "the same as with relays, of one elsewhere", 0, 0, 0, NULL },
	{ "cs", "status|drain|undrain",
	  "the Cache Server of this machine; let it take no new items, or again",
	  CLI_DIR | CLI_JSON, 1, 2, cs },
	{ NULL, "cs list", "beside the Direction Coordinator: those of the domain",
	  0, 0, 0, NULL },
	{ NULL, "cs enrol|renew FILE, cs remove SHA256",
	  "the same as with relays, of one elsewhere", 0, 0, 0, NULL },
	{ "gms", "status|list",
	  "the Group Management Server of this machine; its groups, which have no names here",
	  CLI_DIR | CLI_JSON, 1, CLI_ARGS_MAX, gms },
	{ NULL, "gms define NAME FOUNDER [MEMBER[:RIGHTS] | KEY=VALUE]...",
	  "ask somebody to found a group: members, their rights, its rules",
	  0, 0, 0, NULL },
	{ NULL, "gms undefine NAME", "ask no more", 0, 0, 0, NULL },
	{ "peer", "add DOMAIN SHA256 [ADDRESS]",
	  "let nodes meet those of another domain, whose CA has that fingerprint",
	  CLI_DIR | CLI_JSON, 1, 4, peer },
	{ NULL, "peer list|remove DOMAIN", "which there are; no more, from now on",
	  0, 0, 0, NULL },
	{ NULL, "peer block|unblock DOMAIN",
	  "not this one, whoever vouches for it; or again", 0, 0, 0, NULL },
	{ "exit", "status|drain|undrain",
	  "the exit of this machine; let it take no more nodes, or again",
	  CLI_DIR | CLI_JSON, 1, 2, exit_of },
	{ NULL, "exit enrol [FILE]",
	  "beside the Account Server: let an exit into the domain", 0, 0, 0, NULL },
	{ "join-string", "", "what a person gives to `ntm login`",
	  CLI_DIR | CLI_JSON, 0, 0, cli_join_string },
	{ "status", "", "what the running roles do", CLI_DIR | CLI_JSON, 0, 0, cli_status },
	{ "backup", "FILE", "CA, keys, configuration and stores in one file",
	  CLI_DIR, 1, 1, cli_backup },
	{ "restore", "FILE [--force] [--user USER]", "the reverse, into an empty folder",
	  CLI_DIR | CLI_FORCE | CLI_USER, 1, 1, cli_restore },
};
/* clang-format on */
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* of all commands, or of @only and what else is said of it */
static void help(const struct command *only)
{
	const struct command *of = NULL;

	printf("usage: ntm-server %s [OPTION]...\n\n",
	       only ? only->name : "COMMAND");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];

		of = c->name ? c : of;
		if (only && of != only)
			continue;
		printf("  %s%s%s\n      %s\n", c->name ? c->name : "",
		       c->name && *c->args ? " " : "", c->args, c->help);
	}
	printf("\nEvery command takes --dir DIR (default /var/lib/ntm for "
	       "root, else\n~/.local/share/ntm-server); account, device, "
	       "relay, ns, cs, gms, peer, exit, join-string\nand status take "
	       "--json. See ntm-server(8).\n");
}

int main(int argc, char **argv)
{
	const struct command *cmd = NULL;
	struct cli c;
	int r;

	if (argc < 2) {
		help(NULL);
		return CLI_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		help(NULL);
		return 0;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("ntm-server %s\n", NTM_VERSION);
		return 0;
	}
	if (!strcmp(argv[1], "--mdoc")) { /* for make and the manual's test */
		serverconf_print_mdoc();
		return 0;
	}
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (commands[i].name && !strcmp(argv[1], commands[i].name))
			cmd = &commands[i];
	if (!cmd) {
		cli_fail("no command %s; see ntm-server --help", argv[1]);
		return CLI_USAGE;
	}
	for (int i = 2; i < argc; i++)
		if (!strcmp(argv[i], "--help")) {
			help(cmd);
			return 0;
		}
	if (log_open("ntm-server", LOG_WARN, NULL))
		return CLI_FAILED;
	r = cli_parse(argc - 1, argv + 1, cmd->options, &c);
	if (!r && (c.n_args < cmd->min_args || c.n_args > cmd->max_args))
		r = cli_misused(cmd->name);
	return r ? r : cmd->run(&c);
}

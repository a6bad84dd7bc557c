/* SPDX-License-Identifier: MIT */
/* cli - the commands of ntm-server: options, join-string, status, run */
#include "servers/cli.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/join.h"
#include "common/out.h"
#include "servers/adminsock.h"
#include "servers/role.h"
#include "servers/supervisor.h"

enum {
	OPT_DIR = 256,
	OPT_JSON,
	OPT_DOMAIN,
	OPT_LISTEN,
	OPT_SLICE,
	OPT_USER,
	OPT_PASSWORD_FILE,
	OPT_PASSWORD_STDIN,
	OPT_FORCE,
	OPT_ACCOUNT,
	OPT_RELAY,
	OPT_NS,
	OPT_CS,
};

static const struct {
	struct option option;
	unsigned int bit;
} options[] = {
	{{"dir", required_argument, NULL, OPT_DIR}, CLI_DIR},
	{{"json", no_argument, NULL, OPT_JSON}, CLI_JSON},
	{{"domain", required_argument, NULL, OPT_DOMAIN}, CLI_DOMAIN},
	{{"listen", required_argument, NULL, OPT_LISTEN}, CLI_LISTEN},
	{{"slice", required_argument, NULL, OPT_SLICE}, CLI_SLICE},
	{{"user", required_argument, NULL, OPT_USER}, CLI_USER},
	{{"password-file", required_argument, NULL, OPT_PASSWORD_FILE},
	 CLI_PASSWORD},
	{{"password-stdin", no_argument, NULL, OPT_PASSWORD_STDIN},
	 CLI_PASSWORD},
	{{"force", no_argument, NULL, OPT_FORCE}, CLI_FORCE},
	{{"account", required_argument, NULL, OPT_ACCOUNT}, CLI_ACCOUNT},
	{{"relay", required_argument, NULL, OPT_RELAY}, CLI_RELAY},
	{{"ns", required_argument, NULL, OPT_NS}, CLI_RELAY},
	{{"cs", required_argument, NULL, OPT_CS}, CLI_RELAY},
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

int cli_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("ntm-server: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return CLI_FAILED;
}

static int usage(const char *fmt, const char *what)
{
	fprintf(stderr, "ntm-server: ");
	fprintf(stderr, "%s %s; see ntm-server --help\n", fmt, what);
	return CLI_USAGE;
}

static int set_option(struct cli *c, int opt)
{
	switch (opt) {
	case OPT_DIR:
		if (strlen(optarg) >= sizeof(c->dir))
			return usage("too long:", "--dir");
		strcpy(c->dir, optarg);
		break;
	case OPT_LISTEN:
		if (c->n_listen == SERVERCONF_ADDRESSES_MAX)
			return usage("too many:", "--listen");
		c->listen[c->n_listen++] = optarg;
		break;
	case OPT_JSON:
		c->json = true;
		break;
	case OPT_DOMAIN:
		c->domain = optarg;
		break;
	case OPT_SLICE:
		c->slice = optarg;
		break;
	case OPT_USER:
		c->user = optarg;
		break;
	case OPT_PASSWORD_FILE:
		c->password_file = optarg;
		break;
	case OPT_PASSWORD_STDIN:
		c->password_stdin = true;
		break;
	case OPT_FORCE:
		c->force = true;
		break;
	case OPT_ACCOUNT:
		c->account = optarg;
		break;
	case OPT_RELAY:
		c->relay = optarg;
		break;
	case OPT_NS:
		c->ns = optarg;
		break;
	case OPT_CS:
		c->cs = optarg;
		break;
	}
	return 0;
}

int cli_parse(int argc, char **argv, unsigned int allowed, struct cli *out)
{
	struct option list[N_OPTIONS + 1];
	size_t n = 0;
	int opt, r;

	memset(out, 0, sizeof(*out));
	memset(list, 0, sizeof(list));
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (options[i].bit & allowed)
			list[n++] = options[i].option;
	optind = 1;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, allowed & CLI_CHECK ? ":n" : ":",
				  list, NULL)) != -1) {
		r = 0;
		if (opt == 'n')
			out->check = true;
		else if (opt == ':')
			r = usage("a value is missing behind",
				  argv[optind - 1]);
		else if (opt == '?')
			r = usage("no option of this command:",
				  argv[optind - 1]);
		else
			r = set_option(out, opt);
		if (r)
			return r;
	}
	while (optind < argc) {
		if (out->n_args == sizeof(out->args) / sizeof(out->args[0]))
			return usage("one argument too many:", argv[optind]);
		out->args[out->n_args++] = argv[optind++];
	}
	if (out->user && geteuid() != 0)
		return usage("only root gives a folder away:", "--user");
	if (!out->dir[0] && datadir_default(out->dir))
		return usage("no home folder;", "use --dir");
	return 0;
}

int cli_misused(const char *command)
{
	cli_fail("%s: wrong arguments; see ntm-server %s --help", command,
		 command);
	return CLI_USAGE;
}

int cli_enter(const struct cli *c)
{
	int r = datadir_enter(c->dir);

	if (r == -NTM_ENOTFOUND)
		return cli_fail("%s does not exist; run ntm-server init, or "
				"name the domain's folder with --dir",
				c->dir);
	if (r == -NTM_EPERM)
		return cli_fail("%s is not yours; run this as root or as the "
				"folder's owner",
				c->dir);
	return r ? cli_fail("%s: %s", c->dir, err_text(r)) : 0;
}

int cli_make_dir(const struct cli *c, bool force, const char *not_empty)
{
	int r = datadir_make(c->dir, c->user, force);

	if (r == -NTM_EEXISTS)
		return cli_fail("%s is not empty; %s", c->dir, not_empty);
	if (r == -NTM_ENONAME)
		return cli_fail("there is no user %s; make it, or name another "
				"with --user",
				c->user ? c->user : "nobody");
	if (r == -NTM_ENOTFOUND)
		return cli_fail("%s cannot be made there; name another folder "
				"with --dir",
				c->dir);
	return r ? cli_fail("%s: %s", c->dir, err_text(r)) : 0;
}

int cli_conf(const struct cli *c, struct server_conf *out)
{
	char path[DATADIR_PATH_MAX], error[SERVERCONF_ERROR_LEN];
	int r = datadir_file(c->dir, DATADIR_CONF, path);

	if (r)
		return cli_fail("%s: %s", c->dir, err_text(r));
	r = serverconf_load(path, out, error);
	if (r == -NTM_ENOTFOUND)
		return cli_fail("%s does not exist; run ntm-server init", path);
	return r ? cli_fail("%s", error) : 0;
}

int cli_enter_conf(const struct cli *c, struct server_conf *out)
{
	int r = cli_enter(c);

	return r ? r : cli_conf(c, out);
}

int cli_run(struct cli *c)
{
	struct server_conf conf;
	enum log_level level;
	int r = cli_conf(c, &conf);

	if (r)
		return r;
	if (c->check) {
		printf("%s/%s: good\n", c->dir, datadir_name(DATADIR_CONF));
	} else if (!log_level_parse(conf.log_level, &level) ||
		   log_open("ntm-server", level, NULL)) {
		r = cli_fail("log lines cannot be written to standard error");
	} else {
		r = supervisor_run(c->dir, &conf);
	}
	serverconf_clear(&conf);
	return r;
}

/* the fingerprint of the folder's CA */
static int ca_fingerprint(const char *dir, struct ntmc_trust_domain *out)
{
	struct ntmc_trust *trust = NULL;
	char path[DATADIR_PATH_MAX];
	uint8_t *der;
	size_t len;
	int r = datadir_file(dir, DATADIR_DC_CA, path);

	if (!r)
		r = file_read(path, NTMC_CERT_MAX, &der, &len);
	if (r)
		return r;
	r = ntmc_trust_new(&trust);
	if (!r)
		r = ntmc_trust_add(trust, der, len, NULL, out);
	ntmc_trust_free(trust);
	file_free(der, len);
	return r;
}

static int join_of(const struct cli *c, const struct server_conf *conf,
		   struct join *j)
{
	struct addr list[SERVERCONF_ADDRESSES_MAX];
	struct ntmc_trust_domain domain;
	int n = serverconf_announced(conf->as_address, conf->as_listen,
				     (uint16_t)conf->as_port, list);
	int r = ca_fingerprint(c->dir, &domain);

	if (r)
		return r;
	if (n < 1)
		return -NTM_ECONF;
	memset(j, 0, sizeof(*j));
	snprintf(j->domain, sizeof(j->domain), "%s", conf->domain);
	memcpy(j->ca_fp, domain.fp, sizeof(j->ca_fp));
	for (int i = 0; i < n && i < JOIN_ADDRESSES_MAX; i++)
		j->addrs[j->n_addrs++] = list[i];
	return 0;
}

int cli_join_text(struct cli *c, char *out, size_t size)
{
	char text[JOIN_TEXT_MAX];
	struct server_conf conf;
	struct join j;
	int r = cli_enter_conf(c, &conf);

	if (r)
		return r;
	r = join_of(c, &conf, &j);
	if (!r)
		r = join_format(&j, text);
	serverconf_clear(&conf);
	if (!r && snprintf(out, size, "%s", text) >= (int)size)
		r = -NTM_ETOOBIG;
	return r ? cli_fail("the join string cannot be made: %s", err_text(r))
		 : 0;
}

int cli_join_string(struct cli *c)
{
	char text[JOIN_TEXT_MAX];
	int r = cli_join_text(c, text, sizeof(text));

	if (r)
		return r;
	if (c->json)
		printf("{\"join\": \"%s\"}\n", text);
	else
		printf("%s\n", text);
	return 0;
}

/* --- status ------------------------------------------------------------------- */

/* KEY=VALUE behind the others; on a terminal, in the next line where it is full */
static void print_word(size_t *used, const char *key, const char *value)
{
	size_t len = strlen(key) + strlen(value) + 2;

	if (*used + len > out_columns()) {
		printf("\n   ");
		*used = 3;
	}
	printf(" %s=%s", key, value);
	*used += len;
}

static void print_role(const char *name, json_t *status)
{
	size_t used = strlen(name) + 1;
	char number[24];
	const char *key;
	json_t *value;

	printf("%s:", name);
	if (json_is_null(status)) {
		printf(" not running\n");
		return;
	}
	json_object_foreach(status, key, value)
	{
		if (!strcmp(key, "ok"))
			continue;
		snprintf(number, sizeof(number), "%lld",
			 (long long)json_integer_value(value));
		if (json_is_integer(value))
			print_word(&used, key, number);
		else if (json_is_boolean(value))
			print_word(&used, key,
				   json_is_true(value) ? "yes" : "no");
		else if (json_is_string(value))
			print_word(&used, key, json_string_value(value));
	}
	printf("\n");
}

int cli_status(struct cli *c)
{
	json_t *all, *roles, *request, *answer;
	struct server_conf conf;
	bool running = false;
	int r = cli_enter_conf(c, &conf);

	if (r)
		return r;
	request = json_pack("{s:s}", "command", "status");
	roles = json_object();
	for (const struct role *role = role_table; role->name; role++) {
		if (!role_is_wanted(role, &conf))
			continue;
		r = adminsock_ask(c->dir, role->name, request, &answer);
		running |= !r;
		json_object_set_new(roles, role->name,
				    r ? json_null() : answer);
	}
	all = json_pack("{s:s, s:b, s:o}", "domain", conf.domain, "running",
			running, "roles", roles);
	if (c->json) {
		json_dumpf(all, stdout, JSON_INDENT(2));
		printf("\n");
	} else {
		const char *name;
		json_t *status;

		printf("domain: %s\n", conf.domain);
		json_object_foreach(roles, name, status)
			print_role(name, status);
	}
	json_decref(all);
	json_decref(request);
	serverconf_clear(&conf);
	return running ? 0 : CLI_FAILED;
}

/* SPDX-License-Identifier: MIT */
/*
 * cli_enrol - relays, Notification and Cache Servers on machines of their own:
 * `ntm-server relay|ns|cs enrol|renew|remove`, `ntm-server init --relay|--ns|--cs`
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "servers/adminsock.h"
#include "servers/cli.h"
#include "servers/enrol.h"
#include "servers/removed.h"

#define LIST_MAX 1024

/* what people call them; of the command, the configuration */
static const struct {
	const char *name, *command, *role;
} kinds[] = {
	[ENROL_RELAY] = {"relay", "relay", "rs"},
	[ENROL_NOTIFIER] = {"Notification Server", "ns", "ns"},
	[ENROL_CACHE] = {"Cache Server", "cs", "cs"},
};

/* --- a file for another machine ------------------------------------------------- */

static int write_text(const char *path, int fd, const char *text, size_t len)
{
	bool bad = write(fd, text, len) != (ssize_t)len || fsync(fd);

	if (close(fd) || bad) {
		unlink(path);
		return cli_fail("%s: %s", path, strerror(errno));
	}
	return 0;
}

static int make_text(const struct cli *c, enum enrol_kind kind, char *text,
		     int *len, char fp_text[static NTMC_FP_TEXT_LEN])
{
	struct server_conf conf;
	uint8_t fp[NTMC_FP_LEN];
	struct enrol e;
	int r = cli_enter_conf(c, &conf);

	if (r)
		return r;
	r = enrol_new(c->dir, &conf, kind, ntmc_now(NULL), &e);
	serverconf_clear(&conf);
	if (r)
		return cli_fail("the %s cannot be enrolled: %s",
				kinds[kind].name, err_text(r));
	ntmc_fingerprint(e.id.ed_pub, fp);
	ntmc_fingerprint_text(fp, fp_text);
	*len = enrol_format(&e, text);
	enrol_clear(&e);
	return *len < 0 ? cli_fail("%s", err_text(*len)) : 0;
}

static int write_enrol(struct cli *c, enum enrol_kind kind, const char *path)
{
	char text[ENROL_TEXT_MAX], key[DATADIR_PATH_MAX], fp[NTMC_FP_TEXT_LEN];
	int fd, len = 0, r;

	if (datadir_file(c->dir, DATADIR_CA_KEY, key) ||
	    (access(key, F_OK) && errno == ENOENT))
		return cli_fail("the CA is not in %s; run this on the machine "
				"of the Account Server",
				c->dir);
	/* as who we are: the owner of the data may not write there */
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return cli_fail("%s: %s", path, strerror(errno));
	r = make_text(c, kind, text, &len, fp);
	if (r) {
		close(fd);
		unlink(path);
	} else {
		r = write_text(path, fd, text, (size_t)len);
	}
	ntmc_wipe(text, sizeof(text));
	if (!r)
		printf("Bring %s to the %s's machine by a safe way, run "
		       "there\n  ntm-server init --%s FILE\nand delete it: "
		       "whoever holds it can be that server, until\n  "
		       "ntm-server %s remove %s\n",
		       path, kinds[kind].name, kinds[kind].command,
		       kinds[kind].command, fp);
	return r;
}

/* --- taking it ---------------------------------------------------------------------- */

static int read_enrol(const char *path, enum enrol_kind kind, struct enrol *out)
{
	char text[ENROL_TEXT_MAX];
	FILE *f = fopen(path, "re");
	size_t len;
	int r;

	if (!f)
		return cli_fail("%s: %s", path, strerror(errno));
	len = fread(text, 1, sizeof(text), f);
	r = ferror(f) || len == sizeof(text) ? -NTM_EDECODE
					     : enrol_parse(text, len, out);
	fclose(f);
	ntmc_wipe(text, sizeof(text));
	if (r == -NTM_EDECODE)
		return cli_fail("%s is damaged, or not made by `ntm-server "
				"%s enrol`",
				path, kinds[kind].command);
	if (!r && out->kind != kind) {
		cli_fail("%s is for a %s: ntm-server init --%s FILE", path,
			 kinds[out->kind].name, kinds[out->kind].command);
		enrol_clear(out);
		return CLI_FAILED;
	}
	return r ? cli_fail("%s: %s", path, err_text(r)) : 0;
}

static void append(char list[static LIST_MAX], const char *between,
		   const char *item)
{
	size_t used = strlen(list);

	snprintf(list + used, LIST_MAX - used, "%s%s", used ? between : "",
		 item);
}

static int write_conf(const struct cli *c, const struct enrol *e)
{
	static const char *const keys[ENROL_TOS] = {[ENROL_TO_DC] = "dc",
						    [ENROL_TO_AS] = "as",
						    [ENROL_TO_BOX] = "box"};
	struct server_conf_value v[3 + ENROL_TOS] = {
		{"server", "domain", e->domain},
		{"server", "roles", kinds[e->kind].role}};
	char path[DATADIR_PATH_MAX], ways[ENROL_TOS][LIST_MAX] = {""},
				     listen[LIST_MAX] = "", text[ADDR_TEXT_LEN];
	size_t n = 2;
	int r = datadir_file(c->dir, DATADIR_CONF, path);

	for (int to = 0; to < ENROL_TOS; to++) {
		for (size_t i = 0; i < e->to[to].n; i++)
			append(ways[to], "|",
			       addr_format(&e->to[to].a[i], text));
		if (e->to[to].n)
			v[n++] = (struct server_conf_value){kinds[e->kind].role,
							    keys[to], ways[to]};
	}
	for (size_t i = 0; i < c->n_listen; i++)
		append(listen, ", ", c->listen[i]);
	if (listen[0])
		v[n++] = (struct server_conf_value){kinds[e->kind].role,
						    "listen", listen};
	return r ? r : serverconf_write(path, v, n);
}

int cli_init_away(struct cli *c)
{
	enum enrol_kind kind = c->relay ? ENROL_RELAY
			       : c->ns	? ENROL_NOTIFIER
					: ENROL_CACHE;
	char hint[96];
	struct enrol e;
	int r = read_enrol(c->relay ? c->relay
			   : c->ns  ? c->ns
				    : c->cs,
			   kind, &e);

	if (r)
		return r;
	snprintf(hint, sizeof(hint),
		 "nothing was changed (a new certificate: ntm-server %s renew "
		 "FILE)",
		 kinds[kind].command);
	r = cli_make_dir(c, false, hint);
	if (r) {
		enrol_clear(&e);
		return r;
	}
	r = datadir_enter(c->dir);
	if (!r)
		r = enrol_store(&e, c->dir);
	/* last: with it the folder is complete */
	if (!r)
		r = write_conf(c, &e);
	if (!r)
		printf("A %s of %s is ready in %s.\nNext: ntm-server run\n",
		       kinds[kind].name, e.domain, c->dir);
	enrol_clear(&e);
	return r ? cli_fail("%s: %s", c->dir, err_text(r)) : 0;
}

static int renew(struct cli *c, enum enrol_kind kind, const char *path)
{
	struct server_conf conf;
	struct enrol e;
	int r = read_enrol(path, kind, &e);

	if (r)
		return r;
	r = cli_enter_conf(c, &conf);
	if (!r) {
		if (strcmp(conf.domain, e.domain))
			r = cli_fail("%s is for %s, this server for %s", path,
				     e.domain, conf.domain);
		serverconf_clear(&conf);
		if (!r && enrol_store(&e, c->dir))
			r = cli_fail("%s cannot be written", c->dir);
	}
	enrol_clear(&e);
	if (!r)
		printf("A running server takes the new certificate within an "
		       "hour.\n");
	return r;
}

/* --- taking it back -------------------------------------------------------------------- */

/* The roles here that have channels of such servers: end them. */
static void tell_removed(const struct cli *c)
{
	static const char *const roles[] = {"dc", "as"};
	json_t *request = json_pack("{s:s}", "command", "removed"), *answer;

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (!adminsock_ask(c->dir, roles[i], request, &answer))
			json_decref(answer);
	json_decref(request);
}

static int take_back(struct cli *c, enum enrol_kind kind, const char *text)
{
	uint8_t fp[NTMC_FP_LEN];
	int r = cli_enter(c);

	if (r)
		return r;
	if (ntmc_fingerprint_parse(text, fp))
		return cli_fail("%.80s is not a fingerprint: 64 hexadecimal "
				"digits, as `ntm-server status` shows them",
				text);
	if (kind == ENROL_CACHE)
		cli_cs_losses(c, text);
	r = removed_add(c->dir, fp);
	if (r)
		return cli_fail("%s: %s", c->dir, err_text(r));
	tell_removed(c);
	printf("%s of %s takes it no more, and its certificate is not "
	       "renewed.\n",
	       kind == ENROL_CACHE ? "The domain" : "The Direction Coordinator",
	       c->dir);
	return 0;
}

int cli_enrol(struct cli *c, enum enrol_kind kind, const char *verb)
{
	if (!strcmp(verb, "enrol"))
		return write_enrol(c, kind, c->args[1]);
	if (!strcmp(verb, "renew"))
		return renew(c, kind, c->args[1]);
	return take_back(c, kind, c->args[1]);
}

bool cli_enrol_is(const char *verb)
{
	return !strcmp(verb, "enrol") || !strcmp(verb, "renew") ||
	       !strcmp(verb, "remove");
}

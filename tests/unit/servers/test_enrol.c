/* SPDX-License-Identifier: MIT */
/* test_enrol - servers elsewhere: enrolled, made, renewed; a damaged enrolment */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "servers/cli.h"
#include "servers/enrol.h"
#include "servers/servercert.h"
#include "folder.h"

/* the text that the domain in @name gives a relay */
static size_t enrol_text(const char *name, char text[static ENROL_TEXT_MAX])
{
	char path[128], error[SERVERCONF_ERROR_LEN];
	struct server_conf c;
	struct enrol e;
	int len;

	snprintf(path, sizeof(path), "%s/%s/ntm-server.conf", dir, name);
	assert_int_equal(serverconf_load(path, &c, error), 0);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(enrol_new(path, &c, ENROL_RELAY, ntmc_now(NULL), &e),
			 0);
	len = enrol_format(&e, text);
	assert_true(len > 0);
	enrol_clear(&e);
	serverconf_clear(&c);
	return (size_t)len;
}

/* init, enrol, renew ... of a server elsewhere: of role RS, or NS */
static int elsewhere(const char *name, enum enrol_kind kind, const char *verb,
		     const char *file)
{
	struct cli c = {.user = "root", .args = {verb, file}, .n_args = 2};
	bool made = !strcmp(verb, "init");
	int r;

	snprintf(c.dir, sizeof(c.dir), "%s/%s", dir, name);
	*(kind == ENROL_RELAY	   ? &c.relay
	  : kind == ENROL_NOTIFIER ? &c.ns
				   : &c.cs) = made ? file : NULL;
	folder_hush();
	r = made		     ? cli_init(&c)
	    : kind == ENROL_RELAY    ? cli_relay(&c, verb)
	    : kind == ENROL_NOTIFIER ? cli_ns(&c, verb)
				     : cli_cs(&c, verb);
	folder_unhush();
	return r;
}

static int relay_command(const char *name, const char *verb, const char *file)
{
	return elsewhere(name, ENROL_RELAY, verb, file);
}

static int ns_command(const char *name, const char *verb, const char *file)
{
	return elsewhere(name, ENROL_NOTIFIER, verb, file);
}

static int cs_command(const char *name, const char *verb, const char *file)
{
	return elsewhere(name, ENROL_CACHE, verb, file);
}

/* does the configuration made at away have it? */
static bool conf_has(const char *text)
{
	char path[128];
	uint8_t *conf;
	size_t len;
	bool has;

	snprintf(path, sizeof(path), "%s/away/ntm-server.conf", dir);
	assert_int_equal(file_read(path, 1 << 16, &conf, &len), 0);
	has = strstr((char *)conf, text);
	file_free(conf, len);
	return has;
}

static void relay_elsewhere(void **state)
{
	struct servercert before, after;
	char path[128], file[128];

	(void)state;
	assert_int_equal(folder_init("home"), 0);
	snprintf(file, sizeof(file), "%s/enrolled", dir);
	assert_int_equal(relay_command("home", "enrol", file), 0);
	assert_int_equal(relay_command("home", "enrol", file), CLI_FAILED);
	assert_int_equal(relay_command("away", "init", file), 0);
	assert_int_equal(relay_command("away", "init", file), CLI_FAILED);
	assert_true(conf_has("\nroles = rs\n"));
	assert_true(conf_has("\ndomain = example.org\n"));
	assert_true(conf_has(":4502"));
	snprintf(path, sizeof(path), "%s/away", dir);
	assert_int_equal(servercert_load(path, "rs", &before), 0);
	assert_string_equal(before.domain.domain, "example.org");
	assert_int_equal(servercert_load(path, "dc", &after), -NTM_ENOTFOUND);
	/* a new certificate, but not another domain's */
	assert_int_equal(unlink(file), 0);
	assert_int_equal(relay_command("home", "enrol", file), 0);
	assert_int_equal(relay_command("away", "renew", file), 0);
	assert_int_equal(servercert_load(path, "rs", &after), 0);
	servercert_clear(&before);
	servercert_clear(&after);
	assert_int_equal(relay_command("away", "enrol", "/nowhere"),
			 CLI_FAILED);
	assert_int_equal(relay_command("away", "renew", path), CLI_FAILED);
}

/* The same for a Notification Server; neither takes what is for the other one. */
static void notifier_elsewhere(void **state)
{
	struct servercert cert;
	char path[128], file[128];

	(void)state;
	assert_int_equal(folder_init("home"), 0);
	snprintf(file, sizeof(file), "%s/enrolled", dir);
	assert_int_equal(ns_command("home", "enrol", file), 0);
	assert_int_equal(relay_command("away", "init", file), CLI_FAILED);
	assert_int_equal(ns_command("away", "init", file), 0);
	assert_true(conf_has("\nroles = ns\n"));
	assert_true(conf_has(":4502"));
	snprintf(path, sizeof(path), "%s/away", dir);
	assert_int_equal(servercert_load(path, "ns", &cert), 0);
	servercert_clear(&cert);
	assert_int_equal(servercert_load(path, "rs", &cert), -NTM_ENOTFOUND);
	assert_int_equal(relay_command("away", "renew", file), CLI_FAILED);
	assert_int_equal(ns_command("away", "renew", file), 0);
	assert_int_equal(ns_command("away", "drain", file), CLI_USAGE);
}

/* A Cache Server elsewhere has a name of its own, and is told where AS and box are. */
static void cache_elsewhere(void **state)
{
	char path[128], file[128], digits[NTMC_FP_TEXT_LEN], name[64];
	uint8_t der[NTMC_CERT_MAX], fp[NTMC_FP_LEN];
	struct ntmc_cert cert;
	size_t len;

	(void)state;
	assert_int_equal(folder_init("home"), 0);
	snprintf(file, sizeof(file), "%s/enrolled", dir);
	assert_int_equal(cs_command("home", "enrol", file), 0);
	assert_int_equal(ns_command("away", "init", file), CLI_FAILED);
	assert_int_equal(cs_command("away", "init", file), 0);
	assert_true(conf_has("\nroles = cs\n"));
	assert_true(conf_has(":4501"));
	assert_true(conf_has(":4508"));
	assert_false(conf_has(":4502"));
	snprintf(path, sizeof(path), "%s/away", dir);
	assert_int_equal(servercert_der(path, "cs", der, &len), 0);
	assert_int_equal(ntmc_cert_parse(der, len, &cert), 0);
	assert_int_equal(cert.roles, NTMC_ROLE_CS);
	ntmc_fingerprint(cert.ed_pub, fp);
	ntmc_fingerprint_text(fp, digits);
	snprintf(name, sizeof(name), "cs-%.16s.example.org", digits);
	assert_string_equal(cert.fqdn, name);
	assert_int_equal(cs_command("away", "remove", digits), 0);
	assert_int_equal(cs_command("away", "drain", file), CLI_USAGE);
	/* where there is no box there is nothing for it to do */
	snprintf(path, sizeof(path), "%s/home/ntm-server.conf", dir);
	folder_write(path, "[server]\ndomain = example.org\n[box]\nport = 0\n");
	assert_int_equal(unlink(file), 0);
	assert_int_equal(cs_command("home", "enrol", file), CLI_FAILED);
}

static void enrolment_damaged(void **state)
{
	static const char *const lines[] = {"domain",	   "dc ",     "ca ",
					    "certificate", "ed25519", "x25519"};
	char text[ENROL_TEXT_MAX], bad[ENROL_TEXT_MAX];
	struct enrol e;
	size_t len;

	(void)state;
	assert_int_equal(folder_init("whole"), 0);
	len = enrol_text("whole", text);
	assert_int_equal(enrol_parse(text, len, &e), 0);
	assert_string_equal(e.domain, "example.org");
	for (size_t i = 0; i < len; i++)
		assert_true(enrol_parse(text, i, &e) < 0);
	memcpy(bad, text, len);
	bad[len] = 'x';
	assert_int_equal(enrol_parse(bad, len + 1, &e), -NTM_EDECODE);
	/* one byte in each line */
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *at = strstr(text, lines[i]), *end = strchr(at, '\n');

		memcpy(bad, text, len);
		bad[end - text - 1] ^= 1;
		if (i != 1) /* another port is another port */
			assert_true(enrol_parse(bad, len, &e) < 0);
		bad[end - text - 1] = '\0';
		assert_true(enrol_parse(bad, len, &e) < 0);
		/* without the line */
		memcpy(bad, text, (size_t)(at - text));
		memcpy(bad + (at - text), end + 1,
		       len - (size_t)(end + 1 - text));
		if (i != 1 || !strstr(end, "\ndc "))
			assert_true(enrol_parse(bad,
						len - (size_t)(end + 1 - at),
						&e) < 0);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, folder_setup, folder_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(relay_elsewhere),
		T(notifier_elsewhere),
		T(cache_elsewhere),
		T(enrolment_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* test_folder - init, configuration, join string, backup, journal, manual */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/join.h"
#include "servers/cli.h"
#include "servers/dc/journal.h"
#include "folder.h"

static void init_refuses_overwrite(void **state)
{
	uint8_t *before, *after;
	size_t len, len2;
	char path[128];

	(void)state;
	assert_int_equal(folder_init("a"), 0);
	snprintf(path, sizeof(path), "%s/a/as/ca.key", dir);
	assert_int_equal(file_read_private(path, 4096, &before, &len), 0);
	assert_int_equal(folder_init("a"), CLI_FAILED);
	assert_int_equal(file_read_private(path, 4096, &after, &len2), 0);
	assert_int_equal(len, len2);
	assert_memory_equal(before, after, len);
	file_free(before, len);
	file_free(after, len2);
}

static void conf_errors(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"[server]\ndomain = x.org\nspeed = 3\n", ":3:"},
		{"[sever]\ndomain = x.org\n", ":2:"},
		{"[as]\nport = 1\n", "server.domain is missing"},
		{"[server]\ndomain = x.org\nroles = as, gsm\n", "roles"},
		{"[server]\ndomain = x.org\n[ns]\nkeepalive = 5s\n",
		 "ns.keepalive"},
		{"[server]\ndomain = x.org\n[dc]\nkeepalive_max = 6m\n",
		 "keepalive_max"},
		{"[server]\ndomain = x.org\n[as]\nport = 0\n", "port"},
		{"[server]\ndomain = x.org\n[dc]\nslice = 10.0.0.1/8\n",
		 "slice"},
		{"[server]\ndomain = x.org\n[dc]\nlisten = here\n", "listen"},
		{"[server]\ndomain = x.org\n[as]\nlifetime = 1s\n", "lifetime"},
		{"[server]\ndomain = x.org\n[dns]\nport = 4503\n", "dns.port"},
		{"[server]\ndomain = x.org\n[rs]\npaths = 0\n", "paths"},
		{"[server]\ndomain = x.org\n[rs]\nthreads = 17\n", "threads"},
		{"[server]\ndomain = x.org\n[rs]\nport = 4504\n", "other_port"},
		{"[server]\ndomain = x.org\n[rs]\ndc = there\n", "address"},
		{"[server]\ndomain = x.org\n[rs]\ndc = 192.0.2.1|\n",
		 "address"},
		{"[server]\ndomain = x.org\n[rs]\ndc = ::1|::2|::3|::4|::5\n",
		 "address"},
	};
	char path[128], error[SERVERCONF_ERROR_LEN];
	struct server_conf c;

	(void)state;
	snprintf(path, sizeof(path), "%s/conf", dir);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		folder_write(path, cases[i].text);
		assert_int_equal(serverconf_load(path, &c, error), -NTM_ECONF);
		assert_non_null(strstr(error, path));
		if (!strstr(error, cases[i].says))
			fail_msg("case %zu: %s", i, error);
	}
	folder_write(path, "[server]\ndomain = X.org\n");
	assert_int_equal(serverconf_load(path, &c, error), 0);
	assert_string_equal(c.domain, "x.org");
	assert_int_equal(c.dc_keepalive, 25);
	serverconf_clear(&c);
}

static void join_strings(void **state)
{
	static const char fp[] = "000102030405060708090a0b0c0d0e0f"
				 "101112131415161718191a1b1c1d1e1f";
	static const char *const good[] = {
		"ntm1:example.org@192.0.2.1:4501#",
		"ntm1:example.org@[2001:db8::1]:4501#",
		"ntm1:a.b.c@192.0.2.1:1,[::1]:65535,10.0.0.1:4501#",
	};
	static const char *const bad[] = {
		"",
		"ntm1:",
		"ntm1:example.org#",
		"ntm1:example.org@#",
		"ntm1:example.org@,192.0.2.1:4501#",
		"ntm1:example.org@192.0.2.1:4501,#",
		"ntm1:example.org@192.0.2.1:0#",
		"ntm1:example.org@host:1#",
		"ntm1:ex ample@192.0.2.1:4501#",
		"ntm1:x@1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5#",
		"xtm1:example.org@192.0.2.1:4501#",
	};
	char text[2 * JOIN_TEXT_MAX], out[JOIN_TEXT_MAX];
	struct join j;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), "%s%s", good[i], fp);
		assert_int_equal(join_parse(text, &j), 0);
		assert_int_equal(join_format(&j, out), 0);
		assert_string_equal(out, text);
		/* cut anywhere it is none */
		for (size_t n = strlen(text); n-- > 0;) {
			text[n] = '\0';
			assert_int_not_equal(join_parse(text, &j), 0);
		}
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "%s%s", bad[i], fp);
		assert_int_equal(join_parse(text, &j), -NTM_EINVAL);
	}
	snprintf(text, sizeof(text), " \n%s%s0", good[0], fp);
	assert_int_equal(join_parse(text, &j), -NTM_EINVAL);
	snprintf(text, sizeof(text), " \n%s%s\n", good[0], fp);
	assert_int_equal(join_parse(text, &j), 0);
	assert_int_equal(join_parse("ntm2:whatever", &j), -NTM_EVERSION);
	/* no port: the default; the longest there can be */
	snprintf(text, sizeof(text), "ntm1:x@192.0.2.1#%s", fp);
	assert_int_equal(join_parse(text, &j), 0);
	assert_int_equal(addr_port(&j.addrs[0]), JOIN_PORT);
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(join_parse(text, &j), -NTM_EINVAL);
}

static int backup(const char *from, const char *file, bool restore, bool force)
{
	struct cli c = {.user = "root", .force = force, .n_args = 1};
	char path[128];
	int r;

	snprintf(c.dir, sizeof(c.dir), "%s/%s", dir, from);
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	c.args[0] = path;
	folder_hush();
	r = restore ? cli_restore(&c) : cli_backup(&c);
	folder_unhush();
	return r;
}

static void compare(const char *name)
{
	uint8_t *a, *b;
	size_t n, m;
	char path[128];

	snprintf(path, sizeof(path), "%s/a/%s", dir, name);
	assert_int_equal(file_read(path, 1 << 20, &a, &n), 0);
	snprintf(path, sizeof(path), "%s/b/%s", dir, name);
	assert_int_equal(file_read(path, 1 << 20, &b, &m), 0);
	assert_int_equal(n, m);
	assert_memory_equal(a, b, n);
	file_free(a, n);
	file_free(b, m);
}

/* what a store leaves beside it that was killed. Is it there? */
static bool left_beside(const char *name, bool leave)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/b/%.*s", dir,
		 (int)(strchr(name, '/') - name), name);
	if (leave)
		assert_true(!mkdir(path, 0700) || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/b/%s", dir, name);
	if (leave)
		assert_int_equal(file_write(path, "old", 3, 0600), 0);
	return !stat(path, &st);
}

static void backup_restore(void **state)
{
	static const char *const wal[] = {"as/as.db-wal", "dc/dc.db-wal",
					  "cs/cs.db-wal", "box/box.db-wal"};
	char path[128];
	uint8_t *data;
	struct stat st;
	size_t len;

	(void)state;
	assert_int_equal(folder_init("a"), 0);
	assert_int_equal(backup("a", "file", false, false), 0);
	snprintf(path, sizeof(path), "%s/file", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(backup("a", "file", false, false), CLI_FAILED);
	assert_int_equal(backup("b", "file", true, false), 0);
	compare("as/ca.key");
	compare("as/ca.pem");
	compare("dc/server.key");
	compare("ntm-server.conf");
	/* not over a used folder, unless told so */
	assert_int_equal(backup("b", "file", true, false), CLI_FAILED);
	for (size_t i = 0; i < 4; i++)
		assert_true(left_beside(wal[i], true));
	assert_int_equal(backup("b", "file", true, true), 0);
	for (size_t i = 0; i < 4; i++)
		assert_false(left_beside(wal[i], false));
	/* any damage is found before anything is written */
	assert_int_equal(file_read(path, 1 << 20, &data, &len), 0);
	snprintf(path, sizeof(path), "%s/bad", dir);
	for (size_t i = 0; i < len; i += len / 40 + 1) {
		data[i] ^= 1;
		assert_int_equal(file_write(path, data, len, 0600), 0);
		data[i] ^= 1;
		assert_int_equal(backup("c", "bad", true, false), CLI_FAILED);
		assert_int_equal(file_write(path, data, i, 0600), 0);
		assert_int_equal(backup("c", "bad", true, false), CLI_FAILED);
	}
	file_free(data, len);
	snprintf(path, sizeof(path), "%s/c", dir);
	assert_int_not_equal(stat(path, &st), 0);
}

/* --- journal ------------------------------------------------------------------- */

struct told {
	unsigned int n;
	int err;
};

static void on_told(void *arg, int err)
{
	struct told *t = arg;

	t->n++;
	t->err = err;
}

static int journal_put(struct loop *l, struct journal *j, uint64_t id)
{
	struct journal_session s = {.node_id = id, .aead = 1, .expires = 9};
	struct journal_node n = {.vip6_host = id, .vip4 = (uint32_t)id};
	struct told t = {0, 0};

	snprintf(n.fqdn, sizeof(n.fqdn), "d%llu.a.x", (unsigned long long)id);
	assert_int_equal(journal_session(j, &n, &s, false, on_told, &t), 0);
	while (!t.n)
		assert_int_equal(loop_turn(l, true), 0);
	return t.err;
}

static void journal_full_disk(void **state)
{
	struct rlimit old, tight;
	struct journal *j;
	struct loop *l;
	char path[128];

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	log_set_level(LOG_ERR);
	snprintf(path, sizeof(path), "%s/dc.db", dir);
	assert_int_equal(loop_new(&l), 0);
	assert_int_equal(journal_open(path, true, &j), 0);
	assert_int_equal(journal_boot(j), 1);
	assert_int_equal(journal_start(j, l), 0);
	assert_int_equal(journal_put(l, j, 1), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = old;
	tight.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	folder_hush();
	assert_int_equal(journal_put(l, j, 2), -NTM_ESTORE);
	assert_int_equal(journal_put(l, j, 3), -NTM_ESTORE);
	folder_unhush();
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	/* room again: it works again, and one bad job is alone with its fate */
	assert_int_equal(journal_put(l, j, 4), 0);
	assert_int_equal(journal_put(l, j, 4), -NTM_EEXISTS);
	assert_int_equal(journal_put(l, j, 5), 0);
	journal_close(j);
	assert_int_equal(journal_open(path, true, &j), 0);
	assert_int_equal(journal_boot(j), 2);
	journal_close(j);
	loop_free(l);
}

/* --- manual ---------------------------------------------------------------------- */

static void manual_names_every_key(void **state)
{
	static const struct {
		const char *section, *key;
	} keys[] = {
#define CONF(section_, key_, type, field, dflt, help)                          \
	{.section = section_, .key = key_},
#include "servers/server.def"
#undef CONF
	};
	char want[128];
	uint8_t *page;
	size_t len;

	(void)state;
	if (file_read("servers/ntm-server.conf.5", 1 << 20, &page, &len))
		skip(); /* not started from the project's folder */
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *section, *end, *item;

		snprintf(want, sizeof(want), ".Ss Section [%s]",
			 keys[i].section);
		section = strstr((char *)page, want);
		if (!section)
			fail_msg("%s", want);
		end = strstr(section, "\n.El");
		snprintf(want, sizeof(want), "\n.It Cm %s\n", keys[i].key);
		item = strstr(section, want);
		if (!item || item > end)
			fail_msg("no %s.%s in the manual", keys[i].section,
				 keys[i].key);
	}
	file_free(page, len);
}

#define T(f) cmocka_unit_test_setup_teardown(f, folder_setup, folder_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(init_refuses_overwrite), T(conf_errors),
		T(join_strings),	   T(backup_restore),
		T(journal_full_disk),	   T(manual_names_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

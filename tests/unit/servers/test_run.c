/* SPDX-License-Identifier: MIT */
/* test_run - the supervisor with real role processes: isolated, killed, stopped */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "servers/adminsock.h"
#include "servers/datadir.h"
#include "servers/supervisor.h"
#include "peer.h"

static struct site site;
static pid_t supervisor;

/* one role's status over its admin socket; NULL while it does not answer */
static json_t *status(const char *role)
{
	json_t *request = json_pack("{s:s}", "command", "status"), *answer;
	int r = adminsock_ask(site.dir, role, request, &answer);

	json_decref(request);
	return r ? NULL : answer;
}

static long long number(const char *role, const char *key)
{
	json_t *st = status(role);
	long long n = st ? json_integer_value(json_object_get(st, key)) : -1;

	json_decref(st);
	return n;
}

static bool is_up(void *arg)
{
	json_t *st = status("as");
	bool up = st && json_is_true(json_object_get(st, "dc_link"));

	(void)arg;
	json_decref(st);
	return up;
}

static bool is_second_boot(void *arg)
{
	(void)arg;
	return number("dc", "boot") == 2;
}

static bool answers_dns(void *arg)
{
	(void)arg;
	return number("dns", "queries") >= 0;
}

static pid_t start(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		if (!getenv("NTM_TEST_LOG") &&
		    !freopen("/dev/null", "w", stderr))
			_exit(1);
		_exit(supervisor_run(site.dir, &site.conf));
	}
	return pid;
}

static int setup(void **state)
{
	(void)state;
	site_new(&site);
	site_add_account(&site, "alice");
	site_stop_as(&site);
	site_stop_dc(&site);
	/* Chosen only now: the link just closed may have had any port. */
	site.conf.dns_port = site_free_port();
	/* the next boot is the first one that counts here */
	supervisor = start();
	assert_true(site_wait(&site, is_up, NULL));
	assert_true(site_wait(&site, answers_dns, NULL));
	return 0;
}

static int teardown(void **state)
{
	int code;

	(void)state;
	if (supervisor) {
		kill(supervisor, SIGTERM);
		assert_int_equal(waitpid(supervisor, &code, 0), supervisor);
	}
	site_free(&site);
	return 0;
}

/* everything a role does must be in its list of system calls */
static void isolated_login(void **state)
{
	const Ntm__Signal *s;
	struct peer a, b;

	(void)state;
	peer_new(&a, &site, "laptop");
	peer_new(&b, &site, "phone");
	assert_int_equal(peer_login(&a, "alice", SITE_PASSWORD), 0);
	assert_int_equal(a.code, 0);
	assert_int_equal(peer_login(&b, "alice", SITE_PASSWORD), 0);
	assert_int_equal(b.code, 0);
	assert_int_equal(peer_login_cert(&b), 0);
	assert_int_equal(b.code, 0);
	peer_register(&a);
	peer_register(&b);
	s = peer_direction(&a, b.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	peer_free(&a);
	peer_free(&b);
}

static bool answers_probe(void *arg)
{
	struct packet_header h = {.type = PACKET_RELAY_PROBE, .id = 1};
	uint8_t buf[PACKET_PROBE_LEN] = {0};
	const struct addr *to = arg;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool ok;

	packet_header_put(&h, buf);
	ok = !connect(fd, &to->sa, addr_len(to)) &&
	     send(fd, buf, sizeof(buf), 0) == sizeof(buf) &&
	     poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 200) == 1 &&
	     recv(fd, buf, sizeof(buf), 0) == sizeof(buf) &&
	     buf[0] == PACKET_RELAY_PROBE_ACK;
	close(fd);
	return ok;
}

static bool relay_is_registered(void *arg)
{
	(void)arg;
	return number("rs", "links_up") == 1;
}

/* its threads start and forward inside the list */
static void isolated_relay(void **state)
{
	struct addr to;

	(void)state;
	assert_int_equal(
		addr_parse("127.0.0.1", (uint16_t)site.conf.rs_port, &to), 0);
	assert_true(site_wait(&site, answers_probe, &to));
	assert_true(number("rs", "probes") > 0);
	assert_true(number("rs", "threads") > 0);
	assert_true(site_wait(&site, relay_is_registered, NULL));
}

static bool box_is_up(void *arg)
{
	json_t *st = status("box");
	bool up = st && json_is_true(json_object_get(st, "dc_link")) &&
		  json_is_true(json_object_get(st, "as_link"));

	(void)arg;
	json_decref(st);
	return up;
}

/* TLS, a request, and the store behind it, under its list of system calls */
static void isolated_box(void **state)
{
	char command[512];

	(void)state;
	assert_true(site_wait(&site, box_is_up, NULL));
	snprintf(command, sizeof(command),
		 "test $(curl -sk -o /dev/null -w '%%{http_code}' -H "
		 "'NTM-Version: 1' -H 'NTM-Node: a.b." SITE_DOMAIN
		 "' -H 'Authorization: Bearer "
		 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' "
		 "https://127.0.0.1:%u/v1/cache) = 401",
		 site.conf.box_port);
	assert_int_equal(system(command), 0);
	assert_true(number("box", "requests") > 0);
	assert_true(number("box", "store_bytes") > 0);
}

static pid_t child_named(const char *name)
{
	char path[64], comm[32];
	int pid, parent;
	FILE *f, *list;

	list = popen("ls /proc | grep '^[0-9]*$'", "r");
	assert_non_null(list);
	while (fscanf(list, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%*d (%31[^)]) %*c %d", comm, &parent) == 2 &&
		    parent == supervisor && !strcmp(comm, name)) {
			fclose(f);
			pclose(list);
			return pid;
		}
		fclose(f);
	}
	pclose(list);
	return 0;
}

static void killed_role_returns(void **state)
{
	const Ntm__Signal *s;
	struct peer p;
	long long boot;
	pid_t dc;

	(void)state;
	boot = number("dc", "boot");
	assert_int_equal(boot, 2); /* 1 was setup's own */
	peer_new(&p, &site, "laptop");
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	peer_register(&p);
	dc = child_named("dc");
	assert_true(dc > 1);
	assert_int_equal(kill(dc, SIGKILL), 0);
	/* asked on the same socket, by a session that lives on */
	do {
		s = peer_keep_alive(&p);
	} while (!s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REGISTRATION_RESPONSE);
	peer_register(&p);
	assert_int_equal(p.boot, boot + 1);
	assert_true(site_wait(&site, is_up, NULL));
	peer_free(&p);
}

#define DNS_QUERIES 150

static bool dns_has(void *arg)
{
	return number("dns", "queries") >= *(long long *)arg;
}

/* What one network asks for beyond its rate is dropped, or sent to TCP. */
static void dns_is_no_reflector(void **state)
{
	static const uint8_t query[] = {
		0,   7,	  1,   0,   0,	 1, 0,	 0,   0,   0, 0, 0, 7, 'e', 'x',
		'a', 'm', 'p', 'l', 'e', 3, 'o', 'r', 'g', 0, 0, 6, 0, 1};
	long long want = number("dns", "queries") + DNS_QUERIES, limited;
	unsigned int answers = 0, truncated = 0;
	uint8_t buf[2000];
	struct addr to;
	ssize_t n;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)state;
	assert_int_equal(
		addr_parse("127.0.0.1", (uint16_t)site.conf.dns_port, &to), 0);
	assert_int_equal(connect(fd, &to.sa, addr_len(&to)), 0);
	for (int i = 0; i < DNS_QUERIES; i++)
		assert_int_equal(send(fd, query, sizeof(query), 0),
				 sizeof(query));
	assert_true(site_wait(&site, dns_has, &want));
	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		answers++;
		if (!(buf[2] & 0x02))
			continue;
		truncated++;
		assert_int_equal(n, sizeof(query));
	}
	close(fd);
	limited = number("dns", "limited");
	assert_in_range(limited, 1, DNS_QUERIES - 50);
	assert_int_equal(truncated, limited / 2);
	assert_int_equal(answers - truncated + limited, DNS_QUERIES);
}

/* bytes of a seeded generator at every port, TCP and UDP */
static void garbage_everywhere(void **state)
{
	unsigned int ports[] = {site.conf.as_port, site.conf.dc_port,
				site.conf.dns_port, site.conf.rs_port};
	pid_t dc = child_named("dc"), as = child_named("as"),
	      dns = child_named("dns"), rs = child_named("rs");
	unsigned int seed = 99;
	uint8_t buf[2000];

	(void)state;
	for (int i = 0; i < 300; i++) {
		int type = i % 2 ? SOCK_STREAM : SOCK_DGRAM;
		struct addr to;
		int fd = socket(AF_INET, type, 0);

		assert_int_equal(addr_parse("127.0.0.1",
					    (uint16_t)ports[i / 2 % 4], &to),
				 0);
		for (size_t k = 0; k < sizeof(buf); k++)
			buf[k] = (uint8_t)rand_r(&seed);
		if (i % 5 == 0)
			memset(buf, 0, 3); /* a length a reader may believe */
		if (!connect(fd, &to.sa, addr_len(&to)))
			(void)!send(fd, buf, (size_t)rand_r(&seed) % 2000,
				    MSG_NOSIGNAL);
		close(fd);
	}
	assert_true(site_wait(&site, is_up, NULL));
	assert_true(number("dns", "queries") > 0);
	assert_int_equal(child_named("dc"), dc);
	assert_int_equal(child_named("as"), as);
	assert_int_equal(child_named("dns"), dns);
	assert_int_equal(child_named("rs"), rs);
	assert_true(number("rs", "malformed") > 0);
}

static void one_at_a_time(void **state)
{
	pid_t second = start();
	int code;

	(void)state;
	assert_true(datadir_is_running(site.dir));
	assert_int_equal(waitpid(second, &code, 0), second);
	assert_true(WIFEXITED(code) && WEXITSTATUS(code) == EXIT_FAILURE);
	assert_true(is_up(NULL));
}

static void bad_reload_changes_nothing(void **state)
{
	char path[DATADIR_PATH_MAX];
	FILE *f;

	(void)state;
	assert_int_equal(datadir_file(site.dir, DATADIR_CONF, path), 0);
	f = fopen(path, "a");
	assert_non_null(f);
	fputs("\n[as]\nno_such_key = 1\n", f);
	fclose(f);
	assert_int_equal(kill(supervisor, SIGHUP), 0);
	assert_true(site_wait(&site, is_up, NULL));
	assert_true(is_second_boot(NULL));
}

static void ends_in_order(void **state)
{
	int code;

	(void)state;
	assert_int_equal(kill(supervisor, SIGTERM), 0);
	assert_int_equal(waitpid(supervisor, &code, 0), supervisor);
	supervisor = 0;
	assert_true(WIFEXITED(code) && WEXITSTATUS(code) == 0);
	assert_false(datadir_is_running(site.dir));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(isolated_login),	T(isolated_relay),
		T(isolated_box),	T(killed_role_returns),
		T(dns_is_no_reflector), T(garbage_everywhere),
		T(one_at_a_time),	T(bad_reload_changes_nothing),
		T(ends_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

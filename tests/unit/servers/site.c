/* SPDX-License-Identifier: MIT */
/* site - a domain's AS and DC in one test process */
#include "site.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/log.h"
#include "servers/cli.h"
#include "servers/removed.h"
#include "servers/servercert.h"
#include "servers/sockets.h"

#define WAIT_NS LOOP_S(10)

/* --- the site ---------------------------------------------------------------- */

static void on_tick(void *arg)
{
	struct site *s = arg;

	loop_timer_arm(s->tick, LOOP_MS(5));
}

bool site_wait(struct site *s, bool (*cond)(void *), void *arg)
{
	uint64_t end = loop_now_exact(s->loop) + WAIT_NS;

	loop_timer_arm(s->tick, LOOP_MS(5));
	while (!cond(arg)) {
		if (loop_now_exact(s->loop) > end)
			return false;
		assert_int_equal(loop_turn(s->loop, true), 0);
	}
	return true;
}

struct waiting {
	const struct site *site;
	Ntm__Signal *const *got;
	uint32_t txn;
	uint64_t until;
};

static bool is_answer(const struct waiting *w)
{
	return *w->got && (*w->got)->txn == w->txn;
}

static bool is_over(void *arg)
{
	const struct waiting *w = arg;

	return is_answer(w) || loop_now_exact(w->site->loop) > w->until;
}

const Ntm__Signal *site_answer(struct site *s, Ntm__Signal *const *got,
			       uint32_t txn)
{
	struct waiting w = {s, got, txn, loop_now_exact(s->loop) + LOOP_S(2)};

	assert_true(site_wait(s, is_over, &w));
	return is_answer(&w) ? *got : NULL;
}

int site_listen(struct addr *at)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	    on = 1;

	if (!addr_is_set(at))
		assert_int_equal(addr_parse("127.0.0.1:0", 0, at), 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, &at->sa, addr_len(at)), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, len, at),
			 0);
	return fd;
}

static bool port_free(int type, unsigned int port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6,
				   .sin6_port = htons((uint16_t)port)};
	int fd = socket(AF_INET6, type, 0), r;

	r = bind(fd, (struct sockaddr *)&any, sizeof(any));
	close(fd);
	return r == 0;
}

/* Below the range that the kernel gives to clients, whose ended connections would
 * still hold a port that was free a moment ago. */
unsigned int site_free_port(void)
{
	static unsigned int next;

	if (!next)
		next = 20000 + (unsigned int)getpid() % 10000;
	do
		next++;
	while (!port_free(SOCK_STREAM, next) || !port_free(SOCK_DGRAM, next));
	return next;
}

static void open_sockets(struct site *s, const char *role, struct role_env *env)
{
	char error[SOCKETS_ERROR_LEN];

	env->loop = s->loop;
	env->dir = s->dir;
	env->conf = &s->conf;
	assert_int_equal(sockets_bind(role_find(role), &s->conf, s->dir,
				      &env->sockets, error),
			 0);
	close(env->sockets.admin);
	env->sockets.admin = -1;
	if (s->pair)
		env->sockets.pair = s->pair;
}

void site_start_as(struct site *s)
{
	open_sockets(s, "as", &s->as_env);
	assert_int_equal(as_new(&s->as_env, &s->as), 0);
}

void site_stop_as(struct site *s)
{
	as_free(s->as);
	s->as = NULL;
	assert_int_equal(loop_turn(s->loop, false), 0);
}

void site_start_dc(struct site *s)
{
	open_sockets(s, "dc", &s->dc_env);
	assert_int_equal(dc_new(&s->dc_env, &s->dc), 0);
}

void site_stop_dc(struct site *s)
{
	dc_free(s->dc);
	s->dc = NULL;
	assert_int_equal(loop_turn(s->loop, false), 0);
}

static void read_ca(struct site *s)
{
	struct ntmc_trust_domain d;
	struct ntmc_trust *t;
	char path[128];
	uint8_t *der;
	size_t len;

	snprintf(path, sizeof(path), "%s/dc/ca.der", s->dir);
	assert_int_equal(file_read(path, NTMC_CERT_MAX, &der, &len), 0);
	assert_int_equal(ntmc_trust_new(&t), 0);
	assert_int_equal(ntmc_trust_add(t, der, len, NULL, &d), 0);
	memcpy(s->ca_fp, d.fp, sizeof(s->ca_fp));
	ntmc_trust_free(t);
	file_free(der, len);
}

static void quiet(int *saved)
{
	int null = open("/dev/null", O_WRONLY);

	fflush(stdout);
	*saved = dup(STDOUT_FILENO);
	dup2(null, STDOUT_FILENO);
	close(null);
}

static void loud(int saved)
{
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
}

void site_new_loop(struct site *s)
{
	assert_int_equal(loop_new(&s->loop), 0);
	assert_int_equal(loop_timer_new(s->loop, on_tick, s, &s->tick), 0);
}

void site_new(struct site *s)
{
	site_new_on(s, "127.0.0.1", "127.0.0.1");
}

static void make(struct site *s, const char *domain, const char *listen,
		 const char *server_ip)
{
	char path[128], error[SERVERCONF_ERROR_LEN];
	struct cli c = {.domain = domain,
			.user = "root",
			.listen = {listen},
			.n_listen = 1};
	int saved;

	log_set_level(getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR);
	memset(s, 0, sizeof(*s));
	strcpy(s->dir, "/tmp/ntm-site-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	strcpy(c.dir, s->dir);
	quiet(&saved);
	assert_int_equal(cli_init(&c), 0);
	loud(saved);
	snprintf(path, sizeof(path), "%s/ntm-server.conf", s->dir);
	assert_int_equal(serverconf_load(path, &s->conf, error), 0);
	s->conf.as_port = site_free_port();
	s->conf.dc_port = site_free_port();
	s->conf.rs_port = site_free_port();
	s->conf.rs_other_port = site_free_port();
	s->conf.box_port = site_free_port();
	s->conf.dc_loopback = true;
	free(s->conf.dc_anchor); /* no test asks the world's DNS */
	s->conf.dc_anchor = strdup("");
	s->conf.dc_keepalive = 1;
	assert_int_equal(
		addr_parse(server_ip, (uint16_t)s->conf.as_port, &s->as_addr),
		0);
	assert_int_equal(
		addr_parse(server_ip, (uint16_t)s->conf.dc_port, &s->dc_addr),
		0);
	read_ca(s);
}

static void open_roles(struct site *s)
{
	site_start_dc(s);
	site_start_as(s);
	site_wait_link(s);
}

void site_new_on(struct site *s, const char *listen, const char *server_ip)
{
	make(s, SITE_DOMAIN, listen, server_ip);
	site_new_loop(s);
	open_roles(s);
}

void site_new_beside(struct site *s, struct site *other, const char *domain)
{
	make(s, domain, "127.0.0.1", "127.0.0.1");
	s->guest = true;
	s->loop = other->loop;
	s->tick = other->tick;
	open_roles(s);
}

void site_free(struct site *s)
{
	char command[128];

	if (s->as)
		site_stop_as(s);
	if (s->dc)
		site_stop_dc(s);
	if (!s->guest) {
		loop_timer_free(s->tick);
		loop_free(s->loop);
	}
	serverconf_clear(&s->conf);
	snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	assert_int_equal(system(command), 0);
}

static bool link_is_up(void *arg)
{
	struct site *s = arg;
	json_t *st = as_admin(s->as, "status", NULL);
	bool up = json_is_true(json_object_get(st, "dc_link"));

	json_decref(st);
	return up;
}

void site_wait_link(struct site *s)
{
	assert_true(site_wait(s, link_is_up, s));
}

static void admin(struct site *s, const char *command, json_t *request)
{
	json_t *answer = as_admin(s->as, command, request);

	assert_non_null(answer);
	if (!json_is_true(json_object_get(answer, "ok")))
		fail_msg("%s: %s", command,
			 json_string_value(json_object_get(answer, "error")));
	json_decref(answer);
	json_decref(request);
}

void site_remove_server(const struct site *s, const char *role)
{
	uint8_t *der, fp[NTMC_FP_LEN];
	struct servercert own;
	struct ntmc_cert cert;
	char path[256];
	size_t len;

	snprintf(path, sizeof(path), "%s/%s/server.der", s->dir, role);
	assert_int_equal(file_read(path, NTMC_CERT_MAX, &der, &len), 0);
	assert_int_equal(servercert_load(s->dir, role, &own), 0);
	assert_int_equal(
		ntmc_trust_verify(own.trust, der, len, ntmc_now(NULL), &cert),
		0);
	ntmc_fingerprint(cert.ed_pub, fp);
	assert_int_equal(removed_add(s->dir, fp), 0);
	servercert_clear(&own);
	file_free(der, len);
}

void site_admin(struct site *s, const char *command, const char *name)
{
	admin(s, command, json_pack("{s:s}", "name", name));
}

void site_add_account(struct site *s, const char *name)
{
	char hash[NTMC_PASSWORD_HASH_MAX];

	assert_int_equal(ntmc_password_hash(NULL, SITE_PASSWORD, hash), 0);
	admin(s, "account-add",
	      json_pack("{s:s, s:s}", "name", name, "hash", hash));
}

long long site_dc_number(struct site *s, const char *key)
{
	json_t *st = dc_admin(s->dc, "status", NULL);
	long long n = json_integer_value(json_object_get(st, key));

	json_decref(st);
	return n;
}

/* SPDX-License-Identifier: MIT */
/* test_login - login.c in the world; the Account Server is this file */
#include <sys/stat.h>
#include <unistd.h>

#include "broker/as_link.h"
#include "broker/state.pb-c.h"
#include "broker/statefile.h"
#include "tests/unit/broker/control/story.h"

/* --- as_link.h ---------------------------------------------------------------------------- */

struct as_link {
	as_link_fn *fn;
	void *arg;
};

static struct as_link asked;

int as_link_ask(struct worker *w, const struct join *join, bool by_cert,
		Ntm__Envelope *msg, as_link_fn *fn, void *arg,
		struct as_link **out)
{
	(void)w, (void)join, (void)by_cert, (void)msg;
	asked = (struct as_link){fn, arg};
	*out = &asked;
	return 0;
}

void as_link_cancel(struct as_link *l)
{
	l->fn = NULL;
}

/* --- logging in ------------------------------------------------------------------------------ */

struct outcome {
	bool done;
	int err;
};

static void outcome(void *arg, int err, const char *why,
		    const Ntm__Envelope *msg)
{
	struct outcome *o = arg;

	(void)msg;
	assert_int_equal(!err, !*why);
	o->done = true;
	o->err = err;
}

static void set(ProtobufCBinaryData *to, size_t len, uint8_t value)
{
	to->data = malloc(len);
	assert_non_null(to->data);
	memset(to->data, value, len);
	to->len = len;
}

/* the domain has a GMS; freed with @r */
static void add_manager(Ntm__LoginResponse *r)
{
	Ntm__GroupManager *m = malloc(sizeof(*m));
	Ntm__Address *at = malloc(sizeof(*at));

	assert_true(m && at);
	ntm__group_manager__init(m);
	ntm__address__init(at);
	m->name = strdup("gms." WORLD_DOMAIN);
	m->key_id = 77;
	set(&m->ed_pub, NTMC_KEY_LEN, 5);
	set(&m->key, NTMC_KEY_LEN, 6);
	set(&at->ip, 4, 10);
	at->port = 4509;
	m->addresses = malloc(sizeof(at));
	r->group_managers = malloc(sizeof(m));
	assert_true(m->addresses && r->group_managers);
	m->addresses[m->n_addresses++] = at;
	r->group_managers[r->n_group_managers++] = m;
}

/* Return: positive enum ntm_err of the login */
static int log_in_by_person(struct node *n, const char *fqdn)
{
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	struct join join = {.n_addrs = 1};
	struct login_request rq = {.account = "alice",
				   .password = "secret password",
				   .device = "laptop"};
	struct outcome o = {0};
	char text[JOIN_TEXT_MAX];

	snprintf(join.domain, sizeof(join.domain), WORLD_DOMAIN);
	memcpy(join.ca_fp, world.ca_fp, NTMC_FP_LEN);
	assert_int_equal(addr_parse("192.0.2.1:4501", 0, &join.addrs[0]), 0);
	assert_int_equal(join_format(&join, text), 0);
	rq.join = text;
	login_password(n->w.login, &rq, outcome, &o);
	assert_false(o.done);
	msg.body_case = NTM__ENVELOPE__BODY_LOGIN_RESPONSE;
	msg.login_response = dc_login(world.dc, n, fqdn);
	add_manager(msg.login_response);
	asked.fn(asked.arg, 0, &msg);
	ntm__login_response__free_unpacked(msg.login_response, NULL);
	assert_true(o.done);
	return o.err;
}

static bool is_online(void *arg)
{
	return session_state(((struct node *)arg)->w.session) == SESSION_ONLINE;
}

static int setup(void **state)
{
	(void)state;
	world_up(&world, 1, 1);
	node_move(a, A4, A6);
	node_start(a);
	return 0;
}

static void test_login(void **state)
{
	(void)state;
	assert_int_equal(log_in_by_person(a, "laptop.alice." WORLD_DOMAIN), 0);
	assert_true(world_until(&world, 500, is_online, a));
}

/* Other processes of the node read there what a login said of the GMS. */
static void test_manager(void **state)
{
	const Ntm__State__Manager *m;
	ProtobufCMessage *file;
	struct addr at;

	(void)state;
	assert_int_equal(log_in_by_person(a, "laptop.alice." WORLD_DOMAIN), 0);
	assert_int_equal(statefile_load(a->state, "session",
					&ntm__state__session__descriptor,
					&file),
			 0);
	assert_int_equal(((Ntm__State__Session *)file)->n_managers, 1);
	m = ((Ntm__State__Session *)file)->managers[0];
	assert_string_equal(m->name, "gms." WORLD_DOMAIN);
	assert_int_equal(m->key_id, 77);
	assert_int_equal(m->ed_pub.len, NTMC_KEY_LEN);
	assert_int_equal(m->ed_pub.data[31], 5);
	assert_int_equal(m->key.len, NTMC_KEY_LEN);
	assert_int_equal(m->key.data[0], 6);
	assert_int_equal(m->n_addresses, 1);
	assert_int_equal(statefile_addr_get(&m->addresses[0], &at), 0);
	assert_int_equal(addr_port(&at), 4509);
	statefile_free(file);
}

/* The session is kept, the server's CA cannot be: we are logged in, and say so. */
static void test_store_full_after_session(void **state)
{
	char known[128];

	(void)state;
	snprintf(known, sizeof(known), "%s/known", a->state);
	assert_int_equal(mkdir(known, 0700), 0);
	assert_int_equal(log_in_by_person(a, "laptop.alice." WORLD_DOMAIN),
			 NTM_ESTORE);
	assert_true(a->w.account->logged_in);
	assert_true(world_until(&world, 500, is_online, a));
	assert_int_equal(rmdir(known), 0);
}

/* The session itself cannot be kept: nothing has changed. */
static void test_store_full(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/session", a->state);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(log_in_by_person(a, "laptop.alice." WORLD_DOMAIN),
			 NTM_ESTORE);
	assert_false(a->w.account->logged_in);
	assert_false(world_until(&world, 500, is_online, a));
	assert_int_equal(rmdir(path), 0);
}

/* The login has run out, the DC knows us no more, the AS does not renew: whoever asks
 * for a name hears it at once, not after the time of a DC that does not answer. */
static void test_over(void **state)
{
	const char *desk = "desk.alice." WORLD_DOMAIN;
	uint64_t ms;

	(void)state;
	assert_int_equal(log_in_by_person(a, "laptop.alice." WORLD_DOMAIN), 0);
	assert_true(world_until(&world, 500, is_online, a));
	asked.fn = NULL;
	dc_set_down(world.dc, true);
	node_kill(a);
	world.skew_s = 7 * 86400;
	node_start(a);
	world_run(&world, 2000);
	assert_non_null(asked.fn); /* it asks for a renewal by itself */
	/* that may yet come: the name is waited for */
	assert_int_equal(look_up(a, desk, &ms), NTM_ETIMEOUT);
	asked.fn(asked.arg, -NTM_EEXPIRED, NULL);
	assert_int_equal(look_up(a, desk, &ms), NTM_EEXPIRED);
	assert_int_equal(ms, 0);
	/* the clock was wrong, not the login */
	dc_set_down(world.dc, false);
	assert_true(world_until(&world, 40000, is_online, a));
	assert_int_equal(look_up(a, desk, &ms), NTM_ENONAME);
}

static bool is_asked(void *arg)
{
	(void)arg;
	return asked.fn != NULL;
}

/* A DC that was restored from a backup does not know us and is silent: the AS is asked
 * for a new session, ever more seldom; that it cannot give one is no trouble. */
static void test_dc_forgets(void **state)
{
	uint64_t first;

	(void)state;
	assert_int_equal(log_in_by_person(a, "laptop.alice." WORLD_DOMAIN), 0);
	assert_true(world_until(&world, 500, is_online, a));
	asked.fn = NULL;
	dc_set_down(world.dc, true);
	node_move(a, "10.0.9.9", NULL);
	first = loop_now(a->w.loop);
	assert_true(world_until(&world, 60000, is_asked, NULL));
	assert_true(loop_now(a->w.loop) - first >= LOOP_S(SESSION_UNKNOWN_S));
	asked.fn(asked.arg, -NTM_ETIMEOUT, NULL);
	assert_null(login_trouble(a->w.login));
	asked.fn = NULL;
	assert_false(world_until(&world, 5000, is_asked, NULL));
	assert_true(world_until(&world, 60000, is_asked, NULL));
	asked.fn(asked.arg, -NTM_ETIMEOUT, NULL);
	dc_set_down(world.dc, false);
	assert_true(world_until(&world, 40000, is_online, a));
}

int main(void)
{
#define L(name) cmocka_unit_test_setup_teardown(name, setup, story_teardown)
	const struct CMUnitTest tests[] = {
		L(test_login),
		L(test_manager),
		L(test_store_full_after_session),
		L(test_store_full),
		L(test_over),
		L(test_dc_forgets),
	};

	log_open("test", getenv("NTM_TEST_LOG") ? LOG_DEBUG : LOG_ERR, NULL);
	if (getenv("NTM_TEST_ONLY"))
		cmocka_set_test_filter(getenv("NTM_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* test_wake - nodes that a push service tells: woken, waited for, remembered */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "servers/adminsock.h"
#include "servers/dc/state.h"
#include "peer.h"

#define TOKEN "https://push.example/up/desk"

static struct site site;
static struct peer mn, cn;
/* what stands in for the push process */
static struct adminsock *push;
static unsigned int n_pushes;
static char node[FQDN_MAX + 1], token[600];
static json_t *gone;

static json_t *pushed(void *arg, const char *command, json_t *request)
{
	(void)arg;
	assert_string_equal(command, "send");
	n_pushes++;
	snprintf(node, sizeof(node), "%s",
		 json_string_value(json_object_get(request, "node")));
	snprintf(token, sizeof(token), "%s",
		 json_string_value(json_object_get(request, "token")));
	return json_pack("{s:b, s:O}", "ok", 1, "gone", gone);
}

static int setup(void **state)
{
	int fd;

	(void)state;
	site_new(&site);
	site.conf.push_unifiedpush = true;
	site_add_account(&site, "alice");
	peer_new(&mn, &site, "laptop");
	peer_new(&cn, &site, "desk");
	assert_int_equal(peer_login(&mn, "alice", SITE_PASSWORD), 0);
	assert_int_equal(peer_login(&cn, "alice", SITE_PASSWORD), 0);
	n_pushes = 0;
	token[0] = node[0] = '\0';
	gone = json_array();
	assert_int_equal(adminsock_bind(site.dir, "push", &fd), 0);
	assert_int_equal(adminsock_new(site.loop, fd, pushed, NULL, &push), 0);
	return 0;
}

static int teardown(void **state)
{
	char path[128];

	(void)state;
	adminsock_free(push);
	snprintf(path, sizeof(path), "%s/push.sock", site.dir);
	remove(path);
	peer_free(&mn);
	peer_free(&cn);
	site_free(&site);
	json_decref(gone);
	return 0;
}

/* CN's registration with a token, at an address that is proven already. Return: the DC
 * will push */
static bool ask_for_push(const char *text)
{
	Ntm__RegistrationRequest q = NTM__REGISTRATION_REQUEST__INIT;
	Ntm__PushToken t = NTM__PUSH_TOKEN__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const Ntm__Signal *s;

	t.kind = NTM__PUSH_KIND__PUSH_UNIFIED;
	t.token = (char *)text;
	q.wakeup = NTM__WAKEUP__WAKEUP_PUSH;
	q.push = &t;
	msg.body_case = NTM__SIGNAL__BODY_REGISTRATION_REQUEST;
	msg.registration_request = &q;
	datagram_pad_registration(&msg);
	s = peer_call(&cn, &msg);
	assert_non_null(s);
	assert_int_equal(s->registration_response->challenge.len, 0);
	return s->registration_response->push;
}

static void send_direction(uint32_t txn)
{
	Ntm__DirectionRequest d = NTM__DIRECTION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	d.fqdn = cn.fqdn;
	d.aead = NTMC_AES_256_GCM;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg.direction_request = &d;
	mn.asked = txn;
	peer_send(&mn, &msg);
}

static bool is_pushed(void *arg)
{
	return n_pushes >= *(unsigned int *)arg;
}

static bool has_answer(void *arg)
{
	const int *body = arg;

	return mn.got && mn.got->txn == mn.asked &&
	       (int)mn.got->body_case == *body;
}

static bool has_route(void *arg)
{
	(void)arg;
	return cn.route_wait != NULL;
}

static void fetch(void)
{
	Ntm__RouteDirectionRequest q = NTM__ROUTE_DIRECTION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.body_case = NTM__SIGNAL__BODY_ROUTE_DIRECTION_REQUEST;
	msg.route_direction_request = &q;
	assert_non_null(peer_call(&cn, &msg));
}

/* After a restart of the DC, a node that sends nothing has not been heard of: it is
 * woken by the token of before, and waited for. Who waits hears that we are there. */
static void remembered(void **state)
{
	int here = NTM__SIGNAL__BODY_KEEP_ALIVE_ACK,
	    route = NTM__SIGNAL__BODY_ROUTE_DIRECTION;
	unsigned int one = 1;

	(void)state;
	peer_register(&cn);
	assert_true(ask_for_push(TOKEN));
	site_stop_dc(&site);
	site_start_dc(&site);
	peer_register(&mn);
	send_direction(77);
	assert_true(site_wait(&site, is_pushed, &one));
	assert_string_equal(node, cn.fqdn);
	assert_string_equal(token, TOKEN);
	assert_null(cn.route_wait); /* nobody knows where it is */
	send_direction(77);
	assert_true(site_wait(&site, has_answer, &here));
	peer_register(&cn);
	fetch();
	assert_true(site_wait(&site, has_route, NULL));
	assert_int_equal(cn.route_wait->route_direction->peer->n_addresses, 1);
	assert_true(site_wait(&site, has_answer, &route));
	assert_int_equal(mn.got->route_direction->peer->n_addresses, 1);
	assert_int_equal(n_pushes, 1);
}

/* No token is good for anybody but the device that named it. */
static void forgotten(void **state)
{
	int ack = NTM__SIGNAL__BODY_ACK;

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	assert_true(ask_for_push(TOKEN));
	site_admin(&site, "device-revoke", cn.fqdn);
	/* the same name, another device */
	ntmc_identity_new(NULL, &cn.id);
	assert_int_equal(peer_login(&cn, "alice", SITE_PASSWORD), 0);
	assert_int_equal(cn.code, 0);
	peer_register(&cn);
	cn.silent = true;
	n_pushes = 0; /* it was woken to hear that it is withdrawn */
	send_direction(79);
	assert_true(site_wait(&site, has_answer, &ack));
	site_stop_dc(&site);
	site_start_dc(&site);
	peer_register(&mn);
	assert_int_equal(peer_direction(&mn, cn.fqdn)->ack->code, NTM_EOFFLINE);
	assert_int_equal(n_pushes, 0);
}

static bool has_no_token(void *arg)
{
	(void)arg;
	return !nodes_at(&site.dc->nodes, nodes_find(&site.dc->nodes, cn.fqdn))
			->push;
}

/* A token that the service calls dead is not used again, after a restart neither. */
static void dead(void **state)
{
	unsigned int n = 1;
	const Ntm__Signal *s;

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	assert_true(ask_for_push(TOKEN));
	json_array_append_new(
		gone, json_pack("{s:s, s:s}", "node", cn.fqdn, "token", TOKEN));
	cn.silent = true;
	send_direction(80);
	assert_true(site_wait(&site, is_pushed, &n));
	assert_true(site_wait(&site, has_no_token, NULL));
	site_stop_dc(&site);
	site_start_dc(&site);
	peer_register(&mn);
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->ack->code, NTM_EOFFLINE);
	assert_int_equal(n_pushes, 1);
}

/* However often somebody asks for it, a node is pushed once in a while. */
static void once(void **state)
{
	int ack = NTM__SIGNAL__BODY_ACK;

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	assert_true(ask_for_push(TOKEN));
	cn.silent = true;
	for (uint32_t txn = 100; txn < 110; txn++)
		send_direction(txn);
	assert_true(site_wait(&site, has_answer, &ack));
	assert_int_equal(mn.got->ack->code, NTM_EOFFLINE);
	assert_int_equal(n_pushes, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(remembered),
		T(forgotten),
		T(dead),
		T(once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

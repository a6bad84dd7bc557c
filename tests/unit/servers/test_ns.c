/* SPDX-License-Identifier: MIT */
/* test_ns - a whole NS beside a DC: nodes that come, silence, restarts */
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "servers/boxsock.h"
#include "ns_site.h"

static bool has_gone(void *arg)
{
	(void)arg;
	return !ns->n_here;
}

static bool has_route(void *arg)
{
	return ((struct peer *)arg)->route_wait != NULL;
}

/* The way of a direction to who has no mapping: told by the NS, it asks from another
 * address, proves that, and gets its Route Direction. */
static void told_and_fetches(void **state)
{
	Ntm__RouteDirectionRequest q = NTM__ROUTE_DIRECTION_REQUEST__INIT;
	Ntm__DirectionRequest d = NTM__DIRECTION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT, ask = NTM__SIGNAL__INIT;
	const Ntm__Signal *s;
	struct line l;

	(void)state;
	peer_register(&mn);
	come(&l);
	peer_move(&cn); /* its mapping is gone */
	d.fqdn = cn.fqdn;
	d.aead = NTMC_AES_256_GCM;
	msg.txn = 77;
	msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg.direction_request = &d;
	mn.asked = 77;
	peer_send(&mn, &msg);
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_NOTIFICATION);
	say_ack(&l);
	ask.body_case = NTM__SIGNAL__BODY_ROUTE_DIRECTION_REQUEST;
	ask.route_direction_request = &q;
	s = peer_call(&cn, &ask);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REGISTRATION_RESPONSE);
	assert_true(cn.got_len <= cn.sent_len);
	peer_register(&cn);
	ask.txn = 0;
	s = peer_call(&cn, &ask);
	assert_non_null(s);
	assert_true(site_wait(&site, has_route, &cn));
	leave(&l);
}

static const struct boxsock_ops no_ops;

static bool has_notice(void *arg)
{
	const struct peer *p = arg;

	return p->got && p->got->body_case == NTM__SIGNAL__BODY_BOX_NOTICE;
}

/* something waits at the box for a node whose mapping is gone */
static void told_of_the_box(void **state)
{
	Ntm__RouteDirectionRequest q = NTM__ROUTE_DIRECTION_REQUEST__INIT;
	Ntm__BoxNode one = NTM__BOX_NODE__INIT, *list[1] = {&one};
	Ntm__Signal ask = NTM__SIGNAL__INIT;
	Ntm__BoxNodes nodes = NTM__BOX_NODES__INIT;
	Ntm__BoxLink msg = NTM__BOX_LINK__INIT;
	struct boxsock *box;
	struct line l;
	int fd;

	(void)state;
	come(&l);
	peer_move(&cn);
	assert_int_equal(boxsock_connect(site.dir, &fd), 0);
	assert_int_equal(boxsock_new(site.loop, fd, &no_ops, NULL, &box), 0);
	one.fqdn = cn.fqdn;
	one.serial = 12;
	nodes.n_nodes = 1;
	nodes.nodes = list;
	msg.body_case = NTM__BOX_LINK__BODY_NODES;
	msg.nodes = &nodes;
	assert_int_equal(boxsock_send(box, &msg), 0);
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_NOTIFICATION);
	say_ack(&l);
	peer_register(&cn);
	ask.body_case = NTM__SIGNAL__BODY_ROUTE_DIRECTION_REQUEST;
	ask.route_direction_request = &q;
	assert_non_null(peer_call(&cn, &ask));
	assert_true(site_wait(&site, has_notice, &cn));
	assert_int_equal(cn.got->box_notice->serial, 12);
	boxsock_close(box);
	leave(&l);
}

/* as the clock would do it */
static void pass(uint32_t s)
{
	for (uint32_t h = 1; h <= ns->guests.top; h++) {
		struct guest *g = slab_at(&ns->guests, h);

		if (g->state != GUEST_FREE)
			g->due_s = g->due_s > s ? g->due_s - s : 0;
	}
	for (int i = 0; i < NS_SLICES; i++)
		guests_sweep(ns);
}

static bool has_answered(void *arg)
{
	const struct line *l = arg;

	for (uint32_t h = 1; h <= ns->guests.top; h++) {
		const struct guest *g = slab_at(&ns->guests, h);

		if (g->state == GUEST_HERE && g->node_id == l->node_id)
			return true;
	}
	return false;
}

static void keeps_alive(void **state)
{
	struct line l;

	(void)state;
	come(&l);
	pass(8);
	assert_int_equal(ns->stats.keepalives, 0);
	pass(3);
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_KEEP_ALIVE);
	say_ack(&l);
	assert_true(site_wait(&site, has_answered, &l));
	pass(8);
	assert_int_equal(ns->n_here, 1);
	pass(3);
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_KEEP_ALIVE);
	pass(NS_ANSWER_S + 1); /* it does not answer */
	assert_int_equal(ns->n_here, 0);
	assert_true(site_wait(&site, has_ended, &l));
	leave(&l);
}

/* The second connection of a node takes the place of its first. */
static void comes_again(void **state)
{
	struct line l, again;
	uint32_t s;

	(void)state;
	come(&l);
	again = l;
	dial(&again);
	say_registration(&again, 5000);
	assert_int_equal(hear(&again, &s),
			 NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION);
	assert_int_equal(s, 600); /* the longest there is */
	assert_true(site_wait(&site, has_ended, &l));
	assert_int_equal(ns->n_here, 1);
	leave(&l);
	leave(&again);
}

/* The NS is new, the node's key of before is good; the DC is new: all are told. */
static void restarts(void **state)
{
	struct line l;
	uint32_t s;

	(void)state;
	come(&l);
	ns_free(ns);
	assert_true(site_wait(&site, has_ended, &l));
	close(l.fd);
	ns_begin();
	assert_true(site_wait(&site, link_up, NULL));
	dial(&l);
	say_registration(&l, 60);
	assert_int_equal(hear(&l, &s),
			 NTM__SIGNAL__BODY_NOTIFICATION_REGISTRATION);
	assert_int_equal(s, 60);
	site_stop_dc(&site);
	site_start_dc(&site);
	assert_true(site_wait(&site, link_up, NULL));
	pass(0);
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_NOTIFICATION);
	assert_int_equal(ns->n_here, 1);
	leave(&l);
}

static void direct(struct peer *p, struct peer *to)
{
	Ntm__DirectionRequest d = NTM__DIRECTION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	d.fqdn = to->fqdn;
	d.aead = NTMC_AES_256_GCM;
	msg.txn = 78;
	msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg.direction_request = &d;
	p->asked = 78;
	peer_send(p, &msg);
}

static bool has_answer(void *arg)
{
	const struct peer *p = arg;

	return p->got && p->got->txn == p->asked;
}

/* The NS lacks it: nobody waits for it as for one that is woken. */
static void absent(void **state)
{
	struct line l;
	uint64_t start;

	(void)state;
	peer_register(&mn);
	come(&l);
	leave(&l);
	assert_true(site_wait(&site, has_gone, NULL));
	cn.silent = true;
	start = loop_now_exact(site.loop);
	direct(&mn, &cn);
	assert_true(site_wait(&site, has_answer, &mn));
	assert_int_equal(mn.got->body_case, NTM__SIGNAL__BODY_ACK);
	assert_int_equal(mn.got->ack->code, NTM_EOFFLINE);
	assert_true(loop_now_exact(site.loop) - start < LOOP_MS(2500));
	assert_int_equal(site.dc->notify->absent, 1);
}

static bool told_twice(void *arg)
{
	struct line *l = arg;

	return ns->stats.notified >= 2 || has_ended(l);
}

/* What a withdrawal means to nodes that an NS keeps: who met the withdrawn one is
 * woken; it itself loses its connection, and comes no more. */
static void withdrawn(void **state)
{
	struct line l, again;
	struct peer bob;

	(void)state;
	site_add_account(&site, "bob");
	peer_new(&bob, &site, "phone");
	assert_int_equal(peer_login(&bob, "bob", SITE_PASSWORD), 0);
	peer_register(&bob);
	come(&l);
	direct(&bob, &cn);
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_NOTIFICATION);
	say_ack(&l);
	assert_true(site_wait(&site, has_route, &cn));
	site_admin(&site, "account-disable", "bob");
	assert_true(site_wait(&site, told_twice, &l));
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_NOTIFICATION);
	say_ack(&l);
	assert_int_equal(ns->n_here, 1);
	site_admin(&site, "device-revoke", cn.fqdn);
	/* woken first, to hear why */
	assert_int_equal(hear(&l, NULL), NTM__SIGNAL__BODY_NOTIFICATION);
	assert_true(site_wait(&site, has_ended, &l));
	assert_int_equal(ns->n_here, 0);
	again = l;
	dial(&again);
	say_registration(&again, 0);
	assert_true(site_wait(&site, has_ended, &again));
	assert_int_equal(ns->n_here, 0);
	close(again.fd);
	leave(&l);
	peer_free(&bob);
}

/* An NS that says every moment that it is full, and that it is not. */
static void fickle(void **state)
{
	Ntm__NotifierRegistration q = NTM__NOTIFIER_REGISTRATION__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	struct notifier *s = &site.dc->notify->list[0];
	uint8_t change = site.dc->relays_change;
	Ntm__Address a, *list = &a;

	(void)state;
	addr_to_message(&ns_addr, NTM__ADDRESS_KIND__ADDRESS_LOCAL, &a);
	q.n_addresses = 1;
	q.addresses = &list;
	msg.body_case = NTM__ENVELOPE__BODY_NOTIFIER_REGISTRATION;
	msg.notifier_registration = &q;
	for (uint32_t i = 0; i < 20; i++) {
		q.room = i % 2 ? 100 : 0;
		assert_true(notify_link_message(site.dc, s->channel, &msg));
	}
	assert_int_equal(site.dc->relays_change, change);
	notify_sweep(site.dc, loop_now(site.loop));
	assert_int_equal(site.dc->relays_change, change);
	notify_sweep(site.dc, loop_now(site.loop) + LOOP_S(NOTIFIER_NEWS_S));
	assert_int_equal(site.dc->relays_change, (uint8_t)(change + 1));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(told_and_fetches), T(told_of_the_box), T(keeps_alive),
		T(comes_again),	     T(restarts),	 T(absent),
		T(withdrawn),	     T(fickle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* test_boxlink - the DC's link with a box: notices to nodes, questions across domains */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "played_dc.h"
#include "relay_site.h"
#include "servers/boxsock.h"
#include "servers/dc/boxlink.h"

#define CAROL "desk.carol." PLAYED_DOMAIN

static const struct said open_node = {.reachable = true};
static struct played_dc far;

/* a box as far as the DC sees one */
static struct played_box {
	struct boxsock *sock;
	bool closed;
	char gone[254];
	unsigned int n_gone, n_questions, n_answers;
	uint32_t question_id, answer_id, code;
	char domain[254], to[254], from[254];
	uint8_t part[16];
} box;

static void on_message(void *arg, const Ntm__BoxLink *msg)
{
	struct played_box *b = arg;
	const Ntm__BoxRequest *q;

	if (msg->body_case == NTM__BOX_LINK__BODY_GONE) {
		b->n_gone++;
		snprintf(b->gone, sizeof(b->gone), "%s", msg->gone->names[0]);
	} else if (msg->body_case == NTM__BOX_LINK__BODY_QUESTION) {
		b->n_questions++;
		b->question_id = msg->question->id;
		q = msg->question->request;
		snprintf(b->domain, sizeof(b->domain), "%s",
			 msg->question->domain);
		assert_int_equal(q->body_case,
				 NTM__BOX_REQUEST__BODY_TEMPORAL_KEY);
		snprintf(b->to, sizeof(b->to), "%s", q->temporal_key->to);
		snprintf(b->from, sizeof(b->from), "%s", q->temporal_key->from);
	} else {
		assert_int_equal(msg->body_case, NTM__BOX_LINK__BODY_ANSWER);
		b->n_answers++;
		b->answer_id = msg->answer->id;
		b->code = msg->answer->response->code;
		if (msg->answer->response->prekeys.len)
			memcpy(b->part, msg->answer->response->prekeys.data, 4);
	}
}

static void on_closed(void *arg)
{
	struct played_box *b = arg;

	b->closed = true;
	boxsock_close(b->sock);
	b->sock = NULL;
}

static const struct boxsock_ops box_ops = {
	.message = on_message,
	.closed = on_closed,
};

static bool box_is_here(void *arg)
{
	json_t *o = boxlink_admin(site.dc);
	bool up = json_is_true(json_object_get(o, "link"));

	(void)arg;
	json_decref(o);
	return up;
}

static void box_come(void)
{
	int fd;

	memset(&box, 0, sizeof(box));
	assert_int_equal(boxsock_connect(site.dir, &fd), 0);
	assert_int_equal(boxsock_new(site.loop, fd, &box_ops, &box, &box.sock),
			 0);
	assert_true(site_wait(&site, box_is_here, NULL));
}

static void box_names(const char *fqdn, const uint8_t *fp, uint32_t serial)
{
	Ntm__BoxLink msg = NTM__BOX_LINK__INIT;
	Ntm__BoxNodes nodes = NTM__BOX_NODES__INIT;
	Ntm__BoxNode one = NTM__BOX_NODE__INIT, *list[1] = {&one};

	one.fqdn = (char *)fqdn;
	one.serial = serial;
	if (fp)
		one.fingerprint =
			(ProtobufCBinaryData){NTMC_FP_LEN, (uint8_t *)fp};
	nodes.n_nodes = 1;
	nodes.nodes = list;
	msg.body_case = NTM__BOX_LINK__BODY_NODES;
	msg.nodes = &nodes;
	assert_int_equal(boxsock_send(box.sock, &msg), 0);
}

static int begin(void **state)
{
	struct stat st;
	char path[128];

	setup(state);
	snprintf(path, sizeof(path), "%s/dc-box.sock", site.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	played_dc_new(&far, &site, PLAYED_DOMAIN);
	assert_string_equal(played_dc_add(&far), "");
	box_come();
	return 0;
}

static int end(void **state)
{
	boxsock_close(box.sock);
	played_dc_free(&far);
	return teardown(state);
}

/* --- numbers of cache lists -------------------------------------------------------- */

static bool dc_knows(void *arg)
{
	return node_of(&mn)->cache_serial == *(uint32_t *)arg;
}

static void knows(uint32_t serial)
{
	assert_true(site_wait(&site, dc_knows, &serial));
}

static void absent(void **state)
{
	const Ntm__Signal *s;

	(void)state;
	box_names(mn.fqdn, NULL, 7);
	box_names("desk.nobody." SITE_DOMAIN, NULL, 7);
	knows(7);
	assert_int_equal(come(&mn, &open_node)->cache_serial, 7);
	assert_int_equal(come(&cn, &open_node)->cache_serial, 0);
	s = peer_keep_alive(&mn);
	assert_int_equal(s->keep_alive_ack->cache_serial, 7);
	assert_int_equal(s->keep_alive_ack->boot, site.dc->boot);
	/* the DC is started again: nothing is known until the box says it */
	boxsock_close(box.sock);
	site_stop_dc(&site);
	site_start_dc(&site);
	site_wait_link(&site);
	assert_int_equal(come(&mn, &open_node)->cache_serial, 0);
	box_come();
	box_names(mn.fqdn, NULL, 7);
	knows(7);
	assert_int_equal(peer_keep_alive(&mn)->keep_alive_ack->cache_serial, 7);
}

static bool got_notice(void *arg)
{
	(void)arg;
	return mn.got && mn.got->body_case == NTM__SIGNAL__BODY_BOX_NOTICE;
}

static void drop_got(void)
{
	if (mn.got)
		ntm__signal__free_unpacked(mn.got, NULL);
	mn.got = NULL;
}

static void acknowledge(uint32_t txn)
{
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_ACK;
	msg.ack = &ack;
	peer_send(&mn, &msg);
}

static long long of_box(const char *key)
{
	json_t *o = boxlink_admin(site.dc);
	long long n = json_integer_value(json_object_get(o, key));

	json_decref(o);
	return n;
}

static bool is_acked(void *arg)
{
	(void)arg;
	return of_box("acked") == 1;
}

static void notice(void **state)
{
	uint32_t first;

	(void)state;
	come(&mn, &open_node);
	drop_got();
	box_names(mn.fqdn, NULL, 100);
	assert_true(site_wait(&site, got_notice, NULL));
	assert_int_equal(mn.got->box_notice->serial, 100);
	first = mn.got->txn;
	drop_got();
	/* again until it is acknowledged; of two numbers the last one */
	assert_true(site_wait(&site, got_notice, NULL));
	assert_int_equal(mn.got->txn, first);
	box_names(mn.fqdn, NULL, 101);
	knows(101);
	drop_got();
	assert_true(site_wait(&site, got_notice, NULL));
	assert_int_equal(mn.got->box_notice->serial, 101);
	assert_int_not_equal(mn.got->txn, first);
	acknowledge(first); /* it has not heard of the new one */
	acknowledge(mn.got->txn);
	assert_true(site_wait(&site, is_acked, NULL));
	assert_int_equal(of_box("waiting"), 0);
	/* the same number, or none, is no news */
	box_names(mn.fqdn, NULL, 101);
	box_names(mn.fqdn, NULL, 0);
	knows(0);
	assert_int_equal(of_box("told"), 2);
}

static void asked_for(void **state)
{
	Ntm__RouteDirectionRequest body = NTM__ROUTE_DIRECTION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	(void)state;
	box_names(mn.fqdn, NULL, 9);
	knows(9);
	come(&mn, &open_node);
	msg.body_case = NTM__SIGNAL__BODY_ROUTE_DIRECTION_REQUEST;
	msg.route_direction_request = &body;
	assert_non_null(peer_call(&mn, &msg));
	assert_true(site_wait(&site, got_notice, NULL));
	assert_int_equal(mn.got->box_notice->serial, 9);
}

static bool told_gone(void *arg)
{
	return box.n_gone == *(unsigned int *)arg;
}

static void withdrawn(void **state)
{
	uint8_t fp[NTMC_FP_LEN];
	unsigned int n = 1;

	(void)state;
	ntmc_fingerprint(mn.id.ed_pub, fp);
	box_names(mn.fqdn, fp, 3);
	knows(3);
	site_admin(&site, "account-disable", "alice");
	assert_true(site_wait(&site, told_gone, &n));
	assert_string_equal(box.gone, mn.fqdn);
	/* a box that was away hears it when it comes */
	boxsock_close(box.sock);
	box_come();
	box_names(mn.fqdn, fp, 3);
	assert_true(site_wait(&site, told_gone, &n));
	/* and that a name is another device's now */
	ntmc_fingerprint(cn.id.ed_pub, fp);
	box_names(cn.fqdn, fp, 3);
	fp[4] ^= 1;
	box_names(cn.fqdn, fp, 4);
	n = 2;
	assert_true(site_wait(&site, told_gone, &n));
	assert_string_equal(box.gone, cn.fqdn);
	/* whom nobody knows may be known tomorrow */
	box_names("desk.eve." SITE_DOMAIN, fp, 4);
	box_names(cn.fqdn, NULL, 5);
	fp[4] ^= 1;
	box_names(mn.fqdn, fp, 4);
	n = 3;
	assert_true(site_wait(&site, told_gone, &n));
	assert_string_equal(box.gone, mn.fqdn);
}

/* --- our box asks ------------------------------------------------------------------- */

static void ask(uint32_t id, const char *name)
{
	Ntm__BoxLink msg = NTM__BOX_LINK__INIT;
	Ntm__BoxQuestion q = NTM__BOX_QUESTION__INIT;
	Ntm__BoxRequest r = NTM__BOX_REQUEST__INIT;
	Ntm__PrekeyRequest p = NTM__PREKEY_REQUEST__INIT;

	p.name = (char *)name;
	p.part = 3;
	r.body_case = NTM__BOX_REQUEST__BODY_PREKEYS;
	r.prekeys = &p;
	q.id = id;
	q.name = (char *)name;
	q.request = &r;
	msg.body_case = NTM__BOX_LINK__BODY_QUESTION;
	msg.question = &q;
	assert_int_equal(boxsock_send(box.sock, &msg), 0);
}

static bool answered(void *arg)
{
	(void)arg;
	return box.n_answers;
}

static uint32_t code_of(uint32_t id, const char *name)
{
	box.n_answers = 0;
	ask(id, name);
	assert_true(site_wait(&site, answered, NULL));
	assert_int_equal(box.answer_id, id);
	return box.code;
}

static bool far_asked(void *arg)
{
	(void)arg;
	return far.got && far.got->body_case == NTM__SIGNAL__BODY_BOX_REQUEST &&
	       far.n_got >= 2;
}

static void far_answers(uint32_t txn)
{
	static uint8_t part[] = {1, 2, 3, 4};
	Ntm__BoxResponse body = NTM__BOX_RESPONSE__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	body.prekeys = (ProtobufCBinaryData){sizeof(part), part};
	body.parts = 4;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_BOX_RESPONSE;
	msg.box_response = &body;
	played_dc_send(&far, &far.in, &msg);
}

static void outward(void **state)
{
	uint32_t txn;

	(void)state;
	assert_int_equal(code_of(5, "desk.dora.example.com"), NTM_ENONAME);
	assert_int_equal(code_of(6, PLAYED_DOMAIN), NTM_EINVAL);
	assert_int_equal(code_of(7, "a.desk.carol." PLAYED_DOMAIN),
			 NTM_ENONAME);
	assert_int_equal(far.n_got, 0);
	box.n_answers = 0;
	ask(8, CAROL);
	assert_true(site_wait(&site, far_asked, NULL)); /* twice: no answer */
	assert_string_equal(far.got->box_request->prekeys->name, "desk.carol");
	assert_int_equal(far.got->box_request->prekeys->part, 3);
	txn = far.got->txn;
	far_answers(txn + 1); /* of nobody's question */
	far_answers(txn);
	assert_true(site_wait(&site, answered, NULL));
	assert_int_equal(box.answer_id, 8);
	assert_int_equal(box.code, 0);
	assert_memory_equal(box.part, ((uint8_t[]){1, 2, 3, 4}), 4);
	far_answers(txn); /* once more: nobody waits */
	assert_int_equal(code_of(9, "desk.dora.example.com"), NTM_ENONAME);
	assert_int_equal(box.n_answers, 1);
}

static void outward_silent(void **state)
{
	(void)state;
	assert_int_equal(code_of(1, CAROL), NTM_EUNREACHABLE);
	/* the account's name; and the box is there again after a restart */
	ask(2, "carol." PLAYED_DOMAIN);
	boxsock_close(box.sock);
	box_come();
	assert_int_equal(code_of(3, CAROL), NTM_EUNREACHABLE);
	assert_int_equal(box.n_answers, 1);
}

/* no domain takes more than its part of the room */
static bool all_answered(void *arg)
{
	(void)arg;
	return box.n_answers >= 256 + 10;
}

static bool ten_answered(void *arg)
{
	(void)arg;
	return box.n_answers == 10;
}

static void outward_flood(void **state)
{
	(void)state;
	box.n_answers = 0;
	for (uint32_t i = 0; i < 256 + 10; i++)
		ask(i, CAROL);
	assert_true(site_wait(&site, ten_answered, NULL));
	assert_int_equal(box.code, NTM_ELIMIT);
	assert_true(site_wait(&site, all_answered, NULL));
	assert_int_equal(box.code, NTM_EUNREACHABLE);
}

/* --- they ask ------------------------------------------------------------------------ */

static uint32_t send_in(uint32_t txn, const char *to)
{
	static uint8_t key[NTMC_KEY_LEN];
	Ntm__TemporalKeyTransfer t = NTM__TEMPORAL_KEY_TRANSFER__INIT;
	Ntm__BoxRequest r = NTM__BOX_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	t.from = "desk.carol";
	t.to = (char *)to;
	t.application = t.service = t.item = "x";
	t.key = (ProtobufCBinaryData){NTMC_KEY_LEN, key};
	r.body_case = NTM__BOX_REQUEST__BODY_TEMPORAL_KEY;
	r.temporal_key = &t;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_BOX_REQUEST;
	msg.box_request = &r;
	return played_dc_send(&far, &far.out, &msg);
}

static bool was_asked(void *arg)
{
	return box.n_questions >= *(unsigned int *)arg;
}

static void box_answers(uint32_t id, uint32_t code)
{
	Ntm__BoxLink msg = NTM__BOX_LINK__INIT;
	Ntm__BoxAnswer a = NTM__BOX_ANSWER__INIT;
	Ntm__BoxResponse r = NTM__BOX_RESPONSE__INIT;

	r.code = code;
	a.id = id;
	a.response = &r;
	msg.body_case = NTM__BOX_LINK__BODY_ANSWER;
	msg.answer = &a;
	assert_int_equal(boxsock_send(box.sock, &msg), 0);
}

static void inward(void **state)
{
	const Ntm__Signal *s;
	unsigned int n = 1;
	uint32_t txn;

	(void)state;
	assert_int_equal(played_dc_link(&far), 0);
	txn = send_in(0, "laptop.alice");
	send_in(txn, "laptop.alice"); /* a repetition waits with the first */
	assert_true(site_wait(&site, was_asked, &n));
	assert_string_equal(box.domain, PLAYED_DOMAIN);
	assert_string_equal(box.to, "laptop.alice");
	assert_string_equal(box.from, "desk.carol");
	box_answers(box.question_id ^ 0x10000, 0); /* of no question */
	box_answers(box.question_id, NTM_EEXISTS);
	s = played_dc_answer(&far, txn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_BOX_RESPONSE);
	assert_int_equal(s->box_response->code, NTM_EEXISTS);
	assert_int_equal(box.n_questions, 1);
	/* answered: the next one asks the box again */
	send_in(txn, "laptop.alice");
	n = 2;
	assert_true(site_wait(&site, was_asked, &n));
}

static uint32_t refused_with(void)
{
	const Ntm__Signal *s = played_dc_answer(&far, send_in(0, "a.b"));

	return s && s->body_case == NTM__SIGNAL__BODY_BOX_RESPONSE
		       ? s->box_response->code
		       : 0;
}

static void inward_no_box(void **state)
{
	(void)state;
	assert_int_equal(played_dc_link(&far), 0);
	boxsock_close(box.sock);
	box.sock = NULL;
	while (box_is_here(NULL))
		assert_int_equal(loop_turn(site.loop, true), 0);
	assert_int_equal(refused_with(), NTM_EAGAIN);
	box_come();
}

static void inward_rate(void **state)
{
	(void)state;
	site.conf.dc_peer_rate = 5;
	assert_int_equal(played_dc_link(&far), 0);
	for (int i = 0; i < 20; i++)
		send_in(0, "laptop.alice");
	assert_int_equal(refused_with(), NTM_ELIMIT);
	assert_true(box.n_questions >= 5 && box.n_questions < 10);
}

/* --- a box that speaks nonsense --------------------------------------------------------- */

static bool has_closed(void *arg)
{
	(void)arg;
	return box.closed;
}

static void nonsense(void **state)
{
	Ntm__BoxLink msg = NTM__BOX_LINK__INIT;

	(void)state;
	box_answers(0, 0); /* to what was never asked */
	box_answers(UINT32_MAX, 0);
	assert_int_equal(code_of(5, "desk.dora.example.com"), NTM_ENONAME);
	assert_int_equal(boxsock_send(box.sock, &msg), 0); /* no body */
	assert_true(site_wait(&site, has_closed, NULL));
	box_come();
	assert_int_equal(code_of(5, "desk.dora.example.com"), NTM_ENONAME);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(absent),	  T(notice),   T(asked_for),
		T(withdrawn),	  T(outward),  T(outward_silent),
		T(outward_flood), T(inward),   T(inward_no_box),
		T(inward_rate),	  T(nonsense),
	};

	return cmocka_run_group_tests_name("boxlink", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * server - connections to Group Management Servers
 *
 * Theory of operation
 *
 * One TLS connection for each GMS that one of our groups has, kept as long as there is
 * such a group. It is the group's by its identity: whoever else answers at the address
 * is not spoken to. A connection that ends is made again after 1, 2, 4 ... 60 s, at once
 * when the node is online again; the server's addresses are tried in turn, each for
 * NEXT_MS. Behind them come the same on port 443, where a relay's gate may lead to the
 * GMS, which is asked for by name (tlshello.h), as some networks let out nothing else;
 * and last one of them once more and for longer, as a network may be slow: another one in
 * each round. The one that worked is the first of the next round, until the node has been elsewhere. A GMS ends
 * connections that are silent, so each group says hello from time to time, which also
 * brings the GMS's newest word on the epoch.
 *
 * Answers name the number of a question. Numbers are a connection's, and groups count
 * for themselves, so they are changed on the way, both ways.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "broker/member/node.h"
#include "broker/member/plans.h"
#include "broker/member/ways.h"
#include "common/channel.h"
#include "common/log.h"
#include "common/tlshello.h"

#define RETRY_MAX_S 60
#define NEXT_MS	    2500
#define GATE_PORT   443
/* those that are known, the same at a gate, and the first once more */
#define TRIES_MAX (2 * WAYS_MAX + 1)
#define HELLO_S	  240 /* a GMS ends a connection that is silent for 600 s */
#define ASKED_MAX 64

/* struct asked - a question of a group that has no answer yet */
struct asked {
	uint32_t txn, theirs;
	struct part *part;
};

struct server {
	struct server *prev, *next;
	struct node *node;
	char name[NTMC_FQDN_MAX + 1];
	uint8_t key[NTMC_KEY_LEN];
	struct tls_context *tls;
	struct channel *channel;
	bool open;
	struct loop_timer *retry, *hello, *slow;
	unsigned int tries, n_parts;
	size_t at;	  /* which way of this round */
	struct addr good; /* that worked last; not set: none */
	bool last;	  /* of this round: it is waited for */
	int first_err;	  /* of this round */
	struct asked asked[ASKED_MAX];
	uint32_t txn;
	char trouble[160];
};

static void connect_now(struct server *s);

/* --- where it is ------------------------------------------------------------------- */

const struct who_manager *server_manager(const struct server *s)
{
	const struct who *w = &s->node->who;

	for (size_t i = 0; w->logged_in && i < w->n_managers; i++)
		if (!memcmp(w->managers[i].ed_pub, s->key, sizeof(s->key)))
			return &w->managers[i];
	return NULL;
}

int server_ways(const struct server *s, char ways[static GROUP_WAYS_MAX + 1])
{
	const struct who_manager *m = server_manager(s);

	if (!m)
		return memberstore_server_get(s->node->store, s->key, ways);
	ways_write(m->ways, m->n_ways, ways);
	return *ways ? 0 : -NTM_ENOTFOUND;
}

int server_learn(struct node *n, const uint8_t key[static NTMC_KEY_LEN],
		 const char *heard)
{
	char known[GROUP_WAYS_MAX + 1] = "", ways[GROUP_WAYS_MAX + 1];
	int r = memberstore_server_get(n->store, key, known);

	if (r && r != -NTM_ENOTFOUND)
		return r;
	ways_learn(known, heard, ways);
	return *ways ? memberstore_server_put(n->store, key, ways) : 0;
}

static size_t add(struct addr *list, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_equal(&list[i], a))
			return n;
	list[n] = *a;
	return n + 1;
}

/* Return: how many there are to be tried, in this order */
static size_t round_of(const struct server *s, struct addr out[TRIES_MAX + 1])
{
	char ways[GROUP_WAYS_MAX + 1];
	struct addr known[WAYS_MAX], a;
	size_t i, n = 0, n_known;

	if (server_ways(s, ways))
		return 0;
	n_known = ways_read(ways, known);
	if (n_known && addr_is_set(&s->good))
		out[n++] = s->good;
	for (i = 0; i < n_known; i++)
		n = add(out, n, &known[i]);
	for (i = 0; i < n_known; i++) {
		a = known[i];
		addr_set_port(&a, GATE_PORT);
		n = add(out, n, &a);
	}
	if (n_known)
		out[n++] = known[s->tries % n_known];
	return n;
}

/* the one whose turn it is. Return: 0, -NTM_ENOTFOUND */
static int address(struct server *s, struct addr *out)
{
	struct addr list[TRIES_MAX + 1];
	size_t n = round_of(s, list);

	if (!n)
		return -NTM_ENOTFOUND;
	if (s->at >= n)
		s->at = 0;
	s->last = s->at == n - 1;
	*out = list[s->at];
	return 0;
}

static void round_begin(struct server *s)
{
	s->at = 0;
	s->first_err = 0;
}

/* it has been elsewhere, or is another one: what worked says nothing */
static void round_anew(struct server *s)
{
	s->tries = 0;
	addr_clear(&s->good);
	round_begin(s);
}

/* --- the connection ------------------------------------------------------------------- */

static void later(struct server *s, int err)
{
	unsigned int wait = 1u << (s->tries < 6 ? s->tries : 6);
	uint8_t r;

	ntmc_random(NULL, &r, sizeof(r));
	if (wait > RETRY_MAX_S)
		wait = RETRY_MAX_S;
	s->tries++;
	snprintf(s->trouble, sizeof(s->trouble), "%s",
		 err == -NTM_ENOTFOUND ? "its address is not known"
				       : err_text(err));
	log_info("member", "%s: %s; again in %u s", s->name, err_text(err),
		 wait);
	loop_timer_arm(s->retry, LOOP_S(wait) + LOOP_MS(2u * r));
}

/* that was in vain: the next one at once, or all of them later */
static void next_way(struct server *s, int err)
{
	bool last = s->last;

	if (!s->first_err)
		s->first_err = err;
	if (last) {
		err = s->first_err;
		round_begin(s);
		later(s, err);
		return;
	}
	s->at++;
	loop_timer_arm(s->retry, 0);
}

static void each(struct server *s, void (*fn)(struct member *m))
{
	struct part *p, *tmp;

	DL_FOREACH_SAFE (s->node->parts, p, tmp)
		if (p->server == s && !p->over)
			fn(p->m);
}

static void on_open(struct channel *c, void *arg)
{
	struct server *s = arg;
	const struct ntmc_cert *peer = channel_peer(c);

	if (s->channel != c)
		return;
	if (!peer || memcmp(peer->ed_pub, s->key, sizeof(s->key))) {
		channel_close(c);
		log_warn("member", "%s: another server answers there", s->name);
		return;
	}
	log_info("member", "connected with %s", s->name);
	loop_timer_disarm(s->slow);
	if (address(s, &s->good))
		addr_clear(&s->good);
	round_begin(s);
	s->open = true;
	s->tries = 0;
	*s->trouble = '\0';
	loop_timer_arm(s->hello, LOOP_S(HELLO_S));
	each(s, member_online);
	plans_online(s);
}

/* whose it is; NULL: nobody's here */
static struct part *part_of(struct server *s, const ProtobufCBinaryData *id)
{
	struct part *p =
		id->len == GROUP_ID_LEN ? part_by_id(s->node, id->data) : NULL;

	return p && p->server == s ? p : NULL;
}

static void answered(struct server *s, const Ntm__Envelope *msg)
{
	Ntm__Envelope copy = *msg;

	for (size_t i = 0; msg->txn && i < ASKED_MAX; i++) {
		struct asked *a = &s->asked[i];
		struct part *p = a->part;

		if (!p || a->txn != msg->txn)
			continue;
		copy.txn = a->theirs;
		a->part = NULL;
		member_message(p->m, &copy);
		return;
	}
}

static void on_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct server *s = arg;
	struct part *p = NULL;

	if (s->channel != c || !s->open)
		return;
	switch (msg->body_case) {
	case NTM__ENVELOPE__BODY_ACK:
		answered(s, msg);
		return;
	case NTM__ENVELOPE__BODY_GROUP_NEWS:
		p = part_of(s, &msg->group_news->group);
		break;
	case NTM__ENVELOPE__BODY_GROUP_GONE:
		p = part_of(s, &msg->group_gone->group);
		break;
	case NTM__ENVELOPE__BODY_GROUP_ANSWER:
		p = part_of(s, &msg->group_answer->group);
		break;
	case NTM__ENVELOPE__BODY_GROUP_WANT:
		p = part_of(s, &msg->group_want->group);
		break;
	case NTM__ENVELOPE__BODY_GROUP_RELAY:
		p = part_of(s, &msg->group_relay->group);
		if (p && !p->over)
			words_relay(p, msg->group_relay);
		return;
	case NTM__ENVELOPE__BODY_GROUP_LEAVE:
		p = part_of(s, &msg->group_leave->group);
		break;
	case NTM__ENVELOPE__BODY_GROUP_PLANS:
		if (server_manager(s)) /* others ask nothing of us */
			plans_heard(s->node->plans, msg->group_plans);
		return;
	default:
		break;
	}
	if (p && !p->over)
		member_message(p->m, msg);
}

static void on_closed(struct channel *c, int err, void *arg)
{
	struct server *s = arg;
	bool was_open = s->open;

	if (s->channel != c)
		return;
	s->channel = NULL;
	s->open = false;
	loop_timer_disarm(s->hello);
	memset(s->asked, 0, sizeof(s->asked));
	loop_timer_disarm(s->slow);
	err = err ? err : -NTM_ECLOSED;
	if (was_open) {
		each(s, member_offline);
		if (server_manager(s))
			node_server_lost(s->node);
		later(s, err);
	} else {
		next_way(s, err);
	}
}

/* nobody answers there */
static void on_next(void *arg)
{
	struct server *s = arg;
	struct channel *c = s->channel;

	if (!c || s->open)
		return;
	s->channel = NULL;
	channel_close(c);
	next_way(s, -NTM_ETIMEOUT);
}

static const struct channel_ops ops = {
	.open = on_open, .message = on_message, .closed = on_closed};

static int credentials(struct server *s)
{
	const struct who *w = &s->node->who;
	int r;

	if (s->tls)
		return 0;
	if (!w->logged_in)
		return -NTM_ENOLOGIN;
	r = tls_context_new(w->id, w->cert_der, w->cert_len, w->ca, w->ca_len,
			    NULL, NULL, &s->tls);
	if (!r) {
		tls_context_set_roles(s->tls, NTMC_ROLE_GMS);
		/* the log and the invite name its key; who vouches for it, they
		 * do not */
		tls_context_set_peer_key(s->tls, s->key);
		tls_context_set_alpn(s->tls, TLSHELLO_GMS);
	}
	return r;
}

static void connect_now(struct server *s)
{
	struct addr to;
	int r;

	loop_timer_disarm(s->retry);
	if (s->channel)
		return;
	r = credentials(s);
	if (r == -NTM_ENOLOGIN) {
		snprintf(s->trouble, sizeof(s->trouble), "%s", err_text(r));
		return; /* the next session brings us here */
	}
	if (!r)
		r = address(s, &to);
	if (!r)
		r = channel_connect(s->node->loop, s->tls, &to.sa,
				    addr_len(&to), &ops, s, &s->channel);
	/* without an address, or TLS, the next way is no better */
	if (r == -NTM_ENOTFOUND || !s->tls)
		later(s, r);
	else if (r)
		next_way(s, r);
	else if (!s->last)
		loop_timer_arm(s->slow, LOOP_MS(NEXT_MS));
}

static void on_retry(void *arg)
{
	connect_now(arg);
}

/* who may remove members knows their prekeys before there is haste, and who is away */
static void look_after(struct member *m)
{
	const struct group_member *me =
		group_find(member_group(m), member_index(m));

	member_online(m);
	if (me && (me->rights & GROUP_MAY_REMOVE) && !member_prepare(m))
		log_debug("member", "%s: not now", member_name(m));
}

static void on_hello(void *arg)
{
	struct server *s = arg;

	loop_timer_arm(s->hello, LOOP_S(HELLO_S));
	each(s, look_after);
}

bool server_send(struct server *s, struct part *p, Ntm__Envelope *msg)
{
	uint32_t theirs = msg->txn;
	int r;

	if (!s->open)
		return false;
	if (theirs) {
		struct asked *a = &s->asked[++s->txn % ASKED_MAX];

		*a = (struct asked){.txn = s->txn, .theirs = theirs, .part = p};
		msg->txn = s->txn;
	}
	r = channel_send(s->channel, msg);
	msg->txn = theirs;
	if (r)
		log_debug("member", "%s: not sent: %s", s->name, err_text(r));
	return !r;
}

/* --- life --------------------------------------------------------------------------------- */

bool server_is_open(const struct server *s)
{
	return s->open;
}

const char *server_trouble(const struct server *s)
{
	return s->trouble;
}

const char *server_name(const struct server *s)
{
	return s->name;
}

/* behind the end of its channel, which knows them still */
struct tls_end {
	struct loop_task task;
	struct tls_context *tls;
};

static void tls_over(void *arg)
{
	struct tls_end *e = arg;

	tls_context_free(e->tls);
	free(e);
}

static void tls_drop(struct server *s)
{
	struct tls_end *e = s->tls ? calloc(1, sizeof(*e)) : NULL;

	if (e) {
		e->tls = s->tls;
		e->task = (struct loop_task){.fn = tls_over, .arg = e};
		loop_defer_task(s->node->loop, &e->task);
	}
	s->tls = NULL;
}

static void disconnect(struct server *s)
{
	struct channel *c = s->channel;

	s->channel = NULL;
	if (c)
		channel_close(c);
	if (s->open)
		each(s, member_offline);
	s->open = false;
	memset(s->asked, 0, sizeof(s->asked));
	loop_timer_disarm(s->hello);
	loop_timer_disarm(s->slow);
	tls_drop(s);
}

static void server_free(struct server *s)
{
	disconnect(s);
	DL_DELETE(s->node->servers, s);
	loop_timer_free(s->retry);
	loop_timer_free(s->hello);
	loop_timer_free(s->slow);
	free(s);
}

int server_of(struct node *n, const char *name, const uint8_t *key,
	      struct server **out)
{
	struct server *s;
	int r;

	DL_FOREACH (n->servers, s)
		if (!memcmp(s->key, key, sizeof(s->key)))
			break;
	if (s) {
		*out = s;
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -NTM_ENOMEM;
	s->node = n;
	snprintf(s->name, sizeof(s->name), "%s", name);
	memcpy(s->key, key, sizeof(s->key));
	r = loop_timer_new(n->loop, on_retry, s, &s->retry);
	if (!r)
		r = loop_timer_new(n->loop, on_hello, s, &s->hello);
	if (!r)
		r = loop_timer_new(n->loop, on_next, s, &s->slow);
	if (r) {
		loop_timer_free(s->retry);
		loop_timer_free(s->hello);
		free(s);
		return r;
	}
	DL_APPEND(n->servers, s);
	*out = s;
	return 0;
}

void server_hold(struct server *s)
{
	s->n_parts++;
	if (!s->open)
		connect_now(s);
}

void server_release(struct server *s)
{
	if (!--s->n_parts)
		server_free(s);
}

void server_use(struct server *s, struct part *p)
{
	s->n_parts++;
	if (s->open)
		member_online(p->m);
	else
		connect_now(s);
}

void server_unuse(struct server *s, struct part *p)
{
	for (size_t i = 0; i < ASKED_MAX; i++)
		if (s->asked[i].part == p)
			s->asked[i].part = NULL;
	server_release(s);
}

void servers_renew(struct node *n)
{
	struct server *s;

	DL_FOREACH (n->servers, s) {
		disconnect(s);
		round_anew(s);
		connect_now(s);
	}
}

void servers_online(struct node *n)
{
	struct server *s;

	DL_FOREACH (n->servers, s) {
		round_anew(s);
		if (!s->channel)
			connect_now(s);
	}
}

void servers_close(struct node *n)
{
	while (n->servers)
		server_free(n->servers);
}

/* SPDX-License-Identifier: MIT */
/*
 * push - tells nodes to come through push services: FCM, APNs, UnifiedPush
 *
 * Theory of operation
 *
 * The DC asks for a push and does not wait. A thread takes it, speaks HTTP/2 with the
 * services, and tries again what they want later: after their Retry-After, else 1, 2,
 * 4 s, and not once a push is WORTH_S old: whoever asked for the node has given up by
 * then. Tokens that a service calls dead are told to the DC with the answer to its next
 * question, as many as fit.
 *
 * Nobody's push waits for somebody else's service: each kind has RUNNING_MAX requests
 * of its own, one account no more than ACCOUNT_MAX of them (its URLs may lead to hosts
 * that do not answer), a node one at a time. FCM's access token is asked for beside
 * them; pushes that need it wait in the queue.
 *
 * A process of its own: it reads strangers' HTTP with large libraries, and has the
 * services' credentials, but no key of a node.
 */
#include "servers/push/push.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/fqdn.h"
#include "servers/push/sender.h"

#define QUEUE_MAX   4096
#define RUNNING_MAX 64
#define ACCOUNT_MAX 4
#define TRIES_MAX   4
#define WORTH_S	    60
#define GONE_MAX    64
#define GONE_ROOM   4096 /* of an answer, for tokens that are dead */
#define KINDS	    (NTM__PUSH_KIND__PUSH_UNIFIED + 1)

/* struct job - in the queue or under way, in the list of that */
struct job {
	struct job *next;
	char node[FQDN_MAX + 1], token[PUSH_TOKEN_MAX + 1];
	Ntm__PushKind kind;
	unsigned int tries;
	time_t born, due;
	struct sending x;
};

struct push {
	struct loop *loop;
	struct sender *sender; /* the thread's */
	CURLM *multi;
	struct sending access; /* the thread's: for FCM's access token */
	bool asking;
	pthread_t thread;
	bool started, stop;
	pthread_mutex_t lock; /* everything below */
	struct job *todo, **todo_end, *running;
	unsigned int n_todo, n_running[KINDS];
	json_t *gone;
	uint64_t asked, same, sent, later, failed, dropped, n_gone;
};

bool push_offers(const struct server_conf *c, Ntm__PushKind kind)
{
	switch (kind) {
	case NTM__PUSH_KIND__PUSH_FCM:
		return c->push_fcm != NULL;
	case NTM__PUSH_KIND__PUSH_APNS:
		return c->push_apns_key != NULL;
	case NTM__PUSH_KIND__PUSH_UNIFIED:
		return c->push_unifiedpush;
	case NTM__PUSH_KIND__PUSH_NONE:
	default:
		return false;
	}
}

bool push_wanted(const struct server_conf *c)
{
	return c->push_fcm || c->push_apns_key || c->push_unifiedpush;
}

/* --- the thread -------------------------------------------------------------------- */

static time_t mono_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static const char *account_of(const struct job *j)
{
	const char *dot = strchr(j->node, '.');

	return dot ? dot : j->node;
}

/* --- lists, under the lock */

static void append(struct push *p, struct job *j)
{
	j->next = NULL;
	*p->todo_end = j;
	p->todo_end = &j->next;
	p->n_todo++;
}

/* the job behind @at */
static struct job *unlink_todo(struct push *p, struct job **at)
{
	struct job *j = *at;

	*at = j->next;
	if (!*at)
		p->todo_end = at;
	p->n_todo--;
	return j;
}

static void run(struct push *p, struct job *j)
{
	j->next = p->running;
	p->running = j;
	p->n_running[j->kind]++;
}

static void rest(struct push *p, struct job *j)
{
	struct job **at = &p->running;

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	p->n_running[j->kind]--;
}

static bool may_run(const struct push *p, const struct job *j)
{
	unsigned int n = 0;

	if (!sender_is_ready(p->sender, j->kind) ||
	    p->n_running[j->kind] == RUNNING_MAX)
		return false;
	for (const struct job *x = p->running; x; x = x->next)
		n += !strcmp(account_of(x), account_of(j));
	return n < ACCOUNT_MAX;
}

/* --- and what they hold */

static void put_back(struct push *p, struct job *j, unsigned int wait_s)
{
	j->due = mono_s() + (wait_s ? wait_s : 1u << j->tries);
	j->tries++;
	pthread_mutex_lock(&p->lock);
	rest(p, j);
	if (j->tries == TRIES_MAX || j->due - j->born > WORTH_S) {
		p->failed++;
		free(j);
	} else {
		p->later++;
		append(p, j);
	}
	pthread_mutex_unlock(&p->lock);
}

static void done(struct push *p, struct job *j, enum sender_verdict v)
{
	pthread_mutex_lock(&p->lock);
	rest(p, j);
	p->sent += v == SENDER_SENT;
	p->failed += v == SENDER_FAILED;
	p->n_gone += v == SENDER_GONE;
	if (v == SENDER_GONE && json_array_size(p->gone) < GONE_MAX)
		json_array_append_new(p->gone,
				      json_pack("{s:s, s:s}", "node", j->node,
						"token", j->token));
	pthread_mutex_unlock(&p->lock);
	free(j);
}

static void finish(struct push *p, struct job *j, CURLcode code)
{
	unsigned int wait;
	enum sender_verdict v =
		sender_end(p->sender, j->kind, &j->x, code, &wait);

	curl_multi_remove_handle(p->multi, j->x.easy);
	sending_clear(&j->x);
	if (v == SENDER_LATER)
		put_back(p, j, wait);
	else
		done(p, j, v);
}

static void begin(struct push *p, struct job *j)
{
	if (!sender_start(p->sender, j->kind, j->token, &j->x)) {
		curl_easy_setopt(j->x.easy, CURLOPT_PRIVATE, j);
		if (!curl_multi_add_handle(p->multi, j->x.easy))
			return;
		sending_clear(&j->x);
	}
	done(p, j, SENDER_FAILED);
}

/* FCM's access token; the request has no job */
static void ask_access(struct push *p)
{
	if (p->asking || sender_ask(p->sender, &p->access))
		return;
	curl_easy_setopt(p->access.easy, CURLOPT_PRIVATE, NULL);
	p->asking = !curl_multi_add_handle(p->multi, p->access.easy);
	if (!p->asking)
		sending_clear(&p->access);
}

static void got_access(struct push *p, CURLcode code)
{
	sender_asked(p->sender, &p->access, code);
	curl_multi_remove_handle(p->multi, p->access.easy);
	sending_clear(&p->access);
	p->asking = false;
}

/* the oldest that is due and has a place; @wants: FCM's need access. Who has waited
 * for too long goes */
static struct job *take_due(struct push *p, bool *wants)
{
	struct job **at, *j = NULL;
	time_t now = mono_s();

	pthread_mutex_lock(&p->lock);
	for (at = &p->todo; *at && !j;) {
		if (now - (*at)->born > WORTH_S) {
			p->failed++;
			free(unlink_todo(p, at));
		} else if ((*at)->due <= now && may_run(p, *at)) {
			j = unlink_todo(p, at);
			run(p, j);
		} else {
			*wants |= !sender_is_ready(p->sender, (*at)->kind);
			at = &(*at)->next;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return j;
}

static void *thread_main(void *arg)
{
	struct push *p = arg;
	int running, left;
	struct job *j;
	CURLMsg *m;

	while (!__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE)) {
		bool wants = false;

		while ((j = take_due(p, &wants)))
			begin(p, j);
		if (wants)
			ask_access(p);
		curl_multi_perform(p->multi, &running);
		while ((m = curl_multi_info_read(p->multi, &left))) {
			if (m->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &j);
			if (j)
				finish(p, j, m->data.result);
			else
				got_access(p, m->data.result);
		}
		curl_multi_poll(p->multi, NULL, 0, 1000, NULL);
	}
	return NULL;
}

/* --- the DC's questions ----------------------------------------------------------------- */

static bool is_in(const struct job *list, const char *node, Ntm__PushKind kind,
		  const char *token)
{
	for (; list; list = list->next)
		if (list->kind == kind && !strcmp(list->node, node) &&
		    !strcmp(list->token, token))
			return true;
	return false;
}

static int enqueue(struct push *p, json_t *request)
{
	const char *node = json_string_value(json_object_get(request, "node"));
	const char *token =
		json_string_value(json_object_get(request, "token"));
	json_int_t kind = json_integer_value(json_object_get(request, "kind"));
	struct job *j;

	if (!node || !token || strlen(node) > FQDN_MAX ||
	    strlen(token) > PUSH_TOKEN_MAX || kind < 1 || kind >= KINDS)
		return -NTM_EINVAL;
	p->asked++;
	if (is_in(p->todo, node, (Ntm__PushKind)kind, token) ||
	    is_in(p->running, node, (Ntm__PushKind)kind, token)) {
		p->same++;
		return 0;
	}
	j = p->n_todo < QUEUE_MAX ? calloc(1, sizeof(*j)) : NULL;
	if (!j) {
		p->dropped++;
		return -NTM_ELIMIT;
	}
	strcpy(j->node, node);
	strcpy(j->token, token);
	j->kind = (Ntm__PushKind)kind;
	j->born = mono_s();
	append(p, j);
	return 0;
}

/* of the dead tokens what fits into an answer; the others wait for the next */
static json_t *take_gone(struct push *p)
{
	json_t *list = json_array(), *o;
	size_t room = GONE_ROOM, len;

	while (list && (o = json_array_get(p->gone, 0))) {
		len = json_dumpb(o, NULL, 0, JSON_COMPACT) + 1;
		if (len > room && room < GONE_ROOM)
			break;
		room -= len < room ? len : room;
		json_array_append(list, o);
		json_array_remove(p->gone, 0);
	}
	return list;
}

json_t *push_admin(struct push *p, const char *command, json_t *request)
{
	json_t *answer = NULL;
	int r;

	pthread_mutex_lock(&p->lock);
	if (!strcmp(command, "send")) {
		r = enqueue(p, request);
		answer =
			json_pack("{s:b, s:o}", "ok", !r, "gone", take_gone(p));
	} else if (!strcmp(command, "status")) {
#define N(x) (json_int_t)(x)
		answer = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
				   " s:I}",
				   "ok", 1, "asked", N(p->asked), "same",
				   N(p->same), "sent", N(p->sent), "later",
				   N(p->later), "failed", N(p->failed),
				   "dropped", N(p->dropped), "gone",
				   N(p->n_gone), "waiting", N(p->n_todo));
#undef N
	}
	pthread_mutex_unlock(&p->lock);
	curl_multi_wakeup(p->multi);
	return answer;
}

/* --- life --------------------------------------------------------------------------------- */

int push_new(const struct role_env *env, struct push **out)
{
	struct push *p = calloc(1, sizeof(*p));
	int r = -NTM_ENOMEM;

	if (!p)
		return r;
	p->loop = env->loop;
	p->gone = json_array();
	p->todo_end = &p->todo;
	pthread_mutex_init(&p->lock, NULL);
	if (!curl_global_init(CURL_GLOBAL_DEFAULT))
		p->multi = curl_multi_init();
	if (p->multi && p->gone)
		r = sender_new(env->conf, &p->sender);
	if (!r && pthread_create(&p->thread, NULL, thread_main, p))
		r = -NTM_ESYSTEM;
	if (r) {
		push_free(p);
		return r;
	}
	p->started = true;
	*out = p;
	return 0;
}

static void drop_running(struct push *p)
{
	struct job *j;

	while ((j = p->running)) {
		p->running = j->next;
		curl_multi_remove_handle(p->multi, j->x.easy);
		sending_clear(&j->x);
		free(j);
	}
	if (p->asking) {
		curl_multi_remove_handle(p->multi, p->access.easy);
		sending_clear(&p->access);
	}
}

void push_free(struct push *p)
{
	struct job *j;

	if (!p)
		return;
	if (p->started) {
		__atomic_store_n(&p->stop, true, __ATOMIC_RELEASE);
		curl_multi_wakeup(p->multi);
		pthread_join(p->thread, NULL);
	}
	while ((j = p->todo)) {
		p->todo = j->next;
		free(j);
	}
	drop_running(p);
	curl_multi_cleanup(p->multi);
	sender_free(p->sender);
	json_decref(p->gone);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

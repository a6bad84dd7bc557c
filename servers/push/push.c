/* SPDX-License-Identifier: MIT */
/*
 * push - tells nodes to come through push services: FCM, APNs, UnifiedPush
 *
 * Theory of operation
 *
 * The DC asks for a push and does not wait. A thread takes it, speaks HTTP/2 with the
 * services, up to RUNNING_MAX at once, and tries again what they want later: after
 * their Retry-After, else 1, 2, 4 s, and not once a push is WORTH_S old: whoever asked
 * for the node has given up by then. Tokens that a service calls dead are told to the
 * DC with the answer to its next question.
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
#define TRIES_MAX   4
#define WORTH_S	    60
#define GONE_MAX    64

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
	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* everything below */
	struct job *todo;
	unsigned int n_todo;
	bool stop;
	json_t *gone;
	uint64_t asked, sent, later, failed, dropped, n_gone;
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

static void count(struct push *p, uint64_t *n)
{
	pthread_mutex_lock(&p->lock);
	++*n;
	pthread_mutex_unlock(&p->lock);
}

static void put_back(struct push *p, struct job *j, unsigned int wait_s)
{
	j->due = mono_s() + (wait_s ? wait_s : 1u << j->tries);
	j->tries++;
	if (j->tries == TRIES_MAX || j->due - j->born > WORTH_S) {
		count(p, &p->failed);
		free(j);
		return;
	}
	pthread_mutex_lock(&p->lock);
	p->later++;
	j->next = p->todo;
	p->todo = j;
	p->n_todo++;
	pthread_mutex_unlock(&p->lock);
}

static void finish(struct push *p, struct job *j, CURLcode code)
{
	unsigned int wait;
	enum sender_verdict v =
		sender_end(p->sender, j->kind, &j->x, code, &wait);

	curl_multi_remove_handle(p->multi, j->x.easy);
	sending_clear(&j->x);
	if (v == SENDER_LATER) {
		put_back(p, j, wait);
		return;
	}
	pthread_mutex_lock(&p->lock);
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

static void begin(struct push *p, struct job *j)
{
	int r = sender_start(p->sender, j->kind, j->token, &j->x);

	if (r == -NTM_ECLOSED) {
		put_back(p, j, 0);
		return;
	}
	if (!r) {
		curl_easy_setopt(j->x.easy, CURLOPT_PRIVATE, j);
		if (!curl_multi_add_handle(p->multi, j->x.easy))
			return;
		sending_clear(&j->x);
	}
	count(p, &p->failed);
	free(j);
}

static struct job *take_due(struct push *p)
{
	struct job **at, *j = NULL;
	time_t now = mono_s();

	pthread_mutex_lock(&p->lock);
	for (at = &p->todo; *at; at = &(*at)->next)
		if ((*at)->due <= now) {
			j = *at;
			*at = j->next;
			p->n_todo--;
			break;
		}
	pthread_mutex_unlock(&p->lock);
	return j;
}

static void *thread_main(void *arg)
{
	struct push *p = arg;
	int running = 0, left;
	struct job *j;
	CURLMsg *m;

	while (!__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE)) {
		while (running < RUNNING_MAX && (j = take_due(p))) {
			begin(p, j);
			running++;
		}
		curl_multi_perform(p->multi, &running);
		while ((m = curl_multi_info_read(p->multi, &left))) {
			if (m->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &j);
			finish(p, j, m->data.result);
		}
		curl_multi_poll(p->multi, NULL, 0, 1000, NULL);
	}
	return NULL;
}

/* --- the DC's questions ----------------------------------------------------------------- */

static int enqueue(struct push *p, json_t *request)
{
	const char *node = json_string_value(json_object_get(request, "node"));
	const char *token =
		json_string_value(json_object_get(request, "token"));
	struct job *j;

	if (!node || !token || strlen(node) > FQDN_MAX ||
	    strlen(token) > PUSH_TOKEN_MAX)
		return -NTM_EINVAL;
	j = p->n_todo < QUEUE_MAX ? calloc(1, sizeof(*j)) : NULL;
	if (!j) {
		p->dropped++;
		return -NTM_ELIMIT;
	}
	strcpy(j->node, node);
	strcpy(j->token, token);
	j->kind = (Ntm__PushKind)json_integer_value(
		json_object_get(request, "kind"));
	j->born = mono_s();
	j->next = p->todo;
	p->todo = j;
	p->n_todo++;
	p->asked++;
	return 0;
}

json_t *push_admin(struct push *p, const char *command, json_t *request)
{
	json_t *answer = NULL;
	int r;

	pthread_mutex_lock(&p->lock);
	if (!strcmp(command, "send")) {
		r = enqueue(p, request);
		answer = json_pack("{s:b, s:o}", "ok", !r, "gone", p->gone);
		p->gone = json_array();
	} else if (!strcmp(command, "status")) {
#define N(x) (json_int_t)(x)
		answer = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
				   "ok", 1, "asked", N(p->asked), "sent",
				   N(p->sent), "later", N(p->later), "failed",
				   N(p->failed), "dropped", N(p->dropped),
				   "gone", N(p->n_gone), "waiting",
				   N(p->n_todo));
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
	p->running = true;
	*out = p;
	return 0;
}

void push_free(struct push *p)
{
	struct job *j;

	if (!p)
		return;
	if (p->running) {
		__atomic_store_n(&p->stop, true, __ATOMIC_RELEASE);
		curl_multi_wakeup(p->multi);
		pthread_join(p->thread, NULL);
	}
	while ((j = p->todo)) {
		p->todo = j->next;
		free(j);
	}
	curl_multi_cleanup(p->multi);
	sender_free(p->sender);
	json_decref(p->gone);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

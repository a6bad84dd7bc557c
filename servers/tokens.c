/* SPDX-License-Identifier: MIT */
/*
 * tokens - who may speak to a Cache Server, box or GMS: tokens as the AS tells them
 *
 * Theory of operation
 *
 * A channel to the AS stands as long as both run. First the list of all nodes comes in
 * parts, each acknowledged, and is put together beside the one that is in use; with its
 * last part it takes its place. A change that comes meanwhile is made in both. So a
 * node that was withdrawn while we were away is gone with the list, and one that is
 * withdrawn now is gone at once.
 *
 * Only hashes are here: whoever reads this process's memory shows nobody's token.
 * Readers are threads of HTTP, the writer is the loop: one lock, held for a look-up.
 */
#include "servers/tokens.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/log.h"
#include "servers/dcchannel.h"

#define TOKENS_MAX 4 /* of a node */

struct holder {
	UT_hash_handle hh;
	char fqdn[FQDN_MAX + 1];
	bool withdrawn;
	size_t n;
	struct {
		uint8_t hash[NTMC_HASH_LEN];
		int64_t expires;
	} token[TOKENS_MAX];
};

struct tokens {
	const char *name;
	const struct tokens_ops *ops;
	void *arg;
	struct dcchannel *channel;
	struct server_ways ways; /* of a GMS */
	bool listing;
	struct holder *next; /* while listing */

	pthread_rwlock_t lock; /* below */
	bool known;
	struct holder *holders;
};

static void holders_free(struct holder **all)
{
	struct holder *h, *tmp;

	HASH_ITER (hh, *all, h, tmp) {
		HASH_DEL(*all, h);
		free(h);
	}
}

static void holder_remove(struct holder **all, const char *fqdn)
{
	struct holder *h;

	HASH_FIND_STR(*all, fqdn, h);
	if (!h)
		return;
	HASH_DEL(*all, h);
	free(h);
}

static int holder_set(struct holder **all, const Ntm__NodeTokens *m)
{
	struct holder *h;

	HASH_FIND_STR(*all, m->fqdn, h);
	if (!h) {
		h = calloc(1, sizeof(*h));
		if (!h)
			return -NTM_ENOMEM;
		strcpy(h->fqdn, m->fqdn); /* limits.c: it fits */
		HASH_ADD_STR(*all, fqdn, h);
	}
	h->withdrawn = m->withdrawn;
	h->n = 0;
	for (size_t i = 0; i < m->n_tokens && i < TOKENS_MAX; i++) {
		memcpy(h->token[h->n].hash, m->tokens[i]->hash.data,
		       NTMC_HASH_LEN);
		h->token[h->n++].expires = m->tokens[i]->expires;
	}
	return 0;
}

/* --- what the AS says ------------------------------------------------------------ */

static int take_list(struct tokens *t, const Ntm__TokenList *m)
{
	struct holder *old;
	int r = 0;

	if (m->first)
		holders_free(&t->next);
	else if (!t->listing)
		return -NTM_ESTATE;
	t->listing = true;
	for (size_t i = 0; !r && i < m->n_nodes; i++)
		r = holder_set(&t->next, m->nodes[i]);
	if (r || !m->last)
		return r;
	t->listing = false;
	pthread_rwlock_wrlock(&t->lock);
	old = t->holders;
	t->holders = t->next;
	t->known = true;
	pthread_rwlock_unlock(&t->lock);
	t->next = NULL;
	holders_free(&old);
	log_info(t->name, "the AS names %u nodes", HASH_COUNT(t->holders));
	if (t->ops && t->ops->listed)
		t->ops->listed(t->arg);
	return 0;
}

static int take_change(struct tokens *t, const Ntm__TokenChange *m)
{
	const char *fqdn = m->node->fqdn;
	int r = 0;

	if (t->listing && m->gone)
		holder_remove(&t->next, fqdn);
	else if (t->listing)
		r = holder_set(&t->next, m->node);
	pthread_rwlock_wrlock(&t->lock);
	if (m->gone)
		holder_remove(&t->holders, fqdn);
	else if (!r)
		r = holder_set(&t->holders, m->node);
	pthread_rwlock_unlock(&t->lock);
	if (!r && t->ops && t->ops->changed)
		t->ops->changed(t->arg, fqdn,
				m->gone		     ? TOKENS_NOBODY
				: m->node->withdrawn ? TOKENS_WITHDRAWN
						     : TOKENS_LIVE);
	return r;
}

static int acknowledge(struct tokens *t, uint32_t txn)
{
	Ntm__NtmAck body = NTM__NTM_ACK__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;

	msg.txn = txn;
	msg.body_case = NTM__ENVELOPE__BODY_ACK;
	msg.ack = &body;
	return dcchannel_send(t->channel, &msg);
}

static void on_message(void *arg, const Ntm__Envelope *msg)
{
	struct tokens *t = arg;
	int r = -NTM_EDECODE;

	if (msg->body_case == NTM__ENVELOPE__BODY_TOKEN_LIST) {
		r = take_list(t, msg->token_list);
		if (!r)
			r = acknowledge(t, msg->txn);
	} else if (msg->body_case == NTM__ENVELOPE__BODY_TOKEN_CHANGE) {
		r = take_change(t, msg->token_change);
	} else if (msg->body_case == NTM__ENVELOPE__BODY_CERTIFICATE_RESPONSE &&
		   t->ops && t->ops->certificate) {
		t->ops->certificate(t->arg, msg->certificate_response);
		r = 0;
	} else if (msg->body_case == NTM__ENVELOPE__BODY_KEY_SHARING &&
		   t->ops && t->ops->key) {
		t->ops->key(t->arg, msg->key_sharing);
		r = 0;
	}
	if (!r)
		return;
	/* begins anew, with all of them */
	log_warn(t->name, "what the AS says of tokens cannot be used: %s",
		 err_text(r));
	dcchannel_close(t->channel);
}

int tokens_send(void *t, const Ntm__Envelope *msg)
{
	return dcchannel_send(((struct tokens *)t)->channel, msg);
}

static void on_open(void *arg)
{
	struct tokens *t = arg;
	Ntm__TokenSubscription body = NTM__TOKEN_SUBSCRIPTION__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	Ntm__Address at[SERVERCONF_WAYS_MAX], *list[SERVERCONF_WAYS_MAX];

	body.addresses = list;
	for (size_t i = 0; i < t->ways.n; i++) {
		ntm__address__init(&at[i]);
		addr_to_message(&t->ways.a[i], NTM__ADDRESS_KIND__ADDRESS_LOCAL,
				&at[i]);
		list[body.n_addresses++] = &at[i];
	}

	msg.body_case = NTM__ENVELOPE__BODY_TOKEN_SUBSCRIPTION;
	msg.token_subscription = &body;
	if (dcchannel_send(t->channel, &msg))
		dcchannel_close(t->channel);
}

static void on_closed(void *arg)
{
	struct tokens *t = arg;

	t->listing = false;
	holders_free(&t->next);
}

static const struct dcchannel_ops channel_ops = {
	.open = on_open,
	.message = on_message,
	.closed = on_closed,
	.role = NTMC_ROLE_AS,
};

/* --- life ------------------------------------------------------------------------- */

int tokens_new(struct loop *l, struct tls_context *tls, const char *name,
	       const struct server_ways *as, const struct tokens_ops *ops,
	       void *arg, struct tokens **out)
{
	struct tokens *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -NTM_ENOMEM;
	t->name = name;
	t->ops = ops;
	t->arg = arg;
	pthread_rwlock_init(&t->lock, NULL);
	r = dcchannel_new(l, tls, name, as, &channel_ops, t, &t->channel);
	if (r) {
		tokens_free(t);
		return r;
	}
	*out = t;
	return 0;
}

void tokens_free(struct tokens *t)
{
	if (!t)
		return;
	dcchannel_free(t->channel);
	holders_free(&t->next);
	holders_free(&t->holders);
	pthread_rwlock_destroy(&t->lock);
	free(t);
}

void tokens_announce(struct tokens *t, const struct server_ways *ways)
{
	t->ways = *ways;
}

void tokens_set_tls(struct tokens *t, struct tls_context *tls)
{
	dcchannel_set_tls(t->channel, tls);
}

/* --- look-up ------------------------------------------------------------------------- */

/* under the lock. Return: 0, -NTM_EAUTH, -NTM_EEXPIRED */
static int look(const struct holder *h, const uint8_t *hash, int64_t now)
{
	for (size_t i = 0; h && i < h->n; i++)
		if (ntmc_equal(h->token[i].hash, hash, NTMC_HASH_LEN))
			return h->token[i].expires > now ? 0 : -NTM_EEXPIRED;
	return -NTM_EAUTH;
}

int tokens_check(struct tokens *t, const char *fqdn,
		 const uint8_t token[static TOKENS_LEN], int64_t now)
{
	uint8_t hash[NTMC_HASH_LEN];
	struct holder *h;
	int r;

	ntmc_sha256(token, TOKENS_LEN, hash);
	pthread_rwlock_rdlock(&t->lock);
	HASH_FIND_STR(t->holders, fqdn, h);
	r = t->known ? look(h, hash, now) : -NTM_EAGAIN;
	pthread_rwlock_unlock(&t->lock);
	return r;
}

enum tokens_state tokens_state(struct tokens *t, const char *fqdn)
{
	enum tokens_state state;
	struct holder *h;

	pthread_rwlock_rdlock(&t->lock);
	HASH_FIND_STR(t->holders, fqdn, h);
	state = !t->known      ? TOKENS_UNKNOWN
		: !h	       ? TOKENS_NOBODY
		: h->withdrawn ? TOKENS_WITHDRAWN
			       : TOKENS_LIVE;
	pthread_rwlock_unlock(&t->lock);
	return state;
}

bool tokens_are_fed(const struct tokens *t)
{
	return dcchannel_is_open(t->channel) && t->known && !t->listing;
}

size_t tokens_count(struct tokens *t)
{
	size_t n;

	pthread_rwlock_rdlock(&t->lock);
	n = HASH_COUNT(t->holders);
	pthread_rwlock_unlock(&t->lock);
	return n;
}

int tokens_find_as(const struct server_conf *c, const char *text,
		   struct server_ways *out)
{
	struct server_ways list[SERVERCONF_ADDRESSES_MAX];
	struct addr a[SERVERCONF_ADDRESSES_MAX];
	int n = serverconf_ways(text, (uint16_t)c->as_port, list);

	if (n > 0)
		*out = list[0];
	if (n)
		return n == 1 ? 0 : -NTM_ECONF;
	n = serverconf_addresses(c->as_listen, (uint16_t)c->as_port, a);
	if (n < 1 || serverconf_reachable(&a[0]))
		return -NTM_ECONF;
	out->a[0] = a[0];
	out->n = 1;
	return 0;
}

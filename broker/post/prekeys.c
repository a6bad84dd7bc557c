/* SPDX-License-Identifier: MIT */
/* prekeys - ours: made, given to the box, kept while an item sealed to one may come */
#include "broker/post/prekeys.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"

struct prekeys {
	struct post *post;
	struct web_call *call;
	struct loop_timer *retry;
	unsigned int tries;
	bool given; /* since this process started, for this session */
};

/* struct own - one row */
struct own {
	struct prekey p;
	uint8_t cert[NTMC_CERT_MAX];
	size_t cert_len;
};

static void on_retry(void *arg)
{
	prekeys_work(arg);
}

int prekeys_open(struct post *p, struct prekeys **out)
{
	struct prekeys *k = calloc(1, sizeof(*k));

	if (!k || loop_timer_new(p->loop, on_retry, k, &k->retry)) {
		free(k);
		return -NTM_ENOMEM;
	}
	k->post = p;
	*out = k;
	return 0;
}

void prekeys_close(struct prekeys *k)
{
	if (!k)
		return;
	web_cancel(k->call);
	loop_timer_free(k->retry);
	free(k);
}

/* Return: 1, 0 none, or an error */
static int newest(struct post *p, struct own *o)
{
	struct store *s = p->store;
	int r;

	store_bind_text(s, PREKEY_NEWEST, 1, p->who.fqdn);
	/* not one that was made when the clock was ahead */
	store_bind_int(s, PREKEY_NEWEST, 2, post_now(p) + ITEM_CLOCK_S);
	r = store_step(s, PREKEY_NEWEST);
	if (r <= 0)
		return r;
	memset(o, 0, sizeof(*o));
	strcpy(o->p.fqdn, p->who.fqdn);
	store_blob(s, PREKEY_NEWEST, 0, o->p.id, sizeof(o->p.id));
	store_blob(s, PREKEY_NEWEST, 1, o->p.pub, sizeof(o->p.pub));
	o->p.not_before = store_int(s, PREKEY_NEWEST, 2);
	o->p.not_after = store_int(s, PREKEY_NEWEST, 3);
	store_blob(s, PREKEY_NEWEST, 4, o->p.sig, sizeof(o->p.sig));
	o->cert_len = store_blob(s, PREKEY_NEWEST, 5, o->cert, sizeof(o->cert));
	store_reset(s, PREKEY_NEWEST);
	return 1;
}

static int make(struct post *p, int64_t now, struct own *o)
{
	struct store *s = p->store;
	struct ntmc_key priv;
	int err;

	memset(o, 0, sizeof(*o));
	strcpy(o->p.fqdn, p->who.fqdn);
	ntmc_random(p->env, o->p.id, sizeof(o->p.id));
	ntmc_x25519_keygen(p->env, &priv, o->p.pub);
	o->p.not_before = now;
	o->p.not_after = now + PREKEY_LIFE_MAX_S;
	memcpy(o->cert, p->who.cert_der, p->who.cert_len);
	o->cert_len = p->who.cert_len;
	err = prekey_sign(p->who.id, &o->p);
	if (!err) {
		store_bind_blob(s, PREKEY_NEW, 1, o->p.id, sizeof(o->p.id));
		store_bind_text(s, PREKEY_NEW, 2, o->p.fqdn);
		store_bind_blob(s, PREKEY_NEW, 3, priv.b, sizeof(priv.b));
		store_bind_blob(s, PREKEY_NEW, 4, o->p.pub, sizeof(o->p.pub));
		store_bind_int(s, PREKEY_NEW, 5, o->p.not_before);
		store_bind_int(s, PREKEY_NEW, 6, o->p.not_after);
		store_bind_blob(s, PREKEY_NEW, 7, o->p.sig, sizeof(o->p.sig));
		store_bind_blob(s, PREKEY_NEW, 8, o->cert, o->cert_len);
		err = store_run(s, PREKEY_NEW);
	}
	ntmc_key_clear(&priv);
	return err;
}

static void again(struct prekeys *k, const char *why)
{
	unsigned int s = post_retry_s(k->tries++);

	log_info("prekeys", "the box has none of ours yet: %s; again in %u s",
		 why, s);
	loop_timer_arm(k->retry, LOOP_S(s));
}

/* A clock that is ahead would wipe those that items still come to. */
static void old_wipe(struct post *p)
{
	if (!post_clock_agrees(p))
		return;
	store_bind_int(p->store, PREKEY_OLD, 1, post_now(p) - ITEM_RETENTION_S);
	ntmc_agreed_clear(&p->agreed);
	if (store_run(p->store, PREKEY_OLD))
		log_warn("prekeys", "old ones could not be wiped");
}

static void on_given(void *arg, const struct web_answer *a)
{
	struct prekeys *k = arg;
	bool retry;

	k->call = NULL;
	if (web_error(a, &retry)) {
		again(k, web_text(a));
	} else {
		k->given = true;
		k->tries = 0;
		old_wipe(k->post);
		log_info("prekeys", "the box has our newest");
	}
	post_check_idle(k->post);
}

static int give(struct prekeys *k, const struct web_server *box,
		const struct own *o)
{
	struct post_ask ask = {
		.server = box, .method = "PUT", .path = "/v1/prekeys"};
	json_t *j =
		json_pack("{s:[{s:o, s:o, s:o, s:I, s:I, s:o}]}", "prekeys",
			  "certificate", post_binary(o->cert, o->cert_len),
			  "id", post_binary(o->p.id, sizeof(o->p.id)), "key",
			  post_binary(o->p.pub, sizeof(o->p.pub)), "not_before",
			  (json_int_t)o->p.not_before, "not_after",
			  (json_int_t)o->p.not_after, "signature",
			  post_binary(o->p.sig, sizeof(o->p.sig)));
	int err;

	if (!j)
		return -NTM_ENOMEM;
	ask.json = j;
	err = post_ask(k->post, &ask, on_given, k, &k->call);
	json_decref(j);
	return err;
}

void prekeys_work(struct prekeys *k)
{
	struct post *p = k->post;
	int64_t now = post_now(p);
	struct web_server box;
	struct own o;
	int r;

	if (k->call || post_box(p, &box))
		return;
	r = newest(p, &o);
	if (r == 0 || (r > 0 && o.p.not_before + PREKEY_RENEW_S <= now)) {
		if (now < p->who.cert.not_before || now > p->who.cert.not_after)
			return; /* the next session has a certificate */
		k->given = false;
		r = make(p, now, &o);
	}
	if (r >= 0 && k->given)
		return;
	if (r >= 0)
		r = give(k, &box, &o);
	if (r < 0)
		again(k, err_text(r));
}

void prekeys_restart(struct prekeys *k)
{
	if (!k->call)
		return;
	web_cancel(k->call);
	k->call = NULL;
	again(k, err_text(-NTM_ESTORE));
}

void prekeys_session(struct prekeys *k)
{
	k->given = false;
}

bool prekeys_busy(const struct prekeys *k)
{
	return k->call || loop_timer_armed(k->retry);
}

unsigned int prekeys_again_s(struct prekeys *k)
{
	int64_t now = post_now(k->post), due;
	struct own o;

	if (!k->post->who.logged_in || newest(k->post, &o) <= 0)
		return 0;
	due = o.p.not_before + PREKEY_RENEW_S - now;
	return due < 60 ? 60 : (unsigned int)due;
}

int prekeys_find(struct prekeys *k, const uint8_t id[static PREKEY_ID_LEN],
		 struct ntmc_key *priv, uint8_t pub[static NTMC_KEY_LEN])
{
	struct store *s = k->post->store;
	int r;

	store_bind_blob(s, PREKEY_GET, 1, id, PREKEY_ID_LEN);
	r = store_step(s, PREKEY_GET);
	if (r <= 0)
		return r ? r : -NTM_ENOTFOUND;
	store_blob(s, PREKEY_GET, 0, priv->b, sizeof(priv->b));
	store_blob(s, PREKEY_GET, 1, pub, NTMC_KEY_LEN);
	store_reset(s, PREKEY_GET);
	return 0;
}

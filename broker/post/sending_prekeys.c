/* SPDX-License-Identifier: MIT */
/*
 * sending_prekeys - which devices get an item: the prekeys of each name that it is for
 *
 * A name's prekeys are asked of the box of our domain. Each is verified, pinned, and K is
 * sealed to it once: the result is kept, so the same request made again is the same
 * request. A name without any, or whose prekey is not genuine, is a receiver that failed.
 * One whose domain does not answer waits, and keeps none of the others waiting; so does
 * one that has been off for longer than a prekey lives.
 */
#include "broker/post/sending.h"

#include <stdio.h>
#include <string.h>

#include "broker/account.h"
#include "broker/post/absent.h"
#include "broker/post/recent.h"
#include "common/log.h"

int sending_name_next(struct sending *s)
{
	struct store *st = s->post->store;
	int r;

	store_bind_int(st, NAME_NEXT, 1, s->id);
	store_bind_text(st, NAME_NEXT, 2, s->passed);
	r = store_step(st, NAME_NEXT);
	if (r > 0) {
		snprintf(s->asked, sizeof(s->asked), "%s",
			 store_text(st, NAME_NEXT, 0));
		store_reset(st, NAME_NEXT);
	}
	return r;
}

/* struct sealed - T, K sealed to a prekey, and the key that signed that */
struct sealed {
	struct ntmc_key t;
	uint8_t wrapped[ITEM_KEY_MAX];
	size_t len;
	const uint8_t *signer;
};

/* One more receiver; without @k it gets nothing, because of @err */
static int receiver_put(struct sending *s, const char *name,
			const struct sealed *k, int err)
{
	struct store *st = s->post->store;

	store_bind_int(st, TO_NEW, 1, s->id);
	store_bind_text(st, TO_NEW, 2, name);
	store_bind_int(st, TO_NEW, 3, k ? TO_FOUND : TO_FAILED);
	if (k) {
		store_bind_blob(st, TO_NEW, 4, k->t.b, sizeof(k->t.b));
		store_bind_blob(st, TO_NEW, 5, k->wrapped, k->len);
		store_bind_blob(st, TO_NEW, 8, k->signer, NTMC_KEY_LEN);
	}
	store_bind_int(st, TO_NEW, 6, -err);
	store_bind_int(st, TO_NEW, 7, post_now(s->post));
	return store_run(st, TO_NEW);
}

/* Not now: the other names first, and this one in the next run */
static void name_put_off(struct sending *s, int err, const char *text)
{
	snprintf(s->passed, sizeof(s->passed), "%s", s->asked);
	sending_put_off(s, err, text, 0);
}

/* What answers or does not as a whole: the domain of s->asked; or an account where that
 * is not known */
static const char *domain_asked(const struct sending *s)
{
	const char *account = account_of(s->asked);
	const char *domain = who_server_domain(&s->post->who, s->asked);

	if (!domain && account)
		domain = who_server_domain(&s->post->who, account);
	return domain ? domain : account ? account : s->asked;
}

static void unreachable(struct sending *s)
{
	char why[FQDN_MAX + 100];

	snprintf(why, sizeof(why),
		 "the servers of %s's domain do not answer; is the name right?",
		 s->asked);
	name_put_off(s, -NTM_EUNREACHABLE, why);
}

/* All its prekeys are over: it may be on again, with a new one, before the item's end */
static void offline(struct sending *s)
{
	char why[FQDN_MAX + 100];

	snprintf(why, sizeof(why),
		 "%s has been off for more than a month; it is sent when that "
		 "is on again",
		 s->asked);
	name_put_off(s, -NTM_EOFFLINE, why);
}

static int name_done(struct sending *s)
{
	store_bind_int(s->post->store, NAME_DONE, 1, s->id);
	store_bind_text(s->post->store, NAME_DONE, 2, s->asked);
	return store_run(s->post->store, NAME_DONE);
}

int prekey_parse(const json_t *j, struct prekey *p, uint8_t *cert,
		 long *cert_len)
{
	const char *name = json_string_value(json_object_get(j, "name"));

	memset(p, 0, sizeof(*p));
	if (!name || strlen(name) > FQDN_MAX || !fqdn_is_valid(name) ||
	    post_binary_get(j, "id", p->id, sizeof(p->id)) ||
	    post_binary_get(j, "key", p->pub, sizeof(p->pub)) ||
	    post_binary_get(j, "signature", p->sig, sizeof(p->sig)))
		return -NTM_EDECODE;
	strcpy(p->fqdn, name);
	p->not_before = json_integer_value(json_object_get(j, "not_before"));
	p->not_after = json_integer_value(json_object_get(j, "not_after"));
	*cert_len = post_binary_any(j, "certificate", cert, NTMC_CERT_MAX);
	return *cert_len < 0 ? -NTM_EDECODE : 0;
}

/* A device's prekey: verified, pinned, K sealed to it. Return: 0, -NTM_ESTORE,
 * -NTM_ECERT (a domain whose CA is not known), -NTM_ECLOCK (our clock is wrong) */
static int prekey_take(struct sending *s, const json_t *j)
{
	uint8_t cert[NTMC_CERT_MAX];
	struct post *p = s->post;
	struct item_names names = {s->item, p->who.fqdn, NULL};
	struct prekey pk;
	struct ntmc_cert c;
	struct sealed k = {.signer = c.ed_pub};
	const char *account;
	long cert_len;
	int err = prekey_parse(j, &pk, cert, &cert_len);

	if (err || !fqdn_is_within(pk.fqdn, s->asked)) {
		log_warn("outbox", "%s: a prekey that is none", s->asked);
		return 0;
	}
	if (!strcmp(pk.fqdn, p->who.fqdn) && strcmp(s->asked, pk.fqdn))
		return 0; /* the account's other devices are meant */
	account = account_of(pk.fqdn);
	if (!account || !who_server_domain(&p->who, account))
		return -NTM_ECERT; /* not yet: the person may allow it */
	/* more than one request to a CS can name */
	err = sending_count(s, TO_FOUND, TO_TOLD);
	if (err < 0 || err >= OUTBOX_RECEIVERS_MAX)
		return err < 0 ? err
			       : receiver_put(s, pk.fqdn, NULL, -NTM_ELIMIT);
	err = prekey_verify(&pk, p->who.trust, cert, (size_t)cert_len,
			    post_now(p), &c);
	if (!err)
		err = post_pin(p, pk.fqdn, c.ed_pub);
	names.receiver = pk.fqdn;
	if (!err)
		err = item_key_wrap(p->env, p->who.id, p->who.cert_der,
				    p->who.cert_len, &names, &pk, &s->k,
				    &p->agreed, k.wrapped, &k.len);
	if ((err == -NTM_EEXPIRED || err == -NTM_ECLOCK) &&
	    !post_clock_agrees(p))
		return -NTM_ECLOCK;
	if (err)
		return receiver_put(s, pk.fqdn, NULL, err);
	ntmc_key_random(p->env, &k.t);
	err = receiver_put(s, pk.fqdn, &k, 0);
	ntmc_key_clear(&k.t);
	return err;
}

/* Devices of an account whose others get it: named, and not waited for. Return: 0,
 * -NTM_ESTORE */
static int offline_take(struct sending *s, const json_t *list)
{
	size_t i;
	json_t *j;
	int err = 0;

	json_array_foreach(list, i, j)
	{
		const char *name = json_string_value(j);

		if (err || i >= OUTBOX_RECEIVERS_MAX)
			break;
		if (name && strlen(name) <= FQDN_MAX && fqdn_is_valid(name) &&
		    fqdn_is_within(name, s->asked) &&
		    strcmp(name, s->post->who.fqdn))
			err = receiver_put(s, name, NULL, -NTM_EOFFLINE);
	}
	return err;
}

static int prekeys_take(struct sending *s, const json_t *answer)
{
	const json_t *list = json_object_get(answer, "prekeys");
	size_t i;
	json_t *j;
	int err = store_begin(s->post->store);

	if (err)
		return err;
	if (!json_array_size(list))
		err = receiver_put(s, s->asked, NULL, -NTM_ENONAME);
	json_array_foreach(list, i, j)
	{
		if (!err && i < OUTBOX_RECEIVERS_MAX)
			err = prekey_take(s, j);
	}
	if (!err)
		err = offline_take(s, json_object_get(answer, "offline"));
	if (!err)
		err = name_done(s);
	if (!err)
		return store_commit(s->post->store);
	store_rollback(s->post->store);
	return err;
}

static void prekeys_taken(struct sending *s, int err)
{
	if (err == -NTM_ECERT)
		name_put_off(s, err,
			     "the receiver's domain is not known here; "
			     "`ntm allow` with its name lets it in");
	if (err == -NTM_ECLOCK)
		name_put_off(s, err, POST_CLOCK_TEXT);
	if (err && err != -NTM_ECERT && err != -NTM_ECLOCK)
		sending_later(s, err, NULL, 0);
	else
		sending_step(s);
}

/* Is it the other domain that cannot answer, and not our box? */
static bool is_its_domain(const struct web_answer *a, int err)
{
	return !a->err && (err == -NTM_EUNREACHABLE || err == -NTM_ETIMEOUT ||
			   err == -NTM_EAGAIN);
}

static void on_prekeys(void *arg, const struct web_answer *a)
{
	struct sending *s = arg;
	bool again;
	int err = web_error(a, &again);

	s->call = NULL;
	if (err && is_its_domain(a, err)) {
		absent_put(s->post->absent, domain_asked(s),
			   loop_now(s->post->loop) + LOOP_S(SILENT_S));
		unreachable(s);
		sending_step(s);
		return;
	}
	if (err == -NTM_EOFFLINE) {
		offline(s);
		sending_step(s);
		return;
	}
	if (err && again) {
		sending_answer(s, a);
		return;
	}
	if (err) {
		err = receiver_put(s, s->asked, NULL, err);
		if (!err)
			err = name_done(s);
	} else {
		recent_put(s->post->recent, s->asked, a->json,
			   post_now(s->post));
		err = prekeys_take(s, a->json);
	}
	prekeys_taken(s, err);
}

/* Another name of its domain was asked for a moment ago, in vain: with many such those
 * who can get the item would wait for each of them. The only name is asked for. */
static bool is_silent(const struct sending *s)
{
	return (*s->passed ||
		sending_count((struct sending *)s, TO_FOUND, TO_FAILED) > 0) &&
	       absent_is(s->post->absent, domain_asked(s),
			 loop_now(s->post->loop));
}

int sending_ask_prekeys(struct sending *s)
{
	char path[300];
	struct post_ask ask = {.method = "GET", .path = path};
	const json_t *known =
		recent_get(s->post->recent, s->asked, post_now(s->post));

	if (known) {
		prekeys_taken(s, prekeys_take(s, known));
		return 0;
	}
	if (is_silent(s)) {
		unreachable(s);
		sending_step(s);
		return 0;
	}
	snprintf(path, sizeof(path), "/v1/prekeys/%s", s->asked);
	return post_ask(s->post, &ask, on_prekeys, s, &s->call);
}

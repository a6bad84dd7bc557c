/* SPDX-License-Identifier: MIT */
/* lookup - who has a name: its devices and their keys, as their prekeys show them */
#include "broker/post/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/post/face.h"
#include "broker/post/outbox.h"
#include "broker/post/sending.h"
#include "common/log.h"

#define HOLDS_S 60

struct lookup {
	struct lookups *all;
	char name[FQDN_MAX + 1]; /* "": free */
	struct web_call *call;
	int err;
	int64_t at;
	json_t *devices;
};

struct lookups {
	struct post *post;
	struct lookup list[LOOKUP_MAX];
};

static void drop(struct lookup *u)
{
	web_cancel(u->call);
	json_decref(u->devices);
	*u = (struct lookup){.all = u->all};
}

/* Return: 0, or why this one is of no use */
static int device_take(struct lookup *u, const json_t *j)
{
	struct post *p = u->all->post;
	uint8_t cert[NTMC_CERT_MAX];
	struct prekey pk;
	struct ntmc_cert c;
	const char *account;
	long len;
	int err = prekey_parse(j, &pk, cert, &len);

	if (err || !fqdn_is_within(pk.fqdn, u->name))
		return err ? err : -NTM_EDECODE;
	account = account_of(pk.fqdn);
	if (!account || !who_server_domain(&p->who, account))
		return -NTM_ECERT;
	err = prekey_verify(&pk, p->who.trust, cert, (size_t)len, post_now(p),
			    &c);
	if (!err)
		err = post_pin(p, pk.fqdn, c.ed_pub);
	if (err)
		return err;
	json_array_append_new(u->devices,
			      json_pack("{s:s, s:o}", "name", pk.fqdn, "key",
					post_binary(c.ed_pub, NTMC_KEY_LEN)));
	post_flush_soon(p);
	return 0;
}

static void on_prekeys(void *arg, const struct web_answer *a)
{
	struct lookup *u = arg;
	bool again;
	size_t i;
	json_t *j;
	int err = web_error(a, &again), r;

	u->call = NULL;
	who_load_known(&u->all->post->who); /* its domain may be new */
	u->at = post_now(u->all->post);
	u->err = err ? err : -NTM_ENONAME;
	u->devices = json_array();
	json_array_foreach(json_object_get(err ? NULL : a->json, "prekeys"), i,
			   j)
	{
		r = i < OUTBOX_RECEIVERS_MAX ? device_take(u, j) : -NTM_ELIMIT;
		if (r && u->err)
			u->err = r;
		else if (!r)
			u->err = 0;
	}
	asking_changed(u->all->post->face);
}

static int begin(struct lookup *u, const char *name)
{
	struct post *p = u->all->post;
	char path[FQDN_MAX + 32];
	struct post_ask ask = {.method = "GET", .path = path};
	int err;

	snprintf(path, sizeof(path), "/v1/prekeys/%s", name);
	err = post_ask(p, &ask, on_prekeys, u, &u->call);
	if (err)
		return err;
	strcpy(u->name, name);
	return -NTM_EAGAIN;
}

int lookup_name(struct lookups *l, const char *name, json_t **out)
{
	int64_t now = post_now(l->post);
	struct lookup *u, *place = NULL;
	int err;

	for (u = l->list; u < l->list + LOOKUP_MAX; u++) {
		if (*u->name && !u->call && now - u->at > HOLDS_S)
			drop(u);
		if (!*u->name)
			place = u;
		else if (!strcmp(u->name, name))
			break;
	}
	if (u == l->list + LOOKUP_MAX)
		return place ? begin(place, name) : -NTM_ELIMIT;
	if (u->call)
		return -NTM_EAGAIN;
	err = u->err;
	if (!err)
		*out = json_incref(u->devices);
	drop(u);
	return err;
}

int lookups_open(struct post *p, struct lookups **out)
{
	struct lookups *l = calloc(1, sizeof(*l));

	if (!l)
		return -NTM_ENOMEM;
	l->post = p;
	for (size_t i = 0; i < LOOKUP_MAX; i++)
		l->list[i].all = l;
	*out = l;
	return 0;
}

void lookups_close(struct lookups *l)
{
	for (size_t i = 0; l && i < LOOKUP_MAX; i++)
		drop(&l->list[i]);
	free(l);
}

/* SPDX-License-Identifier: MIT */
/*
 * chat_known - whose key a name has, as ntm-post has pinned it
 *
 * Theory of operation
 *
 * A message goes to a name, as an item; ntm-post seals it to a key that is certified for
 * that name, and pins the first that it meets. The log names each member's identity. That
 * both are one is asked of ntm-post ("who", which pins) before anything is sent to a
 * member, and again after HOLDS_S. What another key has been pinned for gets nothing: its
 * coordinator would be the one to read along.
 *
 * While a member's domain does not answer, what is pinned for the name counts: the others
 * do not wait for it, and ntm-post holds to its pins when it seals.
 *
 * Names are asked for at the same time, each again while ntm-post says that it is asking.
 */
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "broker/member/chat.h"
#include "broker/member/postcall.h"
#include "common/log.h"

#define HOLDS_S	  3600
#define FAILS_S	  5 /* who was not to be found is asked for again */
#define LOOK_MS	  100
#define LOOKS_MAX 200
#define ASKED_MAX 48 /* at once; ntm-post looks 64 names up */

struct name {
	char fqdn[NTMC_FQDN_MAX + 1];
	uint8_t key[NTMC_KEY_LEN];
	uint8_t wanted[NTMC_KEY_LEN]; /* the log's */
	int err;		      /* -NTM_EAGAIN: it is asked for */
	unsigned int looks;
	bool calling; /* ntm-post is to answer */
	bool pinned;  /* its domain does not answer: what is pinned? */
	uint64_t until;
	struct chat_known *all;
	UT_hash_handle hh;
};

struct chat_known {
	struct node *node;
	struct name *names;
	unsigned int asking;
	struct loop_timer *again;
	void (*ready)(void *arg);
	void *arg;
};

static void asked(struct name *u, int err, uint64_t holds_s)
{
	struct chat_known *k = u->all;

	u->err = err;
	u->until = loop_now_exact(k->node->loop) + LOOP_S(holds_s);
	k->asking--;
	if (!k->asking)
		k->ready(k->arg);
}

static int key_take(struct name *u, const json_t *devices)
{
	const char *name, *text;
	const json_t *j;
	size_t i;

	json_array_foreach(devices, i, j)
	{
		name = json_string_value(json_object_get(j, "name"));
		text = json_string_value(json_object_get(j, "key"));
		if (name && text && !strcmp(name, u->fqdn) &&
		    !ntmc_base64url_decode(text, u->key, sizeof(u->key)))
			return 0;
	}
	return -NTM_ENONAME;
}

/* no other try will change it soon; else the box, or ntm-post, cannot be asked now */
static bool is_lasting(int err)
{
	return err == -NTM_ENONAME || err == -NTM_EPIN || err == -NTM_ECERT ||
	       err == -NTM_EEXPIRED || err == -NTM_EAUTH ||
	       err == -NTM_EDECODE || err == -NTM_EVERSION ||
	       err == -NTM_EINVAL || err == -NTM_EPERM;
}

static void look(struct name *u);

/* by its domain not now; by the pin, maybe */
static void not_now(struct name *u, int err)
{
	log_debug("member", "%s: %s", u->fqdn, err_text(err));
	if (u->pinned) {
		asked(u, -NTM_EUNREACHABLE, FAILS_S);
		return;
	}
	u->pinned = true;
	look(u);
}

static void on_who(void *arg, int err, const json_t *answer)
{
	struct name *u = arg;
	int r;

	u->calling = false;
	if ((err == -NTM_EAGAIN || err == -NTM_ELIMIT) && !u->pinned &&
	    ++u->looks < LOOKS_MAX) {
		if (!loop_timer_armed(u->all->again))
			loop_timer_arm(u->all->again, LOOP_MS(LOOK_MS));
		return;
	}
	if (!err) {
		r = key_take(u, json_object_get(answer, "devices"));
		asked(u, r, r || u->pinned ? FAILS_S : HOLDS_S);
	} else if (is_lasting(err)) {
		asked(u, err, FAILS_S);
	} else {
		not_now(u, err);
	}
}

static void look(struct name *u)
{
	json_t *j = json_pack("{s:s, s:s}", "cmd", "who", "name", u->fqdn);
	char key[NTMC_BASE64URL_LEN(NTMC_KEY_LEN) + 3];

	if (j && u->pinned) {
		ntmc_base64url_encode(u->wanted, sizeof(u->wanted), key);
		json_object_set_new(j, "key", json_string(key));
	}
	if (postcall_ask(u->all->node->post, j, on_who, u))
		asked(u, -NTM_EUNREACHABLE, FAILS_S);
	else
		u->calling = true;
}

static void on_again(void *arg)
{
	struct chat_known *k = arg;
	struct name *u, *tmp;

	HASH_ITER (hh, k->names, u, tmp)
		if (u->err == -NTM_EAGAIN && !u->calling)
			look(u);
}

int chat_known(struct chat_known *k, const struct group_member *m)
{
	uint64_t now = loop_now_exact(k->node->loop);
	struct name *u;

	HASH_FIND_STR(k->names, m->fqdn, u);
	if (u && u->err == -NTM_EAGAIN)
		return u->err;
	if (u && now < u->until)
		return u->err					 ? u->err
		       : memcmp(u->key, m->ed_pub, NTMC_KEY_LEN) ? -NTM_EPIN
								 : 0;
	if (k->asking >= ASKED_MAX)
		return -NTM_EAGAIN;
	if (!u) {
		u = calloc(1, sizeof(*u));
		if (!u)
			return -NTM_EUNREACHABLE;
		strcpy(u->fqdn, m->fqdn);
		u->all = k;
		HASH_ADD_STR(k->names, fqdn, u);
	}
	u->err = -NTM_EAGAIN;
	u->looks = 0;
	u->pinned = false;
	memcpy(u->wanted, m->ed_pub, sizeof(u->wanted));
	k->asking++;
	/* from the loop: whoever asked first is to hear of all others, too */
	loop_timer_arm(k->again, 0);
	return -NTM_EAGAIN;
}

int chat_known_open(struct node *n, void (*ready)(void *arg), void *arg,
		    struct chat_known **out)
{
	struct chat_known *k = calloc(1, sizeof(*k));
	int r = k ? loop_timer_new(n->loop, on_again, k, &k->again)
		  : -NTM_ENOMEM;

	if (r) {
		free(k);
		return r;
	}
	k->node = n;
	k->ready = ready;
	k->arg = arg;
	*out = k;
	return 0;
}

void chat_known_close(struct chat_known *k)
{
	struct name *u, *tmp;

	if (!k)
		return;
	HASH_ITER (hh, k->names, u, tmp) {
		HASH_DEL(k->names, u);
		postcall_forget(k->node->post, u);
		free(u);
	}
	loop_timer_free(k->again);
	free(k);
}

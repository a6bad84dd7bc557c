/* SPDX-License-Identifier: MIT */
/*
 * memberlink - when ntm-member is started, and what it is told
 *
 * Theory of operation
 *
 * ntm-member (posterlink.h) holds groups' keys, and runs while this device is in a group
 * or an invitation waits: it says "keep" then, and a file of its store is there; with
 * "keep" as its last word it is started again. Else it is started when somebody connects
 * to member.sock or an item for it has come, and ends by itself. "items" says that it has
 * read such news: what one that was just ending has not is for the next one. With "renew"
 * it asks for a login that names the domain's GMSs, where the one that is there names none;
 * with "look" that the DC is asked whether it is the one that it was, as the GMS is not.
 */
#include "broker/memberlink.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/account.h"
#include "broker/login.h"
#include "broker/posterlink.h"
#include "broker/session.h"

#define STORE_FILE "member/groups.db" /* in the state folder */

struct memberlink {
	struct worker *w;
	struct posterlink *link;
	bool keep;
	unsigned int items; /* told, and not read yet: a start reads all */
	bool looked;	    /* it was started once since the worker was */
};

static void tell(struct memberlink *m, const char *event)
{
	posterlink_tell(m->link, json_pack("{s:s}", "event", event), -1);
}

/* --- its life, by posterlink ---------------------------------------------------------- */

static void linked(void *arg)
{
	struct memberlink *m = arg;

	/* what it said to a worker before us we do not know */
	m->keep = true;
}

static void started(void *arg)
{
	struct memberlink *m = arg;

	m->items = 0;
}

static void said(void *arg, const char *what, const json_t *message)
{
	struct memberlink *m = arg;

	(void)message;
	if (!strcmp(what, "keep"))
		m->keep = true;
	else if (!strcmp(what, "idle"))
		m->keep = false;
	else if (!strcmp(what, "items") && m->items)
		m->items--;
	else if (!strcmp(what, "renew"))
		login_renew_now(m->w->login);
	else if (!strcmp(what, "look"))
		session_look(m->w->session);
}

static enum posterlink_end ended(void *arg)
{
	const struct memberlink *m = arg;

	return m->keep || m->items ? POSTERLINK_LEFT : POSTERLINK_DONE;
}

static const struct posterlink_ops ops = {
	.linked = linked,
	.started = started,
	.said = said,
	.ended = ended,
};

/* --- events ----------------------------------------------------------------------------- */

static bool has_store(const struct memberlink *m)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/" STORE_FILE,
			m->w->account->state_dir) < (int)sizeof(path) &&
	       !access(path, F_OK);
}

bool memberlink_has_groups(const struct memberlink *m)
{
	return m && has_store(m);
}

void memberlink_session(struct memberlink *m)
{
	if (!m)
		return;
	tell(m, "session");
	if (has_store(m))
		posterlink_work(m->link);
}

void memberlink_online(struct memberlink *m)
{
	if (!m)
		return;
	tell(m, "online");
	/* a saved session: nobody has logged in since the start */
	if (!m->looked && has_store(m))
		posterlink_work(m->link);
	m->looked = true;
}

void memberlink_items(struct memberlink *m)
{
	if (!m)
		return;
	m->items++;
	tell(m, "items");
	posterlink_begin(m->link);
}

/* --- life ------------------------------------------------------------------------------- */

bool memberlink_is_installed(void)
{
	return posterlink_is_installed(POSTER_GROUPS);
}

int memberlink_new(struct worker *w, struct memberlink **out)
{
	struct memberlink *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return -NTM_ENOMEM;
	m->w = w;
	err = posterlink_new(w, POSTER_GROUPS, &ops, m, &m->link);
	if (err) {
		free(m);
		return err;
	}
	m->looked = posterlink_state(m->link) == POSTERLINK_RUNNING;
	*out = m;
	return 0;
}

void memberlink_free(struct memberlink *m)
{
	if (!m)
		return;
	posterlink_free(m->link);
	free(m);
}

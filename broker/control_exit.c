/* SPDX-License-Identifier: MIT */
/* control_exit - the command about the exit: look, turn it on or off, connect */
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/control.h"
#include "broker/exit.h"
#include "broker/peer.h"

/* struct waiting - a call that waits for the tunnel */
struct waiting {
	struct ask *call;
	struct worker *w;
};

json_t *control_exit_json(const struct worker *w)
{
	const char *name = exit_name(w->exit);
	const struct peer *p = *name ? peers_find(w->peers, name) : NULL;
	char why[EXIT_WHY_MAX];
	json_t *o;

	o = json_pack("{s:b, s:s, s:s}", "on", exit_is_on(w->exit), "name",
		      name, "state", p ? peer_shown(p) : "none");
	if (exit_why(w->exit, why))
		json_object_set_new(o, "why", json_string(why));
	return o;
}

static void gone(void *arg)
{
	struct waiting *q = arg;

	exit_cancel(q->w->exit, q);
	ask_answer(q->call, NULL);
	free(q);
}

static void connected(void *arg, int err, const char *why)
{
	struct waiting *q = arg;
	struct ask *call = q->call;
	struct worker *w = q->w;

	free(q);
	ask_on_gone(call, NULL, NULL);
	if (err)
		ask_fail(call, err, why);
	else
		ask_answer(call,
			   json_pack("{s:o}", "exit", control_exit_json(w)));
}

static void turn(struct ask *call, bool on)
{
	struct worker *w = control_worker(call);
	int err = exit_turn(w->exit, on);

	if (err)
		ask_fail(call, -err, NULL);
	else
		ask_answer(call,
			   json_pack("{s:o}", "exit", control_exit_json(w)));
}

void control_exit(struct ask *call)
{
	const char *what = ask_text(call, "do");
	struct worker *w = control_worker(call);
	struct waiting *q;

	if (!what || !strcmp(what, "status")) {
		ask_answer(call,
			   json_pack("{s:o}", "exit", control_exit_json(w)));
	} else if (!strcmp(what, "on") || !strcmp(what, "off")) {
		turn(call, !strcmp(what, "on"));
	} else if (!strcmp(what, "connect")) {
		q = malloc(sizeof(*q));
		if (!q) {
			ask_fail(call, NTM_ENOMEM, NULL);
			return;
		}
		*q = (struct waiting){call, w};
		ask_on_gone(call, gone, q);
		exit_connect(w->exit, connected, q);
	} else {
		ask_fail(call, NTM_EINVAL,
			 "\"do\" is to be status, on, off or connect");
	}
}

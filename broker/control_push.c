/* SPDX-License-Identifier: MIT */
/* control_push - push: which service tells this device, and that it did */
#include <string.h>

#include "broker/control.h"
#include "broker/notify.h"

static const char *const kinds[] = {
	[NTM__PUSH_KIND__PUSH_NONE] = "off",
	[NTM__PUSH_KIND__PUSH_FCM] = "fcm",
	[NTM__PUSH_KIND__PUSH_APNS] = "apns",
	[NTM__PUSH_KIND__PUSH_UNIFIED] = "unifiedpush",
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void answer(struct ask *call)
{
	struct notify_status s;

	notify_status(control_worker(call)->notify, &s);
	ask_answer(call, json_pack("{s:s, s:b}", "push", kinds[s.push],
				   "offered", s.pushed));
}

void control_push(struct ask *call)
{
	struct worker *w = control_worker(call);
	const char *kind = ask_text(call, "kind");
	const char *token = ask_text(call, "token");
	size_t i = 0;
	int err;

	if (!*kind) {
		answer(call);
		return;
	}
	if (!strcmp(kind, "received")) {
		notify_pushed(w->notify);
		answer(call);
		return;
	}
	while (i < KINDS && strcmp(kinds[i], kind))
		i++;
	if (i == KINDS || (i && !*token) || strlen(token) > NOTIFY_TOKEN_MAX) {
		ask_fail(call, NTM_EINVAL,
			 "say off, received, or fcm, apns or unifiedpush "
			 "and a token of up to 512 bytes");
		return;
	}
	if (i == NTM__PUSH_KIND__PUSH_UNIFIED &&
	    strncmp(token, "https://", 8)) {
		ask_fail(call, NTM_EINVAL, "the URL is to begin with https://");
		return;
	}
	err = notify_set_push(w->notify, (Ntm__PushKind)i, token);
	if (err)
		ask_fail(call, -err, "the token could not be written");
	else
		answer(call);
}

/* SPDX-License-Identifier: MIT */
/* control_account - commands about the account: login, logout, passwd, devices, revoke */
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/control.h"
#include "broker/login.h"

/* struct asked - a call that waits for the AS */
struct asked {
	struct ask *call;
	struct worker *w;
};

static void asked_gone(void *arg)
{
	struct asked *q = arg;

	login_cancel(q->w->login, q);
	ask_answer(q->call, NULL);
	free(q);
}

static struct asked *asked_new(struct ask *call)
{
	struct asked *q = malloc(sizeof(*q));

	if (!q) {
		ask_fail(call, NTM_ENOMEM, NULL);
		return NULL;
	}
	q->call = call;
	q->w = control_worker(call);
	ask_on_gone(call, asked_gone, q);
	return q;
}

/* Return: the call, when it is still to be answered with success */
static struct ask *asked_end(struct asked *q, int err, const char *why)
{
	struct ask *call = q->call;

	free(q);
	ask_on_gone(call, NULL, NULL);
	if (!err)
		return call;
	ask_fail(call, err, why);
	return NULL;
}

static json_t *address(const uint8_t *ip, size_t len)
{
	char text[ADDR_TEXT_LEN];
	struct addr a;
	static const uint8_t none[16];

	if (!memcmp(ip, none, len) || addr_from_ip(ip, len, 0, &a))
		return json_string("");
	return json_string(addr_format_ip(&a, text));
}

static json_t *recommendations(const Ntm__LoginResponse *r)
{
	json_t *list = json_array(), *ports;

	for (size_t i = 0; i < r->n_recommendations; i++) {
		ports = json_array();
		for (size_t j = 0; j < r->recommendations[i]->n_ports; j++)
			json_array_append_new(
				ports,
				json_integer(r->recommendations[i]->ports[j]));
		json_array_append_new(list,
				      json_pack("{s:s, s:o}", "subject",
						r->recommendations[i]->subject,
						"ports", ports));
	}
	return list;
}

static void logged_in(void *arg, int err, const char *why,
		      const Ntm__Envelope *msg)
{
	struct asked *q = arg;
	const struct account *a = q->w->account;
	struct ask *call = asked_end(q, err, why);

	if (call)
		ask_answer(
			call,
			json_pack("{s:s, s:b, s:o, s:o, s:o}", "fqdn", a->fqdn,
				  "exit_offered", msg->login_response->exit,
				  "vip6", address(a->cert.vip6, 16), "vip4",
				  address(a->cert.vip4, 4), "recommendations",
				  recommendations(msg->login_response)));
}

void control_login(struct ask *call)
{
	struct worker *w = control_worker(call);
	struct asked *q = asked_new(call);
	struct login_request rq;

	if (!q)
		return;
	rq.join = ask_text(call, "join");
	rq.account = ask_text(call, "account");
	rq.password = ask_text(call, "password");
	rq.device = ask_text(call, "device");
	rq.trust_changed = json_is_true(
		json_object_get(ask_request(call), "trust_changed"));
	login_password(w->login, &rq, logged_in, q);
}

void control_logout(struct ask *call)
{
	struct worker *w = control_worker(call);

	if (!w->account->logged_in) {
		ask_fail(call, NTM_ENOLOGIN, NULL);
		return;
	}
	worker_logged_out(w, 0);
	ask_answer(call, NULL);
}

static void done(void *arg, int err, const char *why, const Ntm__Envelope *msg)
{
	struct ask *call = asked_end(arg, err, why);

	(void)msg;
	if (call)
		ask_answer(call, NULL);
}

void control_passwd(struct ask *call)
{
	struct asked *q = asked_new(call);

	if (q)
		login_passwd(q->w->login, ask_text(call, "old"),
			     ask_text(call, "new"), done, q);
}

void control_revoke(struct ask *call)
{
	struct asked *q = asked_new(call);

	if (q)
		login_revoke(q->w->login, ask_text(call, "fqdn"), done, q);
}

static json_t *device(const struct account *a, const Ntm__Device *d)
{
	char fp[NTMC_FP_TEXT_LEN] = "";

	if (d->fingerprint.len == NTMC_FP_LEN)
		ntmc_fingerprint_text(d->fingerprint.data, fp);
	return json_pack("{s:s, s:s, s:I, s:b, s:s, s:b}", "fqdn", d->fqdn,
			 "fingerprint", fp, "last_login",
			 (json_int_t)d->last_login, "revoked", d->revoked,
			 "version", d->version, "this",
			 !strcmp(d->fqdn, a->fqdn));
}

static void got_devices(void *arg, int err, const char *why,
			const Ntm__Envelope *msg)
{
	struct asked *q = arg;
	const struct account *a = q->w->account;
	const Ntm__DevicesResponse *r;
	struct ask *call;
	json_t *list;

	if (!err && msg->body_case != NTM__ENVELOPE__BODY_DEVICES_RESPONSE) {
		err = NTM_EDECODE;
		why = NULL;
	}
	call = asked_end(q, err, why);
	if (!call)
		return;
	r = msg->devices_response;
	list = json_array();
	for (size_t i = 0; i < r->n_devices; i++)
		json_array_append_new(list, device(a, r->devices[i]));
	ask_answer(call, json_pack("{s:o}", "devices", list));
}

void control_devices(struct ask *call)
{
	struct asked *q = asked_new(call);

	if (q)
		login_devices(q->w->login, got_devices, q);
}

/* SPDX-License-Identifier: MIT */
/*
 * login - what is asked of the Account Server: login, renewal, password, devices
 *
 * Theory of operation
 *
 * A question of a person and the renewal may run beside each other; each has one
 * slot. The domain's CA is pinned at the first login: a join string that names
 * another is refused before anything is sent, unless the person says that the change
 * is known. A renewal is the same Login Request shown by certificate; it is repeated
 * with growing pauses until the certificate has run out, and beyond: the AS renews it
 * late, too (as.renew_grace), and says EXPIRED when that time is over. A network that
 * comes back ends the pause.
 */
#include "broker/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/account.h"
#include "broker/as_link.h"
#include "broker/gate.h"
#include "broker/peer.h"
#include "broker/pins.h"
#include "broker/session.h"
#include "broker/timers.h"
#include "common/log.h"

/* struct slot - one question under way */
struct slot {
	struct login *l;
	struct as_link *link;
	struct join join;
	login_fn *fn;
	void *arg;
	bool is_login;
};

struct login {
	struct worker *w;
	struct slot person, renewal;
	struct loop_timer *timer;
	unsigned int failures;
	char trouble[LOGIN_WHY_MAX];
};

/* --- sentences ------------------------------------------------------------------------- */

static void why_clock(struct login *l, const Ntm__LoginResponse *r, char *why)
{
	long long off =
		r && r->now ? (long long)(r->now - worker_wall(l->w)) : 0;

	if (off)
		snprintf(why, LOGIN_WHY_MAX,
			 "this machine's clock is %lld s %s the server's; set "
			 "the time and try again",
			 off < 0 ? -off : off, off < 0 ? "ahead of" : "behind");
	else
		snprintf(why, LOGIN_WHY_MAX, "%s", err_text(NTM_ECLOCK));
}

/* Is there a CA known for the domain? No CA has the fingerprint of zeros. */
static bool server_is_known(const struct login *l, const char *domain)
{
	static const uint8_t none[NTMC_FP_LEN];

	return pins_server_check(l->w->pins, domain, none) != 0;
}

/* What the server's codes mean to who asked. */
static const char *refusal_text(bool is_login, int err)
{
	switch (err) {
	case NTM_ELIMIT:
		return "the account has as many devices as it may have; revoke "
		       "one with `ntm devices --revoke=NAME` on another "
		       "device, or ask the administrator";
	case NTM_EEXISTS:
		return "another device of the account has that name; choose "
		       "another with --device, or revoke the old one with `ntm "
		       "devices --revoke=NAME` on a device that is logged in";
	case NTM_EAGAIN:
		return "the server is busy, or its coordinator does not "
		       "answer; try again in a minute";
	case NTM_ENOTFOUND:
		return "the account has no such device; see `ntm devices`";
	case NTM_EEXPIRED:
		return "this device's login has run out and could not be "
		       "renewed yet; see `ntm status`, or run `ntm login`";
	case NTM_EINVAL:
		return is_login ? "the server does not take that device name; "
				  "choose another with --device"
				: "the server does not take that; a password "
				  "has 8 to 1024 characters";
	default:
		return err_text(err);
	}
}

static void why_text(struct login *l, const struct join *j, bool is_login,
		     int err, const Ntm__LoginResponse *r, char *why)
{
	char addr[ADDR_TEXT_LEN];

	err = err < 0 ? -err : err;
	if (err == NTM_EPIN && !server_is_known(l, j->domain))
		err = NTM_ECERT;
	switch (err) {
	case NTM_ECLOCK:
		why_clock(l, r, why);
		break;
	case NTM_EPIN:
		snprintf(why, LOGIN_WHY_MAX,
			 "the server of %s shows another key than the one "
			 "known; if its administrator confirms a new one, log "
			 "in with the new join string and --trust-changed",
			 j->domain);
		break;
	case NTM_ECERT:
	case NTM_EAUTH:
	case NTM_ECONSTRAINT:
		snprintf(why, LOGIN_WHY_MAX,
			 "the server at %s could not prove that it is the one "
			 "of the join string; check the string with the "
			 "administrator",
			 addr_format(&j->addrs[0], addr));
		break;
	case NTM_ERATE:
		if (r && r->retry_after_s)
			snprintf(why, LOGIN_WHY_MAX,
				 "too many attempts; try again in %u s",
				 r->retry_after_s);
		else
			snprintf(why, LOGIN_WHY_MAX, "%s", err_text(err));
		break;
	case NTM_ETIMEOUT:
	case NTM_ECLOSED:
	case NTM_ESYSTEM:
	case NTM_EUNREACHABLE:
		snprintf(why, LOGIN_WHY_MAX,
			 "the server at %s cannot be reached (%s)",
			 addr_format(&j->addrs[0], addr), err_text(err));
		break;
	default:
		snprintf(why, LOGIN_WHY_MAX, "%s", refusal_text(is_login, err));
	}
}

/* --- one exchange ------------------------------------------------------------------------ */

static void slot_end(struct slot *s, int err, const char *why,
		     const Ntm__Envelope *msg)
{
	login_fn *fn = s->fn;

	s->link = NULL;
	s->fn = NULL;
	if (fn)
		fn(s->arg, err < 0 ? -err : err, why, msg);
}

/* another account: what was met under the old one is not this one's */
static void account_change(struct login *l, const char *fqdn)
{
	const struct account *a = l->w->account;

	if (a->logged_in && strcmp(a->fqdn, fqdn))
		peers_drop_all(l->w->peers);
}

static int login_take(struct slot *s, const Ntm__LoginResponse *r)
{
	struct login *l = s->l;
	int err, store;

	if (r->code)
		return -(int)r->code;
	account_change(l, r->fqdn);
	err = account_adopt(l->w->account, &s->join, r);
	if (err)
		return err;
	/* we are logged in from here on, whatever else goes wrong */
	gate_named(l->w->gate, r->relays, r->n_relays);
	store = pins_server_learn(l->w->pins, s->join.domain, s->join.ca_fp);
	err = worker_logged_in(l->w);
	if (!err)
		err = store;
	if (!err) {
		l->failures = 0;
		l->trouble[0] = 0;
	}
	return err;
}

static int answer_code(const Ntm__Envelope *msg)
{
	switch (msg->body_case) {
	case NTM__ENVELOPE__BODY_ACK:
		return (int)msg->ack->code;
	case NTM__ENVELOPE__BODY_LOGIN_RESPONSE:
		return (int)msg->login_response->code;
	case NTM__ENVELOPE__BODY_DEVICES_RESPONSE:
		return (int)msg->devices_response->code;
	default:
		return NTM_EDECODE;
	}
}

static void answered(void *arg, int err, const Ntm__Envelope *msg)
{
	struct slot *s = arg;
	const Ntm__LoginResponse *r = NULL;
	char why[LOGIN_WHY_MAX] = "";

	if (!err && msg->body_case == NTM__ENVELOPE__BODY_LOGIN_RESPONSE)
		r = msg->login_response;
	if (!err && s->is_login)
		err = r ? login_take(s, r) : -NTM_EDECODE;
	else if (!err)
		err = -answer_code(msg);
	if (err)
		why_text(s->l, &s->join, s->is_login, err, r, why);
	slot_end(s, err, why, msg);
}

static void slot_ask(struct slot *s, bool by_cert, Ntm__Envelope *msg,
		     login_fn *fn, void *arg)
{
	char why[LOGIN_WHY_MAX];
	int err;

	s->fn = fn;
	s->arg = arg;
	s->is_login = msg->body_case == NTM__ENVELOPE__BODY_LOGIN_REQUEST;
	err = as_link_ask(s->l->w, &s->join, by_cert, msg, answered, s,
			  &s->link);
	if (!err)
		return;
	why_text(s->l, &s->join, s->is_login, err, NULL, why);
	slot_end(s, err, why, NULL);
}

/* --- login ------------------------------------------------------------------------------- */

static void host_label(char out[FQDN_LABEL_MAX + 1])
{
	char name[256] = "", *dot;

	gethostname(name, sizeof(name) - 1);
	dot = strchr(name, '.');
	if (dot)
		*dot = 0;
	name[FQDN_LABEL_MAX] = 0;
	for (char *c = name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	snprintf(out, FQDN_LABEL_MAX + 1, "%s",
		 fqdn_label_is_valid(name) ? name : "device");
}

static ProtobufCBinaryData bytes(const uint8_t *data, size_t len)
{
	return (ProtobufCBinaryData){len, (uint8_t *)data};
}

/* by certificate: account, password and device empty */
static void request_send(struct slot *s, const char *account,
			 const char *password, const char *device, login_fn *fn,
			 void *arg)
{
	const struct ntmc_identity *id = &s->l->w->account->secrets->id;
	Ntm__LoginRequest r = NTM__LOGIN_REQUEST__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	uint8_t sig[NTMC_SIG_LEN];

	ntmc_static_sign(id, sig);
	r.account = (char *)account;
	r.password = (char *)password;
	r.device = (char *)device;
	r.ed_pub = bytes(id->ed_pub, NTMC_KEY_LEN);
	r.x_pub = bytes(id->x_pub, NTMC_KEY_LEN);
	r.x_sig = bytes(sig, sizeof(sig));
	r.aead = ntmc_aead_preferred();
	r.version = (char *)NTM_VERSION;
	r.now = worker_wall(s->l->w);
	msg.body_case = NTM__ENVELOPE__BODY_LOGIN_REQUEST;
	msg.login_request = &r;
	slot_ask(s, !password[0], &msg, fn, arg);
}

void login_password(struct login *l, const struct login_request *rq,
		    login_fn *fn, void *arg)
{
	struct slot *s = &l->person;
	char why[LOGIN_WHY_MAX], device[FQDN_LABEL_MAX + 1];
	int err = 0;

	if (s->link) {
		fn(arg, NTM_EAGAIN,
		   "another request to the server is under way", NULL);
		return;
	}
	if (join_parse(rq->join, &s->join)) {
		fn(arg, NTM_EINVAL,
		   "that is no join string "
		   "(ntm1:DOMAIN@ADDRESS:PORT#FINGERPRINT); ask the "
		   "administrator for one",
		   NULL);
		return;
	}
	host_label(device);
	if (rq->device && *rq->device)
		snprintf(device, sizeof(device), "%s", rq->device);
	if (!rq->password || !*rq->password ||
	    !fqdn_label_is_valid(rq->account) || !fqdn_label_is_valid(device)) {
		fn(arg, NTM_EINVAL,
		   "account and device names are lower-case letters, digits "
		   "and hyphens, and a password is needed",
		   NULL);
		return;
	}
	if (!rq->trust_changed)
		err = pins_server_check(l->w->pins, s->join.domain,
					s->join.ca_fp);
	if (err) {
		why_text(l, &s->join, true, err, NULL, why);
		fn(arg, -err, why, NULL);
		return;
	}
	request_send(s, rq->account, rq->password, device, fn, arg);
}

/* Is there a session, and nothing else under way? */
static bool by_cert_ready(struct login *l, login_fn *fn, void *arg)
{
	if (!l->w->account->logged_in) {
		fn(arg, NTM_ENOLOGIN, err_text(NTM_ENOLOGIN), NULL);
		return false;
	}
	if (l->person.link) {
		fn(arg, NTM_EAGAIN,
		   "another request to the server is under way", NULL);
		return false;
	}
	l->person.join = l->w->account->join;
	return true;
}

void login_passwd(struct login *l, const char *old, const char *fresh,
		  login_fn *fn, void *arg)
{
	Ntm__PasswordRequest r = NTM__PASSWORD_REQUEST__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;

	if (!by_cert_ready(l, fn, arg))
		return;
	r.account = l->w->account->name;
	r.old_password = (char *)old;
	r.new_password = (char *)fresh;
	msg.body_case = NTM__ENVELOPE__BODY_PASSWORD_REQUEST;
	msg.password_request = &r;
	slot_ask(&l->person, true, &msg, fn, arg);
}

void login_devices(struct login *l, login_fn *fn, void *arg)
{
	Ntm__DevicesRequest r = NTM__DEVICES_REQUEST__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;

	if (!by_cert_ready(l, fn, arg))
		return;
	msg.body_case = NTM__ENVELOPE__BODY_DEVICES_REQUEST;
	msg.devices_request = &r;
	slot_ask(&l->person, true, &msg, fn, arg);
}

void login_revoke(struct login *l, const char *fqdn, login_fn *fn, void *arg)
{
	Ntm__RevokeRequest r = NTM__REVOKE_REQUEST__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	char name[FQDN_MAX + 1];

	if (fqdn_normalize(fqdn, name)) {
		fn(arg, NTM_EINVAL, "that is not a device's name", NULL);
		return;
	}
	if (!by_cert_ready(l, fn, arg))
		return;
	r.fqdn = name;
	msg.body_case = NTM__ENVELOPE__BODY_REVOKE_REQUEST;
	msg.revoke_request = &r;
	slot_ask(&l->person, true, &msg, fn, arg);
}

void login_cancel(struct login *l, void *arg)
{
	if (l->person.fn && l->person.arg == arg)
		l->person.fn = NULL;
}

/* --- renewal ------------------------------------------------------------------------------- */

static void renew_later(struct login *l)
{
	uint64_t pause = (uint64_t)RENEW_RETRY_S
			 << (l->failures < 6 ? l->failures : 6);

	if (pause > RENEW_RETRY_MAX_S)
		pause = RENEW_RETRY_MAX_S;
	l->failures++;
	loop_timer_arm(l->timer, LOOP_S(pause));
}

static void renewed(void *arg, int err, const char *why,
		    const Ntm__Envelope *msg)
{
	struct login *l = arg;

	(void)msg;
	if (!err)
		return;		 /* worker_logged_in() armed the next one */
	if (err == NTM_EEXPIRED) /* longer ago than as.renew_grace */
		snprintf(l->trouble, sizeof(l->trouble),
			 "this device's login ran out longer ago than its "
			 "server renews one by itself; run `ntm login`");
	else
		snprintf(l->trouble, sizeof(l->trouble),
			 "the certificate could not be renewed: %s", why);
	log_warn("account", "%s", l->trouble);
	if (err == NTM_EDISABLED)
		worker_logged_out(l->w, err);
	else
		renew_later(l);
}

static void renew(struct login *l, login_fn *fn)
{
	const struct account *a = l->w->account;

	if (!a->logged_in || l->renewal.link)
		return;
	l->renewal.join = a->join;
	request_send(&l->renewal, "", "", "", fn, l);
}

void login_renew_now(struct login *l)
{
	renew(l, renewed);
}

/* until half of the session's life is over, by the wall clock: a machine that slept
 * has aged, the clock of its timers has not */
static int64_t renew_in_s(const struct login *l)
{
	const struct account *a = l->w->account;

	return a->obtained + (a->expires - a->obtained) / 2 - worker_wall(l->w);
}

/* nothing was due: that it failed is no trouble of the login */
static void refreshed(void *arg, int err, const char *why,
		      const Ntm__Envelope *msg)
{
	struct login *l = arg;

	if (err == NTM_EDISABLED || renew_in_s(l) <= 0)
		renewed(arg, err, why, msg); /* due meanwhile */
	else if (err)
		log_info("account", "no new session: %s", why);
}

void login_refresh(struct login *l)
{
	renew(l, refreshed);
}

static void renew_due(void *arg)
{
	struct login *l = arg;

	if (renew_in_s(l) <= 0) {
		login_renew_now(l);
		return;
	}
	l->failures = 0; /* the clock was wrong, and was set right */
	l->trouble[0] = 0;
	login_renew_arm(l);
}

void login_moved(struct login *l)
{
	if (!l->w->account->logged_in || renew_in_s(l) > 0)
		return;
	l->failures = 0;
	loop_timer_arm(l->timer, LOOP_S(1));
}

void login_renew_arm(struct login *l)
{
	int64_t s;

	if (!l->w->account->logged_in) {
		loop_timer_disarm(l->timer);
		return;
	}
	s = renew_in_s(l);
	if (s > RENEW_LOOK_S)
		s = RENEW_LOOK_S;
	loop_timer_arm(l->timer, LOOP_S(s > 1 ? s : 1));
}

const char *login_trouble(const struct login *l)
{
	return l->trouble[0] ? l->trouble : NULL;
}

/* A clock that is ahead lets a good certificate look old: the DC knows better. */
const char *login_over(const struct login *l)
{
	const struct account *a = l->w->account;

	if (!a->logged_in || a->cert.not_after > worker_wall(l->w) ||
	    session_state(l->w->session) == SESSION_ONLINE)
		return NULL;
	return login_trouble(l);
}

/* --- life ------------------------------------------------------------------------------------ */

int login_new(struct worker *w, struct login **out)
{
	struct login *l = calloc(1, sizeof(*l));

	if (!l)
		return -NTM_ENOMEM;
	l->w = w;
	l->person.l = l->renewal.l = l;
	if (loop_timer_new(w->loop, renew_due, l, &l->timer)) {
		free(l);
		return -NTM_ENOMEM;
	}
	*out = l;
	return 0;
}

void login_free(struct login *l)
{
	if (!l)
		return;
	if (l->person.link)
		as_link_cancel(l->person.link);
	if (l->renewal.link)
		as_link_cancel(l->renewal.link);
	loop_timer_free(l->timer);
	free(l);
}

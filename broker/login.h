/* SPDX-License-Identifier: MIT */
/*
 * login - what is asked of the Account Server: login, renewal, password, devices
 *
 * Owner:    the worker. Context: loop thread. One question at a time from people;
 * renewal runs by itself at half of the certificate's life.
 */
#ifndef NTM_BROKER_LOGIN_H
#define NTM_BROKER_LOGIN_H

#include <stdbool.h>

#include "broker/worker.h"
#include "common/ntm.pb-c.h"

#define LOGIN_WHY_MAX 512

struct login;

/**
 * struct login_request - from the person; borrowed for the call
 * @device: empty: from the host's name
 * @trust_changed: the person knows that the domain's CA is another one now
 */
struct login_request {
	const char *join, *account, *password, *device;
	bool trust_changed;
};

/** @err: 0, or positive enum ntm_err with @why, one sentence; @msg: the answer,
 *  borrowed, where there was one */
typedef void login_fn(void *arg, int err, const char *why,
		      const Ntm__Envelope *msg);

NTM_MUST_CHECK int login_new(struct worker *w, struct login **out);
void login_free(struct login *l);
/** each calls @fn exactly once, possibly inside the call */
void login_password(struct login *l, const struct login_request *rq,
		    login_fn *fn, void *arg);
void login_passwd(struct login *l, const char *old, const char *fresh,
		  login_fn *fn, void *arg);
void login_devices(struct login *l, login_fn *fn, void *arg);
void login_revoke(struct login *l, const char *fqdn, login_fn *fn, void *arg);
/** the asker went away; @fn is not called */
void login_cancel(struct login *l, void *arg);

/** arm the renewal for the session in use; after login and at start */
void login_renew_arm(struct login *l);
void login_renew_now(struct login *l);
/** the DC is silent: a new session, where the AS can be asked; else nothing changes */
void login_refresh(struct login *l);
/** the host's addresses changed: a renewal that is due is tried soon */
void login_moved(struct login *l);
/** why the last renewal failed, one sentence; NULL: it did not */
const char *login_trouble(const struct login *l);
/** the certificate has run out, the DC has not taken us since, and renewal failed:
 *  no peer can be met. Return: why, as login_trouble(); NULL: one may be */
const char *login_over(const struct login *l);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * exit - the way to general hosts: when it is taken, and the peer that is the exit
 *
 * Owner:    the worker. Context: loop thread. To us an exit is a peer: a device of the
 * account EXIT_ACCOUNT of our domain, which the DC chooses and lets us reach. File: exit,
 * in the state folder: whether the person wants it.
 */
#ifndef NTM_BROKER_EXIT_H
#define NTM_BROKER_EXIT_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/worker.h"
#include "preload/shimproto.h"

#define EXIT_ACCOUNT "exit"
#define EXIT_WHY_MAX 256

struct exit;
struct peer;

/** @err: 0 or positive enum ntm_err with @why, one sentence */
typedef void exit_fn(void *arg, int err, const char *why);

NTM_MUST_CHECK int exit_new(struct worker *w, const char *state_dir,
			    struct exit **out);
void exit_free(struct exit *e);

/** does the person want it? */
bool exit_is_on(const struct exit *e);
/** durable on return. Off: the tunnel ends. Return: 0, -NTM_ESTORE ... */
NTM_MUST_CHECK int exit_turn(struct exit *e, bool on);
/** the tunnel to an exit works, or why not; @fn is called once, maybe inside the call,
 *  unless cancelled */
void exit_connect(struct exit *e, exit_fn *fn, void *arg);
void exit_cancel(struct exit *e, void *arg);
/**
 * exit_ask() - a program wants to speak with a host that is no node
 * @mode: enum shim_exit
 * Return: 0: through the exit; -NTM_ENOTOURS: directly; -NTM_EUNREACHABLE: not at all
 */
NTM_MUST_CHECK int exit_ask(struct exit *e, unsigned int mode,
			    const struct addr *dst);
/** datapath's no_tunnel for a general host. true: the exit's tunnel exists now */
bool exit_packet(struct exit *e, const struct addr *dst);
/** the tunnel of @p was made: is it the exit's? */
void exit_tunnel(struct exit *e, struct peer *p);
/** the exit said good-bye: another one is looked up before it is needed */
void exit_lost(struct exit *e, const struct peer *p);
/** the host's addresses changed */
void exit_moved(struct exit *e);
/** logged out */
void exit_forget(struct exit *e);
/** the exit's name; "": none yet */
const char *exit_name(const struct exit *e);
/** why there is none though the person wants it, one sentence. Return: false: not known,
 *  or there is one */
bool exit_why(const struct exit *e, char why[static EXIT_WHY_MAX]);

#endif

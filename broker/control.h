/* SPDX-License-Identifier: MIT */
/*
 * control - the control socket: one JSON object a line (docs/control.md)
 *
 * Owner:    worker_main.c. Context: loop thread. asking.h serves the socket. The commands
 * are a table in control.c; each is a function of
 * a control_*.c.
 */
#ifndef NTM_BROKER_CONTROL_H
#define NTM_BROKER_CONTROL_H

#include <jansson.h>

#include "broker/asking.h"
#include "broker/handover.h"
#include "broker/relay.h"
#include "broker/worker.h"

#define CONTROL_SOCKET	    "control.sock"
#define CONTROL_LINE_MAX    65536
#define CONTROL_CLIENTS_MAX 64
#define CONTROL_QUEUE_MAX   (4u << 20) /* answers a client has not read */

struct control;

/** @listen_fd: kept by the keeper over restarts, or -1: made here and given to it */
NTM_MUST_CHECK int control_open(struct worker *w, struct handover *h,
				int listen_fd, struct control **out);
void control_close(struct control *c);

/* --- for the commands --- */
struct worker *control_worker(const struct ask *a);
struct handover *control_handover(const struct ask *a);

/* what several answers hold */
/** ask_fail(), with more to say of why a name cannot be met */
void control_name_fail(struct ask *call, int err);
json_t *control_addr(const struct addr *a);
/** "none", "independent", "dependent", "unknown" */
const char *control_mapping(Ntm__NatMapping m);
/** how often the node speaks to the DC, and why so often */
json_t *control_keepalive(const struct worker *w);
/** the relays named by the DC: [{"address", "rtt_ms", "observed"}] */
json_t *control_relays(const struct worker *w);

/** {"on", "name", "state"} */
json_t *control_exit_json(const struct worker *w);
ask_fn control_exit;
ask_fn control_login, control_logout, control_passwd, control_devices,
	control_revoke;
ask_fn control_ping, control_verify, control_allow, control_forget;
ask_fn control_status, control_peers, control_netcheck, control_push,
	control_down;

#endif

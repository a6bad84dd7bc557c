/* SPDX-License-Identifier: MIT */
/*
 * worker_main - the program ntm-worker: started by the keeper, speaks the protocols
 *
 * Stages, each undone in reverse at the end:
 *   options   should: name every option. Mustn't: touch the network.
 *   keeper    should: get TUN, sockets, stores. Mustn't: go on without them.
 *   files     should: refuse, with a sentence, what a person must repair.
 *   parts     should: be ready for datagrams before the first one is read.
 *   isolate   should: be the last thing before the network is listened to.
 *   loop      mustn't: block, exit on foreign bytes.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/account.h"
#include "broker/control.h"
#include "broker/grouplink.h"
#include "broker/groups.h"
#include "broker/handover.h"
#include "broker/hostenv.h"
#include "broker/isolate.h"
#include "broker/keepalive.h"
#include "broker/policy.h"
#include "broker/peer.h"
#include "broker/memberlink.h"
#include "broker/postlink.h"
#include "broker/wake.h"
#include "broker/worker.h"
#include "common/log.h"

/* struct program - all that lives from start to end */
struct program {
	struct worker w;
	struct worker_env env;
	struct loop *loop;
	struct handover *handover;
	struct control *control;
	struct loop_io *keeper_io;
	struct loop_signal *term, *hup;
	struct loop_timer *beat;
	struct wake *wake;
	const char *config, *state;
	int link_fd, control_fd;
	enum log_level level;
};

/* --- options ----------------------------------------------------------------------- */

static int options_parse(struct program *p, int argc, char **argv)
{
	static const struct option list[] = {
		{"link", required_argument, NULL, 'l'},
		{"config", required_argument, NULL, 'c'},
		{"state", required_argument, NULL, 's'},
		{"log-level", required_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	int c;

	p->link_fd = p->control_fd = -1;
	p->level = LOG_INFO;
	while ((c = getopt_long(argc, argv, "", list, NULL)) != -1) {
		switch (c) {
		case 'l':
			p->link_fd = atoi(optarg);
			break;
		case 'c':
			p->config = optarg;
			break;
		case 's':
			p->state = optarg;
			break;
		case 'v':
			if (!log_level_parse(optarg, &p->level))
				return -NTM_EINVAL;
			break;
		default:
			return -NTM_EINVAL;
		}
	}
	return p->link_fd >= 0 && p->config && p->state ? 0 : -NTM_EINVAL;
}

/* --- events ------------------------------------------------------------------------ */

static void on_term(void *arg)
{
	struct program *p = arg;

	worker_say_goodbye(&p->w);
	loop_stop(p->loop);
}

static void on_keeper(void *arg, int fd, unsigned int events)
{
	(void)fd, (void)events;
	log_warn("worker", "the keeper is gone");
	on_term(arg);
}

static void on_beat(void *arg)
{
	struct program *p = arg;

	keeper_beat(p->w.keeper);
	loop_timer_arm(p->beat, LOOP_MS(KEEPER_BEAT_MS));
}

static void apply(void *arg, struct peer *peer)
{
	(void)arg;
	peer_apply_policy(peer);
}

static void on_hup(void *arg)
{
	struct program *p = arg;

	if (policy_reload(p->w.policy, p->w.policy_why,
			  sizeof(p->w.policy_why))) {
		log_err("worker", "%s; the old rules stay", p->w.policy_why);
		return;
	}
	groups_bind(p->w.groups);
	if (p->w.account->logged_in)
		peers_each(p->w.peers, apply, NULL);
	postlink_policy(p->w.postlink);
	log_info("worker", "read the policy again");
}

static void on_moved(void *arg)
{
	struct program *p = arg;

	if (p->w.peers)
		worker_moved(&p->w);
}

static void on_wake(void *arg, unsigned int slept_s)
{
	struct program *p = arg;

	worker_woke(&p->w, slept_s);
}

static void take_control_fd(void *arg, const char *key, int fd)
{
	struct program *p = arg;

	(void)key;
	if (p->control_fd >= 0)
		close(p->control_fd);
	p->control_fd = fd;
}

/* --- stages --------------------------------------------------------------------------- */

static int parts_open(struct program *p, char *why, size_t why_size)
{
	struct worker *w = &p->w;
	struct shim_names names;
	int err;

	w->udp_port = keeper_udp_port(w->keeper);
	err = handover_open(p->loop, on_moved, p, &p->handover);
	if (err) {
		snprintf(why, why_size, "netlink cannot be used: %s",
			 err_text(err));
		return err;
	}
	err = worker_init(w, p->config, p->state, why, why_size);
	if (err)
		return err;
	snprintf(why, why_size, "the data path could not start");
	err = datapath_new(
		p->loop, keeper_tun(w->keeper), keeper_udp(w->keeper, AF_INET),
		keeper_udp(w->keeper, AF_INET6), &worker_dp_ops, w, &w->dp);
	if (err)
		return err;
	worker_shim_names(w, &names);
	snprintf(why, why_size, "the socket for programs could not be opened");
	err = shimserver_new(p->loop, w->keeper, &names, &w->shim);
	if (err)
		return err;
	snprintf(why, why_size, "the link with ntm-post could not be made");
	if (postlink_is_installed())
		err = postlink_new(w, &w->postlink);
	if (!err && memberlink_is_installed())
		err = memberlink_new(w, &w->memberlink);
	if (err)
		return err;
	snprintf(why, why_size,
		 "the socket for ntm-member could not be opened");
	err = grouplink_new(w, &w->grouplink);
	if (err)
		return err;
	snprintf(why, why_size, "the control socket could not be opened");
	keeper_fd_each(w->keeper, "control", take_control_fd, p);
	return control_open(w, p->handover, p->control_fd, &p->control);
}

static int watch(struct program *p)
{
	int err = loop_signal_add(p->loop, SIGTERM, on_term, p, &p->term);

	if (!err)
		err = loop_signal_add(p->loop, SIGHUP, on_hup, p, &p->hup);
	if (!err)
		err = loop_io_add(p->loop, keeper_link_fd(p->w.keeper),
				  LOOP_READ, false, on_keeper, p,
				  &p->keeper_io);
	if (!err)
		err = wake_open(p->loop, on_wake, p, &p->wake);
	if (!err)
		err = loop_timer_new(p->loop, on_beat, p, &p->beat);
	if (!err)
		loop_timer_arm(p->beat, LOOP_MS(KEEPER_BEAT_MS));
	return err;
}

static void parts_close(struct program *p)
{
	struct worker *w = &p->w;

	loop_timer_free(p->beat);
	wake_close(p->wake);
	loop_io_del(p->keeper_io);
	loop_signal_del(p->hup);
	loop_signal_del(p->term);
	control_close(p->control);
	grouplink_free(w->grouplink);
	w->grouplink = NULL;
	postlink_free(w->postlink);
	w->postlink = NULL;
	memberlink_free(w->memberlink);
	w->memberlink = NULL;
	worker_clear(w);
	if (w->shim)
		shimserver_free(w->shim);
	if (w->dp)
		datapath_free(w->dp);
	handover_close(p->handover);
}

static int run(struct program *p)
{
	struct worker *w = &p->w;
	char why[1024] = "";
	int err = parts_open(p, why, sizeof(why));

	if (!err) {
		snprintf(why, sizeof(why), "signals could not be watched");
		err = watch(p);
	}
	if (!err) {
		snprintf(why, sizeof(why), "the worker could not start");
		err = worker_start(w);
	}
	if (!err)
		err = isolate_worker(why, sizeof(why));
	if (!err)
		err = keeper_ready(w->keeper);
	if (!err)
		err = loop_run(p->loop);
	else if (keeper_refuse(w->keeper, *why ? why : err_text(err)))
		log_err("worker", "%s", why);
	if (!err && w->broken)
		err = -NTM_ESYSTEM;
	parts_close(p);
	return err;
}

int main(int argc, char **argv)
{
	static struct program p;
	int err;

	if (options_parse(&p, argc, argv)) {
		fputs("ntm-worker is started by ntm-broker\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	log_open("ntm-worker", p.level, NULL);
	hostenv_fill(&p.env, &p.handover);
	p.env.feeler = &feeler_sockets;
	p.w.env = &p.env;
	err = keeper_link_open(p.link_fd, &p.w.keeper);
	if (err) {
		log_err("worker", "the keeper does not answer: %s",
			err_text(err));
		return 1;
	}
	err = loop_new(&p.loop);
	if (!err) {
		p.w.loop = p.loop;
		err = run(&p);
		loop_free(p.loop);
	}
	keeper_link_close(p.w.keeper);
	log_close();
	return err ? 1 : 0;
}

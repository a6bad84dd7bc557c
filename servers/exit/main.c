/* SPDX-License-Identifier: MIT */
/*
 * main - the program ntm-exit: the exit to general hosts; started by ntm-server
 *
 * Theory of operation
 *
 * To nodes an exit is a node: the account `exit` of the domain, of which each exit is a
 * device. So it logs in, registers, is directed to, shakes hands, follows who moves,
 * and renews keys by the very code of a node's worker (broker/worker.h). Only where a
 * node has its TUN, an exit has the seam (seam.h), and behind it the net process.
 *
 *   stages   options                  from the supervisor, which has checked them
 *            fork                     the net process has no key: it is made before
 *                                     any is read
 *            parts, login             by certificate; the first time by what `ntm-server
 *                                     exit enrol` left in DIR/exit/enrol
 *            isolate, loop
 *
 * If either process ends, so does the other, and the supervisor starts both again.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/account.h"
#include "broker/hostenv.h"
#include "broker/isolate.h"
#include "broker/login.h"
#include "broker/policy.h"
#include "broker/session.h"
#include "common/file.h"
#include "servers/drainfile.h"
#include "servers/exit/program.h"

#define TICK_NS	  LOOP_S(1)
#define ENROL_MAX 2048
#define RETRY_S	  5

/* --- login ------------------------------------------------------------------------------------ */

static void on_login(void *arg, int err, const char *why,
		     const Ntm__Envelope *msg)
{
	struct program *p = arg;

	(void)msg;
	p->asking = false;
	p->wait_s = RETRY_S;
	if (err) {
		log_warn("exit", "the exit could not log in: %s", why);
		return;
	}
	if (unlink(p->enrol))
		log_warn("exit", "%s: %s", p->enrol, strerror(errno));
	log_info("exit", "logged in as %s", p->w.account->fqdn);
}

/* what `ntm-server exit enrol` left: join string and password, a line each */
static void enrol(struct program *p)
{
	struct login_request rq = {.account = "exit"};
	char *password, *end;
	uint8_t *text;
	size_t len;
	int err;

	if (p->asking)
		return;
	if (p->wait_s) {
		p->wait_s--;
		return;
	}
	p->wait_s = RETRY_S;
	err = file_read_private(p->enrol, ENROL_MAX, &text, &len);
	if (err) {
		if (err != -NTM_ENOTFOUND)
			log_warn("exit", "%s: %s", p->enrol, err_text(err));
		return;
	}
	password = strchr((char *)text, '\n');
	if (password) {
		*password++ = '\0';
		end = strchr(password, '\n');
		if (end)
			*end = '\0';
		rq.join = (char *)text;
		rq.password = password;
		p->asking = true;
		login_password(p->w.login, &rq, on_login, p);
	}
	file_free(text, len);
}

static void on_tick(void *arg)
{
	struct program *p = arg;

	loop_timer_arm(p->tick, TICK_NS);
	if (!p->w.account->logged_in) {
		enrol(p);
		return;
	}
	clients_unpin(p);
	if (!p->report_s--)
		load_report(p);
	clients_count(p);
}

/* --- events ------------------------------------------------------------------------------------ */

static void on_configured(void *arg, const struct engine_config *c)
{
	struct program *p = arg;

	net_child_tell(p,
		       (struct seam_control){.op = SEAM_SELF,
					     .slice_len = c->prefix4_len},
		       c->vip4, c->vip6);
	clients_let_in(p);
}

/* The tunnel's path is another one, or answers again: what went elsewhere is lost, and
 * libslirp would not know before a second is over. */
static void on_opened(void *arg, struct dp_tunnel *t)
{
	struct program *p = arg; /* its first member is the worker */

	net_child_tell_of(p, (struct seam_control){.op = SEAM_PATH},
			  dp_tunnel_arg(t));
}

static void on_term(void *arg)
{
	struct program *p = arg;

	worker_say_goodbye(&p->w);
	loop_stop(p->loop);
}

/* Its settings change at the next start, and then they are options. */
static void on_hup(void *arg)
{
	(void)arg;
	log_info("exit", "settings of the exit change at its next start");
}

static void on_moved(void *arg)
{
	struct program *p = arg;

	if (p->w.peers)
		worker_moved(&p->w);
}

static json_t *on_admin(void *arg, const char *command, json_t *request)
{
	struct program *p = arg;
	const struct net_stats *s = p->stats;
	const struct account *a = p->w.account;
	json_t *o;

	(void)request;
	if (!strcmp(command, "drain") || !strcmp(command, "undrain"))
		load_drain(p, *command == 'd');
	else if (strcmp(command, "status"))
		return NULL;
	o = json_pack("{s:b, s:s, s:b, s:b, s:b, s:i, s:I}", "ok", 1, "name",
		      a->logged_in ? a->fqdn : "", "enrolled", a->logged_in,
		      "online",
		      session_state(p->w.session) == SESSION_ONLINE &&
			      policy_count(p->w.policy),
		      "draining", p->draining, "load", (int)p->load, "tunnels",
		      (json_int_t)peers_count(p->w.peers));
#define SET(field)                                                             \
	json_object_set_new(o, #field, json_integer((json_int_t)s->field))
	SET(nodes);
	SET(sockets);
	SET(sockets_max);
	SET(packets_in);
	SET(packets_out);
	SET(bytes_in);
	SET(bytes_out);
	SET(malformed);
	SET(forbidden);
	SET(over_limit);
	SET(over_rate);
	SET(over_day);
	SET(unsolicited);
	SET(lost);
	SET(echo_denied);
#undef SET
	return o;
}

/* --- stages ---------------------------------------------------------------------------------------- */

static int parts_open(struct program *p, char *why, size_t why_size)
{
	static const struct dp_offload tcp_alone = {
		.gso = true, .gro = true, .tcp = true};
	struct worker *w = &p->w;
	int err;

	p->ops = worker_dp_ops;
	p->ops.opened = on_opened;
	w->keeper = &p->keeper;
	snprintf(why, why_size, "netlink cannot be used");
	err = handover_open(p->loop, on_moved, p, &p->handover);
	if (!err)
		err = worker_init(w, p->folder, p->folder, why, why_size);
	if (err)
		return err;
	snprintf(why, why_size, "the data path could not start");
	err = datapath_new(p->loop, p->seam, p->udp4, p->udp6, &p->ops, w,
			   &w->dp);
	if (err)
		return err;
	datapath_serve_exit(w->dp);
	p->draining = drainfile_read(p->drain_file);
	if (p->draining)
		log_warn("exit", "draining, as before: takes no more nodes; "
				 "see `exit undrain` in ntm-server(8)");
	datapath_set_offload(w->dp, &tcp_alone); /* libslirp knows no USO */
	err = usage_new(&p->usage);
	if (!err)
		err = adminsock_new(p->loop, p->admin_fd, on_admin, p,
				    &p->admin);
	return err;
}

static int watch(struct program *p)
{
	int err = loop_signal_add(p->loop, SIGTERM, on_term, p, &p->term);

	if (!err)
		err = loop_signal_add(p->loop, SIGINT, on_term, p,
				      &p->interrupt);
	if (!err)
		err = loop_signal_add(p->loop, SIGHUP, on_hup, p, &p->hup);
	if (!err)
		err = loop_timer_new(p->loop, on_tick, p, &p->tick);
	if (!err)
		loop_timer_arm(p->tick, 0);
	return err;
}

static void parts_close(struct program *p)
{
	loop_timer_free(p->tick);
	loop_signal_del(p->hup);
	loop_signal_del(p->interrupt);
	loop_signal_del(p->term);
	adminsock_free(p->admin);
	worker_clear(&p->w);
	datapath_free(p->w.dp);
	usage_free(p->usage);
	handover_close(p->handover);
}

static int run(struct program *p)
{
	char why[1024] = "";
	int err = parts_open(p, why, sizeof(why));

	if (!err) {
		snprintf(why, sizeof(why), "the exit could not start");
		err = watch(p);
	}
	if (!err)
		err = worker_start(&p->w);
	if (!err)
		err = isolate_worker(why, sizeof(why));
	if (!err) {
		log_info("exit", "running%s",
			 p->w.account->logged_in
				 ? ""
				 : "; not enrolled yet: run `ntm-server exit "
				   "enrol` beside the Account Server");
		err = loop_run(p->loop);
	} else {
		log_err("exit", "%s", *why ? why : err_text(err));
	}
	if (!err && p->w.broken)
		err = -NTM_ESYSTEM;
	parts_close(p);
	return err;
}

int main(int argc, char **argv)
{
	static struct program p;
	int err;

	if (options_parse(&p, argc, argv)) {
		fputs("ntm-exit is started by ntm-server\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	log_open("ntm-exit", p.level, NULL);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return 1;
	hostenv_fill(&p.env, &p.handover);
	p.w.env = &p.env;
	p.keeper = (struct keeper_link){.configured = on_configured, .arg = &p};
	err = net_child_start(&p);
	if (!err)
		err = loop_new(&p.loop);
	if (!err) {
		p.w.loop = p.loop;
		err = run(&p);
		loop_free(p.loop);
	}
	close(p.seam);
	if (p.child > 0)
		waitpid(p.child, NULL, 0);
	log_close();
	return err ? 1 : 0;
}

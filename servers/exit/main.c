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
 * Who may use an exit the DC decides at every direction; here every node of the domain
 * that the DC directs to us is let in (policy: the domain). Keys are not pinned to
 * names as people's nodes do: the domain's CA is believed, so a device that was made
 * anew is not refused. Each account has a daily amount; who has used it up keeps the
 * tunnel, but nothing passes through it until the day (UTC) is over.
 *
 * If either process ends, so does the other, and the supervisor starts both again.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/account.h"
#include "broker/handover.h"
#include "broker/hostenv.h"
#include "broker/isolate.h"
#include "broker/login.h"
#include "broker/peer.h"
#include "broker/pins.h"
#include "broker/policy.h"
#include "broker/session.h"
#include "broker/worker.h"
#include "common/file.h"
#include "common/log.h"
#include "servers/adminsock.h"
#include "servers/datadir.h"
#include "servers/drainfile.h"
#include "servers/exit/isolate.h"
#include "servers/exit/net.h"
#include "servers/exit/seam.h"
#include "servers/exit/seams.h"
#include "servers/exit/usage.h"

#define TICK_NS		LOOP_S(1)
#define ENROL_MAX	2048
#define RETRY_S		5
#define TURN_MS		1000
#define REPORT_S	4 /* and the second of the report itself */
#define REPORT_LIMIT_MS 3000
#define DRAIN_IDLE_S	3
#define FOLDER_MAX	(DATADIR_PATH_MAX + 16)

/* struct program - all that lives from start to end */
struct program {
	struct worker w; /* first: the data path's argument is a worker */
	struct worker_env env;
	struct keeper_link keeper;
	struct dp_ops ops;
	struct loop *loop;
	struct handover *handover;
	struct adminsock *admin;
	struct loop_signal *term, *interrupt, *hup;
	struct loop_timer *tick;
	enum log_level level;
	uint64_t account_day;
	struct net_conf net;
	struct net_stats *stats;
	struct usage *usage;
	const char *dir;
	char folder[FOLDER_MAX], enrol[FOLDER_MAX + 8];
	char drain_file[FOLDER_MAX + 16];
	int udp4, udp6, admin_fd, seam;
	clockid_t net_clock;
	uint64_t load_ns,
		cpu_ns[2]; /* of the last measurement; ours, the child's */
	unsigned int load, report_s;
	bool draining, reporting;
	pid_t child;
	unsigned int wait_s; /* before the next try to log in */
	bool asking;
};

/* --- options ----------------------------------------------------------------------------- */

enum option_code {
	OPTION_UDP4 = 256,
	OPTION_UDP6,
	OPTION_ADMIN,
	OPTION_PORT,
	OPTION_SOCKETS,
	OPTION_DAY,
	OPTION_RATE,
	OPTION_DIR,
	OPTION_LEVEL,
	OPTION_ALLOW,
	OPTION_DENY,
	OPTION_CLOSED,
};

static bool number_parse(int option, const char *text, struct program *p)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end)
		return false;
	switch (option) {
	case OPTION_UDP4:
		p->udp4 = (int)v;
		break;
	case OPTION_UDP6:
		p->udp6 = (int)v;
		break;
	case OPTION_ADMIN:
		p->admin_fd = (int)v;
		break;
	case OPTION_PORT:
		p->w.udp_port = (uint16_t)v;
		break;
	case OPTION_SOCKETS:
		p->net.sockets = (unsigned int)v;
		break;
	case OPTION_RATE:
		p->net.rate = v;
		break;
	default:
		p->account_day = v;
	}
	return true;
}

static bool option_take(int option, const char *text, struct program *p)
{
	struct filter *f = &p->net.filter;

	switch (option) {
	case OPTION_DIR:
		p->dir = text;
		return true;
	case OPTION_LEVEL:
		return log_level_parse(text, &p->level);
	case OPTION_ALLOW:
		return !filter_list_parse(text, &f->allow);
	case OPTION_DENY:
		return !filter_list_parse(text, &f->deny);
	case OPTION_CLOSED:
		return !filter_ports_parse(text, f);
	case '?':
		return false;
	default:
		return number_parse(option, text, p);
	}
}

static int options_parse(struct program *p, int argc, char **argv)
{
	static const struct option list[] = {
		{"dir", required_argument, NULL, OPTION_DIR},
		{"udp4", required_argument, NULL, OPTION_UDP4},
		{"udp6", required_argument, NULL, OPTION_UDP6},
		{"admin", required_argument, NULL, OPTION_ADMIN},
		{"port", required_argument, NULL, OPTION_PORT},
		{"sockets", required_argument, NULL, OPTION_SOCKETS},
		{"account-day", required_argument, NULL, OPTION_DAY},
		{"account-rate", required_argument, NULL, OPTION_RATE},
		{"log-level", required_argument, NULL, OPTION_LEVEL},
		{"allow", required_argument, NULL, OPTION_ALLOW},
		{"deny", required_argument, NULL, OPTION_DENY},
		{"closed-ports", required_argument, NULL, OPTION_CLOSED},
		{NULL, 0, NULL, 0},
	};
	int c;

	p->udp4 = p->udp6 = p->admin_fd = p->seam = -1;
	p->level = LOG_INFO;
	p->net.mtu = WORKER_MTU;
	p->net.look = true;
	while ((c = getopt_long(argc, argv, "", list, NULL)) != -1)
		if (!option_take(c, optarg, p))
			return -NTM_EINVAL;
	snprintf(p->folder, sizeof(p->folder), "%s/exit", p->dir ? p->dir : "");
	snprintf(p->enrol, sizeof(p->enrol), "%s/enrol", p->folder);
	snprintf(p->drain_file, sizeof(p->drain_file), "%s/draining",
		 p->folder);
	return p->dir && p->admin_fd >= 0 && p->net.sockets ? 0 : -NTM_EINVAL;
}

/* --- the net process ---------------------------------------------------------------------- */

static int net_main(struct program *p, int fd)
{
	struct net *n;
	int err;

	prctl(PR_SET_NAME, "ntm-exit-net");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	err = net_new(&p->net, fd, p->stats, &n);
	if (!err)
		err = exit_isolate_net();
	while (!err)
		err = net_turn(n, TURN_MS);
	if (err != -NTM_ECLOSED)
		log_err("exit", "the net process ends: %s", err_text(err));
	return err == -NTM_ECLOSED ? 0 : 1;
}

static int net_start(struct program *p)
{
	int fd, err;

	p->stats = mmap(NULL, sizeof(*p->stats), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->stats == MAP_FAILED)
		return -NTM_ENOMEM;
	err = seam_pair(&p->seam, &fd);
	if (err)
		return err;
	p->child = fork();
	if (p->child < 0)
		return -NTM_ESYSTEM;
	if (!p->child) {
		int own = dup2(fd, 3); /* and nothing else but the log */

		syscall(SYS_close_range, 4, ~0u, 0);
		_exit(own == 3 ? net_main(p, own) : 1);
	}
	close(fd);
	if (clock_getcpuclockid(p->child, &p->net_clock))
		p->net_clock = CLOCK_PROCESS_CPUTIME_ID;
	return 0;
}

static void net_tell(struct program *p, struct seam_control c,
		     const uint8_t *vip4, const uint8_t *vip6)
{
	c.mark = SEAM_CONTROL;
	memcpy(c.vip4, vip4, sizeof(c.vip4));
	memcpy(c.vip6, vip6, sizeof(c.vip6));
	if (write(p->seam, &c, sizeof(c)) != (ssize_t)sizeof(c))
		log_warn("exit", "the net process does not read");
}

static void net_tell_of(struct program *p, struct seam_control c,
			const struct peer *peer)
{
	net_tell(p, c, peer->vip4, peer->vip6);
}

static void let_domain_in(struct program *p)
{
	struct policy_rule rule = {.n_ports = 0};
	int err;

	if (policy_count(p->w.policy))
		return;
	snprintf(rule.subject, sizeof(rule.subject), "%s",
		 p->w.account->domain);
	err = policy_allow(p->w.policy, &rule, NULL, NULL);
	if (err)
		log_err("exit", "%s/policy: %s", p->folder, err_text(err));
}

static void on_configured(void *arg, const struct engine_config *c)
{
	struct program *p = arg;

	net_tell(p,
		 (struct seam_control){.op = SEAM_SELF,
				       .slice_len = c->prefix4_len},
		 c->vip4, c->vip6);
	let_domain_in(p);
}

/* The tunnel's path is another one, or answers again: what went elsewhere is lost, and
 * libslirp would not know before a second is over. */
static void on_opened(void *arg, struct dp_tunnel *t)
{
	struct program *p = arg; /* its first member is the worker */

	net_tell_of(p, (struct seam_control){.op = SEAM_PATH},
		    dp_tunnel_arg(t));
}

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

/* A key other than the one met before: the CA has vouched for it. */
struct unpin {
	struct program *p;
	char fqdn[FQDN_MAX + 1];
};

static void find_refused(void *arg, const struct pin *pin)
{
	static const uint8_t none[NTMC_FP_LEN];
	struct unpin *u = arg;

	if (pin->pinned && memcmp(pin->offered, none, sizeof(none)))
		strcpy(u->fqdn, pin->fqdn);
}

static void unpin(struct program *p)
{
	struct unpin u = {.p = p};

	pins_each(p->w.pins, find_refused, &u);
	if (u.fqdn[0] && pins_forget(p->w.pins, u.fqdn, NULL, NULL))
		log_debug("exit", "%s stays pinned", u.fqdn);
}

/* --- accounts --------------------------------------------------------------------------------- */

/* Who has nothing open is sent to another exit; its next connection begins there. */
static void let_go(struct program *p, struct peer *peer, unsigned int sockets)
{
	if (usage_idle(p->usage, peer->fqdn, !sockets) < DRAIN_IDLE_S ||
	    (peer->state != PEER_UP && peer->state != PEER_MOVING))
		return;
	log_info("exit", "%s has nothing open and is let go", peer->fqdn);
	peer_close(peer, NTM_EOFFLINE, true);
}

static void count_peer(void *arg, struct peer *peer)
{
	struct program *p = arg;
	struct fqdn_parts parts;
	struct dp_counters n;
	struct usage_numbers number;
	bool over;

	/* withdrawn: its addresses may be another one's soon */
	if (peer->state == PEER_DOWN && peer->why == NTM_EDISABLED)
		net_tell_of(p, (struct seam_control){.op = SEAM_FORGET}, peer);
	if (!peer->tunnel ||
	    fqdn_split(peer->fqdn, p->w.account->domain, &parts))
		return;
	dp_tunnel_counters(peer->tunnel, &n);
	over = usage_count(p->usage, parts.account, peer->fqdn,
			   n.tx_bytes + n.rx_bytes, &number);
	if (usage_to_say(p->usage, parts.account))
		log_info("exit", "%s has used up its day", parts.account);
	net_tell_of(p,
		    (struct seam_control){.op = SEAM_ACCOUNT,
					  .closed = over,
					  .account = number.account,
					  .node = number.node},
		    peer);
	if (p->draining)
		let_go(p, peer, p->stats->open[number.node % NET_OPEN]);
}

/* --- what the DC is told ------------------------------------------------------------------- */

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec t;

	return clock_gettime(clock, &t)
		       ? 0
		       : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned int permille(uint64_t part, uint64_t whole)
{
	return !whole || part >= whole ? 1000
				       : (unsigned int)(part * 1000 / whole);
}

/* what is most in use: a processor by either process, sockets, places for nodes */
static void load_measure(struct program *p)
{
	uint64_t now = loop_now(p->loop), cpu[2], spent = now - p->load_ns;
	unsigned int load[4] = {0};

	cpu[0] = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	cpu[1] = cpu_ns(p->net_clock);
	for (int i = 0; i < 2 && p->load_ns; i++)
		load[i] = permille(cpu[i] - p->cpu_ns[i], spent);
	memcpy(p->cpu_ns, cpu, sizeof(cpu));
	p->load_ns = now;
	load[2] = permille(p->stats->sockets, p->stats->sockets_max);
	load[3] = permille(p->stats->nodes, NET_NODES_MAX);
	p->load = 0;
	for (size_t i = 0; i < 4; i++)
		p->load = load[i] > p->load ? load[i] : p->load;
}

static void on_reported(void *arg, int err, const Ntm__Signal *msg)
{
	struct program *p = arg;

	(void)msg;
	p->reporting = false;
	if (err)
		log_debug("exit", "the DC was not told: %s", err_text(err));
}

static void report(struct program *p)
{
	Ntm__ExitStatus body = NTM__EXIT_STATUS__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	uint32_t id;

	p->report_s = REPORT_S;
	load_measure(p);
	if (p->reporting || session_state(p->w.session) != SESSION_ONLINE)
		return;
	body.load = p->load;
	body.draining = p->draining;
	msg.body_case = NTM__SIGNAL__BODY_EXIT_STATUS;
	msg.exit_status = &body;
	p->reporting = !session_request(p->w.session, &msg, REPORT_LIMIT_MS,
					on_reported, p, &id);
}

static void drain(struct program *p, bool draining)
{
	p->draining = draining;
	drainfile_write(p->drain_file, "exit", draining);
	log_info("exit", "%s", draining ? "draining" : "takes nodes again");
	report(p);
}

static void on_tick(void *arg)
{
	struct program *p = arg;

	loop_timer_arm(p->tick, TICK_NS);
	if (!p->w.account->logged_in) {
		enrol(p);
		return;
	}
	unpin(p);
	if (!p->report_s--)
		report(p);
	usage_day(p->usage, worker_wall(&p->w) / 86400, p->account_day);
	peers_each(p->w.peers, count_peer, p);
}

/* --- events ------------------------------------------------------------------------------------ */

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
		drain(p, *command == 'd');
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
	err = net_start(&p);
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

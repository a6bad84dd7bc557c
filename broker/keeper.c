/* SPDX-License-Identifier: MIT */
/*
 * keeper - the process that stays: engine, outer sockets, stores, and the worker's
 *          life
 *
 * Theory of operation
 *
 * The keeper does so little that it need not die: it forks a worker with one end
 * of a SEQPACKET pair, answers its requests (a table of handlers), and forks the
 * next when it is gone. Packets wait meanwhile in the TUN's queue and the outer
 * sockets' buffers. It waits for four things only: signals, the worker's requests,
 * the death of the inside process, changes of the interface. A worker that says
 * nothing any more, not even that its loop turns, is killed (watchdog.h).
 *
 * A worker that was killed is followed at once. When they die within QUICK_NS of their
 * start again and again, QUICK_FREE deaths that served or a third of the others, the
 * next come more and more slowly, up to BACKOFF_MAX_NS.
 */
#include "broker/keeper_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/keeper_proto.h"
#include "common/log.h"
#include "common/rundir.h"
#include "common/unixsock.h"
#include "preload/shimproto.h"

#define MS_NS		1000000ull
#define QUICK_NS	(200 * MS_NS)
#define QUICK_UNREADY	10 /* what such a death counts before it served, */
#define QUICK_FREE	30 /* 1 afterwards; without a pause up to here */
#define BACKOFF_MIN_NS	(50 * MS_NS)
#define BACKOFF_MAX_NS	(5000 * MS_NS)
#define END_NS		(3000 * MS_NS) /* for the worker to say good-bye */
#define REPAIR_PAUSE_NS (20 * MS_NS)   /* somebody may change it in a loop */
#define SEND_TIMEOUT_MS 1000	       /* a worker that does not read */
#define LINK_FD		3	       /* in the worker */
#define LISTEN_BACKLOG	256

uint64_t keeper_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Tells whoever waits for the start, once. */
void keeper_report_ready(struct keeper *k, const char *why)
{
	if (k->ready)
		k->ready(k->ready_arg, why);
	k->ready = NULL;
}

void keeper_end_begin(struct keeper *k, int status)
{
	if (k->ending)
		return;
	k->ending = true;
	k->status = status;
	k->end_at = keeper_now_ns() + END_NS;
	if (k->worker.pid)
		kill(k->worker.pid, SIGTERM);
	for (int i = 0; i < POSTER_KINDS; i++)
		poster_end(&k->posters[i]);
}

/* --- the worker's life ---------------------------------------------------------------- */

static void worker_exec(const struct keeper *k, int link, pid_t parent)
{
	char config[PATH_MAX + 16], state[PATH_MAX + 16], level[32];
	char fd[16];
	char *argv[] = {"ntm-worker", fd, config, state, level, NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	snprintf(fd, sizeof(fd), "--link=%d", LINK_FD);
	snprintf(config, sizeof(config), "--config=%s", k->opt->config);
	snprintf(state, sizeof(state), "--state=%s", k->opt->state);
	snprintf(level, sizeof(level), "--log-level=%s", k->opt->log_level);
	if (link == LINK_FD ? fcntl(link, F_SETFD, 0) < 0
			    : dup2(link, LINK_FD) < 0)
		_exit(1);
	syscall(SYS_close_range, LINK_FD + 1, ~0u, 0);
	execv(k->opt->worker, argv);
	_exit(127);
}

/* The last one may have ended because the TUN did. */
static void tun_check(struct keeper *k)
{
	bool new_tun;

	if (k->worker.generation && engine_repair(k->engine, &new_tun) < 0)
		keeper_end_begin(k, 1);
}

static void worker_start(struct keeper *k)
{
	static const struct timeval timeout = {
		.tv_usec = (SEND_TIMEOUT_MS - 1) * 1000};
	struct worker *w = &k->worker;
	pid_t me = getpid();
	int sv[2];

	tun_check(k);
	if (k->ending)
		return;
	w->start_at =
		keeper_now_ns() + BACKOFF_MAX_NS; /* should this attempt fail */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0) {
		log_err("keeper", "no socket for the worker: %s",
			strerror(errno));
		return;
	}
	(void)setsockopt(sv[0], SOL_SOCKET, SO_SNDTIMEO, &timeout,
			 sizeof(timeout));
	w->pid = fork();
	if (w->pid == 0)
		worker_exec(k, sv[1], me);
	close(sv[1]);
	if (w->pid < 0) {
		log_err("keeper", "cannot fork a worker: %s", strerror(errno));
		close(sv[0]);
		w->pid = 0;
		return;
	}
	w->link = sv[0];
	w->state = WORKER_UP;
	w->refused = false;
	w->started = keeper_now_ns();
	w->generation++;
	log_debug("keeper", "worker %u is process %d", w->generation, w->pid);
}

/* When the next one starts, after what is now known of this one. */
static uint64_t worker_delay(struct worker *w, uint64_t now)
{
	unsigned int over;
	uint64_t delay;

	if (w->refused)
		return BACKOFF_MAX_NS;
	if (now - w->started >= QUICK_NS)
		w->quick = 0;
	else
		w->quick += w->state == WORKER_READY ? 1 : QUICK_UNREADY;
	if (w->quick < QUICK_FREE)
		return 0;
	over = (w->quick - QUICK_FREE) / QUICK_UNREADY;
	delay = BACKOFF_MIN_NS << (over > 10 ? 10 : over);
	return delay > BACKOFF_MAX_NS ? BACKOFF_MAX_NS : delay;
}

static void worker_died(struct keeper *k, int status)
{
	struct worker *w = &k->worker;
	uint64_t now = keeper_now_ns();
	char how[64], why[PATH_MAX + 160];

	while (keeper_request_read(k) == 0)
		; /* what it asked last: keep its descriptors */
	if (w->link >= 0)
		close(w->link);
	w->link = -1;
	w->pid = 0;
	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "signal %d", WTERMSIG(status));
	else
		snprintf(how, sizeof(how), "status %d", WEXITSTATUS(status));
	if (!k->ending)
		w->start_at = now + worker_delay(w, now);
	w->state = WORKER_NONE;
	if (k->ending)
		return;
	log_warn("keeper", "worker %u ended (%s); the next in %llu ms",
		 w->generation, how,
		 (unsigned long long)((w->start_at - now) / MS_NS));
	if (!k->ready || w->quick < QUICK_FREE)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		snprintf(why, sizeof(why),
			 "%s cannot be run; "
			 "install NTMobile again",
			 k->opt->worker);
	else
		snprintf(why, sizeof(why),
			 "%s ends as soon as it is started "
			 "(%s); see its log",
			 k->opt->worker, how);
	keeper_report_ready(k, why);
	keeper_end_begin(k, 1);
}

static void worker_check(struct keeper *k)
{
	int status;

	if (k->worker.pid &&
	    waitpid(k->worker.pid, &status, WNOHANG) == k->worker.pid)
		worker_died(k, status);
}

static void worker_link_ready(struct keeper *k)
{
	int err = keeper_request_read(k);

	if (!err || err == -NTM_EAGAIN || !k->worker.pid)
		return;
	/* it is ending, or spoke nonsense: then no use to us any more */
	kill(k->worker.pid, err == -NTM_ECLOSED ? SIGTERM : SIGKILL);
	close(k->worker.link);
	k->worker.link = -1;
}

static void worker_watch(struct keeper *k)
{
	struct worker *w = &k->worker;

	if (w->state != WORKER_READY || k->ending ||
	    !watchdog_turn(&k->watchdog, keeper_now_ns()))
		return;
	log_err("keeper", "worker %u hangs: killed", w->generation);
	kill(w->pid, SIGKILL);
	watchdog_start(&k->watchdog, keeper_now_ns());
}

/* --- what else happens ------------------------------------------------------------------ */

static void signals_ready(struct keeper *k)
{
	struct signalfd_siginfo si;

	while (read(k->signals, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD) {
			worker_check(k);
			mapper_check(&k->mapper);
			for (int i = 0; i < POSTER_KINDS; i++)
				poster_check(&k->posters[i]);
		} else if (si.ssi_signo != SIGHUP) {
			keeper_end_begin(k, 0);
		} else if (k->worker.pid) {
			kill(k->worker.pid, SIGHUP);
		}
	}
}

static void inside_died(struct keeper *k)
{
	log_warn("keeper", "the inside process ended; making another");
	if (engine_revive(k->engine)) {
		log_err("keeper", "the namespace is lost; ending");
		keeper_end_begin(k, 1);
	}
}

static void interface_changed(struct keeper *k)
{
	bool new_tun;

	k->repair_at = keeper_now_ns() + REPAIR_PAUSE_NS;
	if (engine_repair(k->engine, &new_tun) < 0) {
		keeper_end_begin(k, 1);
		return;
	}
	/* the worker holds the dead TUN: the next one gets the new */
	if (new_tun && k->worker.pid)
		kill(k->worker.pid, SIGKILL);
}

static int until(uint64_t at, uint64_t now)
{
	return at <= now ? 0 : (int)((at - now) / MS_NS) + 1;
}

/* Milliseconds to wait: for the next worker, the end, the next repair, a look at the
 * worker. */
static int timeout_ms(const struct keeper *k)
{
	uint64_t now = keeper_now_ns();
	int t = -1, r;

	if (k->ending)
		t = until(k->end_at, now);
	else if (k->worker.state == WORKER_NONE)
		t = until(k->worker.start_at, now);
	if (k->repair_at > now) {
		r = until(k->repair_at, now);
		t = t < 0 || r < t ? r : t;
	}
	if (k->worker.state == WORKER_READY) {
		r = (int)(WATCHDOG_STEP_NS / MS_NS);
		t = t < 0 || r < t ? r : t;
	}
	return t;
}

enum { POLL_SIGNALS, POLL_WORKER, POLL_INSIDE, POLL_WATCH, POLL_N };

static void turn(struct keeper *k)
{
	struct pollfd p[POLL_N] = {
		[POLL_SIGNALS] = {k->signals, POLLIN, 0},
		[POLL_WORKER] = {k->worker.pid ? k->worker.link : -1, POLLIN,
				 0},
		[POLL_INSIDE] = {engine_inside_fd(k->engine), POLLIN, 0},
		[POLL_WATCH] = {k->repair_at > keeper_now_ns()
					? -1
					: engine_watch(k->engine),
				POLLIN, 0},
	};

	if (poll(p, POLL_N, timeout_ms(k)) < 0)
		return;
	if (p[POLL_WORKER].revents)
		worker_link_ready(k);
	if (p[POLL_SIGNALS].revents)
		signals_ready(k);
	if (p[POLL_INSIDE].revents && !k->ending)
		inside_died(k);
	if (p[POLL_WATCH].revents && !k->ending)
		interface_changed(k);
	worker_watch(k);
	if (k->ending && k->worker.pid && keeper_now_ns() >= k->end_at)
		kill(k->worker.pid, SIGKILL);
	if (!k->ending && k->worker.state == WORKER_NONE &&
	    keeper_now_ns() >= k->worker.start_at)
		worker_start(k);
}

/* --- beginning and end --------------------------------------------------------------- */

static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void socket_unlink(const struct keeper *k, const char *name)
{
	struct sockaddr_un sun;

	if (!unixsock_path(k->opt->rundir, name, &sun))
		unlink(sun.sun_path);
}

/* keeper.sock. What a killed predecessor left is ours to remove: we hold the lock. */
static int listener_open(struct keeper *k)
{
	int err = unixsock_listen(k->opt->rundir, SHIM_KEEPER_SOCKET,
				  SOCK_SEQPACKET, LISTEN_BACKLOG, &k->listener);

	if (err)
		return err;
	return engine_serve(k->engine, k->listener);
}

int keeper_new(const struct keeper_options *opt, struct keeper **out, char *why,
	       size_t why_size)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int err = k ? keeper_store_new(&k->store) : -NTM_ENOMEM;

	why[0] = '\0';
	if (err) {
		free(k);
		snprintf(why, why_size, "%s", err_text(err));
		return err;
	}
	k->opt = opt;
	k->listener = k->worker.link = k->outer.udp4 = k->outer.udp6 = -1;
	k->signals = signals_open();
	err = k->signals < 0 ? -NTM_ESYSTEM
			     : outer_start(opt->state, opt->port, &k->outer,
					   why, why_size);
	if (!err)
		err = engine_open(&k->engine, why, why_size);
	if (!err)
		err = listener_open(k);
	if (err) {
		if (!why[0])
			snprintf(why, why_size, "%s: %s", opt->rundir,
				 strerror(errno));
		keeper_free(k);
		return err;
	}
	*out = k;
	return 0;
}

void keeper_free(struct keeper *k)
{
	if (k->listener >= 0) {
		socket_unlink(k, SHIM_KEEPER_SOCKET);
		socket_unlink(k, SHIM_BROKER_SOCKET);
		socket_unlink(k, "post.sock");
		socket_unlink(k, "member.sock");
		close(k->listener);
	}
	if (k->engine)
		engine_close(k->engine);
	outer_close(&k->outer);
	if (k->signals >= 0)
		close(k->signals);
	keeper_store_free(k->store);
	free(k);
}

int keeper_run(struct keeper *k, void (*ready)(void *arg, const char *why),
	       void *arg)
{
	k->ready = ready;
	k->ready_arg = arg;
	worker_start(k);
	while (!k->ending || k->worker.pid)
		turn(k);
	keeper_report_ready(k, "the broker was told to end before it served");
	return k->status;
}

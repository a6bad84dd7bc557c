/* SPDX-License-Identifier: MIT */
/*
 * supervisor - `ntm-server run`: bind, fork a process per role, start them again
 *
 * Theory of operation
 *
 *   lock the folder, bind every socket      as the user who started us
 *   fork each role                          it drops privileges, then runs
 *   wait for signals                        CHLD, TERM, INT, HUP
 *
 * The listening sockets stay open here, so a role that died is started again on
 * the same ones and loses only what it had in memory. It is started again after
 * 100 ms, doubling up to 30 s while it keeps dying young, and at once when it asks
 * for it (ROLE_EXIT_RESTART). TERM stops the roles in the reverse order of their
 * start and waits; after 10 s the rest is killed. HUP is checked here and handed
 * on to the roles.
 *
 * No event loop: signals are blocked and waited for. libevent keeps its signal
 * handlers in globals that a child would share with us.
 */
#include "servers/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "servers/datadir.h"
#include "servers/role.h"
#include "servers/sockets.h"

#define CHILDREN_MAX 16
#define MS_NS	     1000000u
#define NEVER	     UINT64_MAX

struct child {
	const struct role *role;
	struct role_sockets sockets;
	pid_t pid; /* 0: not running */
	uint64_t started_ms, start_at_ms;
	unsigned int backoff_ms;
};

struct supervisor {
	const char *dir;
	char conf_path[DATADIR_PATH_MAX];
	struct server_conf *conf;
	int lock;
	struct child children[CHILDREN_MAX];
	size_t n;
	bool stopping;
	uint64_t kill_at_ms;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / MS_NS;
}

/* --- children ------------------------------------------------------------------ */

/* in the child: nothing of the supervisor's but this role's sockets is left */
static int child_main(struct supervisor *sv, struct child *c)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigemptyset(&none);
	for (size_t i = 0; i < sv->n; i++)
		if (&sv->children[i] != c)
			sockets_close(&sv->children[i].sockets);
	close(sv->lock);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return role_main(c->role, sv->dir, sv->conf_path, sv->conf,
			 &c->sockets);
}

static void child_start(struct supervisor *sv, struct child *c)
{
	pid_t pid;

	c->started_ms = now_ms();
	pid = fork();
	if (pid < 0) {
		log_err(c->role->name, "cannot fork: %s", strerror(errno));
		c->start_at_ms = now_ms() + c->backoff_ms;
		return;
	}
	if (!pid)
		_exit(child_main(sv, c));
	c->pid = pid;
	c->start_at_ms = NEVER;
	log_info(c->role->name, "started, process %d", (int)pid);
}

static void child_backoff(struct child *c)
{
	if (now_ms() - c->started_ms > SUPERVISOR_STABLE_S * 1000u)
		c->backoff_ms = SUPERVISOR_BACKOFF_MIN_MS;
	log_err(c->role->name, "starts again in %u ms", c->backoff_ms);
	c->start_at_ms = now_ms() + c->backoff_ms;
	c->backoff_ms *= 2;
	if (c->backoff_ms > SUPERVISOR_BACKOFF_MAX_MS)
		c->backoff_ms = SUPERVISOR_BACKOFF_MAX_MS;
}

static void child_ended(struct supervisor *sv, struct child *c, int status)
{
	c->pid = 0;
	if (WIFSIGNALED(status))
		log_err(c->role->name, "ended by signal %d", WTERMSIG(status));
	else
		log_info(c->role->name, "ended with status %d",
			 WEXITSTATUS(status));
	if (sv->stopping)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == ROLE_EXIT_RESTART)
		c->start_at_ms = 0;
	else
		child_backoff(c);
}

static void children_wait(struct supervisor *sv)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < sv->n; i++)
			if (sv->children[i].pid == pid)
				child_ended(sv, &sv->children[i], status);
}

/* roles end in the reverse order of their start, one after the other;
 * Return: false when none is left */
static bool stop_next(struct supervisor *sv)
{
	for (size_t i = sv->n; i-- > 0;) {
		if (!sv->children[i].pid)
			continue;
		kill(sv->children[i].pid, SIGTERM);
		return true;
	}
	return false;
}

static void kill_all(struct supervisor *sv)
{
	for (size_t i = 0; i < sv->n; i++)
		if (sv->children[i].pid) {
			log_err(sv->children[i].role->name, "killed");
			kill(sv->children[i].pid, SIGKILL);
		}
	sv->kill_at_ms = NEVER;
}

/* --- configuration ----------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static void reload(struct supervisor *sv)
{
	const struct server_conf *o = sv->conf;
	char error[SERVERCONF_ERROR_LEN];
	struct server_conf c;

	if (serverconf_load(sv->conf_path, &c, error)) {
		log_err("server", "configuration not reloaded: %s", error);
		return;
	}
	if (!same(o->roles, c.roles) || !same(o->as_listen, c.as_listen) ||
	    !same(o->dc_listen, c.dc_listen) ||
	    !same(o->dns_listen, c.dns_listen) ||
	    !same(o->rs_listen, c.rs_listen) ||
	    !same(o->exit_listen, c.exit_listen) ||
	    !same(o->ns_listen, c.ns_listen) || o->ns_port != c.ns_port ||
	    !same(o->cs_listen, c.cs_listen) || o->cs_port != c.cs_port ||
	    !same(o->box_listen, c.box_listen) || o->box_port != c.box_port ||
	    !same(o->gms_listen, c.gms_listen) || o->gms_port != c.gms_port ||
	    o->exit_port != c.exit_port || o->as_port != c.as_port ||
	    o->dc_port != c.dc_port || o->dns_port != c.dns_port ||
	    o->rs_port != c.rs_port || o->rs_other_port != c.rs_other_port ||
	    o->rs_tls_port != c.rs_tls_port || o->rs_threads != c.rs_threads ||
	    o->dns_enable != c.dns_enable)
		log_warn("server",
			 "roles, listen and port change at the next start");
	serverconf_clear(&c);
	for (size_t i = 0; i < sv->n; i++)
		if (sv->children[i].pid)
			kill(sv->children[i].pid, SIGHUP);
}

/* --- start and stop ------------------------------------------------------------------- */

static int take_lock(struct supervisor *sv)
{
	char path[DATADIR_PATH_MAX];
	unsigned int uid, gid;

	if (datadir_path(sv->dir, DATADIR_LOCK, path))
		return -NTM_EINVAL;
	sv->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (sv->lock < 0)
		return errno == EACCES ? -NTM_EPERM : -NTM_ESTORE;
	/* root made it; the folder's owner may need it later */
	if (geteuid() == 0 &&
	    (datadir_owner(sv->dir, &uid, &gid) || fchown(sv->lock, uid, gid)))
		return -NTM_EPERM;
	if (flock(sv->lock, LOCK_EX | LOCK_NB)) {
		log_err("server", "another ntm-server runs in %s", sv->dir);
		return -NTM_EEXISTS;
	}
	return 0;
}

/* The ends stay open here: who is started again has the one that it had. */
static int pair_roles(struct supervisor *sv)
{
	struct role_sockets *first = NULL;

	for (size_t i = 0; i < sv->n; i++) {
		struct child *c = &sv->children[i];

		if (!(c->role->flags & ROLE_PAIR))
			continue;
		if (first)
			return sockets_pair(first, &c->sockets);
		first = &c->sockets;
	}
	return 0;
}

static int bind_roles(struct supervisor *sv)
{
	char error[SOCKETS_ERROR_LEN];

	for (const struct role *r = role_table; r->name; r++) {
		struct child *c = &sv->children[sv->n];
		int err;

		if (!role_is_wanted(r, sv->conf))
			continue;
		if (sv->n == CHILDREN_MAX)
			return -NTM_ELIMIT;
		err = sockets_bind(r, sv->conf, sv->dir, &c->sockets, error);
		if (err && r->flags & ROLE_SPARED && error[0]) {
			log_warn("server", "%s; %s is left out", error,
				 r->name);
			continue;
		}
		if (err) {
			log_err("server", "%s", error);
			return err;
		}
		c->role = r;
		c->backoff_ms = SUPERVISOR_BACKOFF_MIN_MS;
		sv->n++;
	}
	return sv->n ? pair_roles(sv) : -NTM_ECONF;
}

/* --- signals ------------------------------------------------------------------------ */

static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigprocmask(SIG_BLOCK, set, NULL);
}

/* start what is due; Return: ms until the next is, or the kill */
static uint64_t children_start(struct supervisor *sv)
{
	uint64_t now = now_ms(), next = sv->kill_at_ms;

	for (size_t i = 0; i < sv->n && !sv->stopping; i++) {
		struct child *c = &sv->children[i];

		if (!c->pid && c->start_at_ms <= now)
			child_start(sv, c);
		if (!c->pid && c->start_at_ms < next)
			next = c->start_at_ms;
	}
	return next == NEVER ? NEVER : next > now ? next - now : 0;
}

static void watch(struct supervisor *sv, const sigset_t *set)
{
	for (;;) {
		uint64_t ms = children_start(sv);
		struct timespec limit = {.tv_sec = (time_t)(ms / 1000),
					 .tv_nsec = (long)(ms % 1000 * MS_NS)};
		int signo = ms == NEVER ? sigwaitinfo(set, NULL)
					: sigtimedwait(set, NULL, &limit);

		if (sv->kill_at_ms <= now_ms())
			kill_all(sv);
		if (signo == SIGHUP && !sv->stopping)
			reload(sv);
		if ((signo == SIGTERM || signo == SIGINT) && !sv->stopping) {
			log_info("server", "stopping");
			sv->stopping = true;
			sv->kill_at_ms = now_ms() + SUPERVISOR_STOP_S * 1000u;
			if (!stop_next(sv))
				return;
		}
		if (signo != SIGCHLD)
			continue;
		children_wait(sv);
		if (sv->stopping && !stop_next(sv))
			return;
	}
}

int supervisor_run(const char *dir, struct server_conf *conf)
{
	struct supervisor sv = {
		.dir = dir, .conf = conf, .lock = -1, .kill_at_ms = NEVER};
	sigset_t set;
	int r = datadir_file(dir, DATADIR_CONF, sv.conf_path);

	block_signals(&set);
	if (!r)
		r = take_lock(&sv);
	if (!r)
		r = bind_roles(&sv);
	if (!r) {
		log_info("server", "domain %s, folder %s", conf->domain, dir);
		watch(&sv, &set);
	}
	for (size_t i = 0; i < sv.n; i++) {
		char path[DATADIR_PATH_MAX], name[32];

		sockets_close(&sv.children[i].sockets);
		snprintf(name, sizeof(name), "%s.sock",
			 sv.children[i].role->name);
		if (!datadir_path(dir, name, path))
			unlink(path);
	}
	if (sv.lock >= 0)
		close(sv.lock);
	if (r && r != -NTM_EEXISTS) /* another one runs: said already */
		log_err("server", "ends: %s", err_text(r));
	else if (!r)
		log_info("server", "stopped");
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}

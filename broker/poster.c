/* SPDX-License-Identifier: MIT */
/*
 * poster - the keeper's children beside the worker: ntm-post (items), ntm-member (groups)
 *
 * They are ordinary programs of ours on the host's network. ntm-post is under libntm.so
 * as if ntm-run had started it, so that a virtual address is reached by its connect().
 * Descriptors come as systemd hands them over: from 3 on, the link to the worker
 * first, their names in LISTEN_FDNAMES.
 */
#include "broker/poster.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"

#define FIRST_FD  3
#define HIGH_FD	  64 /* above all that are handed over */
#define NAMES_MAX 64

static bool beside(const char *worker, const char *name, char out[PATH_MAX])
{
	const char *slash = strrchr(worker, '/');
	int n = snprintf(out, PATH_MAX, "%.*s%s",
			 slash ? (int)(slash + 1 - worker) : 0, worker, name);

	return n > 0 && n < PATH_MAX;
}

/* where the build, or `make install`, puts it */
static bool library_find(const char *worker, char out[PATH_MAX])
{
	static const char *const places[] = {"../lib/libntm.so",
					     "../../lib/libntm.so"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (beside(worker, places[i], path) && realpath(path, out))
			return true;
	return false;
}

static void preload(const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	char value[2 * PATH_MAX];
	int n = snprintf(value, sizeof(value), "%s%s%s", library,
			 old && *old ? ":" : "", old ? old : "");

	if (n > 0 && (size_t)n < sizeof(value))
		setenv("LD_PRELOAD", value, 1);
}

/* 3, 4, ..., and nothing behind. Return: false: it cannot be */
static bool descriptors(const int *fds, size_t n)
{
	int high[1 + POSTER_MAX];

	for (size_t i = 0; i < n; i++) {
		high[i] = fcntl(fds[i], F_DUPFD, HIGH_FD);
		if (high[i] < 0)
			return false;
	}
	for (size_t i = 0; i < n; i++)
		if (dup2(high[i], FIRST_FD + (int)i) < 0)
			return false;
	return !syscall(SYS_close_range, FIRST_FD + (unsigned int)n, ~0u, 0);
}

struct start {
	enum poster_kind kind;
	const struct poster_is *is;
	char path[PATH_MAX], library[PATH_MAX], names[NAMES_MAX];
	int fds[1 + POSTER_MAX];
	size_t n;
};

static void poster_exec(const struct keeper_options *opt, const struct start *s,
			pid_t parent)
{
	char config[PATH_MAX + 16], state[PATH_MAX + 16], rundir[PATH_MAX + 16];
	char level[32], number[16];
	char program[16];
	char *argv[] = {program, config, state, rundir, level, NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || !descriptors(s->fds, s->n))
		_exit(1);
	snprintf(program, sizeof(program), "%s", s->is->program);
	snprintf(config, sizeof(config), "--config=%s", opt->config);
	snprintf(state, sizeof(state), "--state=%s", opt->state);
	snprintf(rundir, sizeof(rundir), "--rundir=%s", opt->rundir);
	snprintf(level, sizeof(level), "--log-level=%s", opt->log_level);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%zu", s->n);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", s->names, 1);
	if (s->is->virtual_too)
		preload(s->library);
	execv(s->path, argv);
	_exit(127);
}

static void sockets_take(struct start *s, const struct keeper_store *store)
{
	const char *const *names = s->is->names;
	char key[KEEPER_KEY_MAX];
	size_t len = (size_t)snprintf(s->names, sizeof(s->names), "link");

	for (int i = 0; i < POSTER_MAX && names[i]; i++) {
		poster_key(s->kind, i, key);
		s->fds[s->n] = keeper_store_fd(store, key);
		if (s->fds[s->n] < 0)
			continue;
		s->n++;
		len += (size_t)snprintf(s->names + len, sizeof(s->names) - len,
					":%s", names[i]);
	}
}

int poster_start(struct poster *p, const struct keeper_options *opt,
		 const struct keeper_store *store, int *fd)
{
	struct start s = {
		.kind = p->kind, .is = &poster_kinds[p->kind], .n = 1};
	pid_t me = getpid();
	int sv[2];

	if (p->pid)
		return -NTM_EEXISTS;
	if (!beside(opt->worker, s.is->program, s.path) ||
	    access(s.path, X_OK) ||
	    (s.is->virtual_too && !library_find(opt->worker, s.library)))
		return -NTM_ENOTFOUND;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return -NTM_ESYSTEM;
	s.fds[0] = sv[1];
	sockets_take(&s, store);
	p->pid = fork();
	if (p->pid == 0)
		poster_exec(opt, &s, me);
	close(sv[1]);
	if (p->pid < 0) {
		p->pid = 0;
		close(sv[0]);
		return -NTM_ESYSTEM;
	}
	log_debug("poster", "%s is process %d", s.is->program, (int)p->pid);
	*fd = sv[0];
	return 0;
}

void poster_end(const struct poster *p)
{
	if (p->pid)
		kill(p->pid, SIGTERM);
}

void poster_check(struct poster *p)
{
	int status;

	if (!p->pid || waitpid(p->pid, &status, WNOHANG) != p->pid)
		return;
	p->pid = 0;
	if (WIFSIGNALED(status))
		log_warn("poster", "%s was ended by signal %d",
			 poster_kinds[p->kind].program, WTERMSIG(status));
	else if (WEXITSTATUS(status))
		log_warn("poster", "%s ended with status %d",
			 poster_kinds[p->kind].program, WEXITSTATUS(status));
}

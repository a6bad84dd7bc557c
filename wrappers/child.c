/* SPDX-License-Identifier: MIT */
/*
 * child - run a program to its end, from within any process
 *
 * Theory of operation
 *
 * The program is the child of a process in between, which is made without a signal for
 * its end: such a one is neither reaped by itself where SIGCHLD is ignored, nor found by
 * a waitpid() that does not ask for it (__WCLONE). With exec() it would become a child
 * as any other: so it stays, waits for the program with SIGCHLD as it is by default, and
 * ends as that did. It has none of our descriptors, so that what the process closes
 * meanwhile is closed, and runs none of its signal handlers.
 */
#include "wrappers/child.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void handlers_forget(void)
{
	const struct sigaction as_ever = {.sa_handler = SIG_DFL};
	struct sigaction now;
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		if (!sigaction(sig, NULL, &now) &&
		    (sig == SIGCHLD || now.sa_handler != SIG_IGN))
			(void)sigaction(sig, &as_ever, NULL);
}

/* A copy of a process of many threads, of which this one alone is left: nothing but
 * calls that signal handlers may make. @mask: of signals, before they were all held */
static void __attribute__((noreturn))
between(const char *file, char *const argv[], const sigset_t *mask)
{
	int status;
	pid_t pid;

	handlers_forget();
	pid = _Fork();
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (!pid) {
		execvp(file, argv);
		_exit(CHILD_NOT_RUN);
	}
	close_range(0, ~0U, 0);
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			pid = -1;
	if (pid < 0)
		_exit(CHILD_NOT_RUN);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int child_run(const char *file, char *const argv[])
{
	sigset_t all, mask;
	int status;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	/* as fork(), but for SIGCHLD; in whatever order a machine has them, all are 0 */
	pid = (pid_t)syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);
	if (!pid)
		between(file, argv, &mask);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	if (pid < 0)
		return -NTM_ESYSTEM;
	while (waitpid(pid, &status, __WCLONE) < 0)
		if (errno != EINTR)
			return -NTM_ESYSTEM;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* SPDX-License-Identifier: MIT */
/* mapper - the keeper's child that asks the router for a mapping: ntm-portmap */
#include "broker/mapper.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINK_FD 3 /* in the child */

static void mapper_exec(const char *worker, int link)
{
	const char *slash = strrchr(worker, '/');
	char path[PATH_MAX + 16];
	char *argv[] = {"ntm-portmap", NULL}, *envp[] = {NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	snprintf(path, sizeof(path), "%.*sntm-portmap",
		 slash ? (int)(slash + 1 - worker) : 0, worker);
	if (link == LINK_FD ? fcntl(link, F_SETFD, 0) < 0
			    : dup2(link, LINK_FD) < 0)
		_exit(1);
	syscall(SYS_close_range, LINK_FD + 1, ~0u, 0);
	execve(path, argv, envp);
	_exit(127);
}

int mapper_start(struct mapper *m, const char *worker, int *fd)
{
	int sv[2];

	if (m->pid) {
		kill(m->pid, SIGKILL);
		waitpid(m->pid, NULL, 0);
		m->pid = 0;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return -NTM_ESYSTEM;
	m->pid = fork();
	if (m->pid == 0)
		mapper_exec(worker, sv[1]);
	close(sv[1]);
	if (m->pid < 0) {
		m->pid = 0;
		close(sv[0]);
		return -NTM_ESYSTEM;
	}
	*fd = sv[0];
	return 0;
}

void mapper_check(struct mapper *m)
{
	if (m->pid && waitpid(m->pid, NULL, WNOHANG) == m->pid)
		m->pid = 0;
}

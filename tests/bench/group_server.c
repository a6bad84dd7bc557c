/* SPDX-License-Identifier: MIT */
/* group_server - a GMS as a process of its own, whose renewals are begun by hand */
#include "tests/bench/group_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "servers/datadir.h"
#include "servers/gms/gms.h"
#include "servers/gms/state.h"
#include "tests/bench/group_crowd.h"

static void go_to(const char *host)
{
	int fd = open(host, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET)) {
		perror(host);
		exit(1);
	}
	close(fd);
}

static int listening(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET,
				  .sin_port = htons(GROUP_SERVER_PORT)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	    on = 1;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 512)) {
		perror("group_load: port 4509");
		exit(1);
	}
	return fd;
}

/* what its timer does when renew_s has passed */
static void renew_one(void *arg, struct ledger_group *lg)
{
	must(follow_renew(arg, lg, true), "renewal");
}

static void on_renew(void *arg, int fd, unsigned int events)
{
	struct gms *gms = arg;
	char c;

	(void)events;
	if (read(fd, &c, 1) == 1)
		ledger_each(gms->ledger, renew_one, gms);
}

static void serve(const char *dir, int renew, int ready)
{
	char path[DATADIR_PATH_MAX], error[SERVERCONF_ERROR_LEN];
	static struct server_conf conf;
	static struct role_env env;
	struct loop_io *io;
	struct gms *gms;

	must(datadir_path(dir, "ntm-server.conf", path), "folder");
	must(serverconf_load(path, &conf, error), path);
	must(loop_new(&env.loop), "loop");
	env.dir = dir;
	env.conf = &conf;
	env.sockets.tcp[0] = listening();
	env.sockets.n_tcp = 1;
	env.sockets.admin = -1;
	must(gms_new(&env, &gms), "gms");
	must(loop_io_add(env.loop, renew, LOOP_READ, false, on_renew, gms, &io),
	     "pipe");
	must(write(ready, "r", 1) == 1 ? 0 : -NTM_ESYSTEM, "pipe");
	close(ready);
	for (;;)
		must(loop_turn(env.loop, true), "loop");
}

void group_server_start(struct group_server *s, const char *dir,
			const char *host)
{
	int ends[2], ready[2];
	char c;

	must(pipe(ends) || pipe(ready) ? -NTM_ESYSTEM : 0, "pipe");
	s->pid = fork();
	must(s->pid < 0 ? -NTM_ESYSTEM : 0, "a process for the GMS");
	if (!s->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[1]);
		close(ready[0]);
		if (host)
			go_to(host);
		serve(dir, ends[0], ready[1]);
	}
	s->renew = ends[1];
	close(ends[0]);
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1) /* it has said why */
		exit(1);
	close(ready[0]);
}

void group_server_stop(struct group_server *s)
{
	kill(s->pid, SIGTERM);
	waitpid(s->pid, NULL, 0);
	close(s->renew);
}

/* SPDX-License-Identifier: MIT */
/* shim_bench - what the figures of the shim share */
#include "tests/bench/shim_bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/rundir.h"
#include "preload/shimproto.h"

#define SERVERS_MAX 8

static pid_t servers[SERVERS_MAX];
static size_t n_servers;

void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	servers_stop();
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct sockaddr_in endpoint(const char *ip, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons(port)};

	if (inet_pton(AF_INET, ip, &in.sin_addr) != 1) {
		errno = EINVAL;
		fail(ip);
	}
	return in;
}

static int keeper_connect(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    rundir_file(SHIM_KEEPER_SOCKET, sun.sun_path,
			sizeof(sun.sun_path)) ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		fail("keeper.sock");
	return fd;
}

static int keeper_ask(int keeper, int type)
{
	const struct shim_request req = {
		.op = SHIM_SOCKET, .domain = AF_INET, .type = (uint16_t)type};
	uint8_t buf[SHIM_MSG_MAX];
	struct shim_answer ans;
	ssize_t n;
	int fd;

	n = shim_request_put(&req, buf);
	if (n < 0 || shim_msg_send(keeper, buf, (size_t)n, -1))
		fail("asking the keeper");
	n = shim_msg_recv(keeper, buf, sizeof(buf), &fd, 0);
	if (n <= 0 || shim_answer_get(buf, (size_t)n, &ans) || ans.err ||
	    fd < 0)
		fail("the keeper's answer");
	return fd;
}

void sockets_make(bool is_virtual, int type, int *fd, int n)
{
	struct rlimit rl;
	int keeper, i;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	keeper = is_virtual ? keeper_connect() : -1;
	for (i = 0; i < n; i++) {
		fd[i] = is_virtual ? keeper_ask(keeper, type)
				   : socket(AF_INET, type | SOCK_CLOEXEC, 0);
		if (fd[i] < 0)
			fail("socket");
	}
	if (keeper >= 0)
		close(keeper);
}

uint16_t server_start(const char *self, const char *lib, const char *arg)
{
	char line[64] = "";
	unsigned int port;
	int out[2];
	FILE *f;
	pid_t pid;

	if (n_servers == SERVERS_MAX || pipe(out) < 0)
		fail("server");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		if (lib)
			setenv("LD_PRELOAD", lib, 1);
		else
			unsetenv("LD_PRELOAD");
		execl(self, self, "server", arg, NULL);
		_exit(127);
	}
	servers[n_servers++] = pid;
	close(out[1]);
	f = fdopen(out[0], "r");
	if (!f || !fgets(line, sizeof(line), f) ||
	    sscanf(line, "ready %u", &port) != 1) {
		errno = ENOEXEC;
		fail("the server did not start");
	}
	fclose(f);
	return (uint16_t)port;
}

void server_ready(uint16_t port)
{
	printf("ready %u\n", port);
	fflush(stdout);
	fclose(stdout);
}

void servers_stop(void)
{
	while (n_servers) {
		kill(servers[--n_servers], SIGKILL);
		waitpid(servers[n_servers], NULL, 0);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double quantile(double *v, int n, double q)
{
	qsort(v, (size_t)n, sizeof(*v), compare);
	return v[(int)((n - 1) * q + 0.5)];
}

void figure(const char *name, double value, const char *unit, bool at_least,
	    double target)
{
	bool ok = at_least ? value >= target : value <= target;

	printf("%-34s %12.1f %-8s %s%-10.0f %s\n", name, value, unit,
	       at_least ? ">=" : "<=", target, ok ? "ok" : "short");
}

void note(const char *fmt, ...)
{
	va_list ap;

	fputs("# ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* SPDX-License-Identifier: MIT */
/* fixture - a real ntm-broker with the worker that stands in, and hands to poke it */
#include "tests/unit/broker/engine/fixture.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#define PATIENCE_MS 5000

static char home[64];

static const char *built(const char *name, char *buf, size_t size)
{
	const char *o = getenv("O");

	snprintf(buf, size, "%s/%s", o ? o : "build", name);
	return buf;
}

const char *run_path(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/ntm/%s", home, name);
	return path;
}

/* --- the broker --------------------------------------------------------------------- */

int broker_start(const char *env, char *out, size_t size)
{
	char program[256], worker[280], text[256] = "";
	int ends[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		if (env)
			putenv((char *)env);
		built("tests/standin", program, sizeof(program));
		snprintf(worker, sizeof(worker), "--worker=%s", program);
		built("bin/ntm-broker", program, sizeof(program));
		execl(program, program, "--background", "--log-level=debug",
		      worker, NULL);
		_exit(127);
	}
	close(ends[1]);
	while (len < sizeof(text) - 1 &&
	       (n = read(ends[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (out)
		snprintf(out, size, "%s", text);
	else if (len)
		print_message("%s", text);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

pid_t broker_pid(void)
{
	char text[16] = "";
	int fd = open(run_path("lock"), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	(void)!read(fd, text, sizeof(text) - 1);
	close(fd);
	return atoi(text);
}

bool gone(void *pid)
{
	return kill(*(pid_t *)pid, 0) < 0 && errno == ESRCH;
}

bool await(bool (*fn)(void *arg), void *arg, int ms)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	int i;

	for (i = 0; i < ms / 2; i++) {
		if (fn(arg))
			return true;
		nanosleep(&pause, NULL); /* of other processes: look again */
	}
	return fn(arg);
}

void broker_stop(void)
{
	pid_t pid = broker_pid();

	if (pid <= 0 || gone(&pid))
		return;
	kill(pid, SIGTERM);
	assert_true(await(gone, &pid, PATIENCE_MS));
}

int fixture_setup(void **state)
{
	static const char *const xdg[] = {"HOME", "XDG_RUNTIME_DIR",
					  "XDG_CONFIG_HOME", "XDG_STATE_HOME"};
	size_t i;

	(void)state;
	strcpy(home, "/tmp/ntm-engine-XXXXXX");
	if (!mkdtemp(home))
		return -1;
	for (i = 0; i < sizeof(xdg) / sizeof(xdg[0]); i++)
		setenv(xdg[i], home, 1);
	return broker_start(NULL, NULL, 0);
}

int fixture_teardown(void **state)
{
	char command[100];

	(void)state;
	broker_stop();
	snprintf(command, sizeof(command), "rm -rf '%s'", home);
	return system(command);
}

/* --- the stand-in ------------------------------------------------------------------------ */

long standin(const char *name)
{
	FILE *f = fopen(run_path("standin"), "re");
	char key[32];
	long value, found = -1;

	if (!f)
		return -1;
	while (fscanf(f, "%31s %ld", key, &value) == 2)
		if (!strcmp(key, name))
			found = value;
	fclose(f);
	return found;
}

struct reach {
	const char *name;
	long value;
};

static bool reached(void *arg)
{
	const struct reach *r = arg;

	return standin(r->name) >= r->value;
}

bool standin_reaches(const char *name, long value)
{
	struct reach r = {name, value};

	return await(reached, &r, PATIENCE_MS);
}

static bool comm_is(pid_t pid, const char *comm, pid_t parent)
{
	char path[64], text[512] = "", name[32] = "";
	int fd, ppid = 0;
	char *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	(void)!read(fd, text, sizeof(text) - 1);
	close(fd);
	end = strrchr(text, ')');
	if (!end || sscanf(text, "%*d (%31[^)]", name) != 1 ||
	    sscanf(end, ") %*c %d", &ppid) != 1)
		return false;
	return ppid == parent && !strcmp(name, comm);
}

pid_t child_of_broker(const char *comm)
{
	pid_t parent = broker_pid(), found = 0;
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (atoi(e->d_name) > 0 &&
		    comm_is(atoi(e->d_name), comm, parent))
			found = atoi(e->d_name);
	if (d)
		closedir(d);
	return found;
}

/* --- requests ------------------------------------------------------------------------------- */

int server_connect(const char *server)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_sec = 5};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", run_path(server));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

int ask(const char *server, const struct shim_request *req,
	struct shim_answer *ans, int *fd)
{
	uint8_t buf[SHIM_MSG_MAX];
	struct shim_answer own;
	int sock = server_connect(server), got = -1;
	ssize_t n = shim_request_put(req, buf);

	assert_true(n > 0);
	assert_int_equal(shim_msg_send(sock, buf, (size_t)n, -1), 0);
	n = shim_msg_recv(sock, buf, sizeof(buf), &got, 0);
	assert_true(n > 0);
	assert_int_equal(shim_answer_get(buf, (size_t)n, &own), 0);
	assert_int_equal(own.op, req->op);
	close(sock);
	if (ans)
		*ans = own;
	if (fd)
		*fd = got;
	else if (got >= 0)
		close(got);
	return own.err;
}

int inside_socket_get(int domain, int type)
{
	const struct shim_request req = {.op = SHIM_SOCKET,
					 .domain = (uint16_t)domain,
					 .type = (uint16_t)type};
	const struct timeval patience = {.tv_sec = 5};
	int fd;

	assert_int_equal(ask(SHIM_KEEPER_SOCKET, &req, NULL, &fd), 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

bool is_inside(int fd)
{
	uint64_t mine = 0, its = 0;
	socklen_t len = sizeof(mine);
	int host = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(
		getsockopt(host, SOL_SOCKET, SO_NETNS_COOKIE, &mine, &len), 0);
	assert_int_equal(
		getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &its, &len), 0);
	close(host);
	return mine != its;
}

socklen_t addr_make(union sockaddr_any *a, const char *ip, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, ip, &a->in4.sin_addr) == 1) {
		a->in4.sin_family = AF_INET;
		a->in4.sin_port = htons(port);
		return sizeof(a->in4);
	}
	assert_int_equal(inet_pton(AF_INET6, ip, &a->in6.sin6_addr), 1);
	a->in6.sin6_family = AF_INET6;
	a->in6.sin6_port = htons(port);
	return sizeof(a->in6);
}

uint64_t inode_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

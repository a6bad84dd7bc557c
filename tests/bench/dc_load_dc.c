/* SPDX-License-Identifier: MIT */
/* dc_load_dc - the DC's process: its own code, on a core of its own, with nodes in its tables */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "servers/cli.h"
#include "servers/dc/state.h"
#include "servers/sockets.h"
#include "tests/bench/dc_load.h"

static char dir[] = "/tmp/ntm-dc-load-XXXXXX";

static void add_node(struct dc *dc, uint32_t i, const struct endpoint *at)
{
	uint8_t ed[32], x[32], sig[64];
	struct node_keys k = {.ed_pub = ed, .x_pub = x, .x_sig = sig};
	struct ntmc_key kntmdc;
	char fqdn[128];
	struct node *n;
	uint32_t h;

	fqdn_of(i, fqdn, sizeof(fqdn));
	k.fqdn = fqdn;
	memset(ed, 0x11, sizeof(ed));
	memcpy(ed, &i, sizeof(i));
	memset(x, 0x22, sizeof(x));
	memset(sig, 0x33, sizeof(sig));
	kntmdc_of(i, &kntmdc);
	if (nodes_put(&dc->nodes, &k, &h) ||
	    nodes_add_session(&dc->nodes, h, id_of(i), &kntmdc,
			      NTMC_AES_256_GCM, (uint32_t)(time(NULL) + 86400)))
		die("a node");
	n = nodes_at(&dc->nodes, h);
	n->at = *at;
	n->flags |= NODE_PROVEN;
	n->heard_s = n->registered_s = dc_now_s(dc);
	for (uint8_t a = 0; a < 4; a++) { /* IPv4 and IPv6 of two interfaces */
		n->addrs[a].ip[15] = (uint8_t)(a + 1);
		n->addrs[a].ip[0] = 0x20;
		n->addrs[a].ip[1] = 0x01;
		n->addrs[a].port = 4500;
	}
	n->n_addrs = 4;
}

static struct dc *start_dc(struct role_env *env, struct server_conf *conf)
{
	char path[128], error[SERVERCONF_ERROR_LEN];
	struct dc *dc;

	snprintf(path, sizeof(path), "%s/ntm-server.conf", dir);
	if (serverconf_load(path, conf, error))
		die(error);
	conf->dc_port = 14502;
	conf->dc_loopback = true;
	conf->dc_direction_rate = 0;
	conf->dc_keepalive = 3600;
	env->conf = conf;
	env->dir = dir;
	if (loop_new(&env->loop) ||
	    sockets_bind(role_find("dc"), conf, dir, &env->sockets, error))
		die(error);
	close(env->sockets.admin);
	if (dc_new(env, &dc))
		die("dc_new");
	return dc;
}

static void run_dc(uint32_t nodes, uint16_t load_port, int ready)
{
	struct endpoint at = {.port = load_port};
	static struct server_conf conf;
	static struct role_env env;
	struct dc *dc;

	pin(0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dc = start_dc(&env, &conf);
	at.ip[10] = at.ip[11] = 0xff;
	at.ip[12] = 127;
	at.ip[15] = 1;
	for (uint32_t i = 0; i < nodes; i++)
		add_node(dc, i, &at);
	if (write(ready, "r", 1) != 1 || loop_run(env.loop))
		die("run");
}

double dc_cpu_seconds(pid_t pid)
{
	unsigned long user, sys;
	char path[64];
	FILE *f;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		die(path);
	n = fscanf(f,
		   "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
		   "%lu %lu",
		   &user, &sys);
	fclose(f);
	return n == 2 ? (double)(user + sys) / (double)sysconf(_SC_CLK_TCK) : 0;
}

void dc_folder(void)
{
	struct cli c = {.domain = "example.org",
			.user = "root",
			.listen = {"127.0.0.1"},
			.n_listen = 1};
	FILE *quiet;

	if (!mkdtemp(dir))
		die(dir);
	strcpy(c.dir, dir);
	quiet = freopen("/dev/null", "w", stdout);
	if (!quiet || cli_init(&c))
		die("init");
}

pid_t dc_fork(uint32_t nodes, uint16_t port)
{
	int ready[2];
	pid_t pid;
	char c;

	if (pipe(ready))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		close(ready[0]);
		run_dc(nodes, port, ready[1]);
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		die("the DC did not start");
	close(ready[0]);
	return pid;
}

void dc_end(pid_t pid)
{
	char command[64];

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command))
		fprintf(stderr, "dc_load: %s is left over\n", dir);
}

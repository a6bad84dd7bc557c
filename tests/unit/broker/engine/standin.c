/* SPDX-License-Identifier: MIT */
/*
 * standin - a worker without protocols: real keeper link and shim server, names from
 *           a table, no tunnels; for the tests and benches of engine and shims
 *
 * Names: self.test is this node, peer.test a virtual address nobody has, slow.test is
 * never answered; all else is unknown. Counters are written to RUNDIR/standin, a
 * line each, whenever they change.
 * Environment: STANDIN_REFUSE (a sentence), STANDIN_DIE (exit at once).
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/keeper_link.h"
#include "broker/shimserver.h"
#include "common/log.h"
#include "common/loop.h"

#define STATS_NS LOOP_MS(20)

struct standin {
	struct loop *loop;
	struct keeper_link *keeper;
	struct shimserver *shims;
	struct loop_timer *timer, *beat;
	struct engine_config conf;
	uint64_t cancelled;
	char last[512];
};

static void resolve(void *arg, const char *name, struct shim_ticket *ticket)
{
	struct standin *s = arg;
	uint8_t vip6[16], vip4[4];

	if (!strcmp(name, "slow.test"))
		return;
	memcpy(vip6, s->conf.vip6, 16);
	memcpy(vip4, s->conf.vip4, 4);
	if (!strcmp(name, "peer.test")) {
		vip6[15] = 0x77;
		vip4[3] = 0x77;
	} else if (strcmp(name, "self.test") != 0) {
		shimserver_resolved(s->shims, ticket, NTM_ENOTOURS, NULL, vip6,
				    vip4);
		return;
	}
	shimserver_resolved(s->shims, ticket, 0, name, vip6, vip4);
}

static void cancel(void *arg, struct shim_ticket *ticket)
{
	struct standin *s = arg;

	(void)ticket;
	s->cancelled++;
}

static const char *reverse(void *arg, const struct addr *vip)
{
	struct standin *s = arg;
	size_t len;
	const uint8_t *ip = addr_ip(vip, &len);

	return !memcmp(ip, len == 4 ? s->conf.vip4 : s->conf.vip6, len)
		       ? "self.test"
		       : NULL;
}

static void stats_write(void *arg)
{
	struct standin *s = arg;
	char path[256], temp[280], text[512];
	struct shim_stats st;
	FILE *f;

	loop_timer_arm(s->timer, STATS_NS);
	shimserver_stats(s->shims, &st);
	snprintf(text, sizeof(text),
		 "pid %d\ngeneration %u\nport %u\nrequests %lu\nrefused %lu\n"
		 "doorbells %lu\nclaimed %lu\nunclaimed %lu\nudp_flows %lu\n"
		 "listeners %lu\nudp_servers %lu\ncancelled %lu\n",
		 getpid(), keeper_generation(s->keeper),
		 keeper_udp_port(s->keeper), st.requests, st.refused,
		 st.doorbells, st.claimed, st.unclaimed, st.udp_flows,
		 st.listeners, st.udp_servers, s->cancelled);
	if (!strcmp(text, s->last))
		return;
	snprintf(path, sizeof(path), "%s/standin", keeper_rundir(s->keeper));
	snprintf(temp, sizeof(temp), "%s.new", path);
	f = fopen(temp, "we");
	if (!f)
		return;
	fputs(text, f);
	if (fclose(f) == 0 && rename(temp, path) == 0)
		strcpy(s->last, text);
}

static int all_direct(void *arg, unsigned int mode, const struct addr *dst)
{
	(void)arg;
	(void)mode;
	(void)dst;
	return -NTM_ENOTOURS;
}

static void beat(void *arg)
{
	struct standin *s = arg;

	loop_timer_arm(s->beat, LOOP_MS(KEEPER_BEAT_MS));
	keeper_beat(s->keeper);
}

static void stop(void *arg)
{
	struct standin *s = arg;

	loop_stop(s->loop);
}

static void quit(void *arg)
{
	struct standin *s = arg;

	(void)!keeper_quit(s->keeper);
}

static void keeper_gone(void *arg, int fd, unsigned int events)
{
	(void)fd;
	(void)events;
	stop(arg);
}

static void hint(void *arg, const char *domain)
{
	(void)arg;
	(void)domain;
}

static int start(struct standin *s, int link)
{
	struct shim_names names = {.resolve = resolve,
				   .cancel = cancel,
				   .reverse = reverse,
				   .hint = hint,
				   .exit = all_direct,
				   .arg = s};
	struct loop_signal *sig;
	struct loop_io *io;
	int err;

	inet_pton(AF_INET, "198.18.0.5", s->conf.vip4);
	inet_pton(AF_INET, "198.18.0.0", s->conf.prefix4);
	inet_pton(AF_INET6, "fd6e:1:2:3::5", s->conf.vip6);
	inet_pton(AF_INET6, "fd6e:1:2:3::", s->conf.prefix6);
	s->conf.prefix4_len = 15;
	s->conf.prefix6_len = 64;
	s->conf.mtu = 1400;
	err = loop_new(&s->loop);
	if (!err)
		err = keeper_link_open(link, &s->keeper);
	if (!err && getenv("STANDIN_REFUSE")) {
		(void)!keeper_refuse(s->keeper, getenv("STANDIN_REFUSE"));
		exit(1);
	}
	if (!err)
		err = keeper_configure(s->keeper, &s->conf);
	if (!err)
		err = shimserver_new(s->loop, s->keeper, &names, &s->shims);
	if (!err)
		err = shimserver_configure(s->shims, s->conf.vip6, s->conf.vip4,
					   &s->conf, 1);
	if (!err)
		err = loop_timer_new(s->loop, stats_write, s, &s->timer);
	if (!err)
		err = loop_timer_new(s->loop, beat, s, &s->beat);
	if (!err)
		err = loop_signal_add(s->loop, SIGTERM, stop, s, &sig);
	if (!err) /* stands for `ntm down` */
		err = loop_signal_add(s->loop, SIGUSR1, quit, s, &sig);
	if (!err)
		err = loop_io_add(s->loop, keeper_link_fd(s->keeper), LOOP_READ,
				  false, keeper_gone, s, &io);
	return err ? err : keeper_ready(s->keeper);
}

int main(int argc, char **argv)
{
	static struct standin s;
	int link = -1, i, err;

	if (getenv("STANDIN_DIE"))
		return 5;
	for (i = 1; i < argc; i++)
		if (!strncmp(argv[i], "--link=", 7))
			link = atoi(argv[i] + 7);
	if (log_open("standin", LOG_DEBUG, NULL))
		return 1;
	err = start(&s, link);
	if (err) {
		log_err("standin", "%s", err_text(err));
		return 1;
	}
	stats_write(&s);
	beat(&s);
	err = loop_run(s.loop);
	shimserver_free(s.shims);
	keeper_link_close(s.keeper);
	return err ? 1 : 0;
}

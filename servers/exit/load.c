/* SPDX-License-Identifier: MIT */
/* load - how busy the exit is and whether it drains, which the DC is told */
#include <string.h>

#include "broker/session.h"
#include "servers/drainfile.h"
#include "servers/exit/program.h"

#define REPORT_S	4 /* and the second of the report itself */
#define REPORT_LIMIT_MS 3000

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec t;

	return clock_gettime(clock, &t)
		       ? 0
		       : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned int permille(uint64_t part, uint64_t whole)
{
	return !whole || part >= whole ? 1000
				       : (unsigned int)(part * 1000 / whole);
}

/* what is most in use: a processor by either process, sockets, places for nodes */
static void load_measure(struct program *p)
{
	uint64_t now = loop_now(p->loop), cpu[2], spent = now - p->load_ns;
	unsigned int load[4] = {0};

	cpu[0] = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	cpu[1] = cpu_ns(p->net_clock);
	for (int i = 0; i < 2 && p->load_ns; i++)
		load[i] = permille(cpu[i] - p->cpu_ns[i], spent);
	memcpy(p->cpu_ns, cpu, sizeof(cpu));
	p->load_ns = now;
	load[2] = permille(p->stats->sockets, p->stats->sockets_max);
	load[3] = permille(p->stats->nodes, NET_NODES_MAX);
	p->load = 0;
	for (size_t i = 0; i < 4; i++)
		p->load = load[i] > p->load ? load[i] : p->load;
}

static void on_reported(void *arg, int err, const Ntm__Signal *msg)
{
	struct program *p = arg;

	(void)msg;
	p->reporting = false;
	if (err)
		log_debug("exit", "the DC was not told: %s", err_text(err));
}

void load_report(struct program *p)
{
	Ntm__ExitStatus body = NTM__EXIT_STATUS__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	uint32_t id;

	p->report_s = REPORT_S;
	load_measure(p);
	if (p->reporting || session_state(p->w.session) != SESSION_ONLINE)
		return;
	body.load = p->load;
	body.draining = p->draining;
	msg.body_case = NTM__SIGNAL__BODY_EXIT_STATUS;
	msg.exit_status = &body;
	p->reporting = !session_request(p->w.session, &msg, REPORT_LIMIT_MS,
					on_reported, p, &id);
}

void load_drain(struct program *p, bool draining)
{
	p->draining = draining;
	drainfile_write(p->drain_file, "exit", draining);
	log_info("exit", "%s", draining ? "draining" : "takes nodes again");
	load_report(p);
}

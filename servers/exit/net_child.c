/* SPDX-License-Identifier: MIT */
/* net_child - the net process, which has no key: how it is made, and what it is told */
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "servers/exit/isolate.h"
#include "servers/exit/program.h"

#define TURN_MS 1000

static int child_main(struct program *p, int fd)
{
	struct net *n;
	int err;

	prctl(PR_SET_NAME, "ntm-exit-net");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	err = net_new(&p->net, fd, p->stats, &n);
	if (!err)
		err = exit_isolate_net();
	while (!err)
		err = net_turn(n, TURN_MS);
	if (err != -NTM_ECLOSED)
		log_err("exit", "the net process ends: %s", err_text(err));
	return err == -NTM_ECLOSED ? 0 : 1;
}

int net_child_start(struct program *p)
{
	int fd, err;

	p->stats = mmap(NULL, sizeof(*p->stats), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->stats == MAP_FAILED)
		return -NTM_ENOMEM;
	err = seam_pair(&p->seam, &fd);
	if (err)
		return err;
	p->child = fork();
	if (p->child < 0)
		return -NTM_ESYSTEM;
	if (!p->child) {
		int own = dup2(fd, 3); /* and nothing else but the log */

		syscall(SYS_close_range, 4, ~0u, 0);
		_exit(own == 3 ? child_main(p, own) : 1);
	}
	close(fd);
	if (clock_getcpuclockid(p->child, &p->net_clock))
		p->net_clock = CLOCK_PROCESS_CPUTIME_ID;
	return 0;
}

void net_child_tell(struct program *p, struct seam_control c,
		    const uint8_t *vip4, const uint8_t *vip6)
{
	c.mark = SEAM_CONTROL;
	memcpy(c.vip4, vip4, sizeof(c.vip4));
	memcpy(c.vip6, vip6, sizeof(c.vip6));
	if (write(p->seam, &c, sizeof(c)) != (ssize_t)sizeof(c))
		log_warn("exit", "the net process does not read");
}

void net_child_tell_of(struct program *p, struct seam_control c,
		       const struct peer *peer)
{
	net_child_tell(p, c, peer->vip4, peer->vip6);
}

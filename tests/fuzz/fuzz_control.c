/* SPDX-License-Identifier: MIT */
/* fuzz_control - any bytes on the control socket of a running worker */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/control.h"
#include "broker/handover.h"
#include "common/log.h"
#include "tests/unit/broker/control/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world world;
static struct control *control;
static struct handover *handover;
static struct sockaddr_un at = {.sun_family = AF_UNIX};
static socklen_t at_len;

static void on_moved(void *arg)
{
	(void)arg;
}

static void start(void)
{
	struct node *n = &world.nodes[0];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	log_set_level(LOG_ERR);
	at_len = sizeof(at);
	/* a name that the kernel picks: no file is left */
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(sa_family_t)) ||
	    getsockname(fd, (struct sockaddr *)&at, &at_len) || listen(fd, 8))
		abort();
	world_up(&world, 1, 1);
	node_move(n, "10.0.1.2", NULL);
	node_start(n);
	node_login(n, "laptop.alice." WORLD_DOMAIN);
	world_run(&world, 200);
	if (handover_open(world.loop, on_moved, NULL, &handover) ||
	    control_open(&n->w, handover, fd, &control))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char answer[4096];
	int fd;

	if (!control)
		start();
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, at_len))
		abort();
	world_run(&world, 1);
	for (size_t done = 0; done < size;) {
		ssize_t n = send(fd, data + done, size - done, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		done += (size_t)n;
		world_run(&world, 1);
		while (recv(fd, answer, sizeof(answer), 0) > 0)
			;
	}
	world_run(&world, 3);
	close(fd);
	world_run(&world, 3);
	return 0;
}

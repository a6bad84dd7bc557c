/* SPDX-License-Identifier: MIT */
/* feeler - a UDP socket beside the node's own, whose silence is measured */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/keepalive.h"
#include "common/log.h"

struct feeler {
	int fd;
	struct loop_io *io;
	feeler_fn *fn;
	void *arg;
	bool closed, reading;
};

static void feeler_end(struct feeler *f)
{
	loop_io_del(f->io);
	close(f->fd);
	free(f);
}

static void readable(void *arg, int fd, unsigned int events)
{
	struct feeler *f = arg;
	uint8_t buf[PACKET_SIGNAL_MAX];
	struct addr from = {0};
	socklen_t len = sizeof(from);
	ssize_t n =
		recvfrom(fd, buf, sizeof(buf), MSG_DONTWAIT, &from.sa, &len);

	(void)events;
	if (n <= 0)
		return;
	f->reading = true;
	f->fn(f->arg, buf, (size_t)n, &from);
	f->reading = false;
	if (f->closed)
		feeler_end(f);
}

static int sockets_open(struct worker *w, int family, feeler_fn *fn, void *arg,
			struct feeler **out)
{
	struct feeler *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -NTM_ENOMEM;
	f->fn = fn;
	f->arg = arg;
	f->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (f->fd < 0) {
		free(f);
		return -NTM_ESYSTEM;
	}
	err = loop_io_add(w->loop, f->fd, LOOP_READ, false, readable, f,
			  &f->io);
	if (err) {
		close(f->fd);
		free(f);
		return err;
	}
	*out = f;
	return 0;
}

static void sockets_send(struct feeler *f, const void *buf, size_t len,
			 const struct addr *to)
{
	socklen_t to_len = to->sa.sa_family == AF_INET
				   ? sizeof(struct sockaddr_in)
				   : sizeof(struct sockaddr_in6);

	if (sendto(f->fd, buf, len, MSG_DONTWAIT, &to->sa, to_len) < 0)
		log_debug("keepalive", "the feeler could not send");
}

static void sockets_close(struct feeler *f)
{
	if (f && f->reading)
		f->closed = true;
	else if (f)
		feeler_end(f);
}

const struct feeler_ops feeler_sockets = {
	.open = sockets_open,
	.send = sockets_send,
	.close = sockets_close,
};

/* SPDX-License-Identifier: MIT */
/* visitor - one who came by a stream socket, until it is silent for too long or goes */
#include "servers/visitor.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

static void visitor_free(void *arg)
{
	struct visitor *v = arg;

	loop_io_del(v->io);
	loop_timer_free(v->timer);
	close(v->fd);
	v->all->free(v);
}

void visitor_end(struct visitor *v)
{
	if (v->end.queued)
		return;
	loop_io_set(v->io, 0);
	DL_DELETE(v->all->first, v);
	v->all->n--;
	loop_defer_task(v->all->loop, &v->end);
}

static void on_silence(void *arg)
{
	visitor_end(arg);
}

void visitor_wake(struct visitor *v)
{
	loop_timer_arm(v->timer, LOOP_S(v->all->idle_s));
}

int visitor_new(struct visitors *all, struct visitor *v, int fd,
		loop_io_fn *ready)
{
	int r;

	v->all = all;
	v->fd = fd;
	v->end = (struct loop_task){.fn = visitor_free, .arg = v};
	r = loop_timer_new(all->loop, on_silence, v, &v->timer);
	if (!r)
		r = loop_io_add(all->loop, fd, LOOP_READ, false, ready, v,
				&v->io);
	if (r) {
		loop_timer_free(v->timer);
		return r;
	}
	visitor_wake(v);
	DL_APPEND(all->first, v);
	all->n++;
	return 0;
}

bool visitor_read(struct visitor *v, void *buf, size_t size, size_t *len)
{
	ssize_t n = recv(v->fd, (char *)buf + *len, size - *len, 0);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (n <= 0) {
		visitor_end(v);
		return false;
	}
	*len += (size_t)n;
	return true;
}

bool visitor_write(struct visitor *v, const void *out)
{
	while (v->out_done < v->out_len) {
		ssize_t n = send(v->fd, (const char *)out + v->out_done,
				 v->out_len - v->out_done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			loop_io_set(v->io, LOOP_WRITE);
			return true;
		}
		if (n <= 0) {
			visitor_end(v);
			return false;
		}
		v->out_done += (size_t)n;
	}
	v->out_len = v->out_done = 0;
	loop_io_set(v->io, LOOP_READ);
	return true;
}

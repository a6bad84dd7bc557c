/* SPDX-License-Identifier: MIT */
/* link - the worker, which has ntm-post started and tells it what happens */
#include "broker/post/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fdmsg.h"
#include "broker/post/door.h"
#include "broker/post/inbox.h"
#include "common/log.h"

struct link {
	struct post *post;
	int fd;
	struct loop_io *io;
	unsigned int events; /* messages read */
	bool busy;
};

static void event_take(struct link *l, const char *event, const json_t *j)
{
	struct post *p = l->post;

	if (p->broken)
		return;
	if (!strcmp(event, "session")) {
		post_session(p);
	} else if (!strcmp(event, "start") || !strcmp(event, "online")) {
		web_host_moved(p->web);
		post_work(p);
	} else if (!strcmp(event, "notice")) {
		inbox_sync(p->inbox);
	} else if (!strcmp(event, "policy")) {
		who_load_policy(&p->who);
		who_load_known(&p->who);
		inbox_policy(p->inbox);
	} else if (!strcmp(event, "who")) {
		door_name(p->door,
			  json_string_value(json_object_get(j, "address")),
			  json_string_value(json_object_get(j, "name")));
	}
}

static void on_message(void *arg, int fd, unsigned int events)
{
	struct link *l = arg;
	char buf[LINK_MESSAGE_MAX];
	const char *event;
	json_t *j;
	int fds[FDMSG_MAX];
	size_t n_fds;
	ssize_t n;

	(void)events;
	n = fdmsg_recv(fd, buf, sizeof(buf), fds, &n_fds, MSG_DONTWAIT);
	if (n == -NTM_EAGAIN || n == -NTM_ETOOBIG)
		return;
	if (n <= 0) {
		/* the worker died; the keeper keeps us, the next one finds us */
		log_info("post", "the worker is gone");
		loop_io_set(l->io, 0);
		return;
	}
	l->events++;
	j = json_loadb(buf, (size_t)n, 0, NULL);
	event = json_string_value(json_object_get(j, "event"));
	if (event) {
		log_debug("post", "the worker says %s", event);
		event_take(l, event, j);
	}
	for (size_t i = 0; i < n_fds; i++)
		if (!event || strcmp(event, "door") ||
		    door_listen(l->post->door, fds[i]))
			close(fds[i]);
	json_decref(j);
	post_check_idle(l->post);
}

static void say(struct link *l, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);

	if (text &&
	    send(l->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("post", "the worker was not told: %s",
			  strerror(errno));
	free(text);
	json_decref(j);
}

int link_open(struct post *p, int fd, struct link **out)
{
	struct link *l = calloc(1, sizeof(*l));

	if (!l)
		return -NTM_ENOMEM;
	l->post = p;
	l->fd = fd;
	if (loop_io_add(p->loop, fd, LOOP_READ, false, on_message, l, &l->io)) {
		free(l);
		return -NTM_ENOMEM;
	}
	*out = l;
	return 0;
}

void link_close(struct link *l)
{
	if (!l)
		return;
	loop_io_del(l->io);
	close(l->fd);
	free(l);
}

void link_who(struct link *l, const char *address)
{
	if (l)
		say(l,
		    json_pack("{s:s, s:s}", "say", "who", "address", address));
}

void link_group(struct link *l)
{
	if (l)
		say(l, json_pack("{s:s}", "say", "group"));
}

void link_busy(struct link *l)
{
	if (!l || l->busy)
		return;
	l->busy = true;
	say(l, json_pack("{s:s}", "say", "busy"));
}

void link_idle(struct link *l, uint64_t serial, unsigned int again_s)
{
	if (!l)
		return;
	l->busy = false;
	say(l, json_pack("{s:s, s:I, s:I, s:I}", "say", "idle", "serial",
			 (json_int_t)serial, "again_s", (json_int_t)again_s,
			 "events", (json_int_t)l->events));
}

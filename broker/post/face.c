/* SPDX-License-Identifier: MIT */
/* face - post.sock: what `ntm send` and programs ask of ntm-post */
#include "broker/post/face.h"

static void request(struct ask *a)
{
	bool waits;
	char *text = face_command(ask_owner(a), ask_request(a), &waits);

	if (waits)
		ask_wait(a);
	else
		ask_say(a, text);
}

static void turned(void *arg)
{
	post_check_idle(arg);
}

static bool holds(void *arg)
{
	return post_flush_due(arg);
}

static const struct asking_is is = {
	.clients_max = FACE_CLIENTS_MAX,
	.line_max = FACE_LINE_MAX,
	.queue_max = FACE_QUEUE_MAX,
	.request = request,
	.turned = turned,
	.holds = holds,
};

int face_open(struct post *p, int listen_fd, struct asking **out)
{
	return asking_open(p->loop, listen_fd, &is, p, out);
}

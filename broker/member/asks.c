/* SPDX-License-Identifier: MIT */
/* asks - member.sock: what `ntm-group` asks of ntm-member */
#include "broker/member/asks.h"

static void on_gone(void *arg)
{
	struct ask *a = arg;
	struct node *n = ask_node(a);
	bool waited = n->login_waits == a;
	struct part *p;

	if (waited)
		n->login_waits = NULL;
	for (p = n->parts; p && !waited; p = p->next)
		waited = part_forget(p, a);
	if (waited)
		ask_answer(a, NULL); /* to nobody: it is over */
}

static void request(struct ask *a)
{
	ask_on_gone(a, on_gone, a);
	asks_command(a);
}

static void turned(void *arg)
{
	node_check_idle(arg);
}

static const struct asking_is is = {
	.clients_max = ASKS_CLIENTS_MAX,
	.line_max = ASKS_LINE_MAX,
	.queue_max = ASKS_QUEUE_MAX,
	.request = request,
	.turned = turned,
};

struct node *ask_node(const struct ask *a)
{
	return ask_owner(a);
}

int asks_open(struct node *n, int fd, struct asking **out)
{
	return asking_open(n->loop, fd, &is, n, out);
}

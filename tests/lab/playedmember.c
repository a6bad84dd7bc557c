/* SPDX-License-Identifier: MIT */
/*
 * playedmember - ntm-member of several nodes at once, with a group that is all theirs
 *
 *	playedmember COMMANDS NAME DOMAIN mac|sign|batch FQDN=IDENTITY=SOCKET...
 *
 * For tests of packets and programs, without a GMS: it has the nodes' identity files,
 * makes the log and the keys by itself, and says to each node's worker, at its
 * group.sock, what ntm-member would. COMMANDS is a FIFO; a line in it is one of
 *
 *	remove N	the N-th node (from 0) leaves; its worker keeps what it had
 *	renew		another epoch with the same members
 *	end N		its worker is told that it is out
 *	again N		connects anew, as after a worker's death
 *
 * Each line is answered by one on standard output when the workers have been told.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/groupword.h"

#define NODES_MAX 16
#define VALID_S	  7200

struct node {
	char fqdn[256];
	const char *socket;
	struct ntmc_identity id;
	uint32_t index;
	bool out;
	int fd;
};

static struct played {
	struct ntmc_env env;
	struct ntmc_identity gms;
	const char *name, *domain;
	struct group *g;
	struct group_secret secret;
	struct ntmc_key share, rn2;
	struct node n[NODES_MAX];
	size_t count;
} p;

static void must(int r, const char *what)
{
	if (!r)
		return;
	fprintf(stderr, "%s: %s (%s)\n", what, err_text(r), strerror(errno));
	exit(1);
}

/* --- the group -------------------------------------------------------------------------- */

static void change(struct group_change *c)
{
	static uint8_t entry[GROUP_ENTRY_MAX];
	enum group_why why;
	struct group_entry e;
	size_t len;

	ntmc_key_random(&p.env, &p.share);
	c->share = &p.share;
	must(group_make(&p.env, p.g,
			c->kind == GROUP_RENEW ? &p.gms : &p.n[0].id, c, entry,
			&len, &why),
	     "an entry");
	must(group_apply(p.g, entry, len, NULL), "its own entry");
	must(group_entry_get(entry, len, &e), "the entry");
	if (c->kind == GROUP_CREATE)
		must(group_secret_first(&p.secret, c->id, p.name, &p.share),
		     "the first secret");
	else
		must(group_secret_step(&p.secret, &e,
				       e.commitment ? &p.share : NULL),
		     "the secret");
	ntmc_key_random(&p.env, &p.rn2);
}

static void create(enum group_auth auth)
{
	struct group_policy policy = group_policy_default;
	uint8_t id[GROUP_ID_LEN];
	struct group_change c = {.kind = GROUP_CREATE,
				 .id = id,
				 .fqdn = p.n[0].fqdn,
				 .server_key = p.gms.ed_pub,
				 .server = "gms.example.org",
				 .policy = &policy};

	policy.auth = auth;
	ntmc_random(&p.env, id, sizeof(id));
	ntmc_identity_new(&p.env, &p.gms);
	must(group_new(&p.g), "a group");
	change(&c);
}

static void add(struct node *n)
{
	struct group_joiner j = {.rights = 0, .fqdn = n->fqdn};
	struct group_change c = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};

	ntmc_random(&p.env, j.token, sizeof(j.token));
	memcpy(j.ed_pub, n->id.ed_pub, sizeof(j.ed_pub));
	n->index = group_next_index(p.g);
	change(&c);
}

static void drop(struct node *n)
{
	struct group_change c = {.kind = GROUP_REMOVE,
				 .reason = GROUP_REMOVED,
				 .gone = &n->index,
				 .n_gone = 1};

	change(&c);
	n->out = true;
}

/* --- the workers ------------------------------------------------------------------------ */

static void dial(struct node *n)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	if (n->fd >= 0)
		close(n->fd);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", n->socket);
	n->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (n->fd < 0 || connect(n->fd, (struct sockaddr *)&un, sizeof(un))) {
		perror(n->socket);
		exit(1);
	}
}

static void tell(struct node *n)
{
	static const struct groupword all = {.kind = GROUPWORD_ALL};
	struct groupword_epoch e = {.index = n->index,
				    .valid_s = VALID_S,
				    .now = ntmc_now(NULL),
				    .group = p.g};

	snprintf(e.name, sizeof(e.name), "%s", p.name);
	snprintf(e.domain, sizeof(e.domain), "%s", p.domain);
	must(group_keys_derive(&p.secret, p.g, &p.rn2, &e.keys), "keys");
	must(groupword_epoch_send(n->fd, &e), n->socket);
	must(groupword_send(n->fd, &all), n->socket);
}

static void tell_all(void)
{
	for (size_t i = 0; i < p.count; i++)
		if (!p.n[i].out)
			tell(&p.n[i]);
	printf("epoch %llu, %zu members\n",
	       (unsigned long long)group_epoch(p.g), group_size(p.g));
}

static void command(char *line)
{
	struct group_change renew = {.kind = GROUP_RENEW};
	struct groupword end = {.kind = GROUPWORD_END};
	char *word = strtok(line, " \n"), *arg = strtok(NULL, " \n");
	size_t i = arg ? strtoul(arg, NULL, 10) : 0;

	if (!word || i >= p.count)
		return;
	if (!strcmp(word, "remove")) {
		drop(&p.n[i]);
		tell_all();
	} else if (!strcmp(word, "renew")) {
		change(&renew);
		tell_all();
	} else if (!strcmp(word, "end")) {
		memcpy(end.id, group_id(p.g), sizeof(end.id));
		must(groupword_send(p.n[i].fd, &end), "end");
		puts("ended");
	} else if (!strcmp(word, "again")) {
		dial(&p.n[i]);
		tell(&p.n[i]);
		puts("again");
	}
	fflush(stdout);
}

static void node_parse(char *arg)
{
	struct node *n = &p.n[p.count++];
	char *fqdn = strtok(arg, "="), *path = strtok(NULL, "=");

	n->socket = strtok(NULL, "=");
	if (!fqdn || !path || !n->socket)
		must(-NTM_EINVAL, "FQDN=IDENTITY=SOCKET");
	snprintf(n->fqdn, sizeof(n->fqdn), "%s", fqdn);
	must(ntmc_identity_load(path, &n->id), path);
	n->fd = -1;
}

int main(int argc, char **argv)
{
	enum group_auth auth = GROUP_AUTH_MAC;
	char line[256];
	FILE *in;
	int fd;

	if (argc < 6 || argc - 5 > NODES_MAX)
		return 2;
	p.name = argv[2];
	p.domain = argv[3];
	if (!strcmp(argv[4], "sign"))
		auth = GROUP_AUTH_SIGN;
	else if (!strcmp(argv[4], "batch"))
		auth = GROUP_AUTH_BATCH;
	for (int i = 5; i < argc; i++)
		node_parse(argv[i]);
	create(auth);
	for (size_t i = 1; i < p.count; i++)
		add(&p.n[i]);
	for (size_t i = 0; i < p.count; i++)
		dial(&p.n[i]);
	tell_all();
	fflush(stdout);
	/* both ends: it does not end when a writer does */
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	in = fd < 0 ? NULL : fdopen(fd, "r");
	while (in && fgets(line, sizeof(line), in))
		command(line);
	return 0;
}

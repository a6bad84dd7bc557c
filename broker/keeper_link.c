/* SPDX-License-Identifier: MIT */
/* keeper_link - the worker's side of its keeper */
#include "broker/keeper_link.h"

#include <linux/sockios.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fdmsg.h"
#include "broker/keeper_proto.h"
#include "common/rundir.h"

struct keeper_link {
	int fd, tun, udp4, udp6;
	uint32_t generation;
	uint16_t port;
	char rundir[RUNDIR_MAX];
};

/* An answer as it came; @fds belong to whoever reads it. */
struct answer {
	struct keeper_msg msg;
	uint8_t body[KEEPER_BLOB_MAX];
	size_t len, n_fds;
	int fds[FDMSG_MAX];
};

static int key_set(struct keeper_msg *msg, const char *key)
{
	size_t n = strlen(key);

	if (!n || n >= sizeof(msg->key))
		return -NTM_EINVAL;
	memcpy(msg->key, key, n + 1);
	return 0;
}

static int answer_read(struct keeper_link *k, uint32_t op, struct answer *ans)
{
	uint8_t buf[sizeof(struct keeper_msg) + KEEPER_BLOB_MAX];
	ssize_t n;
	int err = fdmsg_wait(k->fd, KEEPER_REPLY_MS);

	ans->n_fds = 0;
	if (err)
		return err;
	n = fdmsg_recv(k->fd, buf, sizeof(buf), ans->fds, &ans->n_fds, 0);
	if (n < 0)
		return (int)n;
	if ((size_t)n >= sizeof(ans->msg)) {
		memcpy(&ans->msg, buf, sizeof(ans->msg));
		ans->len = (size_t)n - sizeof(ans->msg);
		memcpy(ans->body, buf + sizeof(ans->msg), ans->len);
		if (ans->msg.version == KEEPER_PROTO_VERSION &&
		    ans->msg.op == op)
			return ans->msg.err;
	}
	while (ans->n_fds)
		close(ans->fds[--ans->n_fds]);
	return -NTM_EVERSION;
}

static int ask(struct keeper_link *k, struct keeper_msg *msg, const void *body,
	       size_t len, int fd, struct answer *ans)
{
	int err;

	ans->n_fds = 0;
	msg->version = KEEPER_PROTO_VERSION;
	err = fdmsg_send(k->fd, msg, sizeof(*msg), body, len, &fd, fd >= 0, 0);
	return err ? err : answer_read(k, msg->op, ans);
}

/* a request whose answer is only an error */
static int tell(struct keeper_link *k, struct keeper_msg *msg, const void *body,
		size_t len, int fd)
{
	struct answer ans;
	int err = ask(k, msg, body, len, fd, &ans);

	while (ans.n_fds)
		close(ans.fds[--ans.n_fds]);
	return err;
}

static void udp_close(struct keeper_link *k)
{
	if (k->udp4 >= 0)
		close(k->udp4);
	if (k->udp6 >= 0)
		close(k->udp6);
	k->udp4 = k->udp6 = -1;
}

/* HELLO and UDP: port and descriptors, after the first @skip of them */
static int udp_take(struct keeper_link *k, struct answer *ans, size_t skip)
{
	bool has4 = ans->msg.c & 1, has6 = ans->msg.c & 2;

	if (ans->n_fds != skip + has4 + has6) {
		while (ans->n_fds)
			close(ans->fds[--ans->n_fds]);
		return -NTM_EDECODE;
	}
	udp_close(k);
	k->port = (uint16_t)ans->msg.b;
	if (has4)
		k->udp4 = ans->fds[skip];
	if (has6)
		k->udp6 = ans->fds[skip + has4];
	return 0;
}

int keeper_link_open(int fd, struct keeper_link **out)
{
	struct keeper_link *k = calloc(1, sizeof(*k));
	struct keeper_msg msg = {.op = KEEPER_HELLO};
	struct answer ans;
	int err;

	if (!k)
		return -NTM_ENOMEM;
	k->fd = fd;
	k->tun = k->udp4 = k->udp6 = -1;
	err = ask(k, &msg, NULL, 0, -1, &ans);
	if (!err &&
	    (ans.n_fds < 1 || ans.len == 0 || ans.len >= sizeof(k->rundir))) {
		while (ans.n_fds)
			close(ans.fds[--ans.n_fds]);
		err = -NTM_EDECODE;
	}
	if (!err)
		err = udp_take(k, &ans, 1);
	if (err) {
		free(k);
		return err;
	}
	k->tun = ans.fds[0];
	k->generation = ans.msg.a;
	memcpy(k->rundir, ans.body, ans.len);
	*out = k;
	return 0;
}

void keeper_link_close(struct keeper_link *k)
{
	udp_close(k);
	close(k->tun);
	close(k->fd);
	free(k);
}

int keeper_link_fd(const struct keeper_link *k)
{
	return k->fd;
}

int keeper_ready(struct keeper_link *k)
{
	struct keeper_msg msg = {.op = KEEPER_READY};

	return tell(k, &msg, NULL, 0, -1);
}

int keeper_refuse(struct keeper_link *k, const char *why)
{
	struct keeper_msg msg = {.op = KEEPER_REFUSE};

	return tell(k, &msg, why, strnlen(why, KEEPER_BLOB_MAX - 1), -1);
}

void keeper_beat(struct keeper_link *k)
{
	const struct keeper_msg msg = {.version = KEEPER_PROTO_VERSION,
				       .op = KEEPER_BEAT};
	int unread;

	if (ioctl(k->fd, SIOCOUTQ, &unread) == 0 && unread == 0)
		(void)!send(k->fd, &msg, sizeof(msg),
			    MSG_DONTWAIT | MSG_NOSIGNAL);
}

int keeper_quit(struct keeper_link *k)
{
	struct keeper_msg msg = {.op = KEEPER_QUIT};

	return tell(k, &msg, NULL, 0, -1);
}

int keeper_tun(const struct keeper_link *k)
{
	return k->tun;
}

int keeper_udp(const struct keeper_link *k, int family)
{
	return family == AF_INET ? k->udp4 : k->udp6;
}

uint16_t keeper_udp_port(const struct keeper_link *k)
{
	return k->port;
}

int keeper_udp_rebind(struct keeper_link *k, uint16_t port)
{
	struct keeper_msg msg = {.op = KEEPER_UDP, .a = port};
	struct answer ans;
	int err;

	if (port == k->port)
		return 0;
	err = ask(k, &msg, NULL, 0, -1, &ans);
	return err ? err : udp_take(k, &ans, 0);
}

uint32_t keeper_generation(const struct keeper_link *k)
{
	return k->generation;
}

const char *keeper_rundir(const struct keeper_link *k)
{
	return k->rundir;
}

int keeper_configure(struct keeper_link *k, const struct engine_config *conf)
{
	struct keeper_msg msg = {.op = KEEPER_CONFIGURE};

	return tell(k, &msg, conf, sizeof(*conf), -1);
}

/* the one descriptor that an answer brings */
static int answer_fd(int err, struct answer *ans, int *fd)
{
	if (!err && ans->n_fds == 1) {
		*fd = ans->fds[0];
		return 0;
	}
	while (ans->n_fds)
		close(ans->fds[--ans->n_fds]);
	return err ? err : -NTM_ESYSTEM;
}

int keeper_socket(struct keeper_link *k, int domain, int type, int protocol,
		  int *fd)
{
	struct keeper_msg msg = {.op = KEEPER_SOCKET,
				 .a = (uint32_t)domain,
				 .b = (uint32_t)type,
				 .c = (uint32_t)protocol};
	struct answer ans;
	int err = ask(k, &msg, NULL, 0, -1, &ans);

	return answer_fd(err, &ans, fd);
}

int keeper_portmap(struct keeper_link *k, int *fd)
{
	struct keeper_msg msg = {.op = KEEPER_PORTMAP};
	struct answer ans;
	int err = ask(k, &msg, NULL, 0, -1, &ans);

	return answer_fd(err, &ans, fd);
}

int keeper_post(struct keeper_link *k, enum poster_kind kind, int *fd)
{
	struct keeper_msg msg = {.op = KEEPER_POST, .b = kind};
	struct answer ans;
	int err = ask(k, &msg, NULL, 0, -1, &ans);

	return answer_fd(err, &ans, fd);
}

int keeper_post_end(struct keeper_link *k, enum poster_kind kind)
{
	struct keeper_msg msg = {.op = KEEPER_POST, .a = 1, .b = kind};

	return tell(k, &msg, NULL, 0, -1);
}

int keeper_fd_put(struct keeper_link *k, const char *key, int fd)
{
	struct keeper_msg msg = {.op = KEEPER_FD_PUT};
	int err = key_set(&msg, key);

	return err ? err : tell(k, &msg, NULL, 0, fd);
}

int keeper_fd_del(struct keeper_link *k, const char *key)
{
	struct keeper_msg msg = {.op = KEEPER_FD_DEL};
	int err = key_set(&msg, key);

	return err ? err : tell(k, &msg, NULL, 0, -1);
}

int keeper_blob_put(struct keeper_link *k, const char *key, const void *data,
		    size_t len)
{
	struct keeper_msg msg = {.op = KEEPER_BLOB_PUT};
	int err = len > KEEPER_BLOB_MAX ? -NTM_ETOOBIG : key_set(&msg, key);

	return err ? err : tell(k, &msg, data, len, -1);
}

int keeper_blob_del(struct keeper_link *k, const char *key)
{
	struct keeper_msg msg = {.op = KEEPER_BLOB_DEL};
	int err = key_set(&msg, key);

	return err ? err : tell(k, &msg, NULL, 0, -1);
}

/* Entries are read all first: the callback may well ask something itself. */
struct each {
	struct each *next;
	char key[KEEPER_KEY_MAX];
	int fd; /* -1: none */
	size_t len;
	uint8_t data[];
};

static struct each *each_new(const struct answer *ans)
{
	struct each *e = calloc(1, sizeof(*e) + ans->len);

	if (!e)
		return NULL;
	memcpy(e->key, ans->msg.key, sizeof(e->key));
	e->key[sizeof(e->key) - 1] = '\0';
	e->fd = ans->n_fds == 1 ? ans->fds[0] : -1;
	e->len = ans->len;
	memcpy(e->data, ans->body, ans->len);
	return e;
}

static struct each *each_read(struct keeper_link *k, enum keeper_op op,
			      const char *prefix)
{
	struct keeper_msg msg = {.op = op, .version = KEEPER_PROTO_VERSION};
	struct each *head = NULL, **tail = &head;
	struct answer ans;

	if ((prefix && key_set(&msg, prefix)) ||
	    fdmsg_send(k->fd, &msg, sizeof(msg), NULL, 0, NULL, 0, 0))
		return NULL;
	while (answer_read(k, op, &ans) == 0 && !ans.msg.last) {
		*tail = each_new(&ans);
		if (*tail)
			tail = &(*tail)->next;
		else /* read on all the same: the answers must be used up */
			while (ans.n_fds)
				close(ans.fds[--ans.n_fds]);
	}
	explicit_bzero(ans.body, sizeof(ans.body));
	return head;
}

static void each_free(struct each *e)
{
	explicit_bzero(e->data, e->len);
	free(e);
}

void keeper_fd_each(struct keeper_link *k, const char *prefix,
		    void (*fn)(void *arg, const char *key, int fd), void *arg)
{
	struct each *e = each_read(k, KEEPER_FD_EACH, prefix), *next;

	for (; e; e = next) {
		next = e->next;
		if (e->fd >= 0)
			fn(arg, e->key, e->fd);
		each_free(e);
	}
}

void keeper_blob_each(struct keeper_link *k,
		      void (*fn)(void *arg, const char *key, const void *data,
				 size_t len),
		      void *arg)
{
	struct each *e = each_read(k, KEEPER_BLOB_EACH, NULL), *next;

	for (; e; e = next) {
		next = e->next;
		fn(arg, e->key, e->data, e->len);
		each_free(e);
	}
}

/* SPDX-License-Identifier: MIT */
/* keeper_requests - what the worker asks of its keeper: a table of handlers */
#include "broker/keeper_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fdmsg.h"
#include "broker/keeper_proto.h"
#include "common/log.h"

struct request {
	struct keeper_msg msg;
	uint8_t body[KEEPER_BLOB_MAX + 1];
	size_t len;
	int fd; /* -1: none; a handler that keeps it sets -1 */
};

static int answer(struct keeper *k, const struct keeper_msg *msg,
		  const void *body, size_t len, const int *fds, size_t n_fds)
{
	return fdmsg_send(k->worker.link, msg, sizeof(*msg), body, len, fds,
			  n_fds, 0);
}

static int answer_err(struct keeper *k, uint32_t op, int err)
{
	const struct keeper_msg msg = {.version = KEEPER_PROTO_VERSION,
				       .op = op,
				       .err = err,
				       .last = 1};

	return answer(k, &msg, NULL, 0, NULL, 0);
}

/* HELLO and UDP: the outer sockets, behind the @n descriptors in @fds */
static int answer_outer(struct keeper *k, uint32_t op, int fds[static 3],
			size_t n, const char *body)
{
	struct keeper_msg msg = {.version = KEEPER_PROTO_VERSION,
				 .op = op,
				 .a = k->worker.generation,
				 .b = k->outer.port};

	if (k->outer.udp4 >= 0) {
		fds[n++] = k->outer.udp4;
		msg.c |= 1;
	}
	if (k->outer.udp6 >= 0) {
		fds[n++] = k->outer.udp6;
		msg.c |= 2;
	}
	return answer(k, &msg, body, body ? strlen(body) : 0, fds, n);
}

static int do_hello(struct keeper *k, struct request *req)
{
	int fds[3] = {engine_tun(k->engine)};

	return answer_outer(k, req->msg.op, fds, 1, k->opt->rundir);
}

static int do_ready(struct keeper *k, struct request *req)
{
	if (k->worker.state == WORKER_UP) {
		k->worker.state = WORKER_READY;
		watchdog_start(&k->watchdog, keeper_now_ns());
		log_info("keeper", "worker %u serves", k->worker.generation);
	}
	keeper_report_ready(k, NULL);
	return answer_err(k, req->msg.op, 0);
}

/* that it came is what it says */
static int do_beat(struct keeper *k, struct request *req)
{
	(void)k, (void)req;
	return 0;
}

static int do_refuse(struct keeper *k, struct request *req)
{
	req->body[req->len] = '\0';
	k->worker.refused = true;
	log_err("keeper", "the worker cannot start: %s", (char *)req->body);
	if (k->ready) {
		keeper_report_ready(k, (char *)req->body);
		keeper_end_begin(k, 1);
	}
	return answer_err(k, req->msg.op, 0);
}

static int do_quit(struct keeper *k, struct request *req)
{
	int err = answer_err(k, req->msg.op, 0);

	keeper_end_begin(k, 0);
	return err;
}

static int do_configure(struct keeper *k, struct request *req)
{
	struct engine_config conf;
	int err = -NTM_EINVAL;

	if (req->len == sizeof(conf)) {
		memcpy(&conf, req->body, sizeof(conf));
		err = engine_configure(k->engine, &conf);
	}
	return answer_err(k, req->msg.op, err);
}

static int do_socket(struct keeper *k, struct request *req)
{
	const struct keeper_msg ok = {.version = KEEPER_PROTO_VERSION,
				      .op = req->msg.op};
	int fd = -1, err;

	err = engine_socket(k->engine, (int)req->msg.a, (int)req->msg.b,
			    (int)req->msg.c, &fd);
	if (err)
		return answer_err(k, req->msg.op, err);
	err = answer(k, &ok, NULL, 0, &fd, 1);
	close(fd);
	return err;
}

static int do_portmap(struct keeper *k, struct request *req)
{
	const struct keeper_msg ok = {.version = KEEPER_PROTO_VERSION,
				      .op = req->msg.op};
	int fd, err = mapper_start(&k->mapper, k->opt->worker, &fd);

	if (err)
		return answer_err(k, req->msg.op, err);
	err = answer(k, &ok, NULL, 0, &fd, 1);
	close(fd);
	return err;
}

/* a: 1: the one that runs is to end, and none is started; b: which program */
static int do_post(struct keeper *k, struct request *req)
{
	const struct keeper_msg ok = {.version = KEEPER_PROTO_VERSION,
				      .op = req->msg.op};
	struct poster *p;
	int fd, err;

	if (req->msg.b >= POSTER_KINDS)
		return answer_err(k, req->msg.op, -NTM_EINVAL);
	p = &k->posters[req->msg.b];
	p->kind = (enum poster_kind)req->msg.b;
	if (req->msg.a) {
		poster_end(p);
		return answer_err(k, req->msg.op, 0);
	}
	poster_check(p);
	err = poster_start(p, k->opt, k->store, &fd);
	if (err)
		return answer_err(k, req->msg.op, err);
	err = answer(k, &ok, NULL, 0, &fd, 1);
	close(fd);
	return err;
}

static int do_udp(struct keeper *k, struct request *req)
{
	struct outer fresh;
	int fds[3], err;

	if (req->msg.a == 0 || req->msg.a > UINT16_MAX)
		return answer_err(k, req->msg.op, -NTM_EINVAL);
	if (req->msg.a != k->outer.port) {
		err = outer_open((uint16_t)req->msg.a, &fresh);
		if (err)
			return answer_err(k, req->msg.op, err);
		outer_close(&k->outer);
		k->outer = fresh;
		outer_keep(k->opt->state, k->outer.port);
	}
	return answer_outer(k, req->msg.op, fds, 0, NULL);
}

static int do_fd_put(struct keeper *k, struct request *req)
{
	int err = -NTM_EINVAL;

	if (req->fd >= 0)
		err = keeper_store_put_fd(k->store, req->msg.key, req->fd,
					  k->worker.generation);
	req->fd = -1;
	return answer_err(k, req->msg.op, err);
}

static int do_fd_del(struct keeper *k, struct request *req)
{
	return answer_err(k, req->msg.op,
			  keeper_store_del_fd(k->store, req->msg.key));
}

static int do_blob_put(struct keeper *k, struct request *req)
{
	return answer_err(k, req->msg.op,
			  keeper_store_put_blob(k->store, req->msg.key,
						req->body, req->len,
						k->worker.generation));
}

static int do_blob_del(struct keeper *k, struct request *req)
{
	return answer_err(k, req->msg.op,
			  keeper_store_del_blob(k->store, req->msg.key));
}

struct each_arg {
	struct keeper *k;
	uint32_t op;
};

static int each_send(void *arg, const char *key, int fd, const void *data,
		     size_t len)
{
	const struct each_arg *each = arg;
	struct keeper_msg msg = {.version = KEEPER_PROTO_VERSION,
				 .op = each->op};

	memcpy(msg.key, key, strlen(key) + 1);
	return answer(each->k, &msg, data, len, &fd, fd >= 0);
}

static int do_each(struct keeper *k, struct request *req)
{
	struct each_arg arg = {k, req->msg.op};
	int err = keeper_store_each(k->store, (enum keeper_op)req->msg.op,
				    req->msg.key, k->worker.generation,
				    each_send, &arg);

	return err ? err : answer_err(k, req->msg.op, 0);
}

static int (*const handlers[KEEPER_NOPS])(struct keeper *, struct request *) = {
	[KEEPER_HELLO] = do_hello,
	[KEEPER_READY] = do_ready,
	[KEEPER_REFUSE] = do_refuse,
	[KEEPER_QUIT] = do_quit,
	[KEEPER_CONFIGURE] = do_configure,
	[KEEPER_SOCKET] = do_socket,
	[KEEPER_UDP] = do_udp,
	[KEEPER_FD_PUT] = do_fd_put,
	[KEEPER_FD_DEL] = do_fd_del,
	[KEEPER_FD_EACH] = do_each,
	[KEEPER_BLOB_PUT] = do_blob_put,
	[KEEPER_BLOB_DEL] = do_blob_del,
	[KEEPER_BLOB_EACH] = do_each,
	[KEEPER_BEAT] = do_beat,
	[KEEPER_PORTMAP] = do_portmap,
	[KEEPER_POST] = do_post,
};

int keeper_request_read(struct keeper *k)
{
	uint8_t buf[sizeof(struct keeper_msg) + KEEPER_BLOB_MAX];
	struct request req = {.fd = -1};
	int fds[FDMSG_MAX], err = -NTM_EDECODE;
	size_t n_fds;
	ssize_t n;

	n = fdmsg_recv(k->worker.link, buf, sizeof(buf), fds, &n_fds,
		       MSG_DONTWAIT);
	if (n < 0)
		return (int)n;
	watchdog_heard(&k->watchdog);
	if ((size_t)n >= sizeof(req.msg) && n_fds <= 1) {
		memcpy(&req.msg, buf, sizeof(req.msg));
		req.len = (size_t)n - sizeof(req.msg);
		memcpy(req.body, buf + sizeof(req.msg), req.len);
		req.msg.key[KEEPER_KEY_MAX - 1] = '\0';
		if (n_fds)
			req.fd = fds[--n_fds];
		if (req.msg.version != KEEPER_PROTO_VERSION)
			log_err("keeper", "%s is of another version",
				k->opt->worker);
		else if (req.msg.op < KEEPER_NOPS && handlers[req.msg.op])
			err = handlers[req.msg.op](k, &req);
	}
	if (req.fd >= 0)
		close(req.fd);
	while (n_fds)
		close(fds[--n_fds]);
	return err;
}

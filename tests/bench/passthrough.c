/* SPDX-License-Identifier: MIT */
/*
 * passthrough - what a hooked call costs when it is none of the shim's business
 *
 *	passthrough            one line a call: NAME, ns by libc, ns added
 *	passthrough once       each call once, between two marks that strace shows
 *
 * Compares, in one process and in turns, libc's own function with the one the
 * program is linked to, which under the shim is the hook. (Without the shim both are
 * the same: then what is added tells how good the measurement is.) The calls are
 * as cheap as the kernel makes them, so that what is added stands out. Each is
 * timed in short batches, of which the fastest counts: the rest is the machine's
 * noise.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 400
#define CALLS	1000

/* the functions under test, by whoever provides them */
struct fns {
	int (*connect)(int, const struct sockaddr *, socklen_t);
	int (*bind)(int, const struct sockaddr *, socklen_t);
	ssize_t (*sendto)(int, const void *, size_t, int,
			  const struct sockaddr *, socklen_t);
	ssize_t (*sendmsg)(int, const struct msghdr *, int);
	int (*sendmmsg)(int, struct mmsghdr *, unsigned int, int);
	int (*accept)(int, struct sockaddr *, socklen_t *);
	ssize_t (*recvfrom)(int, void *, size_t, int, struct sockaddr *,
			    socklen_t *);
	ssize_t (*recvmsg)(int, struct msghdr *, int);
	int (*recvmmsg)(int, struct mmsghdr *, unsigned int, int,
			struct timespec *);
	int (*setsockopt)(int, int, int, const void *, socklen_t);
	long (*syscall)(long, ...);
};

static struct {
	int bad;   /* no descriptor */
	int empty; /* UDP socket without datagrams */
	int full;  /* UDP socket with one, peeked at */
	struct sockaddr_in foreign, local;
	struct sockaddr_in6 foreign6;
} b;

static char buf[16];
static struct iovec iov = {buf, 1};

static void do_connect(const struct fns *f)
{
	f->connect(b.bad, (struct sockaddr *)&b.foreign, sizeof(b.foreign));
}

static void do_connect6(const struct fns *f)
{
	f->connect(b.bad, (struct sockaddr *)&b.foreign6, sizeof(b.foreign6));
}

static void do_bind(const struct fns *f)
{
	f->bind(b.bad, (struct sockaddr *)&b.local, sizeof(b.local));
}

static void do_sendto(const struct fns *f)
{
	f->sendto(b.bad, buf, 1, 0, (struct sockaddr *)&b.foreign,
		  sizeof(b.foreign));
}

static void do_sendmsg(const struct fns *f)
{
	struct msghdr m = {.msg_name = &b.foreign,
			   .msg_namelen = sizeof(b.foreign),
			   .msg_iov = &iov,
			   .msg_iovlen = 1};

	f->sendmsg(b.bad, &m, 0);
}

static void do_sendmmsg(const struct fns *f)
{
	struct mmsghdr v = {.msg_hdr = {.msg_name = &b.foreign,
					.msg_namelen = sizeof(b.foreign),
					.msg_iov = &iov,
					.msg_iovlen = 1}};

	f->sendmmsg(b.bad, &v, 1, 0);
}

static void do_accept(const struct fns *f)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);

	f->accept(b.bad, (struct sockaddr *)&from, &len);
}

static void do_recvfrom(const struct fns *f)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);

	f->recvfrom(b.full, buf, 1, MSG_PEEK, (struct sockaddr *)&from, &len);
}

static void do_recvmsg(const struct fns *f)
{
	struct sockaddr_storage from;
	struct msghdr m = {.msg_name = &from,
			   .msg_namelen = sizeof(from),
			   .msg_iov = &iov,
			   .msg_iovlen = 1};

	f->recvmsg(b.full, &m, MSG_PEEK);
}

static void do_recvmmsg(const struct fns *f)
{
	struct sockaddr_storage from;
	struct mmsghdr v = {.msg_hdr = {.msg_name = &from,
					.msg_namelen = sizeof(from),
					.msg_iov = &iov,
					.msg_iovlen = 1}};

	f->recvmmsg(b.empty, &v, 1, MSG_DONTWAIT, NULL);
}

static void do_setsockopt(const struct fns *f)
{
	int on = 1;

	f->setsockopt(b.bad, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void do_syscall(const struct fns *f)
{
	f->syscall(SYS_getppid);
}

static const struct {
	const char *name;
	void (*call)(const struct fns *f);
} calls[] = {
	{"connect", do_connect},
	{"connect6", do_connect6},
	{"bind", do_bind},
	{"sendto", do_sendto},
	{"sendmsg", do_sendmsg},
	{"sendmmsg", do_sendmmsg},
	{"accept", do_accept},
	{"recvfrom", do_recvfrom},
	{"recvmsg", do_recvmsg},
	{"recvmmsg", do_recvmmsg},
	{"setsockopt", do_setsockopt},
	{"syscall", do_syscall},
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void fns_find(void *handle, struct fns *f)
{
#define FIND(name)                                                             \
	do {                                                                   \
		void *sym = dlsym(handle, #name);                              \
		memcpy(&f->name, &sym, sizeof(sym));                           \
	} while (0)
	FIND(connect);
	FIND(bind);
	FIND(sendto);
	FIND(sendmsg);
	FIND(sendmmsg);
	FIND(accept);
	FIND(recvfrom);
	FIND(recvmsg);
	FIND(recvmmsg);
	FIND(setsockopt);
	FIND(syscall);
#undef FIND
}

static double batch(void (*call)(const struct fns *), const struct fns *f)
{
	double start = now_ns();
	int n;

	for (n = 0; n < CALLS; n++)
		call(f);
	return (now_ns() - start) / CALLS;
}

static void compare(const char *name, void (*call)(const struct fns *),
		    const struct fns *libc, const struct fns *linked)
{
	double best[2] = {1e9, 1e9}, took;
	int i;

	for (i = 0; i < 2 * BATCHES; i++) {
		took = batch(call, i % 2 ? linked : libc);
		if (took < best[i % 2])
			best[i % 2] = took;
	}
	printf("%s %.2f %.2f\n", name, best[0], best[1] - best[0]);
}

static int prepare(void)
{
	socklen_t len = sizeof(b.local);

	b.bad = -1;
	b.foreign.sin_family = AF_INET;
	b.foreign.sin_port = htons(9);
	inet_pton(AF_INET, "192.0.2.1", &b.foreign.sin_addr);
	b.foreign6.sin6_family = AF_INET6;
	b.foreign6.sin6_port = htons(9);
	inet_pton(AF_INET6, "2001:db8::1", &b.foreign6.sin6_addr);
	b.local.sin_family = AF_INET;
	inet_pton(AF_INET, "127.0.0.1", &b.local.sin_addr);
	b.empty = socket(AF_INET, SOCK_DGRAM, 0);
	b.full = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(b.full, (struct sockaddr *)&b.local, sizeof(b.local)) < 0 ||
	    bind(b.empty, (struct sockaddr *)&b.local, sizeof(b.local)) < 0 ||
	    getsockname(b.full, (struct sockaddr *)&b.local, &len) < 0 ||
	    sendto(b.full, "x", 1, 0, (struct sockaddr *)&b.local, len) != 1)
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	const size_t n = sizeof(calls) / sizeof(calls[0]);
	struct fns libc, linked;
	void *handle = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	size_t i;

	if (!handle || prepare() < 0) {
		perror("passthrough");
		return 1;
	}
	fns_find(handle, &libc);
	fns_find(RTLD_DEFAULT, &linked);
	if (argc > 1 && !strcmp(argv[1], "once")) {
		access("/mark-begin", F_OK);
		for (i = 0; i < n; i++)
			calls[i].call(&linked);
		access("/mark-end", F_OK);
		return 0;
	}
	for (i = 0; i < n; i++)
		compare(calls[i].name, calls[i].call, &libc, &linked);
	return 0;
}

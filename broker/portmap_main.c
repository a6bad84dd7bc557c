/* SPDX-License-Identifier: MIT */
/*
 * portmap_main - the program ntm-portmap: asks the router for one mapping, and ends
 *
 * The libraries here block, and read what strangers in the network say; so they have
 * a process of their own, with no key in it, for one question. The keeper starts it.
 *   limits    should: let the kernel end what takes too long, or too much.
 *   question  should: find the router.     Mustn't: hear the network.
 *   isolate   should: leave sockets of IPv4, clocks, memory.
 *             mustn't: leave a file, a program, another process.
 *   answer    should: be one message.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker/portmap_try.h"

#define LINK_FD	     3
#define MEMORY_BYTES (64u << 20)
#define FILES	     16
#define CPU_S	     2

/* Sanitizers make calls of their own, and want much memory. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONFINED 0
#else
#define CONFINED 1
#endif

/* negative ones: this architecture lacks them */
static const int calls[] = {
	/* the router, the worker */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(sendto), SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(connect), SCMP_SYS(bind),
	SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt), SCMP_SYS(fcntl), SCMP_SYS(ioctl), SCMP_SYS(close),
	/* waiting, and what time it is */
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time),
	/* the heap */
	SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(mprotect), SCMP_SYS(madvise),
	/* libc, and the end */
	SCMP_SYS(futex), SCMP_SYS(getrandom), SCMP_SYS(getpid),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(exit), SCMP_SYS(exit_group)};

static int limits_set(void)
{
	struct rlimit core = {0, 0}, cpu = {CPU_S, CPU_S},
		      files = {FILES, FILES},
		      memory = {MEMORY_BYTES, MEMORY_BYTES};

	alarm(PORTMAP_LIMIT_S);
	if (setrlimit(RLIMIT_CORE, &core) || setrlimit(RLIMIT_CPU, &cpu) ||
	    setrlimit(RLIMIT_NOFILE, &files) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return CONFINED ? setrlimit(RLIMIT_AS, &memory) : 0;
}

/* The libraries talk of what they find; nobody is to read strangers' words. */
static int silence(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	return fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0 &&
			       dup2(fd, STDERR_FILENO) >= 0
		       ? close(fd)
		       : -1;
}

/* A kernel without seccomp: the worker does without it there, too. */
static void calls_limit(void)
{
	scmp_filter_ctx ctx;
	int err = 0;

	if (!CONFINED)
		return;
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && !err; i++)
		if (calls[i] >= 0)
			err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i],
					       0);
	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       SCMP_A0(SCMP_CMP_EQ, AF_INET));
	if (!err)
		(void)seccomp_load(ctx);
	seccomp_release(ctx);
}

static int ask_read(struct portmap_ask *ask)
{
	ssize_t n = recv(LINK_FD, ask, sizeof(*ask), 0);

	return n == (ssize_t)sizeof(*ask) &&
			       ask->version == PORTMAP_PROTO_VERSION
		       ? 0
		       : -1;
}

/* Is the router the one on the way from the address that is meant? */
static bool router_find(struct portmap_try *t)
{
	struct sockaddr_in me;
	socklen_t len = sizeof(me);
	in_addr_t forced;

	memcpy(&forced, t->ask.gateway, sizeof(forced));
	if (initnatpmp(&t->natpmp, forced != 0, forced))
		return false;
	return !getsockname(t->natpmp.s, (struct sockaddr *)&me, &len) &&
	       !memcmp(&me.sin_addr, t->ask.source, 4);
}

static void protocol_try(struct portmap_try *t, enum portmap_protocol p)
{
	static enum portmap_why (*const tries[])(struct portmap_try *) = {
		[PORTMAP_PCP] = portmap_try_pcp,
		[PORTMAP_NATPMP] = portmap_try_natpmp,
		[PORTMAP_UPNP] = portmap_try_upnp,
	};

	/* both are asked at one port */
	if (p == PORTMAP_NATPMP && t->silent &&
	    t->say.why[PORTMAP_PCP] == PORTMAP_NO_SERVICE)
		t->say.why[p] = PORTMAP_NO_SERVICE;
	else
		t->say.why[p] = (uint8_t)tries[p](t);
	if (t->say.why[p] == PORTMAP_DONE)
		t->say.protocol = p;
}

static void protocols_try(struct portmap_try *t)
{
	uint32_t first = t->ask.first;

	if (first < PORTMAP_PROTOCOLS)
		protocol_try(t, first);
	if (!t->ask.life_s)
		return;
	for (uint32_t p = 0; p < PORTMAP_PROTOCOLS; p++)
		if (p != first && t->say.protocol == PORTMAP_NO_PROTOCOL)
			protocol_try(t, p);
}

int main(void)
{
	struct portmap_try t = {.say = {.version = PORTMAP_PROTO_VERSION,
					.protocol = PORTMAP_NO_PROTOCOL}};

	if (limits_set() || silence() || ask_read(&t.ask))
		return 2;
	t.say.routed = router_find(&t);
	calls_limit();
	if (t.say.routed)
		protocols_try(&t);
	return send(LINK_FD, &t.say, sizeof(t.say), MSG_NOSIGNAL) ==
			       (ssize_t)sizeof(t.say)
		       ? 0
		       : 1;
}

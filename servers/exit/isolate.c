/* SPDX-License-Identifier: MIT */
/* isolate - what the exit's net process may still do */
#include "servers/exit/isolate.h"

#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sanitizers make calls of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* with any arguments */
static const struct {
	const char *call, *reason;
} allowed[] = {
	{"read", "the seam; sockets to hosts"},
	{"write", "the log"},
	{"writev", "the seam; the log"},
	{"poll", "the loop"},
	{"ppoll", "the same, where there is no poll"},
	{"bind", "getifaddrs(); libslirp's UDP"},
	{"connect", "to hosts"},
	{"getsockname", "libslirp; getifaddrs()"},
	{"getpeername", "libslirp"},
	{"getsockopt", "SO_ERROR of a connect()"},
	{"setsockopt", "TCP_NODELAY, out-of-band data inline"},
	{"sendto", "UDP; echo; netlink"},
	{"sendmsg", "libslirp"},
	{"recvfrom", "UDP, TCP; echo"},
	{"recvmsg", "netlink"},
	{"readv", "libslirp reads into its ring"},
	{"shutdown", "TCP half closed"},
	{"close", "sockets"},
	{"fcntl", "non-blocking, close-on-exec"},
	{"clock_gettime", "time, where the vDSO has no clock"},
	{"gettimeofday", "the same"},
	{"brk", "memory"},
	{"mmap", "memory"},
	{"munmap", "memory"},
	{"mremap", "memory"},
	{"mprotect", "memory"},
	{"madvise", "memory"},
	{"futex", "libc's locks"},
	{"getpid", "getifaddrs(); libraries"},
	{"gettid", "abort()"},
	{"getrandom", "libraries; malloc"},
	{"rt_sigprocmask", "abort()"},
	{"rt_sigaction", "abort()"},
	{"rt_sigreturn", "the end of a signal"},
	{"restart_syscall", "after a stop"},
	{"exit", "the end"},
	{"exit_group", "the end"},
};

/* only where argument @arg, counted from 0, is @value (32 bits) */
static const struct limited {
	const char *call, *reason;
	unsigned int arg;
	uint32_t value;
} limited[] = {
	/* no AF_UNIX, AF_VSOCK: they lead to this machine, past the filter */
	{"socket", "to hosts; ping", 0, AF_INET},
	{"socket", "the same", 0, AF_INET6},
	{"socket", "getifaddrs(); routes", 0, AF_NETLINK},
	{"ioctl", "bytes of a datagram", 1, FIONREAD},
};

static int limited_add(scmp_filter_ctx ctx, const struct limited *l)
{
	return seccomp_rule_add(
		ctx, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(l->call), 1,
		SCMP_CMP(l->arg, SCMP_CMP_MASKED_EQ, UINT32_MAX, l->value));
}

static int rules_add(scmp_filter_ctx ctx)
{
	/* not of the other process, which is of the same user */
	const struct limited abort_self = {"tgkill", "abort()", 0,
					   (uint32_t)getpid()};
	int r = limited_add(ctx, &abort_self);

	for (size_t i = 0; !r && i < sizeof(allowed) / sizeof(allowed[0]);
	     i++) {
		int nr = seccomp_syscall_resolve_name(allowed[i].call);

		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	for (size_t i = 0; !r && i < sizeof(limited) / sizeof(limited[0]); i++)
		r = limited_add(ctx, &limited[i]);
	return r;
}

int exit_isolate_net(void)
{
	struct rlimit none = {0, 0};
	scmp_filter_ctx ctx;
	int r;

	if (setrlimit(RLIMIT_CORE, &none) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -NTM_ESYSTEM;
	if (SANITIZED)
		return 0;
	/* a call that libslirp would try is refused, and it goes on without */
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return -NTM_ENOMEM;
	r = rules_add(ctx);
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r ? -NTM_ESYSTEM : 0;
}

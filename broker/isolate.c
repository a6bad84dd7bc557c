/* SPDX-License-Identifier: MIT */
/* isolate - what the worker may still do once it listens to the network */
#include "broker/isolate.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/log.h"

/* Sanitizers make calls of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ISOLATE_CALLS 0
#else
#define ISOLATE_CALLS 1
#endif

static const struct reason {
	const char *why;
	int calls[24];
} allowed[] = {
	{"datagrams, TUN, control and shim sockets, TLS, the keeper",
	 {SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev),
	  SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(recvmsg),
	  SCMP_SYS(sendmsg), SCMP_SYS(recvmmsg), SCMP_SYS(sendmmsg),
	  SCMP_SYS(shutdown), SCMP_SYS(close), SCMP_SYS(close_range)}},
	{"the AS, doorbells and UDP flows on loopback, asking the kernel for a "
	 "route, netlink",
	 {SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(bind),
	  SCMP_SYS(connect), SCMP_SYS(listen), SCMP_SYS(accept),
	  SCMP_SYS(accept4), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
	  SCMP_SYS(getsockopt), SCMP_SYS(setsockopt)}},
	{"descriptors passed on; offloads of the TUN; names of interfaces",
	 {SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
	  SCMP_SYS(ioctl)}},
	{"the event loop and its clocks",
	 {SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
	  SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(poll),
	  SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
	  SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
	  SCMP_SYS(eventfd2), SCMP_SYS(pipe2), SCMP_SYS(clock_gettime),
	  SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
	  SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep)}},
	{"state, pins, policy: read, written beside, synced, renamed",
	 {SCMP_SYS(open),	SCMP_SYS(openat),    SCMP_SYS(stat),
	  SCMP_SYS(fstat),	SCMP_SYS(lstat),     SCMP_SYS(newfstatat),
	  SCMP_SYS(statx),	SCMP_SYS(access),    SCMP_SYS(faccessat),
	  SCMP_SYS(faccessat2), SCMP_SYS(lseek),     SCMP_SYS(fsync),
	  SCMP_SYS(fdatasync),	SCMP_SYS(ftruncate), SCMP_SYS(fchmod),
	  SCMP_SYS(chmod),	SCMP_SYS(rename),    SCMP_SYS(renameat),
	  SCMP_SYS(renameat2),	SCMP_SYS(unlink),    SCMP_SYS(unlinkat),
	  SCMP_SYS(mkdir),	SCMP_SYS(mkdirat),   SCMP_SYS(umask)}},
	{"more of the files: links in paths, places in them, folders of /proc",
	 {SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(pread64),
	  SCMP_SYS(pwrite64), SCMP_SYS(getdents64), SCMP_SYS(flock),
	  SCMP_SYS(fallocate), SCMP_SYS(getcwd), SCMP_SYS(fstatfs)}},
	{"memory: the heap, secrets locked, the page of the shims",
	 {SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap),
	  SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(mlock),
	  SCMP_SYS(mlock2), SCMP_SYS(munlock), SCMP_SYS(msync),
	  SCMP_SYS(memfd_create)}},
	{"libc: locks, threads' data, randomness, who we are, limits",
	 {SCMP_SYS(futex), SCMP_SYS(getrandom), SCMP_SYS(rseq),
	  SCMP_SYS(set_robust_list), SCMP_SYS(getpid), SCMP_SYS(gettid),
	  SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
	  SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(uname),
	  SCMP_SYS(getrusage), SCMP_SYS(sysinfo), SCMP_SYS(times),
	  SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity)}},
	{"signals, and the end",
	 {SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	  SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(tgkill),
	  SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group)}},
};

static int calls_limit(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err = 0;

	if (!ctx)
		return -1;
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		/* 0 ends a list (read, the real 0, stands first in the first) */
		for (size_t j = 0; j < 24 && !err; j++) {
			if (!allowed[i].calls[j] && (i || j))
				break;
			/* negative: a call that this architecture lacks */
			if (allowed[i].calls[j] >= 0)
				err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
						       allowed[i].calls[j], 0);
		}
	/* the writer, too */
	if (!err)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

int isolate_worker(char *why, size_t why_size)
{
	struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		snprintf(why, why_size, "the worker could not be confined: %s",
			 strerror(errno));
		return -NTM_ESYSTEM;
	}
	if (ISOLATE_CALLS && calls_limit())
		log_warn("worker", "this kernel has no seccomp: system calls "
				   "are not limited");
	return 0;
}

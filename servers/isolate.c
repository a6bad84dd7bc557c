/* SPDX-License-Identifier: MIT */
/*
 * isolate - what a role's process may still do once it runs
 *
 * Theory of operation
 *
 * One table of system calls with a reason each, and for which roles. What is not
 * in it fails with ENOSYS: a library that tries a new call falls back, and a role
 * does not die of an update of libc. A process of the folder's owner could still open
 * the others' keys, and ask their admin sockets; those that need neither are sealed.
 * What only an intruder would try (execve,
 * ptrace ...) ends the process at once, which the supervisor logs.
 */
#include "servers/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "servers/datadir.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_UNDEFINED__) ||        \
	defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* the sanitizers' own calls are not in the list */
#else
#define SANITIZED 0
#endif

#define AS	 1u
#define DC	 2u
#define DNS	 4u
#define RS	 8u
#define GATE	 16u
#define NS	 32u
#define PUSH	 64u
#define RESOLVER 128u
#define BOX	 256u
#define CS	 512u
#define GMS	 1024u
#define DISK	 (AS | DC | CS | BOX | GMS)
#define KEPT	 (DISK | RS | NS) /* a certificate that was renewed */
#define ALL	 (AS | DC | DNS | RS | GATE | NS | PUSH | RESOLVER | CS | BOX | GMS)

/* clang-format off */
static const struct {
	const char *call;
	unsigned int roles;
	const char *reason;
} allowed[] = {
	/* the loop */
	{ "epoll_wait", ALL, "libevent waits" },
	{ "epoll_pwait", ALL, "the same, by newer libc" },
	{ "epoll_pwait2", ALL, "the same, with nanoseconds" },
	{ "epoll_ctl", ALL, "sessions come and go" },
	{ "epoll_create1", ALL, "the role makes its loop" },
	{ "timerfd_create", ALL, "the loop's timer" },
	{ "timerfd_settime", ALL, "the loop's timer" },
	{ "eventfd2", ALL, "threads wake the loop" },
	{ "pipe2", ALL, "libevent's signals" },
	{ "socketpair", ALL, "libevent's signals" },
	{ "rt_sigaction", ALL, "SIGTERM, SIGHUP" },
	{ "rt_sigprocmask", ALL, "SIGTERM, SIGHUP" },
	{ "rt_sigreturn", ALL, "end of a signal handler" },
	{ "clock_gettime", ALL, "time, where the vDSO has no clock" },
	{ "gettimeofday", ALL, "the same, in libraries" },
	{ "clock_nanosleep", DISK, "SQLite waits for a lock" },
	{ "nanosleep", DISK, "the same" },
	{ "restart_syscall", ALL, "after a stop" },
	/* sockets that exist already */
	{ "accept4", ALL, "clients; the admin socket" },
	{ "recvfrom", ALL, "TLS, DNS, admin" },
	{ "recvmsg", ALL, "DNS over UDP; TLS" },
	{ "recvmmsg", DC | RS | RESOLVER, "batches of datagrams" },
	{ "sendto", ALL, "TLS, DNS, admin" },
	{ "sendmsg", ALL, "DNS over UDP; TLS" },
	{ "sendmmsg", DC | RS | PUSH | CS | RESOLVER, "batches of datagrams; libc's resolver" },
	{ "getsockname", ALL, "family of a socket" },
	{ "getpeername", ALL, "who a client is" },
	{ "getsockopt", ALL, "SO_PEERCRED, SO_ERROR" },
	{ "setsockopt", ALL, "TCP_NODELAY, keep-alive" },
	{ "shutdown", ALL, "end of a TLS session" },
	{ "poll", ALL, "GnuTLS asks whether a socket is ready; forwarding threads wait" },
	{ "ppoll", RS, "the same, where there is no poll" },
	/* interfaces: which addresses to announce, and the AS's link to the DC */
	{ "socket", ALL, "TCP to the DC; netlink for getifaddrs()" },
	{ "connect", AS | DC | RS | GATE | NS | PUSH | RESOLVER | CS | BOX | GMS, "to the DC; of a DC to other domains' DCs; of a gate to relay and DC; to DNS" },
	{ "listen", DC, "for the box" },
	{ "bind", ALL, "getifaddrs() binds its netlink socket" },
	/* files */
	{ "read", ALL, "files, eventfd, timerfd" },
	{ "readv", ALL, "the same, in libc" },
	{ "write", ALL, "the log, files, eventfd" },
	{ "writev", ALL, "the same; TLS" },
	{ "close", ALL, "descriptors" },
	{ "openat", ALL, "keys, certificates, configuration, /dev/null" },
	{ "open", ALL, "the same, in libraries" },
	{ "fstat", ALL, "files" },
	{ "newfstatat", ALL, "files" },
	{ "stat", ALL, "files" },
	{ "lstat", ALL, "files" },
	{ "statx", ALL, "files" },
	{ "lseek", ALL, "files" },
	{ "fcntl", ALL, "non-blocking; SQLite's locks" },
	{ "access", ALL, "SQLite looks for its journal" },
	{ "faccessat", ALL, "the same" },
	{ "faccessat2", ALL, "the same" },
	{ "readlink", ALL, "SQLite resolves its path" },
	{ "readlinkat", ALL, "the same" },
	{ "getcwd", ALL, "SQLite resolves its path" },
	{ "pread64", DISK, "SQLite" },
	{ "pwrite64", DISK | RS, "SQLite; that a relay drains" },
	{ "fsync", KEPT, "what was acknowledged is on the disk" },
	{ "fdatasync", DISK, "the same" },
	{ "ftruncate", DISK, "SQLite's WAL index" },
	{ "fallocate", DISK, "SQLite's WAL index" },
	{ "fchmod", KEPT, "keys and stores are 0600" },
	{ "fchown", DISK, "SQLite started as root" },
	{ "unlink", KEPT, "SQLite's WAL at the end; a renewal's left-overs" },
	{ "unlinkat", KEPT, "the same" },
	{ "rename", KEPT, "certificates are replaced atomically" },
	{ "renameat", KEPT, "the same" },
	{ "renameat2", KEPT, "the same" },
	{ "link", DISK, "a key file is not overwritten" },
	{ "linkat", DISK, "the same" },
	{ "umask", DISK, "0600" },
	{ "mkdir", DISK, "a folder that is missing" },
	{ "utimensat", DISK, "SQLite" },
	{ "getdents64", DISK, "files left over" },
	{ "mkdirat", CS, "folders of blobs" },
	{ "fstatfs", CS, "room on the disk" },
	{ "sync_file_range", CS, "what came in is written while more comes" },
	/* memory and threads */
	{ "brk", ALL, "malloc" },
	{ "mmap", ALL, "malloc; SQLite's WAL index" },
	{ "munmap", ALL, "the same" },
	{ "mremap", ALL, "the same" },
	{ "mprotect", ALL, "stacks of threads; malloc's arenas" },
	{ "madvise", ALL, "malloc gives back; secrets stay out of dumps" },
	{ "mlock", ALL, "secrets are not swapped" },
	{ "mlock2", ALL, "the same" },
	{ "munlock", ALL, "the same" },
	{ "futex", ALL, "threads" },
	{ "clone", DISK | RS | PUSH | RESOLVER, "threads; flags are checked" },
	{ "set_robust_list", ALL, "threads" },
	{ "rseq", ALL, "threads" },
	{ "sched_getaffinity", ALL, "libraries count processors" },
	{ "sched_yield", ALL, "threads" },
	{ "gettid", ALL, "threads" },
	{ "getpid", ALL, "SQLite; GnuTLS after fork" },
	{ "getuid", ALL, "libraries" },
	{ "geteuid", ALL, "admin socket; SQLite" },
	{ "getgid", ALL, "libraries" },
	{ "getegid", ALL, "libraries" },
	{ "getrandom", ALL, "keys" },
	{ "getrusage", ALL, "GnuTLS's generator" },
	{ "prlimit64", ALL, "stack size of a thread; an NS's descriptors" },
	{ "getrlimit", ALL, "the same" },
	{ "prctl", ALL, "names of threads" },
	{ "seccomp", DNS | RESOLVER, "isolate_seal()" },
	{ "uname", ALL, "libraries" },
	{ "sysinfo", ALL, "libraries" },
	{ "tgkill", ALL, "abort()" },
	{ "exit", ALL, "end of a thread" },
	{ "exit_group", ALL, "end" },
};
/* clang-format on */

static const char *const deadly[] = {
	"execve",
	"execveat",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"init_module",
	"bpf",
	"mount",
	"unshare",
	"setns",
	"keyctl",
	"perf_event_open",
};

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2];

	memset(none, 0, sizeof(none));
	return syscall(SYS_capset, &head, none) ? -NTM_EPERM : 0;
}

int isolate_user(const char *dir)
{
	int r = datadir_enter(dir);

	if (r)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -NTM_EPERM;
	/* only a folder that root owns leaves us root here; without these, it
	 * is root in name */
	return drop_capabilities();
}

static int add_rules(scmp_filter_ctx ctx, unsigned int role)
{
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(allowed) / sizeof(allowed[0]);
	     i++) {
		int nr = seccomp_syscall_resolve_name(allowed[i].call);

		/* calls that this architecture never had resolve to pseudo
		 * numbers, which libseccomp skips */
		if (nr == __NR_SCMP_ERROR || !(allowed[i].roles & role))
			continue;
		if (!strcmp(allowed[i].call, "clone"))
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
					     SCMP_A0(SCMP_CMP_MASKED_EQ,
						     CLONE_THREAD,
						     CLONE_THREAD));
		else
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	for (size_t i = 0; !r && i < sizeof(deadly) / sizeof(deadly[0]); i++) {
		int nr = seccomp_syscall_resolve_name(deadly[i]);

		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, nr, 0);
	}
	return r;
}

int isolate_syscalls(const char *role)
{
	unsigned int bit = !strcmp(role, "as")	       ? AS
			   : !strcmp(role, "dc")       ? DC
			   : !strcmp(role, "rs")       ? RS
			   : !strcmp(role, "gate")     ? GATE
			   : !strcmp(role, "ns")       ? NS
			   : !strcmp(role, "push")     ? PUSH
			   : !strcmp(role, "resolver") ? RESOLVER
			   : !strcmp(role, "box")      ? BOX
			   : !strcmp(role, "cs")       ? CS
			   : !strcmp(role, "gms")      ? GMS
						       : DNS;
	scmp_filter_ctx ctx;
	int r;

	if (SANITIZED)
		return 0;
	ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (!ctx)
		return -NTM_ENOMEM;
	r = add_rules(ctx, bit);
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r ? -NTM_ESYSTEM : 0;
}

/* --- sealing ----------------------------------------------------------------------- */

static const char *const sealed[] = {
	"open",
	"openat",
	"openat2",
	"creat",
	"socketpair",
	"unlink",
	"unlinkat",
	"rename",
	"renameat",
	"renameat2",
	"link",
	"linkat",
	"readlink",
	"readlinkat",
	"truncate",
	"seccomp",
	"name_to_handle_at",
};

/* all families but IPv4 and IPv6: the admin sockets of other roles take our user */
static int seal_sockets(scmp_filter_ctx ctx)
{
	int nr = seccomp_syscall_resolve_name("socket");
	int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), nr, 1,
				 SCMP_A0(SCMP_CMP_LT, AF_INET));

	for (unsigned int family = AF_INET + 1; !r && family < AF_INET6;
	     family++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), nr, 1,
				     SCMP_A0(SCMP_CMP_EQ, family));
	return r ? r
		 : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), nr, 1,
				    SCMP_A0(SCMP_CMP_GT, AF_INET6));
}

int isolate_seal(void)
{
	scmp_filter_ctx ctx;
	int r;

	if (SANITIZED)
		return 0;
	ctx = seccomp_init(SCMP_ACT_ALLOW); /* the first list still counts */
	if (!ctx)
		return -NTM_ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; !r && i < sizeof(sealed) / sizeof(sealed[0]); i++) {
		int nr = seccomp_syscall_resolve_name(sealed[i]);

		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), nr,
					     0);
	}
	if (!r)
		r = seal_sockets(ctx);
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r ? -NTM_ESYSTEM : 0;
}

int isolate_memory(unsigned int mib)
{
	struct rlimit none = {0, 0};
	struct rlimit data = {mib * 1048576ul, mib * 1048576ul};

	return setrlimit(RLIMIT_CORE, &none) ||
			       (!SANITIZED && setrlimit(RLIMIT_DATA, &data))
		       ? -NTM_ESYSTEM
		       : 0;
}

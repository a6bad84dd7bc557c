/* SPDX-License-Identifier: MIT */
/* isolate - what ntm-post may still do once it handles what others sent */
#include "broker/post/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"

/* Sanitizers make calls of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define DATA_MAX (512u << 20) /* bytes: ten times of what any item has taken */

/* --- the folder
 * ----------------------------------------------------------------------------- */

/* newer than the headers of the systems that we build on */
#define ACCESS_REFER	(1ull << 13) /* since the 2nd version */
#define ACCESS_TRUNCATE (1ull << 14) /* since the 3rd */

#define ACCESS_WRITES                                                          \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |       \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |        \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define ACCESS_NEVER                                                           \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |           \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |        \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK)

static int rule_add(int ruleset, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access};
	int r;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return -1;
	r = (int)syscall(SYS_landlock_add_rule, ruleset,
			 LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
	return r;
}

/* Reading is not handled, and so is left as it is: the person names what is sent. */
static int folder_wall(const char *dir)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t writes = ACCESS_WRITES | (version >= 2 ? ACCESS_REFER : 0) |
			  (version >= 3 ? ACCESS_TRUNCATE : 0);
	struct landlock_ruleset_attr attr = {.handled_access_fs =
						     writes | ACCESS_NEVER};
	int fd, r;

	if (version < 1)
		return -1;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd < 0)
		return -1;
	r = rule_add(fd, dir, writes);
	if (!r)
		r = rule_add(fd, "/dev/null", LANDLOCK_ACCESS_FS_WRITE_FILE);
	if (!r)
		r = (int)syscall(SYS_landlock_restrict_self, fd, 0);
	close(fd);
	return r;
}

/* --- the calls
 * ------------------------------------------------------------------------------- */

/* clang-format off */
static const struct {
	const char *call, *reason;
} allowed[] = {
	/* the loop; libntm.so moves registrations when it swaps a socket */
	{ "epoll_wait", "libevent waits" },
	{ "epoll_pwait", "the same, by newer libc" },
	{ "epoll_pwait2", "the same, with nanoseconds" },
	{ "epoll_ctl", "connections come and go" },
	{ "epoll_create1", "libmicrohttpd has one of its own" },
	{ "timerfd_create", "the loop's timer" },
	{ "timerfd_settime", "the loop's timer" },
	{ "eventfd2", "libcurl wakes itself" },
	{ "pipe2", "the same, where there is no eventfd" },
	{ "poll", "libcurl, GnuTLS: is a socket ready?" },
	{ "ppoll", "the same" },
	{ "select", "the same, and libntm.so" },
	{ "pselect6", "the same" },
	{ "rt_sigaction", "SIGTERM; libcurl" },
	{ "rt_sigprocmask", "SIGTERM" },
	{ "rt_sigreturn", "end of a signal handler" },
	{ "sigaltstack", "libc's threads" },
	{ "clock_gettime", "time, where the vDSO has no clock" },
	{ "clock_getres", "the same" },
	{ "gettimeofday", "the same" },
	{ "time", "the same" },
	{ "clock_nanosleep", "SQLite waits for a lock" },
	{ "nanosleep", "the same" },
	{ "restart_syscall", "after a stop" },
	/* sockets */
	{ "socket", "to servers, devices, the broker" },
	{ "socketpair", "libcurl wakes itself; libevent's signals" },
	{ "connect", "to servers, devices, the broker" },
	{ "bind", "libcurl, libc: netlink; is an address still ours?" },
	{ "accept4", "programs at post.sock; devices" },
	{ "accept", "the same, as libraries have it" },
	{ "recvfrom", "all of these" },
	{ "recvmsg", "descriptors from the broker" },
	{ "sendto", "all of these" },
	{ "sendmsg", "the same" },
	{ "sendmmsg", "libc's resolver" },
	{ "recvmmsg", "the same" },
	{ "shutdown", "end of a connection" },
	{ "getsockname", "family of a socket" },
	{ "getpeername", "who a device is" },
	{ "getsockopt", "SO_PEERCRED, SO_ERROR; options that a swap copies" },
	{ "setsockopt", "TCP_NODELAY; the same" },
	{ "ioctl", "FIONBIO; routes" },
	{ "fcntl", "non-blocking; SQLite's locks; a swap" },
	{ "dup", "a folder's descriptor that is walked" },
	{ "dup2", "libntm.so swaps a socket" },
	{ "dup3", "the same" },
	/* files */
	{ "read", "files, sockets" },
	{ "readv", "the same" },
	{ "write", "the log, files" },
	{ "writev", "the same" },
	{ "pread64", "SQLite; files that are sent" },
	{ "pwrite64", "SQLite; files that come" },
	{ "lseek", "files" },
	{ "open", "files, in libraries" },
	{ "openat", "files" },
	{ "close", "descriptors" },
	{ "stat", "files" },
	{ "fstat", "files" },
	{ "lstat", "files" },
	{ "newfstatat", "files" },
	{ "statx", "files" },
	{ "statfs", "room on the disk" },
	{ "fstatfs", "the same" },
	{ "access", "SQLite looks for its journal" },
	{ "faccessat", "the same" },
	{ "faccessat2", "the same" },
	{ "readlink", "SQLite, libntm.so resolve paths" },
	{ "readlinkat", "the same; links that are sent" },
	{ "getcwd", "SQLite resolves its path" },
	{ "getdents64", "folders that are sent, and removed" },
	{ "fsync", "what was confirmed is on the disk" },
	{ "fdatasync", "the same" },
	{ "syncfs", "files of items that came" },
	{ "memfd_create", "the list of what is sent, until it is known how large" },
	{ "sync_file_range", "what came in is written while more comes" },
	{ "fadvise64", "files that are read once" },
	{ "ftruncate", "files that come; SQLite" },
	{ "fallocate", "the same" },
	{ "mkdir", "an item's folder" },
	{ "mkdirat", "folders that come" },
	{ "rmdir", "an item that was taken" },
	{ "unlink", "the same; SQLite" },
	{ "unlinkat", "the same" },
	{ "rename", "files are replaced atomically" },
	{ "renameat", "the same" },
	{ "renameat2", "the same" },
	{ "symlink", "links that come" },
	{ "symlinkat", "the same" },
	{ "fchmod", "permissions of what came; SQLite" },
	{ "fchmodat", "the same" },
	{ "chmod", "the same" },
	{ "utimensat", "times of what came" },
	{ "umask", "0700 of folders" },
	{ "fchown", "SQLite started as root" },
	{ "flock", "libraries" },
	/* memory and threads */
	{ "brk", "malloc" },
	{ "mmap", "malloc; the broker's page" },
	{ "munmap", "the same" },
	{ "mremap", "the same" },
	{ "mprotect", "malloc's arenas" },
	{ "madvise", "malloc gives back; secrets stay out of dumps" },
	{ "mlock", "secrets are not swapped" },
	{ "mlock2", "the same" },
	{ "munlock", "the same" },
	{ "futex", "locks" },
	{ "clone", "threads; flags are checked" },
	{ "set_robust_list", "threads" },
	{ "rseq", "threads" },
	{ "sched_yield", "threads" },
	{ "sched_getaffinity", "libraries count processors" },
	{ "getpid", "GnuTLS, SQLite" },
	{ "gettid", "libc" },
	{ "getppid", "libraries" },
	{ "getuid", "who we are, for sockets of this user" },
	{ "geteuid", "the same" },
	{ "getgid", "libraries" },
	{ "getegid", "libraries" },
	{ "getrandom", "keys" },
	{ "getrusage", "GnuTLS's generator" },
	{ "getrlimit", "libraries" },
	{ "prlimit64", "the same; of this process" },
	{ "prctl", "names of threads" },
	{ "uname", "libraries" },
	{ "sysinfo", "libraries" },
	{ "tgkill", "abort()" },
	{ "exit", "end of a thread" },
	{ "exit_group", "end" },
};
/* clang-format on */

static const char *const deadly[] = {
	"execve",
	"execveat",
	"fork",
	"vfork",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"pidfd_getfd",
	"init_module",
	"finit_module",
	"bpf",
	"mount",
	"unshare",
	"setns",
	"chroot",
	"keyctl",
	"perf_event_open",
	"io_uring_setup",
};

static int allowed_add(scmp_filter_ctx ctx)
{
	int r = 0, nr;

	for (size_t i = 0; !r && i < sizeof(allowed) / sizeof(allowed[0]);
	     i++) {
		nr = seccomp_syscall_resolve_name(allowed[i].call);
		if (nr == __NR_SCMP_ERROR)
			continue;
		if (!strcmp(allowed[i].call, "clone"))
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
					     SCMP_A0(SCMP_CMP_MASKED_EQ,
						     CLONE_THREAD,
						     CLONE_THREAD));
		else if (!strcmp(allowed[i].call, "prlimit64"))
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
					     SCMP_A0(SCMP_CMP_EQ, 0));
		else
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	return r;
}

static int calls_wall(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r, nr;

	if (!ctx)
		return -1;
	r = allowed_add(ctx);
	for (size_t i = 0; !r && i < sizeof(deadly) / sizeof(deadly[0]); i++) {
		nr = seccomp_syscall_resolve_name(deadly[i]);
		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, nr, 0);
	}
	if (!r)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

int isolate_post(const char *dir)
{
	struct rlimit none = {0, 0}, data = {DATA_MAX, DATA_MAX};

	if (setrlimit(RLIMIT_CORE, &none) ||
	    (!SANITIZED && setrlimit(RLIMIT_DATA, &data)) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -NTM_ESYSTEM;
	if (folder_wall(dir))
		log_info("post",
			 "this kernel has no Landlock: that nothing "
			 "is written outside %s rests on our own care",
			 dir);
	if (!SANITIZED && calls_wall())
		log_warn("post", "this kernel has no seccomp: system calls are "
				 "not limited");
	return 0;
}

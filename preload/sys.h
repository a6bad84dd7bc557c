/* SPDX-License-Identifier: MIT */
/*
 * sys - system calls made without libc
 *
 * For three reasons: some hooks are called before libc's functions are resolved;
 * libc's connect, close, read, ... are cancellation points and would lose our
 * descriptors; and other preloaded libraries need not see what we do.
 * Context: anywhere, signal handlers and vfork children included. Return the
 * result or a negative errno; errno itself stays untouched.
 */
#ifndef NTM_PRELOAD_SYS_H
#define NTM_PRELOAD_SYS_H

#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
#else
/* cppcheck-suppress preprocessorErrorDirective */
#error "preload/sys.h: add this processor's system call"
#endif

/* SYS(number, up to six arguments) */
#define SYS(...) SYS_PAD(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define SYS_PAD(nr, a, b, c, d, e, f, ...)                                     \
	sys6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e),        \
	     (long)(f))

static inline void sys_close(int fd)
{
	if (fd >= 0)
		SYS(SYS_close, fd);
}

static inline int sys_connect(int fd, const void *sa, socklen_t len)
{
	return (int)SYS(SYS_connect, fd, sa, len);
}

static inline int sys_poll(struct pollfd *p, int64_t ns)
{
	struct {
		int64_t sec, nsec;
	} t = {ns / 1000000000, ns % 1000000000};

	return (int)SYS(SYS_ppoll, p, 1, &t, 0, 8);
}

/* All signals but the one by which libc carries setuid() to every thread: who
 * waits for it must not wait for a broker. Returns the mask before. */
static inline uint64_t sys_signals_block(void)
{
	uint64_t all = ~(UINT64_C(1) << (33 - 1)), old = 0;

	SYS(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, &all, &old, sizeof(all));
	return old;
}

static inline void sys_signals_restore(uint64_t old)
{
	SYS(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &old, 0, sizeof(old));
}

#endif

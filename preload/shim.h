/* SPDX-License-Identifier: MIT */
/*
 * shim - what the parts of libntm.so share
 *
 * Owner:    the process. One static struct, since libc hands us no context.
 * Context:  any thread, any time; a vfork child shares the memory, so nothing
 *           here describes a descriptor except as a guess that is checked
 *           before use (pool, epoll).
 * Rules:    no threads, no heap on hot paths, no lock held across a call, errno
 *           kept; never prints, never exits.
 */
#ifndef NTM_PRELOAD_SHIM_H
#define NTM_PRELOAD_SHIM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "common/rundir.h"
#include "preload/real.h"
#include "preload/shimproto.h"

/**
 * enum shim_listen - what NTM_LISTEN says about wildcard sockets
 * @SHIM_LISTEN_BOTH:    on the host, and announced to the broker
 * @SHIM_LISTEN_VIRTUAL: moved into the namespace
 * @SHIM_LISTEN_REAL:    on the host alone
 */
enum shim_listen { SHIM_LISTEN_BOTH, SHIM_LISTEN_VIRTUAL, SHIM_LISTEN_REAL };

/**
 * struct shim_filter - first bytes that some virtual address has
 * @key:   of the page and its sequence number that the bits were drawn from
 * @first: by family (0: IPv4, 1: IPv6), a bit for each value. Bits are only ever
 *         set, so that two threads at work can at worst leave too many.
 *
 * It answers most questions with three loads; a set bit means "look at the page".
 */
struct shim_filter {
	_Atomic(uint64_t) key;
	_Atomic(uint32_t) first[2][8];
};

struct shim {
	_Atomic(const struct shim_page *) page;
	/* $XDG_RUNTIME_DIR at start, "" when unset: nginx empties its environment */
	char xdg[RUNDIR_MAX];
	struct shim_filter filter;
	_Atomic(ino_t) page_ino;
	enum shim_listen listen;
	enum shim_exit exit;
	_Atomic(uint64_t) host_cookie; /* 0: not read yet */
};

extern struct shim shim;

/* The part of a hook that is seldom run, kept out of the one that always is: its
 * locals would cost every foreign call a larger frame and its guard. */
#define SHIM_SLOW __attribute__((noinline, cold))

/** shim_page() - the mapped page or NULL; no system call */
static inline const struct shim_page *shim_page(void)
{
	return atomic_load_explicit(&shim.page, memory_order_acquire);
}

/**
 * shim_page_refresh() - map the page, or the one of a broker started since
 *
 * A few system calls. An older mapping is never taken away: another thread may
 * be reading it.
 * Return: the page or NULL
 */
const struct shim_page *shim_page_refresh(void);

/** shim_page_or_map() - the page, looked for if none is mapped yet */
static inline const struct shim_page *shim_page_or_map(void)
{
	const struct shim_page *page = shim_page();

	return page ? page : shim_page_refresh();
}

/** shim_virtual_unmapped() - the test while no page is mapped; maps one when the
 *  address looks virtual */
bool shim_virtual_unmapped(const struct sockaddr *sa, socklen_t len);

/** shim_virtual_mapped() - the test by the page, which also renews the filter */
bool shim_virtual_mapped(const struct shim_page *page,
			 const struct sockaddr *sa, socklen_t len);

/** shim_filter_key() - mappings are 4096-aligned and never reused: 35 bits of the
 *  address and 29 of the number tell one state of one page */
static inline uint64_t shim_filter_key(const struct shim_page *page)
{
	return (uint64_t)(uintptr_t)page << 17 ^
	       (__atomic_load_n(&page->seq, __ATOMIC_ACQUIRE) & 0x1fffffff);
}

/** shim_virtual() - is this the address of a virtual peer? No system call for a
 *  foreign one. */
static inline bool shim_virtual(const struct sockaddr *sa, socklen_t len)
{
	const struct shim_page *page;
	unsigned int first, six;

	if (!sa || len < sizeof(struct sockaddr_in))
		return false;
	six = sa->sa_family == AF_INET6;
	if (!six && sa->sa_family != AF_INET)
		return false;
	page = shim_page();
	if (!page)
		return shim_virtual_unmapped(sa, len);
	/* the address begins at byte 8 of sockaddr_in6, 4 of sockaddr_in */
	first = ((const uint8_t *)sa)[six ? 8 : 4];
	if (atomic_load_explicit(&shim.filter.key, memory_order_acquire) ==
		    shim_filter_key(page) &&
	    !(atomic_load_explicit(&shim.filter.first[six][first / 32],
				   memory_order_relaxed) >>
		      first % 32 &
	      1))
		return false;
	return shim_virtual_mapped(page, sa, len);
}

/** shim_wildcard() - 0.0.0.0, :: or ::ffff:0.0.0.0? *@port gets the port */
bool shim_wildcard(const struct sockaddr *sa, socklen_t len, uint16_t *port);

/** shim_maybe_wildcard() - the same, inline, with doubts left to shim_wildcard() */
static inline bool shim_maybe_wildcard(const struct sockaddr *sa, socklen_t len)
{
	if (!sa || len < sizeof(struct sockaddr_in))
		return false;
	if (sa->sa_family == AF_INET)
		return !((const struct sockaddr_in *)(const void *)sa)
				->sin_addr.s_addr;
	return sa->sa_family == AF_INET6;
}

/** shim_int_option() - an int socket option, or @otherwise when there is none */
int shim_int_option(int fd, int level, int name, int otherwise);

/** shim_sock_host() - is @fd a socket of the network this process lives in (and
 *  not one already swapped)? Changes errno. */
bool shim_sock_host(int fd);

#endif

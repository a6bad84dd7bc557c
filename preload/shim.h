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

#include "preload/real.h"
#include "preload/shimproto.h"

/**
 * enum shim_listen - what NTM_LISTEN says about wildcard sockets
 * @SHIM_LISTEN_BOTH:    on the host, and announced to the broker
 * @SHIM_LISTEN_VIRTUAL: moved into the namespace
 * @SHIM_LISTEN_REAL:    on the host alone
 */
enum shim_listen { SHIM_LISTEN_BOTH, SHIM_LISTEN_VIRTUAL, SHIM_LISTEN_REAL };

struct shim {
	_Atomic(const struct shim_page *) page;
	_Atomic(ino_t) page_ino;
	enum shim_listen listen;
	_Atomic(uint64_t) host_cookie; /* 0: not read yet */
};

extern struct shim shim;

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

/** shim_virtual() - is this the address of a virtual peer? No system call for a
 *  foreign one. */
static inline bool shim_virtual(const struct sockaddr *sa, socklen_t len)
{
	const struct shim_page *page;

	if (!sa || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
		return false;
	page = shim_page();
	return page ? shim_page_virtual(page, sa, len)
		    : shim_virtual_unmapped(sa, len);
}

/** shim_wildcard() - 0.0.0.0, :: or ::ffff:0.0.0.0? *@port gets the port */
bool shim_wildcard(const struct sockaddr *sa, socklen_t len, uint16_t *port);

/** shim_int_option() - an int socket option, or @otherwise when there is none */
int shim_int_option(int fd, int level, int name, int otherwise);

/** shim_sock_host() - is @fd a socket of the network this process lives in (and
 *  not one already swapped)? Changes errno. */
bool shim_sock_host(int fd);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * shim - constructor, the shared page, and questions about sockets
 *
 * Theory of operation
 *
 * The shim makes an unmodified program reach virtual addresses. It keeps no table
 * of descriptors: whether a socket has been swapped is asked of the kernel (its
 * network namespace cookie), whether an address is virtual is read from a page
 * the broker shares (shimproto.h). So fork, vfork, exec, dup and descriptor
 * passing need no care.
 *
 * Every hook first asks a question that costs no system call (is the destination
 * virtual? is the source an alias or a doorbell?) and calls libc's function if the
 * answer is no. Else:
 *	connect, bind     swap.c    replace the socket by one of the namespace
 *	                  exit.c    the same for general hosts, under --exit
 *	send*             udp.c     the same, or an alias for wildcard sockets
 *	recv*             udp.c     show the peer instead of its alias
 *	listen, accept*   accept.c  announce; exchange doorbells
 *	names             names.c, hosts.c, resquery.c
 * Requests to the broker are in brokerlink.c, ready sockets in pool.c, what a
 * swap must carry over in sockopts.c and epoll.c.
 *
 * Trust: the broker is the same user (SO_PEERCRED); still its answers are decoded
 * as foreign bytes. Without a broker, with a hung one (limits in requests.def) or
 * with a bad answer the program runs as on the host.
 */
#include "preload/shim.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/rundir.h"
#include "preload/sys.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Where virtual addresses usually are; only decides when a broker is looked
 * for, never what is virtual. */
#define CANDIDATE4_NET	0xc6120000u /* 198.18.0.0/15 */
#define CANDIDATE4_MASK 0xfffe0000u
#define CANDIDATE6	0xfd6e

struct shim shim;

__attribute__((constructor)) static void shim_start(void)
{
	const char *mode, *xdg;
	int saved = errno;

	real_resolve();
	xdg = rundir_xdg();
	if (xdg &&
	    strlen(xdg) < sizeof(shim.xdg)) /* longer is unusable anyway */
		strcpy(shim.xdg, xdg);
	mode = getenv("NTM_LISTEN");
	if (mode && !strcmp(mode, "virtual"))
		shim.listen = SHIM_LISTEN_VIRTUAL;
	else if (mode && !strcmp(mode, "real"))
		shim.listen = SHIM_LISTEN_REAL;
	mode = getenv("NTM_EXIT");
	if (mode && !strcmp(mode, "auto"))
		shim.exit = SHIM_EXIT_AUTO;
	else if (mode && !strcmp(mode, "relay"))
		shim.exit = SHIM_EXIT_RELAY;
	shim_page_refresh();
	errno = saved;
}

/* --- the shared page ---------------------------------------------------------- */

static const struct shim_page *page_map(const char *path, ino_t *ino)
{
	const struct shim_page *page = NULL;
	struct stat st;
	long fd;
	void *at;

	fd = SYS(SYS_openat, AT_FDCWD, path,
		 O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	if (fstat((int)fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_uid != getuid() || st.st_size != sizeof(*page))
		goto out;
	at = mmap(NULL, sizeof(*page), PROT_READ, MAP_SHARED, (int)fd, 0);
	if (at == MAP_FAILED)
		goto out;
	page = at;
	if (page->magic != SHIM_PAGE_MAGIC ||
	    page->version != SHIM_PAGE_VERSION) {
		munmap(at, sizeof(*page));
		page = NULL;
	}
	*ino = st.st_ino;
out:
	sys_close((int)fd);
	return page;
}

const struct shim_page *shim_page_refresh(void)
{
	const struct shim_page *old = shim_page(), *page;
	char path[RUNDIR_MAX + sizeof(SHIM_PAGE_FILE) + 1];
	int saved = errno;
	struct stat st;
	ino_t ino = 0;

	if (rundir_file_in(shim.xdg, SHIM_PAGE_FILE, path, sizeof(path)) < 0)
		goto out;
	if (old &&
	    (stat(path, &st) < 0 || st.st_ino == atomic_load(&shim.page_ino)))
		goto out;
	page = page_map(path, &ino);
	if (!page)
		goto out;
	if (atomic_compare_exchange_strong(&shim.page, &old, page)) {
		atomic_store(&shim.page_ino, ino);
		old = page;
	} else {
		munmap((void *)(uintptr_t)page, sizeof(*page));
	}
out:
	errno = saved;
	return old;
}

/* Set the bits of all first bytes that @r covers. */
static void filter_add(const struct shim_range *r)
{
	const unsigned int six = r->family == AF_INET6,
			   free_bits =
				   r->prefix_len < 8 ? 8 - r->prefix_len : 0;
	unsigned int b = r->addr[0] & 0xffu << free_bits, i;

	for (i = 0; i < 1u << free_bits; i++, b++)
		atomic_fetch_or(&shim.filter.first[six][b / 32],
				UINT32_C(1) << b % 32);
}

/* If the page changes meanwhile, the key tells that the bits are old. */
static void filter_renew(const struct shim_page *page)
{
	uint64_t key = shim_filter_key(page);
	int i;

	if (atomic_load(&shim.filter.key) == key || (key & 1))
		return;
	/* v4-mapped addresses begin with 0 */
	atomic_fetch_or(&shim.filter.first[1][0], 1);
	for (i = 0; i < SHIM_RANGES_MAX && page->ranges[i].family; i++)
		filter_add(&page->ranges[i]);
	atomic_thread_fence(memory_order_acquire);
	if (shim_filter_key(page) == key)
		atomic_store(&shim.filter.key, key);
}

bool shim_virtual_mapped(const struct shim_page *page,
			 const struct sockaddr *sa, socklen_t len)
{
	filter_renew(page);
	return shim_page_virtual(page, sa, len);
}

bool shim_virtual_unmapped(const struct sockaddr *sa, socklen_t len)
{
	const struct shim_page *page;
	struct shim_addr a;
	uint32_t ip;

	if (shim_addr_from(sa, len, &a) < 0)
		return false;
	shim_addr_unmap(&a);
	if (a.family == AF_INET) {
		memcpy(&ip, a.addr, 4);
		if ((ntohl(ip) & CANDIDATE4_MASK) != CANDIDATE4_NET)
			return false;
	} else if ((a.addr[0] << 8 | a.addr[1]) != CANDIDATE6) {
		return false;
	}
	page = shim_page_refresh();
	return page && shim_page_virtual(page, sa, len);
}

/* --- questions about sockets ---------------------------------------------------- */

bool shim_wildcard(const struct sockaddr *sa, socklen_t len, uint16_t *port)
{
	static const uint8_t zero[16];
	struct shim_addr a;

	if (shim_addr_from(sa, len, &a) < 0)
		return false;
	shim_addr_unmap(&a);
	*port = a.port;
	return !memcmp(a.addr, zero, a.family == AF_INET ? 4 : 16);
}

int shim_int_option(int fd, int level, int name, int otherwise)
{
	socklen_t len = sizeof(int);
	int value = 0;

	if (getsockopt(fd, level, name, &value, &len) < 0)
		return otherwise;
	return value;
}

static uint64_t sock_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0)
		return 0;
	return cookie;
}

bool shim_sock_host(int fd)
{
	uint64_t host = atomic_load(&shim.host_cookie);
	int sock;

	if (!host) {
		sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (sock < 0)
			return false;
		host = sock_cookie(sock);
		sys_close(sock);
		atomic_store(&shim.host_cookie, host);
	}
	return host && sock_cookie(fd) == host;
}

/* SPDX-License-Identifier: MIT */
/* pool - ready-made namespace sockets of one kind */
#include "preload/pool.h"

#include <fcntl.h>

#include "preload/brokerlink.h"
#include "preload/shim.h"
#include "preload/sys.h"

#define POOL_FD_LOW 500 /* out of the way of programs that count descriptors */

enum { POOL_NONE = -1, POOL_OPENING = -2 };

/* @fd is published last and withdrawn first; @ino tells whether what is read
 * beside it belongs to it. */
static struct {
	_Atomic(int) fd;
	_Atomic(ino_t) ino;
	_Atomic(uint64_t) kind;
	_Atomic(uint64_t) missed;
} pool = {.fd = POOL_NONE};

static uint64_t kind_pack(const struct sock_kind *k)
{
	return (uint64_t)k->domain << 48 | (uint64_t)k->type << 32 |
	       (uint32_t)k->protocol;
}

/* Still the socket we put there? */
static bool pool_fd_ours(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       st.st_ino == atomic_load(&pool.ino);
}

static void pool_drop(int fd)
{
	bool ours = pool_fd_ours(fd);

	if (atomic_compare_exchange_strong(&pool.fd, &fd, POOL_NONE) && ours)
		sys_close(fd);
}

int pool_take(const struct sock_kind *kind)
{
	int fd = atomic_load(&pool.fd), got = -1;
	uint8_t msg[4];
	ssize_t n;

	if (fd < 0 || atomic_load(&pool.kind) != kind_pack(kind))
		return -1;
	if (!pool_fd_ours(fd)) {
		pool_drop(fd);
		return -1;
	}
	n = shim_msg_recv(fd, msg, sizeof(msg), &got, MSG_DONTWAIT);
	if (n == -EAGAIN || n == -EINTR)
		return -1;
	if (n == 2 && msg[0] == SHIM_VERSION && msg[1] == SHIM_POOL && got >= 0)
		return got;
	sys_close(got);
	pool_drop(fd);
	return -1;
}

static int pool_open(const struct sock_kind *kind)
{
	struct shim_request req = {.op = SHIM_POOL,
				   .domain = (uint16_t)kind->domain,
				   .type = (uint16_t)kind->type,
				   .protocol = (uint16_t)kind->protocol};
	struct shim_answer ans;
	int sock, high;

	if (broker_open(&req, &ans, NULL, &sock) < 0)
		return POOL_NONE;
	high = ans.err ? -1 : fcntl(sock, F_DUPFD_CLOEXEC, POOL_FD_LOW);
	sys_close(sock);
	return high < 0 ? POOL_NONE : high;
}

void pool_miss(const struct sock_kind *kind)
{
	uint64_t packed = kind_pack(kind);
	int fd = atomic_load(&pool.fd);
	struct stat st;

	if (atomic_exchange(&pool.missed, packed) != packed)
		return;
	/* an empty pool of the right kind is being refilled */
	if (fd >= 0 && atomic_load(&pool.kind) == packed)
		return;
	if (fd >= 0)
		pool_drop(fd);
	fd = POOL_NONE;
	if (!atomic_compare_exchange_strong(&pool.fd, &fd, POOL_OPENING))
		return;
	fd = pool_open(kind);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		atomic_store(&pool.ino, st.st_ino);
		atomic_store(&pool.kind, packed);
	}
	atomic_store(&pool.fd, fd);
}

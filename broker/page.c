/* SPDX-License-Identifier: MIT */
/*
 * page - writes the page that every shim maps (preload/shimproto.h)
 *
 * Theory of operation
 *
 * One writer, many readers who never wait: whatever changes is bracketed by its
 * sequence number (odd while being written). A flow enters its hash chain after it is
 * complete and leaves it before it is emptied, so a reader that walks meanwhile
 * meets old or new, at worst misses one and asks.
 *
 * A worker killed in the middle leaves an odd number. The next one finds it, drops
 * that flow, and builds the chains anew.
 */
#include "broker/page.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct page {
	struct shim_page *map;
};

/* the page's first words, for a look before it is mapped */
struct page_head {
	uint32_t magic, version;
};
_Static_assert(sizeof(struct page_head) == offsetof(struct shim_page, seq),
	       "nothing but magic and version before seq");

static void write_begin(uint32_t *seq)
{
	__atomic_store_n(seq, *seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void write_end(uint32_t *seq)
{
	__atomic_store_n(seq, *seq + 1, __ATOMIC_RELEASE);
}

/* --- chains --------------------------------------------------------------------------- */

static uint32_t *chain_head(struct shim_page *m, const struct shim_flow *f)
{
	return &m->hash[shim_flow_hash(&f->peer, f->server) % SHIM_FLOWS];
}

static void chain_add(struct shim_page *m, uint32_t number)
{
	struct shim_flow *f = &m->flows[number];

	__atomic_store_n(chain_head(m, f), number + 1, __ATOMIC_RELEASE);
}

static void chain_del(struct shim_page *m, uint32_t number)
{
	struct shim_flow *f = &m->flows[number], *before;
	uint32_t *head = chain_head(m, f), at;

	if (*head == number + 1) {
		__atomic_store_n(head, f->next, __ATOMIC_RELEASE);
		return;
	}
	for (at = *head; at; at = before->next) {
		before = &m->flows[at - 1];
		if (before->next != number + 1)
			continue;
		write_begin(&before->seq);
		before->next = f->next;
		write_end(&before->seq);
		return;
	}
}

/* --- taking over --------------------------------------------------------------------------- */

static void flow_clear(struct shim_flow *f)
{
	uint32_t seq = f->seq | 1;

	__atomic_store_n(&f->seq, seq, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memset((uint8_t *)f + sizeof(f->seq), 0, sizeof(*f) - sizeof(f->seq));
	write_end(&f->seq);
}

/* Whoever could have written here is of our uid; still believe nothing. */
static bool flow_sane(const struct shim_flow *f)
{
	return !(f->seq & 1) && f->live == 1 && f->server &&
	       (f->peer.family == AF_INET || f->peer.family == AF_INET6);
}

static void take_over(struct shim_page *m, bool keep_flows)
{
	struct shim_flow *f;
	uint32_t i;

	memset(m->hash, 0, sizeof(m->hash));
	if (!keep_flows) {
		memset(m->udp_ports, 0, sizeof(m->udp_ports));
		memset(m->udp6_ports, 0, sizeof(m->udp6_ports));
	}
	for (i = 0; i < SHIM_FLOWS; i++) {
		f = &m->flows[i];
		if (!f->live && !(f->seq & 1))
			continue;
		if (!keep_flows || !flow_sane(f)) {
			flow_clear(f);
			continue;
		}
		write_begin(&f->seq);
		f->next = *chain_head(m, f);
		write_end(&f->seq);
		chain_add(m, i);
	}
	if (m->seq & 1)
		write_end(&m->seq);
	if (!keep_flows)
		m->seq += 2; /* who watches the number sees a change */
}

/* Room is reserved, so that a full disk is an answer here and no SIGBUS later. */
static int page_make(const char *path, int *out)
{
	const struct page_head head = {SHIM_PAGE_MAGIC, SHIM_PAGE_VERSION};
	char temp[PATH_MAX];
	int fd, err;

	if ((size_t)snprintf(temp, sizeof(temp), "%s.%d", path, getpid()) >=
	    sizeof(temp))
		return -NTM_EINVAL;
	unlink(temp);
	fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		  0600);
	if (fd < 0)
		return errno == ENOSPC ? -NTM_ESTORE : -NTM_EPERM;
	err = posix_fallocate(fd, 0, sizeof(struct shim_page));
	if (!err && pwrite(fd, &head, sizeof(head), 0) != sizeof(head))
		err = errno;
	if (!err && rename(temp, path) < 0)
		err = errno;
	if (err) {
		unlink(temp);
		close(fd);
		return -NTM_ESTORE;
	}
	*out = fd;
	return 0;
}

static bool page_usable(int fd)
{
	struct page_head head;
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_uid == getuid() && !(st.st_mode & 077) &&
	       st.st_size == sizeof(struct shim_page) &&
	       pread(fd, &head, sizeof(head), 0) == sizeof(head) &&
	       head.magic == SHIM_PAGE_MAGIC &&
	       head.version == SHIM_PAGE_VERSION;
}

int page_open(const char *rundir, bool keep_flows, struct page **out)
{
	char path[PATH_MAX];
	struct page *p;
	int fd, err;

	snprintf(path, sizeof(path), "%s/" SHIM_PAGE_FILE, rundir);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && !page_usable(fd)) {
		close(fd);
		fd = -1;
	}
	err = fd < 0 ? page_make(path, &fd) : 0;
	if (err)
		return err;
	p = calloc(1, sizeof(*p));
	if (p)
		p->map = mmap(NULL, sizeof(*p->map), PROT_READ | PROT_WRITE,
			      MAP_SHARED, fd, 0);
	close(fd);
	if (!p || p->map == MAP_FAILED) {
		free(p);
		return -NTM_ENOMEM;
	}
	take_over(p->map, keep_flows);
	__atomic_store_n(&p->map->worker_pid, (uint32_t)getpid(),
			 __ATOMIC_RELEASE);
	*out = p;
	return 0;
}

void page_close(struct page *p)
{
	__atomic_store_n(&p->map->worker_pid, 0, __ATOMIC_RELEASE);
	munmap(p->map, sizeof(*p->map));
	free(p);
}

const struct shim_page *page_map(const struct page *p)
{
	return p->map;
}

/* --- writing ------------------------------------------------------------------------------ */

void page_set_ranges(struct page *p, const struct shim_range *ranges, size_t n)
{
	struct shim_page *m = p->map;

	if (n > SHIM_RANGES_MAX)
		n = SHIM_RANGES_MAX;
	write_begin(&m->seq);
	memset(m->ranges, 0, sizeof(m->ranges));
	if (n)
		memcpy(m->ranges, ranges, n * sizeof(*ranges));
	write_end(&m->seq);
}

void page_set_port(struct page *p, bool v6only, uint16_t port, bool on)
{
	uint32_t *word =
		(v6only ? p->map->udp6_ports : p->map->udp_ports) + port / 32;
	uint32_t bit = 1u << (port % 32);

	__atomic_store_n(word, on ? *word | bit : *word & ~bit,
			 __ATOMIC_RELEASE);
}

void page_flow_add(struct page *p, uint32_t number, uint16_t server,
		   uint16_t alias_port, uint16_t alias6_port,
		   const struct shim_addr *peer)
{
	struct shim_flow *f = &p->map->flows[number];

	write_begin(&f->seq);
	f->server = server;
	f->alias_port = alias_port;
	f->alias6_port = alias6_port;
	f->peer = *peer;
	f->next = *chain_head(p->map, f);
	f->live = 1;
	write_end(&f->seq);
	chain_add(p->map, number);
}

void page_flow_del(struct page *p, uint32_t number)
{
	chain_del(p->map, number);
	flow_clear(&p->map->flows[number]);
}

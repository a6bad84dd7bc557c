/* SPDX-License-Identifier: MIT */
/*
 * upload - data on its way in: where it goes on, its hash so far
 *
 * Theory of operation
 *
 * Bytes are written where they belong as they come; each WINDOW the kernel is
 * told to begin with writing, so that the sync at the end finds little left,
 * and an errand reads the file again, from the page cache, for the blob's name:
 * hashes take a third as long as all the rest, and so run beside it. It is the same
 * after a restart, when the hash begins at the file's begin. What is not larger
 * than a WINDOW is hashed as it comes. What is in the file is what came: an
 * upload that was cut off goes on at the file's size. Should a crash of the
 * machine have spoiled something there, the hash at the end says so, and the
 * sender begins again.
 *
 * A sync that fails has lost what the kernel could not write, and the next one says
 * nothing of it, while the page cache may still show it to the hash. So nobody goes on
 * with such an upload; when all have left it, its file is cut where the last good sync
 * was, which is all that was ever acknowledged.
 */
#include "servers/cs/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "common/log.h"
#include "libntmcrypto/blobsum.h"

#define WINDOW (UINT64_C(8) << 20)
#define READ   (64 * BLOBSUM_PIECE)
#define IDLE_S 60
#define OPEN_MAX                                                               \
	64 /* files that nobody writes to now; beyond, they are closed at once */

struct upload {
	UT_hash_handle hh;
	int64_t number;	   /* the key */
	uint64_t size;	   /* of the whole item */
	unsigned int refs; /* under the table's lock */
	uint32_t idle_since;

	pthread_mutex_t lock; /* below */
	int fd;
	uint64_t offset, hashed,
		started; /* started: writing back began up to here */
	unsigned int turn;
	enum { HASH_IDLE, HASH_QUEUED, HASH_RUNNING } hash;
	pthread_cond_t hashed_some;
	bool closed;	     /* being finished, finished or cancelled */
	bool over;	     /* and not to be opened again */
	bool spoiled;	     /* a sync failed; closed, too */
	uint64_t synced;     /* bytes that are on the disk */
	struct blobsum *sum; /* of who hashes: see hash_on() */
	struct desk_errand errand;
	struct uploads *all;
	/* one at a time: only the first that asks hears of an error */
	pthread_mutex_t syncing;
};

struct uploads {
	struct blobs *blobs;
	struct desk *desk;
	pthread_mutex_t lock; /* the table */
	struct upload *table;
};

int uploads_new(struct blobs *b, struct desk *d, struct uploads **out)
{
	struct uploads *u = calloc(1, sizeof(*u));

	if (!u)
		return -NTM_ENOMEM;
	u->blobs = b;
	u->desk = d;
	pthread_mutex_init(&u->lock, NULL);
	*out = u;
	return 0;
}

static void upload_free(struct upload *up)
{
	if (up->fd >= 0)
		close(up->fd);
	blobsum_free(up->sum);
	pthread_cond_destroy(&up->hashed_some);
	pthread_mutex_destroy(&up->syncing);
	pthread_mutex_destroy(&up->lock);
	free(up);
}

/* nobody holds it any more */
static void upload_leave(struct uploads *u, struct upload *up)
{
	if (up->spoiled && !up->over && ftruncate(up->fd, (off_t)up->synced))
		log_err("cs", "item %lld: %s", (long long)up->number,
			strerror(errno));
	HASH_DEL(u->table, up);
	upload_free(up);
}

void uploads_free(struct uploads *u)
{
	struct upload *up, *tmp;

	if (!u)
		return;
	HASH_ITER (hh, u->table, up, tmp) {
		HASH_DEL(u->table, up);
		upload_free(up);
	}
	pthread_mutex_destroy(&u->lock);
	free(u);
}

/* --- the table: under its lock
 * ------------------------------------------------------ */

static int upload_new(struct uploads *u, const struct item *item,
		      struct upload **out)
{
	struct upload *up = calloc(1, sizeof(*up));
	int r;

	if (!up)
		return -NTM_ENOMEM;
	up->fd = -1;
	up->number = item->number;
	up->size = item->size;
	up->all = u;
	pthread_mutex_init(&up->lock, NULL);
	pthread_mutex_init(&up->syncing, NULL);
	pthread_cond_init(&up->hashed_some, NULL);
	r = blobsum_new(&up->sum);
	if (!r)
		r = blobs_upload(u->blobs, item->number, &up->fd, &up->offset);
	if (r) {
		upload_free(up);
		return r;
	}
	if (up->offset > up->size && ftruncate(up->fd, 0)) {
		upload_free(up);
		return -NTM_ESTORE;
	}
	if (up->offset > up->size) /* not of this item */
		up->offset = 0;
	up->started = up->offset;
	up->synced = up->offset; /* what is not, the hash finds */
	HASH_ADD(hh, u->table, number, sizeof(up->number), up);
	*out = up;
	return 0;
}

static struct upload *find(struct uploads *u, int64_t number)
{
	struct upload *up;

	HASH_FIND(hh, u->table, &number, sizeof(number), up);
	return up;
}

int uploads_get(struct uploads *u, const struct item *item, struct upload **out)
{
	struct upload *up;
	int r = 0;

	pthread_mutex_lock(&u->lock);
	up = find(u, item->number);
	if (!up)
		r = upload_new(u, item, &up);
	if (!r)
		up->refs++;
	pthread_mutex_unlock(&u->lock);
	*out = up;
	return r;
}

void upload_put(struct uploads *u, struct upload *up)
{
	bool ends;

	pthread_mutex_lock(&u->lock);
	pthread_mutex_lock(&up->lock);
	ends = up->over || up->spoiled;
	pthread_mutex_unlock(&up->lock);
	up->idle_since = http_now_s();
	if (!--up->refs && (ends || HASH_COUNT(u->table) > OPEN_MAX))
		upload_leave(u, up);
	pthread_mutex_unlock(&u->lock);
}

void uploads_sweep(struct uploads *u, uint32_t now)
{
	struct upload *up, *tmp;

	pthread_mutex_lock(&u->lock);
	HASH_ITER (hh, u->table, up, tmp)
		if (!up->refs && now - up->idle_since >= IDLE_S)
			upload_leave(u, up);
	pthread_mutex_unlock(&u->lock);
}

void uploads_end(struct uploads *u, int64_t number)
{
	struct upload *up;

	pthread_mutex_lock(&u->lock);
	up = find(u, number);
	if (up) {
		pthread_mutex_lock(&up->lock);
		up->closed = true;
		up->over = true;
		pthread_mutex_unlock(&up->lock);
		if (!up->refs)
			upload_leave(u, up);
	}
	pthread_mutex_unlock(&u->lock);
}

uint64_t uploads_offset(struct uploads *u, int64_t number)
{
	struct upload *up;
	uint64_t n;

	pthread_mutex_lock(&u->lock);
	up = find(u, number);
	if (up) {
		pthread_mutex_lock(&up->lock);
		n = up->spoiled ? up->synced : up->offset;
		pthread_mutex_unlock(&up->lock);
	}
	pthread_mutex_unlock(&u->lock);
	return up ? n : blobs_uploaded(u->blobs, number, NULL);
}

/* --- the hash
 * -------------------------------------------------------------------------- */

/* Bytes that are hashed next: up to where a piece ends, so that whole ones follow */
static size_t next_read(const struct upload *up)
{
	uint64_t left = up->offset - up->hashed;
	size_t n = READ;

	if (up->hashed < BLOBSUM_FIRST)
		n += BLOBSUM_FIRST - (size_t)up->hashed;
	else
		n -= (size_t)((up->hashed - BLOBSUM_FIRST) % BLOBSUM_PIECE);
	return n < left ? n : (size_t)left;
}

/* Of the file, from where the hash is, as far as it goes; under the lock, which
 * is left meanwhile: only one at a time, who has set HASH_RUNNING. Return: 0,
 * -NTM_ESTORE */
static int hash_on(struct upload *up)
{
	uint8_t *buf = malloc(READ + BLOBSUM_FIRST);
	int r = buf ? 0 : -NTM_ENOMEM;

	while (!r && up->hashed < up->offset) {
		size_t want = next_read(up);
		ssize_t n;

		pthread_mutex_unlock(&up->lock);
		n = pread(up->fd, buf, want, (off_t)up->hashed);
		if (n > 0)
			blobsum_add(up->sum, buf, (size_t)n);
		pthread_mutex_lock(&up->lock);
		if (n > 0)
			up->hashed += (uint64_t)n;
		else
			r = -NTM_ESTORE;
	}
	free(buf);
	return r;
}

static void hash_errand(struct desk_errand *e)
{
	struct upload *up =
		(struct upload *)((char *)e - offsetof(struct upload, errand));

	pthread_mutex_lock(&up->lock);
	up->hash = HASH_RUNNING;
	if (!up->closed && hash_on(up))
		log_debug("cs", "item %lld is hashed at its end",
			  (long long)up->number);
	up->hash = HASH_IDLE;
	pthread_cond_broadcast(&up->hashed_some);
	pthread_mutex_unlock(&up->lock);
	upload_put(up->all, up);
}

/* somebody holds @up; under its lock. Return: to be sent, when that has been
 * left */
static bool hash_wanted(struct upload *up)
{
	if (up->size <= WINDOW || up->hash != HASH_IDLE ||
	    up->offset - up->hashed < WINDOW)
		return false;
	up->hash = HASH_QUEUED;
	up->errand.run = hash_errand;
	return true;
}

static void hash_send(struct upload *up)
{
	pthread_mutex_lock(&up->all->lock);
	up->refs++;
	pthread_mutex_unlock(&up->all->lock);
	desk_send(up->all->desk, &up->errand);
}

/* --- data
 * ----------------------------------------------------------------------------
 */

int uploads_begin(struct uploads *u, const struct item *item, uint64_t offset,
		  struct upload **out, unsigned int *turn, uint64_t *have)
{
	struct upload *up;
	int r = uploads_get(u, item, &up);

	if (r)
		return r;
	pthread_mutex_lock(&up->lock);
	*have = up->offset;
	if (up->closed)
		r = -NTM_EAGAIN;
	else if (up->offset != offset)
		r = -NTM_ESTATE;
	else
		*turn = ++up->turn;
	pthread_mutex_unlock(&up->lock);
	if (r)
		upload_put(u, up);
	else
		*out = up;
	return r;
}

static int write_all(int fd, const uint8_t *data, size_t len, uint64_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -NTM_ESTORE;
		data += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

static int append(struct upload *up, const uint8_t *data, size_t len)
{
	int r;

	if (len > up->size - up->offset)
		return -NTM_ETOOBIG;
	r = write_all(up->fd, data, len, up->offset);
	if (r) {
		log_warn("cs", "item %lld: %s", (long long)up->number,
			 strerror(errno));
		return r;
	}
	if (up->size <= WINDOW && up->hashed == up->offset) {
		blobsum_add(up->sum, data, len);
		up->hashed += len;
	}
	up->offset += len;
	if (up->offset - up->started >= WINDOW) {
		/* a hint: what it does not begin, the sync does */
		(void)!sync_file_range(up->fd, (off_t)up->started,
				       (off_t)(up->offset - up->started),
				       SYNC_FILE_RANGE_WRITE);
		up->started = up->offset;
	}
	return 0;
}

int upload_write(struct upload *up, unsigned int turn, const uint8_t *data,
		 size_t len)
{
	bool send;
	int r;

	pthread_mutex_lock(&up->lock);
	r = up->closed || up->turn != turn ? -NTM_ESTATE
					   : append(up, data, len);
	send = !r && hash_wanted(up);
	pthread_mutex_unlock(&up->lock);
	if (send)
		hash_send(up);
	return r;
}

int upload_sync(struct upload *up, uint64_t *have)
{
	bool good;
	int err;

	pthread_mutex_lock(&up->syncing);
	pthread_mutex_lock(&up->lock);
	*have = up->offset;
	pthread_mutex_unlock(&up->lock);
	err = fdatasync(up->fd) ? errno : 0;
	pthread_mutex_lock(&up->lock);
	if (err) {
		log_err("cs", "item %lld: %s", (long long)up->number,
			strerror(err));
		up->spoiled = true;
		up->closed = true;
	}
	good = !up->spoiled;
	if (good && *have > up->synced)
		up->synced = *have;
	pthread_mutex_unlock(&up->lock);
	pthread_mutex_unlock(&up->syncing);
	return good ? 0 : -NTM_ESTORE;
}

/* @up is closed: nobody writes. Return: 0, -NTM_ESTORE */
static int hash_it(struct upload *up, uint8_t out[static NTMC_HASH_LEN])
{
	int r;

	pthread_mutex_lock(&up->lock);
	while (up->hash == HASH_RUNNING) /* an errand that is nearly there */
		pthread_cond_wait(&up->hashed_some, &up->lock);
	/* one that is queued finds nothing to do */
	r = hash_on(up);
	blobsum_name(up->sum, out);
	blobsum_reset(up->sum);
	up->hashed = 0;
	pthread_mutex_unlock(&up->lock);
	return r;
}

static void reopen(struct upload *up, bool empty)
{
	pthread_mutex_lock(&up->lock);
	if (empty) {
		up->offset = 0;
		up->started = 0;
		up->synced = 0;
	}
	up->closed = up->over || up->spoiled;
	pthread_mutex_unlock(&up->lock);
}

int upload_finish(struct upload *up, const uint8_t hash[static NTMC_HASH_LEN],
		  uint64_t *have)
{
	uint8_t got[NTMC_HASH_LEN];
	int r = 0;

	pthread_mutex_lock(&up->lock);
	*have = up->offset;
	if (up->closed)
		r = -NTM_EAGAIN;
	else if (up->offset != up->size)
		r = -NTM_ESTATE;
	else
		up->closed = true;
	pthread_mutex_unlock(&up->lock);
	if (r)
		return r;
	r = upload_sync(up, have);
	if (!r)
		r = hash_it(up, got);
	if (!r && memcmp(got, hash, NTMC_HASH_LEN))
		r = ftruncate(up->fd, 0) ? -NTM_ESTORE : -NTM_EAUTH;
	if (r == -NTM_EAUTH)
		*have = 0;
	if (r)
		reopen(up, r == -NTM_EAUTH);
	return r;
}

void upload_reopen(struct upload *up)
{
	reopen(up, false);
}

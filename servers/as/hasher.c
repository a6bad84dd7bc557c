/* SPDX-License-Identifier: MIT */
/* hasher - Argon2 beside the loop: a few threads and a bounded queue */
#include "servers/as/hasher.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "libntmcrypto/ntmcrypto.h"

struct job {
	struct job *next;
	hasher_fn *fn;
	void *arg;
	bool verify, unknown;
	int err;
	char *password;
	char hash[NTMC_PASSWORD_HASH_MAX];
};

struct hasher {
	struct loop_io *io;
	int wake; /* eventfd: a thread finished something */
	char decoy[NTMC_PASSWORD_HASH_MAX];

	pthread_mutex_t lock; /* everything below */
	pthread_cond_t more;
	struct job *todo, **todo_tail, *done;
	unsigned int waiting;
	bool stop;
	pthread_t threads[HASHER_THREADS];
	unsigned int n_threads;
};

static void job_free(struct job *j)
{
	if (!j)
		return;
	if (j->password)
		ntmc_wipe(j->password, strlen(j->password));
	free(j->password);
	ntmc_wipe(j->hash, sizeof(j->hash));
	free(j);
}

static void job_work(struct job *j)
{
	if (!j->verify) {
		j->err = ntmc_password_hash(NULL, j->password, j->hash);
		return;
	}
	j->err = ntmc_password_verify(j->password, j->hash);
	if (j->unknown)
		j->err = -NTM_EPASSWORD;
}

static void *hasher_thread(void *arg)
{
	struct hasher *h = arg;
	uint64_t one = 1;
	struct job *j;

	pthread_mutex_lock(&h->lock);
	for (;;) {
		while (!h->todo && !h->stop)
			pthread_cond_wait(&h->more, &h->lock);
		if (h->stop)
			break;
		j = h->todo;
		h->todo = j->next;
		if (!h->todo)
			h->todo_tail = &h->todo;
		h->waiting--;
		pthread_mutex_unlock(&h->lock);
		job_work(j);
		pthread_mutex_lock(&h->lock);
		j->next = h->done;
		h->done = j;
		if (write(h->wake, &one, sizeof(one)) < 0)
			continue; /* counter full: the loop is woken anyway */
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

static void hasher_finished(void *arg, int fd, unsigned int events)
{
	struct hasher *h = arg;
	uint64_t count;
	struct job *list, *j;

	(void)events;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&h->lock);
	list = h->done;
	h->done = NULL;
	pthread_mutex_unlock(&h->lock);
	while ((j = list)) {
		list = j->next;
		j->fn(j->arg, j->err, j->verify ? NULL : j->hash);
		job_free(j);
	}
}

int hasher_new(struct loop *l, struct hasher **out)
{
	struct hasher *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -NTM_ENOMEM;
	h->todo_tail = &h->todo;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->more, NULL);
	h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = h->wake < 0 ? -NTM_ESYSTEM : 0;
	if (!r)
		r = ntmc_password_hash(NULL, "decoy", h->decoy);
	if (!r)
		r = loop_io_add(l, h->wake, LOOP_READ, false, hasher_finished,
				h, &h->io);
	for (; !r && h->n_threads < HASHER_THREADS; h->n_threads++)
		if (pthread_create(&h->threads[h->n_threads], NULL,
				   hasher_thread, h)) {
			r = -NTM_ESYSTEM;
			break;
		}
	if (r) {
		hasher_free(h);
		return r;
	}
	*out = h;
	return 0;
}

static void jobs_free(struct job *j)
{
	struct job *next;

	for (; j; j = next) {
		next = j->next;
		job_free(j);
	}
}

void hasher_free(struct hasher *h)
{
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_broadcast(&h->more);
	pthread_mutex_unlock(&h->lock);
	while (h->n_threads)
		pthread_join(h->threads[--h->n_threads], NULL);
	jobs_free(h->todo);
	jobs_free(h->done);
	loop_io_del(h->io);
	if (h->wake >= 0)
		close(h->wake);
	pthread_cond_destroy(&h->more);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static int hasher_add(struct hasher *h, const struct job *what,
		      const char *password)
{
	struct job *j = malloc(sizeof(*j));
	int r = 0;

	if (!j)
		return -NTM_ENOMEM;
	*j = *what;
	j->password = strdup(password);
	if (!j->password) {
		job_free(j);
		return -NTM_ENOMEM;
	}
	pthread_mutex_lock(&h->lock);
	if (h->waiting == HASHER_QUEUE_MAX) {
		r = -NTM_ELIMIT;
	} else {
		h->waiting++;
		*h->todo_tail = j;
		h->todo_tail = &j->next;
		pthread_cond_signal(&h->more);
	}
	pthread_mutex_unlock(&h->lock);
	if (r)
		job_free(j);
	return r;
}

int hasher_verify(struct hasher *h, const char *password, const char *hash,
		  hasher_fn *fn, void *arg)
{
	struct job j = {.fn = fn, .arg = arg, .verify = true, .unknown = !hash};

	if (!hash)
		hash = h->decoy;
	if (strlen(hash) >= sizeof(j.hash))
		return -NTM_EINVAL;
	strcpy(j.hash, hash);
	return hasher_add(h, &j, password);
}

int hasher_hash(struct hasher *h, const char *password, hasher_fn *fn,
		void *arg)
{
	struct job j = {.fn = fn, .arg = arg};

	return hasher_add(h, &j, password);
}

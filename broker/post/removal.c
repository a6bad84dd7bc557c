/* SPDX-License-Identifier: MIT */
/* removal - folders of items that are over go, some files at a time */
#include "broker/post/removal.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/log.h"

#define GONE	   "gone." /* and a number by chance: it never meets an older one */
#define FOLDER_FDS 16

struct gone {
	struct gone *prev, *next;
	char path[];
};

/* @left: the folder of all, where it has yet to be looked through */
struct removal {
	struct post *post;
	struct loop_timer *turn;
	struct gone *folders;
	DIR *left;
};

/* --- a portion ----------------------------------------------------------------------- */

/* of the walk that runs: nftw() hands nothing through to what it calls */
static struct {
	struct loop *loop;
	uint64_t until;
	unsigned int removed;
} portion;

/* What cannot be removed is passed by: each portion removes something, or is the last. */
static int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *f)
{
	(void)st, (void)flag, (void)f;
	if (remove(path))
		return 0;
	return ++portion.removed == REMOVAL_FILES ||
	       loop_now_exact(portion.loop) >= portion.until;
}

/* Return: is it over? */
static bool remove_some(struct removal *r, const char *path)
{
	struct loop *loop = r->post->loop;

	portion.loop = loop;
	portion.until = loop_now_exact(loop) + LOOP_MS(REMOVAL_MS);
	portion.removed = 0;
	return nftw(path, remove_one, FOLDER_FDS, FTW_DEPTH | FTW_PHYS) <= 0;
}

/* --- what an earlier process left ------------------------------------------------------ */

static bool gone_append(struct removal *r, const char *path)
{
	struct gone *g = malloc(sizeof(*g) + strlen(path) + 1);

	if (!g)
		return false; /* it stays until the next start */
	strcpy(g->path, path);
	DL_APPEND(r->folders, g);
	return true;
}

/* Is this an item's folder that no row needs? One whose number is still to be given is
 * of another store: a person may want it. */
static bool is_over(struct store *st, const char *name)
{
	enum post_statement which;
	long long id;
	bool over;
	char end;

	if (sscanf(name, "in.%lld%c", &id, &end) == 1)
		which = IN_OVER;
	else if (sscanf(name, "out.%lld%c", &id, &end) == 1)
		which = OUT_FOLDER_OVER;
	else
		return false;
	store_bind_int(st, which, 1, id);
	if (store_step(st, which) <= 0)
		return false;
	over = store_int(st, which, 0);
	store_reset(st, which);
	return over;
}

static void look_at_one(struct removal *r, const char *name)
{
	struct post *p = r->post;
	char path[512];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", p->who.dir, name) >=
	    sizeof(path))
		return;
	if (!strncmp(name, GONE, strlen(GONE)))
		gone_append(r, path);
	else if (is_over(p->store, name))
		post_remove_later(p, path);
}

static void look_on(struct removal *r)
{
	const struct dirent *e = NULL;
	unsigned int n;

	for (n = 0; n < REMOVAL_LOOKS_AT && (e = readdir(r->left)); n++)
		look_at_one(r, e->d_name);
	if (e)
		return;
	closedir(r->left);
	r->left = NULL;
}

/* --- turns --------------------------------------------------------------------------- */

static void on_turn(void *arg)
{
	struct removal *r = arg;
	struct gone *g = r->folders;

	if (r->left) {
		look_on(r);
	} else if (g && remove_some(r, g->path)) {
		DL_DELETE(r->folders, g);
		free(g);
	}
	if (removal_busy(r))
		loop_timer_arm(r->turn, 0);
	else
		post_check_idle(r->post);
}

void removal_add(struct removal *r, const char *path)
{
	char gone[512];
	uint64_t number;

	ntmc_random(r->post->env, &number, sizeof(number));
	if ((size_t)snprintf(gone, sizeof(gone), "%s/" GONE "%016llx",
			     r->post->who.dir,
			     (unsigned long long)number) >= sizeof(gone))
		return;
	if (!rename(path, gone)) {
		gone_append(r, gone);
		loop_timer_arm(r->turn, 0);
	} else if (errno != ENOENT) {
		log_warn("post", "%s stays until the next start: %s", path,
			 strerror(errno));
	}
}

bool removal_busy(const struct removal *r)
{
	return r && (r->folders || r->left);
}

int removal_open(struct post *p, struct removal **out)
{
	struct removal *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -NTM_ENOMEM;
	r->post = p;
	err = loop_timer_new(p->loop, on_turn, r, &r->turn);
	if (err) {
		free(r);
		return err;
	}
	r->left = opendir(p->who.dir);
	loop_timer_arm(r->turn, 0);
	*out = r;
	return 0;
}

void removal_close(struct removal *r)
{
	struct gone *g, *tmp;

	if (!r)
		return;
	DL_FOREACH_SAFE (r->folders, g, tmp) {
		DL_DELETE(r->folders, g);
		free(g);
	}
	if (r->left)
		closedir(r->left);
	loop_timer_free(r->turn);
	free(r);
}

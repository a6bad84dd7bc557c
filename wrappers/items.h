/* SPDX-License-Identifier: MIT */
/*
 * items - what the commands of items share: asking ntm-post, a bar of progress
 *
 * Context: short-lived programs.
 */
#ifndef NTM_WRAPPERS_ITEMS_H
#define NTM_WRAPPERS_ITEMS_H

#include "common/err.h"
#include "wrappers/command.h"

/** command_call(), of ntm-post */
int items_call(const struct command_args *a, json_t *request, json_t **answer);
/** the only item of list @cmd ("inbox", "outbox") with number @id, a new reference;
 *  NULL: there is none, or it was said what is wrong */
json_t *items_get(const struct command_args *a, const char *cmd, json_int_t id);
/** all of list @cmd. Return: 0 and a new array, or the exit status 1 */
int items_all(const struct command_args *a, const char *cmd, json_t **out);
/** a bar on a terminal: name, share, rate, time left; nothing elsewhere */
struct items_bar {
	json_int_t last;
	double rate, at;
	bool drawn;
};
void items_bar_draw(struct items_bar *b, const char *name, json_int_t done,
		    json_int_t all);
void items_bar_end(struct items_bar *b);
/** 200 ms, between two looks at how far it is */
void items_pause(void);

/* --- placing what came (place.c) --- */

enum place_exists { PLACE_ASK, PLACE_REFUSE, PLACE_OVERWRITE, PLACE_RENAME };

/** called for each file or folder that was placed, with its path */
typedef void place_fn(void *arg, const char *path);
/**
 * place_tree() - all that lies in @tree goes into @dir, each as a whole
 * @how: where the name is taken already. Files alone are overwritten.
 * Return: 0, 1 where something was left (it stays in @tree), or an error
 */
NTM_MUST_CHECK int place_tree(const char *tree, const char *dir,
			      enum place_exists how, place_fn *fn, void *arg);

#endif

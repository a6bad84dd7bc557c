/* SPDX-License-Identifier: MIT */
/*
 * items - what the commands of items share: asking ntm-post, a bar of progress
 *
 * Context: short-lived programs.
 */
#ifndef NTM_WRAPPERS_ITEMS_H
#define NTM_WRAPPERS_ITEMS_H

#include <sys/types.h>

#include "common/err.h"
#include "wrappers/inbox_rows.h"
#include "wrappers/ntm.h"

#define ITEMS_APPLICATION "ntm"	      /* of what the commands send and take */
#define ITEMS_GROUPS	  "ntm-group" /* ntm-member's alone */

/**
 * items_call() - command_call(), of ntm-post; @request is taken
 *
 * One that the broker has yet to start is waited for, 10 s at most.
 * Texts of *@answer are fit for a terminal, but with --json as they are.
 */
int items_call(const struct command_args *a, json_t *request, json_t **answer);
/**
 * items_get() - the only item of list @cmd ("inbox", "outbox") with number @id
 *
 * Where ntm-post ends in between, it is asked again: it is started again if there is
 * work left.
 * Return: a new reference; NULL: there is none, or it was said what is wrong
 */
json_t *items_get(const struct command_args *a, const char *cmd, json_int_t id);
/** all of list @cmd. *@logged_in: is this device? Return: 0 and a new array, or the exit
 *  status 1 */
int items_all(const struct command_args *a, const char *cmd, json_t **out,
	      bool *logged_in);
/** all of the inbox, for a table; inbox_rows_clear() it. Return: 0, or the exit status 1 */
int items_rows(const struct command_args *a, struct inbox_rows *out);
/** says @text, of an empty list; and the likely reason where there is no login */
void items_none(const char *text, bool logged_in);
/** is item @id of the inbox for a person to take or drop? What groups say to each other is
 *  ntm-member's: taken here, it would be lost to it. Return: 0, or the exit status 1 */
int items_may(const struct command_args *a, json_int_t id);
/** @word as a number of list @cmd. Return: 0: it is none, and that was said */
json_int_t items_number(const struct command_args *a, const char *cmd,
			const char *word);

/**
 * items_watch() - how far item @id of list @cmd is, until @under_way() denies
 *
 * On a terminal with a bar; what hinders it is said, each time that it is something
 * else. Ctrl-C ends the watching, not the item.
 * Return: the item, a new reference; NULL: as items_get(), or it was Ctrl-C
 */
json_t *items_watch(const struct command_args *a, const char *cmd,
		    json_int_t id, bool (*under_way)(const json_t *item));

/** struct items_bar - on a terminal a line: name, bar, rate, time left; else nothing */
struct items_bar {
	json_int_t last;
	double rate, at;
	bool drawn;
};
void items_bar_draw(struct items_bar *b, const char *name, json_int_t done,
		    json_int_t all);
void items_bar_end(struct items_bar *b);
/** 200 ms, between two looks */
void items_pause(void);

bool items_interrupted(void);
/** says @text, and ends this program as Ctrl-C would have */
void items_interrupt_end(const char *text);

/* --- placing what came (place.c) --- */

struct placed;
enum place_exists { PLACE_ASK, PLACE_REFUSE, PLACE_OVERWRITE, PLACE_RENAME };

/** struct place_list - absolute paths; {NULL, 0} is an empty one */
struct place_list {
	char **path;
	size_t n;
};
void place_list_clear(struct place_list *l);

/**
 * struct place_way - how, and who hears of it
 * @how:    where the name is taken already. Files alone are overwritten.
 * @placed: called for each file or folder that is placed, with its path below the
 *          folder as given; may be NULL
 * @left:   called for each that stays in the tree, @name being taken; may be NULL
 * @ask:    with PLACE_ASK: what about this one?
 */
struct place_way {
	enum place_exists how;
	void (*placed)(void *arg, const char *path);
	void (*left)(void *arg, const char *dir, const char *name,
		     enum place_exists how);
	enum place_exists (*ask)(void *arg, const char *dir, const char *name);
	void *arg;
};

/**
 * place_tree() - all that lies in @folder/tree goes into @dir, each as a whole
 * @record: of @folder; it stays open until the item is taken, so that nobody else places
 *          it, or hands it to a command, meanwhile
 * @placed: all that this item has become, also what an earlier call placed: @record
 *          has it. place_list_clear() it
 * Return: 0, 1 where something was left (it stays in the tree), or an error
 */
NTM_MUST_CHECK int place_tree(const char *folder, struct placed *record,
			      const char *dir, const struct place_way *way,
			      struct place_list *placed);

/* --- who may read it (place_mode.c) --- */

/** what of this process's umask is about others than the owner */
mode_t place_umask(void);
/**
 * place_mode() - takes @mask from @name in folder @at, and from all below it
 *
 * Links are not followed. Nobody else writes there.
 * Return: 0, -NTM_ESTORE
 */
NTM_MUST_CHECK int place_mode(int at, const char *name, mode_t mask);

/* --- the record of them (placed.c) --- */

#define PLACED_MAX (64u << 20) /* bytes: 100,000 names, tried several times */

/**
 * placed_open() - read the record of @folder, and go on with it
 *
 * The item is the caller's alone until placed_close(), or its end, however it ends. What
 * others did before may be that they took it: look whether it is there still.
 * Return: 0, -NTM_EAGAIN (another program has it open), -NTM_ENOTFOUND (no such folder),
 * -NTM_ESTORE, -NTM_ENOMEM
 */
NTM_MUST_CHECK int placed_open(const char *folder, struct placed **out);
void placed_close(struct placed *p); /* NULL is fine */
/** @name is about to become @path. Return: 0, -NTM_ESTORE, -NTM_ENOMEM */
NTM_MUST_CHECK int placed_intend(struct placed *p, const char *name,
				 const char *path);
/** it has: what is left of it in the tree is a copy. Return: as placed_intend() */
NTM_MUST_CHECK int placed_done(struct placed *p, const char *name,
			       const char *path);
/** has placed_done() been called for @name? */
bool placed_is_done(const struct placed *p, const char *name);
/** the paths of all names that have gone from @tree_fd, or are done, in order.
 *  Return: 0, -NTM_ENOMEM */
NTM_MUST_CHECK int placed_paths(const struct placed *p, int tree_fd,
				struct place_list *out);

#endif

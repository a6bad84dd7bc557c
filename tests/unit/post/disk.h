/* SPDX-License-Identifier: MIT */
/*
 * disk - in which order a test's process writes, syncs and speaks
 *
 * Owner:    the test program, which has one loop and one thread.
 * Writes, syncs and sends are counted in place of libc's; SQLite's, libcurl's and
 * libmicrohttpd's pass here as well. Each has a moment, later ones higher ones.
 */
#ifndef NTM_TESTS_UNIT_POST_DISK_H
#define NTM_TESTS_UNIT_POST_DISK_H

/**
 * struct disk - what is watched: all below one state folder
 * @item:   the last change below an item's folder, in.NUMBER, made by us
 * @synced, @synced_end: the last sync of all of the disk: when it began, and was over
 * @row:    the first write of the store's log since the last change of an item
 * @said:   the first bytes to a socket since then
 * @log:    the last write of the log before that
 * @log_synced, @log_synced_end: the last sync of the log before that
 */
struct disk {
	unsigned int item, synced, synced_end, row, log, log_synced,
		log_synced_end, said;
};
extern struct disk disk;

/** from now on; NULL: no more */
void disk_watch(const char *state);
/** something was written in the store, was on the disk, and then a word was said */
void disk_row_first(void);
/** before that, the item was */
void disk_in_order(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * pack_impl - `sources`, the file that pack.c writes and pack_read.c reads
 *
 * One struct source and its path for each entry with data, in the manifest's order.
 * Never leaves this machine.
 */
#ifndef NTM_BROKER_POST_PACK_IMPL_H
#define NTM_BROKER_POST_PACK_IMPL_H

#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "broker/post/pack.h"

struct source {
	uint64_t size, ino, dev;
	int64_t mtime, ctime;
	uint32_t mtime_ns, ctime_ns;
	uint32_t path_len, zero;
};

void source_from(struct source *s, const struct stat *st);
/** the file is the one that was listed, untouched */
bool source_same(const struct source *s, const struct stat *st);
/** the lists in files that are open; both are taken. @text: NULL, or what stands for the
 *  one source, borrowed while @p is used. Return: 0, -NTM_ESTORE */
int pack_of(int manifest, FILE *sources, const char *text, struct pack **out);
/** @name in @dir, 0600; -1: it cannot be opened */
int pack_file(const char *dir, const char *name, int flags);

#endif

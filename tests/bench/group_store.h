/* SPDX-License-Identifier: MIT */
/* group_store - what a member's store costs for an epoch that nobody came or went in */
#ifndef NTM_TESTS_BENCH_GROUP_STORE_H
#define NTM_TESTS_BENCH_GROUP_STORE_H

#include "tests/bench/group_crowd.h"

/** prints it; the group of @p again and again, in a store of its own at @path */
void group_store_figure(const struct mate *p, const char *path);

#endif

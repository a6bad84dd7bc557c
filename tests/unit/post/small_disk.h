/* SPDX-License-Identifier: MIT */
/*
 * small_disk - the disk under the ends' state folders is as small, or as full, as a test says
 *
 * Owner: the test program, which has ends (ends.h). statvfs(3) and write(2) stand here in
 * place of libc's.
 */
#ifndef NTM_TESTS_UNIT_POST_SMALL_DISK_H
#define NTM_TESTS_UNIT_POST_SMALL_DISK_H

#include <stdbool.h>
#include <stdint.h>

#define FILES 300 /* of small_disk_send_many() */
#define MIB   (UINT64_C(1) << 20)

/** so much is left of it; 0: as it is */
void small_disk_is(uint64_t bytes, uint64_t files);
/** nothing is left, and what is written into the files of items fails */
void small_disk_fill(void);
/** has it, since? */
bool small_disk_failed(void);
/** FILES files of no bytes, and their folder, are sent */
void small_disk_send_many(void);
/** an item waits at CN, and says why; then there is room again, and it comes */
void small_disk_held_back(const char *why);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * drainfile - that a server drains, over restarts: a maintenance begins with one
 *
 * Context: a server's loop thread. A file of one character in the server's folder.
 */
#ifndef NTM_SERVERS_DRAINFILE_H
#define NTM_SERVERS_DRAINFILE_H

#include <stdbool.h>

/** false where there is no file */
bool drainfile_read(const char *path);
/** @who: of the log, which says what failed */
void drainfile_write(const char *path, const char *who, bool draining);

#endif

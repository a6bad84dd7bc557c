/* SPDX-License-Identifier: MIT */
/*
 * rundir - the folder where broker, shim and tools of one user meet
 *
 * $XDG_RUNTIME_DIR/ntm, else /run/user/UID/ntm, else /tmp/ntm-UID; used only when
 * lstat() shows a directory of ours with mode 0700. Never abstract sockets.
 * libc only: the shim links it. Calls no malloc, opens nothing.
 */
#ifndef NTM_COMMON_RUNDIR_H
#define NTM_COMMON_RUNDIR_H

#include <stddef.h>

#define RUNDIR_MAX 90 /* so that RUNDIR/keeper.sock fits sockaddr_un */

/**
 * rundir_path() - the folder's path
 * @buf: RUNDIR_MAX bytes
 *
 * Return: 0, -ENOENT when none fits (not made here), -EPERM when the folder is
 *         there but not ours or open to others
 */
int rundir_path(char *buf, size_t size);

/** rundir_make() - the same, making the folder; for the broker alone */
int rundir_make(char *buf, size_t size);

/** rundir_file() - RUNDIR/name into @buf (@size bytes); 0 or negative errno */
int rundir_file(const char *name, char *buf, size_t size);

/** rundir_xdg() - $XDG_RUNTIME_DIR, borrowed from the environment; NULL: unset */
const char *rundir_xdg(void);

/** rundir_file_in() - rundir_file() with @xdg as $XDG_RUNTIME_DIR: for the shim, whose
 *  program may have emptied its environment since it started */
int rundir_file_in(const char *xdg, const char *name, char *buf, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * program - can this file be run with a preloaded library?
 *
 * Context: ntm-run, before exec. Reads the file's first bytes only.
 */
#ifndef NTM_WRAPPERS_PROGRAM_H
#define NTM_WRAPPERS_PROGRAM_H

#include <stddef.h>

#include "common/err.h"

/**
 * enum program_kind - what stands between a program and LD_PRELOAD
 * @PROGRAM_DYNAMIC: nothing
 * @PROGRAM_STATIC:  no dynamic loader reads LD_PRELOAD (also static-pie)
 * @PROGRAM_SETUID:  set-user-ID or set-group-ID: the loader ignores our path
 * @PROGRAM_CAPS:    file capabilities: the same
 * @PROGRAM_FOREIGN: another architecture or no ELF file: cannot tell
 */
enum program_kind {
	PROGRAM_DYNAMIC,
	PROGRAM_STATIC,
	PROGRAM_SETUID,
	PROGRAM_CAPS,
	PROGRAM_FOREIGN,
};

/**
 * program_find() - as execvp() would
 * @path: @size bytes. Return: 0, -NTM_ENOTFOUND, -NTM_EPERM (not executable)
 */
NTM_MUST_CHECK int program_find(const char *name, char *path, size_t size);

/**
 * program_inspect() - look at the file; of a script, at its interpreter
 * @path:  of the program
 * @real:  @size bytes: the file that the answer is about
 */
enum program_kind program_inspect(const char *path, char *real, size_t size);

#endif

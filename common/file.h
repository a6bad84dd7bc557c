/* SPDX-License-Identifier: MIT */
/*
 * file - small files whole: read with a limit, replaced atomically
 *
 * Owner:    stateless. Context: any; calls wait for the disk.
 * A reader sees the old content or the new, whatever dies in between.
 */
#ifndef NTM_COMMON_FILE_H
#define NTM_COMMON_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

/**
 * file_write() - replace @path by @len bytes with @mode, whatever the umask
 *
 * Temporary file beside it, fsync, rename, fsync of the folder.
 * Return: 0, -NTM_ENOTFOUND (no such folder), -NTM_EPERM, -NTM_ESTORE (disk full
 *         and other faults; the old file stands)
 */
NTM_MUST_CHECK int file_write(const char *path, const void *data, size_t len,
			      mode_t mode);

/**
 * file_read() - all of a regular file
 * @max:  bytes accepted
 * @data: @len bytes and a NUL that is not counted; freed by file_free()
 *
 * Return: 0, -NTM_ENOTFOUND, -NTM_EPERM, -NTM_ETOOBIG, -NTM_EINVAL (no regular
 *         file), -NTM_ESYSTEM, -NTM_ENOMEM
 */
NTM_MUST_CHECK int file_read(const char *path, size_t max, uint8_t **data,
			     size_t *len);
/** the same for secrets: -NTM_EPERM also when it is not ours or others may read
 *  or write it */
NTM_MUST_CHECK int file_read_private(const char *path, size_t max,
				     uint8_t **data, size_t *len);
/** wipes @len bytes and frees; NULL is fine */
void file_free(uint8_t *data, size_t len);

/**
 * file_make_folder() - a folder and its parents
 * @mode: of those made here; existing ones are left as they are
 *
 * Return: 0, -NTM_EPERM, -NTM_EINVAL (something else has the name), -NTM_ESTORE
 */
NTM_MUST_CHECK int file_make_folder(const char *path, mode_t mode);

#endif

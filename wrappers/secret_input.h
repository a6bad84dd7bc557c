/* SPDX-License-Identifier: MIT */
/*
 * secret_input - a password from the terminal without echo, or from a pipe
 */
#ifndef NTM_WRAPPERS_SECRET_INPUT_H
#define NTM_WRAPPERS_SECRET_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define SECRET_INPUT_MAX 1024

/**
 * secret_input() - one line
 * @prompt:    shown on /dev/tty
 * @from_stdin: read standard input instead, without prompt
 * @buf:       SECRET_INPUT_MAX bytes; wiped by the caller with ntmc_wipe()
 * Return: 0, -NTM_EINVAL (empty, too long, no terminal and not @from_stdin)
 */
NTM_MUST_CHECK int secret_input(const char *prompt, bool from_stdin,
				char buf[static SECRET_INPUT_MAX]);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * err - the one list of errors (err.def) and their texts
 *
 * Functions that can fail return int: 0 or a negative enum ntm_err, e.g.
 * `return -NTM_ENOMEM`. Predicates return bool, look-ups a pointer or NULL.
 */
#ifndef NTM_COMMON_ERR_H
#define NTM_COMMON_ERR_H

#define NTM_MUST_CHECK __attribute__((warn_unused_result))

enum ntm_err {
#define ERR(name, number, text) NTM_E##name = number,
#include "common/err.def"
#undef ERR
};

/**
 * err_text() - the sentence for an error
 * @err: 0, an enum ntm_err or its negative; unknown numbers are answered too
 *
 * Return: static text, never NULL, without full stop
 */
const char *err_text(int err);

/**
 * err_name() - the short stable name ("PASSWORD") for logs and JSON
 * @err: as err_text()
 */
const char *err_name(int err);

#endif

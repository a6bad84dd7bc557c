/* SPDX-License-Identifier: MIT */
/*
 * wipefree - what SQLite and jansson give back is wiped
 *
 * Context: once, first in main(), before either library is used. For processes whose
 *          old secrets pass through them, as rows and as text: what is over is to be
 *          nowhere in memory.
 */
#ifndef NTM_COMMON_WIPEFREE_H
#define NTM_COMMON_WIPEFREE_H

#include "common/err.h"

/** Return: 0, -NTM_ESTATE (SQLite is in use already) */
NTM_MUST_CHECK int wipefree(void);

#endif

/* SPDX-License-Identifier: MIT */
/* err - the one list of errors (err.def) and their texts */
#include "common/err.h"

#include <stddef.h>

static const struct {
	const char *name;
	const char *text;
} errs[] = {
#define ERR(name, number, text) [number] = {#name, text},
#include "common/err.def"
#undef ERR
};

static size_t err_index(int err)
{
	size_t i = err < 0 ? (size_t)(-(long)err) : (size_t)err;

	return i < sizeof(errs) / sizeof(errs[0]) && errs[i].name ? i
								  : NTM_ESYSTEM;
}

const char *err_text(int err)
{
	return errs[err_index(err)].text;
}

const char *err_name(int err)
{
	return errs[err_index(err)].name;
}

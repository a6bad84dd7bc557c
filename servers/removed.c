/* SPDX-License-Identifier: MIT */
/* removed - servers that an administrator took back */
#include "servers/removed.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "servers/datadir.h"

#define LINE	  NTMC_FP_TEXT_LEN /* with a newline in place of the NUL */
#define BYTES_MAX ((size_t)REMOVED_MAX * LINE)

/* Return: 0, also when there is none: @data NULL */
static int load(const char *dir, char path[static DATADIR_PATH_MAX],
		uint8_t **data, size_t *len)
{
	int r = datadir_file(dir, DATADIR_REMOVED, path);

	*data = NULL;
	*len = 0;
	if (!r)
		r = file_read(path, BYTES_MAX, data, len);
	return r == -NTM_ENOTFOUND ? 0 : r;
}

static bool has(const uint8_t *data, size_t len, const char *text)
{
	for (size_t at = 0; at + LINE <= len; at += LINE)
		if (!memcmp(data + at, text, LINE - 1))
			return true;
	return false;
}

bool removed_has(const char *dir, const uint8_t fp[static NTMC_FP_LEN])
{
	char path[DATADIR_PATH_MAX], text[NTMC_FP_TEXT_LEN];
	uint8_t *data;
	size_t len;
	bool found = true;

	if (load(dir, path, &data, &len))
		return true;
	ntmc_fingerprint_text(fp, text);
	found = len % LINE || has(data, len, text);
	file_free(data, len);
	return found;
}

int removed_add(const char *dir, const uint8_t fp[static NTMC_FP_LEN])
{
	char path[DATADIR_PATH_MAX], text[NTMC_FP_TEXT_LEN];
	uint8_t *data, *more;
	size_t len;
	int r = load(dir, path, &data, &len);

	if (r)
		return r;
	ntmc_fingerprint_text(fp, text);
	if (len + LINE > BYTES_MAX)
		r = -NTM_ELIMIT;
	more = r || has(data, len, text) ? NULL : malloc(len + LINE);
	if (more) {
		if (len)
			memcpy(more, data, len);
		memcpy(more + len, text, LINE - 1);
		more[len + LINE - 1] = '\n';
		r = file_write(path, more, len + LINE, 0600);
		free(more);
	} else if (!r && !has(data, len, text)) {
		r = -NTM_ENOMEM;
	}
	file_free(data, len);
	return r;
}

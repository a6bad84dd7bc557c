/* SPDX-License-Identifier: MIT */
/* fuzz_manifest - any bytes as the list of an item: what is read obeys the rules */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/post/manifest.h"

static void must(int ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct manifest_reader r;
	static struct entry e, last;
	static int fd = -1;
	int ret;

	if (fd < 0)
		fd = memfd_create("manifest", 0);
	must(!ftruncate(fd, 0) && pwrite(fd, data, len, 0) == (ssize_t)len);
	manifest_read(&r, fd, 0, len);
	last.path[0] = '\0';
	while ((ret = manifest_next(&r, &e)) > 0) {
		must(entry_path_ok(e.path) && e.path[0] != '/');
		must(!strstr(e.path, "/../") && strncmp(e.path, "../", 3));
		must(entry_path_cmp(last.path, e.path) < 0);
		must(e.kind != ENTRY_LINK || entry_target_ok(e.path, e.target));
		must(e.mode <= 0777);
		last = e;
	}
	must(!ret || ret == -NTM_EDECODE || ret == -NTM_ELIMIT);
	return 0;
}

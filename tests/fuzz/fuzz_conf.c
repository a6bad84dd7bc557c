/* SPDX-License-Identifier: MIT */
/* fuzz_conf - any bytes as a configuration file: taken, or refused with a reason */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct settings {
	char *text, *list;
	unsigned int number, time;
	bool flag;
	uint64_t bytes;
};

static const struct conf_key keys[] = {
	{"a", "text", CONF_STRING, offsetof(struct settings, text), "x", ""},
	{"a", "list", CONF_LIST, offsetof(struct settings, list), NULL, ""},
	{"a", "number", CONF_UINT, offsetof(struct settings, number), "1", ""},
	{"b", "time", CONF_DURATION, offsetof(struct settings, time), "1s", ""},
	{"b", "flag", CONF_BOOL, offsetof(struct settings, flag), "no", ""},
	{"b", "bytes", CONF_SIZE, offsetof(struct settings, bytes), "1K", ""},
};
#define N (sizeof(keys) / sizeof(keys[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64], error[200] = "", *line;
	struct settings s = {0};
	int fd, ret;

	fd = memfd_create("conf", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (conf_defaults(keys, N, &s))
		abort();
	ret = conf_load(keys, N, path, &s, error, sizeof(error));
	if (ret && strncmp(error, path, strlen(path)) != 0)
		abort(); /* every refusal names the file */
	close(fd);
	/* the same bytes as an assignment */
	line = strndup((const char *)data, size);
	if (line && conf_set(keys, N, line, &s, error, sizeof(error)) == 0 &&
	    !s.text)
		abort();
	free(line);
	conf_clear(keys, N, &s);
	return 0;
}

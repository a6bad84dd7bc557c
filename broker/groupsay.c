/* SPDX-License-Identifier: MIT */
/* groupsay - messages of groupword.h, sent */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fdmsg.h"
#include "broker/groupword.h"

static int write_all(int fd, const uint8_t *b, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, b, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -NTM_ESYSTEM;
		b += n;
		len -= (size_t)n;
	}
	return 0;
}

int groupword_epoch_send(int sock, const struct groupword_epoch *e)
{
	static const uint8_t kind = GROUPWORD_EPOCH;
	uint8_t *b = malloc(GROUPWORD_EPOCH_MAX);
	size_t len = 0;
	int fd, r;

	if (!b)
		return -NTM_ENOMEM;
	r = groupword_epoch_put(e, b, &len);
	fd = r ? -1 : memfd_create("ntm group", MFD_CLOEXEC);
	if (!r && fd < 0)
		r = -NTM_ESYSTEM;
	if (!r)
		r = write_all(fd, b, len);
	if (!r)
		r = fdmsg_send(sock, &kind, 1, NULL, 0, &fd, 1, 0);
	if (fd >= 0)
		close(fd);
	ntmc_wipe(b, len);
	free(b);
	return r;
}

int groupword_send(int sock, const struct groupword *w)
{
	uint8_t b[GROUPWORD_MAX];
	size_t len = w->kind == GROUPWORD_EPOCH ? 0 : groupword_put(w, b);

	if (!len)
		return -NTM_EINVAL;
	return fdmsg_send(sock, b, len, NULL, 0, NULL, 0, 0);
}

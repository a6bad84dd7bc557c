/* SPDX-License-Identifier: MIT */
/* keyfile - small files written whole or not at all, keys read from private
 * ones */
#include "libntmcrypto/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int err_of(int error)
{
	if (error == ENOENT || error == ENOTDIR)
		return -NTM_ENOTFOUND;
	if (error == EACCES || error == EPERM)
		return -NTM_EPERM;
	return -NTM_ESTORE;
}

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -NTM_ESTORE;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* make the rename itself durable */
static int sync_dir_of(const char *path)
{
	char copy[PATH_MAX];
	int fd, r;

	if (strlen(path) >= sizeof(copy))
		return -NTM_ESTORE;
	strcpy(copy, path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -NTM_ESTORE;
	r = fsync(fd) < 0 ? -NTM_ESTORE : 0;
	close(fd);
	return r;
}

int keyfile_write(const char *path, mode_t mode, const void *data, size_t len)
{
	char tmp[PATH_MAX];
	int fd, r;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >=
	    sizeof(tmp))
		return -NTM_ESTORE;
	fd = mkostemp(tmp, O_CLOEXEC); /* created 0600 */
	if (fd < 0)
		return errno == EACCES || errno == EPERM ? -NTM_EPERM
							 : -NTM_ESTORE;
	r = write_all(fd, data, len);
	if (!r && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		r = -NTM_ESTORE;
	if (close(fd) < 0)
		r = -NTM_ESTORE;
	if (!r && rename(tmp, path) < 0)
		r = -NTM_ESTORE;
	if (r) {
		unlink(tmp);
		return r;
	}
	return sync_dir_of(path);
}

static int read_fd(int fd, bool private, uint8_t *buf, size_t *len)
{
	struct stat st;
	size_t got = 0;

	if (fstat(fd, &st) < 0)
		return -NTM_ESTORE;
	if (!S_ISREG(st.st_mode))
		return -NTM_EDECODE;
	if (private && (st.st_mode & (S_IRWXG | S_IRWXO)))
		return -NTM_EPERM;
	for (;;) {
		ssize_t n = read(fd, buf + got, *len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -NTM_ESTORE;
		if (n == 0)
			break;
		got += (size_t)n;
		if (got == *len)
			return -NTM_EDECODE;
	}
	*len = got;
	return 0;
}

int keyfile_read(const char *path, bool private, void *buf, size_t *len)
{
	size_t size = *len;
	int fd, r;

	/* O_NONBLOCK: a fifo under that name does not hang us */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_of(errno);
	r = read_fd(fd, private, buf, len);
	close(fd);
	if (r)
		ntmc_wipe(buf, size);
	return r;
}

void keyfile_hex(const uint8_t *in, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool keyfile_unhex(const char *in, size_t len, uint8_t *out)
{
	for (size_t i = 0; i < len; i++) {
		int hi = hex_digit(in[2 * i]);
		int lo = hi < 0 ? -1 : hex_digit(in[2 * i + 1]);

		if (lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

size_t keyfile_line_put(char *out, const char *name,
			const struct ntmc_key *priv,
			const uint8_t pub[static NTMC_KEY_LEN])
{
	size_t n = strlen(name);
	char *p = out;

	memcpy(p, name, n);
	p += n;
	*p++ = ' ';
	keyfile_hex(priv->b, NTMC_KEY_LEN, p);
	p += 2 * NTMC_KEY_LEN;
	*p++ = ' ';
	keyfile_hex(pub, NTMC_KEY_LEN, p);
	p += 2 * NTMC_KEY_LEN;
	*p++ = '\n';
	return (size_t)(p - out);
}

size_t keyfile_line_get(const char *in, size_t len, const char *name,
			struct ntmc_key *priv, uint8_t pub[static NTMC_KEY_LEN])
{
	size_t n = strlen(name), used = n + 4 * NTMC_KEY_LEN + 3;
	const char *second = in + n + 2 * NTMC_KEY_LEN + 1;

	if (len < used || memcmp(in, name, n) || in[n] != ' ' ||
	    *second != ' ' || in[used - 1] != '\n')
		return 0;
	if (!keyfile_unhex(in + n + 1, NTMC_KEY_LEN, priv->b) ||
	    !keyfile_unhex(second + 1, NTMC_KEY_LEN, pub))
		return 0;
	return used;
}

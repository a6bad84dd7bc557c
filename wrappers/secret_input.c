/* SPDX-License-Identifier: MIT */
/* secret_input - a password from the terminal without echo, or from a pipe */
#include "wrappers/secret_input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "libntmcrypto/ntmcrypto.h"

/* Byte by byte, so that a second password in the pipe stays there. */
static int line_read(int fd, char *buf)
{
	size_t n = 0;

	while (n < SECRET_INPUT_MAX) {
		ssize_t got = read(fd, buf + n, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || buf[n] == '\n') {
			buf[n] = '\0';
			return n ? 0 : -NTM_EINVAL;
		}
		n++;
	}
	ntmc_wipe(buf, SECRET_INPUT_MAX);
	return -NTM_EINVAL;
}

int secret_input(const char *prompt, bool from_stdin,
		 char buf[static SECRET_INPUT_MAX])
{
	struct termios old, quiet;
	int fd, err;

	if (from_stdin)
		return line_read(STDIN_FILENO, buf);
	fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -NTM_EINVAL;
	if (tcgetattr(fd, &old) < 0) {
		close(fd);
		return -NTM_EINVAL;
	}
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	err = write(fd, prompt, strlen(prompt)) < 0 ||
	      tcsetattr(fd, TCSAFLUSH, &quiet) < 0;
	if (!err)
		err = line_read(fd, buf);
	else
		err = -NTM_EINVAL;
	tcsetattr(fd, TCSAFLUSH, &old);
	if (write(fd, "\n", 1) < 0)
		err = err ? err : -NTM_EINVAL;
	close(fd);
	return err;
}

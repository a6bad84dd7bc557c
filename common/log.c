/* SPDX-License-Identifier: MIT */
/* log - one line a fact: time, level, program, object, text */
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"

#define LOG_LINE_MAX 1024

static const char *const level_names[] = {
	[LOG_ERR] = "error",
	[LOG_WARN] = "warning",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};
_Static_assert(sizeof(level_names) / sizeof(level_names[0]) == LOG_DEBUG + 1,
	       "a name for each level");

/* The one mutable global: every module logs, few have a context to ask. */
static struct {
	char program[32];
	enum log_level level;
	int fd;
	bool owned;   /* @fd is a file of ours */
	bool no_time; /* the journal has its own */
} sink = {.program = "ntm", .level = LOG_INFO, .fd = STDERR_FILENO};

int log_open(const char *program, enum log_level level, const char *path)
{
	int fd = STDERR_FILENO;

	if (path) {
		fd = open(path,
			  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY,
			  0600);
		if (fd < 0)
			return -NTM_ESYSTEM;
	}
	log_close();
	snprintf(sink.program, sizeof(sink.program), "%s", program);
	sink.level = level;
	sink.fd = fd;
	sink.owned = path != NULL;
	sink.no_time = !path && getenv("JOURNAL_STREAM");
	return 0;
}

void log_close(void)
{
	if (sink.owned)
		close(sink.fd);
	sink.fd = STDERR_FILENO;
	sink.owned = false;
}

void log_set_level(enum log_level level)
{
	sink.level = level;
}

bool log_level_parse(const char *text, enum log_level *out)
{
	static const char *const aliases[] = {
		[LOG_ERR] = "err",
		[LOG_WARN] = "warn",
		[LOG_INFO] = "info",
		[LOG_DEBUG] = "debug",
	};
	int i;

	for (i = LOG_ERR; i <= LOG_DEBUG; i++) {
		if (strcmp(text, level_names[i]) == 0 ||
		    strcmp(text, aliases[i]) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	}
	return false;
}

static size_t put_time(char *buf, size_t size)
{
	struct timespec now;
	struct tm tm;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	len = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + len, size - len, ".%03ldZ ", now.tv_nsec / 1000000);
	return strlen(buf);
}

/* A name or text of a peer must not start a line of its own or move a terminal's
 * cursor. */
static void clean(char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = '?';
}

void log_at(enum log_level level, const char *obj, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	int saved = errno, n;
	size_t len = 0;
	va_list ap;
	ssize_t put;

	if (level > sink.level)
		return;
	if (!sink.no_time)
		len = put_time(line, sizeof(line));
	n = snprintf(line + len, sizeof(line) - len,
		     "%s %s: %s: ", level_names[level], sink.program, obj);
	len += n > 0 ? (size_t)n : 0;
	if (len < sizeof(line) - 1) {
		va_start(ap, fmt);
		errno = saved; /* for %m */
		n = vsnprintf(line + len, sizeof(line) - len, fmt, ap);
		va_end(ap);
		len += n > 0 ? (size_t)n : 0;
	}
	if (len > sizeof(line) - 1)
		len = sizeof(line) - 1;
	clean(line, len);
	line[len++] = '\n';
	do {
		put = write(sink.fd, line, len);
	} while (put < 0 && errno == EINTR);
	errno = saved;
}

bool log_allowed(struct log_limit *l)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (l->used == 0 || now.tv_sec - l->since >= (long long)l->per_s) {
		if (l->suppressed)
			log_info("log", "%u lines like the next were left out",
				 l->suppressed);
		l->since = now.tv_sec;
		l->used = 0;
		l->suppressed = 0;
	}
	if (l->used >= l->burst) {
		l->suppressed++;
		return false;
	}
	l->used++;
	return true;
}

/* SPDX-License-Identifier: MIT */
/*
 * stream - a paced TCP stream whose every byte is checked and every arrival logged
 *
 *   stream sink PORT LOG     one connection; a log line "<microseconds since 1970>
 *                            <bytes>" a read; prints "complete BYTES" when the
 *                            stream ended in order and as sent
 *   stream source NAME PORT [BYTES]
 *                            BYTES (8192 at most, which is the default) each
 *                            millisecond until SIGTERM, then a clean end
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/sockets.h"

#define CHUNK 8192

static volatile sig_atomic_t ended;

static void on_term(int signo)
{
	(void)signo;
	ended = 1;
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000;
}

/* What stands at an offset of the stream; no period that a buffer could hide. */
static uint8_t pattern(uint64_t offset)
{
	return (uint8_t)((offset * 2654435761u) >> 13);
}

static int sink(const char *port, const char *log_path)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6,
				  .sin6_port = htons((uint16_t)atoi(port))};
	int one = 1, off = 0, lfd = socket(AF_INET6, SOCK_STREAM, 0), fd;
	static uint8_t buf[65536];
	FILE *log = fopen(log_path, "w");
	uint64_t at = 0;
	ssize_t n, i;

	setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(lfd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (!log || bind(lfd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(lfd, 1) < 0 || (fd = accept(lfd, NULL, NULL)) < 0) {
		perror("stream sink");
		return 1;
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		fprintf(log, "%llu %zd\n", (unsigned long long)now_us(), n);
		fflush(log);
		for (i = 0; i < n; i++, at++) {
			if (buf[i] == pattern(at))
				continue;
			fprintf(stderr, "changed at byte %llu\n",
				(unsigned long long)at);
			return 1;
		}
	}
	if (n < 0) {
		perror("stream sink: read");
		return 1;
	}
	printf("complete %llu\n", (unsigned long long)at);
	return fclose(log) ? 1 : 0;
}

static int source(const char *name, const char *port, size_t chunk)
{
	int fd = socket_connected(SOCK_STREAM, name, port);
	static uint8_t buf[CHUNK];
	struct timespec due;
	uint64_t at = 0;
	size_t i, done;

	clock_gettime(CLOCK_MONOTONIC, &due);
	while (!ended) {
		for (i = 0; i < chunk; i++)
			buf[i] = pattern(at + i);
		for (done = 0; done < chunk;) {
			ssize_t n = write(fd, buf + done, chunk - done);

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0) {
				perror("stream: write");
				return 1;
			}
			done += (size_t)n;
		}
		at += chunk;
		due.tv_nsec += 1000000;
		if (due.tv_nsec >= 1000000000) {
			due.tv_nsec -= 1000000000;
			due.tv_sec++;
		}
		/* the rate is part of what is measured */
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
	}
	return close(fd) ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_term};

	sigaction(SIGTERM, &sa, NULL);
	if (argc == 4 && !strcmp(argv[1], "sink"))
		return sink(argv[2], argv[3]);
	if ((argc == 4 || argc == 5) && !strcmp(argv[1], "source")) {
		size_t chunk = argc == 5 ? strtoul(argv[4], NULL, 10) : CHUNK;

		if (chunk && chunk <= CHUNK)
			return source(argv[2], argv[3], chunk);
	}
	fputs("usage: stream sink PORT LOG | source NAME PORT [BYTES]\n",
	      stderr);
	return 2;
}

/* SPDX-License-Identifier: MIT */
/*
 * beacon - UDP beacons both ways every few milliseconds, each arrival logged
 *
 *   beacon serve PORT LOG            answers whoever beacons, at the same pace
 *   beacon send NAME PORT LOG [MS]
 *
 * A log line is "<microseconds since 1970> <sequence>". One clock serves all hosts of
 * a lab, so a move's time and the arrivals can be compared. Ends at SIGTERM.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/sockets.h"

#define BEACON_MS 10

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

static void run(int fd, bool connected, FILE *log, long ms)
{
	struct itimerspec every = {.it_interval = {0, ms * 1000000},
				   .it_value = {0, ms * 1000000}};
	struct sockaddr_storage peer;
	socklen_t peer_len = 0, len;
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);
	struct pollfd p[2] = {{fd, POLLIN, 0}, {timer, POLLIN, 0}};
	uint64_t seq = 0, got, ticks;

	timerfd_settime(timer, 0, &every, NULL);
	while (!ended) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents) {
			len = sizeof(peer);
			if (recvfrom(fd, &got, sizeof(got), MSG_DONTWAIT,
				     (struct sockaddr *)&peer,
				     &len) == sizeof(got)) {
				peer_len = len;
				fprintf(log, "%llu %llu\n",
					(unsigned long long)now_us(),
					(unsigned long long)got);
				fflush(log);
			}
		}
		if (p[1].revents &&
		    read(timer, &ticks, sizeof(ticks)) == sizeof(ticks)) {
			seq++;
			/* A refused send is what a move looks like: go on. */
			if (connected)
				(void)!send(fd, &seq, sizeof(seq), 0);
			else if (peer_len)
				(void)!sendto(fd, &seq, sizeof(seq), 0,
					      (struct sockaddr *)&peer,
					      peer_len);
		}
	}
	close(timer);
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = on_term};
	bool serve = argc == 4 && !strcmp(argv[1], "serve");
	FILE *log;
	int fd;

	if (!serve && !(argc >= 5 && !strcmp(argv[1], "send"))) {
		fputs("usage: beacon serve PORT LOG | send NAME PORT LOG "
		      "[MS]\n",
		      stderr);
		return 2;
	}
	sigaction(SIGTERM, &sa, NULL);
	log = fopen(argv[serve ? 3 : 4], "w");
	if (!log) {
		perror(argv[serve ? 3 : 4]);
		return 1;
	}
	fd = serve ? socket_bound(argv[2])
		   : socket_connected(SOCK_DGRAM, argv[2], argv[3]);
	run(fd, !serve, log, argc == 6 ? atol(argv[5]) : BEACON_MS);
	return fclose(log) ? 1 : 0;
}

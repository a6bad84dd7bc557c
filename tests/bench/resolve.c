/* SPDX-License-Identifier: MIT */
/* resolve - milliseconds that one getaddrinfo() takes: resolve NAME */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *ai;
	struct timespec a, b;
	int err;

	if (argc != 2)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &a);
	err = getaddrinfo(argv[1], "80", &hints, &ai);
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (err) {
		fprintf(stderr, "resolve: %s: %s\n", argv[1],
			gai_strerror(err));
		return 1;
	}
	freeaddrinfo(ai);
	printf("%.3f\n", (double)(b.tv_sec - a.tv_sec) * 1e3 +
				 (double)(b.tv_nsec - a.tv_nsec) / 1e6);
	return 0;
}

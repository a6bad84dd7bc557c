/* SPDX-License-Identifier: MIT */
/*
 * shim_bench - what the figures of the shim share: sockets of the namespace,
 *              servers started with and without the shim, quantiles, the line
 *
 * Owner:    accept.c, connect.c, udp_server.c, each a program of one thread.
 * Every failure ends the program: a figure that cannot be measured is none.
 */
#ifndef NTM_TESTS_BENCH_SHIM_BENCH_H
#define NTM_TESTS_BENCH_SHIM_BENCH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define ROUNDS 6 /* the first is dropped */

void fail(const char *what) __attribute__((noreturn));
uint64_t now_ns(void);
/** 127.0.0.1 or the virtual address named on the command line */
struct sockaddr_in endpoint(const char *ip, uint16_t port);

/** @n sockets of the namespace (@virtual) or of the host, made beforehand */
void sockets_make(bool is_virtual, int type, int *fd, int n);

/** starts this program again as `argv[0] server ARG` with the shim @lib (NULL:
 *  without) and waits for its line "ready PORT". Return: the port */
uint16_t server_start(const char *self, const char *lib, const char *arg);
/** in the server: says so */
void server_ready(uint16_t port);
/** ends all servers */
void servers_stop(void);

/** of @n values, @q in 0..1; sorts them */
double quantile(double *v, int n, double q);
/** name value unit target ok|short; @at_least: whether more is better */
void figure(const char *name, double value, const char *unit, bool at_least,
	    double target);
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif

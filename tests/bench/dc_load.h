/* SPDX-License-Identifier: MIT */
/*
 * dc_load - parts of that program: the DC's process, and what both sides know
 *
 * Owner: main(). Context: one thread in each process. Whatever fails ends the program.
 */
#ifndef NTM_TESTS_BENCH_DC_LOAD_H
#define NTM_TESTS_BENCH_DC_LOAD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libntmcrypto/ntmcrypto.h"

/* --- dc_load.c --- */

/** says what failed, with errno */
void die(const char *what);
/** this process, to that core */
void pin(int cpu);
/** node ids, keys and names follow from the number, so that both sides know them */
uint64_t id_of(uint32_t i);
void kntmdc_of(uint32_t i, struct ntmc_key *k);
void fqdn_of(uint32_t i, char *out, size_t size);

/* --- dc_load_dc.c --- */

/** a fresh folder with a domain; nothing is printed from now on */
void dc_folder(void);
/** a DC that has @nodes, all at 127.0.0.1:@port. Return: its process, which listens */
pid_t dc_fork(uint32_t nodes, uint16_t port);
/** of its core, so far */
double dc_cpu_seconds(pid_t pid);
/** it ends, and the folder is removed */
void dc_end(pid_t pid);

#endif

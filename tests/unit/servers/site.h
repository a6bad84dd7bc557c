/* SPDX-License-Identifier: MIT */
/*
 * site - a domain's AS and DC in one test process
 *
 * Owner:   the test. Context: one loop, turned by site_wait(); all on loopback
 *          with free ports, in a fresh folder that site_free() removes.
 */
#ifndef NTM_TESTS_SERVERS_SITE_H
#define NTM_TESTS_SERVERS_SITE_H

#include <stdbool.h>

#include "common/channel.h"
#include "common/datagram.h"
#include "libntmcrypto/ntmcrypto.h"
#include "servers/as/as.h"
#include "servers/dc/dc.h"

#define SITE_DOMAIN   "example.org"
#define SITE_PASSWORD "correct horse"

struct site {
	char dir[64];
	struct loop *loop;
	struct loop_timer *tick;
	struct server_conf conf;
	struct role_env as_env, dc_env;
	struct as *as;
	struct dc *dc;
	struct addr as_addr, dc_addr;
	const char
		*alpn; /* that peers ask the AS's address for; NULL: nothing */
	uint8_t ca_fp[NTMC_FP_LEN];
	int pair; /* of the DC with its resolver, when it is started again; 0: none */
	bool guest; /* in another one's loop */
};

/** init in a fresh folder, then both roles; asserts */
void site_new(struct site *s);
/** listening on @listen, reached by nodes at @server_ip */
void site_new_on(struct site *s, const char *listen, const char *server_ip);
/** of another domain, in the loop of @other, which is freed after it */
void site_new_beside(struct site *s, struct site *other, const char *domain);
void site_free(struct site *s);
/** a loop of its own, for a forked child */
void site_new_loop(struct site *s);
/** the roles alone, e.g. to start them again */
void site_start_as(struct site *s);
void site_stop_as(struct site *s);
void site_start_dc(struct site *s);
void site_stop_dc(struct site *s);
/** Return: a TCP port of 127.0.0.1 that nobody has now */
unsigned int site_free_port(void);
/** turn the loop until @cond or 10 s; Return: @cond came true */
bool site_wait(struct site *s, bool (*cond)(void *), void *arg);
/** turn the loop until *@got answers @txn. Return: it; NULL: no such one in 2 s */
const Ntm__Signal *site_answer(struct site *s, Ntm__Signal *const *got,
			       uint32_t txn);
/** a TCP socket listening at @at; one that is not set: at a free port of 127.0.0.1,
 *  which it then says */
int site_listen(struct addr *at);
/** turn the loop until the AS's link to the DC stands */
void site_wait_link(struct site *s);
/** an admin command of the AS that must succeed */
void site_admin(struct site *s, const char *command, const char *name);
/** the administrator removes the server of that role: "cs" */
void site_remove_server(const struct site *s, const char *role);
void site_add_account(struct site *s, const char *name);
/** a number of the DC's status */
long long site_dc_number(struct site *s, const char *key);

#endif

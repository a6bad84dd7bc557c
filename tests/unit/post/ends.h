/* SPDX-License-Identifier: MIT */
/*
 * ends - two ends of items in one process, and the servers between them
 *
 * Owner: the test program. Both ends run on one loop, as they do in two processes of
 * their own: only their state folders and the servers (servers.py) are between them.
 */
#ifndef NTM_TESTS_UNIT_POST_ENDS_H
#define NTM_TESTS_UNIT_POST_ENDS_H

#include <jansson.h>

#include "broker/post/post.h"
#include "tests/unit/common/pki.h"

#define MN "laptop.mn.example.org"
#define CN "desk.cn.example.org"

struct end {
	const char *fqdn;
	char *state;
	struct post post;
};

/* @mn sends, @cn receives, and lets @mn do so */
struct ends {
	char dir[64];
	struct pki *pki;
	pid_t servers;
	uint16_t port;
	struct loop *loop;
	struct end mn, cn;
};
extern struct ends w;

/** cmocka's setup and teardown of one test */
int ends_open(void **state);
int ends_close(void **state);
/** a new identity and session; end_run() begins again with what is in the folder, and the
 *  clock it had */
void end_session(struct end *e);
void end_run(struct end *e);
/** a fault for the servers. Return: bytes of blobs they have moved so far */
json_int_t fault(const char *json);
/** the same. Return: what they count as @what: "lists" that were read, entries that are
 *  "listed", requests for "temporal" keys */
json_int_t servers_count(const char *json, const char *what);

/** a request of post.sock. Return: the answer, a new reference */
json_t *ask(struct end *e, json_t *request);
/** member @key of @j, "" where there is none */
const char *text(const json_t *j, const char *key);
/** the newest item of a list; NULL: none. A new reference */
json_t *newest(struct end *e, const char *list);
/** @what: taken; to CN where it does not say. Return: its number */
json_int_t send_item(json_t *what);
/** one turn of the loop; both ask their box ten times a second, as notices make them.
 *  @next: 0 at first */
void turn(uint64_t *next);
/** until the newest item of the list is in the state. A new reference */
json_t *await(struct end *e, const char *list, const char *state);
/** the person has it; @item: taken */
void taken(json_t *item);
/** the newest item sent becomes that, and its first receiver (NULL: any) */
void outbox_is(const char *state, const char *receiver);
/** DIR/big, @len bytes, is sent; is here, the same, and taken */
void send_big(size_t len);
void big_here(void);
/** CN lets nobody in */
void nobody_sends(void);

#define DAY 86400
/** a clock that is wrong by @s seconds: the servers' is not */
void clock_wrong(struct end *e, int64_t s);
/** so much time has gone by, also at the servers; MN has heard of it */
void clock_set(struct end *e, int64_t s);

#endif

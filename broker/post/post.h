/* SPDX-License-Identifier: MIT */
/*
 * post - ntm-post: the node's process that sends and receives items
 *
 * Theory of operation
 *
 * One process, one loop. The keeper starts it when there is something to do (the
 * worker says so, or a client connects to post.sock), and it ends when nothing is
 * left. All that must survive is in post.db; what runs is made of it again:
 *
 *   outbox  rows `out` that are open -> prekeys, temporal keys, keys, data -> sent
 *   inbox   rows `inb` -> temporal key, key, data, verified -> confirmed, off the list
 *   prekeys a new one every week
 *   face    clients: `ntm send` and the library
 *   door    devices that are online: items straight from them
 *   link    the worker: notices, policy, session
 *
 * Each takes a row, asks one thing after another, and leaves the row as it found it
 * when something cannot be done now: it is tried again, later and later. So kill -9
 * at any moment costs what was not yet on a disk, and no more. What a turn of the loop
 * writes is on the disk at its end, all at once; what it says leaves then (turn.c).
 *
 * Owner:   main.c. Context: loop thread.
 */
#ifndef NTM_BROKER_POST_POST_H
#define NTM_BROKER_POST_POST_H

#include "broker/post/poststore.h"
#include "broker/post/web.h"
#include "broker/post/who.h"
#include "common/loop.h"

struct absent;
struct desktop;
struct door;
struct asking;
struct inbox;
struct link;
struct lookups;
struct outbox;
struct prekeys;
struct recent;
struct removal;
struct turn;

#define POST_RETRY_FIRST_S 2
#define POST_RETRY_MAX_S   600
#define POST_WAIT_SERVER_S 3600 /* of what servers ask us to wait */
#define POST_CLOCK_TEXT                                                        \
	"this machine's clock is not that of its servers; set the time"
#define POST_WAIT_MAX_S 4000 /* none of our waits is longer */

struct post {
	struct loop *loop;
	const struct ntmc_env *env; /* NULL: the system's */
	struct who who;
	struct store *store;
	struct web *web;
	struct link *link; /* NULL in tests */
	struct asking *face;
	struct desktop *desktop; /* NULL: there is none */
	struct outbox *outbox;
	struct inbox *inbox;
	struct prekeys *prekeys;
	struct ntmc_agreed agreed; /* of our keys with those of others */
	struct recent *recent;
	struct absent *absent;
	struct lookups *lookups;
	struct door *door;	    /* NULL: no virtual address */
	const struct addr *door_at; /* NULL; in tests: where all doors are */
	struct loop_timer *quiet;
	uint64_t rest_ns; /* until then nothing is begun: the store was full */
	int broken;	  /* why there are no parts: every client is told */
	bool ending;
	int64_t date_base; /* seconds; of @dated: a server's Date less loop_now() (clock.c) */
	bool dated;

	struct turn *turn;
	struct removal *removal;
};

/** make and free the parts; @link, @face and @door are main.c's */
NTM_MUST_CHECK int post_open(struct post *p, const char *config,
			     const char *state);
void post_close(struct post *p);
/** look for work: after a start, a login, coming online */
void post_work(struct post *p);
/** the session file has changed */
void post_session(struct post *p);
/** something came to its end: is there nothing left to do? */
void post_check_idle(struct post *p);
/** the store could not take what became of a job: without a word there it would be
 *  begun again at once, over and over. Nothing is begun for a minute */
void post_store_failed(struct post *p, const char *part);
/** seconds of that minute that are left; 0: go on */
unsigned int post_rests_s(const struct post *p);
/** seconds until the try after @tries that failed */
unsigned int post_retry_s(unsigned int tries);

/* --- the end of a turn (turn.c) ----------------------------------------------- */

NTM_MUST_CHECK int turn_open(struct post *p);
/** what is pending is written, if it can be */
void turn_close(struct post *p);
/** something is written, asked or answered: at the end of this turn it is on the disk
 *  first, and leaves then */
void post_flush_soon(struct post *p);
/** the same, at once: for an answer that is not held.
 *  Return: 0, -NTM_ESTORE (nothing of the turn has happened; every job is dropped) */
NTM_MUST_CHECK int post_flush_now(struct post *p);
/** is there something written that is not on the disk yet? */
bool post_flush_due(const struct post *p);
/** files of items were written: they are on the disk before the rows */
void post_files_written(struct post *p);
/** the folder @path goes when what was written is on the disk: after this turn its name
 *  is free, and what was in it goes in later ones (removal.h) */
void post_remove_later(struct post *p, const char *path);

/* --- asking servers ---------------------------------------------------------- */

/** struct post_ids - what names an item to servers */
struct post_ids {
	char application[65], service[65], item[65];
};
bool post_id_ok(const char *text);
/** the Item ID of seals and signatures */
void post_item_id(const struct post_ids *ids, uint8_t out[static ITEM_ID_LEN]);

/** struct post_ask - one request; what is NULL or 0 is left out */
struct post_ask {
	const struct web_server *server; /* NULL: our box */
	const char *method, *path;
	const char *bearer; /* NULL: our token, in our domain alone; "": none */
	const struct post_ids *ids; /* NTM-Application, -Service, -Item */
	const char *to;		    /* NTM-To */
	const char *message;	    /* NTM-Message, not yet encoded */
	const char *more[3];	    /* further header lines */
	const json_t *json;
	const uint8_t *body;
	size_t body_len;
	web_read_fn *read;
	uint64_t length;
	web_write_fn *write;
	size_t json_max; /* bytes of the answer; 0: WEB_JSON_MAX */
	unsigned int connect_ms, stall_s; /* as in web.h */
	bool last, together;		  /* as in web.h */
};
/** Return: 0 and @done will be called; -NTM_EPERM (our token is not for that server);
 *  what post_box() says; or an error */
NTM_MUST_CHECK int post_ask(struct post *p, const struct post_ask *a,
			    web_fn *done, void *arg, struct web_call **out);
/** our box. Return: 0, -NTM_ENOLOGIN, -NTM_ENOTFOUND (the domain has none) */
NTM_MUST_CHECK int post_box(struct post *p, struct web_server *out);
/** {"name", "addresses"} as box and lists give it. Return: 0, -NTM_ECERT (a domain
 *  whose CA is not known), -NTM_EDECODE. Another domain cannot name this machine. */
NTM_MUST_CHECK int post_server(struct post *p, const json_t *cs,
			       struct web_server *out);

/* --- binary in JSON ---------------------------------------------------------- */

/** new reference; NULL: no memory */
json_t *post_binary(const void *data, size_t len);
/** exactly @len bytes of member @key. Return: 0, -NTM_EDECODE */
NTM_MUST_CHECK int post_binary_get(const json_t *j, const char *key, void *out,
				   size_t len);
/** at most @max bytes. Return: bytes, or -NTM_EDECODE */
NTM_MUST_CHECK long post_binary_any(const json_t *j, const char *key, void *out,
				    size_t max);

/** is @ed_pub the key of @fqdn, as far as we know?
 *  Return: 0, -NTM_EPIN, -NTM_EUNVERIFIED, -NTM_ENOTFOUND (never met), -NTM_ESTORE */
NTM_MUST_CHECK int post_pinned(struct post *p, const char *fqdn,
			       const uint8_t ed_pub[static NTMC_KEY_LEN]);
/** is @ed_pub the key of @fqdn, as far as we know? learned when it is new.
 *  Return: 0, -NTM_EPIN, -NTM_EUNVERIFIED, -NTM_ESTORE */
NTM_MUST_CHECK int post_pin(struct post *p, const char *fqdn,
			    const uint8_t ed_pub[static NTMC_KEY_LEN]);
int64_t post_now(const struct post *p);
/** has a server of our domain answered, and is its clock within a day of ours? Before
 *  that nothing ends by its time, and no key is wiped for it (clock.c) */
bool post_clock_agrees(const struct post *p);
/** such a server says that it is @date; @arg: struct post */
void post_clock_heard(void *arg, int64_t date);
/** drops bytes of a character that was cut off at the end */
void post_trim(char *text);

#endif

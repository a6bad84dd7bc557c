/* SPDX-License-Identifier: MIT */
/*
 * sending - one item on its way to a CS: what is asked next, until it has all
 *
 * Owner:    outbox.c. Context: loop thread.
 * Files:    sending.c takes the steps, sending_prekeys.c finds the receivers,
 *           sending_server.c a Cache Server, sending_data.c sends the blob,
 *           sending_look.c looks meanwhile whether that is needed.
 */
#ifndef NTM_BROKER_POST_SENDING_H
#define NTM_BROKER_POST_SENDING_H

#include "broker/post/direct.h"
#include "broker/post/outbox.h"
#include "broker/post/sealing.h"

/**
 * struct sending - a row that is worked on
 * @asked:  the name whose prekeys are asked for; @passed: those up to here were, in this run
 * @late:   why some receivers have to wait while the others get it, or 0; @late_retry_s,
 *          @late_text: as of sending_later()
 * @whole:  the CS has had all of it; @hash: its name then
 * @known: what the CS had when it was last asked; what is more is progress
 * @found:  receivers that T was sent to the box for, when it was asked last
 * @told:   how often the CS has named another offset than ours
 * @direct: attempts to reach receivers run; @tried: they are over, or there was nobody
 * @offset: what the CS has; @given: all of it went with the keys
 * @look: the next look for receivers that are online by now, after so many @looks;
 * @looking: @looked is asked. @looked_straight: they were, and that way was tried
 */
struct sending {
	struct outbox *outbox;
	struct post *post;
	int64_t id;
	struct post_ids ids;
	uint8_t item[ITEM_ID_LEN];
	struct ntmc_key k;
	uint64_t payload, size, known;
	int64_t expires;
	unsigned int tries;
	enum out_state state;
	char *message;
	char asked[FQDN_MAX + 1], passed[FQDN_MAX + 1];
	int late;
	unsigned int late_retry_s;
	char late_text[FQDN_MAX + 100];
	bool whole;
	uint8_t hash[NTMC_HASH_LEN];
	int found;
	json_t *cs_json;
	struct web_server cs;
	bool left; /* another CS is sought, in this run, because: */
	int left_err;
	unsigned int left_retry_s;
	char left_text[128];
	struct web_call *call;
	struct loop_timer *turn;

	unsigned int told;
	struct direct *direct;
	bool tried;

	/* receivers in each state, as of store_moment() @counted_at */
	bool counted;
	int64_t counted_at;
	int counts[TO_STATES];

	struct sealing seal;
	uint64_t offset;
	bool given;

	struct loop_timer *look;
	struct web_call *looking;
	char looked[FQDN_MAX + 1];
	unsigned int looks;
	bool looked_straight;
	struct sending *next;
};

/** the next request. The job may be over when it returns */
void sending_step(struct sending *s);
void sending_free(struct sending *s);

/* --- ends: the job is freed, the outbox looks for the next --- */

/** again, later. @retry_s: the server's word, or 0 */
void sending_later(struct sending *s, int err, const char *text,
		   unsigned int retry_s);
/** never; or cancelled, or all sent */
void sending_end(struct sending *s, enum out_state state, int err,
		 const char *text);
/** an answer that is no success: later, or never */
void sending_answer(struct sending *s, const struct web_answer *a);

/** is its time over? By a clock that a server has confirmed */
bool sending_is_over(const struct sending *s);
/** its time is over: as far as it came */
void sending_expired(struct sending *s);
/** nothing more can be done now: @state, or later where somebody has to wait */
void sending_done(struct sending *s, enum out_state state);
/** one receiver, or some, cannot be served now: the others are; @text may be NULL */
void sending_put_off(struct sending *s, int err, const char *text,
		     unsigned int retry_s);

/** a receiver's state, and its word in an error. Return: 0, -NTM_ESTORE */
NTM_MUST_CHECK int sending_receiver(struct sending *s, const char *name,
				    enum to_state state, int code);
/** how many receivers are in these states. Return: that, or -NTM_ESTORE */
int sending_count(struct sending *s, enum to_state from, enum to_state to);
/** does one receiver wait, and no other one, also none that is yet to be found? */
bool sending_alone(struct sending *s);

/* --- sending_prekeys.c --- */

/** a name whose receivers are not known yet, and that was not put off in this run.
 *  Return: 1 and s->asked, 0 none, -NTM_ESTORE */
int sending_name_next(struct sending *s);
/** the prekeys of s->asked; then the next step. Return: 0, or as post_ask() */
NTM_MUST_CHECK int sending_ask_prekeys(struct sending *s);
/** a prekey as the box gives it; nothing is verified. @cert: NTMC_CERT_MAX bytes.
 *  Return: 0, -NTM_EDECODE */
NTM_MUST_CHECK int prekey_parse(const json_t *j, struct prekey *p,
				uint8_t *cert, long *cert_len);

/* --- sending_server.c --- */

/** a CS, or another one than was left; then the next step. Return: 0, or as post_ask() */
NTM_MUST_CHECK int sending_ask_servers(struct sending *s);
/** this CS is left, for what @a says. Return: as sending_ask_servers() */
NTM_MUST_CHECK int sending_leave_server(struct sending *s,
					const struct web_answer *a);

/** everybody has it without the CS: that is told to forget its part, by and by.
 *  Return: 0, -NTM_ESTORE, -NTM_ENOMEM */
NTM_MUST_CHECK int sending_drop_server(struct sending *s);

/* --- sending_look.c --- */

/** a long upload begins, or goes on */
void sending_look_soon(struct sending *s);
/** no more of it */
void sending_look_end(struct sending *s);

/* --- sending_data.c --- */

/** all of a small one goes with its keys, @j. Return: 0 (also of one that is not small),
 *  -NTM_ESTORE, as sealing_whole() */
NTM_MUST_CHECK int sending_give(struct sending *s, json_t *j);
/** the CS has all of it. The job is over */
void sending_given(struct sending *s);
/** what it is sealed of */
void sending_seals(struct sending *s, struct sealing_of *of);
/** sealing failed: a file that changed ends the item; else later */
void sending_broke(struct sending *s, const struct sealing *z, int err);
/** the CS has @offset bytes: seal and send the rest (sending_data.c) */
void sending_data(struct sending *s, uint64_t offset);
/** the next turn of sealing again what the CS has */
void sending_forward(struct sending *s);

/* --- outbox.c --- */

struct post *outbox_post(struct outbox *o);
/** the job of item @id; NULL: none */
const struct sending *outbox_job(const struct outbox *o, int64_t id);
/** the folder of an item's lists */
bool outbox_folder(const struct post *p, int64_t id, char *path, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * direct_impl - shared by direct.c (an item's attempts), direct_attempt.c (one receiver)
 * and direct_data.c (the blob's way to it)
 *
 * Owner: direct.c. Context: loop thread.
 */
#ifndef NTM_BROKER_POST_DIRECT_IMPL_H
#define NTM_BROKER_POST_DIRECT_IMPL_H

#include "broker/post/sending.h"

/* struct attempt - one receiver. @running: asked now, or about to be
 * @reached: it has answered once; @whole: all of it goes with the key; @best: the offset
 *           that it named then
 * @checks: it has, or has refused, a blob of this name before; is that ours, @word? */
struct attempt {
	struct direct *direct;
	char name[FQDN_MAX + 1];
	struct web_server door;
	struct web_call *call;
	struct loop_timer *turn;
	struct sealing *seal;
	uint64_t offset, best;
	unsigned int again, elsewhere;
	bool running, over, reached, whole, sends, checks;
	uint8_t word[NTMC_HASH_LEN];
	int word_code;
	struct attempt *next;
};

struct direct {
	struct sending *s;
	struct attempt *attempts;
	bool withdraws, alone;
};

/* --- direct.c --- */

/** it has ended, by whatever: the next that waits */
void attempt_over(struct attempt *x);

/* --- direct_attempt.c --- */

/** NULL: no memory */
struct attempt *attempt_new(struct direct *d, const char *name);
void attempt_free(struct attempt *x);
/** another way for this one; or the same once more */
void attempt_failed(struct attempt *x, int err);
/** the receiver's last word. @code: it is refused for that */
void attempt_end(struct attempt *x, int code);
/** what each request to this receiver has. @rest: behind the item's path */
void attempt_request(const struct attempt *x, struct post_ask *ask, char *path,
		     size_t size, const char *rest);

/* --- direct_data.c --- */

/** the blob, from @offset on */
void attempt_data(struct attempt *x, uint64_t offset);
/** the next turn of sealing again what the receiver has */
void attempt_forward(struct attempt *x);
/** sealing failed, which ends the job, and @x. Return: false: it is another error */
bool attempt_unsealed(struct attempt *x, int err);
/** Return: true: the answer is a last word, and it was taken */
bool attempt_word(struct attempt *x, const struct web_answer *a);

#endif

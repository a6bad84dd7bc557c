/* SPDX-License-Identifier: MIT */
/*
 * ntmclient - items for programs: send to devices and accounts that may be away, see
 * what became of it, take what came
 *
 * Link with `pkg-config --libs --cflags ntmclient`. The functions block, for 30 s at
 * most unless they say otherwise, and may be called from any thread. They speak with
 * this user's ntm-post, which the broker starts; `ntm up` starts the broker.
 *
 * An item is known by its sender and three IDs of the sender's program: application,
 * service and item, each 1 to 64 letters, digits, '.', '_' or '-'. A program gives its
 * own application ID, and looks at items of that one.
 *
 * Errors are 0 or negative: -enum ntm_err of the project; ntm_items_error() has a
 * sentence for each.
 */
#ifndef NTMCLIENT_H
#define NTMCLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NTM_ITEMS_ID   65
#define NTM_ITEMS_NAME 254

/**
 * struct ntm_items_order - what is to be sent; what is NULL is left out
 * @to:    NULL-terminated: "device.account.domain" or "account.domain", 64 at most
 * @files: NULL-terminated absolute paths of files and folders, which must not change
 *         until they are sent; or @text, UTF-8, at most 65536 bytes
 * @message: shown before the item is fetched, at most 256 bytes; servers can read it
 * @application, @service, @item: NULL: "ntm", "file" or "text", 16 random bytes
 */
struct ntm_items_order {
	const char *const *to;
	const char *const *files;
	const char *text, *message;
	const char *application, *service, *item;
};

/**
 * struct ntm_item - one item sent or received
 * @peer:   who sent it; empty in the outbox
 * @state:  as `ntm outbox` and `ntm inbox` say it: "sending", "waiting", "done",
 *          "failed", "cancelled"; "announced", "waiting", "fetching", "held", "here",
 *          "refused"
 * @size, @moved: bytes, sealed; how much of them was sent or fetched
 * @folder: of one that is "here": its files lie below FOLDER/tree
 * @error:  0, or why it is held, refused or failed
 */
struct ntm_item {
	int64_t id;
	char peer[NTM_ITEMS_NAME];
	char application[NTM_ITEMS_ID], service[NTM_ITEMS_ID],
		item[NTM_ITEMS_ID];
	char state[16], title[304], message[260], folder[512];
	uint64_t size, moved;
	int64_t at, expires;
	int error;
};

/** struct ntm_item_receiver - one receiver of an item sent; @at: since when */
struct ntm_item_receiver {
	char name[NTM_ITEMS_NAME];
	char state
		[16]; /* "sending", "waiting", "told", "received", "refused", "failed" */
	int64_t at;
	int error;
};

/**
 * ntm_items_send() - it is sent from now on, whatever becomes of this program
 * @id:  of the item, for the functions below
 * @why: @why_size bytes for the sentence that says what is wrong; may be NULL
 */
int ntm_items_send(const struct ntm_items_order *order, int64_t *id, char *why,
		   size_t why_size);

/** called for each item, borrowed; what is not 0 ends the list and is returned */
typedef int ntm_item_fn(void *arg, const struct ntm_item *item);
typedef int ntm_item_receiver_fn(void *arg, const struct ntm_item_receiver *r);
/** @application: NULL: of all */
int ntm_items_inbox(const char *application, ntm_item_fn *fn, void *arg);
int ntm_items_outbox(const char *application, ntm_item_fn *fn, void *arg);
/** who has the item @id of the outbox */
int ntm_items_receivers(int64_t id, ntm_item_receiver_fn *fn, void *arg);

/** fetch one that is "held" */
int ntm_items_fetch(int64_t id);
/** the program has what was in the folder of one that is "here": it is removed */
int ntm_items_taken(int64_t id);
/** who does not have it yet will not get it */
int ntm_items_cancel(int64_t id);
/**
 * ntm_items_wait() - until something has changed since @seen, as long as it takes
 * @seen: 0 at first: returns at once; written
 */
int ntm_items_wait(int64_t *seen);

/** one sentence for what a function returned; static */
const char *ntm_items_error(int err);

#ifdef __cplusplus
}
#endif

#endif

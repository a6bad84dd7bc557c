/* SPDX-License-Identifier: MIT */
/*
 * ntmclient - items for programs: send to devices and accounts that may be away, see
 * what became of it, take what came
 *
 * Link with `pkg-config --cflags --libs ntmclient`; ntmclient(3) is the manual,
 * example-items.c beside it a whole program. The functions speak with ntm-post, a
 * process of this user that the broker starts; `ntm up` starts the broker, `ntm login`
 * makes the device a node. They may be called from any thread, keep no state, and block:
 * at most 30 s, unless they say otherwise.
 *
 * An item is known by its sender and three IDs of the sender's program: application,
 * service and item, each 1 to 64 of A-Z a-z 0-9 . _ -. A program gives its own
 * application ID, and looks at items of that one alone. This device knows it by a
 * number, @id, of its own, different in inbox and outbox.
 *
 * Strings are UTF-8. What others chose (messages, titles, names of files) may hold any
 * character but NUL: do not write it to a terminal as it is. Times are seconds since
 * 1970, sizes bytes.
 */
#ifndef NTMCLIENT_H
#define NTMCLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NTM_ITEMS_ID	    65 /* an application, service or item ID, and NUL */
#define NTM_ITEMS_NAME	    254	  /* a device or account, and NUL */
#define NTM_ITEMS_MESSAGE   257	  /* a message, and NUL */
#define NTM_ITEMS_TEXT_MAX  65536 /* a text; longer ones go as a file */
#define NTM_ITEMS_RECEIVERS 64	  /* of an item */
#define NTM_ITEMS_FILES_MAX 4096  /* named in one order; folders hold more */

/** enum ntm_items_err - what functions return; 0 is success */
enum ntm_items_err {
	NTM_ITEMS_NOMEM = -1,	/* out of memory */
	NTM_ITEMS_INVAL = -2,	/* an argument is not as its function says */
	NTM_ITEMS_SYSTEM = -3,	/* a system call failed */
	NTM_ITEMS_AGAIN = -4,	/* not now */
	NTM_ITEMS_CLOSED = -5,	/* ntm-post ended meanwhile: ask again */
	NTM_ITEMS_TIMEOUT = -6, /* it does not answer */
	NTM_ITEMS_LIMIT = -7,	/* more than a limit allows */
	NTM_ITEMS_DECODE = -8,	/* it is of another version, or breaks a rule */
	NTM_ITEMS_AUTH = -9,	/* of an item: what came is not what was sent */
	NTM_ITEMS_NONAME = -13, /* of a receiver: it takes no items yet */
	NTM_ITEMS_POLICY = -16, /* of an item: its sender is not allowed in */
	NTM_ITEMS_CERT = -20,	/* of both: a domain or key is not known */
	NTM_ITEMS_PIN = -21,	/* of both: the key was another one before */
	NTM_ITEMS_NOLOGIN = -25, /* this device is not logged in */
	NTM_ITEMS_STORE = -26,	 /* a disk is full, or may not be written */
	NTM_ITEMS_TOOBIG = -28,	 /* larger than it may be, or than the buffer */
	NTM_ITEMS_EXISTS =
		-29, /* the IDs, or a name in the folder, are taken */
	NTM_ITEMS_NOTFOUND = -30, /* no such item, file or folder */
	NTM_ITEMS_NOBROKER = -33, /* no broker runs */
	NTM_ITEMS_PERM = -34,	  /* a file or folder is closed to this user */
	NTM_ITEMS_STATE = -35,	  /* the item is in another state */
	NTM_ITEMS_CHANGED = -37,  /* a file changed before it was sent */
	NTM_ITEMS_DECLINED = -39, /* of a receiver: it was dropped there */
};

/** ntm_items_error() - one sentence for a person for what a function returned; static */
const char *ntm_items_error(int err);

/* --- sending ------------------------------------------------------------------ */

/**
 * struct ntm_items_order - what is to be sent; what is NULL is left out
 * @to:    NULL-terminated: "device.account.domain", or "account.domain" for all devices
 *         of the account; 1 to NTM_ITEMS_RECEIVERS
 * @files: NULL-terminated absolute paths of files and folders, at most
 *         NTM_ITEMS_FILES_MAX, which must not change until they are sent
 * @text:  instead of @files: 1 to NTM_ITEMS_TEXT_MAX bytes of UTF-8
 * @message: the notification message: one line of at most 256 bytes, shown to receivers
 *         before they fetch the item. Servers can read it.
 * @application, @service, @item: NULL: "ntm", "file" or "text", 16 random bytes
 * All is borrowed for the call.
 */
struct ntm_items_order {
	const char *const *to;
	const char *const *files;
	const char *text, *message;
	const char *application, *service, *item;
};

/**
 * ntm_items_send() - it is sent from now on, whatever becomes of this program
 * @id:  written on success: the item's number in the outbox
 * @why: @why_size bytes for the sentence that says what is wrong; may be NULL
 *
 * Return: 0 (its files are listed, nothing has been sent yet), INVAL (also what is no
 * UTF-8, a path too: nothing is sent then), TOOBIG, LIMIT
 * (too many files: send them as an archive), EXISTS (an item with these IDs), NOTFOUND or
 * PERM (a file), CHANGED (a file, meanwhile), NOMEM, STORE, NOLOGIN, NOBROKER, AGAIN,
 * CLOSED (the outbox tells whether it has it), TIMEOUT, DECODE
 */
int ntm_items_send(const struct ntm_items_order *order, int64_t *id, char *why,
		   size_t why_size);

/**
 * ntm_items_cancel() - who does not have it yet will not get it
 * Return: 0, NOTFOUND, STATE (it has ended), or as ntm_items_inbox()
 */
int ntm_items_cancel(int64_t id);

/* --- what is there ------------------------------------------------------------ */

/**
 * struct ntm_item - one item, sent or received
 * @id:      its number in this outbox or inbox
 * @peer:    who sent it; empty in the outbox
 * @state:   outbox: "sending", "waiting" (the server has it), "done" (each receiver has
 *           it or never will), "failed", "cancelling", "cancelled"; inbox: "announced"
 *           (its data is not at the server yet), "waiting", "fetching", "held" (its
 *           sender may not send unasked, or see @error: ntm_items_fetch() fetches it),
 *           "here", "refused"
 * @title:   names of what it holds, in short; empty as long as that is not known
 * @message: the notification message; empty in the outbox
 * @folder:  of one that is "here": its files lie below FOLDER/tree
 * @size, @moved: bytes, sealed; how much of them was sent or fetched
 * @at:      when it was sent, or announced
 * @expires: when servers delete it
 * @error:   0, or why it is held (POLICY, PIN, CERT), refused (AUTH, DECODE ...) or
 *           failed (CHANGED, NONAME ...), or not sent or fetched yet; ntm_items_error()
 *           has a sentence for each, also for those that are not in ntm_items_err
 */
struct ntm_item {
	int64_t id;
	char peer[NTM_ITEMS_NAME];
	char application[NTM_ITEMS_ID], service[NTM_ITEMS_ID],
		item[NTM_ITEMS_ID];
	char state[16], title[304], message[NTM_ITEMS_MESSAGE], folder[4096];
	uint64_t size, moved;
	int64_t at, expires;
	int error;
};

/**
 * struct ntm_item_receiver - one receiver of an item sent
 * @state: "searching" (its devices are not known yet: @name is what was given), "sending",
 *         "waiting" (the server has it), "told" (the receiver's domain
 *         knows), "received" (by its own signed word, or straight from here), "refused",
 *         "failed"
 * @at:    since when
 * @error: 0, or why it was refused (AUTH, DECODE, DECLINED ...) or failed (NONAME, PIN ...); as
 *         of struct ntm_item
 */
struct ntm_item_receiver {
	char name[NTM_ITEMS_NAME];
	char state[16];
	int64_t at;
	int error;
};

/** called for each; borrowed. What is not 0 ends the list and is returned */
typedef int ntm_item_fn(void *arg, const struct ntm_item *item);
typedef int ntm_item_receiver_fn(void *arg, const struct ntm_item_receiver *r);

/**
 * ntm_items_inbox(), ntm_items_outbox() - all items, oldest first
 * @application: of this ID alone; NULL: of all
 * Return: 0, what @fn returned, NOMEM, NOLOGIN, NOBROKER, AGAIN (ntm-post starts),
 * CLOSED, TIMEOUT, DECODE
 */
int ntm_items_inbox(const char *application, ntm_item_fn *fn, void *arg);
int ntm_items_outbox(const char *application, ntm_item_fn *fn, void *arg);
/** one of them. Return: 0 and *@out, NOTFOUND, or as ntm_items_inbox() */
int ntm_items_inbox_get(int64_t id, struct ntm_item *out);
int ntm_items_outbox_get(int64_t id, struct ntm_item *out);
/** who has item @id of the outbox. Return: 0, NOTFOUND, or as ntm_items_inbox() */
int ntm_items_receivers(int64_t id, ntm_item_receiver_fn *fn, void *arg);

/* --- waiting -------------------------------------------------------------------- */

/**
 * ntm_items_wait() - until something of inbox or outbox has changed since @seen
 * @seen: 0 at first: returns at once; written
 * Blocks as long as it takes. Return: as ntm_items_inbox()
 */
int ntm_items_wait(int64_t *seen);

/**
 * ntm_items_watch() - the same for poll(2) and event loops
 * @fd: written on success: readable, at once at first, and whenever something has
 *      changed; close(2) it
 * Return: as ntm_items_inbox()
 */
int ntm_items_watch(int *fd);
/**
 * ntm_items_watched() - what made @fd readable; does not block
 * Return: 0 (something has changed: look at the lists), AGAIN (nothing has), CLOSED or
 * DECODE (close it, and watch anew)
 */
int ntm_items_watched(int fd);

/* --- taking --------------------------------------------------------------------- */

/**
 * ntm_items_fetch() - fetch one that is "held"
 * It is "here" some time later. Return: 0 (also where it is here already), NOTFOUND, or
 * as ntm_items_inbox()
 */
int ntm_items_fetch(int64_t id);

/**
 * ntm_items_read() - a file of an item that is "here", into memory
 * @path: below the item's folder; NULL: the text of one that was sent as a text
 * @buf:  @size bytes
 * @len:  written on success and with TOOBIG: the file's length
 * Return: 0, TOOBIG (longer than @size: *@buf is as it was), NOTFOUND (also where @path
 * is no file, or leads outside), STATE (the item is not here), PERM, STORE, or as
 * ntm_items_inbox()
 */
int ntm_items_read(int64_t id, const char *path, void *buf, size_t size,
		   size_t *len);

/** enum ntm_items_exists - what becomes of a name that is in use; folders are never
 *  replaced */
enum ntm_items_exists {
	NTM_ITEMS_LEAVE,     /* what came stays in the inbox */
	NTM_ITEMS_OVERWRITE, /* the file that was there is gone */
	NTM_ITEMS_RENAME,    /* "report (2).pdf" */
};

/** called for each file or folder of the item, with its absolute path */
typedef void ntm_items_placed_fn(void *arg, const char *path);
/**
 * ntm_items_place() - move what came into @folder, and take the item
 * @folder: exists; what comes from another file system is copied beside its place first
 * @fn:     may be NULL. It gets all of the item, also what an earlier call that was
 *          interrupted placed; nothing is placed twice
 * A dot that a name begins with becomes '_': hidden files may be run unasked. Others than
 * the owner may do with files what their sender says and this process's umask allows.
 * Takes as long as copying does; runs cp(1) and rm(1) where @folder is on another file
 * system, of which the program notices nothing, whatever it does with SIGCHLD. Return: 0, EXISTS (something was left: the item stays), NOTFOUND (no such
 * item or folder), STATE (the item is not here), INVAL (a path is too long), PERM, STORE,
 * AGAIN (also: another program is placing it), or as ntm_items_inbox()
 */
int ntm_items_place(int64_t id, const char *folder, enum ntm_items_exists how,
		    ntm_items_placed_fn *fn, void *arg);

/**
 * ntm_items_taken() - the program has what it wants of one that is "here"
 * Its folder is removed, and the item leaves the inbox.
 * Return: 0, NOTFOUND, STATE (the item is not here), or as ntm_items_inbox()
 */
int ntm_items_taken(int64_t id);

/**
 * ntm_items_drop() - nobody wants it, whatever its state
 * It leaves the inbox; what is not here yet is not fetched, and its sender sees it as
 * refused (DECLINED); not where its domain is not known here: then as one that was not
 * fetched, when its time is over. Return: 0, NOTFOUND, STORE, or as ntm_items_inbox()
 */
int ntm_items_drop(int64_t id);

#ifdef __cplusplus
}
#endif

#endif

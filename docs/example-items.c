/* SPDX-License-Identifier: MIT */
/*
 * example-items - notes and files between people who may be away, by ntmclient.h
 *
 *	cc example-items.c $(pkg-config --cflags --libs ntmclient) -o notes
 *	./notes send bob.example.org "tea at four"	(or a file: ./notes send NAME ./FILE)
 *	./notes sent					who has what
 *	./notes take FOLDER				what comes, until it is interrupted
 */
#include <limits.h>
#include <ntmclient.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APPLICATION "org.example.notes"

static int fail(int err)
{
	fprintf(stderr, "notes: %s\n", ntm_items_error(err));
	return 1;
}

static int note_send(const char *name, const char *what)
{
	char path[PATH_MAX], why[512];
	const char *const names[] = {name, NULL}, *const files[] = {path, NULL};
	int is_file = strchr(what, '/') && realpath(what, path);
	struct ntm_items_order order = {
		.to = names,
		.files = is_file ? files : NULL,
		.text = is_file ? NULL : what,
		.message = is_file ? "a file for you" : "a note for you",
		.application = APPLICATION,
		.service = is_file ? "file" : "note",
	};
	int64_t id;

	if (ntm_items_send(&order, &id, why, sizeof(why))) {
		fprintf(stderr, "notes: %s\n", why);
		return 1;
	}
	printf("note %lld is on its way\n", (long long)id);
	return 0;
}

/* --- what was sent
 * -------------------------------------------------------------------------- */

static int receiver_print(void *arg, const struct ntm_item_receiver *r)
{
	(void)arg;
	printf("  %s: %s%s%s\n", r->name, r->state, r->error ? ": " : "",
	       r->error ? ntm_items_error(r->error) : "");
	return 0;
}

static int sent_print(void *arg, const struct ntm_item *item)
{
	(void)arg;
	printf("%lld %s (%s): %s\n", (long long)item->id, item->title,
	       item->item, item->state);
	return ntm_items_receivers(item->id, receiver_print, NULL);
}

/* --- what came
 * ------------------------------------------------------------------------------ */

static void placed_print(void *arg, const char *path)
{
	const struct ntm_item *item = arg;

	printf("%s sent %s\n", item->peer, path);
}

static int text_print(const struct ntm_item *item)
{
	char text[NTM_ITEMS_TEXT_MAX + 1];
	size_t len;
	int err = ntm_items_read(item->id, NULL, text, sizeof(text) - 1, &len);

	if (err)
		return err;
	/* a terminal would take control characters for commands */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 && text[i] != '\n')
			text[i] = '?';
	text[len] = '\0';
	printf("%s (%s): %s\n", item->peer, item->message, text);
	return ntm_items_taken(item->id);
}

static int item_take(void *arg, const struct ntm_item *item)
{
	struct ntm_item own = *item;

	if (strcmp(item->state, "here"))
		return 0;
	if (!strcmp(item->service, "note"))
		return text_print(item);
	return ntm_items_place(item->id, arg, NTM_ITEMS_RENAME, placed_print,
			       &own);
}

static int notes_take(char *folder)
{
	struct pollfd p = {.events = POLLIN};
	int err = ntm_items_watch(&p.fd);

	while (!err) {
		if (poll(&p, 1, -1) < 0)
			return 1;
		err = ntm_items_watched(p.fd);
		if (!err)
			err = ntm_items_inbox(APPLICATION, item_take, folder);
		if (err == NTM_ITEMS_AGAIN)
			err = 0;
		if (err == NTM_ITEMS_CLOSED) {
			/* ntm-post was started anew; so is the watching */
			close(p.fd);
			sleep(1);
			err = ntm_items_watch(&p.fd);
		}
		fflush(stdout);
	}
	return fail(err);
}

int main(int argc, char **argv)
{
	int err;

	if (argc == 4 && !strcmp(argv[1], "send"))
		return note_send(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "take"))
		return notes_take(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "sent")) {
		err = ntm_items_outbox(APPLICATION, sent_print, NULL);
		return err ? fail(err) : 0;
	}
	fputs("usage: notes send NAME TEXT|./FILE | notes sent | notes take "
	      "FOLDER\n",
	      stderr);
	return 2;
}

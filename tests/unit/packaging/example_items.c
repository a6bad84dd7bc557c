/* SPDX-License-Identifier: MIT */
/*
 * example_items - a program that sends notes of its own, and prints those that come
 *
 *	cc example_items.c $(pkg-config --cflags --libs ntmclient) -o notes
 *	./notes bob.example.org "tea at four"
 *	./notes
 */
#include <ntmclient.h>
#include <stdio.h>
#include <string.h>

#define APPLICATION "org.example.notes"

static int note_send(const char *to, const char *text)
{
	const char *const names[] = {to, NULL};
	struct ntm_items_order order = {
		.to = names,
		.text = text,
		.application = APPLICATION,
		.service = "note",
	};
	char why[512];
	int64_t id;

	if (ntm_items_send(&order, &id, why, sizeof(why))) {
		fprintf(stderr, "notes: %s\n", why);
		return 1;
	}
	printf("note %lld is on its way\n", (long long)id);
	return 0;
}

static int note_print(void *arg, const struct ntm_item *item)
{
	char path[640], line[1024];
	FILE *f;

	(void)arg;
	if (strcmp(item->state, "here"))
		return 0;
	snprintf(path, sizeof(path), "%s/tree/text", item->folder);
	f = fopen(path, "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		printf("%s: %s\n", item->peer, line);
	fclose(f);
	return ntm_items_taken(item->id);
}

int main(int argc, char **argv)
{
	int err;

	if (argc == 3)
		return note_send(argv[1], argv[2]);
	err = ntm_items_inbox(APPLICATION, note_print, NULL);
	if (err)
		fprintf(stderr, "notes: %s\n", ntm_items_error(err));
	return err != 0;
}

/* SPDX-License-Identifier: MIT */
/* test_ended - the Cache Server's store: items that wait or have ended have an end */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "servers/cs/items.h"

#define NOW	INT64_C(1800000000)
#define SENDER	"laptop.alice.example.org"
#define ACCOUNT "alice"
#define TO	"desk.bob.example.net"

static char path[64];
static struct items *s;

static int setup(void **state)
{
	(void)state;
	strcpy(path, "/tmp/ntm-ended-XXXXXX");
	close(mkstemp(path));
	assert_int_equal(items_open(path, &s), 0);
	assert_int_equal(items_begin(s), 0);
	return 0;
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	assert_int_equal(items_commit(s), 0);
	items_close(s);
	snprintf(command, sizeof(command), "rm -f %s*", path);
	assert_int_equal(system(command), 0);
	return 0;
}

/* of one account, in place of ITEMS_WAITING_MAX */
#define WAITING_MAX 10

/* Return: as items_add() says */
static int try_add(const char *account, unsigned int n, int64_t *number)
{
	const struct items_limits limits = {.bytes = 1000, .n = WAITING_MAX};
	struct item i = {.created = NOW, .expires = NOW + 1000, .size = 10};
	struct receiver r = {.key = {1}, .key_len = 1};
	int err;

	strcpy(i.sender, SENDER);
	strcpy(i.application, "ntm");
	strcpy(i.service, "file");
	snprintf(i.item, sizeof(i.item), "%s%u", account, n);
	strcpy(r.name, TO);
	err = items_add(s, &i, account, &r, 1, NULL, &limits);
	*number = i.number;
	return err;
}

/* Return: its number */
static int64_t add(const char *account, unsigned int n)
{
	int64_t number;

	assert_int_equal(try_add(account, n, &number), 0);
	return number;
}

static bool is_there(int64_t number)
{
	struct item i;
	int r = items_get(s, number, &i);

	assert_true(!r || r == -NTM_ENOTFOUND);
	return !r;
}

/* Who sends and cancels for ever fills no disk; what waits, and others', stay. */
static void ended(void **state)
{
	int64_t first = add(ACCOUNT, 0), other = add("carol", 0), second = 0,
		late;
	uint8_t hash[NTMC_HASH_LEN] = {1};
	struct item i;
	bool over;

	(void)state;
	assert_int_equal(items_cancel(s, other), 0);
	for (unsigned int n = 1; n <= ITEMS_ENDED_MAX; n++) {
		int64_t number = add(ACCOUNT, n);

		second = n == 1 ? number : second;
		assert_int_equal(items_cancel(s, number), 0);
	}
	assert_true(is_there(second));
	/* the one that ended last stays, though it is the oldest: its sender is to
	 * see how */
	assert_int_equal(items_complete(s, first, hash), 0);
	assert_int_equal(items_confirm(s, first, TO, 0, NULL, NOW, &over), 0);
	assert_true(over && is_there(first));
	assert_false(is_there(second));
	assert_int_equal(items_get(s, first, &i), 0);
	assert_int_equal(i.state, ITEM_DONE);
	assert_true(is_there(other));
	/* what is forgotten makes room */
	assert_int_equal(items_forget(s, first), 0);
	late = add(ACCOUNT, ITEMS_ENDED_MAX + 1);
	assert_int_equal(items_cancel(s, late), 0);
	assert_true(is_there(second + 1));
}

/* An account has so many that wait, and no more until one ends; others have theirs. */
static void waiting(void **state)
{
	int64_t first = add(ACCOUNT, 0), number;

	(void)state;
	for (unsigned int n = 1; n < WAITING_MAX; n++)
		add(ACCOUNT, n);
	assert_int_equal(try_add(ACCOUNT, WAITING_MAX, &number), -NTM_ELIMIT);
	add("carol", 0);
	assert_int_equal(items_cancel(s, first), 0);
	add(ACCOUNT, WAITING_MAX);
	assert_int_equal(try_add(ACCOUNT, WAITING_MAX + 1, &number),
			 -NTM_ELIMIT);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#define ALSO "pad.carol.example.com"

/* Item @n for @n_to names, whose keys begin with @key. Return: as items_add() says */
static int add_for(unsigned int n, const char *const *to, size_t n_to,
		   uint8_t key, struct item *i)
{
	const struct items_limits limits = {.bytes = 1000, .n = WAITING_MAX};
	static struct receiver r[ITEMS_RECEIVERS_MAX + 2];

	*i = (struct item){.created = NOW, .expires = NOW + 1000, .size = 10};
	memset(r, 0, sizeof(r));
	strcpy(i->sender, SENDER);
	strcpy(i->application, "ntm");
	strcpy(i->service, "file");
	snprintf(i->item, sizeof(i->item), "%u", n);
	for (size_t k = 0; k < n_to; k++) {
		strcpy(r[k].name, to[k]);
		r[k].key[0] = key;
		r[k].key_len = 1;
	}
	return items_add(s, i, ACCOUNT, r, n_to, NULL, &limits);
}

static char asked_for[256];

static bool ask_note(void *arg, const struct ask *a)
{
	char line[FQDN_MAX + 16];

	(void)arg;
	snprintf(line, sizeof(line), "%d %s, ", (int)a->kind, a->name);
	assert_true(strlen(asked_for) + strlen(line) < sizeof(asked_for));
	strcat(asked_for, line);
	return true;
}

static void asks_are(const char *text)
{
	*asked_for = '\0';
	assert_int_equal(items_asks_due(s, NOW, 0, 20, ask_note, NULL), 0);
	assert_string_equal(asked_for, text);
}

static void asks_done(void)
{
	struct ask a = {.kind = ASK_STATUS};

	for (a.id = 1; a.id < 20; a.id++)
		assert_int_equal(items_asked(s, &a, 0, NOW), 0);
}

/* A sender that found one of its receivers later names it beside those that wait: it
 * comes to the item that is there. Another key, or one left out, is another item. */
static void joins(void **state)
{
	static const char *const to[] = {TO, ALSO}, *const more[] = {ALSO, TO};
	uint8_t hash[NTMC_HASH_LEN] = {1};
	struct item i, first;
	struct receiver r;

	(void)state;
	assert_int_equal(add_for(1, to, 1, 1, &first), 0);
	assert_int_equal(items_complete(s, first.number, hash), 0);
	asks_done();
	assert_int_equal(add_for(1, to, 1, 1, &i), 1);
	assert_int_equal(add_for(1, to, 1, 2, &i), -NTM_EEXISTS);
	assert_int_equal(add_for(1, more, 1, 1, &i), -NTM_EEXISTS);
	asks_are("");
	assert_int_equal(add_for(1, to, 2, 1, &i), 2);
	assert_int_equal(i.number, first.number);
	assert_int_equal(i.state, ITEM_COMPLETE);
	asks_are("1 " ALSO ", 2 " ALSO ", ");
	assert_int_equal(items_receiver(s, i.number, ALSO, &r), 0);
	assert_true(r.has_ticket && r.state == RECEIVER_WAITING);
	assert_int_equal(add_for(1, more, 2, 1, &i), 1);
}

/* Who has it is named no more; when all have it, the data is gone: it begins anew. */
static void joins_late(void **state)
{
	const char *to[] = {TO, ALSO, "tab.dave.example.com"};
	uint8_t hash[NTMC_HASH_LEN] = {1};
	struct item i, first;
	struct receiver r;
	bool over;

	(void)state;
	assert_int_equal(add_for(1, to, 2, 1, &first), 0);
	assert_int_equal(items_complete(s, first.number, hash), 0);
	assert_int_equal(
		items_confirm(s, first.number, TO, 0, NULL, NOW, &over), 0);
	assert_int_equal(add_for(1, to + 1, 2, 1, &i), 2);
	assert_int_equal(items_receiver(s, i.number, TO, &r), 0);
	assert_int_equal(r.state, RECEIVER_RECEIVED);
	for (int k = 1; k < 3; k++)
		assert_int_equal(items_confirm(s, first.number, to[k], 0, NULL,
					       NOW, &over),
				 0);
	assert_true(over);
	/* the same once more, whose answer was lost; and another one */
	assert_int_equal(add_for(1, to + 1, 2, 1, &i), 1);
	assert_int_equal(i.state, ITEM_DONE);
	assert_int_equal(items_complete(s, first.number, hash), 0);
	assert_int_equal(add_for(1, to + 1, 2, 2, &i), -NTM_EEXISTS);
	to[0] = "new.erin.example.com";
	assert_int_equal(add_for(1, to, 1, 1, &i), 0);
	assert_int_equal(i.state, ITEM_OPEN);
	assert_int_equal(items_cancel(s, i.number), 0);
	assert_int_equal(add_for(1, to, 2, 1, &i), -NTM_EEXISTS);
}

/* Who adds for ever is stopped. */
static void joins_without_end(void **state)
{
	static char names[ITEMS_RECEIVERS_MAX + 1][32];
	const char *to[ITEMS_RECEIVERS_MAX + 1];
	struct item i;
	size_t n;

	(void)state;
	for (n = 0; n <= ITEMS_RECEIVERS_MAX; n++) {
		snprintf(names[n], sizeof(names[n]), "d%zu.bob.example.net", n);
		to[n] = names[n];
	}
	assert_int_equal(add_for(1, to, 64, 1, &i), 0);
	assert_int_equal(add_for(1, to, ITEMS_RECEIVERS_MAX, 1, &i), 2);
	assert_int_equal(add_for(1, to, ITEMS_RECEIVERS_MAX + 1, 1, &i),
			 -NTM_ELIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {T(ended), T(waiting), T(joins),
					   T(joins_late), T(joins_without_end)};

	return cmocka_run_group_tests_name("ended", tests, NULL, NULL);
}

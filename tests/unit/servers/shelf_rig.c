/* SPDX-License-Identifier: MIT */
/* shelf_rig - a box's store of a test's own, and what is put there */
#include "shelf_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char shelf_path[64], shelf_copy[64];
struct shelf *s;
char changed_fqdn[FQDN_MAX + 1];
uint32_t changed_serial;
unsigned int n_changed;

static void on_changed(void *arg, const char *fqdn, uint32_t serial)
{
	(void)arg;
	strcpy(changed_fqdn, fqdn);
	changed_serial = serial;
	n_changed++;
}

void begin(int64_t now)
{
	n_changed = 0;
	assert_int_equal(shelf_begin(s, now), 0);
}

void commit(void)
{
	assert_int_equal(shelf_commit(s, on_changed, NULL), 0);
}

int device(const char *fqdn, uint8_t fp)
{
	struct shelf_device d = {.n = 1};

	strcpy(d.fqdn, fqdn);
	memset(d.fp, fp, sizeof(d.fp));
	d.prekeys[0].not_before = NOW + 400; /* its clock is ahead */
	d.prekeys[0].not_after = NOW + 1000;
	d.prekeys[0].cert_len = 4;
	return shelf_put_device(s, &d);
}

int shelf_setup(void **state)
{
	(void)state;
	strcpy(shelf_path, "/tmp/ntm-shelf-XXXXXX");
	close(mkstemp(shelf_path));
	snprintf(shelf_copy, sizeof(shelf_copy), "%s.copy", shelf_path);
	assert_int_equal(shelf_open(shelf_path, &s), 0);
	begin(NOW);
	assert_int_equal(device(DESK, 1), 0);
	commit();
	assert_string_equal(changed_fqdn, DESK);
	assert_int_equal(changed_serial, 0);
	return 0;
}

int shelf_teardown(void **state)
{
	char command[256];

	(void)state;
	shelf_close(s);
	snprintf(command, sizeof(command), "rm -f %s*", shelf_path);
	assert_int_equal(system(command), 0);
	return 0;
}

void item_fill(struct shelf_item *i, const char *account, unsigned int n)
{
	snprintf(i->from, sizeof(i->from), "pc.%s", account);
	strcpy(i->to, DESK);
	strcpy(i->application, "ntm");
	strcpy(i->service, "file");
	snprintf(i->item, sizeof(i->item), "%u", n);
	i->expires = NOW + 500;
}

int put(const char *account, unsigned int n)
{
	struct shelf_exchange x = {.kind = SHELF_DATA, .size = n, .n_addrs = 1};

	item_fill(&x.i, account, n);
	strcpy(x.cs, "cs.example.org");
	assert_int_equal(addr_parse("192.0.2.1", 4507, &x.addrs[0]), 0);
	memcpy(x.hash, &n, sizeof(n));
	return shelf_put_exchange(s, &x);
}

int put_key(const char *account, unsigned int n, uint8_t key)
{
	struct shelf_item i;
	struct ntmc_key k = {{key}};

	memset(&i, 0, sizeof(i));
	item_fill(&i, account, n);
	return shelf_put_key(s, &i, &k);
}

int64_t entries(void)
{
	struct shelf_counts c;

	assert_int_equal(shelf_count(s, &c), 0);
	return c.entries;
}

/* SPDX-License-Identifier: MIT */
/*
 * shelf_rig - a box's store of a test's own, and what is put there
 *
 * Owner: the test program. Each test has a new store with one device, DESK.
 */
#ifndef NTM_TESTS_SERVERS_SHELF_RIG_H
#define NTM_TESTS_SERVERS_SHELF_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "servers/box/shelf.h"

#define NOW  INT64_C(1800000000)
#define DESK "desk.bob.example.org"

extern struct shelf *s;
/** the store's file; a backup of it */
extern char shelf_path[64], shelf_copy[64];
/** the last list that changed, its number, and how many did since begin() */
extern char changed_fqdn[FQDN_MAX + 1];
extern uint32_t changed_serial;
extern unsigned int n_changed;

int shelf_setup(void **state);
int shelf_teardown(void **state);

void begin(int64_t now);
void commit(void);
/** with one prekey, good until NOW + 1000. Return: as shelf_put_device() */
int device(const char *fqdn, uint8_t fp);
/** item @n of pc.@account, for DESK, until NOW + 500 */
void item_fill(struct shelf_item *i, const char *account, unsigned int n);
/** a CS has its data. Return: as shelf_put_exchange() */
int put(const char *account, unsigned int n);
/** its temporal key, which begins with @key. Return: as shelf_put_key() */
int put_key(const char *account, unsigned int n, uint8_t key);
int64_t entries(void);

#endif

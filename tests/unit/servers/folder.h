/* SPDX-License-Identifier: MIT */
/*
 * folder - folders of servers, made by the commands
 *
 * Owner:   the test program, one at a time: dir, in which the folders are.
 */
#ifndef NTM_TESTS_SERVERS_FOLDER_H
#define NTM_TESTS_SERVERS_FOLDER_H

extern char dir[64];

/* cmocka's, of each test: an empty dir */
int folder_setup(void **state);
int folder_teardown(void **state);
/** what the commands print is not seen, until folder_unhush() */
void folder_hush(void);
void folder_unhush(void);
/** `init` of example.org in dir/@name. Return: as cli_init() */
int folder_init(const char *name);
void folder_write(const char *path, const char *text);

#endif

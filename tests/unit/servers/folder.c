/* SPDX-License-Identifier: MIT */
/* folder - folders of servers, made by the commands */
#include "folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "servers/cli.h"

char dir[64];
static int saved_out, saved_err;

void folder_hush(void)
{
	int null = open("/dev/null", O_WRONLY);

	fflush(stdout);
	fflush(stderr);
	saved_out = dup(STDOUT_FILENO);
	saved_err = dup(STDERR_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
}

void folder_unhush(void)
{
	fflush(stdout);
	fflush(stderr);
	dup2(saved_out, STDOUT_FILENO);
	dup2(saved_err, STDERR_FILENO);
	close(saved_out);
	close(saved_err);
}

int folder_setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/ntm-folder-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

int folder_teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

int folder_init(const char *name)
{
	struct cli c = {.domain = "Example.ORG", .user = "root"};
	int r;

	snprintf(c.dir, sizeof(c.dir), "%s/%s", dir, name);
	folder_hush();
	r = cli_init(&c);
	folder_unhush();
	return r;
}

void folder_write(const char *path, const char *text)
{
	assert_int_equal(file_write(path, text, strlen(text), 0600), 0);
}

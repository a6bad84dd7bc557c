/* SPDX-License-Identifier: MIT */
/* cli_exit - `ntm-server exit` */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/join.h"
#include "libntmcrypto/ntmcrypto.h"
#include "servers/adminsock.h"
#include "servers/cli.h"

#define ACCOUNT	       "exit" /* of which each exit is a device */
#define PASSWORD_BYTES 32
#define PASSWORD_LEN   (2 * PASSWORD_BYTES)

/* a password that nobody need remember; the one before counts no more */
static int account_open_for(const struct cli *c, const char *password)
{
	char hash[NTMC_PASSWORD_HASH_MAX];
	json_t *accounts, *a, *answer;
	const char *command = "account-add";
	size_t i;
	int r = cli_ask_as(c, json_pack("{s:s}", "command", "account-list"),
			   &answer);

	if (r)
		return r;
	accounts = json_object_get(answer, "accounts");
	json_array_foreach(accounts, i, a)
	{
		const char *name =
			json_string_value(json_object_get(a, "name"));

		if (name && !strcmp(name, ACCOUNT))
			command = "account-passwd";
	}
	json_decref(answer);
	if (ntmc_password_hash(NULL, password, hash))
		return cli_fail("out of memory");
	r = cli_ask_as(c,
		       json_pack("{s:s, s:s, s:s}", "command", command, "name",
				 ACCOUNT, "hash", hash),
		       &answer);
	ntmc_wipe(hash, sizeof(hash));
	if (!r)
		json_decref(answer);
	return r;
}

static void draw_password(char out[static PASSWORD_LEN + 1])
{
	uint8_t raw[PASSWORD_BYTES];

	ntmc_random(NULL, raw, sizeof(raw));
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
	ntmc_wipe(raw, sizeof(raw));
}

static int write_file(const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool bad;

	if (fd < 0)
		return cli_fail("%s: %s", path, strerror(errno));
	bad = write(fd, text, len) != (ssize_t)len || fsync(fd);
	if (!close(fd) && !bad)
		return 0;
	unlink(path);
	return cli_fail("%s: %s", path, strerror(errno));
}

static int enrol(struct cli *c, const char *file)
{
	char join[JOIN_TEXT_MAX], password[PASSWORD_LEN + 1];
	char text[JOIN_TEXT_MAX + PASSWORD_LEN + 4];
	char own[DATADIR_PATH_MAX];
	int r = cli_join_text(c, join, sizeof(join));

	if (r)
		return r;
	draw_password(password);
	r = account_open_for(c, password);
	snprintf(text, sizeof(text), "%s\n%s\n", join, password);
	if (!r && datadir_path(c->dir, "exit", own))
		r = cli_fail("%s is too long", c->dir);
	if (!r && !file && file_make_folder(own, 0700))
		r = cli_fail("%s cannot be made", own);
	if (!r && !file && !datadir_path(c->dir, "exit/enrol", own)) {
		(void)!unlink(own);
		file = own;
	}
	if (!r)
		r = write_file(file, text);
	ntmc_wipe(password, sizeof(password));
	ntmc_wipe(text, sizeof(text));
	if (r)
		return r;
	if (c->json)
		printf("{\"ok\": true}\n");
	else if (file == own)
		printf("The exit of this machine logs in within seconds of its "
		       "start: name the role exit in server.roles.\nWho may "
		       "use it: ntm-server account exit NAME on\n");
	else
		printf("Bring %s by a safe way to the exit's machine, as "
		       "exit/enrol of its folder, and delete it here: whoever "
		       "holds it can be an exit of the domain.\n",
		       file);
	return 0;
}

static int status(struct cli *c, const char *verb)
{
	json_t *request, *answer, *value;
	const char *key;
	int r = cli_enter(c);

	if (r)
		return r;
	request = json_pack("{s:s}", "command", verb);
	r = adminsock_ask(c->dir, "exit", request, &answer);
	json_decref(request);
	if (r == -NTM_ENOTFOUND)
		return cli_fail("no exit runs in %s; name the role exit in "
				"server.roles and start ntm-server run",
				c->dir);
	if (r)
		return cli_fail("the exit does not answer: %s", err_text(r));
	if (c->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		printf("\n");
	} else {
		json_object_foreach(answer, key, value)
		{
			if (json_is_integer(value))
				printf("%-16s %lld\n", key,
				       (long long)json_integer_value(value));
			else if (json_is_string(value))
				printf("%-16s %s\n", key,
				       json_string_value(value));
			else if (strcmp(key, "ok"))
				printf("%-16s %s\n", key,
				       json_is_true(value) ? "yes" : "no");
		}
	}
	json_decref(answer);
	return 0;
}

int cli_exit(struct cli *c, const char *verb)
{
	if (!strcmp(verb, "enrol"))
		return enrol(c, c->n_args > 1 ? c->args[1] : NULL);
	if ((!strcmp(verb, "status") || !strcmp(verb, "drain") ||
	     !strcmp(verb, "undrain")) &&
	    c->n_args == 1)
		return status(c, verb);
	return cli_misused("exit");
}

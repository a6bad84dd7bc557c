/* SPDX-License-Identifier: MIT */
/* cli_account - `ntm-server account` and `ntm-server device` */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/out.h"
#include "libntmcrypto/ntmcrypto.h"
#include "servers/adminsock.h"
#include "servers/as/admin.h"
#include "servers/cli.h"

#define PASSWORD_MIN 8
#define PASSWORD_MAX 1024

/* --- passwords ----------------------------------------------------------------- */

/* one line without its end; false at the end of file or when it is too long */
static bool read_line(FILE *f, char *buf, size_t size)
{
	size_t len;

	if (!fgets(buf, (int)size, f))
		return false;
	len = strlen(buf);
	if (!len || buf[len - 1] != '\n')
		return len + 1 < size; /* a file without a last newline */
	buf[len - 1] = '\0';
	return true;
}

static bool ask(FILE *tty, const char *prompt, char *buf, size_t size)
{
	struct termios old, quiet;
	bool ok, is_tty = !tcgetattr(fileno(tty), &old);

	fputs(prompt, tty);
	fflush(tty);
	if (is_tty) {
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
	}
	ok = read_line(tty, buf, size);
	if (is_tty)
		tcsetattr(fileno(tty), TCSAFLUSH, &old);
	fputc('\n', tty);
	return ok;
}

static int password_prompt(char *buf, size_t size)
{
	FILE *tty = fopen("/dev/tty", "r+e");
	char again[PASSWORD_MAX + 2] = "";
	bool ok;

	if (!tty)
		return cli_fail("no terminal to ask for the password; use "
				"--password-file or --password-stdin");
	setvbuf(tty, NULL, _IONBF, 0);
	ok = ask(tty, "Password: ", buf, size) &&
	     ask(tty, "Again: ", again, sizeof(again));
	fclose(tty);
	if (ok && strcmp(buf, again))
		ok = false;
	ntmc_wipe(again, sizeof(again));
	return ok ? 0
		  : cli_fail("the two passwords differ; nothing was changed");
}

static int password_read(const struct cli *c, char *buf, size_t size)
{
	FILE *f;
	bool ok;

	if (c->password_stdin)
		return read_line(stdin, buf, size)
			       ? 0
			       : cli_fail("no password on standard input");
	if (!c->password_file)
		return password_prompt(buf, size);
	f = fopen(c->password_file, "re");
	if (!f)
		return cli_fail("%s: %s", c->password_file, strerror(errno));
	ok = read_line(f, buf, size);
	fclose(f);
	return ok ? 0 : cli_fail("%s: no password in it", c->password_file);
}

static int password_hash(const struct cli *c,
			 char hash[static NTMC_PASSWORD_HASH_MAX])
{
	char password[PASSWORD_MAX + 2] = "";
	int r = password_read(c, password, sizeof(password));

	if (!r && strlen(password) < PASSWORD_MIN)
		r = cli_fail("a password has %d characters or more",
			     PASSWORD_MIN);
	if (!r && ntmc_password_hash(NULL, password, hash))
		r = cli_fail("the password could not be hashed: out of memory");
	ntmc_wipe(password, sizeof(password));
	return r;
}

/* --- asking the AS, or its store ----------------------------------------------- */

/* while no AS runs; what is withdrawn here is told the DC when it runs again */
static int do_offline(const struct cli *c, json_t *request, json_t **answer)
{
	const char *command =
		json_string_value(json_object_get(request, "command"));
	char path[DATADIR_PATH_MAX];
	struct accounts *a;
	bool withdraw;
	int r = datadir_file(c->dir, DATADIR_AS_DB, path);

	if (!r && access(path, F_OK))
		r = -NTM_ENOTFOUND; /* store_open() would make one */
	if (!r)
		r = accounts_open(path, &a);
	if (r)
		return r;
	*answer = admin_do(a, command, request, ntmc_now(NULL), &withdraw);
	accounts_close(a);
	return *answer ? 0 : -NTM_EINVAL;
}

/* takes @request; prints a refusal. Return: 0 with @answer, or CLI_FAILED */
int cli_ask_as(const struct cli *c, json_t *request, json_t **answer)
{
	json_t *text;
	int r = cli_enter(c);

	*answer = NULL;
	if (r) {
		json_decref(request);
		return r;
	}
	r = adminsock_ask(c->dir, "as", request, answer);
	if (r == -NTM_ENOTFOUND)
		r = do_offline(c, request, answer);
	json_decref(request);
	if (r == -NTM_ENOTFOUND)
		return cli_fail("the Account Server is not in %s; run this on "
				"its machine",
				c->dir);
	if (r)
		return cli_fail("%s: %s", c->dir, err_text(r));
	if (json_is_true(json_object_get(*answer, "ok")))
		return 0;
	text = json_object_get(*answer, "text");
	cli_fail("%s",
		 json_is_string(text) ? json_string_value(text) : "refused");
	json_decref(*answer);
	return CLI_FAILED;
}

static int simple(const struct cli *c, const char *what, const char *verb,
		  const char *name)
{
	char command[64];
	json_t *answer;
	int r;

	snprintf(command, sizeof(command), "%s-%s", what, verb);
	r = cli_ask_as(
		c, json_pack("{s:s, s:s}", "command", command, "name", name),
		&answer);
	if (r)
		return r;
	if (c->json)
		printf("{\"ok\": true}\n");
	json_decref(answer);
	return 0;
}

static int with_password(const struct cli *c, const char *verb)
{
	char hash[NTMC_PASSWORD_HASH_MAX], command[64];
	json_t *answer, *request;
	int r = password_hash(c, hash);

	if (r)
		return r;
	snprintf(command, sizeof(command), "account-%s", verb);
	request = json_pack("{s:s, s:s, s:s}", "command", command, "name",
			    c->args[1], "hash", hash);
	ntmc_wipe(hash, sizeof(hash));
	r = cli_ask_as(c, request, &answer);
	if (r)
		return r;
	if (c->json)
		printf("{\"ok\": true}\n");
	json_decref(answer);
	return 0;
}

/* --- lists ---------------------------------------------------------------------- */

#define ACCOUNT_COLS 5

static void print_accounts(const json_t *list)
{
	static const char *const headings[ACCOUNT_COLS] = {
		"ACCOUNT", "STATE", "EXIT", "DEVICES", "SINCE"};
	size_t n = json_array_size(list), i;
	const char **cells = calloc(n * ACCOUNT_COLS + 1, sizeof(*cells));
	char(*text)[2][32] = calloc(n + 1, sizeof(*text));
	const json_t *a;

	if (!cells || !text)
		goto done;
	json_array_foreach(list, i, a)
	{
		const char **row = cells + i * ACCOUNT_COLS;

		snprintf(text[i][0], sizeof(text[i][0]), "%lld",
			 (long long)out_int(a, "devices"));
		snprintf(text[i][1], sizeof(text[i][1]), "%s",
			 out_date(out_int(a, "created")));
		row[0] = out_text(a, "name", "?");
		row[1] = json_is_true(json_object_get(a, "enabled"))
				 ? "enabled"
				 : "disabled";
		row[2] = json_is_true(json_object_get(a, "exit")) ? "exit" : "";
		row[3] = text[i][0];
		row[4] = text[i][1];
	}
	out_table(headings, ACCOUNT_COLS, cells, n);
done:
	free(text);
	free(cells);
}

static int list(const struct cli *c, json_t *request, const char *key,
		void (*print)(const json_t *))
{
	json_t *answer, *items;
	int r = cli_ask_as(c, request, &answer);

	if (r)
		return r;
	items = json_object_get(answer, key);
	if (c->json) {
		json_dumpf(items, stdout, JSON_INDENT(2));
		printf("\n");
	} else {
		print(items);
	}
	json_decref(answer);
	return 0;
}

static bool is_one_of(const char *verb, const char *const *verbs)
{
	for (; *verbs; verbs++)
		if (!strcmp(verb, *verbs))
			return true;
	return false;
}

static int may_exit(const struct cli *c, const char *name, const char *what)
{
	if (!strcmp(what, "on"))
		return simple(c, "account", "exit-on", name);
	if (!strcmp(what, "off"))
		return simple(c, "account", "exit-off", name);
	return cli_misused("account");
}

int cli_account(struct cli *c, const char *verb)
{
	static const char *const plain[] = {"disable", "enable", "delete",
					    NULL};

	if (!strcmp(verb, "list") && c->n_args == 1)
		return list(c, json_pack("{s:s}", "command", "account-list"),
			    "accounts", print_accounts);
	if (!strcmp(verb, "exit") && c->n_args == 3)
		return may_exit(c, c->args[1], c->args[2]);
	if (c->n_args != 2)
		return cli_misused("account");
	if (!strcmp(verb, "add") || !strcmp(verb, "passwd"))
		return with_password(c, verb);
	if (is_one_of(verb, plain))
		return simple(c, "account", verb, c->args[1]);
	return cli_misused("account");
}

int cli_device(struct cli *c, const char *verb)
{
	static const char *const plain[] = {"revoke", "delete", NULL};
	json_t *request;

	if (!strcmp(verb, "list") && c->n_args == 1) {
		request = json_pack("{s:s}", "command", "device-list");
		if (c->account)
			json_object_set_new(request, "name",
					    json_string(c->account));
		return list(c, request, "devices", out_devices);
	}
	if (c->n_args == 2 && is_one_of(verb, plain))
		return simple(c, "device", verb, c->args[1]);
	return cli_misused("device");
}

/* SPDX-License-Identifier: MIT */
/* admin - what `ntm-server account` and `device` do, on the AS's store */
#include "servers/as/admin.h"

#include <stdio.h>
#include <string.h>

/* What a person can do about @err of a command about @name. */
static void refusal(int err, bool device, const char *name, char *out,
		    size_t size)
{
	const char *what = device ? "device" : "account";

	if (!name)
		name = "";
	if (err == -NTM_ENOTFOUND)
		snprintf(out, size, "there is no %s %s; see ntm-server %s list",
			 what, name, what);
	else if (err == -NTM_EEXISTS)
		snprintf(out, size, "the %s %s exists already", what, name);
	else if (err == -NTM_EINVAL && !device)
		snprintf(out, size,
			 "%s is no name for an account: one word of lower-case "
			 "letters, digits and hyphens, and not that of a "
			 "server (as, dc, rs, ns ...)",
			 name);
	else
		snprintf(out, size, "%s", err_text(err));
}

struct call {
	struct accounts *accounts;
	const char *name, *hash;
	int64_t now;
	json_t *list;
};

static int account_add(struct call *c)
{
	return accounts_add(c->accounts, c->name, c->hash, c->now);
}

static int account_passwd(struct call *c)
{
	return accounts_set_hash(c->accounts, c->name, c->hash);
}

static int account_disable(struct call *c)
{
	return accounts_set_enabled(c->accounts, c->name, false);
}

static int account_enable(struct call *c)
{
	return accounts_set_enabled(c->accounts, c->name, true);
}

static int account_exit_on(struct call *c)
{
	return accounts_set_exit(c->accounts, c->name, true);
}

static int account_exit_off(struct call *c)
{
	return accounts_set_exit(c->accounts, c->name, false);
}

static int account_delete(struct call *c)
{
	return accounts_delete(c->accounts, c->name);
}

static void list_account(void *arg, const struct account *a)
{
	json_array_append_new(arg, json_pack("{s:s, s:b, s:b, s:I, s:i}",
					     "name", a->name, "enabled",
					     a->enabled, "exit", a->exit,
					     "created", (json_int_t)a->created,
					     "devices", (int)a->n_devices));
}

static int account_list(struct call *c)
{
	return accounts_each(c->accounts, list_account, c->list);
}

static void list_device(void *arg, const struct device *d)
{
	char fp[NTMC_FP_TEXT_LEN];

	ntmc_fingerprint_text(d->fp, fp);
	json_array_append_new(
		arg,
		json_pack("{s:s, s:s, s:s, s:b, s:I, s:s}", "fqdn", d->fqdn,
			  "account", d->account, "fingerprint", fp, "revoked",
			  d->revoked, "last_login", (json_int_t)d->last_login,
			  "version", d->version));
}

static int device_list(struct call *c)
{
	struct account account;
	int err = c->name ? accounts_get(c->accounts, c->name, &account) : 0;

	if (err)
		return err;
	return accounts_device_each(c->accounts, c->name, list_device, c->list);
}

static int device_revoke(struct call *c)
{
	return accounts_device_revoke(c->accounts, c->name, false, c->now);
}

static int device_delete(struct call *c)
{
	return accounts_device_revoke(c->accounts, c->name, true, c->now);
}

#define NEEDS_NAME 1u
#define NEEDS_HASH 2u
#define WITHDRAWS  4u /* the DC is told: of withdrawals, of who may exit */
#define LISTS	   8u

static const struct command {
	const char *name, *list;
	unsigned int flags;
	int (*run)(struct call *c);
} commands[] = {
	{"account-add", NULL, NEEDS_NAME | NEEDS_HASH, account_add},
	{"account-passwd", NULL, NEEDS_NAME | NEEDS_HASH, account_passwd},
	{"account-disable", NULL, NEEDS_NAME | WITHDRAWS, account_disable},
	{"account-enable", NULL, NEEDS_NAME | WITHDRAWS, account_enable},
	{"account-delete", NULL, NEEDS_NAME | WITHDRAWS, account_delete},
	{"account-exit-on", NULL, NEEDS_NAME | WITHDRAWS, account_exit_on},
	{"account-exit-off", NULL, NEEDS_NAME | WITHDRAWS, account_exit_off},
	{"account-list", "accounts", LISTS, account_list},
	{"device-list", "devices", LISTS, device_list},
	{"device-revoke", NULL, NEEDS_NAME | WITHDRAWS, device_revoke},
	{"device-delete", NULL, NEEDS_NAME | WITHDRAWS, device_delete},
};

json_t *admin_do(struct accounts *a, const char *command, json_t *request,
		 int64_t now, bool *withdraw)
{
	const struct command *cmd = NULL;
	struct call c = {.accounts = a, .now = now};
	char text[512];
	json_t *result;
	int err = 0;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, command))
			cmd = &commands[i];
	if (!cmd)
		return NULL;
	c.name = json_string_value(json_object_get(request, "name"));
	c.hash = json_string_value(json_object_get(request, "hash"));
	c.list = json_array();
	if (((cmd->flags & NEEDS_NAME) && !c.name) ||
	    ((cmd->flags & NEEDS_HASH) &&
	     (!c.hash || strlen(c.hash) >= NTMC_PASSWORD_HASH_MAX)))
		err = -NTM_EINVAL;
	if (!err)
		err = cmd->run(&c);
	if (!err && (cmd->flags & WITHDRAWS))
		*withdraw = true;
	refusal(err, command[0] == 'd' && cmd->run != device_list, c.name, text,
		sizeof(text));
	result = err ? json_pack("{s:b, s:s, s:s}", "ok", 0, "error",
				 err_name(err), "text", text)
		     : json_pack("{s:b}", "ok", 1);
	if (result && !err && (cmd->flags & LISTS))
		json_object_set(result, cmd->list, c.list);
	json_decref(c.list);
	return result;
}

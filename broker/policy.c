/* SPDX-License-Identifier: MIT */
/* policy - who may connect in, and to which ports */
#include "broker/policy.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "common/file.h"
#include "common/log.h"

#define POLICY_FILE_MAX (256 * 1024)
#define POLICY_FILE	"policy"

struct rules {
	size_t n;
	struct policy_rule rule[POLICY_RULES_MAX];
};

enum change_kind { CHANGE_ALLOW, CHANGE_REMOVE, CHANGE_BIND };

/* struct change - what a person asked for, or a group's ID, until the disk has it */
struct change {
	struct change *next;
	struct policy *policy;
	struct policy_rule rule;
	enum change_kind kind;
	bool begun;
	struct rules fresh; /* in force when written */
	writer_fn *fn;
	void *arg;
};

struct policy {
	char *dir;
	struct writer *writer;
	struct rules rules;
	struct change *changes; /* the first is being written */
	bool (*has)(void *arg, const char *group, const uint8_t *id,
		    const char *peer);
	void *has_arg;
};

/* The group of a subject; NULL: it is a name or a domain */
static const char *group_in(const char *subject)
{
	return *subject == '@' ? subject + 1 : NULL;
}

void policy_set_groups(struct policy *p,
		       bool (*has)(void *arg, const char *group,
				   const uint8_t *id, const char *peer),
		       void *arg)
{
	p->has = has;
	p->has_arg = arg;
}

static int parse(struct rules *r, const char *path, char *text, char *why,
		 size_t why_size)
{
	unsigned int number = 0;
	struct policy_rule rule;
	char *line;
	int got;

	while ((line = strsep(&text, "\n"))) {
		number++;
		got = policy_parse_line(line, &rule);
		if (got < 0) {
			snprintf(why, why_size,
				 "%s:%u: not a rule (allow "
				 "NAME|DOMAIN|@GROUP [PORT...])",
				 path, number);
			return -NTM_ECONF;
		}
		if (got && r->n == POLICY_RULES_MAX) {
			snprintf(why, why_size,
				 "%s:%u: more than %d rules; a domain stands "
				 "for all of its names",
				 path, number, POLICY_RULES_MAX);
			return -NTM_ECONF;
		}
		if (got)
			r->rule[r->n++] = rule;
	}
	return 0;
}

static int load(const char *dir, struct rules *out, char *why, size_t why_size)
{
	char path[PATH_MAX];
	uint8_t *text;
	size_t len;
	int err;

	snprintf(path, sizeof(path), "%s/" POLICY_FILE, dir);
	out->n = 0;
	err = file_read(path, POLICY_FILE_MAX, &text, &len);
	if (err == -NTM_ENOTFOUND)
		return 0;
	if (err) {
		snprintf(why, why_size, "%s cannot be read: %s", path,
			 err_text(err));
		return err;
	}
	err = parse(out, path, (char *)text, why, why_size);
	file_free(text, len);
	return err;
}

int policy_open(struct writer *writer, const char *config_dir,
		struct policy **out, char *why, size_t why_size)
{
	struct policy *p = calloc(1, sizeof(*p));
	int err = -NTM_ENOMEM;

	snprintf(why, why_size, "%s", err_text(err));
	if (!p)
		return err;
	p->writer = writer;
	p->dir = strdup(config_dir);
	if (p->dir)
		err = load(config_dir, &p->rules, why, why_size);
	if (err) {
		policy_free(p);
		return err;
	}
	*out = p;
	return 0;
}

void policy_free(struct policy *p)
{
	struct change *c;

	if (!p)
		return;
	while ((c = p->changes)) {
		p->changes = c->next;
		free(c);
	}
	free(p->dir);
	free(p);
}

int policy_reload(struct policy *p, char *why, size_t why_size)
{
	struct rules *fresh = malloc(sizeof(*fresh));
	int err = -NTM_ENOMEM;

	snprintf(why, why_size, "%s", err_text(err));
	if (fresh)
		err = load(p->dir, fresh, why, why_size);
	if (!err) {
		why[0] = '\0';
		p->rules = *fresh;
	}
	free(fresh);
	return err;
}

static void grant_add(struct policy_grant *g, const struct policy_rule *r)
{
	g->in = true;
	if (!r->n_ports)
		g->all = true;
	for (size_t i = 0; i < r->n_ports && g->n_ports < POLICY_PORTS_MAX; i++)
		g->ports[g->n_ports++] = r->ports[i];
}

static bool is_in(const struct policy *p, const char *group, const uint8_t *id,
		  const char *peer)
{
	return p->has && p->has(p->has_arg, group, id, peer);
}

static bool is_meant(const struct policy *p, const struct policy_rule *r,
		     const char *peer)
{
	const char *group = group_in(r->subject);

	return group ? is_in(p, group, r->bound ? r->id : NULL, peer)
		     : fqdn_is_within(peer, r->subject);
}

void policy_check(const struct policy *p, const char *own, const char *peer,
		  struct policy_grant *out)
{
	memset(out, 0, sizeof(*out));
	if (own && account_same(own, peer)) {
		out->in = out->all = true;
		return;
	}
	for (size_t i = 0; i < p->rules.n; i++)
		if (is_meant(p, &p->rules.rule[i], peer))
			grant_add(out, &p->rules.rule[i]);
	if (!out->in)
		out->in = is_in(p, NULL, NULL, peer);
}

/* --- changes ---------------------------------------------------------------------- */

static int text_make(const struct rules *r, char **text, size_t *len)
{
	FILE *f = open_memstream(text, len);

	if (!f)
		return -NTM_ENOMEM;
	fputs("# who may connect in: allow NAME|DOMAIN|@GROUP [PORT...]; see "
	      "ntm-broker(1)\n",
	      f);
	for (size_t i = 0; i < r->n; i++)
		policy_line_put(&r->rule[i], f);
	if (!fclose(f))
		return 0;
	free(*text);
	return -NTM_ENOMEM;
}

/* The file as people have it, their comments too, with the group's ID in it. */
static int text_bind(const char *path, const struct policy_rule *rule,
		     char **out, size_t *out_len)
{
	char *text, *rest, *line;
	uint8_t *bytes;
	size_t len;
	FILE *f;
	int err = file_read(path, POLICY_FILE_MAX, &bytes, &len);

	if (err)
		return err;
	f = open_memstream(out, out_len);
	rest = text = (char *)bytes;
	while (f && (line = strsep(&rest, "\n"))) {
		policy_line_bind(line, rule->subject, rule->id, f);
		if (rest)
			fputc('\n', f);
	}
	file_free((uint8_t *)text, len);
	if (f && !fclose(f))
		return 0;
	if (f)
		free(*out);
	return -NTM_ENOMEM;
}

static size_t position(const struct rules *r, const char *subject)
{
	size_t i = 0;

	while (i < r->n && strcmp(r->rule[i].subject, subject))
		i++;
	return i;
}

static int put_rule(struct rules *r, const struct policy_rule *rule)
{
	size_t i = position(r, rule->subject);

	if (i == POLICY_RULES_MAX)
		return -NTM_ELIMIT;
	r->n += i == r->n;
	r->rule[i] = *rule;
	return 0;
}

/* People may have written a subject twice. */
static int drop_rules(struct rules *r, const char *subject)
{
	size_t i = position(r, subject);

	if (i == r->n)
		return -NTM_ENOTFOUND;
	for (; i < r->n; i = position(r, subject)) {
		memmove(&r->rule[i], &r->rule[i + 1],
			(r->n - i - 1) * sizeof(r->rule[0]));
		r->n--;
	}
	return 0;
}

static void bind_rules(struct rules *r, const struct policy_rule *rule)
{
	for (size_t i = 0; i < r->n; i++) {
		struct policy_rule *at = &r->rule[i];

		if (at->bound || strcmp(at->subject, rule->subject))
			continue;
		at->bound = true;
		memcpy(at->id, rule->id, sizeof(at->id));
	}
}

static int edit(struct rules *r, const struct change *c)
{
	switch (c->kind) {
	case CHANGE_ALLOW:
		return put_rule(r, &c->rule);
	case CHANGE_REMOVE:
		return drop_rules(r, c->rule.subject);
	case CHANGE_BIND:
		bind_rules(r, &c->rule);
		return 0;
	}
	return -NTM_EINVAL;
}

static void written(void *arg, int err);

/* The first change, made on what is in force now, goes to the disk. */
static int change_begin(struct policy *p)
{
	struct change *c = p->changes;
	char path[PATH_MAX], *text = NULL;
	size_t len = 0;
	int err;

	c->begun = true;
	c->fresh = p->rules;
	snprintf(path, sizeof(path), "%s/" POLICY_FILE, p->dir);
	err = edit(&c->fresh, c);
	if (!err)
		err = file_make_folder(p->dir, 0700);
	if (!err)
		err = c->kind == CHANGE_BIND
			      ? text_bind(path, &c->rule, &text, &len)
			      : text_make(&c->fresh, &text, &len);
	if (err)
		return err;
	return writer_replace(p->writer, path, (uint8_t *)text, len, written,
			      c);
}

static void change_end(struct policy *p, int err)
{
	struct change *c = p->changes;

	p->changes = c->next;
	if (err && c->kind == CHANGE_BIND) {
		log_warn(c->rule.subject,
			 "the rule for it cannot be written with its ID: %s",
			 err_text(err));
		bind_rules(&p->rules, &c->rule);
	}
	if (!err)
		p->rules = c->fresh;
	if (c->fn)
		c->fn(c->arg, err);
	free(c);
}

static void written(void *arg, int err)
{
	struct policy *p = ((struct change *)arg)->policy;

	do
		change_end(p, err);
	while (p->changes && !p->changes->begun && (err = change_begin(p)));
}

static int change_add(struct policy *p, const struct policy_rule *r,
		      enum change_kind kind, writer_fn *fn, void *arg)
{
	struct change *c = calloc(1, sizeof(*c)), **at = &p->changes;
	bool first = !p->changes;
	int err;

	if (!c)
		return -NTM_ENOMEM;
	c->policy = p;
	c->rule = *r;
	c->kind = kind;
	c->fn = fn;
	c->arg = arg;
	while (*at)
		at = &(*at)->next;
	*at = c;
	err = first ? change_begin(p) : 0;
	if (err) {
		p->changes = NULL;
		free(c);
	}
	return err;
}

int policy_allow(struct policy *p, const struct policy_rule *r, writer_fn *fn,
		 void *arg)
{
	char same[FQDN_MAX + 1];

	if (policy_subject(r->subject, same) || strcmp(same, r->subject))
		return -NTM_EINVAL;
	return change_add(p, r, CHANGE_ALLOW, fn, arg);
}

int policy_remove(struct policy *p, const char *subject, writer_fn *fn,
		  void *arg)
{
	struct policy_rule r = {.n_ports = 0};

	if (strlen(subject) > FQDN_MAX)
		return -NTM_ENOTFOUND;
	strcpy(r.subject, subject);
	return change_add(p, &r, CHANGE_REMOVE, fn, arg);
}

static bool is_being_bound(const struct policy *p, const char *subject)
{
	const struct change *c = p->changes;

	while (c &&
	       (c->kind != CHANGE_BIND || strcmp(c->rule.subject, subject)))
		c = c->next;
	return c != NULL;
}

void policy_bind(struct policy *p, const char *group,
		 const uint8_t id[static GROUP_ID_LEN])
{
	struct policy_rule r = {.bound = true};
	bool found = false;
	int err;

	if (snprintf(r.subject, sizeof(r.subject), "@%s", group) > FQDN_MAX)
		return;
	memcpy(r.id, id, sizeof(r.id));
	for (size_t i = 0; i < p->rules.n; i++)
		found |= !p->rules.rule[i].bound &&
			 !strcmp(p->rules.rule[i].subject, r.subject);
	if (!found || is_being_bound(p, r.subject))
		return;
	err = change_add(p, &r, CHANGE_BIND, NULL, NULL);
	if (!err)
		return;
	log_warn(r.subject, "the rule for it cannot be written with its ID: %s",
		 err_text(err));
	bind_rules(&p->rules, &r);
}

size_t policy_count(const struct policy *p)
{
	return p->rules.n;
}

const struct policy_rule *policy_rule(const struct policy *p, size_t index)
{
	return index < p->rules.n ? &p->rules.rule[index] : NULL;
}

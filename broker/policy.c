/* SPDX-License-Identifier: MIT */
/* policy - who may connect in, and to which ports */
#include "broker/policy.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "common/file.h"

#define POLICY_FILE_MAX (256 * 1024)
#define POLICY_FILE	"policy"

struct policy {
	char *dir;
	size_t n;
	struct policy_rule rules[POLICY_RULES_MAX];
};

static int port_parse(const char *text, uint16_t *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < 1 || n > 65535)
		return -NTM_ECONF;
	*out = (uint16_t)n;
	return 0;
}

int policy_parse_line(const char *line, struct policy_rule *out)
{
	char buf[POLICY_LINE_MAX], *save = NULL, *word;
	struct policy_rule r = {.n_ports = 0};

	if (snprintf(buf, sizeof(buf), "%s", line) >= (int)sizeof(buf))
		return -NTM_ECONF;
	word = strchr(buf, '#');
	if (word)
		*word = 0;
	word = strtok_r(buf, " \t\r\n", &save);
	if (!word)
		return 0;
	if (strcmp(word, "allow"))
		return -NTM_ECONF;
	word = strtok_r(NULL, " \t\r\n", &save);
	if (!word || fqdn_normalize(word, r.subject))
		return -NTM_ECONF;
	while ((word = strtok_r(NULL, " \t\r\n,", &save))) {
		if (r.n_ports == POLICY_PORTS_MAX ||
		    port_parse(word, &r.ports[r.n_ports++]))
			return -NTM_ECONF;
	}
	*out = r;
	return 1;
}

static int load(struct policy *p, const char *path, char *text, char *why,
		size_t why_size)
{
	unsigned int number = 0;
	char *line;
	int got;

	while ((line = strsep(&text, "\n"))) {
		number++;
		if (p->n == POLICY_RULES_MAX)
			got = -NTM_ELIMIT;
		else
			got = policy_parse_line(line, &p->rules[p->n]);
		if (got < 0) {
			snprintf(why, why_size,
				 "%s:%u: not a rule (allow NAME|DOMAIN "
				 "[PORT...])",
				 path, number);
			return -NTM_ECONF;
		}
		p->n += (size_t)got;
	}
	return 0;
}

int policy_open(const char *config_dir, struct policy **out, char *why,
		size_t why_size)
{
	struct policy *p = calloc(1, sizeof(*p));
	char path[PATH_MAX];
	uint8_t *text;
	size_t len;
	int err = -NTM_ENOMEM;

	snprintf(why, why_size, "%s", err_text(err));
	if (!p)
		return err;
	p->dir = strdup(config_dir);
	if (!p->dir)
		goto err_free;
	snprintf(path, sizeof(path), "%s/" POLICY_FILE, config_dir);
	err = file_read(path, POLICY_FILE_MAX, &text, &len);
	if (err == -NTM_ENOTFOUND) {
		*out = p;
		return 0;
	}
	if (err) {
		snprintf(why, why_size, "%s cannot be read: %s", path,
			 err_text(err));
		goto err_free;
	}
	err = load(p, path, (char *)text, why, why_size);
	file_free(text, len);
	if (err)
		goto err_free;
	*out = p;
	return 0;

err_free:
	policy_free(p);
	return err;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	free(p->dir);
	free(p);
}

int policy_reload(struct policy **p, char *why, size_t why_size)
{
	struct policy *fresh;
	int err = policy_open((*p)->dir, &fresh, why, why_size);

	if (err)
		return err;
	why[0] = '\0';
	policy_free(*p);
	*p = fresh;
	return 0;
}

static void grant_add(struct policy_grant *g, const struct policy_rule *r)
{
	g->in = true;
	if (!r->n_ports)
		g->all = true;
	for (size_t i = 0; i < r->n_ports && g->n_ports < POLICY_PORTS_MAX; i++)
		g->ports[g->n_ports++] = r->ports[i];
}

void policy_check(const struct policy *p, const char *own, const char *peer,
		  struct policy_grant *out)
{
	memset(out, 0, sizeof(*out));
	if (own && account_same(own, peer)) {
		out->in = out->all = true;
		return;
	}
	for (size_t i = 0; i < p->n; i++)
		if (fqdn_is_within(peer, p->rules[i].subject))
			grant_add(out, &p->rules[i]);
}

/* --- changes ---------------------------------------------------------------------- */

static int save(const struct policy *p)
{
	char path[PATH_MAX], *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int err;

	if (!f)
		return -NTM_ENOMEM;
	fputs("# who may connect in: allow NAME|DOMAIN [PORT...]; see "
	      "ntm-broker(1)\n",
	      f);
	for (size_t i = 0; i < p->n; i++) {
		fprintf(f, "allow %s", p->rules[i].subject);
		for (size_t j = 0; j < p->rules[i].n_ports; j++)
			fprintf(f, " %u", p->rules[i].ports[j]);
		fputc('\n', f);
	}
	err = fclose(f) ? -NTM_ENOMEM : 0;
	snprintf(path, sizeof(path), "%s/" POLICY_FILE, p->dir);
	if (!err)
		err = file_make_folder(p->dir, 0700);
	if (!err)
		err = file_write(path, text, len, 0600);
	free(text);
	return err;
}

static size_t position(const struct policy *p, const char *subject)
{
	size_t i = 0;

	while (i < p->n && strcmp(p->rules[i].subject, subject))
		i++;
	return i;
}

int policy_allow(struct policy *p, const struct policy_rule *r)
{
	size_t i = position(p, r->subject);
	struct policy_rule old = {.n_ports = 0};
	bool fresh = i == p->n;
	int err;

	if (!fqdn_is_valid(r->subject))
		return -NTM_EINVAL;
	if (i == POLICY_RULES_MAX)
		return -NTM_ELIMIT;
	if (!fresh)
		old = p->rules[i];
	p->rules[i] = *r;
	p->n += fresh;
	err = save(p);
	if (!err)
		return 0;
	if (fresh)
		p->n--;
	else
		p->rules[i] = old;
	return err;
}

int policy_remove(struct policy *p, const char *subject)
{
	size_t i = position(p, subject);
	struct policy_rule old;
	int err;

	if (i == p->n)
		return -NTM_ENOTFOUND;
	old = p->rules[i];
	memmove(&p->rules[i], &p->rules[i + 1],
		(p->n - i - 1) * sizeof(p->rules[0]));
	p->n--;
	err = save(p);
	if (err)
		p->rules[p->n++] = old;
	return err;
}

size_t policy_count(const struct policy *p)
{
	return p->n;
}

const struct policy_rule *policy_rule(const struct policy *p, size_t index)
{
	return index < p->n ? &p->rules[index] : NULL;
}

/* SPDX-License-Identifier: MIT */
/* policy_line - a line of the policy file, there and back */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/policy.h"

#define ID	       "id="
#define POLICY_ID_TEXT 32 /* with room to spare */

int policy_subject(const char *text, char out[static FQDN_MAX + 1])
{
	char name[FQDN_MAX + 1];
	int err = fqdn_normalize(*text == '@' ? text + 1 : text, name);

	if (!err && *text == '@' && strlen(name) == FQDN_MAX)
		err = -NTM_EINVAL;
	if (err)
		return err;
	snprintf(out, FQDN_MAX + 1, "%.1s%s", *text == '@' ? "@" : "", name);
	return 0;
}

static int id_parse(const char *text, struct policy_rule *r)
{
	if (*r->subject != '@' || r->bound ||
	    ntmc_base64url_decode(text, r->id, sizeof(r->id)))
		return -NTM_ECONF;
	r->bound = true;
	return 0;
}

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
	if (!word || policy_subject(word, r.subject))
		return -NTM_ECONF;
	while ((word = strtok_r(NULL, " \t\r\n,", &save))) {
		if (!strncmp(word, ID, strlen(ID))) {
			if (id_parse(word + strlen(ID), &r))
				return -NTM_ECONF;
			continue;
		}
		if (r.n_ports == POLICY_PORTS_MAX ||
		    port_parse(word, &r.ports[r.n_ports++]))
			return -NTM_ECONF;
	}
	*out = r;
	return 1;
}

/* Return: what follows the subject */
static const char *id_text(const uint8_t id[static GROUP_ID_LEN],
			   char out[static POLICY_ID_TEXT])
{
	strcpy(out, " " ID);
	ntmc_base64url_encode(id, GROUP_ID_LEN, out + strlen(out));
	return out;
}

void policy_line_put(const struct policy_rule *r, FILE *f)
{
	char id[POLICY_ID_TEXT];

	fprintf(f, "allow %s%s", r->subject,
		r->bound ? id_text(r->id, id) : "");
	for (size_t i = 0; i < r->n_ports; i++)
		fprintf(f, " %u", r->ports[i]);
	fputc('\n', f);
}

/* The subject is the second word of a line that is a rule. */
static size_t behind_subject(const char *line)
{
	static const char space[] = " \t\r";
	size_t at = 0;

	for (int i = 0; i < 2; i++) {
		at += strspn(line + at, space);
		at += strcspn(line + at, " \t\r#");
	}
	return at;
}

void policy_line_bind(const char *line, const char *subject,
		      const uint8_t id[static GROUP_ID_LEN], FILE *f)
{
	char text[POLICY_ID_TEXT];
	struct policy_rule r;
	size_t at = 0;

	/* a line that grows too long would stop the next start */
	if (policy_parse_line(line, &r) == 1 && !r.bound &&
	    !strcmp(r.subject, subject) &&
	    strlen(line) + strlen(id_text(id, text)) < POLICY_LINE_MAX)
		at = behind_subject(line);
	fprintf(f, "%.*s%s%s", (int)at, line, at ? text : "", line + at);
}

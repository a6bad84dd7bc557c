/* SPDX-License-Identifier: MIT */
/* policy_line - a line of the policy file, there and back */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/policy.h"

#define ID     "id="
#define ID_LEN (sizeof(" " ID) - 1 + NTMC_BASE64URL_LEN(GROUP_ID_LEN))

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

static void id_put(FILE *f, const uint8_t id[static GROUP_ID_LEN])
{
	char text[NTMC_BASE64URL_LEN(GROUP_ID_LEN) + 3];

	ntmc_base64url_encode(id, GROUP_ID_LEN, text);
	fprintf(f, " " ID "%s", text);
}

void policy_line_put(const struct policy_rule *r, FILE *f)
{
	fprintf(f, "allow %s", r->subject);
	if (r->bound)
		id_put(f, r->id);
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
	struct policy_rule r;
	size_t at;

	/* a line that grows too long would stop the next start */
	if (policy_parse_line(line, &r) != 1 || r.bound ||
	    strcmp(r.subject, subject) ||
	    strlen(line) + ID_LEN >= POLICY_LINE_MAX) {
		fputs(line, f);
		return;
	}
	at = behind_subject(line);
	fwrite(line, 1, at, f);
	id_put(f, id);
	fputs(line + at, f);
}

/* SPDX-License-Identifier: MIT */
/* fqdn - names of nodes: device.account.domain, account.domain */
#include "common/fqdn.h"

#include <stdio.h>
#include <string.h>

static bool label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

static bool label_ok(const char *s, size_t len)
{
	size_t i;

	if (len == 0 || len > FQDN_LABEL_MAX || s[0] == '-' ||
	    s[len - 1] == '-')
		return false;
	for (i = 0; i < len; i++)
		if (!label_char(s[i]))
			return false;
	return true;
}

bool fqdn_label_is_valid(const char *label)
{
	return label_ok(label, strnlen(label, FQDN_LABEL_MAX + 1));
}

bool fqdn_is_valid(const char *name)
{
	size_t len;

	if (strnlen(name, FQDN_MAX + 1) > FQDN_MAX)
		return false;
	for (;;) {
		len = strcspn(name, ".");
		if (!label_ok(name, len))
			return false;
		if (!name[len])
			return true;
		name += len + 1;
	}
}

int fqdn_normalize(const char *name, char out[static FQDN_MAX + 1])
{
	size_t len = strnlen(name, FQDN_MAX + 2), i;
	char buf[FQDN_MAX + 1];

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len > FQDN_MAX)
		return -NTM_EINVAL;
	for (i = 0; i < len; i++)
		buf[i] = name[i] >= 'A' && name[i] <= 'Z'
				 ? (char)(name[i] - 'A' + 'a')
				 : name[i];
	buf[len] = '\0';
	if (!fqdn_is_valid(buf))
		return -NTM_EINVAL;
	memcpy(out, buf, len + 1);
	return 0;
}

bool fqdn_is_within(const char *name, const char *domain)
{
	size_t n = strlen(name), d = strlen(domain);

	if (d == 0 || n < d || strcmp(name + n - d, domain) != 0)
		return false;
	return n == d || name[n - d - 1] == '.';
}

int fqdn_split(const char *name, const char *domain, struct fqdn_parts *out)
{
	const char *account = name, *dot;
	struct fqdn_parts p = {0};
	size_t len;

	if (!fqdn_is_valid(name))
		return -NTM_EINVAL;
	if (!fqdn_is_within(name, domain) || strcmp(name, domain) == 0)
		return -NTM_ENOTOURS;
	len = strlen(name) - strlen(domain) - 1;
	dot = memchr(name, '.', len);
	if (dot) {
		memcpy(p.device, name, (size_t)(dot - name));
		len -= (size_t)(dot - name) + 1;
		account = dot + 1;
		if (memchr(account, '.', len))
			return -NTM_EINVAL;
	}
	memcpy(p.account, account, len);
	*out = p;
	return 0;
}

int fqdn_join(const char *device, const char *account, const char *domain,
	      char out[static FQDN_MAX + 1])
{
	bool has_device = device && device[0];
	char buf[FQDN_MAX + 2];
	int len;

	if ((has_device && !fqdn_label_is_valid(device)) ||
	    !fqdn_label_is_valid(account) || !fqdn_is_valid(domain))
		return -NTM_EINVAL;
	len = snprintf(buf, sizeof(buf), "%s%s%s.%s", has_device ? device : "",
		       has_device ? "." : "", account, domain);
	if (len < 0 || len > FQDN_MAX)
		return -NTM_EINVAL;
	memcpy(out, buf, (size_t)len + 1);
	return 0;
}

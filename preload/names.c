/* SPDX-License-Identifier: MIT */
/* names - which names are asked of the broker, and what its answers mean */
#include "preload/names.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/err.h"
#include "preload/brokerlink.h"
#include "preload/shim.h"

/* --- asking -------------------------------------------------------------------------- */

bool name_digits(const char *name)
{
	const char *last = strrchr(name, '.');

	/* as inet_aton() reads it: 127.1, 0x7f.1 */
	last = last && last[1] ? last + 1 : name;
	return strchr(name, ':') ||
	       (*last >= '0' && *last <= '9' &&
		!name[strspn(name, "0123456789abcdefABCDEFxX.")]);
}

static bool name_local(const char *name, size_t len)
{
	static const char local[] = "localhost";
	const size_t n = sizeof(local) - 1;

	if (len && name[len - 1] == '.')
		len--;
	return len >= n && !strncasecmp(name + len - n, local, n) &&
	       (len == n || name[len - n - 1] == '.');
}

/* Could a peer have this name? So that ordinary look-ups pay nothing. */
static bool name_possible(const char *name)
{
	size_t len = strnlen(name, SHIM_NAME_MAX + 1), i;
	const char *dot = strchr(name, '.');

	if (len > SHIM_NAME_MAX || !dot || !dot[1] || dot == name)
		return false;
	for (i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return !name_digits(name) && !name_local(name, len);
}

/* What the broker says, sorted by what a program can do about it. */
static enum name_fate fate_of(int err)
{
	switch (err) {
	case NTM_EOK:
		return NAME_OURS;
	case NTM_ENOTOURS:
		return NAME_REAL;
	case NTM_ENONAME:
	case NTM_ENOTFOUND:
		return NAME_NONE;
	case NTM_EOFFLINE:
	case NTM_EUNREACHABLE:
	case NTM_ETIMEOUT:
	case NTM_EAGAIN:
	case NTM_ELIMIT:
	case NTM_ERATE:
	case NTM_ECLOSED:
	case NTM_ENOLOGIN:
	case NTM_ESERVER:
	case NTM_ENOMEM:
		return NAME_LATER;
	default:
		return NAME_FAIL;
	}
}

/* A broker that is silent may well know the name: rather no answer than one
 * from a resolver that ought not to hear of it. */
static enum name_fate fate_ask(const struct shim_request *req,
			       struct shim_answer *ans)
{
	int ret = broker_ask(req, ans, NULL);

	if (ret == -ETIMEDOUT)
		return NAME_LATER;
	return ret < 0 ? NAME_REAL : fate_of(ans->err);
}

enum name_fate name_resolve(const char *name, struct shim_answer *ans)
{
	struct shim_request req = {.op = SHIM_RESOLVE};
	enum name_fate fate;

	if (!name || !name_possible(name) || !shim_page_refresh())
		return NAME_REAL;
	strcpy(req.name, name);
	fate = fate_ask(&req, ans);
	if (fate == NAME_OURS && !name_has(ans, AF_INET) &&
	    !name_has(ans, AF_INET6))
		return NAME_NONE;
	return fate;
}

/* "v=ntm1 ca=..." in the TXT record of _ntm.@domain */
static bool runs_ntm(const char *domain)
{
	static const char head[] = "_ntm.", mark[] = "v=ntm1 ca=";
	char name[SHIM_NAME_MAX + sizeof(head)];
	unsigned char answer[1024];
	int len;

	memcpy(name, head, sizeof(head));
	strcpy(name + sizeof(head) - 1, domain);
	len = real.res_query(name, ns_c_in, ns_t_txt, answer, sizeof(answer));
	if (len > (int)sizeof(answer))
		len = sizeof(answer);
	return len > 0 && memmem(answer, (size_t)len, mark, sizeof(mark) - 1);
}

void name_hint(const char *name)
{
	struct shim_request req = {.op = SHIM_HINT};
	const char *up1, *up2, *tries[2];
	int saved = errno, saved_h = h_errno;
	struct shim_answer ans;

	if (!name_possible(name) || !shim_page())
		return;
	up1 = strchr(name, '.') + 1;
	up2 = strchr(up1, '.');
	tries[0] = up2 ? up2 + 1 : NULL; /* device.account.DOMAIN */
	tries[1] = up1;			 /* account.DOMAIN */
	for (int i = 0; i < 2; i++) {
		if (!tries[i] || !strchr(tries[i], '.') || !runs_ntm(tries[i]))
			continue;
		strcpy(req.name, tries[i]);
		(void)broker_ask(&req, &ans, NULL);
		break;
	}
	errno = saved;
	h_errno = saved_h;
}

enum name_fate name_reverse(const struct shim_addr *a, struct shim_answer *ans)
{
	struct shim_request req = {.op = SHIM_REVERSE, .remote = *a};
	enum name_fate fate;

	shim_addr_unmap(&req.remote);
	req.remote.port = 0;
	fate = fate_ask(&req, ans);
	/* a virtual address is never the real resolver's business */
	if (fate == NAME_REAL || (fate == NAME_OURS && !ans->name[0]))
		return NAME_NONE;
	return fate;
}

bool name_has(const struct shim_answer *ans, int af)
{
	static const uint8_t zero[16];

	if (af == AF_INET)
		return memcmp(ans->vip4, zero, sizeof(ans->vip4)) != 0;
	return af == AF_INET6 && memcmp(ans->vip6, zero, sizeof(ans->vip6));
}

bool name_false(int af, const void *addr)
{
	struct shim_addr a = {.family = (uint16_t)af};
	struct sockaddr_storage ss;
	socklen_t len;

	if (!shim_page() || (af != AF_INET && af != AF_INET6))
		return false;
	memcpy(a.addr, addr, af == AF_INET ? 4 : 16);
	len = shim_addr_to(&a, &ss);
	return shim_page_virtual(shim_page(), (struct sockaddr *)&ss, len);
}

int name_eai(enum name_fate fate)
{
	switch (fate) {
	case NAME_NONE:
		return EAI_NONAME;
	case NAME_LATER:
		return EAI_AGAIN;
	case NAME_REAL:
	case NAME_OURS:
	case NAME_FAIL:
		break;
	}
	return EAI_FAIL;
}

int name_herr(enum name_fate fate)
{
	switch (fate) {
	case NAME_NONE:
		return HOST_NOT_FOUND;
	case NAME_LATER:
		return TRY_AGAIN;
	case NAME_REAL:
	case NAME_OURS:
	case NAME_FAIL:
		break;
	}
	return NO_RECOVERY;
}

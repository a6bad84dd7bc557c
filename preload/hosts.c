/* SPDX-License-Identifier: MIT */
/*
 * hosts - the hooks of gethostbyname() and gethostbyaddr(), all forms
 *
 * The _r forms build their answer in the caller's buffer, the others in static
 * memory, as their manual allows.
 */
#include <string.h>

#include "preload/names.h"
#include "preload/shim.h"

#define STATIC_SIZE 512

/* What the forms without _r return. */
static struct {
	struct hostent ent;
	char buf[STATIC_SIZE];
} fixed;

/* --- building ---------------------------------------------------------------------------- */

/* One name and one address: { name, aliases (none), addresses } in @buf.
 * 0 or ERANGE. */
static int ent_build(struct hostent *ent, char *buf, size_t size,
		     const char *name, int af, const void *addr)
{
	size_t addr_len = af == AF_INET ? 4 : 16, name_len = strlen(name) + 1;
	size_t skip = -(uintptr_t)buf % sizeof(char *);
	struct parts {
		char *aliases[1];
		char *addresses[2];
		char addr[16];
		char name[];
	} * p;

	if (size < skip || size - skip < sizeof(*p) + name_len)
		return ERANGE;
	p = (void *)(buf + skip);
	memcpy(p->addr, addr, addr_len);
	memcpy(p->name, name, name_len);
	p->aliases[0] = NULL;
	p->addresses[0] = p->addr;
	p->addresses[1] = NULL;
	ent->h_name = p->name;
	ent->h_aliases = p->aliases;
	ent->h_addrtype = af;
	ent->h_length = (int)addr_len;
	ent->h_addr_list = p->addresses;
	return 0;
}

/* Fate and hostent of a name; for NAME_OURS *@ret is 0, ERANGE or ENOENT (no
 * address of this family). */
static enum name_fate ent_resolve(const char *name, int af, struct hostent *ent,
				  char *buf, size_t size, int *ret)
{
	struct shim_answer ans;
	enum name_fate fate;

	if (af != AF_INET && af != AF_INET6)
		return NAME_REAL;
	fate = name_resolve(name, &ans);
	if (fate != NAME_OURS)
		return fate;
	if (!name_has(&ans, af))
		*ret = ENOENT;
	else
		*ret = ent_build(
			ent, buf, size, ans.name[0] ? ans.name : name, af,
			af == AF_INET ? (void *)ans.vip4 : (void *)ans.vip6);
	return fate;
}

/* Drop false answers of the real resolver; false if nothing is left. */
static bool ent_filter(struct hostent *ent)
{
	char **in, **out;

	for (in = out = ent->h_addr_list; *in; in++)
		if (!name_false(ent->h_addrtype, *in))
			*out++ = *in;
	*out = NULL;
	return out != ent->h_addr_list;
}

/* --- by name ---------------------------------------------------------------------------------- */

static struct hostent *byname(const char *name, int af, bool two)
{
	struct hostent *ent;
	enum name_fate fate;
	int ret = 0;

	fate = ent_resolve(name, af, &fixed.ent, fixed.buf, sizeof(fixed.buf),
			   &ret);
	if (fate == NAME_OURS && !ret)
		return &fixed.ent;
	if (fate != NAME_REAL) {
		h_errno = fate == NAME_OURS ? NO_DATA : name_herr(fate);
		return NULL;
	}
	ent = two ? real.gethostbyname2(name, af) : real.gethostbyname(name);
	if (!ent || name_digits(name) || ent_filter(ent))
		return ent;
	h_errno = HOST_NOT_FOUND;
	return NULL;
}

struct hostent *hook_gethostbyname(const char *name)
{
	return byname(name, AF_INET, false);
}

struct hostent *hook_gethostbyname2(const char *name, int af)
{
	return byname(name, af, true);
}

/* As glibc: not found is success without a result. */
static int not_found(int herr_value, struct hostent **result, int *herr)
{
	*result = NULL;
	*herr = herr_value;
	return herr_value == TRY_AGAIN ? EAGAIN : 0;
}

/* The answer of ours for an _r form. */
static int ours_r(enum name_fate fate, int ret, struct hostent *ent,
		  struct hostent **result, int *herr)
{
	if (fate != NAME_OURS)
		return not_found(name_herr(fate), result, herr);
	if (ret == ENOENT)
		return not_found(NO_DATA, result, herr);
	*result = ret ? NULL : ent;
	if (ret)
		*herr = NETDB_INTERNAL;
	return ret;
}

static int filter_r(int ret, const char *name, struct hostent **result,
		    int *herr)
{
	if (ret || !*result || name_digits(name) || ent_filter(*result))
		return ret;
	return not_found(HOST_NOT_FOUND, result, herr);
}

int hook_gethostbyname_r(const char *name, struct hostent *ent, char *buf,
			 size_t size, struct hostent **result, int *herr)
{
	enum name_fate fate;
	int ret = 0;

	fate = ent_resolve(name, AF_INET, ent, buf, size, &ret);
	if (fate != NAME_REAL)
		return ours_r(fate, ret, ent, result, herr);
	ret = real.gethostbyname_r(name, ent, buf, size, result, herr);
	return filter_r(ret, name, result, herr);
}

int hook_gethostbyname2_r(const char *name, int af, struct hostent *ent,
			  char *buf, size_t size, struct hostent **result,
			  int *herr)
{
	enum name_fate fate;
	int ret = 0;

	fate = ent_resolve(name, af, ent, buf, size, &ret);
	if (fate != NAME_REAL)
		return ours_r(fate, ret, ent, result, herr);
	ret = real.gethostbyname2_r(name, af, ent, buf, size, result, herr);
	return filter_r(ret, name, result, herr);
}

/* --- by address ---------------------------------------------------------------------------------- */

static enum name_fate ent_reverse(const void *addr, socklen_t len, int af,
				  struct hostent *ent, char *buf, size_t size,
				  int *ret)
{
	struct shim_addr a = {.family = (uint16_t)af};
	struct sockaddr_storage ss;
	struct shim_answer ans;
	enum name_fate fate;

	if (!addr || (af != AF_INET && af != AF_INET6) ||
	    len != (af == AF_INET ? 4 : 16))
		return NAME_REAL;
	memcpy(a.addr, addr, len);
	if (!shim_virtual((struct sockaddr *)&ss, shim_addr_to(&a, &ss)))
		return NAME_REAL;
	fate = name_reverse(&a, &ans);
	if (fate == NAME_OURS)
		*ret = ent_build(ent, buf, size, ans.name, af, addr);
	return fate;
}

struct hostent *hook_gethostbyaddr(const void *addr, socklen_t len, int af)
{
	enum name_fate fate;
	int ret = 0;

	fate = ent_reverse(addr, len, af, &fixed.ent, fixed.buf,
			   sizeof(fixed.buf), &ret);
	if (fate == NAME_REAL)
		return real.gethostbyaddr(addr, len, af);
	if (fate == NAME_OURS && !ret)
		return &fixed.ent;
	h_errno = name_herr(fate);
	return NULL;
}

int hook_gethostbyaddr_r(const void *addr, socklen_t len, int af,
			 struct hostent *ent, char *buf, size_t size,
			 struct hostent **result, int *herr)
{
	enum name_fate fate;
	int ret = 0;

	fate = ent_reverse(addr, len, af, ent, buf, size, &ret);
	if (fate == NAME_REAL)
		return real.gethostbyaddr_r(addr, len, af, ent, buf, size,
					    result, herr);
	return ours_r(fate, ret, ent, result, herr);
}

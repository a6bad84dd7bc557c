/* SPDX-License-Identifier: MIT */
/*
 * addrinfo - the hooks of getaddrinfo() and getnameinfo()
 *
 * Every list handed out was allocated by libc, from the virtual address in
 * digits: so freeaddrinfo() needs no hook, and services, socket types and flags
 * are libc's own.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preload/names.h"
#include "preload/shim.h"

#define FLAGS_DEFAULT (AI_V4MAPPED | AI_ADDRCONFIG) /* glibc's for no hints */

/* --- names of virtual peers ---------------------------------------------------------- */

/* One address by the real getaddrinfo(). The virtual interface has both families,
 * so AI_ADDRCONFIG, which looks at the host's, is answered here. */
static int one_address(const struct shim_answer *ans, int af,
		       const char *service, const struct addrinfo *hints,
		       struct addrinfo **res)
{
	char text[INET6_ADDRSTRLEN + 8] = "";
	struct addrinfo h = *hints;

	h.ai_flags &= ~(AI_ADDRCONFIG | AI_CANONNAME | AI_IDN | AI_CANONIDN |
			AI_ALL | AI_V4MAPPED);
	h.ai_flags |= AI_NUMERICHOST;
	h.ai_family = af;
	if (af == AF_INET6 && name_has(ans, AF_INET6)) {
		inet_ntop(AF_INET6, ans->vip6, text, sizeof(text));
	} else {
		inet_ntop(AF_INET, ans->vip4, text, sizeof(text));
		if (af == AF_INET6) {
			memmove(text + 7, text, strlen(text) + 1);
			memcpy(text, "::ffff:", 7);
		}
	}
	return real.getaddrinfo(text, service, &h, res);
}

static struct addrinfo **list_end(struct addrinfo **list)
{
	while (*list)
		list = &(*list)->ai_next;
	return list;
}

/* Only the first node carries the name, as libc does it. */
static int list_dress(struct addrinfo *list, const struct addrinfo *hints,
		      const char *name)
{
	struct addrinfo *ai;

	for (ai = list; ai; ai = ai->ai_next)
		ai->ai_flags = hints->ai_flags;
	if (!(hints->ai_flags & AI_CANONNAME))
		return 0;
	free(list->ai_canonname);
	list->ai_canonname = strdup(name);
	return list->ai_canonname ? 0 : EAI_MEMORY;
}

/* IPv6 first: it is what identifies a peer. */
static int ours(const struct shim_answer *ans, const char *name,
		const char *service, const struct addrinfo *hints,
		struct addrinfo **res)
{
	const bool v6 = hints->ai_family != AF_INET,
		   v4 = hints->ai_family != AF_INET6,
		   mapped = hints->ai_family == AF_INET6 &&
			    (hints->ai_flags & AI_V4MAPPED) &&
			    name_has(ans, AF_INET) &&
			    (!name_has(ans, AF_INET6) ||
			     (hints->ai_flags & AI_ALL));
	struct shim_answer only4 = *ans;
	struct addrinfo *list = NULL;
	int ret = EAI_NODATA;

	if (v6 && name_has(ans, AF_INET6))
		ret = one_address(ans, AF_INET6, service, hints, &list);
	if (v4 && name_has(ans, AF_INET) && (!ret || ret == EAI_NODATA))
		ret = one_address(ans, AF_INET, service, hints,
				  list_end(&list));
	memset(only4.vip6, 0, sizeof(only4.vip6));
	if (mapped && (!ret || ret == EAI_NODATA))
		ret = one_address(&only4, AF_INET6, service, hints,
				  list_end(&list));
	if (!ret)
		ret = list_dress(list, hints, ans->name[0] ? ans->name : name);
	if (!ret)
		*res = list;
	else if (list)
		freeaddrinfo(list);
	return ret;
}

/* --- answers of the real resolver ---------------------------------------------------- */

static bool node_false(const struct addrinfo *ai)
{
	return ai->ai_addr &&
	       shim_page_virtual(shim_page(), ai->ai_addr, ai->ai_addrlen);
}

/* Take false answers out; glibc's list may be unlinked, each node being freed
 * for itself. The name moves to the new first node. */
static int list_filter(struct addrinfo **res)
{
	struct addrinfo **at = res, *drop;
	char *name = *res ? (*res)->ai_canonname : NULL;

	while ((drop = *at)) {
		if (!node_false(drop)) {
			at = &drop->ai_next;
			continue;
		}
		*at = drop->ai_next;
		drop->ai_next = NULL;
		if (drop->ai_canonname == name)
			drop->ai_canonname = NULL;
		freeaddrinfo(drop);
	}
	if (*res) {
		(*res)->ai_canonname = name;
		return 0;
	}
	free(name);
	return EAI_NONAME;
}

int hook_getaddrinfo(const char *node, const char *service,
		     const struct addrinfo *hints, struct addrinfo **res)
{
	static const struct addrinfo none = {.ai_flags = FLAGS_DEFAULT,
					     .ai_family = AF_UNSPEC};
	const struct addrinfo *h = hints ? hints : &none;
	struct shim_answer ans;
	enum name_fate fate;
	int ret;

	if (!node || (h->ai_flags & AI_NUMERICHOST) ||
	    (h->ai_family != AF_UNSPEC && h->ai_family != AF_INET &&
	     h->ai_family != AF_INET6))
		return real.getaddrinfo(node, service, hints, res);
	fate = name_resolve(node, &ans);
	if (fate == NAME_OURS)
		return ours(&ans, node, service, h, res);
	if (fate != NAME_REAL)
		return name_eai(fate);
	ret = real.getaddrinfo(node, service, hints, res);
	if (ret == EAI_NONAME || ret == EAI_NODATA)
		name_hint(node);
	/* what the program wrote in digits is no answer of anybody */
	if (ret || !shim_page() || name_digits(node))
		return ret;
	return list_filter(res);
}

/* --- getnameinfo() --------------------------------------------------------------------- */

int hook_getnameinfo(const struct sockaddr *sa, socklen_t len, char *host,
		     socklen_t hostlen, char *serv, socklen_t servlen,
		     int flags)
{
	struct shim_answer ans;
	enum name_fate fate;
	struct shim_addr a;
	int ret;

	if (!host || !hostlen || (flags & NI_NUMERICHOST) ||
	    !shim_virtual(sa, len) || shim_addr_from(sa, len, &a) < 0)
		return real.getnameinfo(sa, len, host, hostlen, serv, servlen,
					flags);
	fate = name_reverse(&a, &ans);
	if (fate != NAME_OURS) {
		if (flags & NI_NAMEREQD)
			return name_eai(fate);
		return real.getnameinfo(sa, len, host, hostlen, serv, servlen,
					flags | NI_NUMERICHOST);
	}
	if (serv && servlen) {
		ret = real.getnameinfo(sa, len, NULL, 0, serv, servlen,
				       flags & ~NI_NAMEREQD);
		if (ret)
			return ret;
	}
	if (strlen(ans.name) >= hostlen)
		return EAI_OVERFLOW;
	strcpy(host, ans.name);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * fakeresolv - a resolver between the shim and libc, for tests
 *
 * Preloaded behind libntm.so. Counts what reaches the real resolver, and answers
 * for names under example.net: "false" with a virtual address, "mixed" with a
 * virtual and a real one. Other names end here: no test asks the network.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

#undef res_query
#undef res_nquery

#define FAKE_REAL "192.0.2.7"
#define FAKE_EVIL "198.18.0.2"

int fake_resolv_calls(void);
static int calls;

int fake_resolv_calls(void)
{
	return calls;
}

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

int getaddrinfo(const char *node, const char *service,
		const struct addrinfo *hints, struct addrinfo **res)
{
	int (*real)(const char *, const char *, const struct addrinfo *,
		    struct addrinfo **);
	struct addrinfo none = {.ai_flags = 0}, h = hints ? *hints : none;
	void *sym = next("getaddrinfo");
	struct addrinfo *evil = NULL, *good = NULL;
	char *canonical;
	int ret;

	memcpy(&real, &sym, sizeof(real));
	if (!node || (h.ai_flags & AI_NUMERICHOST))
		return real(node, service, hints, res);
	calls++;
	if (strstr(node, "localhost") || node[0] <= '9')
		return real(node, service, hints, res);
	/* libc judges what is wrong with the rest of the question */
	ret = real(FAKE_EVIL, service, &h, &evil);
	if (!ret)
		ret = real(FAKE_REAL, service, &h, &good);
	if (ret)
		return ret;
	*res = evil;
	if (!strcmp(node, "false.example.net")) {
		freeaddrinfo(good);
		return 0;
	}
	if (strcmp(node, "mixed.example.net")) {
		freeaddrinfo(evil);
		freeaddrinfo(good);
		*res = NULL;
		return EAI_NONAME;
	}
	/* the name is on the first node, the one that will be dropped */
	canonical = good->ai_canonname;
	good->ai_canonname = NULL;
	free(canonical);
	while (evil->ai_next)
		evil = evil->ai_next;
	evil->ai_next = good;
	return 0;
}

static struct hostent *ent_fake(const char *name)
{
	static char addr[2][4], *list[3], *aliases[1];
	static struct hostent ent = {.h_addrtype = AF_INET, .h_length = 4};

	calls++;
	if (strcmp(name, "false.example.net") &&
	    strcmp(name, "mixed.example.net")) {
		h_errno = HOST_NOT_FOUND;
		return NULL;
	}
	ent.h_name = strcmp(name, "mixed.example.net") ? (char[]){"f"}
						       : (char[]){"m"};
	inet_pton(AF_INET, FAKE_EVIL, addr[0]);
	inet_pton(AF_INET, FAKE_REAL, addr[1]);
	list[0] = addr[0];
	list[1] = name[0] == 'm' ? addr[1] : NULL;
	ent.h_aliases = aliases;
	ent.h_addr_list = list;
	return &ent;
}

struct hostent *gethostbyname(const char *name)
{
	return ent_fake(name);
}

int gethostbyname_r(const char *name, struct hostent *ent, char *buf,
		    size_t size, struct hostent **result, int *herr)
{
	struct hostent *got = ent_fake(name);

	(void)buf;
	(void)size;
	*result = NULL;
	*herr = HOST_NOT_FOUND;
	if (!got)
		return 0;
	*ent = *got;
	*result = ent;
	*herr = 0;
	return 0;
}

/* A message with one A record, for any name. */
static int query_fake(const char *name, unsigned char *answer, int size)
{
	static const unsigned char head[] = {
		0, 0, 0x81, 0x80, 0,  1, 0, 1, 0, 0, 0, 0, 1,  'x', 0, 0,
		1, 0, 1,    0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 10, 0,   4};

	calls++;
	if (size < (int)sizeof(head) + 4)
		return -1;
	memcpy(answer, head, sizeof(head));
	inet_pton(AF_INET, strstr(name, "false") ? FAKE_EVIL : FAKE_REAL,
		  answer + sizeof(head));
	return (int)sizeof(head) + 4;
}

int res_query(const char *name, int class, int type, unsigned char *answer,
	      int size)
{
	(void)class;
	(void)type;
	return query_fake(name, answer, size);
}

int res_nquery(res_state state, const char *name, int class, int type,
	       unsigned char *answer, int size)
{
	(void)state;
	(void)class;
	(void)type;
	return query_fake(name, answer, size);
}

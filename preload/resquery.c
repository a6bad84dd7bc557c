/* SPDX-License-Identifier: MIT */
/*
 * resquery - the hooks of res_query() and its relatives
 *
 * Programs that ask for other types than addresses (Firefox: HTTPS) would tell the
 * host's resolver our names. For ours an answer is made here: the address asked
 * for, else "no data".
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <string.h>

#include "preload/names.h"
#include "preload/shim.h"

#define HEADER	12
#define TTL	10     /* seconds; the broker is asked again after */
#define FLAGS	0x8180 /* response, recursion desired and available */
#define POINTER 0xc00c /* the name at offset 12 */

/* --- making an answer ------------------------------------------------------------------------ */

static uint8_t *put16(uint8_t *at, unsigned int v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
	return at + 2;
}

/* @name as labels; NULL if it has an empty or too long one. */
static uint8_t *put_labels(uint8_t *at, const char *name)
{
	size_t n;

	while (*name) {
		n = strcspn(name, ".");
		if (!n || n > 63)
			return NULL;
		*at++ = (uint8_t)n;
		memcpy(at, name, n);
		at += n;
		name += n;
		if (*name == '.')
			name++;
	}
	*at++ = 0;
	return at;
}

/* Header, question and at most one record into @out (512 bytes suffice).
 * Returns its length or 0. */
static size_t answer_make(uint8_t *out, const char *name, int type, int rcode,
			  const void *addr, unsigned int addr_len)
{
	uint8_t *at;

	memset(out, 0, HEADER);
	put16(out + 2, FLAGS | (unsigned int)rcode);
	put16(out + 4, 1);
	put16(out + 6, addr ? 1 : 0);
	at = put_labels(out + HEADER, name);
	if (!at)
		return 0;
	at = put16(at, (unsigned int)type);
	at = put16(at, ns_c_in);
	if (addr) {
		at = put16(at, POINTER);
		at = put16(at, (unsigned int)type);
		at = put16(at, ns_c_in);
		at = put16(at, 0);
		at = put16(at, TTL);
		at = put16(at, addr_len);
		memcpy(at, addr, addr_len);
		at += addr_len;
	}
	return (size_t)(at - out);
}

static int rcode_of(enum name_fate fate)
{
	switch (fate) {
	case NAME_OURS:
	case NAME_REAL:
		return ns_r_noerror;
	case NAME_NONE:
		return ns_r_nxdomain;
	case NAME_LATER:
	case NAME_FAIL:
		break;
	}
	return ns_r_servfail;
}

/* False: ask the real resolver. Else *@ret is what to return. */
static bool query_ours(const char *name, int class, int type,
		       unsigned char *answer, int size, int *ret)
{
	uint8_t out[HEADER + SHIM_NAME_MAX + 2 + 4 + 12 + 16];
	const void *addr = NULL;
	struct shim_answer ans;
	enum name_fate fate;
	size_t len;

	if (class != ns_c_in)
		return false;
	fate = name_resolve(name, &ans);
	if (fate == NAME_REAL)
		return false;
	if (fate == NAME_OURS && type == ns_t_a && name_has(&ans, AF_INET))
		addr = ans.vip4;
	if (fate == NAME_OURS && type == ns_t_aaaa && name_has(&ans, AF_INET6))
		addr = ans.vip6;
	len = answer_make(out, name, type, rcode_of(fate), addr,
			  type == ns_t_a ? 4 : 16);
	if (answer && size > 0)
		memcpy(answer, out, len < (size_t)size ? len : (size_t)size);
	*ret = addr && len ? (int)len : -1;
	if (*ret < 0)
		h_errno = fate == NAME_OURS ? NO_DATA : name_herr(fate);
	return true;
}

/* --- looking into a real one ------------------------------------------------------------------ */

static const uint8_t *skip_name(const uint8_t *at, const uint8_t *end)
{
	while (at < end && *at && *at < 0xc0)
		at += *at + 1;
	at += at < end && *at >= 0xc0 ? 2 : 1;
	return at <= end ? at : NULL;
}

static unsigned int get16(const uint8_t *at)
{
	return (unsigned int)at[0] << 8 | at[1];
}

/* Does any record hold a virtual address? A message that cannot be walked holds
 * nothing that a program could read either. */
static bool answer_false(const uint8_t *msg, size_t len)
{
	const uint8_t *at = msg + HEADER, *end = msg + len;
	unsigned int questions, records, type, n;

	if (len < HEADER)
		return false;
	questions = get16(msg + 4);
	records = get16(msg + 6) + get16(msg + 8) + get16(msg + 10);
	while (questions--) {
		at = skip_name(at, end);
		if (!at || end - at < 4)
			return false;
		at += 4;
	}
	while (records--) {
		at = skip_name(at, end);
		if (!at || end - at < 10)
			return false;
		type = get16(at);
		n = get16(at + 8);
		at += 10;
		if ((size_t)(end - at) < n)
			return false;
		if ((type == ns_t_a && n == 4 && name_false(AF_INET, at)) ||
		    (type == ns_t_aaaa && n == 16 && name_false(AF_INET6, at)))
			return true;
		at += n;
	}
	return false;
}

static int query_filter(int ret, unsigned char *answer, int size)
{
	if (ret <= 0 || !answer || !shim_page() ||
	    !answer_false(answer, (size_t)(ret < size ? ret : size)))
		return ret;
	h_errno = HOST_NOT_FOUND;
	return -1;
}

/* --- the hooks ------------------------------------------------------------------------------------ */

#define RES_PLAIN(fn)                                                          \
	int hook_##fn(const char *name, int class, int type,                   \
		      unsigned char *answer, int size)                         \
	{                                                                      \
		int ret;                                                       \
                                                                               \
		if (query_ours(name, class, type, answer, size, &ret))         \
			return ret;                                            \
		ret = real.fn(name, class, type, answer, size);                \
		return query_filter(ret, answer, size);                        \
	}
#define RES_STATE(fn)                                                          \
	int hook_##fn(res_state state, const char *name, int class, int type,  \
		      unsigned char *answer, int size)                         \
	{                                                                      \
		int ret;                                                       \
                                                                               \
		if (query_ours(name, class, type, answer, size, &ret)) {       \
			state->res_h_errno = ret < 0 ? h_errno : 0;            \
			return ret;                                            \
		}                                                              \
		ret = real.fn(state, name, class, type, answer, size);         \
		return query_filter(ret, answer, size);                        \
	}

RES_PLAIN(res_query)
RES_PLAIN(res_search)
RES_PLAIN(__res_query)
RES_PLAIN(__res_search)
RES_STATE(res_nquery)
RES_STATE(res_nsearch)
RES_STATE(__res_nquery)
RES_STATE(__res_nsearch)

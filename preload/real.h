/* SPDX-License-Identifier: MIT */
/*
 * real - the hooked functions as libc has them
 *
 * Context: filled once by the constructor; before that every pointer leads to a
 * raw system call or resolves on the spot, so that no caller need test for NULL.
 */
#ifndef NTM_PRELOAD_REAL_H
#define NTM_PRELOAD_REAL_H

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/socket.h>
#include <time.h>

/* glibc's <resolv.h> renames some; the def must see the plain names */
#undef res_query
#undef res_search
#undef res_nquery
#undef res_nsearch

#define SHIM_EXPORT __attribute__((visibility("default")))

/* hook_connect() is exported as "connect", and so on: under another C name, no
 * redirection, inline or attribute of the system headers stands in the way. */
#define HOOK_SYS(ret, name, params, args, nr, text)                            \
	SHIM_EXPORT ret hook_##name params __asm__(#name);
#define HOOK_LIB(ret, name, params, args, missing, text)                       \
	SHIM_EXPORT ret hook_##name params __asm__(#name);
#include "preload/hooks.def"
#undef HOOK_SYS
#undef HOOK_LIB

struct real {
#define HOOK_SYS(ret, name, params, args, nr, text)	 ret(*name) params;
#define HOOK_LIB(ret, name, params, args, missing, text) ret(*name) params;
#include "preload/hooks.def"
#undef HOOK_SYS
#undef HOOK_LIB
};

extern struct real real;

/** real_resolve() - look all of them up in the libraries behind us */
void real_resolve(void);

#endif

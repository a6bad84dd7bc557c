/* SPDX-License-Identifier: MIT */
/*
 * names - which names are asked of the broker, and what its answers mean
 *
 * Context: any thread. A name the broker does not know goes to the real resolver,
 * whose answers inside the virtual ranges are dropped: they would be somebody's
 * attempt to reach a peer under a false name.
 */
#ifndef NTM_PRELOAD_NAMES_H
#define NTM_PRELOAD_NAMES_H

#include <stdbool.h>
#include <sys/socket.h>

#include "preload/shimproto.h"

/**
 * enum name_fate - the outcome of asking
 * @NAME_REAL:  not ours, or no broker: ask the real resolver
 * @NAME_OURS:  the answer holds at least one address
 * @NAME_NONE:  ours, but it does not exist
 * @NAME_LATER: ours; offline, unreachable, no answer in time
 * @NAME_FAIL:  ours; refused: policy, pin, certificate, ...
 */
enum name_fate { NAME_REAL, NAME_OURS, NAME_NONE, NAME_LATER, NAME_FAIL };

/** name_resolve() - ask for @name; @ans is filled for NAME_OURS. Keeps errno.
 *  Single labels, numeric hosts and localhost are NAME_REAL without a request. */
enum name_fate name_resolve(const char *name, struct shim_answer *ans);

/** name_reverse() - the name of virtual address @a into @ans->name */
enum name_fate name_reverse(const struct shim_addr *a, struct shim_answer *ans);

/** name_hint() - the real resolver has not found @name: is it in a domain of NTMobile,
 *  by the TXT record _ntm? Then the broker may tell the person. Keeps errno. */
void name_hint(const char *name);

/** name_digits() - is this an address in digits, which nobody resolves? */
bool name_digits(const char *name);

/** name_has() - does the answer hold an address of family @af? */
bool name_has(const struct shim_answer *ans, int af);

/** name_false() - is this an answer of the real resolver to be dropped? */
bool name_false(int af, const void *addr);

/** name_eai(), name_herr() - the fate as an EAI_ code, as an h_errno */
int name_eai(enum name_fate fate);
int name_herr(enum name_fate fate);

#endif

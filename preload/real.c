/* SPDX-License-Identifier: MIT */
/* real - the hooked functions as libc has them */
#include "preload/real.h"

#include <dlfcn.h>
#include <string.h>

#include "preload/sys.h"

#define UNPACK(...) __VA_ARGS__

static long early_result(long ret)
{
	if (ret >= 0 || ret < -4095)
		return ret;
	errno = (int)-ret;
	return -1;
}

#define HOOK_SYS(ret, name, params, args, nr, text)                            \
	static ret early_##name params                                         \
	{                                                                      \
		return (ret)early_result(SYS(nr, UNPACK args));                \
	}
#define HOOK_LIB(ret, name, params, args, missing, text)                       \
	static ret early_##name params                                         \
	{                                                                      \
		ret(*found) params = NULL;                                     \
		void *sym = dlsym(RTLD_NEXT, #name);                           \
                                                                               \
		memcpy(&found, &sym, sizeof(found));                           \
		return found ? found args : (missing);                         \
	}
#include "preload/hooks.def"
#undef HOOK_SYS
#undef HOOK_LIB

struct real real = {
#define HOOK_SYS(ret, name, params, args, nr, text)	 .name = early_##name,
#define HOOK_LIB(ret, name, params, args, missing, text) .name = early_##name,
#include "preload/hooks.def"
#undef HOOK_SYS
#undef HOOK_LIB
};

static void resolve(const char *name, void *slot)
{
	void *sym = dlsym(RTLD_NEXT, name);

	/* what is missing stays early: its library may be loaded later */
	if (sym)
		memcpy(slot, &sym, sizeof(sym));
}

void real_resolve(void)
{
#define HOOK_SYS(ret, name, params, args, nr, text) resolve(#name, &real.name);
#define HOOK_LIB(ret, name, params, args, missing, text)                       \
	resolve(#name, &real.name);
#include "preload/hooks.def"
#undef HOOK_SYS
#undef HOOK_LIB
}

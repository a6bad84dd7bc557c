/* SPDX-License-Identifier: MIT */
/* isolate - what the worker may still do once it listens to the network */
#include "broker/isolate.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/log.h"

int isolate_worker(char *why, size_t why_size)
{
	struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		snprintf(why, why_size, "the worker could not be confined");
		return -NTM_ESYSTEM;
	}
	log_debug("worker", "confined");
	return 0;
}

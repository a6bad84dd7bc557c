/* SPDX-License-Identifier: MIT */
/*
 * denied - runs a program that may not make namespaces, as in many containers
 *
 * Usage: denied PROGRAM [ARGUMENT...]
 */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int deny(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp user =
		SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER);
	int r = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM),
				       SCMP_SYS(unshare), 1, &user);

	if (!r)
		r = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM),
					   SCMP_SYS(clone), 1, &user);
	/* its flags lie in memory: libc then takes clone() */
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS),
				     SCMP_SYS(clone3), 0);
	return r ? r : seccomp_load(ctx);
}

int main(int argc, char **argv)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? deny(ctx) : -ENOMEM;

	if (r || argc < 2) {
		fprintf(stderr, "denied: %s\n", r ? strerror(-r) : "what?");
		return 125;
	}
	seccomp_release(ctx);
	execvp(argv[1], argv + 1);
	fprintf(stderr, "denied: %s: %s\n", argv[1], strerror(errno));
	return 126;
}

/* SPDX-License-Identifier: MIT */
/*
 * inside - the process inside the namespace: enters it, prepares it, serves it
 *
 * Owner:    the engine, which forks it. Context: a fresh child; none of these
 *           functions returns to the keeper's code. Single-threaded.
 * Tells the parent in one struct inside_report how far it came.
 */
#ifndef NTM_BROKER_INSIDE_H
#define NTM_BROKER_INSIDE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define INSIDE_IFNAME "ntm0"

/** enum inside_stage - where it ended; INSIDE_DONE is success */
enum inside_stage {
	INSIDE_DONE,
	INSIDE_UNSHARE,	 /* a new user + network namespace, or entering ours */
	INSIDE_MAP,	 /* uid_map, gid_map */
	INSIDE_TUN_OPEN, /* /dev/net/tun */
	INSIDE_TUN_MAKE, /* TUNSETIFF */
	INSIDE_SYSCTL,	 /* low ports and ping for everybody inside */
	INSIDE_NETLINK,
	INSIDE_NSTAGES
};

/** struct inside_report - first message of the child; @err: errno. With it come,
 *  in this order: TUN; and when fresh: user namespace, network namespace, netlink for
 *  requests, netlink that hears of changes */
struct inside_report {
	uint32_t stage;
	int32_t err;
};

/** struct inside_plan - what the child shall do
 *  @user_ns, @net_ns: enter these; -1: make new ones
 *  @tun:   make the interface
 *  @serve: stay and hand out sockets; else end */
struct inside_plan {
	int user_ns, net_ns;
	bool tun, serve;
};

/** struct inside_request - what the parent asks a serving child.
 *  INSIDE_SOCKET is answered by int32_t (0 or an errno) and the socket;
 *  INSIDE_LISTENER comes with the listening socket and is not answered */
enum inside_op { INSIDE_SOCKET = 1, INSIDE_LISTENER = 2 };
struct inside_request {
	uint32_t op;
	int32_t domain, type, protocol;
};

/** body of the forked child. @link: SEQPACKET to the parent */
void inside_main(int link, const struct inside_plan *plan, pid_t parent)
	__attribute__((noreturn));

/** the sockets that may leave: STREAM and DGRAM of the IP families, no raw ones.
 *  Return: 0 or a positive errno */
int inside_socket(int domain, int type, int protocol, int *fd);

#endif

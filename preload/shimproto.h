/* SPDX-License-Identifier: MIT */
/*
 * shimproto - what shim and broker say to each other, and the page they share
 *
 * Owner:    preload/; the broker links the same codec. libc only.
 * Context:  every program under the shim; keeper and worker.
 *
 * Requests: one SOCK_SEQPACKET message each way on a Unix socket in the runtime
 * folder (common/rundir.h). Both sides check SO_PEERCRED. A connection serves any
 * number of requests, but the shim opens a fresh one each time (but the pool).
 * Layout: big-endian, explicit get/put in shimproto.c; version first; trailing
 * bytes are refused. A descriptor travels as SCM_RIGHTS on the answer. After the
 * answer to CLAIM the broker hangs up.
 *
 * The shared page: the worker writes, every shim maps it read-only, so that the
 * test "is this address virtual?" and the translation of a UDP source cost no
 * system call. An entry is read under its sequence number (odd: being written).
 */
#ifndef NTM_PRELOAD_SHIMPROTO_H
#define NTM_PRELOAD_SHIMPROTO_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define SHIM_VERSION	   1
#define SHIM_MSG_MAX	   512 /* bytes of any request or answer */
#define SHIM_NAME_MAX	   253
#define SHIM_KEEPER_SOCKET "keeper.sock"
#define SHIM_BROKER_SOCKET "broker.sock"
#define SHIM_PAGE_FILE	   "page"

enum shim_op {
#define REQ(name, number, server, limit_ms) SHIM_##name = number,
#include "preload/requests.def"
#undef REQ
};

/**
 * enum shim_exit - what NTM_EXIT says about hosts that are no nodes
 * @SHIM_EXIT_DIRECT: they are reached directly
 * @SHIM_EXIT_AUTO:   through the exit, if there is one and they are not near
 * @SHIM_EXIT_RELAY:  through the exit or not at all
 */
enum shim_exit { SHIM_EXIT_DIRECT, SHIM_EXIT_AUTO, SHIM_EXIT_RELAY };

/** struct shim_addr - an address and port as programs see it
 *  @family: AF_INET, AF_INET6 or 0 (none); @addr: 4 or 16 bytes used */
struct shim_addr {
	uint16_t family;
	uint16_t port; /* host order */
	uint8_t addr[16];
};

/**
 * struct shim_request - the union of all requests; unused fields are zero
 * @op:       enum shim_op
 * @domain, @type, @protocol: SOCKET, POOL: as for socket(2), type without flags.
 *            LISTEN, UDPBIND, UDPALIAS: @domain of the program's socket. EXIT: @type
 *            is an enum shim_exit
 * @v6only:   LISTEN, UDPBIND, UDPALIAS: IPV6_V6ONLY of it. SOCKET: wanted
 * @defer:    LISTEN: TCP_DEFER_ACCEPT is set, so the doorbell must carry a byte
 * @backlog:  LISTEN
 * @inode:    LISTEN, UDPBIND, UDPALIAS: st_ino of the program's socket
 * @local:    LISTEN, UDPBIND: port bound. CLAIM: getsockname() of the doorbell.
 *            UDPALIAS: local port of the program's socket
 * @remote:   CLAIM: getpeername() of the doorbell. REVERSE: address.
 *            UDPALIAS: the virtual peer (AF_INET for an IPv4 peer, never
 *            v4-mapped), or an alias to be confirmed. EXIT: the host
 * @name:     RESOLVE: as the program gave it, NUL-terminated. HINT: the domain
 */
struct shim_request {
	uint8_t op;
	uint16_t domain, type, protocol;
	uint8_t v6only, defer;
	uint32_t backlog;
	uint64_t inode;
	struct shim_addr local, remote;
	char name[SHIM_NAME_MAX + 1];
};

/**
 * struct shim_answer - the answer; with a descriptor for SOCKET, CLAIM
 * @err:    0 or an enum ntm_err (positive): NOTOURS, NONAME, OFFLINE, ...
 *          EXIT: 0 through the exit, NOTOURS directly, else not at all
 * @vip6, @vip4: RESOLVE: the peer's virtual addresses, all zero where absent
 * @addr:   UDPALIAS: the alias (to send to: 127.80.0.0/12, or ::1 when the socket
 *          is V6ONLY) or the virtual peer (confirmed). CLAIM: the virtual peer,
 *          for when it has hung up and getpeername() no longer tells
 * @name:   RESOLVE: canonical name. REVERSE: the name
 */
struct shim_answer {
	uint8_t op;
	int32_t err;
	uint8_t vip6[16], vip4[4];
	struct shim_addr addr;
	char name[SHIM_NAME_MAX + 1];
};

/* Encoders return bytes written, or -EMSGSIZE; decoders 0 or -EBADMSG, and
 * leave @out untouched on error. @buf holds SHIM_MSG_MAX bytes. */
int shim_request_put(const struct shim_request *req, uint8_t *buf);
int shim_request_get(const uint8_t *buf, size_t len, struct shim_request *out);
int shim_answer_put(const struct shim_answer *ans, uint8_t *buf);
int shim_answer_get(const uint8_t *buf, size_t len, struct shim_answer *out);

/* One message with at most one descriptor (@fd -1: none). send returns 0 or
 * -errno; recv returns bytes (0 = closed) or -errno, *@fd is close-on-exec. */
int shim_msg_send(int sock, const uint8_t *buf, size_t len, int fd);
ssize_t shim_msg_recv(int sock, uint8_t *buf, size_t size, int *fd, int flags);

/* --- the pool -----------------------------------------------------------------
 * After an answered POOL request the keeper keeps the connection's send buffer
 * full of messages {SHIM_VERSION, SHIM_POOL}, each with one fresh socket of the
 * requested domain, type and protocol. recvmsg(MSG_DONTWAIT) takes one. */

/* --- reserved loopback addresses ------------------------------------------------ */

#define SHIM_DOORBELL_NET  0x7f4d0000u /* 127.77.0.0/16: TCP doorbells */
#define SHIM_DOORBELL_MASK 0xffff0000u
#define SHIM_DOORBELL6_PORT                                                    \
	61000 /* ::1 source ports from here: V6ONLY doorbells */
#define SHIM_UDPALIAS_NET                                                      \
	0x7f500000u /* 127.80.0.0/12: UDP flows, + flow number */
#define SHIM_UDPALIAS_MASK 0xfff00000u
#define SHIM_UDPALIAS6_PORT                                                    \
	61000 /* ::1 source ports from here: V6ONLY UDP flows */

/* --- the shared page --------------------------------------------------------------- */

#define SHIM_PAGE_MAGIC	  0x4e544d50u /* "NTMP" */
#define SHIM_PAGE_VERSION 1
#define SHIM_RANGES_MAX	  16
#define SHIM_FLOWS	  16384 /* power of two; flow number is the index */

/** struct shim_range - one virtual prefix; @family 0 ends the list */
struct shim_range {
	uint16_t family;
	uint16_t prefix_len;
	uint8_t addr[16];
};

/**
 * struct shim_flow - one UDP peer of one wildcard UDP socket
 * @seq:      even: valid to read; odd: being written; read twice
 * @live:     0: unused
 * @server:   port of the program's socket
 * @alias_port: source port of the broker's host socket; a datagram is from this
 *            flow only when both alias address and port match
 * @alias6_port: for V6ONLY sockets: ::1 and this port; else 0. It is always
 *            SHIM_UDPALIAS6_PORT + flow number, so that a reader finds the flow;
 *            such flows therefore have numbers below 65536 - SHIM_UDPALIAS6_PORT
 * @peer:     the virtual peer; AF_INET for an IPv4 peer, never v4-mapped
 * @next:     next flow + 1 in the same hash chain; 0 ends it
 */
struct shim_flow {
	uint32_t seq;
	uint8_t live;
	uint8_t pad[3];
	uint16_t server;
	uint16_t alias_port;
	uint16_t alias6_port;
	uint16_t pad2;
	struct shim_addr peer;
	uint32_t next;
};

/**
 * struct shim_page - runtime folder's "page", host byte order
 * @magic, @version: SHIM_PAGE_MAGIC, SHIM_PAGE_VERSION; checked once at mapping.
 *            The file is never truncated while a shim may map it
 * @seq:      as in a flow, guards @ranges
 * @ranges:   the virtual prefixes of the trusted domains
 * @udp_ports, @udp6_ports: bitmaps of announced wildcard UDP ports (IPv4 and dual
 *            stack; V6ONLY)
 * @hash:     flow + 1 by shim_flow_hash(peer, server) % SHIM_FLOWS
 * @flows:    by flow number
 */
struct shim_page {
	uint32_t magic, version;
	uint32_t seq;
	uint32_t worker_pid; /* 0 while none runs */
	struct shim_range ranges[SHIM_RANGES_MAX];
	uint32_t udp_ports[65536 / 32];
	uint32_t udp6_ports[65536 / 32];
	uint32_t hash[SHIM_FLOWS];
	struct shim_flow flows[SHIM_FLOWS];
};

/** 32-bit mix of peer address, port and server port; same on both sides */
uint32_t shim_flow_hash(const struct shim_addr *peer, uint16_t server);

/** true when @sa lies in one of the page's ranges; a v4-mapped IPv6 address counts
 *  as its IPv4 address. No system call. */
bool shim_page_virtual(const struct shim_page *page, const struct sockaddr *sa,
		       socklen_t len);

/** unmaps a v4-mapped address in place: the form flows and UDPALIAS use */
void shim_addr_unmap(struct shim_addr *a);

/**
 * shim_flow_find() - the alias that stands for @peer towards a wildcard socket
 * @server: port of the program's socket; @v6only: IPV6_V6ONLY of it
 * @alias:  127.80.x.y and port, or ::1 and port
 */
bool shim_flow_find(const struct shim_page *page, const struct shim_addr *peer,
		    uint16_t server, bool v6only, struct shim_addr *alias);

/** shim_alias_range() - may @a be the source of a UDP flow? No system call. */
bool shim_alias_range(const struct shim_addr *a);

/**
 * shim_flow_source() - the peer behind an alias, by exact address and port
 * @alias:  source of a datagram; v4-mapped is taken as IPv4
 */
bool shim_flow_source(const struct shim_page *page,
		      const struct shim_addr *alias, uint16_t server,
		      struct shim_addr *peer);

/** sockaddr <-> shim_addr; v4-mapped stays AF_INET6 */
int shim_addr_from(const struct sockaddr *sa, socklen_t len,
		   struct shim_addr *out);
socklen_t shim_addr_to(const struct shim_addr *a, struct sockaddr_storage *ss);

#endif

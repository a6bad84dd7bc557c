/* SPDX-License-Identifier: MIT */
/*
 * recover - TCP to a node that was elsewhere: what was lost is sent again at once
 *
 * Owner:    stack.c, one a stack. Context: the net process's one thread.
 * What libslirp sent to where a node has just left is lost, and libslirp would find out
 * by its timer, after 1 s and more. So when the tunnel has a path again, the stack gives
 * libslirp what a receiver with a hole would send: duplicates of the node's last
 * acknowledgement, three of them, which make it send the first segment again; and once
 * more at each acknowledgement that does not yet cover all that was sent before (as
 * RFC 6582 does at a sender). Before them goes one with a window that is less by one:
 * libslirp does not begin its count anew at every acknowledgement, but at a window.
 */
#ifndef NTM_SERVERS_EXIT_RECOVER_H
#define NTM_SERVERS_EXIT_RECOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/datapath/inner.h"
#include "common/err.h"

#define RECOVER_FLOWS 1024 /* places; two for each connection */
/* one with the other window; one that brings the right window back, where that one was
 * believed; three that make a sender act (RFC 5681) */
#define RECOVER_ACKS   5
#define RECOVER_ACK    60 /* bytes of a made packet, at most */
#define RECOVER_GAP_MS 50 /* between two rounds of one node */

struct recover;

NTM_MUST_CHECK int recover_new(struct recover **out);
void recover_free(struct recover *r);
/** TCP from libslirp to the node, @in->transport */
void recover_sent(struct recover *r, const uint8_t *pkt,
		  const struct inner *in);
/** struct recover_acks - packets of @len bytes for libslirp, as if from the node */
struct recover_acks {
	uint8_t pkt[RECOVER_ACKS][RECOVER_ACK];
	size_t len;
};

/**
 * recover_heard() - TCP of the node, before libslirp has it
 * @out: for libslirp behind this packet
 * Return: is there anything in @out?
 */
bool recover_heard(struct recover *r, const uint8_t *pkt,
		   const struct inner *in, struct recover_acks *out);
/**
 * recover_path() - the tunnel has a path again
 * @fn: called for each connection with something on its way; it may lead to
 *      recover_sent()
 */
void recover_path(struct recover *r, uint64_t now_ns,
		  void (*fn)(void *arg, const struct recover_acks *acks),
		  void *arg);

/** all connections are to end: @fn gets a reset of each, for the node */
void recover_reset(struct recover *r,
		   void (*fn)(void *arg, uint8_t *pkt, size_t len), void *arg);

/**
 * recover_answer() - the reset that TCP of a node, @in->transport, is answered with
 *
 * What recover_reset() made falls behind what was on its way to the node then, and is
 * not believed; this one stands where the node says that it is.
 * Return: bytes; 0: to this segment there is none
 */
size_t recover_answer(const uint8_t *pkt, const struct inner *in,
		      uint8_t out[static RECOVER_ACK]);

#endif

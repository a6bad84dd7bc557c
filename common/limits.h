/* SPDX-License-Identifier: MIT */
/*
 * limits - what each field of ntm.proto may hold
 *
 * Owner:    static tables. Context: any. Used by datagram_check() and by the
 *           generator of the test vectors. A message without a table, or a field
 *           without a row, is refused: a test holds the tables against ntm.proto.
 */
#ifndef NTM_COMMON_LIMITS_H
#define NTM_COMMON_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

enum limit_kind {
	LIMIT_NUMBER,	     /* at most @max */
	LIMIT_PATH_ID,	     /* a Path ID as the DC names it: bit 0 clear */
	LIMIT_ENUM,	     /* a value ntm.proto names */
	LIMIT_BYTES,	     /* @min to @max bytes */
	LIMIT_BYTES_OR_NONE, /* none, or @min to @max bytes */
	LIMIT_IP,	     /* 4 or 16 bytes */
	LIMIT_TEXT,	     /* at most @max bytes, no control characters */
	LIMIT_FQDN,	     /* a valid name; @min 0: or empty */
	LIMIT_LABEL,	     /* one valid label; @min 0: or empty */
	LIMIT_MESSAGE,	     /* a message; @min 1: must be there */
	LIMIT_BODY,	     /* a message of a oneof that must be set */
};

/** struct limit - one field; @count: of a repeated one, at most */
struct limit {
	const char *field;
	enum limit_kind kind;
	uint64_t min, max;
	size_t count;
};

/** the messages known here, one by one; NULL behind the last */
const ProtobufCMessageDescriptor *limits_message(size_t i);

/**
 * limits_of() - the rows of a message, in the order of its descriptor's fields
 * @n: how many
 *
 * Return: the rows, or NULL for a message unknown here
 */
const struct limit *limits_of(const ProtobufCMessageDescriptor *d, size_t *n);

#endif

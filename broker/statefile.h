/* SPDX-License-Identifier: MIT */
/*
 * statefile - messages of state.proto as files: whole, atomic, 0600
 *
 * Owner:    stateless. Context: worker, loop thread; waits for the disk.
 */
#ifndef NTM_BROKER_STATEFILE_H
#define NTM_BROKER_STATEFILE_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/addr.h"
#include "common/err.h"

#define STATEFILE_MAX (4u << 20) /* bytes of any state file */

/**
 * statefile_load() - read @dir/@name and unpack
 * @out: freed by statefile_free()
 * Return: 0, -NTM_ENOTFOUND, -NTM_EPERM (others may read it), -NTM_EDECODE,
 *         -NTM_ETOOBIG, -NTM_ENOMEM
 */
NTM_MUST_CHECK int statefile_load(const char *dir, const char *name,
				  const ProtobufCMessageDescriptor *desc,
				  ProtobufCMessage **out);
/** Return: 0, -NTM_ESTORE, -NTM_ENOMEM; durable when it returns */
NTM_MUST_CHECK int statefile_save(const char *dir, const char *name,
				  const ProtobufCMessage *msg);
/** removes it; one that is not there is fine */
void statefile_remove(const char *dir, const char *name);
/** wipes every bytes field, then frees; NULL is fine */
void statefile_free(ProtobufCMessage *msg);

#define STATEFILE_ADDR_MAX 18
/** u16 port, then 4 or 16 bytes. Return: bytes in @buf */
size_t statefile_addr_put(const struct addr *a,
			  uint8_t buf[static STATEFILE_ADDR_MAX]);
/** Return: 0, -NTM_EDECODE */
NTM_MUST_CHECK int statefile_addr_get(const ProtobufCBinaryData *data,
				      struct addr *out);

#endif

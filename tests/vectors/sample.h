/* SPDX-License-Identifier: MIT */
/*
 * sample - a message of any kind with fixed contents, within its limits
 *
 * Owner:    sample_new() .. datagram_free(). Contents follow from the field's
 *           number and place alone, so vectors made of them never change by
 *           themselves.
 */
#ifndef NTM_TESTS_VECTORS_SAMPLE_H
#define NTM_TESTS_VECTORS_SAMPLE_H

#include <stdbool.h>

#include "common/limits.h"

enum sample_size {
	SAMPLE_USUAL,	/* every field set, lists of two */
	SAMPLE_LARGEST, /* every field and list as large as its limit */
};

/**
 * sample_new() - a message of @desc
 * @body: number of the field to set in a message with a body; 0: the first
 *
 * Return: the message, or NULL when @body is no field of it
 */
ProtobufCMessage *sample_new(const ProtobufCMessageDescriptor *desc,
			     unsigned int body, enum sample_size size);
/** the @i-th field of @desc that is a body; NULL behind the last */
const ProtobufCFieldDescriptor *
sample_body(const ProtobufCMessageDescriptor *desc, size_t i);

#endif

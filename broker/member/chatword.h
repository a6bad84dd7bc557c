/* SPDX-License-Identifier: MIT */
/*
 * chatword - what members say to each other in items: messages, read marks
 *
 * Owner:    the caller. Context: any; no state. docs/groups.md, Chat, has the JSON. Who
 *           says it is not in it: ntm-post knows whose item it was.
 */
#ifndef NTM_BROKER_MEMBER_CHATWORD_H
#define NTM_BROKER_MEMBER_CHATWORD_H

#include <jansson.h>

#include "libntmcrypto/group.h"

#define CHAT_TEXT_MAX  16384 /* bytes of UTF-8 */
#define CHAT_ID_LEN    16
#define CHAT_ID_TEXT   25 /* in base64url, and room for the encoder */
#define CHAT_MARKS_MAX 64 /* messages that one item marks */
#define CHAT_CLOCK_MAX (INT64_C(1) << 52) /* what programs can count to */

enum chat_kind { CHAT_TEXT, CHAT_FILE };

/**
 * struct chatword - a message
 * @id:    drawn by its author; with the author it names the message
 * @epoch: the author's, when it was written
 * @clock: above that of all messages that the author knew (docs/groups.md, order)
 * @time:  seconds since 1970 by the author's clock; for people, nothing is decided by it
 * @text:  what was written; of a file what it is called. Never empty
 * @size:  of a file, bytes; else 0
 */
struct chatword {
	uint8_t group[GROUP_ID_LEN], id[CHAT_ID_LEN];
	uint64_t epoch;
	int64_t clock, time, size;
	enum chat_kind kind;
	char text[CHAT_TEXT_MAX + 1];
};

/** struct chatmarks - messages of the receiver that the sender's person has seen */
struct chatmarks {
	uint8_t group[GROUP_ID_LEN];
	size_t n;
	uint8_t id[CHAT_MARKS_MAX][CHAT_ID_LEN];
};

/** is it UTF-8 (as jansson has it), not empty, not too long? */
bool chat_text_ok(const char *text);

/** Return: to be free()d; NULL: no memory */
char *chatword_put(const struct chatword *w);
/** Return: 0, -NTM_EDECODE (@out is as it was) */
NTM_MUST_CHECK int chatword_get(const char *text, size_t len,
				struct chatword *out);
char *chatmarks_put(const struct chatmarks *m);
NTM_MUST_CHECK int chatmarks_get(const char *text, size_t len,
				 struct chatmarks *out);

#endif

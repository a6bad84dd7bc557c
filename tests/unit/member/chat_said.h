/* SPDX-License-Identifier: MIT */
/*
 * chat_said - what a member of the tests says, and what its chat has of it
 *
 * Owner: the tests of the chat. Context: their one thread. @i: of offices[] and nodes[].
 */
#ifndef NTM_TESTS_UNIT_MEMBER_CHAT_SAID_H
#define NTM_TESTS_UNIT_MEMBER_CHAT_SAID_H

#include "office.h"

/** the first line behind number @after; chat_line_free() it. NULL: none */
struct chat_line *line_at(int i, int64_t after);
/** all of them, "text|text", by number; until the next call */
const char *lines(int i);
/** Return: its number */
int64_t say(int i, const char *text, const char *file);
/** of line @n */
enum chat_state state_of(int i, int64_t n);
/** turns until line @n is in @state, or the test fails */
void becomes(int i, int64_t n, enum chat_state state);

#endif

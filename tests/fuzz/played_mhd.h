/* SPDX-License-Identifier: MIT */
/*
 * played_mhd - libmicrohttpd as servers see it, made of a text
 *
 * Owner:   a fuzz target, one request at a time. Context: one thread; nothing waits.
 */
#ifndef NTM_TESTS_FUZZ_PLAYED_MHD_H
#define NTM_TESTS_FUZZ_PLAYED_MHD_H

#include "servers/http_impl.h"

void want(bool holds);
/**
 * played_ask() - one request from its first byte to its answer
 * @peer: whose certificate was shown; NULL: none
 * @text: "METHOD PATH?QUERY" and "Name: value" lines, an empty line, the body to @end,
 *        where a 0 stands; written to
 */
void played_ask(const struct http_conf *conf, const struct ntmc_cert *peer,
		char *text, const char *end);

#endif

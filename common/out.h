/* SPDX-License-Identifier: MIT */
/*
 * out - what a person sees: colours where the terminal has them, tables, units
 *
 * Context: short-lived programs. Colour is off when standard output is no terminal
 * or NO_COLOR is set.
 */
#ifndef NTM_COMMON_OUT_H
#define NTM_COMMON_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum out_colour { OUT_PLAIN, OUT_GOOD, OUT_BAD, OUT_WARN, OUT_DIM, OUT_BOLD };

bool out_is_terminal(void);
/** @text with colour codes around it where wanted; static buffers, eight in turn */
const char *out_colour(enum out_colour c, const char *text);

/** "1.5 MB", "12 s ago", "never"; static buffers, eight in turn */
const char *out_bytes(json_int_t bytes);
const char *out_ago(json_int_t seconds);
const char *out_date(json_int_t unix_time);

/** member of @j as text, or @dflt; numbers are not converted */
const char *out_text(const json_t *j, const char *key, const char *dflt);
json_int_t out_int(const json_t *j, const char *key);

/** columns of the terminal; SIZE_MAX where there is none */
size_t out_columns(void);

/**
 * out_table() - rows of text under headings, columns as wide as needed; on a terminal
 * that is too narrow for them each row is a block, a cell a line
 * @cells: @n_rows * @n_cols pointers, row by row; colour codes do not count
 */
void out_table(const char *const *headings, size_t n_cols,
	       const char *const *cells, size_t n_rows);

/** a table of devices, as AS and broker list them; of fingerprints the beginning */
void out_devices(const json_t *list);

/** start a screen of `--watch`: clears it on a terminal */
void out_screen(void);

#endif

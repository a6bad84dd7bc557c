/* SPDX-License-Identifier: MIT */
/*
 * wire - big-endian fields one after the other, written and read within bounds
 *
 * Owner:    the caller, of the bytes too. Context: inside libntmcrypto only.
 * A field that does not fit, or is not there, makes all that follows fail: the
 * caller looks once, at the end.
 */
#ifndef NTM_LIBNTMCRYPTO_WIRE_H
#define NTM_LIBNTMCRYPTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct wire_out - @full: something did not fit */
struct wire_out {
	uint8_t *b;
	size_t len, size;
	bool full;
};

static inline struct wire_out wire_out(void *b, size_t size)
{
	return (struct wire_out){.b = b, .size = size};
}
void wire_put(struct wire_out *w, const void *data, size_t len);
/** the next @len bytes, which the caller fills; NULL: they do not fit */
uint8_t *wire_room(struct wire_out *w, size_t len);
/** the lowest @bytes bytes of @v, at @to */
static inline void wire_number(uint8_t *to, uint64_t v, unsigned int bytes)
{
	while (bytes--)
		*to++ = (uint8_t)(v >> 8 * bytes);
}
/** the lowest @bytes bytes of @v */
void wire_put_number(struct wire_out *w, uint64_t v, unsigned int bytes);
/** a label, without its NUL and without a length */
void wire_put_label(struct wire_out *w, const char *label);
/** u16 length and the text or bytes */
void wire_put_name(struct wire_out *w, const char *name);
void wire_put_lp(struct wire_out *w, const void *data, size_t len);

/** struct wire_in - @bad: something was not there */
struct wire_in {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static inline struct wire_in wire_in(const void *p, size_t len)
{
	return (struct wire_in){.p = p, .left = len};
}
/** the next @len bytes, in place; NULL when there are fewer */
const uint8_t *wire_take(struct wire_in *w, size_t len);
/** copied; @out is zeroed when they are not there */
void wire_get(struct wire_in *w, void *out, size_t len);
uint64_t wire_get_number(struct wire_in *w, unsigned int bytes);
/** u16 length and so many bytes, in place */
struct wire_in wire_get_lp(struct wire_in *w);
/** a name of 1 to @size - 1 bytes without NUL in it; NUL is added */
void wire_get_name(struct wire_in *w, char *out, size_t size);
/** nothing missing, nothing left */
static inline bool wire_ends(const struct wire_in *w)
{
	return !w->bad && !w->left;
}

#endif

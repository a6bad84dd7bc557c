/* SPDX-License-Identifier: MIT */
/* wire - big-endian fields one after the other, within bounds */
#include "libntmcrypto/wire.h"

#include <string.h>

uint8_t *wire_room(struct wire_out *w, size_t len)
{
	if (w->full || len > w->size - w->len) {
		w->full = true;
		return NULL;
	}
	w->len += len;
	return w->b ? w->b + w->len - len : NULL;
}

void wire_put(struct wire_out *w, const void *data, size_t len)
{
	uint8_t *to = wire_room(w, len);

	if (to && len)
		memcpy(to, data, len);
}

void wire_put_number(struct wire_out *w, uint64_t v, unsigned int bytes)
{
	uint8_t *to = wire_room(w, bytes);

	if (to)
		wire_number(to, v, bytes);
}

void wire_put_label(struct wire_out *w, const char *label)
{
	wire_put(w, label, strlen(label));
}

void wire_put_lp(struct wire_out *w, const void *data, size_t len)
{
	if (len > UINT16_MAX)
		w->full = true;
	wire_put_number(w, len, 2);
	wire_put(w, data, len);
}

void wire_put_name(struct wire_out *w, const char *name)
{
	wire_put_lp(w, name, strlen(name));
}

const uint8_t *wire_take(struct wire_in *w, size_t len)
{
	const uint8_t *p = w->p;

	if (w->bad || len > w->left) {
		w->bad = true;
		return NULL;
	}
	w->p += len;
	w->left -= len;
	return p;
}

void wire_get(struct wire_in *w, void *out, size_t len)
{
	const uint8_t *p = wire_take(w, len);

	if (p)
		memcpy(out, p, len);
	else
		memset(out, 0, len);
}

uint64_t wire_get_number(struct wire_in *w, unsigned int bytes)
{
	const uint8_t *p = wire_take(w, bytes);
	uint64_t v = 0;

	while (p && bytes--)
		v = v << 8 | *p++;
	return v;
}

struct wire_in wire_get_lp(struct wire_in *w)
{
	size_t len = (size_t)wire_get_number(w, 2);
	const uint8_t *p = wire_take(w, len);

	return (struct wire_in){.p = p, .left = p ? len : 0, .bad = !p};
}

void wire_get_name(struct wire_in *w, char *out, size_t size)
{
	struct wire_in name = wire_get_lp(w);

	out[0] = '\0';
	if (name.bad || !name.left || name.left >= size ||
	    memchr(name.p, 0, name.left)) {
		w->bad = true;
		return;
	}
	memcpy(out, name.p, name.left);
	out[name.left] = '\0';
}

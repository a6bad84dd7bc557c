/* SPDX-License-Identifier: MIT */
/* groupword - what ntm-member and ntm-worker say to each other: keys of groups */
#include "broker/groupword.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fqdn.h"
#include "libntmcrypto/wire.h"

#define VERSION 2

/* --- an epoch ------------------------------------------------------------------------- */

void groupword_epoch_clear(struct groupword_epoch *e)
{
	group_free(e->group);
	ntmc_wipe(e, sizeof(*e));
}

static bool keys_fit(const struct groupword_epoch *e)
{
	const uint8_t *id = group_id(e->group), *hash = group_hash(e->group);

	return id && hash && e->keys.epoch == group_epoch(e->group) &&
	       !memcmp(e->keys.id, id, GROUP_ID_LEN) &&
	       !memcmp(e->keys.hash, hash, NTMC_HASH_LEN);
}

int groupword_epoch_put(const struct groupword_epoch *e, uint8_t *out,
			size_t *len)
{
	struct wire_out w = wire_out(out, GROUPWORD_EPOCH_MAX);
	size_t n;
	int r;

	if (!keys_fit(e))
		return -NTM_ESTATE;
	wire_put_number(&w, VERSION, 1);
	wire_put_name(&w, e->name);
	wire_put_name(&w, e->domain);
	wire_put(&w, e->prefix, sizeof(e->prefix));
	wire_put_number(&w, e->index, 4);
	wire_put_number(&w, e->valid_s, 4);
	wire_put_number(&w, (uint64_t)e->now, 8);
	wire_put(&w, e->keys.data.b, NTMC_KEY_LEN);
	wire_put(&w, e->keys.control.b, NTMC_KEY_LEN);
	wire_put(&w, e->keys.relay.b, NTMC_KEY_LEN);
	wire_put(&w, e->keys.tag, GROUP_TAG_LEN);
	r = group_save(e->group, out + w.len, w.size - w.len, &n);
	if (!r)
		*len = w.len + n;
	return r;
}

static int64_t now_get(struct wire_in *w)
{
	uint64_t now = wire_get_number(w, 8);

	w->bad |= now > (uint64_t)GROUPWORD_NOW_MAX;
	return w->bad ? 0 : (int64_t)now;
}

/* what the group says itself, and whether all is possible together */
static bool take_group(struct groupword_epoch *e)
{
	const struct group *g = e->group;

	memcpy(e->keys.id, group_id(g), GROUP_ID_LEN);
	memcpy(e->keys.hash, group_hash(g), NTMC_HASH_LEN);
	e->keys.epoch = group_epoch(g);
	return group_name_ok(e->name) && fqdn_is_valid(e->domain) &&
	       group_find(g, e->index);
}

int groupword_epoch_get(const uint8_t *b, size_t len,
			struct groupword_epoch *out)
{
	struct groupword_epoch e = {.index = 0};
	struct wire_in w = wire_in(b, len);
	int r;

	if (wire_get_number(&w, 1) != VERSION)
		return -NTM_EDECODE;
	wire_get_name(&w, e.name, sizeof(e.name));
	wire_get_name(&w, e.domain, sizeof(e.domain));
	wire_get(&w, e.prefix, sizeof(e.prefix));
	e.index = (uint32_t)wire_get_number(&w, 4);
	e.valid_s = (uint32_t)wire_get_number(&w, 4);
	e.now = now_get(&w);
	wire_get(&w, e.keys.data.b, NTMC_KEY_LEN);
	wire_get(&w, e.keys.control.b, NTMC_KEY_LEN);
	wire_get(&w, e.keys.relay.b, NTMC_KEY_LEN);
	wire_get(&w, e.keys.tag, GROUP_TAG_LEN);
	r = w.bad ? -NTM_EDECODE : group_load(w.p, w.left, &e.group);
	if (!r && !take_group(&e))
		r = -NTM_EDECODE;
	if (r)
		groupword_epoch_clear(&e);
	else
		*out = e;
	return r;
}

int groupword_epoch_read(int fd, struct groupword_epoch *out)
{
	struct stat st;
	uint8_t *b;
	ssize_t n;
	size_t len;
	int r;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    st.st_size > GROUPWORD_EPOCH_MAX)
		return -NTM_EDECODE;
	len = (size_t)st.st_size;
	b = malloc(len);
	if (!b)
		return -NTM_ENOMEM;
	do
		n = pread(fd, b, len, 0);
	while (n < 0 && errno == EINTR);
	r = n == (ssize_t)len ? groupword_epoch_get(b, len, out) : -NTM_EDECODE;
	ntmc_wipe(b, len);
	free(b);
	return r;
}

/* --- the other messages --------------------------------------------------------------------- */

static void relay_put(struct wire_out *w, const struct groupword *g)
{
	wire_put(w, g->id, GROUP_ID_LEN);
	wire_put_number(w, g->epoch, 8);
	wire_put_number(w, g->index, 4);
	wire_put_number(w, g->aead, 1);
	wire_put(w, g->key, sizeof(g->key));
	wire_put_number(w, g->n_relays, 1);
	for (size_t i = 0; i < g->n_relays; i++) {
		wire_put_number(w, g->relays[i].ip_len, 1);
		wire_put(w, g->relays[i].ip, g->relays[i].ip_len);
		wire_put_number(w, g->relays[i].port, 2);
	}
}

static void relay_get(struct wire_in *w, struct groupword *g)
{
	wire_get(w, g->id, GROUP_ID_LEN);
	g->epoch = wire_get_number(w, 8);
	g->index = (uint32_t)wire_get_number(w, 4);
	g->aead = (enum ntmc_aead_alg)wire_get_number(w, 1);
	wire_get(w, g->key, sizeof(g->key));
	w->bad |= g->aead != NTMC_AES_256_GCM &&
		  g->aead != NTMC_CHACHA20_POLY1305;
	g->n_relays = wire_get_number(w, 1);
	w->bad |= g->n_relays > GROUPWORD_RELAYS_MAX;
	for (size_t i = 0; !w->bad && i < g->n_relays; i++) {
		struct groupword_relay *r = &g->relays[i];

		r->ip_len = (uint8_t)wire_get_number(w, 1);
		if (r->ip_len != 4 && r->ip_len != 16) {
			w->bad = true;
			return;
		}
		wire_get(w, r->ip, r->ip_len);
		r->port = (uint16_t)wire_get_number(w, 2);
	}
}

size_t groupword_put(const struct groupword *g,
		     uint8_t out[static GROUPWORD_MAX])
{
	struct wire_out w = wire_out(out, GROUPWORD_MAX);

	wire_put_number(&w, g->kind, 1);
	switch (g->kind) {
	case GROUPWORD_EPOCH:
	case GROUPWORD_ALL:
		break;
	case GROUPWORD_END:
	case GROUPWORD_KEEP:
		wire_put(&w, g->id, GROUP_ID_LEN);
		break;
	case GROUPWORD_VALID:
		wire_put(&w, g->id, GROUP_ID_LEN);
		wire_put_number(&w, g->epoch, 8);
		wire_put_number(&w, g->valid_s, 4);
		wire_put_number(&w, (uint64_t)g->now, 8);
		break;
	case GROUPWORD_CONTROL:
		wire_put(&w, g->id, GROUP_ID_LEN);
		wire_put_number(&w, g->epoch, 8);
		wire_put_number(&w, g->index, 4);
		wire_put(&w, g->text, g->text_len);
		break;
	case GROUPWORD_RELAY:
		relay_put(&w, g);
		break;
	}
	return w.full ? 0 : w.len;
}

int groupword_get(const uint8_t *b, size_t len, struct groupword *out)
{
	struct wire_in w = wire_in(b, len);
	struct groupword g = {.kind = wire_get_number(&w, 1)};

	switch (g.kind) {
	case GROUPWORD_EPOCH:
	case GROUPWORD_ALL:
		break;
	case GROUPWORD_END:
	case GROUPWORD_KEEP:
		wire_get(&w, g.id, GROUP_ID_LEN);
		break;
	case GROUPWORD_VALID:
		wire_get(&w, g.id, GROUP_ID_LEN);
		g.epoch = wire_get_number(&w, 8);
		g.valid_s = (uint32_t)wire_get_number(&w, 4);
		g.now = now_get(&w);
		break;
	case GROUPWORD_CONTROL:
		wire_get(&w, g.id, GROUP_ID_LEN);
		g.epoch = wire_get_number(&w, 8);
		g.index = (uint32_t)wire_get_number(&w, 4);
		g.text_len = w.left;
		g.text = g.text_len <= GROUPWORD_TEXT_MAX
				 ? wire_take(&w, g.text_len)
				 : NULL;
		break;
	case GROUPWORD_RELAY:
		relay_get(&w, &g);
		break;
	default:
		return -NTM_EDECODE;
	}
	if (!wire_ends(&w))
		return -NTM_EDECODE;
	*out = g;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* nodes - who the DC knows: nodes with their leases, sessions with their keys */
#include "servers/dc/nodes.h"

#include <stdlib.h>
#include <string.h>

#include "libntmcrypto/ntmcrypto.h"

/* --- hashes of the indices --------------------------------------------------- */

static uint64_t hash_id(const void *owner, uint32_t h)
{
	const struct nodes *n = owner;

	/* drawn at random by the AS: already spread, unknown to strangers */
	return nodes_session(n, h)->node_id;
}

static uint64_t hash_text(const struct nodes *n, const char *text)
{
	return keyhash(&n->hash, text, strlen(text));
}

static uint64_t hash_fqdn(const void *owner, uint32_t h)
{
	const struct nodes *n = owner;

	return hash_text(n, nodes_at(n, h)->fqdn);
}

static const char *account_of(const char *fqdn)
{
	const char *dot = strchr(fqdn, '.');

	return dot ? dot + 1 : "";
}

static uint64_t hash_account(const void *owner, uint32_t h)
{
	const struct nodes *n = owner;

	return hash_text(n, account_of(nodes_at(n, h)->fqdn));
}

static uint64_t hash_fp(const void *owner, uint32_t h)
{
	return nodes_at(owner, h)->fp8;
}

static uint64_t hash_vip6(const void *owner, uint32_t h)
{
	return nodes_at(owner, h)->vip6_host;
}

/* --- virtual IPv4 addresses ---------------------------------------------------- */

static uint32_t slice_size(const struct nodes *n)
{
	return 1u << (32 - n->slice.len);
}

static uint32_t slice_base(const struct nodes *n)
{
	return (uint32_t)n->slice.prefix[0] << 24 | n->slice.prefix[1] << 16 |
	       n->slice.prefix[2] << 8 | n->slice.prefix[3];
}

static bool vip4_mark(struct nodes *n, uint32_t i)
{
	uint64_t bit = UINT64_C(1) << (i % 64);

	if (n->vip4_used[i / 64] & bit)
		return false;
	n->vip4_used[i / 64] |= bit;
	n->vip4_free--;
	return true;
}

/* next fit: an address given back rests for as long as the slice allows */
static uint32_t vip4_draw(struct nodes *n)
{
	uint32_t size = slice_size(n);

	if (!n->vip4_free)
		return 0;
	for (;;) {
		n->vip4_cursor = (n->vip4_cursor + 1) % size;
		if (n->vip4_used[n->vip4_cursor / 64] == UINT64_MAX) {
			n->vip4_cursor |= 63;
			continue;
		}
		if (vip4_mark(n, n->vip4_cursor))
			return slice_base(n) + n->vip4_cursor;
	}
}

static void vip4_put(struct nodes *n, uint32_t vip4)
{
	uint32_t i = vip4 - slice_base(n);

	if (!vip4 || i >= slice_size(n))
		return;
	n->vip4_used[i / 64] &= ~(UINT64_C(1) << (i % 64));
	n->vip4_free++;
}

int nodes_init(struct nodes *n, const uint8_t prefix6[static 8],
	       const struct server_slice *slice)
{
	memset(n, 0, sizeof(*n));
	n->slice = *slice;
	n->vip4_used = calloc(slice_size(n) / 64, sizeof(uint64_t));
	if (!n->vip4_used)
		return -NTM_ENOMEM;
	n->vip4_free = slice_size(n);
	/* the first and the last address mean network and broadcast to some */
	vip4_mark(n, 0);
	vip4_mark(n, slice_size(n) - 1);
	ntmc_random(NULL, &n->vip4_cursor, sizeof(n->vip4_cursor));
	n->vip4_cursor %= slice_size(n);
	memcpy(n->prefix6, prefix6, sizeof(n->prefix6));
	keyhash_init(&n->hash);
	slab_init(&n->nodes, sizeof(struct node), NODES_MAX);
	slab_init(&n->sessions, sizeof(struct session), 2 * NODES_MAX);
	index_init(&n->by_id, hash_id, n);
	index_init(&n->by_fqdn, hash_fqdn, n);
	index_init(&n->by_account, hash_account, n);
	index_init(&n->by_fp, hash_fp, n);
	index_init(&n->by_vip6, hash_vip6, n);
	return 0;
}

static void node_free(struct node *node)
{
	free(node->fqdn);
	free(node->push);
}

void nodes_clear(struct nodes *n)
{
	for (uint32_t h = 1; h <= n->nodes.top; h++)
		node_free(nodes_at(n, h));
	for (uint32_t h = 1; h <= n->sessions.top; h++)
		ntmc_wipe(nodes_session(n, h), sizeof(struct session));
	slab_clear(&n->nodes);
	slab_clear(&n->sessions);
	index_clear(&n->by_id);
	index_clear(&n->by_fqdn);
	index_clear(&n->by_account);
	index_clear(&n->by_fp);
	index_clear(&n->by_vip6);
	free(n->vip4_used);
	n->vip4_used = NULL;
}

/* --- look-ups ------------------------------------------------------------------ */

uint32_t nodes_find(const struct nodes *n, const char *fqdn)
{
	uint32_t at, h = index_first(&n->by_fqdn, hash_text(n, fqdn), &at);

	while (h && strcmp(nodes_at(n, h)->fqdn, fqdn))
		h = index_next(&n->by_fqdn, &at);
	return h;
}

static uint64_t fp_head(const uint8_t *fp)
{
	uint64_t v;

	memcpy(&v, fp, sizeof(v));
	return v;
}

uint32_t nodes_find_fp(const struct nodes *n,
		       const uint8_t fp[static NTMC_FP_LEN])
{
	uint64_t head = fp_head(fp);
	uint32_t at, h;

	for (h = index_first(&n->by_fp, head, &at); h;
	     h = index_next(&n->by_fp, &at)) {
		uint8_t full[NTMC_FP_LEN];

		if (nodes_at(n, h)->fp8 != head)
			continue;
		ntmc_fingerprint(nodes_at(n, h)->ed_pub, full);
		if (!memcmp(full, fp, NTMC_FP_LEN))
			return h;
	}
	return 0;
}

uint32_t nodes_find_session(const struct nodes *n, uint64_t node_id)
{
	uint32_t at, h = index_first(&n->by_id, node_id, &at);

	while (h && nodes_session(n, h)->node_id != node_id)
		h = index_next(&n->by_id, &at);
	return h;
}

uint32_t nodes_find_account(const struct nodes *n, const char *name)
{
	uint32_t at, h = index_first(&n->by_account, hash_text(n, name), &at);

	while (h && strcmp(account_of(nodes_at(n, h)->fqdn), name))
		h = index_next(&n->by_account, &at);
	return h;
}

static bool vip6_taken(const struct nodes *n, uint64_t host)
{
	uint32_t at, h = index_first(&n->by_vip6, host, &at);

	while (h && nodes_at(n, h)->vip6_host != host)
		h = index_next(&n->by_vip6, &at);
	return h;
}

/* --- nodes ------------------------------------------------------------------- */

static void node_set_keys(struct nodes *n, uint32_t h,
			  const struct node_keys *k)
{
	struct node *node = nodes_at(n, h);
	uint8_t fp[NTMC_FP_LEN];

	memcpy(node->ed_pub, k->ed_pub, NTMC_KEY_LEN);
	memcpy(node->x_pub, k->x_pub, NTMC_KEY_LEN);
	memcpy(node->x_sig, k->x_sig, NTMC_SIG_LEN);
	ntmc_fingerprint(node->ed_pub, fp);
	node->fp8 = fp_head(fp);
}

static void node_draw_lease(struct nodes *n, struct node *node,
			    const struct node_keys *k)
{
	uint32_t i = k->vip4 - slice_base(n);

	node->vip6_host = k->vip6_host;
	while (!node->vip6_host ||
	       (!k->vip6_host && vip6_taken(n, node->vip6_host)))
		ntmc_random(NULL, &node->vip6_host, sizeof(node->vip6_host));
	if (!k->vip6_host)
		node->vip4 = vip4_draw(n);
	else if (k->vip4 && i < slice_size(n) && vip4_mark(n, i))
		node->vip4 = k->vip4;
}

/* the head of an account's list stands in the index; others hang behind it */
static int account_link(struct nodes *n, uint32_t h)
{
	struct node *node = nodes_at(n, h);
	uint32_t head = nodes_find_account(n, account_of(node->fqdn));

	if (!head)
		return index_add(&n->by_account, h);
	node->next_of_account = nodes_at(n, head)->next_of_account;
	nodes_at(n, head)->next_of_account = h;
	return 0;
}

static void account_unlink(struct nodes *n, uint32_t h)
{
	struct node *node = nodes_at(n, h);
	uint32_t p = nodes_find_account(n, account_of(node->fqdn));

	if (p == h) {
		index_del(&n->by_account, h);
		if (node->next_of_account &&
		    index_add(&n->by_account, node->next_of_account))
			return; /* cannot grow: the place was just freed */
		return;
	}
	while (p && nodes_at(n, p)->next_of_account != h)
		p = nodes_at(n, p)->next_of_account;
	if (p)
		nodes_at(n, p)->next_of_account = node->next_of_account;
}

static int node_new(struct nodes *n, const struct node_keys *k, uint32_t *out)
{
	uint32_t h = slab_add(&n->nodes);
	struct node *node;
	int r;

	if (!h)
		return -NTM_ELIMIT;
	node = nodes_at(n, h);
	node->fqdn = strdup(k->fqdn);
	if (!node->fqdn) {
		slab_del(&n->nodes, h);
		return -NTM_ENOMEM;
	}
	node_set_keys(n, h, k);
	node_draw_lease(n, node, k);
	r = index_add(&n->by_fqdn, h);
	if (r)
		goto err_node;
	r = index_add(&n->by_fp, h);
	if (r)
		goto err_fqdn;
	r = index_add(&n->by_vip6, h);
	if (r)
		goto err_fp;
	r = account_link(n, h);
	if (r)
		goto err_vip6;
	*out = h;
	return 0;
err_vip6:
	index_del(&n->by_vip6, h);
err_fp:
	index_del(&n->by_fp, h);
err_fqdn:
	index_del(&n->by_fqdn, h);
err_node:
	vip4_put(n, node->vip4);
	free(node->fqdn);
	slab_del(&n->nodes, h);
	return r;
}

int nodes_put(struct nodes *n, const struct node_keys *k, uint32_t *out)
{
	uint32_t h = nodes_find(n, k->fqdn);
	int r;

	if (!h)
		return node_new(n, k, out);
	if (memcmp(nodes_at(n, h)->ed_pub, k->ed_pub, NTMC_KEY_LEN)) {
		index_del(&n->by_fp, h);
		node_set_keys(n, h, k);
		r = index_add(&n->by_fp, h); /* a place was just freed */
		if (r)
			return r;
	} else {
		node_set_keys(n, h, k); /* the static key may be a new one */
	}
	*out = h;
	return 0;
}

void nodes_release(struct nodes *n, uint32_t h)
{
	struct node *node = nodes_at(n, h);

	if (node->session)
		nodes_drop_session(n, node->session);
	if (node->next)
		nodes_drop_session(n, node->next);
	account_unlink(n, h);
	index_del(&n->by_vip6, h);
	index_del(&n->by_fp, h);
	index_del(&n->by_fqdn, h);
	vip4_put(n, node->vip4);
	node_free(node);
	slab_del(&n->nodes, h);
}

/* --- sessions ------------------------------------------------------------------ */

int nodes_add_session(struct nodes *n, uint32_t h, uint64_t node_id,
		      const struct ntmc_key *kntmdc, enum ntmc_aead_alg aead,
		      uint32_t expires)
{
	struct node *node = nodes_at(n, h);
	struct datagram_keys keys;
	struct session *s;
	uint32_t sh;
	int r;

	if (nodes_find_session(n, node_id))
		return -NTM_EEXISTS;
	r = datagram_keys_derive(kntmdc, node_id, aead, &keys);
	if (r)
		return r;
	sh = slab_add(&n->sessions);
	if (!sh) {
		datagram_keys_clear(&keys);
		return -NTM_ENOMEM;
	}
	s = nodes_session(n, sh);
	s->node_id = node_id;
	s->up = keys.up;
	s->down = keys.down;
	s->aead = (uint8_t)aead;
	s->expires = expires;
	s->node = h;
	datagram_keys_clear(&keys);
	r = index_add(&n->by_id, sh);
	if (r) {
		slab_del(&n->sessions, sh);
		return r;
	}
	if (!node->session) {
		node->session = sh;
	} else {
		if (node->next) /* renewed twice without registering */
			nodes_drop_session(n, node->next);
		node->next = sh;
	}
	return 0;
}

void nodes_drop_session(struct nodes *n, uint32_t sh)
{
	struct session *s = nodes_session(n, sh);
	struct node *node = nodes_at(n, s->node);

	if (node->next == sh)
		node->next = 0;
	if (node->session == sh) {
		node->session = node->next;
		node->next = 0;
		node->flags &= (uint8_t)~NODE_PROVEN;
	}
	index_del(&n->by_id, sh);
	slab_del(&n->sessions, sh);
}

void nodes_vip6(const struct nodes *n, const struct node *node,
		uint8_t out[static 16])
{
	memcpy(out, n->prefix6, 8);
	for (int i = 0; i < 8; i++)
		out[8 + i] = (uint8_t)(node->vip6_host >> (56 - 8 * i));
}

void endpoint_to_addr(const struct endpoint *e, struct addr *out)
{
	/* v4-mapped becomes IPv4; 16 bytes are always accepted */
	if (addr_from_ip(e->ip, sizeof(e->ip), e->port, out))
		addr_clear(out);
}

bool endpoint_same_address(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && !memcmp(a->ip, b->ip, sizeof(a->ip));
}

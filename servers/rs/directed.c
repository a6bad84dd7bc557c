/* SPDX-License-Identifier: MIT */
/*
 * directed - what a DC has the relay do: paths, groups, withdrawals
 *
 * A path belongs to the DC that directed it, and stays when the link ends: its nodes
 * keep it.
 */
#include <string.h>

#include "servers/rs/state.h"

static bool take_proven(const Ntm__RelayEnd *m, uint64_t out[2])
{
	uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};

	memset(out, 0, 2 * sizeof(*out));
	if (!m->proven.len)
		return true;
	if (m->proven.len == 4)
		memcpy(ip + 12, m->proven.data, 4);
	else if (m->proven.len == 16)
		memcpy(ip, m->proven.data, 16);
	else
		return false;
	memcpy(out, ip, sizeof(ip));
	return true;
}

static int take_keys(const Ntm__RelayDirection *d, struct path_keys *k)
{
	struct ntmc_key kpunch;
	int r = 0;

	memcpy(kpunch.b, d->kpunch.data, NTMC_KEY_LEN);
	for (unsigned int i = 0; !r && i < 2; i++)
		r = datagram_punch_keys(&kpunch, d->path_id | i, k->aead,
					&k->end[i]);
	ntmc_key_clear(&kpunch);
	return r;
}

static int take_accounts(struct rs *rs, const Ntm__RelayDirection *d,
			 struct path_keys *k)
{
	int r = quota_get(&rs->quota, d->mn->account, &k->account[0]);

	if (r)
		return r;
	r = quota_get(&rs->quota, d->cn->account, &k->account[1]);
	if (r)
		quota_put(&rs->quota, k->account[0]);
	return r;
}

/* Directions cost whoever asks for them little, and fill the relay: of those that
 * nobody comes to, an account may have so many. */
static int put_path(struct rs *rs, const struct path_keys *k, uint32_t old[2])
{
	bool known = paths_find(&rs->paths, k->id);
	struct path *path;
	int r;

	old[0] = old[1] = 0;
	if (!known &&
	    quota_fresh(&rs->quota, k->account[0], 0) >= rs_fresh_max(rs)) {
		rs->idle_refused++;
		return -NTM_ELIMIT;
	}
	r = paths_put(&rs->paths, k, rs_now_s(rs), old);
	if (r || known)
		return r;
	path = paths_at(&rs->paths, paths_find(&rs->paths, k->id));
	path->fresh = k->account[0];
	quota_fresh(&rs->quota, path->fresh, 1);
	return 0;
}

int directed_path(struct rs *rs, unsigned int dc, const Ntm__RelayDirection *d)
{
	struct path_keys k = {.id = d->path_id,
			      .aead = (enum ntmc_aead_alg)d->aead,
			      .owner = (uint8_t)dc};
	uint32_t old[2];
	int r;

	if (!d->path_id || !take_proven(d->mn, k.proven[0]) ||
	    !take_proven(d->cn, k.proven[1]))
		return -NTM_EINVAL;
	if (rs->draining && !paths_find(&rs->paths, d->path_id))
		return -NTM_EAGAIN;
	r = take_keys(d, &k);
	if (!r)
		r = take_accounts(rs, d, &k);
	if (!r) {
		r = put_path(rs, &k, old);
		for (int i = 0; i < 2; i++)
			quota_put(&rs->quota, r ? k.account[i] : old[i]);
	}
	ntmc_wipe(&k, sizeof(k));
	rs->directions += !r;
	return r;
}

/* The account is held once by an epoch, however often it is directed. */
int directed_group(struct rs *rs, unsigned int dc, const Ntm__GroupDirection *d)
{
	struct group_direction g = {
		.tag = d->tag,
		.relay_key = d->relay_key.data,
		.bind_key = d->bind_key.data,
		.aead = (enum ntmc_aead_alg)d->aead,
		.places = d->places,
		.lifetime_s = d->lifetime_s,
		.owner = (uint8_t)dc,
	};
	struct group_here *h = groups_find(&rs->groups, d->tag);
	uint32_t old;
	int r;

	if (!d->lifetime_s) {
		if (h && h->owner == g.owner) {
			rs_group_gone(rs, h);
			groups_end(&rs->groups, h);
		}
		return 0;
	}
	if (!d->places)
		return -NTM_EINVAL;
	if (rs->draining && !h)
		return -NTM_EAGAIN;
	r = quota_get(&rs->quota, d->account, &g.account);
	if (r)
		return r;
	r = groups_put(&rs->groups, &g, rs_now_s(rs), &old);
	quota_put(&rs->quota, r ? g.account : old);
	rs->group_directions += !r;
	return r;
}

static bool is_of(const struct path *path, uint32_t account)
{
	return account && (atomic_load(&path->end[0].account) == account ||
			   atomic_load(&path->end[1].account) == account);
}

/* A walk over all places: rare, and a million of them take some milliseconds */
void directed_withdraw(struct rs *rs, unsigned int dc,
		       const Ntm__RelayWithdraw *w)
{
	uint32_t accounts[8], n = 0;

	for (size_t i = 0; i < w->n_accounts && n < 8; i++) {
		accounts[n] = quota_find(&rs->quota, w->accounts[i]);
		rs->withdrawals +=
			groups_end_account(&rs->groups, (uint8_t)dc,
					   accounts[n++], rs_group_gone, rs);
	}
	for (uint32_t h = 1; h <= rs->paths.top; h++) {
		struct path *path = paths_at(&rs->paths, h);

		for (uint32_t i = 0; i < n && atomic_load(&path->id); i++) {
			if (path->owner != dc || !is_of(path, accounts[i]))
				continue;
			rs_path_gone(rs, path);
			paths_remove(&rs->paths, h, rs_now_s(rs));
			rs->withdrawals++;
		}
	}
}

/* SPDX-License-Identifier: MIT */
/* punch_save - a peer's ends at relays, as the keeper has them for the next worker */
#include <string.h>

#include "broker/peer.h"
#include "broker/punch_impl.h"

size_t punch_save(const struct peer *p, struct punch_packed *out)
{
	size_t n = 0;

	for (size_t i = 0; i < PUNCHES_MAX; i++) {
		const struct punch *u = &p->punches.list[i];
		Ntm__State__Punch *m = &out->msg[n];

		if (!u->path_id)
			continue;
		ntm__state__punch__init(m);
		m->relay = u->relay.id;
		m->path_id = u->path_id;
		m->aead = u->aead;
		m->ktun.data = (uint8_t *)u->ktun.b;
		m->ktun.len = NTMC_KEY_LEN;
		m->n_addresses = u->relay.n;
		m->addresses = out->addrs[n];
		for (size_t j = 0; j < u->relay.n; j++) {
			/* the one in use first */
			size_t at = (u->at + j) % u->relay.n;
			uint8_t *b = out->bytes[n][j];

			out->addrs[n][j].data = b;
			out->addrs[n][j].len =
				statefile_addr_put(&u->relay.addrs[at], b);
		}
		out->list[n++] = m;
	}
	return n;
}

void punch_restore(struct peer *p, Ntm__State__Punch *const *list, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n && k < PUNCHES_MAX; i++) {
		const Ntm__State__Punch *m = list[i];
		struct punch *u = &p->punches.list[k];
		struct route_relay relay = {.id = m->relay};
		struct ntmc_key ktun;

		for (size_t j = 0; j < m->n_addresses; j++)
			if (relay.n < RELAY_ADDRS_MAX &&
			    !statefile_addr_get(&m->addresses[j],
						&relay.addrs[relay.n]))
				relay.n++;
		if (!relay.n || m->path_id < 2 || m->ktun.len != NTMC_KEY_LEN ||
		    (m->aead != NTMC_AES_256_GCM &&
		     m->aead != NTMC_CHACHA20_POLY1305))
			continue;
		memcpy(ktun.b, m->ktun.data, NTMC_KEY_LEN);
		if (!punch_fill(u, m->path_id, &relay, &ktun,
				(enum ntmc_aead_alg)m->aead))
			k++;
		ntmc_key_clear(&ktun);
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * relaywithdraw - accounts whose paths end, until each relay has acknowledged them
 *
 * Theory of operation
 *
 * Accounts are numbered as they come, in a ring; each relay has the
 * number that it has acknowledged, and gets the next ones, eight at once, every
 * 500 ms until it does. One that comes anew gets all there are: it may have paths that
 * are older than what we know of it. So do those that come after a restart, of what
 * the last process may not have told them (withdraw.c).
 *
 * Limits: a relay that has 1024 accounts to hear of loses the oldest.
 */
#include <string.h>

#include "common/log.h"
#include "servers/dc/groupdirect.h"
#include "servers/dc/relays_impl.h"

#define WITHDRAW_EVERY_NS     LOOP_MS(500)
#define RELAY_WITHDRAWN_BYTES 800 /* of names, then one more */

static char *account_at(struct relays *rs, uint64_t number)
{
	return rs->accounts[number % RELAY_WITHDRAWN_MAX];
}

/* how many of the next ones go into one datagram, with names of other domains */
static uint32_t fitting(struct relays *rs, const struct relay *r,
			uint64_t behind)
{
	size_t bytes = 0;
	uint32_t n = 0;

	while (n < behind && n < RELAY_WITHDRAWN_ONE &&
	       bytes < RELAY_WITHDRAWN_BYTES)
		bytes += strlen(account_at(rs, r->withdrawn + 1 + n++)) + 4;
	return n;
}

/* the next ones, or those again that it has not acknowledged */
static void tell_withdrawn(struct dc *dc, struct relay *r)
{
	Ntm__RelayWithdraw body = NTM__RELAY_WITHDRAW__INIT;
	char *accounts[RELAY_WITHDRAWN_ONE];
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	struct relays *rs = dc->relays;
	uint64_t behind = rs->withdrawn - r->withdrawn;

	if (behind > RELAY_WITHDRAWN_MAX) {
		log_warn("relays", "relay %u missed %llu withdrawn accounts",
			 r->number,
			 (unsigned long long)behind - RELAY_WITHDRAWN_MAX);
		behind = RELAY_WITHDRAWN_MAX;
		r->withdrawn = rs->withdrawn - behind;
		r->telling = 0;
	}
	if (!r->telling) {
		r->telling = fitting(rs, r, behind);
		r->withdraw_txn = WITHDRAW_TXN | (++rs->txn & ~GROUP_TXN);
	}
	for (uint32_t i = 0; i < r->telling; i++)
		accounts[i] = account_at(rs, r->withdrawn + 1 + i);
	body.n_accounts = r->telling;
	body.accounts = accounts;
	msg.txn = r->withdraw_txn;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_WITHDRAW;
	msg.relay_withdraw = &body;
	if (relay_send(dc, r, &r->at, &msg) &&
	    rs->sent < r->withdrawn + r->telling)
		rs->sent = r->withdrawn + r->telling;
}

void relays_withdraw_tick(void *arg)
{
	struct relays *rs = arg;
	struct dc *dc = rs->dc;
	bool again = false;

	for (size_t i = 0; i < RELAYS_MAX; i++) {
		struct relay *r = &rs->list[i];

		if (!r->number || r->withdrawn == rs->withdrawn ||
		    relay_is_silent(r, loop_now(dc->loop)))
			continue;
		tell_withdrawn(dc, r);
		again = true;
	}
	if (again)
		loop_timer_arm(rs->timer, WITHDRAW_EVERY_NS);
}

void relays_withdraw(struct dc *dc, const char *account)
{
	struct relays *rs = dc->relays;

	uint64_t i = rs->sent + 1;

	if (rs->withdrawn >= i + RELAY_WITHDRAWN_MAX)
		i = rs->withdrawn - RELAY_WITHDRAWN_MAX + 1;
	for (; i <= rs->withdrawn; i++) /* another device, in the same turn */
		if (!strcmp(account_at(rs, i), account))
			return;
	rs->withdrawn++;
	strcpy(account_at(rs, rs->withdrawn), account);
	loop_timer_arm(rs->timer, 0);
}

void relay_withdraw_acked(struct relays *rs, struct relay *r, uint32_t txn)
{
	if (!r->telling || txn != r->withdraw_txn)
		return;
	r->withdrawn += r->telling;
	r->telling = 0;
	if (r->withdrawn != rs->withdrawn)
		loop_timer_arm(rs->timer, 0);
}

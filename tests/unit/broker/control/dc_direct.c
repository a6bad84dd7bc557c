/* SPDX-License-Identifier: MIT */
/* dc_direct - the played DC's directions: which of two nodes sends, and by which relay */
#include "tests/unit/broker/control/dc_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void info_fill(const struct dc_member *m, Ntm__NodeInfo *info)
{
	info->fqdn = (char *)m->fqdn;
	info->ed_pub = (ProtobufCBinaryData){32, (uint8_t *)m->ed_pub};
	info->x_pub = (ProtobufCBinaryData){32, (uint8_t *)m->x_pub};
	info->x_sig = (ProtobufCBinaryData){64, (uint8_t *)m->x_sig};
	info->vip6 = (ProtobufCBinaryData){16, (uint8_t *)m->vip6};
	info->vip4 = (ProtobufCBinaryData){4, (uint8_t *)m->vip4};
}

/* CN has refused: MN hears why, and of a key that CN does not know CN's own */
static void refusal_send(struct dc_directed *d, int code)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;
	Ntm__NodeInfo info = NTM__NODE_INFO__INIT;

	info_fill(d->cn, &info);
	if (code == NTM_EPIN || code == NTM_EUNVERIFIED)
		ack.peer = &info;
	ack.code = (uint32_t)code;
	msg.txn = d->mn_txn;
	msg.body_case = NTM__SIGNAL__BODY_ACK;
	msg.ack = &ack;
	dc_signal(d->dc, d->mn, &msg, &d->mn->proven);
}

static void route_send(struct dc_directed *d, struct dc_member *to,
		       const struct dc_member *about, bool sender, uint32_t txn)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__RouteDirection r = NTM__ROUTE_DIRECTION__INIT;
	Ntm__NodeInfo info = NTM__NODE_INFO__INIT;
	Ntm__Address a[ADDR_REMOTES_MAX], *list[ADDR_REMOTES_MAX];
	Ntm__Address ra[2], *rlist[2];
	Ntm__Relay relay;

	info_fill(about, &info);
	addr_to_message(&about->proven, NTM__ADDRESS_KIND__ADDRESS_OBSERVED,
			&a[0]);
	for (size_t i = 0; i < about->n_locals; i++)
		addr_to_message(&about->locals[i],
				NTM__ADDRESS_KIND__ADDRESS_LOCAL, &a[i + 1]);
	info.n_addresses = about->n_locals + 1;
	for (size_t i = 0; i < info.n_addresses; i++)
		list[i] = &a[i];
	info.addresses = list;
	r.path_id = d->path_id;
	r.role = sender ? NTM__TUNNEL_ROLE__ROLE_SEND
			: NTM__TUNNEL_ROLE__ROLE_WAIT;
	r.peer = &info;
	r.ktun = (ProtobufCBinaryData){32, d->ktun.b};
	r.ktmp = (ProtobufCBinaryData){32, d->ktmp.b};
	r.aead = NTMC_AES_256_GCM;
	r.lifetime_s = 60;
	r.reason = d->move ? NTM__DIRECTION_REASON__DIRECTION_MOVE
			   : NTM__DIRECTION_REASON__DIRECTION_NEW;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_ROUTE_DIRECTION;
	r.end = (to == d->mn) != d->swapped ? NTM__TUNNEL_END__END_MN
					    : NTM__TUNNEL_END__END_CN;
	msg.route_direction = &r;
	if (d->rs) {
		rs_name(d->rs, &relay, ra, rlist);
		r.relay = &relay;
	}
	dc_signal(d->dc, to, &msg, &to->proven);
}

static void route_due(void *arg)
{
	struct dc_directed *d = arg;

	if (d->answered)
		return;
	if (d->tries++ < 4) {
		route_send(d, d->cn, d->mn, d->cn_sends, d->cn_txn);
		loop_timer_arm(d->timer, LOOP_MS(250));
		return;
	}
	d->answered = true;
	d->used = false;
	dc_code(d->dc, d->mn, d->mn_txn, NTM_EOFFLINE);
}

static struct dc_member *by_name(struct dc *dc, const char *fqdn)
{
	struct dc_member *found = NULL;

	for (size_t i = 0; i < dc->n; i++) {
		struct dc_member *m = &dc->members[i];

		if (!strcmp(m->fqdn, fqdn))
			return m;
		if (!strcmp(account_of(m->fqdn), fqdn) &&
		    addr_is_set(&m->proven))
			found = m;
	}
	return found;
}

static struct dc_directed *repeated(struct dc *dc, struct dc_member *mn,
				    uint32_t txn)
{
	for (size_t i = 0; i < DC_DIRECTIONS; i++)
		if (dc->directions[i].used && dc->directions[i].mn == mn &&
		    dc->directions[i].mn_txn == txn)
			return &dc->directions[i];
	return NULL;
}

static bool reachable(const struct dc_member *m)
{
	for (size_t i = 0; i < m->n_locals; i++)
		if (addr_equal(&m->locals[i], &m->proven))
			return true;
	return false;
}

static bool has_family(const struct dc_member *m, int family)
{
	for (size_t i = 0; i < m->n_locals; i++)
		if (m->locals[i].sa.sa_family == family)
			return true;
	return false;
}

static bool needs_relay(const struct dc_directed *d)
{
	bool shared =
		(has_family(d->mn, AF_INET) && has_family(d->cn, AF_INET)) ||
		(has_family(d->mn, AF_INET6) && has_family(d->cn, AF_INET6));

	return d->move || !shared || (!reachable(d->mn) && !reachable(d->cn));
}

/* The way, and the relay: another one than that of before. */
static void way_choose(struct dc *dc, struct dc_directed *d)
{
	struct rs *was = NULL;

	d->cn_sends = dc->cn_sends ||
		      (dc->wd->n_rs && reachable(d->mn) && !reachable(d->cn));
	for (size_t i = 0; i < DC_DIRECTIONS; i++)
		if (&dc->directions[i] != d &&
		    dc->directions[i].path_id == d->path_id)
			was = dc->directions[i].rs;
	d->rs = NULL;
	for (size_t i = 0; i < dc->wd->n_rs && needs_relay(d); i++)
		if (!rs_is_down(dc->wd->rs[i]) && (!d->rs || d->rs == was))
			d->rs = dc->wd->rs[i];
	if (d->rs)
		rs_direct(d->rs, d->path_id, &d->ktun,
			  d->swapped ? &d->cn->proven : &d->mn->proven,
			  d->swapped ? &d->mn->proven : &d->cn->proven);
}

void dc_direct(struct dc *dc, struct dc_member *mn, const Ntm__Signal *s)
{
	const Ntm__DirectionRequest *r = s->direction_request;
	struct dc_member *cn = by_name(dc, r->fqdn);
	struct dc_directed *d = repeated(dc, mn, s->txn);

	if (d) {
		if (d->answered)
			route_send(d, d->mn, d->cn, !d->cn_sends, d->mn_txn);
		return;
	}
	if (!cn || cn == mn) {
		dc_code(dc, mn, s->txn, cn ? NTM_EINVAL : NTM_ENONAME);
		return;
	}
	if (!addr_is_set(&cn->proven)) {
		dc_code(dc, mn, s->txn, NTM_EOFFLINE);
		return;
	}
	d = &dc->directions[dc->next++ % DC_DIRECTIONS];
	if (!d->timer)
		assert_int_equal(
			loop_timer_new(dc->wd->loop, route_due, d, &d->timer),
			0);
	d->dc = dc;
	d->used = true;
	d->answered = false;
	d->tries = 0;
	d->mn = mn;
	d->cn = cn;
	d->mn_txn = s->txn;
	d->cn_txn = ++dc->txn;
	d->move = r->reason == NTM__DIRECTION_REASON__DIRECTION_MOVE;
	ntmc_random(&dc->wd->crypto, &d->path_id, sizeof(d->path_id));
	d->path_id &= ~1ull;
	if (d->move && r->path_id)
		d->path_id = r->path_id & ~1ull;
	d->swapped = d->move && r->path_id & 1;
	ntmc_key_random(&dc->wd->crypto, &d->ktun);
	ntmc_key_random(&dc->wd->crypto, &d->ktmp);
	way_choose(dc, d);
	route_due(d);
}

void dc_directed(struct dc *dc, const struct dc_member *cn,
		 const Ntm__Signal *s)
{
	for (size_t i = 0; i < DC_DIRECTIONS; i++) {
		struct dc_directed *d = &dc->directions[i];

		if (!d->used || d->answered || d->cn != cn ||
		    d->cn_txn != s->txn)
			continue;
		d->answered = true;
		if (s->ack->code)
			refusal_send(d, (int)s->ack->code);
		else
			route_send(d, d->mn, d->cn, !d->cn_sends, d->mn_txn);
		d->used = !s->ack->code;
	}
}

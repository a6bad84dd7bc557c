/* SPDX-License-Identifier: MIT */
/* test_domains - the DC of another domain: keys, directions both ways, lies */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "far_site.h"
#include "servers/dc/meetings.h"
#include "servers/dc/state.h"

static const struct said natted, open_node = {.reachable = true};

/* --- we ask ---------------------------------------------------------------------- */

static void outward(void **state)
{
	const Ntm__RouteDirection *r, *told;

	(void)state;
	r = directed(CAROL);
	assert_string_equal(r->peer->fqdn, CAROL);
	assert_memory_equal(r->peer->ed_pub.data, far.node.ed_pub, 32);
	assert_memory_equal(r->peer->vip6.data, far.vip6, 16);
	assert_int_equal(r->peer->n_addresses, 1);
	assert_int_equal(r->role, NTM__TUNNEL_ROLE__ROLE_SEND);
	assert_int_equal(r->end, NTM__TUNNEL_END__END_MN);
	assert_string_equal(far.asked, CAROL);
	assert_string_equal(far.asker, mn.fqdn);
	assert_string_equal(far.direction->peer_direction->fqdn, CAROL);
	told = far.direction->peer_direction->route;
	assert_string_equal(told->peer->fqdn, mn.fqdn);
	assert_int_equal(told->role, NTM__TUNNEL_ROLE__ROLE_WAIT);
	assert_int_equal(told->end, NTM__TUNNEL_END__END_CN);
	assert_true(told->path_id == r->path_id);
	assert_memory_equal(told->ktun.data, r->ktun.data, 32);
	assert_memory_equal(told->ktmp.data, r->ktmp.data, 32);
	/* one key serves the next one; an account's name means its device */
	r = directed("carol." PLAYED_DOMAIN);
	assert_string_equal(r->peer->fqdn, CAROL);
	assert_int_equal(far.n_keys, 1);
}

static void refusals(void **state)
{
	(void)state;
	assert_int_equal(not_directed("desk.dora.example.com"), NTM_ENONAME);
	assert_int_equal(far.n_keys, 0);
	far.info_code = NTM_EOFFLINE;
	assert_int_equal(not_directed(CAROL), NTM_EOFFLINE);
	far.info_code = 0;
	far.ack_code = NTM_EPOLICY;
	assert_int_equal(not_directed(CAROL), NTM_EPOLICY);
}

/* it speaks for a node that is not its own */
static void outward_lies(void **state)
{
	(void)state;
	far.fqdn = "desk.bob." SITE_DOMAIN;
	assert_int_equal(not_directed(CAROL), NTM_ECONSTRAINT);
	far.fqdn = "desk.carol.example.com";
	assert_int_equal(not_directed(CAROL), NTM_ECONSTRAINT);
	far.fqdn = "desk.dora." PLAYED_DOMAIN; /* another than was asked for */
	assert_int_equal(not_directed(CAROL), NTM_ECONSTRAINT);
	far.fqdn = CAROL;
	far.vip6[5] ^= 1;
	assert_int_equal(not_directed(CAROL), NTM_ECONSTRAINT);
	far.vip6[5] ^= 1;
	far.vip4[0] = 10;
	assert_int_equal(not_directed(CAROL), NTM_ECONSTRAINT);
	far.vip4[0] = 198;
	far.sig[3] ^= 1;
	assert_int_equal(not_directed(CAROL), NTM_ECONSTRAINT);
	far.sig[3] ^= 1;
	assert_int_equal(far.n_directions, 0);
	assert_int_equal(refused(), 6);
	directed(CAROL);
	/* where somebody else is, when its node agrees */
	far.agrees_as = "desk.dora." PLAYED_DOMAIN;
	assert_int_equal(directed(CAROL)->peer->n_addresses, 0);
}

/* a Path ID that MN names is one that either DC drew for these two, or another is */
static void named_path(void **state)
{
	const Ntm__PeerDirection *told;
	uint64_t own, strange = UINT64_C(0x1122334455667788);

	(void)state;
	own = directed(CAROL)->path_id;
	assert_true(moved(&mn, CAROL, own)->path_id == own);
	told = far.direction->peer_direction;
	assert_false(told->check_path);
	assert_int_equal(moved(&mn, CAROL, own | 1)->end,
			 NTM__TUNNEL_END__END_CN);
	/* ours, but of others */
	assert_true(moved(&cn, CAROL, own)->path_id == own);
	assert_true(far.direction->peer_direction->check_path);
	far.path_code = NTM_EEXISTS;
	assert_true(moved(&cn, CAROL, own)->path_id != own);
	told = far.direction->peer_direction;
	assert_false(told->check_path);
	assert_true(told->route->path_id != own);
	/* its DC drew it */
	far.path_code = 0;
	assert_true(moved(&mn, CAROL, strange | 1)->path_id == strange);
	told = far.direction->peer_direction;
	assert_true(told->check_path);
	assert_int_equal(told->route->end, NTM__TUNNEL_END__END_MN);
}

static void silent_ask(const char *fqdn, Ntm__DirectionRequest *q,
		       Ntm__Signal *msg)
{
	ntm__direction_request__init(q);
	ntm__signal__init(msg);
	q->fqdn = (char *)fqdn;
	q->aead = NTMC_AES_256_GCM;
	msg->txn = mn.asked = ++mn.txn;
	msg->body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg->direction_request = q;
}

static bool mn_told(void *arg)
{
	(void)arg;
	return mn.got && mn.got->txn == mn.asked;
}

/* the other DC was restarted: it has no keys, and gets new ones by itself */
static void restarted(void **state)
{
	Ntm__DirectionRequest q;
	Ntm__Signal msg;

	(void)state;
	directed(CAROL);
	played_dc_forget(&far);
	silent_ask(CAROL, &q, &msg);
	peer_send(&mn, &msg);
	assert_true(site_wait(&site, mn_told, NULL));
	assert_int_equal(mn.got->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	assert_int_equal(far.n_keys, 2);
}

/* no node of either side can be reached: our relay, and whose accounts meet there */
static void relayed(void **state)
{
	const Ntm__RouteDirection *r;

	(void)state;
	played_start(&rs);
	come(&mn, &natted);
	far.reachable = false;
	r = directed(CAROL);
	assert_non_null(r->relay);
	assert_true(r->relay->id == rs.now.id);
	assert_non_null(far.direction->peer_direction->route->relay);
	assert_string_equal(rs.accounts[0], "alice");
	assert_string_equal(rs.accounts[1], "carol." PLAYED_DOMAIN);
	/* its DC does not say where it is before it has agreed */
	assert_int_equal(rs.proven_len[0], 4);
	assert_int_equal(rs.proven_len[1], 0);
	/* one that refuses, and no other: the direct way alone */
	rs.code = NTM_ELIMIT;
	r = directed(CAROL);
	assert_null(r->relay);
}

/* --- they ask ------------------------------------------------------------------------ */

static void inward(void **state)
{
	const Ntm__NodeInformation *i;

	(void)state;
	assert_int_equal(played_dc_link(&far), 0);
	i = inform("bob." SITE_DOMAIN, CAROL);
	assert_int_equal(i->code, 0);
	assert_string_equal(i->node->fqdn, cn.fqdn);
	assert_true(i->reachable);
	assert_int_equal(i->families, 1);
	/* who it is, and not where, before it has agreed */
	assert_int_equal(i->node->n_addresses, 0);
	assert_int_equal(direct_in(cn.fqdn), 0);
	assert_string_equal(far.got->ack->peer->fqdn, cn.fqdn);
	assert_true(far.got->ack->peer->n_addresses > 0);
	assert_non_null(cn.route_wait);
	assert_string_equal(cn.route_wait->route_direction->peer->fqdn, CAROL);
	cn.cn_code = NTM_EPOLICY;
	assert_int_equal(direct_in(cn.fqdn), NTM_EPOLICY);
	assert_null(far.got->ack->peer);
	assert_int_equal(inform("desk.dora." SITE_DOMAIN, CAROL)->code,
			 NTM_ENONAME);
}

/* their node names a Path ID that we are to have drawn */
static void inward_path(void **state)
{
	uint64_t own = directed(CAROL)->path_id, strange = in_path;

	(void)state;
	assert_int_equal(played_dc_link(&far), 0);
	in_check = true;
	assert_int_equal(direct_in(mn.fqdn), NTM_EEXISTS);
	in_path = own;
	assert_int_equal(direct_in(mn.fqdn), 0);
	assert_int_equal(direct_in(cn.fqdn), NTM_EEXISTS);
	assert_null(cn.route_wait);
	in_path = strange;
	in_check = false;
	assert_int_equal(direct_in(cn.fqdn), 0);
}

static void inward_lies(void **state)
{
	(void)state;
	assert_int_equal(played_dc_link(&far), 0);
	assert_int_equal(inform(cn.fqdn, "desk.dora.example.com")->code,
			 NTM_EPERM);
	far.fqdn = "desk.dora.example.com";
	assert_int_equal(direct_in(cn.fqdn), NTM_EPERM);
	far.fqdn = mn.fqdn;
	assert_int_equal(direct_in(cn.fqdn), NTM_EPERM);
	far.fqdn = "carol." PLAYED_DOMAIN; /* no device */
	assert_int_equal(direct_in(cn.fqdn), NTM_EPERM);
	far.fqdn = CAROL;
	far.vip6[4] ^= 1;
	assert_int_equal(direct_in(cn.fqdn), NTM_EPERM);
	far.vip6[4] ^= 1;
	far.sig[0] ^= 1;
	assert_int_equal(direct_in(cn.fqdn), NTM_EAUTH);
	assert_null(cn.route_wait);
	assert_int_equal(refused(), 6);
}

static void rate(void **state)
{
	const Ntm__NodeInformation *i;
	unsigned int n = 0;

	(void)state;
	site.conf.dc_peer_rate = 5;
	assert_int_equal(played_dc_link(&far), 0);
	do
		i = inform(cn.fqdn, CAROL);
	while (!i->code && ++n < 50);
	assert_int_equal(i->code, NTM_ELIMIT);
	assert_true(i->retry_after_ms > 0);
	assert_true(n >= 5 && n < 10);
}

/* --- whom we believe ------------------------------------------------------------------- */

static void unknown(void **state)
{
	(void)state;
	assert_int_not_equal(played_dc_link(&far), 0);
	assert_int_equal(not_directed(CAROL), NTM_ENONAME);
}

/* the DC there shows another CA than the one that was added */
static void wrong_ca(void **state)
{
	json_t *d;

	(void)state;
	far.pki->ca_fp[9] ^= 1;
	assert_string_equal(played_dc_add(&far), "");
	assert_int_equal(not_directed(CAROL), NTM_EPIN);
	assert_int_equal(far.n_keys, 0);
	assert_int_not_equal(played_dc_link(&far), 0);
	d = first_domain();
	assert_string_equal(json_string_value(json_object_get(d, "state")),
			    "failed");
	assert_non_null(strstr(json_string_value(json_object_get(d, "why")),
			       "another CA"));
	json_decref(d);
}

static void overlaps(void **state)
{
	struct played_dc other;

	(void)state;
	/* the same addresses under another name */
	played_dc_new(&other, &site, "example.com");
	memcpy(other.pki->ca_fp, far.pki->ca_fp, NTMC_FP_LEN);
	assert_non_null(strstr(played_dc_add(&other), "overlaps the peer"));
	/* ours */
	memcpy(other.pki->ca_fp, site.ca_fp, NTMC_FP_LEN);
	assert_non_null(strstr(played_dc_add(&other), "server's own"));
	played_dc_free(&other);
	played_dc_new(&other, &site, "sub." PLAYED_DOMAIN);
	assert_non_null(strstr(played_dc_add(&other), "its name"));
	played_dc_free(&other);
	played_dc_new(&other, &site, "sub." SITE_DOMAIN);
	assert_non_null(strstr(played_dc_add(&other), "server's own"));
	played_dc_free(&other);
	directed(CAROL);
}

static void durable(void **state)
{
	(void)state;
	site_stop_dc(&site);
	site_start_dc(&site);
	site_wait_link(&site);
	come(&mn, &open_node);
	directed(CAROL);
}

/* --- nodes get the CA -------------------------------------------------------------------------- */

static const Ntm__DomainInformation *domain_information(const char *name)
{
	Ntm__DomainRequest body = NTM__DOMAIN_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const Ntm__Signal *s = NULL;

	body.name = (char *)name;
	msg.txn = ++mn.txn;
	msg.body_case = NTM__SIGNAL__BODY_DOMAIN_REQUEST;
	msg.domain_request = &body;
	for (int i = 0; i < 3 && !s; i++)
		s = peer_call(&mn, &msg);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_DOMAIN_INFORMATION);
	return s->domain_information;
}

static void ca(void **state)
{
	const Ntm__DomainInformation *i;

	(void)state;
	i = domain_information(CAROL);
	assert_int_equal(i->code, 0);
	assert_string_equal(i->domain, PLAYED_DOMAIN);
	assert_int_equal(i->ca.len, far.pki->ca_len);
	assert_memory_equal(i->ca.data, far.pki->ca_der, i->ca.len);
	assert_int_equal(domain_information(PLAYED_DOMAIN)->code, 0);
	assert_int_equal(domain_information("desk.dora.example.com")->code,
			 NTM_ENONAME);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin_added, end)
#define U(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(outward), T(refusals),   T(outward_lies), T(restarted),
		T(relayed), T(inward),	   T(inward_lies),  T(rate),
		U(unknown), U(wrong_ca),   T(overlaps),	    T(durable),
		T(ca),	    T(named_path), T(inward_path),
	};

	return cmocka_run_group_tests_name("domains", tests, NULL, NULL);
}

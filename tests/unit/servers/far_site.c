/* SPDX-License-Identifier: MIT */
/* far_site - a site with two nodes, and the DC of another domain, played */
#include "far_site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "servers/dc/domains.h"

static const struct said open_node = {.reachable = true};
struct played_dc far;

int begin(void **state)
{
	setup(state);
	played_dc_new(&far, &site, PLAYED_DOMAIN);
	come(&mn, &open_node);
	come(&cn, &open_node);
	return 0;
}

int begin_added(void **state)
{
	begin(state);
	assert_string_equal(played_dc_add(&far), "");
	return 0;
}

int end(void **state)
{
	played_dc_free(&far);
	return teardown(state);
}

json_t *first_domain(void)
{
	json_t *all = domains_admin(site.dc);
	json_t *one = json_incref(json_array_get(all, 0));

	json_decref(all);
	return one;
}

long long refused(void)
{
	json_t *d = first_domain();
	long long n = json_integer_value(json_object_get(d, "refused"));

	json_decref(d);
	return n;
}

const Ntm__RouteDirection *directed(const char *fqdn)
{
	const Ntm__Signal *s = peer_direction(&mn, fqdn);

	assert_non_null(s);
	if (s->body_case == NTM__SIGNAL__BODY_ACK)
		fail_msg("code %u", s->ack->code);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	return s->route_direction;
}

uint32_t not_directed(const char *fqdn)
{
	const Ntm__Signal *s = peer_direction(&mn, fqdn);

	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ACK);
	return s->ack->code;
}

const Ntm__RouteDirection *moved(struct peer *p, const char *fqdn,
				 uint64_t path_id)
{
	Ntm__DirectionRequest q = NTM__DIRECTION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const Ntm__Signal *s;

	q.fqdn = (char *)fqdn;
	q.aead = NTMC_AES_256_GCM;
	q.reason = NTM__DIRECTION_REASON__DIRECTION_MOVE;
	q.path_id = path_id;
	msg.txn = p->asked = ++p->txn;
	msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg.direction_request = &q;
	s = peer_call(p, &msg);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	return s->route_direction;
}

const Ntm__NodeInformation *inform(const char *fqdn, const char *asker)
{
	Ntm__NodeInformationRequest body = NTM__NODE_INFORMATION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const Ntm__Signal *s;

	body.fqdn = (char *)fqdn;
	body.asker = (char *)asker;
	msg.body_case = NTM__SIGNAL__BODY_NODE_INFORMATION_REQUEST;
	msg.node_information_request = &body;
	s = played_dc_answer(&far, played_dc_send(&far, &far.out, &msg));
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_NODE_INFORMATION);
	return s->node_information;
}

uint64_t in_path = UINT64_C(0x1122334455667788);
bool in_check;

uint32_t direct_in(const char *fqdn)
{
	static uint8_t key[NTMC_KEY_LEN] = {1};
	Ntm__PeerDirection body = NTM__PEER_DIRECTION__INIT;
	Ntm__RouteDirection route = NTM__ROUTE_DIRECTION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__NodeInfo info;
	const Ntm__Signal *s;

	played_dc_info(&far, &info);
	route.path_id = in_path;
	route.role = NTM__TUNNEL_ROLE__ROLE_WAIT;
	route.end = NTM__TUNNEL_END__END_CN;
	route.ktun = route.ktmp = (ProtobufCBinaryData){NTMC_KEY_LEN, key};
	route.aead = NTMC_AES_256_GCM;
	route.lifetime_s = 60;
	route.peer = &info;
	body.fqdn = (char *)fqdn;
	body.route = &route;
	body.check_path = in_check;
	msg.body_case = NTM__SIGNAL__BODY_PEER_DIRECTION;
	msg.peer_direction = &body;
	s = played_dc_answer(&far, played_dc_send(&far, &far.out, &msg));
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ACK);
	return s->ack->code;
}

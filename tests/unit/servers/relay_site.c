/* SPDX-License-Identifier: MIT */
/* relay_site - a site with two nodes and two relays, and how they come to the DC */
#include "relay_site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct site site;
struct peer mn, cn;
struct played_rs rs, rs2;

int setup(void **state)
{
	(void)state;
	site_new(&site);
	site_add_account(&site, "alice");
	site_add_account(&site, "bob");
	peer_new(&mn, &site, "laptop");
	peer_new(&cn, &site, "desk");
	assert_int_equal(peer_login(&mn, "alice", SITE_PASSWORD), 0);
	assert_int_equal(peer_login(&cn, "bob", SITE_PASSWORD), 0);
	played_new(&rs, &site, NTMC_ROLE_RS);
	played_new(&rs2, &site, NTMC_ROLE_RS);
	return 0;
}

int teardown(void **state)
{
	(void)state;
	played_free(&rs);
	played_free(&rs2);
	peer_free(&mn);
	peer_free(&cn);
	site_free(&site);
	return 0;
}

struct relay *relay_of(const struct played_rs *p)
{
	struct relay *r = relays_find_id(site.dc, p->now.id);

	assert_non_null(r);
	return r;
}

struct node *node_of(const struct peer *p)
{
	uint32_t h = nodes_find(&site.dc->nodes, p->fqdn);

	assert_true(h);
	return nodes_at(&site.dc->nodes, h);
}

static uint16_t port_of(const struct peer *p)
{
	struct sockaddr_in in4;
	socklen_t len = sizeof(in4);

	assert_int_equal(getsockname(p->fd, (struct sockaddr *)&in4, &len), 0);
	return ntohs(in4.sin_port);
}

static const Ntm__RegistrationResponse *
registration(struct peer *p, const struct said *said, const uint8_t *challenge)
{
	const struct played_rs *both[2] = {&rs, &rs2};
	Ntm__RegistrationRequest q = NTM__REGISTRATION_REQUEST__INIT;
	Ntm__RelayRtt rtt[2], *rtts[2];
	Ntm__Address a[2], *addrs[2];
	const Ntm__RegistrationResponse *r;
	struct addr addr[2];
	size_t n = 0;

	if (said->reachable)
		assert_int_equal(
			addr_parse("127.0.0.1", port_of(p), &addr[n++]), 0);
	if (said->other)
		assert_int_equal(addr_parse(said->other, 4500, &addr[n++]), 0);
	for (size_t i = 0; i < n; i++) {
		ntm__address__init(&a[i]);
		addr_to_message(&addr[i], NTM__ADDRESS_KIND__ADDRESS_LOCAL,
				&a[i]);
		addrs[i] = &a[i];
	}
	q.n_addresses = n;
	q.addresses = addrs;
	for (int i = 0; i < 2; i++) {
		if (!said->rtt_us[i])
			continue;
		ntm__relay_rtt__init(&rtt[i]);
		rtt[i].id = i || !said->id ? both[i]->now.id : said->id;
		rtt[i].rtt_us = said->rtt_us[i];
		rtts[q.n_relays++] = &rtt[i];
	}
	q.relays = rtts;
	q.mapping = NTM__NAT_MAPPING__MAPPING_DEPENDENT;
	r = peer_registration(p, &q, challenge);
	assert_int_equal(r->code, 0);
	return r;
}

const Ntm__RegistrationResponse *come(struct peer *p, const struct said *said)
{
	const Ntm__RegistrationResponse *r = registration(p, said, NULL);
	uint8_t challenge[16];

	if (r->challenge.len) {
		assert_int_equal(r->n_relays, 0);
		memcpy(challenge, r->challenge.data, sizeof(challenge));
		r = registration(p, said, challenge);
		assert_int_equal(r->challenge.len, 0);
	}
	return r;
}

void both_come(const struct said *a, const struct said *b)
{
	come(&mn, a);
	come(&cn, b);
}

static bool no_link(void *arg)
{
	return !relay_of(arg)->channel;
}

void cut_link(struct played_rs *p)
{
	channel_close(p->channel);
	assert_true(site_wait(&site, no_link, p));
}

json_t *relays_status(size_t *n)
{
	json_t *st = dc_admin(site.dc, "status", NULL);

	*n = json_array_size(json_object_get(st, "relays"));
	return st;
}

size_t n_relays(void)
{
	size_t n;

	json_decref(relays_status(&n));
	return n;
}

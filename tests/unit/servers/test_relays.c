/* SPDX-License-Identifier: MIT */
/* test_relays - relays at the DC: links, keys, what nodes are told, withdrawals */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "relay_site.h"
#include "servers/enrol.h"
#include "servers/removed.h"

#define DAY INT64_C(86400)

static const struct said natted;

static json_t *status(size_t *n)
{
	json_t *st = dc_admin(site.dc, "status", NULL);

	*n = json_array_size(json_object_get(st, "relays"));
	return st;
}

static size_t n_relays(void)
{
	size_t n;

	json_decref(status(&n));
	return n;
}

/* --- certificates ------------------------------------------------------------------ */

static void ask_certificate(struct played_rs *p, const uint8_t *der, size_t len)
{
	Ntm__CertificateRequest q = NTM__CERTIFICATE_REQUEST__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;

	q.certificate = (ProtobufCBinaryData){len, (uint8_t *)der};
	msg.txn = 4711;
	msg.body_case = NTM__ENVELOPE__BODY_CERTIFICATE_REQUEST;
	msg.certificate_request = &q;
	assert_int_equal(channel_send(p->channel, &msg), 0);
}

/* by the DC, from the AS; the keys stay */
static void certificate_renewed(void **state)
{
	struct ntmc_cert was, is;

	(void)state;
	played_start(&rs);
	ask_certificate(&rs, rs.cert, rs.cert_len);
	assert_true(played_wait(&rs, &rs.n_certs, 1));
	assert_int_equal(rs.cert_txn, 4711);
	assert_int_equal(rs.cert_code, 0);
	assert_int_equal(ntmc_cert_parse(rs.cert, rs.cert_len, &was), 0);
	assert_int_equal(ntmc_trust_verify(site.dc->cert.trust, rs.fresh,
					   rs.fresh_len, loop_wall(site.loop),
					   &is),
			 0);
	assert_memory_equal(is.ed_pub, was.ed_pub, NTMC_KEY_LEN);
	assert_int_equal(is.roles, NTMC_ROLE_RS);
	assert_true(is.not_after > was.not_after + 360 * 86400);
	/* another one's is nobody's affair */
	played_start(&rs2);
	ask_certificate(&rs2, rs.cert, rs.cert_len);
	assert_true(site_wait(&site, played_is_closed, &rs2));
	assert_int_equal(rs2.n_certs, 0);
}

/* Neither what the AS gives, nor what is no relay's, nor what has run out. */
static void certificate_refused(void **state)
{
	uint8_t der[NTMC_CERT_MAX], fresh[NTMC_CERT_MAX];
	int64_t now = loop_wall(site.loop);
	char key[128], pem[128];
	struct ntmc_identity id;
	struct ntmc_ca *ca;

	(void)state;
	snprintf(key, sizeof(key), "%s/as/ca.key", site.dir);
	snprintf(pem, sizeof(pem), "%s/as/ca.pem", site.dir);
	assert_int_equal(ntmc_ca_load(key, pem, &ca), 0);
	ntmc_identity_new(NULL, &id);
#define RENEW(roles, made, at)                                                 \
	({                                                                     \
		ProtobufCBinaryData old = {sizeof(der), der};                  \
		size_t len = sizeof(fresh);                                    \
		assert_int_equal(servercert_issue(ca, SITE_DOMAIN, roles, &id, \
						  made, der, &old.len),        \
				 0);                                           \
		enrol_renew(site.dir, ca, site.dc->cert.trust, &old, at,       \
			    fresh, &len);                                      \
	})
	assert_int_equal(RENEW(NTMC_ROLE_RS, now, now), -NTM_EEXISTS);
	assert_int_equal(RENEW(NTMC_ROLE_RS, now, now + 183 * DAY), 0);
	assert_int_equal(RENEW(NTMC_ROLE_NS, now, now + 364 * DAY), 0);
	assert_int_equal(RENEW(NTMC_ROLE_RS, now, now + 366 * DAY),
			 -NTM_EEXPIRED);
	assert_int_equal(RENEW(NTMC_ROLE_DC, now, now + 183 * DAY), -NTM_EPERM);
	assert_int_equal(
		RENEW(NTMC_ROLE_RS | NTMC_ROLE_AS, now, now + 183 * DAY),
		-NTM_EPERM);
#undef RENEW
	ntmc_identity_clear(&id);
	ntmc_ca_free(ca);
}

static void remove_relay(const struct played_rs *p)
{
	uint8_t fp[NTMC_FP_LEN];

	ntmc_fingerprint(p->id.ed_pub, fp);
	assert_false(removed_has(site.dir, fp));
	assert_int_equal(removed_add(site.dir, fp), 0);
	assert_int_equal(removed_add(site.dir, fp), 0);
	assert_true(removed_has(site.dir, fp));
}

/* A relay that was stolen: nothing more for it, and no other one is disturbed. */
static void relay_removed(void **state)
{
	json_t *answer;
	char path[128];

	(void)state;
	played_start(&rs);
	played_start(&rs2);
	remove_relay(&rs);
	/* the AS knows by itself */
	ask_certificate(&rs, rs.cert, rs.cert_len);
	assert_true(played_wait(&rs, &rs.n_certs, 1));
	assert_int_equal(rs.cert_code, NTM_EDISABLED);
	assert_int_equal(rs.fresh_len, 0);
	answer = dc_admin(site.dc, "removed", NULL);
	assert_int_equal(json_integer_value(json_object_get(answer, "ended")),
			 1);
	json_decref(answer);
	assert_true(site_wait(&site, played_is_closed, &rs));
	assert_false(relay_is_usable(site.dc, relay_of(&rs)));
	assert_true(relay_is_usable(site.dc, relay_of(&rs2)));
	played_connect(&rs);
	assert_true(site_wait(&site, played_is_closed, &rs));
	assert_int_equal(rs.n_keys, 1);
	assert_true(relay_is_usable(site.dc, relay_of(&rs2)));
	/* a file that is damaged lets nobody in */
	snprintf(path, sizeof(path), "%s/removed", site.dir);
	assert_int_equal(file_write(path, "x", 1, 0600), 0);
	cut_link(&rs2);
	played_connect(&rs2);
	assert_true(site_wait(&site, played_is_closed, &rs2));
}

/* --- links and keys --------------------------------------------------------------- */

static bool key_is_used(void *arg)
{
	struct played_rs *p = arg;

	return relay_id(relay_of(p)) == p->now.id;
}

static void key_sharing(void **state)
{
	struct relay *r;
	uint64_t first;
	json_t *st, *j;
	size_t n;

	(void)state;
	played_start(&rs);
	assert_true(rs.ack_boot == site.dc->boot);
	st = status(&n);
	assert_int_equal(n, 1);
	j = json_array_get(json_object_get(st, "relays"), 0);
	assert_true(json_is_true(json_object_get(j, "link")));
	assert_true(json_is_true(json_object_get(j, "usable")));
	assert_int_equal(json_integer_value(json_object_get(j, "paths")), 7);
	json_decref(st);
	/* half of its life later: another key, another id */
	r = relay_of(&rs);
	first = rs.now.id;
	relays_sweep(site.dc, loop_now(site.loop) + LOOP_S(43199));
	assert_int_equal(loop_turn(site.loop, false), 0);
	assert_int_equal(rs.n_keys, 1);
	relays_sweep(site.dc, loop_now(site.loop) + LOOP_S(43201));
	assert_true(played_wait(&rs, &rs.n_keys, 2));
	assert_true(rs.now.id != first);
	assert_true(site_wait(&site, key_is_used, &rs)); /* acknowledged */
	/* nodes may still say the old one */
	assert_ptr_equal(relays_find_id(site.dc, first), r);
	/* not acknowledged in half a minute: it has no use for a DC */
	rs.keep_key = true;
	relays_sweep(site.dc, loop_now(site.loop) + LOOP_S(43201));
	assert_true(played_wait(&rs, &rs.n_keys, 3));
	relays_sweep(site.dc, loop_now(site.loop) + LOOP_S(31));
	assert_true(site_wait(&site, played_is_closed, &rs));
}

/* a key that is not acknowledged yet is taken when the relay uses it */
static void key_used_first(void **state)
{
	(void)state;
	rs.keep_key = true;
	played_start(&rs);
	assert_true(relay_id(relay_of(&rs)) == rs.now.id);
}

static bool registers_under(struct played_rs *p, struct played_key *k,
			    bool draining)
{
	Ntm__RelayRegistration body = NTM__RELAY_REGISTRATION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	body.draining = draining;
	msg.txn = 98;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_REGISTRATION;
	msg.relay_registration = &body;
	played_send(p, k, &msg);
	return played_wait(p, &p->n_acks, p->n_acks + 1);
}

static void link_replaced(void **state)
{
	uint64_t first;

	(void)state;
	played_start(&rs);
	first = rs.now.id;
	played_start(&rs);
	assert_true(rs.now.id != first);
	assert_int_equal(n_relays(), 1);
	assert_true(relay_id(relay_of(&rs)) == rs.now.id);
	/* what was under way under the old key arrives, but decides nothing */
	assert_true(registers_under(&rs, &rs.before, true));
	assert_true(relay_is_usable(site.dc, relay_of(&rs)));
	/* not for long */
	relays_sweep(site.dc, loop_now(site.loop) + LOOP_S(61));
	assert_false(registers_under(&rs, &rs.before, true));
	/* what a node measured under the old id counts */
	come(&mn, &(struct said){.rtt_us = {12345}, .id = first});
	assert_int_equal(node_of(&mn)->relays[0].relay, relay_of(&rs)->number);
	assert_int_equal(node_of(&mn)->relays[0].rtt, 123);
	assert_int_equal(relay_of(&rs)->rtt_us, 12345);
}

static void forgotten(void **state)
{
	uint64_t now;

	(void)state;
	played_start(&rs);
	cut_link(&rs);
	now = loop_now(site.loop);
	relays_sweep(site.dc, now + LOOP_S(590));
	assert_int_equal(n_relays(), 1);
	relays_sweep(site.dc, now + LOOP_S(620));
	assert_int_equal(n_relays(), 0);
	played_start(&rs);
	assert_int_equal(n_relays(), 1);
}

static void wrong_role(void **state)
{
	static const uint32_t roles[] = {NTMC_ROLE_DC,
					 NTMC_ROLE_CS | NTMC_ROLE_GMS};
	struct played_rs p;

	(void)state;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		played_new(&p, &site, roles[i]);
		played_connect(&p);
		assert_true(site_wait(&site, played_is_closed, &p));
		assert_int_equal(p.n_keys, 0);
		assert_int_equal(n_relays(), 0);
		played_free(&p);
	}
	site_wait_link(&site); /* the AS's is not disturbed */
}

/* a relay says nothing that only an AS may say */
static void not_an_as(void **state)
{
	Ntm__Revocation q = NTM__REVOCATION__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	uint8_t fp[NTMC_FP_LEN];
	ProtobufCBinaryData list[1] = {{sizeof(fp), fp}};

	(void)state;
	come(&cn, &natted);
	played_start(&rs);
	ntmc_fingerprint(cn.id.ed_pub, fp);
	q.n_fingerprints = 1;
	q.fingerprints = list;
	msg.txn = 1;
	msg.body_case = NTM__ENVELOPE__BODY_REVOCATION;
	msg.revocation = &q;
	assert_int_equal(channel_send(rs.channel, &msg), 0);
	assert_true(site_wait(&site, played_is_closed, &rs));
	assert_int_equal(site_dc_number(&site, "revocation_serial"), 0);
	assert_int_equal(cn.n_withdraw, 0);
}

static void replay_and_forgery(void **state)
{
	struct played_key bent;

	(void)state;
	played_start(&rs);
	/* the same counter again */
	rs.now.counter--;
	assert_false(played_register(&rs));
	assert_true(played_register(&rs));
	/* under a key of one's own */
	bent = rs.now;
	bent.keys.up.b[0] ^= 1;
	assert_false(registers_under(&rs, &bent, true));
	assert_false(relay_of(&rs)->draining);
	/* one that comes late is answered, and changes nothing */
	bent = rs.now;
	rs.now.counter += 5;
	assert_true(played_register(&rs));
	assert_true(registers_under(&rs, &bent, true));
	assert_false(relay_of(&rs)->draining);
	/* and under an id that nobody has */
	bent = rs.now;
	bent.id ^= 2;
	assert_false(registers_under(&rs, &bent, true));
}

/* nodes are not sent where nobody should be */
static void bad_address(void **state)
{
	(void)state;
	played_start(&rs);
	rs.address = "224.0.0.1";
	site.conf.dc_loopback = false;
	assert_true(played_register(&rs));
	assert_int_equal(rs.ack_code, NTM_EINVAL);
	assert_int_equal(come(&mn, &natted)->n_relays, 0);
	rs.address = "192.0.2.7";
	assert_true(played_register(&rs));
	assert_int_equal(rs.ack_code, 0);
	assert_int_equal(come(&mn, &natted)->n_relays, 1);
}

/* --- what nodes are told ------------------------------------------------------------ */

static void relays_named(void **state)
{
	const Ntm__RegistrationResponse *r;

	(void)state;
	assert_int_equal(come(&mn, &natted)->n_relays, 0);
	played_start(&rs);
	r = come(&mn, &natted);
	assert_int_equal(r->n_relays, 1);
	assert_true(r->relays[0]->id == rs.now.id);
	assert_int_equal(r->relays[0]->n_addresses, 1);
	played_start(&rs2);
	assert_int_equal(come(&mn, &natted)->n_relays, 2);
	assert_int_equal(node_of(&mn)->mapping,
			 NTM__NAT_MAPPING__MAPPING_DEPENDENT);
	assert_int_equal(site_dc_number(&site, "mapping_dependent"), 1);
	rs.draining = true;
	assert_true(played_register(&rs));
	r = come(&mn, &natted);
	assert_int_equal(r->n_relays, 1);
	assert_true(r->relays[0]->id == rs2.now.id);
	relay_of(&rs2)->heard -= LOOP_S(16);
	assert_int_equal(come(&mn, &natted)->n_relays, 0);
}

/* as many as there may be, as long as they may be: it fits into a datagram */
static void all_relays_fit(void **state)
{
	const Ntm__RegistrationResponse *r;

	(void)state;
	played_start(&rs);
	for (int i = 1; i < RELAYS_MAX; i++) {
		struct relay *x = &site.dc->relays->list[i];

		*x = *relay_of(&rs);
		x->number = (uint16_t)(100 + i);
		x->channel = NULL;
		x->keys[x->key].id = UINT64_MAX - (uint64_t)i;
	}
	for (int i = 0; i < RELAYS_MAX; i++) {
		struct relay *x = &site.dc->relays->list[i];

		for (int k = 0; k < RELAY_ADDRESSES_MAX; k++)
			assert_int_equal(addr_parse("[2001:db8:ffff:ffff:ffff:"
						    "ffff:ffff:ffff]:65535",
						    0, &x->addrs[k]),
					 0);
		x->n_addrs = RELAY_ADDRESSES_MAX;
		x->families = REACH_IP4 | REACH_IP6;
	}
	r = come(&mn, &natted);
	assert_int_equal(r->n_relays, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(r->relays[i]->n_addresses, 4);
		for (size_t k = 0; k < i; k++)
			assert_true(r->relays[i]->id != r->relays[k]->id);
	}
	memset(&site.dc->relays->list[1], 0,
	       (RELAYS_MAX - 1) * sizeof(struct relay));
}

/* who registered before the relay came is made to ask, once */
static void nudge(void **state)
{
	const Ntm__Signal *s;

	(void)state;
	come(&mn, &natted);
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
	played_start(&rs);
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REGISTRATION_RESPONSE);
	assert_int_equal(s->registration_response->challenge.len, 16);
	assert_int_equal(s->registration_response->n_relays, 0);
	assert_int_equal(come(&mn, &natted)->n_relays, 1);
	assert_true(played_register(&rs)); /* no news */
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
	/* not all nodes at once */
	played_start(&rs2);
	site.dc->relays->nudged_s = dc_now_s(site.dc);
	site.dc->relays->nudges = RELAY_NUDGES_S;
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	if (site.dc->relays->nudged_s == dc_now_s(site.dc) &&
	    site.dc->relays->nudges > RELAY_NUDGES_S)
		assert_int_equal(s->body_case,
				 NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
}

/* Own and observed alike: over IPv4 that is enough, over IPv6 a firewall looks so, too. */
static void firewall6(void **state)
{
	Ntm__RegistrationRequest q = NTM__REGISTRATION_REQUEST__INIT;
	struct node n;
	struct addr at;
	size_t len;

	(void)state;
	for (int i = 0; i < 4; i++) {
		memset(&n, 0, sizeof(n));
		assert_int_equal(
			addr_parse(i < 2 ? "[2001:db8::5]:7" : "192.0.2.5:7", 0,
				   &at),
			0);
		if (i < 2) {
			memcpy(n.at.ip, addr_ip(&at, &len), 16);
		} else {
			n.at.ip[10] = n.at.ip[11] = 0xff;
			memcpy(n.at.ip + 12, addr_ip(&at, &len), 4);
		}
		n.at.port = 7;
		memcpy(n.addrs[0].ip, n.at.ip, 16);
		n.addrs[0].port = 7;
		n.n_addrs = 1;
		q.unasked = i % 2;
		reach_note(site.dc, &n, &q);
		assert_int_equal(n.flags & NODE_REACHABLE,
				 i ? NODE_REACHABLE : 0);
	}
}

/* A relay that changes its addresses all the time does not keep every node busy. */
static void restless(void **state)
{
	uint8_t was;

	(void)state;
	played_start(&rs);
	was = site.dc->relays_change;
	for (int i = 0; i < 10; i++) {
		rs.address = i % 2 ? "192.0.2.77" : "192.0.2.78";
		assert_true(played_register(&rs));
	}
	assert_int_equal(site.dc->relays_change, was);
	/* a minute later they hear of it, once */
	relays_sweep(site.dc, loop_now(site.loop) + LOOP_S(RELAY_TELL_S));
	assert_int_equal(site.dc->relays_change, was + 1);
	relays_sweep(site.dc, loop_now(site.loop) + LOOP_S(RELAY_TELL_S));
	assert_int_equal(site.dc->relays_change, was + 1);
}

/* --- withdrawals ------------------------------------------------------------------------- */

static bool both_told(void *arg)
{
	(void)arg;
	return rs.n_withdrawn && rs2.n_withdrawn;
}

static bool all_acked(void *arg)
{
	(void)arg;
	return !relay_of(&rs)->telling && !relay_of(&rs2)->telling;
}

static void withdraw(void **state)
{
	struct peer second;
	char name[16];

	(void)state;
	played_start(&rs);
	played_start(&rs2);
	peer_new(&second, &site, "phone");
	assert_int_equal(peer_login(&second, "bob", SITE_PASSWORD), 0);
	both_come(&natted, &natted);
	come(&second, &natted);
	site_admin(&site, "account-disable", "bob");
	assert_true(site_wait(&site, both_told, NULL));
	assert_int_equal(rs.n_withdrawn, 1); /* once for both devices */
	assert_string_equal(rs.withdrawn[0], "bob");
	assert_string_equal(rs2.withdrawn[0], "bob");
	peer_free(&second);
	/* again until it is acknowledged, and the others behind it */
	rs.deaf = true;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		relays_withdraw(site.dc, name);
	}
	assert_true(played_wait(&rs2, &rs2.n_withdrawn, 21));
	assert_int_equal(rs.n_withdrawn, 9);
	rs.deaf = false;
	assert_true(played_wait(&rs, &rs.n_withdrawn, 21));
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		assert_string_equal(rs.withdrawn[i + 1], name);
	}
	assert_true(site_wait(&site, all_acked, NULL));
}

/* one that was away hears of it when it is back, and one that was not here */
static void withdraw_later(void **state)
{
	(void)state;
	played_start(&rs);
	relay_of(&rs)->heard -= LOOP_S(16);
	relays_withdraw(site.dc, "bob");
	played_start(&rs2);
	assert_int_equal(loop_turn(site.loop, false), 0);
	assert_int_equal(rs.n_withdrawn, 0);
	assert_true(played_register(&rs));
	assert_true(played_wait(&rs, &rs.n_withdrawn, 1));
	assert_string_equal(rs.withdrawn[0], "bob");
	assert_true(played_wait(&rs2, &rs2.n_withdrawn, 1));
	assert_string_equal(rs2.withdrawn[0], "bob");
	/* more than there is room for: the newest are kept */
	relay_of(&rs)->heard -= LOOP_S(16);
	for (int i = 0; i < RELAY_WITHDRAWN_MAX + 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "a%d", i);
		relays_withdraw(site.dc, name);
	}
	assert_true(played_register(&rs));
	assert_true(played_wait(&rs, &rs.n_withdrawn, 2));
	assert_string_equal(rs.withdrawn[1], "a10");
}

static bool disabled(void *arg)
{
	(void)arg;
	return cn.n_withdraw;
}

/* what the last process did not tell */
static void withdraw_restarted(void **state)
{
	(void)state;
	come(&cn, &natted);
	site_admin(&site, "account-disable", "bob");
	assert_true(site_wait(&site, disabled, NULL));
	site_stop_dc(&site);
	site_start_dc(&site);
	played_start(&rs);
	assert_true(played_wait(&rs, &rs.n_withdrawn, 1));
	assert_string_equal(rs.withdrawn[0], "bob");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(key_sharing),
		T(key_used_first),
		T(link_replaced),
		T(forgotten),
		T(wrong_role),
		T(not_an_as),
		T(replay_and_forgery),
		T(bad_address),
		T(relays_named),
		T(all_relays_fit),
		T(nudge),
		T(restless),
		T(firewall6),
		T(withdraw),
		T(withdraw_later),
		T(withdraw_restarted),
		T(certificate_renewed),
		T(certificate_refused),
		T(relay_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

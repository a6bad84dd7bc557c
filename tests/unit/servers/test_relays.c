/* SPDX-License-Identifier: MIT */
/* test_relays - relays at the DC: certificates, links, keys */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/file.h"
#include "relay_site.h"
#include "servers/enrol.h"
#include "servers/removed.h"

#define DAY INT64_C(86400)

static const struct said natted;

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
	assert_in_range(is.not_before,
			loop_wall(site.loop) - NTMC_CERT_BACKDATE_S - 60,
			loop_wall(site.loop) - NTMC_CERT_BACKDATE_S);
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
	st = relays_status(&n);
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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(key_sharing),		T(key_used_first),
		T(link_replaced),	T(forgotten),
		T(wrong_role),		T(not_an_as),
		T(replay_and_forgery),	T(bad_address),
		T(certificate_renewed), T(certificate_refused),
		T(relay_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

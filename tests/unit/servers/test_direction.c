/* SPDX-License-Identifier: MIT */
/* test_direction - registration, keep-alive, direction, withdrawal, restarts */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

#include "servers/dc/state.h"
#include "peer.h"

static struct site site;
static struct peer mn, cn;

static int setup_on(const char *listen, const char *server_ip)
{
	site_new_on(&site, listen, server_ip);
	site_add_account(&site, "alice");
	site_add_account(&site, "bob");
	peer_new(&mn, &site, "laptop");
	peer_new(&cn, &site, "desk");
	assert_int_equal(peer_login(&mn, "alice", SITE_PASSWORD), 0);
	assert_int_equal(mn.code, 0);
	assert_int_equal(peer_login(&cn, "bob", SITE_PASSWORD), 0);
	assert_int_equal(cn.code, 0);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_on("127.0.0.1", "127.0.0.1");
}

static int setup_ipv6(void **state)
{
	(void)state;
	return setup_on("::1", "::1");
}

/* one of many addresses: answers must come from it */
static int setup_wildcard(void **state)
{
	(void)state;
	return setup_on("0.0.0.0", "127.0.0.2");
}

static int teardown(void **state)
{
	(void)state;
	peer_free(&mn);
	peer_free(&cn);
	site_free(&site);
	return 0;
}

static uint32_t ack_code(const Ntm__Signal *s)
{
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ACK);
	return s->ack->code;
}

static const Ntm__RegistrationResponse *registration(struct peer *p,
						     const uint8_t *challenge)
{
	Ntm__RegistrationRequest q = NTM__REGISTRATION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const Ntm__Signal *r;

	if (challenge)
		q.challenge = (ProtobufCBinaryData){16, (uint8_t *)challenge};
	msg.body_case = NTM__SIGNAL__BODY_REGISTRATION_REQUEST;
	msg.registration_request = &q;
	datagram_pad_registration(&msg);
	r = peer_call(p, &msg);
	assert_non_null(r);
	assert_int_equal(r->body_case, NTM__SIGNAL__BODY_REGISTRATION_RESPONSE);
	return r->registration_response;
}

static void registration_challenge(void **state)
{
	const Ntm__RegistrationResponse *r;
	uint8_t challenge[16], bent[16];
	const Ntm__Signal *s;

	(void)state;
	peer_register(&mn);
	r = registration(&cn, NULL);
	assert_int_equal(r->code, 0);
	assert_int_equal(r->challenge.len, 16);
	assert_int_equal(r->vip6.len, 16);
	assert_int_equal(r->vip4.len, 4);
	assert_int_equal(r->observed->ip.len, 4);
	assert_int_equal(r->keepalive_s, 1);
	memcpy(challenge, r->challenge.data, 16);
	/* not online before the echo */
	assert_int_equal(ack_code(peer_direction(&mn, cn.fqdn)), NTM_EOFFLINE);
	/* a wrong echo is answered by another challenge */
	memcpy(bent, challenge, 16);
	bent[15] ^= 1;
	assert_int_equal(registration(&cn, bent)->challenge.len, 16);
	/* the right echo from another address is worth nothing */
	peer_move(&cn);
	assert_int_equal(registration(&cn, challenge)->challenge.len, 16);
	assert_int_equal(ack_code(peer_direction(&mn, cn.fqdn)), NTM_EOFFLINE);
	peer_register(&cn);
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
}

/* To an address that may be forged never goes more than came from there. */
static void no_reflection(void **state)
{
	Ntm__RegistrationRequest q = NTM__REGISTRATION_REQUEST__INIT;
	Ntm__DirectionRequest d = NTM__DIRECTION_REQUEST__INIT;
	Ntm__RevocationRequest rev = NTM__REVOCATION_REQUEST__INIT;
	Ntm__KeepAlive alive = NTM__KEEP_ALIVE__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	uint8_t padding[256] = {0};
	const Ntm__Signal *s;

	(void)state;
	/* from nothing to more than what any answer takes */
	msg.body_case = NTM__SIGNAL__BODY_REGISTRATION_REQUEST;
	msg.registration_request = &q;
	q.padding.data = padding;
	for (q.padding.len = 0; q.padding.len < sizeof(padding);
	     q.padding.len++) {
		msg.txn = 0;
		s = peer_call(&cn, &msg);
		assert_non_null(s);
		assert_true(cn.got_len <= cn.sent_len);
		if (q.padding.len >= 20)
			assert_int_equal(
				s->registration_response->challenge.len, 16);
	}
	assert_non_null(s->registration_response->observed);
	d.fqdn = mn.fqdn;
	d.aead = NTMC_AES_256_GCM;
	msg.txn = 0;
	msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg.direction_request = &d;
	s = peer_call(&cn, &msg);
	assert_non_null(s);
	assert_true(cn.got_len <= cn.sent_len);
	assert_int_equal(s->registration_response->challenge.len, 16);
	/* too small for a challenge: only that there is something to prove */
	msg.txn = 0;
	msg.body_case = NTM__SIGNAL__BODY_KEEP_ALIVE;
	msg.keep_alive = &alive;
	s = peer_call(&cn, &msg);
	assert_non_null(s);
	assert_true(cn.got_len <= cn.sent_len);
	assert_int_equal(s->registration_response->challenge.len, 0);
	msg.txn = 0;
	msg.body_case = NTM__SIGNAL__BODY_REVOCATION_REQUEST;
	msg.revocation_request = &rev;
	s = peer_call(&cn, &msg);
	assert_non_null(s);
	assert_true(cn.got_len <= cn.sent_len);
}

static void keep_alive(void **state)
{
	const Ntm__Signal *s;
	uint8_t mine[64], theirs[64];
	size_t n;
	Ntm__KeepAliveAck ack = NTM__KEEP_ALIVE_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	(void)state;
	/* before registration: prove the address first */
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REGISTRATION_RESPONSE);
	peer_register(&mn);
	for (uint32_t txn = 1; txn && txn < 0x80000000u; txn = txn * 2 + 1) {
		mn.txn = txn - 1;
		s = peer_keep_alive(&mn);
		assert_non_null(s);
		assert_int_equal(s->body_case,
				 NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
		assert_int_equal(s->keep_alive_ack->boot, mn.boot);
		/* what the DC writes by hand is what protobuf-c packs */
		ack.boot = mn.boot;
		ack.revocation_serial = s->keep_alive_ack->revocation_serial;
		msg.txn = txn;
		msg.body_case = NTM__SIGNAL__BODY_KEEP_ALIVE_ACK;
		msg.keep_alive_ack = &ack;
		n = ntm__signal__pack(&msg, mine);
		assert_int_equal(ntm__signal__pack(s, theirs), n);
		assert_memory_equal(mine, theirs, n);
	}
	/* moved: prove the new address */
	peer_move(&mn);
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REGISTRATION_RESPONSE);
	assert_int_equal(s->registration_response->code, 0);
	peer_register(&mn);
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
}

static void direction_good(void **state)
{
	const Ntm__RouteDirection *to_mn, *to_cn;
	const Ntm__Signal *s;
	uint8_t ktun[32];
	uint64_t path_id;
	uint32_t txn;

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	txn = s->txn;
	to_mn = s->route_direction;
	to_cn = cn.route_wait->route_direction;
	assert_int_equal(to_mn->role, NTM__TUNNEL_ROLE__ROLE_SEND);
	assert_string_equal(to_mn->peer->fqdn, cn.fqdn);
	assert_string_equal(to_cn->peer->fqdn, mn.fqdn);
	assert_memory_equal(to_mn->peer->ed_pub.data, cn.id.ed_pub, 32);
	assert_int_equal(ntmc_static_verify(to_mn->peer->ed_pub.data,
					    to_mn->peer->x_pub.data,
					    to_mn->peer->x_sig.data),
			 0);
	assert_memory_equal(to_mn->ktun.data, to_cn->ktun.data, 32);
	assert_memory_equal(to_mn->ktmp.data, to_cn->ktmp.data, 32);
	assert_true(to_mn->path_id == to_cn->path_id);
	assert_int_equal(to_mn->path_id & 1, 0);
	assert_int_equal(to_mn->peer->n_addresses, 1);
	assert_int_equal(to_mn->lifetime_s, 60);
	/* a repeated request gets the same keys */
	memcpy(ktun, to_mn->ktun.data, 32);
	path_id = to_mn->path_id;
	mn.txn = txn - 1;
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_true(s->route_direction->path_id == path_id);
	assert_memory_equal(s->route_direction->ktun.data, ktun, 32);
	/* another one gets others; the account's name will do */
	s = peer_direction(&mn, "bob." SITE_DOMAIN);
	assert_non_null(s);
	assert_true(s->route_direction->path_id != path_id);
	assert_string_equal(s->route_direction->peer->fqdn, cn.fqdn);
	/* the other way */
	s = peer_direction(&cn, mn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
}

static void both_ways(void **state)
{
	const Ntm__Signal *s;

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	assert_int_equal(s->route_direction->peer->addresses[0]->ip.len,
			 site.dc_addr.sa.sa_family == AF_INET ? 4 : 16);
}

/* CN does not know our key: its own comes, to compare, and no address */
static void assert_key_comes(const Ntm__Signal *s, int code)
{
	assert_int_equal(ack_code(s), code);
	assert_non_null(s->ack->peer);
	assert_string_equal(s->ack->peer->fqdn, cn.fqdn);
	assert_memory_equal(s->ack->peer->ed_pub.data, cn.id.ed_pub,
			    NTMC_KEY_LEN);
	assert_int_equal(s->ack->peer->n_addresses, 0);
}

static void direction_refused(void **state)
{
	const Ntm__Signal *s;
	uint64_t start;

	(void)state;
	peer_register(&mn);
	assert_int_equal(ack_code(peer_direction(&mn, cn.fqdn)), NTM_EOFFLINE);
	assert_int_equal(ack_code(peer_direction(&mn, "bob." SITE_DOMAIN)),
			 NTM_EOFFLINE);
	assert_int_equal(ack_code(peer_direction(&mn, "no.bob." SITE_DOMAIN)),
			 NTM_ENONAME);
	assert_int_equal(ack_code(peer_direction(&mn, "eve." SITE_DOMAIN)),
			 NTM_ENONAME);
	assert_int_equal(ack_code(peer_direction(&mn, mn.fqdn)), NTM_EINVAL);
	peer_register(&cn);
	cn.cn_code = NTM_EPOLICY;
	s = peer_direction(&mn, cn.fqdn);
	assert_int_equal(ack_code(s), NTM_EPOLICY);
	assert_null(s->ack->peer); /* nothing of who is closed to us */
	cn.cn_code = NTM_EPIN;
	assert_key_comes(peer_direction(&mn, cn.fqdn), NTM_EPIN);
	cn.cn_code = NTM_EUNVERIFIED;
	assert_key_comes(peer_direction(&mn, cn.fqdn), NTM_EUNVERIFIED);
	/* a CN that does not answer: four tries, then OFFLINE after a second */
	cn.silent = true;
	cn.n_got = 0;
	start = loop_now_exact(site.loop);
	assert_int_equal(ack_code(peer_direction(&mn, cn.fqdn)), NTM_EOFFLINE);
	assert_in_range(loop_now_exact(site.loop) - start, LOOP_MS(900),
			LOOP_MS(1900));
	assert_int_equal(cn.n_got, 4);
}

static bool cn_asked(void *arg)
{
	(void)arg;
	return cn.n_got >= 2; /* the second of four, after 250 ms */
}

static void direction_repeated_to_cn(void **state)
{
	Ntm__DirectionRequest q = NTM__DIRECTION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	cn.silent = true;
	cn.n_got = 0;
	q.fqdn = cn.fqdn;
	q.aead = NTMC_AES_256_GCM;
	msg.txn = 500;
	msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg.direction_request = &q;
	peer_send(&mn, &msg);
	assert_true(site_wait(&site, cn_asked, NULL));
	cn.silent = false;
	assert_non_null(peer_call(&mn, &msg)); /* and the request itself */
	assert_int_equal(mn.got->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	assert_int_equal(site_dc_number(&site, "directions"), 1);
}

static void direction_rate(void **state)
{
	const Ntm__Signal *s;
	int limited = 0;

	(void)state;
	site.conf.dc_direction_rate = 1;
	site.conf.dc_direction_burst = 3;
	peer_register(&mn);
	for (int i = 0; i < 4; i++) {
		s = peer_direction(&mn, "eve." SITE_DOMAIN);
		if (ack_code(s) != NTM_ELIMIT)
			continue;
		limited++;
		assert_in_range(s->ack->retry_after_ms, 1, 1001);
	}
	assert_int_equal(limited, 1);
}

static bool was_withdrawn(void *arg)
{
	struct peer *p = arg;

	return p->n_withdraw;
}

static bool one_node(void *arg)
{
	(void)arg;
	return site_dc_number(&site, "nodes") == 1;
}

static void newest_device(void **state)
{
	const Ntm__Signal *s;
	struct peer second;

	(void)state;
	peer_new(&second, &site, "phone");
	assert_int_equal(peer_login(&second, "bob", SITE_PASSWORD), 0);
	peer_register(&mn);
	peer_register(&second);
	s = peer_direction(&mn, "bob." SITE_DOMAIN);
	assert_non_null(s);
	assert_string_equal(s->route_direction->peer->fqdn, second.fqdn);
	site_admin(&site, "device-revoke", second.fqdn);
	assert_true(site_wait(&site, was_withdrawn, &second));
	peer_register(&cn);
	s = peer_direction(&mn, "bob." SITE_DOMAIN);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	assert_string_equal(s->route_direction->peer->fqdn, cn.fqdn);
	peer_free(&second);
}

static void renewal(void **state)
{
	struct datagram_keys old = cn.keys;
	const Ntm__Signal *s;
	uint64_t old_id, old_counter;
	struct peer was;

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	old_id = cn.node_id;
	old_counter = cn.counter;
	assert_int_equal(peer_login_cert(&cn), 0);
	assert_int_equal(cn.code, 0);
	/* the old session is valid until the new one registers */
	was = cn;
	cn.keys = old;
	cn.node_id = old_id;
	cn.counter = old_counter;
	s = peer_keep_alive(&cn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
	old_counter = cn.counter;
	cn.keys = was.keys;
	cn.node_id = was.node_id;
	cn.counter = was.counter;
	peer_register(&cn);
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	assert_int_equal(site_dc_number(&site, "sessions"), 2);
	cn.keys = old;
	cn.node_id = old_id;
	cn.counter = old_counter;
	assert_null(peer_keep_alive(&cn));
}

static bool both_withdrawn(void *arg)
{
	(void)arg;
	return mn.n_withdraw && cn.n_withdraw;
}

static void withdraw_disabled(void **state)
{
	const Ntm__Signal *s;
	uint64_t start;
	unsigned int n;

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	assert_non_null(peer_direction(&mn, cn.fqdn));
	start = loop_now_exact(site.loop);
	site_admin(&site, "account-disable", "bob");
	assert_true(site_wait(&site, both_withdrawn, NULL));
	assert_true(loop_now_exact(site.loop) - start < LOOP_S(5));
	/* the keep-alive of whoever missed it says that there is news */
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->keep_alive_ack->revocation_serial, 1);
	/* acknowledged: no more of it */
	n = mn.n_withdraw + cn.n_withdraw;
	assert_int_equal(ack_code(peer_direction(&mn, cn.fqdn)), NTM_EOFFLINE);
	assert_int_equal(mn.n_withdraw + cn.n_withdraw, n);
	/* CN's session is over */
	assert_null(peer_keep_alive(&cn));
	assert_int_equal(peer_login_cert(&cn), 0);
	assert_int_equal(cn.code, NTM_EDISABLED);
	/* enabled again: the same identity comes back, same addresses */
	site_admin(&site, "account-enable", "bob");
	assert_int_equal(peer_login_cert(&cn), 0);
	assert_int_equal(cn.code, 0);
	peer_register(&cn);
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
}

static bool twice(void *arg)
{
	(void)arg;
	return mn.n_withdraw >= 2;
}

static void withdraw_repeated(void **state)
{
	Ntm__RevocationRequest q = NTM__REVOCATION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const Ntm__Signal *s;
	uint8_t fp[NTMC_FP_LEN];

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	assert_non_null(peer_direction(&mn, cn.fqdn));
	mn.ack_withdraw = false;
	site_admin(&site, "device-revoke", cn.fqdn);
	assert_true(site_wait(&site, twice, NULL));
	mn.ack_withdraw = true;
	/* asked for, it is on the list */
	msg.body_case = NTM__SIGNAL__BODY_REVOCATION_REQUEST;
	msg.revocation_request = &q;
	s = peer_call(&mn, &msg);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REVOCATION_LIST);
	assert_int_equal(s->revocation_list->n_fingerprints, 1);
	ntmc_fingerprint(cn.id.ed_pub, fp);
	assert_memory_equal(s->revocation_list->fingerprints[0].data, fp,
			    NTMC_FP_LEN);
	q.since = s->revocation_list->serial;
	msg.txn = 0;
	s = peer_call(&mn, &msg);
	assert_non_null(s);
	assert_int_equal(s->revocation_list->n_fingerprints, 0);
}

static void restarted_dc(void **state)
{
	const Ntm__RegistrationResponse *r;
	uint8_t vip6[16], vip4[4];
	const Ntm__Signal *s;
	uint64_t boot;

	(void)state;
	r = registration(&cn, NULL);
	memcpy(vip6, r->vip6.data, 16);
	memcpy(vip4, r->vip4.data, 4);
	boot = r->boot;
	peer_register(&mn);
	peer_register(&cn);
	site_stop_dc(&site);
	site_start_dc(&site);
	/* the session lives on; the address must be proven again */
	s = peer_keep_alive(&cn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REGISTRATION_RESPONSE);
	r = registration(&cn, NULL);
	assert_int_equal(r->boot, boot + 1);
	assert_memory_equal(r->vip6.data, vip6, 16);
	assert_memory_equal(r->vip4.data, vip4, 4);
	peer_register(&mn);
	peer_register(&cn);
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	site_wait_link(&site);
	assert_int_equal(peer_login_cert(&cn), 0);
	assert_int_equal(cn.code, 0);
}

/* a withdrawal after a restart reaches those directed before it */
static void restarted_withdraw(void **state)
{
	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	assert_non_null(peer_direction(&mn, cn.fqdn));
	site_stop_dc(&site);
	/* queued while the DC is down */
	site_admin(&site, "account-disable", "bob");
	site_start_dc(&site);
	peer_register(&mn);
	peer_register(&cn);
	assert_true(site_wait(&site, both_withdrawn, NULL));
}

/* what was acknowledged to a node is there after kill -9 */
static void killed_dc(void **state)
{
	struct peer p;
	struct {
		uint64_t node_id;
		struct datagram_keys keys;
		char fqdn[254];
	} told;
	int pipe_fd[2], status;
	pid_t pid;

	(void)state;
	site_stop_as(&site);
	site_stop_dc(&site);
	assert_int_equal(pipe(pipe_fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct site child = site; /* its own loop, the same folder */

		site_new_loop(&child);
		site_start_dc(&child);
		site_start_as(&child);
		site_wait_link(&child);
		peer_new(&p, &child, "fresh");
		if (peer_login(&p, "alice", SITE_PASSWORD) || p.code)
			_exit(1);
		memset(&told, 0, sizeof(told));
		told.node_id = p.node_id;
		told.keys = p.keys;
		strcpy(told.fqdn, p.fqdn);
		if (write(pipe_fd[1], &told, sizeof(told)) != sizeof(told))
			_exit(1);
		raise(SIGKILL);
	}
	close(pipe_fd[1]);
	assert_int_equal(read(pipe_fd[0], &told, sizeof(told)), sizeof(told));
	close(pipe_fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	site_start_dc(&site);
	site_start_as(&site);
	peer_new(&p, &site, "fresh");
	p.node_id = told.node_id;
	p.keys = told.keys;
	strcpy(p.fqdn, told.fqdn);
	p.counter = UINT64_C(1) << PACKET_BOOT_SHIFT;
	peer_register(&p);
	assert_int_equal(site_dc_number(&site, "nodes"), 3);
	peer_free(&p);
}

static void garbage(void **state)
{
	uint8_t buf[1500];
	const Ntm__Signal *s;
	unsigned int seed = 20240607;

	(void)state;
	peer_register(&mn);
	print_message("seed %u\n", seed);
	for (int i = 0; i < 5000; i++) {
		size_t len = (size_t)rand_r(&seed) % sizeof(buf);

		for (size_t k = 0; k < len; k++)
			buf[k] = (uint8_t)rand_r(&seed);
		if (i % 2 && len >= PACKET_HEADER_LEN) {
			struct packet_header h = {.type = PACKET_SIGNAL,
						  .id = mn.node_id,
						  .counter = mn.counter + 1};

			packet_header_put(&h, buf); /* a node's own forged */
		}
		(void)!send(mn.fd, buf, len, 0);
		if (i % 64 == 0)
			assert_int_equal(loop_turn(site.loop, false), 0);
	}
	s = peer_keep_alive(&mn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_KEEP_ALIVE_ACK);
	assert_true(site_dc_number(&site, "dropped") > 1000);
}

static void replay(void **state)
{
	const Ntm__Signal *s;

	(void)state;
	peer_register(&mn);
	assert_non_null(peer_keep_alive(&mn));
	mn.counter--; /* the same counter again */
	assert_null(peer_keep_alive(&mn));
	s = peer_keep_alive(&mn);
	assert_non_null(s);
}

static void full_disk(void **state)
{
	struct rlimit old, tight;
	struct peer p;
	char path[128];
	struct stat st;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	peer_new(&p, &site, "phone");
	snprintf(path, sizeof(path), "%s/dc/dc.db-wal", site.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = old;
	tight.rlim_cur = (rlim_t)st.st_size / 2; /* no file may grow */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, NTM_ESTORE);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	/* others were served meanwhile, and there is room again */
	peer_register(&mn);
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, 0);
	peer_register(&p);
	peer_free(&p);
}

static void released(void **state)
{
	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	assert_int_equal(site_dc_number(&site, "vip4_free"), 131070 - 2);
	site_admin(&site, "device-delete", cn.fqdn);
	assert_true(site_wait(&site, was_withdrawn, &cn));
	assert_true(site_wait(&site, one_node, NULL));
	assert_int_equal(ack_code(peer_direction(&mn, cn.fqdn)), NTM_ENONAME);
	assert_int_equal(site_dc_number(&site, "vip4_free"), 131070 - 1);
	site_stop_dc(&site);
	site_start_dc(&site);
	assert_int_equal(site_dc_number(&site, "nodes"), 1);
}

static unsigned int revocations_listed(struct peer *p)
{
	Ntm__RevocationRequest q = NTM__REVOCATION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	const Ntm__Signal *s;

	msg.body_case = NTM__SIGNAL__BODY_REVOCATION_REQUEST;
	msg.revocation_request = &q;
	s = peer_call(p, &msg);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REVOCATION_LIST);
	return (unsigned int)s->revocation_list->n_fingerprints;
}

/* a laptop that slept for a month still hears of what was withdrawn meanwhile */
static void withdrawal_kept(void **state)
{
	int64_t day = 86400, now = ntmc_now(NULL);

	(void)state;
	peer_register(&mn);
	peer_register(&cn);
	site_admin(&site, "device-revoke", cn.fqdn);
	assert_true(site_wait(&site, was_withdrawn, &cn));
	dc_prune(site.dc, now + 31 * day);
	assert_int_equal(revocations_listed(&mn), 1);
	dc_prune(site.dc, now + 33 * day);
	assert_int_equal(revocations_listed(&mn), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(registration_challenge),
		T(no_reflection),
		T(keep_alive),
		T(direction_good),
		T(direction_refused),
		T(direction_repeated_to_cn),
		T(direction_rate),
		T(newest_device),
		T(renewal),
		T(withdraw_disabled),
		T(withdraw_repeated),
		T(withdrawal_kept),
		T(restarted_dc),
		T(restarted_withdraw),
		T(killed_dc),
		T(garbage),
		T(replay),
		T(full_disk),
		T(released),
		cmocka_unit_test_setup_teardown(both_ways, setup_ipv6,
						teardown),
		cmocka_unit_test_setup_teardown(both_ways, setup_wildcard,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

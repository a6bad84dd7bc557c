/* SPDX-License-Identifier: MIT */
/* dc_site - a domain with two nodes that have logged in: MN and CN */
#include "dc_site.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct site site;
struct peer mn, cn;

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

int setup(void **state)
{
	(void)state;
	return setup_on("127.0.0.1", "127.0.0.1");
}

int setup_ipv6(void **state)
{
	(void)state;
	return setup_on("::1", "::1");
}

int setup_wildcard(void **state)
{
	(void)state;
	return setup_on("0.0.0.0", "127.0.0.2");
}

int teardown(void **state)
{
	(void)state;
	peer_free(&mn);
	peer_free(&cn);
	site_free(&site);
	return 0;
}

uint32_t ack_code(const Ntm__Signal *s)
{
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ACK);
	return s->ack->code;
}

const Ntm__RegistrationResponse *registration(struct peer *p,
					      const uint8_t *challenge)
{
	Ntm__RegistrationRequest q = NTM__REGISTRATION_REQUEST__INIT;

	return peer_registration(p, &q, challenge);
}

bool was_withdrawn(void *arg)
{
	struct peer *p = arg;

	return p->n_withdraw;
}

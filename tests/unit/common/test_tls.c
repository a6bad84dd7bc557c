/* SPDX-License-Identifier: MIT */
/* test_tls - both ends of a TLS session in one process, good and refused */
#include "common/tls.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/common/pki.h"

#define HOUR 3600
#define DAY  86400

struct fixture {
	struct pki *pki, *other;
	struct pki_id as, node, old, late, early, stranger;
};

/** struct pair - a client and a server session over a socket pair */
struct pair {
	int fd[2];
	struct tls_session *client, *server;
	enum tls_outcome client_is, server_is;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->pki = pki_new("example.org");
	f->other = pki_new("example.org");
	pki_issue(f->pki, NTMC_CERT_SERVER, "as.example.org", NTMC_ROLE_AS,
		  -HOUR, DAY, &f->as);
	pki_issue(f->pki, NTMC_CERT_NODE, "desk.me.example.org", 0, -HOUR, DAY,
		  &f->node);
	pki_issue(f->pki, NTMC_CERT_SERVER, "as.example.org", NTMC_ROLE_AS,
		  -DAY, -HOUR, &f->old);
	pki_issue(f->pki, NTMC_CERT_NODE, "desk.me.example.org", 0, -DAY, -HOUR,
		  &f->late);
	pki_issue(f->pki, NTMC_CERT_SERVER, "as.example.org", NTMC_ROLE_AS,
		  HOUR, DAY, &f->early);
	pki_issue(f->other, NTMC_CERT_SERVER, "as.example.org", NTMC_ROLE_AS,
		  -HOUR, DAY, &f->stranger);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pki_free(f->pki);
	pki_free(f->other);
	free(f);
	return 0;
}

static struct tls_context *context(const struct pki *pki,
				   const struct pki_id *id,
				   const struct ntmc_trust *trust,
				   const uint8_t *pin)
{
	struct tls_context *c;

	assert_int_equal(tls_context_new(id ? &id->id : NULL,
					 id ? id->der : NULL, id ? id->len : 0,
					 id ? pki->ca_der : NULL,
					 id ? pki->ca_len : 0, trust, pin, &c),
			 0);
	return c;
}

static bool waits(enum tls_outcome o)
{
	return o == TLS_WANT_READ || o == TLS_WANT_WRITE;
}

static void handshake(struct pair *p, struct tls_context *client,
		      struct tls_context *server)
{
	int i;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fd), 0);
	assert_int_equal(
		tls_session_new(client, p->fd[0], false, false, &p->client), 0);
	assert_int_equal(
		tls_session_new(server, p->fd[1], true, true, &p->server), 0);
	p->client_is = p->server_is = TLS_WANT_READ;
	for (i = 0; i < 20 && (waits(p->client_is) || waits(p->server_is));
	     i++) {
		if (waits(p->client_is))
			p->client_is = tls_handshake(p->client);
		if (waits(p->server_is))
			p->server_is = tls_handshake(p->server);
	}
}

static void pair_clear(struct pair *p)
{
	tls_session_free(p->client);
	tls_session_free(p->server);
	close(p->fd[0]);
	close(p->fd[1]);
}

static void test_good(void **state)
{
	struct fixture *f = *state;
	struct tls_context *c = context(f->pki, &f->node, f->pki->trust, NULL);
	struct tls_context *s = context(f->pki, &f->as, f->pki->trust, NULL);
	struct pair p;
	char buf[64];
	size_t n, len;

	handshake(&p, c, s);
	assert_int_equal(p.client_is, TLS_OK);
	assert_int_equal(p.server_is, TLS_OK);
	assert_string_equal(tls_peer(p.client)->fqdn, "as.example.org");
	assert_int_equal(tls_peer(p.client)->roles, NTMC_ROLE_AS);
	assert_string_equal(tls_peer(p.server)->fqdn, "desk.me.example.org");
	assert_memory_equal(tls_peer_ca(p.client, &len), f->pki->ca_der,
			    f->pki->ca_len);
	assert_int_equal(len, f->pki->ca_len);

	assert_int_equal(tls_read(p.server, buf, sizeof(buf), &n),
			 TLS_WANT_READ);
	assert_int_equal(tls_write(p.client, "hello", 5, &n), TLS_OK);
	assert_int_equal(n, 5);
	assert_int_equal(tls_read(p.server, buf, sizeof(buf), &n), TLS_OK);
	assert_int_equal(n, 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(tls_shutdown(p.client), TLS_OK);
	assert_int_equal(tls_read(p.server, buf, sizeof(buf), &n), TLS_CLOSED);
	/* half closed: the other direction still works */
	assert_int_equal(tls_write(p.server, "bye", 3, &n), TLS_OK);
	assert_int_equal(tls_read(p.client, buf, sizeof(buf), &n), TLS_OK);
	pair_clear(&p);
	tls_context_free(c);
	tls_context_free(s);
}

static void test_write_blocks_and_goes_on(void **state)
{
	struct fixture *f = *state;
	struct tls_context *c = context(NULL, NULL, f->pki->trust, NULL);
	struct tls_context *s = context(f->pki, &f->as, NULL, NULL);
	static char out[16384], in[16384];
	size_t put, got, sent = 0, received = 0;
	enum tls_outcome o;
	struct pair p;
	int i;

	handshake(&p, c, s);
	for (i = 0; i < 1000; i++) {
		o = tls_write(p.client, out, sizeof(out), &put);
		if (o != TLS_OK)
			break;
		sent += put;
	}
	assert_int_equal(o, TLS_WANT_WRITE);
	while ((o = tls_read(p.server, in, sizeof(in), &got)) == TLS_OK)
		received += got;
	assert_int_equal(o, TLS_WANT_READ);
	/* the record that blocked goes on with the same bytes */
	assert_int_equal(tls_write(p.client, out, sizeof(out), &put), TLS_OK);
	sent += put;
	while (tls_read(p.server, in, sizeof(in), &got) == TLS_OK)
		received += got;
	assert_int_equal(sent, received);
	pair_clear(&p);
	tls_context_free(c);
	tls_context_free(s);
}

static void test_no_client_certificate(void **state)
{
	struct fixture *f = *state;
	struct tls_context *c = context(NULL, NULL, f->pki->trust, NULL);
	struct tls_context *s = context(f->pki, &f->as, f->pki->trust, NULL);
	struct pair p;

	handshake(&p, c, s);
	assert_int_equal(p.client_is, TLS_OK);
	assert_int_equal(p.server_is, TLS_OK);
	assert_null(tls_peer(p.server));
	pair_clear(&p);

	/* a context that wants a role does not take it */
	tls_context_set_roles(s, NTMC_ROLE_AS);
	handshake(&p, c, s);
	assert_int_equal(p.server_is, TLS_FAILED);
	assert_int_equal(tls_error(p.server), -NTM_ECERT);
	pair_clear(&p);
	tls_context_free(c);
	tls_context_free(s);
}

/* First login: nothing known but the fingerprint of the CA. */
static void test_pin(void **state)
{
	struct fixture *f = *state;
	struct tls_context *c = context(NULL, NULL, NULL, f->pki->ca_fp);
	struct tls_context *s = context(f->pki, &f->as, NULL, NULL);
	struct pair p;
	size_t len;

	handshake(&p, c, s);
	assert_int_equal(p.client_is, TLS_OK);
	assert_memory_equal(tls_peer_ca(p.client, &len), f->pki->ca_der,
			    f->pki->ca_len);
	pair_clear(&p);
	tls_context_free(c);
	tls_context_free(s);
}

/* @refused says why; the server hears it as @heard. */
static void refused(struct tls_context *c, struct tls_context *s, int why,
		    int heard)
{
	struct pair p;
	char buf[8];
	size_t n;

	handshake(&p, c, s);
	assert_int_equal(p.client_is, TLS_FAILED);
	assert_int_equal(tls_error(p.client), why);
	assert_null(tls_peer(p.client));
	if (p.server_is == TLS_OK)
		p.server_is = tls_read(p.server, buf, sizeof(buf), &n);
	assert_int_equal(p.server_is, TLS_FAILED);
	assert_int_equal(tls_error(p.server), heard);
	pair_clear(&p);
	tls_context_free(c);
	tls_context_free(s);
}

static void test_wrong_pin(void **state)
{
	struct fixture *f = *state;

	refused(context(NULL, NULL, NULL, f->other->ca_fp),
		context(f->pki, &f->as, NULL, NULL), -NTM_EPIN, -NTM_ECERT);
}

/* The pinned CA in the chain does not help a leaf of another CA. */
static void test_pinned_ca_foreign_leaf(void **state)
{
	struct fixture *f = *state;

	refused(context(NULL, NULL, NULL, f->pki->ca_fp),
		context(f->pki, &f->stranger, NULL, NULL), -NTM_ECERT,
		-NTM_ECERT);
}

static void test_no_ca_in_chain(void **state)
{
	struct fixture *f = *state;
	struct tls_context *s;

	assert_int_equal(tls_context_new(&f->as.id, f->as.der, f->as.len, NULL,
					 0, NULL, NULL, &s),
			 0);
	refused(context(NULL, NULL, NULL, f->pki->ca_fp), s, -NTM_ECERT,
		-NTM_ECERT);
}

static void test_wrong_ca(void **state)
{
	struct fixture *f = *state;

	refused(context(NULL, NULL, f->pki->trust, NULL),
		context(f->other, &f->stranger, NULL, NULL), -NTM_ECERT,
		-NTM_ECERT);
}

static void test_trusts_nobody(void **state)
{
	struct fixture *f = *state;

	refused(context(NULL, NULL, NULL, NULL),
		context(f->pki, &f->as, NULL, NULL), -NTM_ECERT, -NTM_ECERT);
}

static void test_expired(void **state)
{
	struct fixture *f = *state;

	refused(context(NULL, NULL, f->pki->trust, NULL),
		context(f->pki, &f->old, NULL, NULL), -NTM_EEXPIRED,
		-NTM_EEXPIRED);
}

static void test_not_yet_valid(void **state)
{
	struct fixture *f = *state;

	refused(context(NULL, NULL, f->pki->trust, NULL),
		context(f->pki, &f->early, NULL, NULL), -NTM_ECLOCK,
		-NTM_ECERT);
}

/* A node of the same domain must not pass for its AS. */
static void test_node_as_server(void **state)
{
	struct fixture *f = *state;

	refused(context(NULL, NULL, f->pki->trust, NULL),
		context(f->pki, &f->node, NULL, NULL), -NTM_ECERT, -NTM_ECERT);
}

static void test_wrong_role(void **state)
{
	struct fixture *f = *state;
	struct tls_context *c = context(NULL, NULL, f->pki->trust, NULL);

	tls_context_set_roles(c, NTMC_ROLE_DC);
	refused(c, context(f->pki, &f->as, NULL, NULL), -NTM_ECERT, -NTM_ECERT);
}

/* TLS 1.3: the client is done before the server looks at its certificate. */
static void test_client_refused_later(void **state)
{
	struct fixture *f = *state;
	struct tls_context *c =
		context(f->other, &f->stranger, f->pki->trust, NULL);
	struct tls_context *s = context(f->pki, &f->as, f->pki->trust, NULL);
	struct pair p;
	char buf[8];
	size_t n;

	handshake(&p, c, s);
	assert_int_equal(p.server_is, TLS_FAILED);
	assert_int_equal(tls_error(p.server), -NTM_ECERT);
	assert_int_equal(p.client_is, TLS_OK);
	assert_int_equal(tls_read(p.client, buf, sizeof(buf), &n), TLS_FAILED);
	assert_int_equal(tls_error(p.client), -NTM_ECERT);
	pair_clear(&p);
	tls_context_free(c);
	tls_context_free(s);
}

/* A client with @id at an AS that lets nodes in @grace_s late: what the AS says. */
static int late_client(const struct fixture *f, const struct pki *pki,
		       const struct pki_id *id, unsigned int grace_s)
{
	struct tls_context *c = context(pki, id, f->pki->trust, NULL);
	struct tls_context *s = context(f->pki, &f->as, f->pki->trust, NULL);
	struct pair p;
	int error;

	tls_context_set_grace(s, grace_s);
	handshake(&p, c, s);
	error = tls_error(p.server);
	assert_int_equal(p.server_is, error ? TLS_FAILED : TLS_OK);
	assert_int_equal(!tls_peer(p.server), !!error);
	pair_clear(&p);
	tls_context_free(c);
	tls_context_free(s);
	return error;
}

static void test_grace(void **state)
{
	struct fixture *f = *state;
	struct tls_context *c, *s;
	struct pki_id foreign;

	assert_int_equal(late_client(f, f->pki, &f->late, 0), -NTM_EEXPIRED);
	assert_int_equal(late_client(f, f->pki, &f->late, HOUR - 60),
			 -NTM_EEXPIRED);
	assert_int_equal(late_client(f, f->pki, &f->late, HOUR + 60), 0);
	assert_int_equal(late_client(f, f->pki, &f->node, HOUR), 0);
	/* a server's certificate is renewed in time or not at all */
	assert_int_equal(late_client(f, f->pki, &f->old, DAY), -NTM_EEXPIRED);
	/* another domain's is not better for being old */
	pki_issue(f->other, NTMC_CERT_NODE, "desk.me.example.org", 0, -DAY,
		  -HOUR, &foreign);
	assert_int_equal(late_client(f, f->other, &foreign, DAY), -NTM_ECERT);
	/* and a client gives no grace */
	c = context(NULL, NULL, f->pki->trust, NULL);
	s = context(f->pki, &f->old, NULL, NULL);
	tls_context_set_grace(c, DAY);
	refused(c, s, -NTM_EEXPIRED, -NTM_EEXPIRED);
}

static void test_garbage(void **state)
{
	struct fixture *f = *state;
	struct tls_context *s = context(f->pki, &f->as, NULL, NULL);
	static const char http[] =
		"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";
	struct tls_session *session;
	enum tls_outcome is = TLS_OK;
	uint8_t noise[512];
	int fd[2], i, tries;

	srand(1);
	for (i = 0; i < 200; i++) {
		size_t len = (size_t)rand() % sizeof(noise) + 1, k;

		for (k = 0; k < len; k++)
			noise[k] = (uint8_t)rand();
		if (i % 2) { /* as far as the record layer lets it */
			noise[0] = 22;
			noise[1] = 3;
			noise[2] = 1;
			noise[3] = 0;
			noise[4] = (uint8_t)(i / 2);
		}
		assert_int_equal(
			socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd),
			0);
		assert_int_equal(
			tls_session_new(s, fd[1], true, true, &session), 0);
		if (i == 0)
			assert_true(write(fd[0], http, sizeof(http)) > 0);
		else
			assert_true(write(fd[0], noise, len) > 0);
		close(fd[0]);
		for (tries = 0; tries < 5; tries++) {
			is = tls_handshake(session);
			if (!waits(is))
				break;
		}
		assert_int_equal(is, TLS_FAILED);
		assert_true(tls_error(session) < 0);
		tls_session_free(session);
		close(fd[1]);
	}
	tls_context_free(s);
}

static void test_key_of_another(void **state)
{
	struct fixture *f = *state;
	struct tls_context *c;

	assert_int_equal(tls_context_new(&f->node.id, f->as.der, f->as.len,
					 NULL, 0, NULL, NULL, &c),
			 -NTM_ECERT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_write_blocks_and_goes_on),
		cmocka_unit_test(test_no_client_certificate),
		cmocka_unit_test(test_pin),
		cmocka_unit_test(test_wrong_pin),
		cmocka_unit_test(test_pinned_ca_foreign_leaf),
		cmocka_unit_test(test_no_ca_in_chain),
		cmocka_unit_test(test_wrong_ca),
		cmocka_unit_test(test_trusts_nobody),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_not_yet_valid),
		cmocka_unit_test(test_node_as_server),
		cmocka_unit_test(test_wrong_role),
		cmocka_unit_test(test_client_refused_later),
		cmocka_unit_test(test_grace),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_key_of_another),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

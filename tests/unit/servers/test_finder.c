/* SPDX-License-Identifier: MIT */
/* test_finder - domains that only DNS vouches for: strangers, time, another CA, failures */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "played_dc.h"
#include "relay_site.h"
#include "servers/dc/domains.h"
#include "servers/dc/finder.h"

#define CAROL	"desk.carol." PLAYED_DOMAIN
#define HOLDERS 40 /* more than DOMAIN_LINKS_MAX */

static const struct said open_node = {.reachable = true};
static struct played_dc far;

/* the resolver, played */
static struct {
	int fd;
	struct loop_io *io;
	bool silent;
	int err;
	uint8_t fp[NTMC_FP_LEN];
	unsigned int n_asked;
	struct finder_ask last;
} dns;

static void dns_say(uint32_t id)
{
	struct finder_answer a = {.err = dns.err, .ttl_s = 60};
	struct finder_say s;

	snprintf(a.why, sizeof(a.why), "DNS says so");
	memcpy(a.fp, dns.fp, NTMC_FP_LEN);
	assert_int_equal(addr_parse("127.0.0.1", far.port, &a.ways.a[0]), 0);
	a.ways.n = 1;
	answer_put(&a, id, &s);
	assert_int_equal(send(dns.fd, &s, sizeof(s), 0), sizeof(s));
}

static void dns_readable(void *arg, int fd, unsigned int events)
{
	uint8_t buf[sizeof(dns.last)];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	(void)arg;
	(void)events;
	if (n <= 0)
		return;
	assert_int_equal(answer_ask_take(buf, (size_t)n, &dns.last), 0);
	dns.n_asked++;
	if (!dns.silent)
		dns_say(dns.last.id);
}

static int begin(void **state)
{
	int fd[2];

	setup(state);
	played_dc_new(&far, &site, PLAYED_DOMAIN);
	site_stop_dc(&site);
	memset(&dns, 0, sizeof(dns));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	dns.fd = fd[0];
	site.pair = fd[1];
	memcpy(dns.fp, far.pki->ca_fp, NTMC_FP_LEN);
	assert_int_equal(loop_io_add(site.loop, dns.fd, LOOP_READ, false,
				     dns_readable, NULL, &dns.io),
			 0);
	free(site.conf.dc_anchor);
	site.conf.dc_anchor = strdup("/dev/null"); /* one that can be read */
	site_start_dc(&site);
	site_wait_link(&site);
	come(&mn, &open_node);
	come(&cn, &open_node);
	return 0;
}

static int end(void **state)
{
	loop_io_del(dns.io);
	close(dns.fd);
	close(site.pair);
	played_dc_free(&far);
	return teardown(state);
}

static uint32_t direction(void)
{
	const Ntm__Signal *s = peer_direction(&mn, CAROL);

	assert_non_null(s);
	return s->body_case == NTM__SIGNAL__BODY_ACK ? s->ack->code : 0;
}

static struct domain *domain(void)
{
	struct domain *d = domains_of(site.dc, CAROL);

	assert_non_null(d);
	return d;
}

static size_t n_domains(void)
{
	json_t *all = domains_admin(site.dc);
	size_t n = json_array_size(all);

	json_decref(all);
	return n;
}

/* a direction of theirs to cn, which agrees */
static void met(void)
{
	static uint8_t key[NTMC_KEY_LEN] = {1};
	Ntm__PeerDirection body = NTM__PEER_DIRECTION__INIT;
	Ntm__RouteDirection route = NTM__ROUTE_DIRECTION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__NodeInfo info;
	const Ntm__Signal *s;

	played_dc_info(&far, &info);
	route.path_id = 2;
	route.role = NTM__TUNNEL_ROLE__ROLE_WAIT;
	route.end = NTM__TUNNEL_END__END_CN;
	route.ktun = route.ktmp = (ProtobufCBinaryData){NTMC_KEY_LEN, key};
	route.aead = NTMC_AES_256_GCM;
	route.peer = &info;
	body.fqdn = cn.fqdn;
	body.route = &route;
	msg.body_case = NTM__SIGNAL__BODY_PEER_DIRECTION;
	msg.peer_direction = &body;
	s = played_dc_answer(&far, played_dc_send(&far, &far.out, &msg));
	assert_non_null(s);
	assert_int_equal(s->ack->code, 0);
}

static bool passed(void *arg)
{
	return loop_now_exact(site.loop) > *(uint64_t *)arg;
}

static void pass(uint64_t ns)
{
	uint64_t until = loop_now_exact(site.loop) + ns;

	assert_true(site_wait(&site, passed, &until));
}

/* --- who is believed ------------------------------------------------------------------ */

static void vouched(void **state)
{
	(void)state;
	assert_int_equal(direction(), 0);
	assert_true(dns.last.need_ca);
	assert_string_equal(dns.last.domain, PLAYED_DOMAIN);
	assert_int_equal(dns.n_asked, 1);
	assert_int_equal(played_dc_link(&far), 0);
	met();
}

/* DNS's word has run out while our own key lives: it is asked again */
static void brings_a_key_later(void **state)
{
	(void)state;
	assert_int_equal(direction(), 0);
	domain()->vouched = 1;
	assert_int_equal(played_dc_link(&far), 0);
	assert_int_equal(dns.n_asked, 2);
	assert_int_equal(direction(), 0);
	assert_int_equal(far.n_keys, 1);
}

static void not_vouched(void **state)
{
	(void)state;
	dns.err = -NTM_EUNVERIFIED;
	assert_int_not_equal(played_dc_link(&far), 0);
	dns.err = 0;
	dns.fp[3] ^= 1;
	assert_int_not_equal(played_dc_link(&far), 0);
	assert_int_equal(far.n_keys, 0);
}

static bool cn_told(void *arg)
{
	(void)arg;
	return cn.n_withdraw;
}

static void another_ca(void **state)
{
	(void)state;
	assert_int_equal(direction(), 0);
	assert_int_equal(played_dc_link(&far), 0);
	met();
	dns.fp[5] ^= 1;
	domain()->vouched = 1;
	assert_int_not_equal(played_dc_link(&far), 0);
	for (int k = 0; k < 4; k++)
		assert_true(domain()->keys[k].id == 0);
	assert_int_equal(domain()->ca_len, 0);
	assert_true(site_wait(&site, cn_told, NULL));
	assert_int_not_equal(direction(), 0);
}

static json_t *admin(const char *command, const char *name)
{
	json_t *q = json_pack("{s:s}", "domain", name);
	json_t *answer = dc_admin(site.dc, command, q);

	json_decref(q);
	assert_non_null(answer);
	return answer;
}

static bool admin_ok(const char *command, const char *name)
{
	json_t *answer = admin(command, name);
	bool ok = json_is_true(json_object_get(answer, "ok"));

	json_decref(answer);
	return ok;
}

static size_t n_blocked(void)
{
	json_t *answer = admin("peer-list", "");
	size_t n = json_array_size(json_object_get(answer, "blocked"));

	json_decref(answer);
	return n;
}

/* one that DNSSEC vouches for is kept out by name, over restarts, and let in again */
static void blocked(void **state)
{
	(void)state;
	assert_int_equal(direction(), 0);
	assert_int_equal(played_dc_link(&far), 0);
	met();
	assert_true(admin_ok("peer-block", PLAYED_DOMAIN));
	assert_true(admin_ok("peer-block", "Example.NET"));
	assert_int_equal(n_blocked(), 1);
	assert_true(site_wait(&site, cn_told, NULL));
	assert_int_equal(direction(), NTM_EPERM);
	assert_int_not_equal(played_dc_link(&far), 0);
	assert_int_equal(n_domains(), 0);
	site_stop_dc(&site);
	site_start_dc(&site);
	site_wait_link(&site);
	come(&mn, &open_node);
	come(&cn, &open_node);
	assert_int_equal(direction(), NTM_EPERM);
	assert_false(*played_dc_add(&far) == '\0');
	assert_true(admin_ok("peer-unblock", PLAYED_DOMAIN));
	assert_false(admin_ok("peer-unblock", PLAYED_DOMAIN));
	assert_int_equal(direction(), 0);
	/* those above, but neither ourselves nor who was added */
	assert_true(admin_ok("peer-block", "net"));
	assert_int_equal(direction(), NTM_EPERM);
	assert_true(admin_ok("peer-unblock", "net"));
	assert_false(admin_ok("peer-block", SITE_DOMAIN));
	assert_false(admin_ok("peer-block", "org"));
	assert_false(admin_ok("peer-block", "no_domain"));
	assert_string_equal(played_dc_add(&far), "");
	assert_false(admin_ok("peer-block", "net"));
	assert_int_equal(direction(), 0);
}

/* --- strangers -------------------------------------------------------------------------- */

static unsigned int n_open, n_closed;

static void held_open(struct channel *c, void *arg)
{
	(void)c;
	(void)arg;
	n_open++;
}

static void held_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	(void)c;
	(void)msg;
	(void)arg;
}

static void held_closed(struct channel *c, int err, void *arg)
{
	(void)c;
	(void)err;
	(void)arg;
	n_closed++;
}

static const struct channel_ops held_ops = {
	.open = held_open, .message = held_message, .closed = held_closed};

static bool is_open(void *arg)
{
	return n_open + n_closed >= *(unsigned int *)arg;
}

struct holder {
	struct pki *pki;
	struct pki_id id;
	struct tls_context *tls;
	struct channel *c;
};

static void hold(struct holder *h, unsigned int i)
{
	char name[32];

	snprintf(name, sizeof(name), "d%u.test", i);
	h->pki = pki_new(name);
	pki_issue(h->pki, NTMC_CERT_SERVER, name, NTMC_ROLE_DC, -60, 3600,
		  &h->id);
	assert_int_equal(tls_context_new(&h->id.id, h->id.der, h->id.len,
					 h->pki->ca_der, h->pki->ca_len, NULL,
					 site.ca_fp, &h->tls),
			 0);
	assert_int_equal(channel_connect(site.loop, h->tls, &site.dc_addr.sa,
					 addr_len(&site.dc_addr), &held_ops,
					 NULL, &h->c),
			 0);
	i++;
	assert_true(site_wait(&site, is_open, &i));
}

/* whoever has a CA may connect; that costs neither a place nor a known domain's way */
static void strangers(void **state)
{
	static struct holder h[HOLDERS];

	(void)state;
	n_open = n_closed = 0;
	assert_int_equal(direction(), 0);
	for (unsigned int i = 0; i < HOLDERS; i++)
		hold(&h[i], i);
	assert_int_equal(n_domains(), 1);
	assert_int_equal(dns.n_asked, 1);
	assert_int_equal(played_dc_link(&far), 0);
	met();
	for (unsigned int i = 0; i < HOLDERS; i++)
		if (i >= n_closed)
			channel_close(h[i].c);
	assert_int_equal(loop_turn(site.loop, false), 0);
	for (unsigned int i = 0; i < HOLDERS; i++) {
		tls_context_free(h[i].tls);
		pki_free(h[i].pki);
	}
}

/* --- failures --------------------------------------------------------------------------- */

static bool was_tried(void *arg)
{
	(void)arg;
	return domain()->again != 0;
}

/* a key that cannot be renewed lives to its end, and DNS is asked once, not for ever */
static void renewal(void **state)
{
	struct domain *d;

	(void)state;
	assert_int_equal(direction(), 0);
	d = domain();
	dns.silent = true;
	d->found = 1;
	d->used = true;
	d->keys[DOMAIN_OURS].until = loop_now(site.loop) + LOOP_S(3600);
	pass(LOOP_MS(2500));
	assert_int_equal(dns.n_asked, 2);
	assert_int_equal(direction(), 0);
	dns.err = -NTM_EUNREACHABLE;
	dns_say(dns.last.id);
	assert_true(site_wait(&site, was_tried, NULL));
	assert_int_equal(d->state, DOMAIN_READY);
	assert_int_equal(direction(), 0);
	assert_int_equal(far.n_keys, 1);
	/* and later it works */
	dns.silent = false;
	dns.err = 0;
	d->again = 0;
	pass(LOOP_MS(1500));
	assert_int_equal(far.n_keys, 2);
	assert_int_equal(direction(), 0);
}

static bool mn_told(void *arg)
{
	(void)arg;
	return mn.got && mn.got->txn == mn.asked;
}

/* the resolver died: who waits is told, and the next question is a new one */
static void restarted(void **state)
{
	Ntm__DirectionRequest q = NTM__DIRECTION_REQUEST__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	(void)state;
	dns.silent = true;
	q.fqdn = (char *)CAROL;
	q.aead = NTMC_AES_256_GCM;
	msg.txn = mn.asked = ++mn.txn;
	msg.body_case = NTM__SIGNAL__BODY_DIRECTION_REQUEST;
	msg.direction_request = &q;
	peer_send(&mn, &msg);
	pass(LOOP_MS(300));
	assert_int_equal(dns.n_asked, 1);
	dns_say(0);
	assert_true(site_wait(&site, mn_told, NULL));
	assert_int_equal(mn.got->ack->code, NTM_EUNREACHABLE);
	dns_say(dns.last.id); /* too late */
	domain()->deadline = 1;
	dns.silent = false;
	assert_int_equal(direction(), 0);
}

static void garbage(void **state)
{
	struct finder_say s;

	(void)state;
	memset(&s, 0xff, sizeof(s));
	for (size_t n = 1; n < sizeof(s); n += 100)
		assert_int_equal(send(dns.fd, &s, n, 0), n);
	assert_int_equal(send(dns.fd, &s, sizeof(s), 0), sizeof(s));
	assert_int_equal(direction(), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(vouched),	T(brings_a_key_later),
		T(not_vouched), T(another_ca),
		T(strangers),	T(renewal),
		T(restarted),	T(garbage),
		T(blocked),
	};

	return cmocka_run_group_tests_name("finder", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * test_udpmap - wildcard UDP sockets through UDPBIND, the page and UDPALIAS, played
 *               by hand where a shim would
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/udpmap.h"
#include "common/err.h"
#include "tests/unit/broker/engine/fixture.h"

enum kind { V4, DUAL, V6ONLY };

struct program {
	int fd;
	uint16_t port;
	enum kind kind;
	struct shim_request bind;
};

static const struct shim_page *page;

static int page_setup(void **state)
{
	int err = fixture_setup(state), fd;

	if (err)
		return err;
	fd = open(run_path(SHIM_PAGE_FILE), O_RDONLY | O_CLOEXEC);
	page = mmap(NULL, sizeof(*page), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return page == MAP_FAILED ? -1 : 0;
}

static void patience(int fd, int ms)
{
	const struct timeval tv = {.tv_sec = ms / 1000,
				   .tv_usec = ms % 1000 * 1000};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

static void program_bind(struct program *p, enum kind kind)
{
	union sockaddr_any a;
	socklen_t len = addr_make(&a, kind == V4 ? "0.0.0.0" : "::", 0);
	int v6only = kind == V6ONLY, on = 1;

	p->kind = kind;
	p->fd = socket(a.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (kind != V4)
		setsockopt(p->fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only,
			   sizeof(v6only));
	setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	patience(p->fd, 5000);
	assert_int_equal(bind(p->fd, &a.sa, len), 0);
	assert_int_equal(getsockname(p->fd, &a.sa, &len), 0);
	p->port = ntohs(a.in4.sin_port);
	p->bind = (struct shim_request){.op = SHIM_UDPBIND,
					.domain = a.sa.sa_family,
					.type = SOCK_DGRAM,
					.v6only = v6only,
					.inode = inode_of(p->fd)};
	p->bind.local.family = a.sa.sa_family;
	p->bind.local.port = p->port;
}

static void program_start(struct program *p, enum kind kind)
{
	program_bind(p, kind);
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &p->bind, NULL, NULL), 0);
}

static int alias_ask(const struct program *p, const struct shim_addr *remote,
		     struct shim_answer *ans)
{
	struct shim_request req = p->bind;

	req.op = SHIM_UDPALIAS;
	req.remote = *remote;
	return ask(SHIM_BROKER_SOCKET, &req, ans, NULL);
}

static int peer_open(const char *vip, uint16_t port)
{
	union sockaddr_any a;
	socklen_t len = addr_make(&a, vip, port);
	int fd = inside_socket_get(a.sa.sa_family, SOCK_DGRAM);

	assert_int_equal(connect(fd, &a.sa, len), 0);
	return fd;
}

static struct shim_addr name_of(int fd)
{
	struct shim_addr out;
	union sockaddr_any a;
	socklen_t len = sizeof(a);

	assert_int_equal(getsockname(fd, &a.sa, &len), 0);
	assert_int_equal(shim_addr_from(&a.sa, len, &out), 0);
	return out;
}

/* Receives what @peer sent; @from: as the program sees it. */
static void program_recv(const struct program *p, union sockaddr_any *from,
			 socklen_t *len, const char *want)
{
	char buf[64] = "";

	*len = sizeof(*from);
	assert_int_equal(recvfrom(p->fd, buf, sizeof(buf), 0, &from->sa, len),
			 strlen(want));
	assert_string_equal(buf, want);
}

static void assert_same(const struct shim_addr *a, const struct shim_addr *b)
{
	assert_int_equal(a->family, b->family);
	assert_int_equal(a->port, b->port);
	assert_memory_equal(a->addr, b->addr, sizeof(a->addr));
}

/* There and back; the page names the peer, UDPALIAS agrees both ways. */
static void exchange(const struct program *p, const char *vip)
{
	int peer = peer_open(vip, p->port);
	struct shim_addr me = name_of(peer), alias, found;
	struct shim_answer ans;
	union sockaddr_any from;
	socklen_t len;
	char buf[8];

	assert_int_equal(send(peer, "question", 8, 0), 8);
	program_recv(p, &from, &len, "question");
	assert_int_equal(shim_addr_from(&from.sa, len, &alias), 0);
	assert_true(shim_alias_range(&alias));
	assert_true(shim_flow_source(page, &alias, p->port, &found));
	assert_same(&found, &me);
	assert_int_equal(alias_ask(p, &me, &ans), 0);
	shim_addr_unmap(&alias);
	assert_same(&ans.addr, &alias);
	assert_int_equal(alias_ask(p, &alias, &ans), 0);
	assert_same(&ans.addr, &me);
	assert_int_equal(sendto(p->fd, "answer", 6, 0, &from.sa, len), 6);
	assert_int_equal(recv(peer, buf, sizeof(buf), 0), 6);
	assert_memory_equal(buf, "answer", 6);
	close(peer);
}

/* Nothing is announced any more, and the flows are gone with it. */
static bool page_empty(void *arg)
{
	size_t i;

	(void)arg;
	for (i = 0; i < 65536 / 32; i++)
		if (page->udp_ports[i] || page->udp6_ports[i])
			return false;
	for (i = 0; i < SHIM_FLOWS; i++)
		if (page->flows[i].live || page->hash[i])
			return false;
	return true;
}

static void test_families(void **state)
{
	struct program p;

	(void)state;
	program_start(&p, V4);
	assert_true(page->udp_ports[p.port / 32] >> p.port % 32 & 1);
	exchange(&p, VIP4);
	close(p.fd);
	program_start(&p, DUAL);
	exchange(&p, VIP4);
	exchange(&p, VIP6);
	close(p.fd);
	program_start(&p, V6ONLY);
	assert_true(page->udp6_ports[p.port / 32] >> p.port % 32 & 1);
	exchange(&p, VIP6);
	close(p.fd);
	assert_true(await(page_empty, NULL, 6000));
}

/* The program speaks first. */
static void test_first_word(void **state)
{
	struct program p;
	int peer = inside_socket_get(AF_INET, SOCK_DGRAM);
	struct shim_answer ans;
	struct sockaddr_storage ss;
	struct shim_addr me;
	union sockaddr_any a;
	socklen_t len = addr_make(&a, VIP4, 0);
	char buf[8];

	(void)state;
	assert_int_equal(bind(peer, &a.sa, len), 0);
	me = name_of(peer);
	program_start(&p, V4);
	assert_int_equal(alias_ask(&p, &me, &ans), 0);
	len = shim_addr_to(&ans.addr, &ss);
	assert_int_equal(
		sendto(p.fd, "hello", 5, 0, (struct sockaddr *)&ss, len), 5);
	len = sizeof(a);
	assert_int_equal(recvfrom(peer, buf, sizeof(buf), 0, &a.sa, &len), 5);
	assert_int_equal(ntohs(a.in4.sin_port), p.port);
	close(peer);
	close(p.fd);
}

static void test_refusals(void **state)
{
	struct program p, q;
	struct shim_request req;
	struct shim_addr nobody = {
		.family = AF_INET, .port = 9, .addr = {127, 90, 0, 1}};
	struct shim_answer ans;

	(void)state;
	program_bind(&p, V4);
	req = p.bind;
	req.inode++;
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &req, NULL, NULL), NTM_EPERM);
	req = p.bind;
	req.local.port ^= 1;
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &req, NULL, NULL), NTM_EPERM);
	/* not announced: no alias */
	assert_int_equal(alias_ask(&p, &nobody, &ans), NTM_ENOTFOUND);
	program_start(&q, V4);
	assert_int_equal(alias_ask(&q, &nobody, &ans), NTM_ENOTFOUND);
	close(p.fd);
	close(q.fd);
}

/* Somebody takes 127.0.0.1:port, as the program's SO_REUSEADDR lets him. */
static void test_theft(void **state)
{
	int on = 1, thief = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), peer;
	union sockaddr_any a;
	struct program p;
	socklen_t len;
	char buf[8];

	(void)state;
	program_start(&p, V4);
	exchange(&p, VIP4);
	setsockopt(thief, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	len = addr_make(&a, "127.0.0.1", p.port);
	assert_int_equal(bind(thief, &a.sa, len), 0);
	peer = peer_open(VIP4, p.port);
	assert_int_equal(send(peer, "secret", 6, 0), 6);
	patience(thief, 300);
	assert_int_equal(recv(thief, buf, sizeof(buf), 0), -1);
	close(thief);
	exchange(&p, VIP4);
	close(peer);
	close(p.fd);
}

/* One peer's address cannot take all flows. */
static void test_flow_limit(void **state)
{
	struct shim_addr peer = {.family = AF_INET, .addr = {198, 18, 0, 99}};
	struct shim_answer ans;
	struct program p;
	int n = 0, err = 0;

	(void)state;
	program_start(&p, V4);
	for (peer.port = 1; peer.port < UDP_FLOWS_PER_PEER + 100; peer.port++) {
		err = alias_ask(&p, &peer, &ans);
		if (err)
			break;
		n++;
	}
	assert_int_equal(err, NTM_ELIMIT);
	assert_int_equal(n, UDP_FLOWS_PER_PEER);
	peer.addr[3]++;
	assert_int_equal(alias_ask(&p, &peer, &ans), 0);
	close(p.fd);
	assert_true(await(page_empty, NULL, 6000));
}

static void test_worker_killed(void **state)
{
	int peer4, peer6, i;
	struct program p, q;
	union sockaddr_any from4, from6, from;
	socklen_t len4, len6, len;
	char buf[8];
	long gen;

	(void)state;
	program_start(&p, DUAL);
	program_start(&q, V6ONLY);
	peer4 = peer_open(VIP4, p.port);
	peer6 = peer_open(VIP6, q.port);
	assert_int_equal(send(peer4, "a", 1, 0), 1);
	assert_int_equal(send(peer6, "b", 1, 0), 1);
	program_recv(&p, &from4, &len4, "a");
	program_recv(&q, &from6, &len6, "b");
	for (i = 0; i < 5; i++) {
		gen = standin("generation");
		kill((pid_t)standin("pid"), SIGKILL);
		/* sent while nobody serves: waits */
		assert_int_equal(send(peer4, "c", 1, 0), 1);
		assert_int_equal(sendto(q.fd, "d", 1, 0, &from6.sa, len6), 1);
		assert_true(standin_reaches("generation", gen + 1));
		program_recv(&p, &from, &len, "c");
		assert_int_equal(len, len4);
		assert_memory_equal(&from, &from4, len); /* the same alias */
		assert_int_equal(recv(peer6, buf, sizeof(buf), 0), 1);
		assert_int_equal(buf[0], 'd');
	}
	exchange(&p, VIP6);
	exchange(&q, VIP6);
	close(p.fd);
	close(q.fd);
	close(peer4);
	close(peer6);
}

/* A big datagram and a burst. */
static void test_sizes(void **state)
{
	static char big[60000], back[sizeof(big)];
	int peer, i, got = 0;
	struct program p;

	(void)state;
	program_start(&p, V4);
	peer = peer_open(VIP4, p.port);
	memset(big, 'b', sizeof(big));
	assert_int_equal(send(peer, big, sizeof(big), 0), sizeof(big));
	assert_int_equal(recv(p.fd, back, sizeof(back), 0), sizeof(big));
	assert_memory_equal(big, back, sizeof(big));
	for (i = 0; i < 100; i++)
		assert_int_equal(send(peer, big, (size_t)i, 0), i);
	for (i = 0; i < 100; i++)
		got += recv(p.fd, back, sizeof(back), 0) == i;
	assert_int_equal(got, 100);
	close(peer);
	close(p.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_first_word),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_theft),
		cmocka_unit_test(test_flow_limit),
		cmocka_unit_test(test_worker_killed),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, page_setup, fixture_teardown);
}

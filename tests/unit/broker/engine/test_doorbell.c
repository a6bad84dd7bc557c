/* SPDX-License-Identifier: MIT */
/*
 * test_doorbell - wildcard TCP listeners through LISTEN, doorbell and CLAIM, played
 *                 by hand where a shim would
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/listener.h"
#include "common/err.h"
#include "tests/unit/broker/engine/fixture.h"

enum kind { V4, DUAL, V6ONLY };

/* --- the program ------------------------------------------------------------------------ */

struct program {
	int fd;
	uint16_t port;
	struct shim_request listen;
};

static void set(int fd, int level, int name, int value)
{
	assert_int_equal(setsockopt(fd, level, name, &value, sizeof(value)), 0);
}

static void program_listen(struct program *p, enum kind kind, uint16_t port,
			   bool defer)
{
	const struct timeval patience = {.tv_sec = 5};
	union sockaddr_any a;
	socklen_t len = addr_make(&a, kind == V4 ? "0.0.0.0" : "::", port);

	p->fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(p->fd >= 0);
	set(p->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (kind != V4)
		set(p->fd, IPPROTO_IPV6, IPV6_V6ONLY, kind == V6ONLY);
	if (defer)
		set(p->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
	setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(bind(p->fd, &a.sa, len), 0);
	assert_int_equal(listen(p->fd, 128), 0);
	assert_int_equal(getsockname(p->fd, &a.sa, &len), 0);
	p->port = ntohs(a.in4.sin_port);
	p->listen = (struct shim_request){.op = SHIM_LISTEN,
					  .domain = a.sa.sa_family,
					  .type = SOCK_STREAM,
					  .v6only = kind == V6ONLY,
					  .defer = defer,
					  .backlog = 128,
					  .inode = inode_of(p->fd)};
	p->listen.local.family = a.sa.sa_family;
	p->listen.local.port = p->port;
}

static void program_start(struct program *p, enum kind kind, bool defer)
{
	program_listen(p, kind, 0, defer);
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &p->listen, NULL, NULL), 0);
}

static int accept_bell(const struct program *p, struct shim_request *claim)
{
	union sockaddr_any peer, me;
	socklen_t len = sizeof(peer), me_len = sizeof(me);
	int fd = accept(p->fd, &peer.sa, &len);

	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, &me.sa, &me_len), 0);
	*claim = (struct shim_request){.op = SHIM_CLAIM};
	assert_int_equal(shim_addr_from(&peer.sa, len, &claim->remote), 0);
	assert_int_equal(shim_addr_from(&me.sa, me_len, &claim->local), 0);
	return fd;
}

/* --- the peer ---------------------------------------------------------------------------- */

/* From inside, where the virtual address is. Non-blocking. */
static int peer_connect(const char *vip, uint16_t port)
{
	union sockaddr_any a;
	socklen_t len = addr_make(&a, vip, port);
	int fd = inside_socket_get(a.sa.sa_family, SOCK_STREAM);

	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, &a.sa, len) < 0)
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

/* Its end comes within @ms: reset, refused or closed. A deferring listener's byte may
 * come before. */
static bool peer_ends(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char c;

	while (poll(&p, 1, ms) == 1)
		if (recv(fd, &c, 1, MSG_DONTWAIT) <= 0)
			return true;
	return false;
}

static void exchange(const struct program *p, const char *vip)
{
	int peer = peer_connect(vip, p->port), bell, conn;
	struct shim_request claim;
	struct shim_answer ans;
	union sockaddr_any a, b;
	socklen_t len = sizeof(a);
	struct pollfd pfd;
	char c = 0;

	bell = accept_bell(p, &claim);
	assert_false(is_inside(bell));
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &claim, &ans, &conn), 0);
	assert_true(conn >= 0 && is_inside(conn));
	/* claimed once only */
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &claim, NULL, NULL),
			 NTM_ENOTFOUND);
	assert_true(peer_ends(bell, 2000));
	close(bell);

	assert_int_equal(getsockname(peer, &a.sa, &len), 0);
	len = sizeof(b);
	assert_int_equal(getpeername(conn, &b.sa, &len), 0);
	assert_int_equal(a.in4.sin_port, b.in4.sin_port);
	assert_int_equal(ans.addr.port, ntohs(a.in4.sin_port));
	assert_int_equal(send(conn, "y", 1, MSG_NOSIGNAL), 1);
	pfd = (struct pollfd){.fd = peer, .events = POLLIN};
	assert_int_equal(poll(&pfd, 1, 2000), 1);
	assert_int_equal(recv(peer, &c, 1, 0), 1);
	assert_int_equal(c, 'y');
	close(peer);
	close(conn);
}

static void test_families(void **state)
{
	struct program p;

	(void)state;
	program_start(&p, V4, false);
	exchange(&p, VIP4);
	close(p.fd);
	program_start(&p, DUAL, false);
	exchange(&p, VIP4);
	exchange(&p, VIP6);
	close(p.fd);
	program_start(&p, V6ONLY, false);
	exchange(&p, VIP6);
	close(p.fd);
	program_start(&p, V4, true); /* heard at all: a byte came with it */
	exchange(&p, VIP4);
	close(p.fd);
}

static bool refused_inside(void *arg)
{
	int fd = peer_connect(VIP4, *(uint16_t *)arg);
	bool over = peer_ends(fd, 200);
	int err = 0;
	socklen_t len = sizeof(err);

	if (over)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	close(fd);
	return over;
}

static bool no_listeners(void *arg)
{
	(void)arg;
	return standin("listeners") == 0;
}

static void test_listener_ends(void **state)
{
	struct program p, q;

	(void)state;
	program_start(&p, V4, false);
	exchange(&p, VIP4);
	close(p.fd);
	/* at once for a peer, soon for the socket itself */
	assert_true(refused_inside(&p.port));
	assert_true(await(no_listeners, NULL, 5000));
	/* and the port serves again */
	program_listen(&q, V4, p.port, false);
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &q.listen, NULL, NULL), 0);
	exchange(&q, VIP4);
	close(q.fd);
}

static void test_announcements(void **state)
{
	struct shim_request req;
	struct program p;

	(void)state;
	program_listen(&p, V4, 0, false);
	req = p.listen;
	req.inode++;
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &req, NULL, NULL), NTM_EPERM);
	req = p.listen;
	req.local.port++;
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &req, NULL, NULL), NTM_EPERM);
	req = p.listen;
	req.domain = AF_INET6;
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &req, NULL, NULL), NTM_EPERM);
	req = p.listen;
	req.domain = AF_UNIX;
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &req, NULL, NULL), NTM_EINVAL);
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &p.listen, NULL, NULL), 0);
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &p.listen, NULL, NULL), 0);
	close(p.fd);
}

static void test_port_conflict(void **state)
{
	union sockaddr_any a;
	struct program p;
	int fd = inside_socket_get(AF_INET, SOCK_STREAM);
	socklen_t len;

	(void)state;
	program_listen(&p, V4, 0, false);
	len = addr_make(&a, "0.0.0.0", p.port);
	assert_int_equal(bind(fd, &a.sa, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &p.listen, NULL, NULL),
			 NTM_EEXISTS);
	close(fd);
	close(p.fd);
}

static void test_imitations(void **state)
{
	struct shim_request claim, wrong;
	struct program p;
	int peer, bell, fd;

	(void)state;
	program_start(&p, V4, false);
	peer = peer_connect(VIP4, p.port);
	bell = accept_bell(&p, &claim);
	wrong = claim;
	wrong.remote.port ^= 1;
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &wrong, NULL, NULL),
			 NTM_ENOTFOUND);
	wrong = claim;
	wrong.local.port ^= 1;
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &wrong, NULL, NULL),
			 NTM_ENOTFOUND);
	wrong = claim;
	wrong.local.addr[3] ^= 2;
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &wrong, NULL, NULL),
			 NTM_ENOTFOUND);
	wrong = claim;
	wrong.remote.addr[3] ^= 1;
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &wrong, NULL, NULL),
			 NTM_ENOTFOUND);
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &claim, NULL, &fd), 0);
	close(fd);
	close(bell);
	close(peer);
	close(p.fd);
}

static void test_unclaimed(void **state)
{
	struct shim_request claim;
	struct program p;
	long before = standin("unclaimed");
	int peer, bell;

	(void)state;
	program_start(&p, V4, false);
	/* accepted, never claimed: a program without a shim */
	peer = peer_connect(VIP4, p.port);
	bell = accept_bell(&p, &claim);
	assert_true(peer_ends(bell, 3000));
	assert_true(peer_ends(peer, 1000));
	close(bell);
	close(peer);
	/* accepted and closed */
	peer = peer_connect(VIP4, p.port);
	close(accept_bell(&p, &claim));
	assert_true(peer_ends(peer, 1000));
	close(peer);
	assert_true(standin_reaches("unclaimed", before + 2));
	/* not accepted yet: it waits, as in any queue */
	peer = peer_connect(VIP4, p.port);
	assert_false(peer_ends(peer, 2500));
	bell = accept_bell(&p, &claim);
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &claim, NULL, &bell), 0);
	close(bell);
	close(peer);
	close(p.fd);
}

static int worker_fds(void)
{
	char command[64];
	int n = -1;
	FILE *f;

	snprintf(command, sizeof(command), "ls /proc/%ld/fd | wc -l",
		 standin("pid"));
	f = popen(command, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &n), 1);
	pclose(f);
	return n;
}

static bool few_worker_fds(void *arg)
{
	return worker_fds() < *(int *)arg + 8;
}

/* A flood at a program that does not accept, and one beside it that does. */
static void test_flood(void **state)
{
	enum { FLOOD = 600 };
	static int peers[FLOOD];
	struct rlimit rl = {.rlim_cur = FLOOD + 100, .rlim_max = RLIM_INFINITY};
	int before = worker_fds(), i;
	struct program deaf, well;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	program_start(&deaf, V4, false);
	program_start(&well, V4, false);
	for (i = 0; i < FLOOD; i++)
		peers[i] = peer_connect(VIP4, deaf.port);
	exchange(&well, VIP4);
	assert_in_range(worker_fds(), before,
			before + 2 * DOORBELLS_PER_LISTENER + 16);
	for (i = 0; i < FLOOD; i++)
		close(peers[i]);
	close(deaf.fd);
	assert_true(await(few_worker_fds, &before, 5000));
	exchange(&well, VIP4);
	close(well.fd);
}

/* A worker without descriptors waits; when it has some, it goes on. */
static void test_no_descriptors(void **state)
{
	enum { PEERS = 40 };
	struct rlimit old, low;
	int peers[PEERS], i;
	pid_t worker = (pid_t)standin("pid");
	struct program p;

	(void)state;
	program_start(&p, V4, false);
	assert_int_equal(prlimit(worker, RLIMIT_NOFILE, NULL, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)worker_fds() + 8;
	assert_int_equal(prlimit(worker, RLIMIT_NOFILE, &low, NULL), 0);
	for (i = 0; i < PEERS; i++)
		peers[i] = peer_connect(VIP4, p.port);
	for (i = 0; i < PEERS; i++)
		close(peers[i]);
	assert_int_equal(prlimit(worker, RLIMIT_NOFILE, &old, NULL), 0);
	close(p.fd);
	program_start(&p, V4, false);
	exchange(&p, VIP4);
	assert_int_equal(standin("pid"), worker);
	close(p.fd);
}

static void test_worker_killed(void **state)
{
	struct program p, deferring;
	long gen = standin("generation");

	(void)state;
	program_start(&p, DUAL, false);
	program_start(&deferring, V4, true);
	exchange(&p, VIP6);
	kill((pid_t)standin("pid"), SIGKILL);
	assert_true(standin_reaches("generation", gen + 1));
	exchange(&p, VIP4);
	exchange(&p, VIP6);
	exchange(&deferring, VIP4);
	close(p.fd);
	close(deferring.fd);
	assert_true(await(no_listeners, NULL, 5000));
}

/* --- names: the shim server's other requests ----------------------------------------------- */

static void test_names(void **state)
{
	struct shim_request req = {.op = SHIM_RESOLVE, .name = "self.test"};
	struct shim_answer ans;
	union sockaddr_any a;
	socklen_t len = addr_make(&a, VIP4, 1);
	long before = standin("cancelled");
	uint8_t buf[SHIM_MSG_MAX];
	int sock;

	(void)state;
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &req, &ans, NULL), 0);
	assert_string_equal(ans.name, "self.test");
	assert_memory_equal(ans.vip4, &a.in4.sin_addr, 4);
	strcpy(req.name, "else.where");
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &req, &ans, NULL),
			 NTM_ENOTOURS);
	/* who hangs up cancels */
	strcpy(req.name, "slow.test");
	sock = server_connect(SHIM_BROKER_SOCKET);
	assert_int_equal(shim_msg_send(sock, buf,
				       (size_t)shim_request_put(&req, buf), -1),
			 0);
	close(sock);
	assert_true(standin_reaches("cancelled", before + 1));

	req = (struct shim_request){.op = SHIM_REVERSE};
	assert_int_equal(shim_addr_from(&a.sa, len, &req.remote), 0);
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &req, &ans, NULL), 0);
	assert_string_equal(ans.name, "self.test");
	req.remote.addr[3]++;
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &req, &ans, NULL),
			 NTM_ENONAME);
	req.op = SHIM_SOCKET;
	assert_int_equal(ask(SHIM_BROKER_SOCKET, &req, &ans, NULL), NTM_EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_listener_ends),
		cmocka_unit_test(test_announcements),
		cmocka_unit_test(test_port_conflict),
		cmocka_unit_test(test_imitations),
		cmocka_unit_test(test_unclaimed),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_worker_killed),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}

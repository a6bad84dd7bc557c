/* SPDX-License-Identifier: MIT */
/*
 * test_keeper - start and end, the engine, pools, and every process but the keeper
 *               killed
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "tests/unit/broker/engine/fixture.h"

#define KILLS 20

/* --- start and end --------------------------------------------------------------------- */

static void test_one_broker_a_user(void **state)
{
	char said[256], number[16];

	(void)state;
	assert_int_equal(broker_start(NULL, said, sizeof(said)), 3);
	snprintf(number, sizeof(number), "%d", broker_pid());
	assert_non_null(strstr(said, "already running"));
	assert_non_null(strstr(said, number));
}

static void test_end_and_again(void **state)
{
	long port = standin("port");

	(void)state;
	broker_stop();
	assert_int_equal(access(run_path("keeper.sock"), F_OK), -1);
	assert_int_equal(access(run_path("broker.sock"), F_OK), -1);
	unlink(run_path("standin"));
	assert_int_equal(broker_start(NULL, NULL, 0), 0);
	assert_true(standin_reaches("generation", 1));
	assert_int_equal(standin("port"), port); /* peers remember it */
}

static void test_worker_says_end(void **state)
{
	pid_t pid = broker_pid();

	(void)state;
	assert_true(standin_reaches("pid", 1));
	kill((pid_t)standin("pid"), SIGUSR1);
	assert_true(await(gone, &pid, 5000));
	assert_int_equal(broker_start(NULL, NULL, 0), 0);
}

static void test_worker_refuses(void **state)
{
	char said[256];

	(void)state;
	broker_stop();
	assert_int_equal(broker_start("STANDIN_REFUSE=broker.conf:3: colour is "
				      "no key",
				      said, sizeof(said)),
			 1);
	assert_string_equal(said,
			    "ntm-broker: broker.conf:3: colour is no key\n");
	assert_int_equal(broker_start("STANDIN_DIE=1", said, sizeof(said)), 1);
	assert_non_null(strstr(said, "ends as soon as it is started"));
	assert_non_null(strstr(said, "status 5"));
	assert_int_equal(broker_start(NULL, NULL, 0), 0);
}

/* Runs the shell @script as the user's own root in new namespaces; @said: output. */
static int denied_run(const char *script, char *said, size_t size)
{
	char command[1024];
	size_t len;
	FILE *f;

	snprintf(command, sizeof(command),
		 "unshare --user --map-root-user --mount sh -c '%s; exec "
		 "%s/bin/ntm-broker --background --worker=%s/tests/standin' "
		 "2>&1",
		 script, getenv("O"), getenv("O"));
	f = popen(command, "re");
	assert_non_null(f);
	len = fread(said, 1, size - 1, f);
	said[len] = '\0';
	return WEXITSTATUS(pclose(f));
}

static void test_denied(void **state)
{
	char said[512];

	(void)state;
	broker_stop();
	assert_int_equal(
		denied_run("mount -t tmpfs none /dev/net", said, sizeof(said)),
		1);
	assert_string_equal(said, "ntm-broker: /dev/net/tun does not exist; as "
				  "root run: modprobe tun\n");
	assert_int_equal(denied_run("mount -t tmpfs none /dev/net && "
				    ": >/dev/net/tun && chmod 0 /dev/net/tun "
				    "&& echo 0 >/proc/sys/user/"
				    "max_user_namespaces",
				    said, sizeof(said)),
			 1);
	assert_non_null(strstr(said, "allows no user or network namespaces"));
	assert_non_null(strstr(said, "user.max_user_namespaces"));
	assert_int_equal(strchr(said, '\n') - said, strlen(said) - 1);
	assert_int_equal(broker_start(NULL, NULL, 0), 0);
}

/* --- sockets and pools --------------------------------------------------------------------- */

static void test_sockets(void **state)
{
	static const struct {
		int domain, type, err;
	} rows[] = {
		{AF_INET, SOCK_STREAM, 0},
		{AF_INET6, SOCK_STREAM, 0},
		{AF_INET, SOCK_DGRAM, 0},
		{AF_INET6, SOCK_DGRAM, 0},
		{AF_INET, SOCK_RAW, NTM_EPERM},
		{AF_INET, SOCK_SEQPACKET, NTM_EPERM},
		{AF_UNIX, SOCK_STREAM, NTM_EPERM},
		{AF_NETLINK, SOCK_DGRAM, NTM_EPERM},
		{AF_PACKET, SOCK_DGRAM, NTM_EPERM},
	};
	struct shim_request req = {.op = SHIM_SOCKET};
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		req.domain = (uint16_t)rows[i].domain;
		req.type = (uint16_t)rows[i].type;
		assert_int_equal(ask(SHIM_KEEPER_SOCKET, &req, NULL, &fd),
				 rows[i].err);
		assert_int_equal(fd >= 0, !rows[i].err);
		if (fd >= 0) {
			assert_true(is_inside(fd));
			close(fd);
		}
	}
	req.domain = AF_INET;
	req.type = SOCK_DGRAM;
	req.protocol = IPPROTO_ICMP; /* ping, open to everybody inside */
	assert_int_equal(ask(SHIM_KEEPER_SOCKET, &req, NULL, NULL), 0);
	req.op = SHIM_RESOLVE; /* the worker's */
	assert_int_equal(ask(SHIM_KEEPER_SOCKET, &req, NULL, NULL), NTM_EPERM);
}

static void test_low_port(void **state)
{
	union sockaddr_any a;
	int fd = inside_socket_get(AF_INET, SOCK_STREAM);
	int peer = inside_socket_get(AF_INET, SOCK_STREAM);
	socklen_t len = addr_make(&a, VIP4, 80);

	(void)state;
	assert_int_equal(bind(fd, &a.sa, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(connect(peer, &a.sa, len), 0);
	close(fd);
	close(peer);
}

static int pool_open(int type)
{
	const struct shim_request req = {
		.op = SHIM_POOL, .domain = AF_INET, .type = (uint16_t)type};
	uint8_t buf[SHIM_MSG_MAX];
	struct shim_answer ans;
	int sock = server_connect(SHIM_KEEPER_SOCKET), fd;
	ssize_t n = shim_request_put(&req, buf);

	assert_int_equal(shim_msg_send(sock, buf, (size_t)n, -1), 0);
	n = shim_msg_recv(sock, buf, sizeof(buf), &fd, 0);
	assert_true(n > 0 && shim_answer_get(buf, (size_t)n, &ans) == 0);
	assert_int_equal(ans.err, 0);
	return sock;
}

static bool pool_take(void *arg)
{
	uint8_t buf[SHIM_MSG_MAX];
	int fd;
	ssize_t n =
		shim_msg_recv(*(int *)arg, buf, sizeof(buf), &fd, MSG_DONTWAIT);

	if (n != 2 || fd < 0)
		return false;
	assert_int_equal(buf[0], SHIM_VERSION);
	assert_int_equal(buf[1], SHIM_POOL);
	assert_true(is_inside(fd));
	close(fd);
	return true;
}

static void test_pool(void **state)
{
	int pools[64], i, n = 0;
	size_t p;

	(void)state;
	for (p = 0; p < 64; p++)
		pools[p] = pool_open(SOCK_STREAM);
	/* each is refilled however often it is emptied */
	for (p = 0; p < 64; p++)
		for (i = 0; i < 60; i++)
			n += await(pool_take, &pools[p], 5000);
	assert_int_equal(n, 64 * 60);
	for (p = 0; p < 64; p++)
		close(pools[p]);
}

static void test_nonsense(void **state)
{
	static const char *const servers[] = {SHIM_KEEPER_SOCKET,
					      SHIM_BROKER_SOCKET};
	struct shim_request req = {
		.op = SHIM_SOCKET, .domain = AF_INET, .type = SOCK_STREAM};
	uint8_t buf[SHIM_MSG_MAX + 1] = {0}, in[SHIM_MSG_MAX];
	int good = shim_request_put(&req, buf), sock, fd, len;
	size_t s;

	(void)state;
	for (s = 0; s < 2; s++)
		for (len = 1; len <= (int)sizeof(buf);
		     len += len < good + 2 ? 1 : 64) {
			if (len == good)
				continue;
			sock = server_connect(servers[s]);
			assert_int_equal(
				shim_msg_send(sock, buf, (size_t)len, -1), 0);
			/* hung up, without an answer */
			assert_int_equal(
				shim_msg_recv(sock, in, sizeof(in), &fd, 0), 0);
			close(sock);
		}
	test_low_port(state);
}

/* --- kills --------------------------------------------------------------------------------- */

/* Two connected sockets inside. */
static void connection(int end[static 2])
{
	union sockaddr_any a;
	socklen_t len = addr_make(&a, VIP4, 0);
	int fd = inside_socket_get(AF_INET, SOCK_STREAM);

	end[0] = inside_socket_get(AF_INET, SOCK_STREAM);
	assert_int_equal(bind(fd, &a.sa, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, &a.sa, &len), 0);
	assert_int_equal(connect(end[0], &a.sa, len), 0);
	end[1] = accept(fd, NULL, NULL);
	assert_true(end[1] >= 0);
	close(fd);
}

static void assert_carries(const int end[static 2])
{
	char c = 0;

	assert_int_equal(send(end[0], "x", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(recv(end[1], &c, 1, 0), 1);
	assert_int_equal(c, 'x');
}

static void test_worker_killed(void **state)
{
	struct timespec t0, t1;
	long gen, port = standin("port");
	double ms, worst = 0;
	int end[2], i;

	(void)state;
	connection(end);
	for (i = 0; i < KILLS; i++) {
		gen = standin("generation");
		clock_gettime(CLOCK_MONOTONIC, &t0);
		kill((pid_t)standin("pid"), SIGKILL);
		assert_true(standin_reaches("generation", gen + 1));
		clock_gettime(CLOCK_MONOTONIC, &t1);
		ms = (double)(t1.tv_sec - t0.tv_sec) * 1e3 +
		     (double)(t1.tv_nsec - t0.tv_nsec) / 1e6;
		worst = ms > worst ? ms : worst;
		assert_true(ms < 1000);
		assert_carries(end);
		assert_int_equal(standin("port"), port);
	}
	print_message("%d workers killed, the slowest successor served after "
		      "%.1f ms\n",
		      KILLS, worst);
	close(end[0]);
	close(end[1]);
}

static bool next_serves(void *arg)
{
	return standin("generation") > *(long *)arg;
}

/* A worker that does not turn; the time is watchdog.h's, and some more. */
static void test_worker_hangs(void **state)
{
	pid_t worker = (pid_t)standin("pid");
	long gen = standin("generation");
	int end[2];

	(void)state;
	connection(end);
	kill(worker, SIGSTOP);
	assert_true(await(next_serves, &gen, 20000));
	assert_true(await(gone, &worker, 5000));
	assert_int_equal(standin("generation"), gen + 1);
	assert_carries(end);
	close(end[0]);
	close(end[1]);
}

static bool inside_is_not(void *arg)
{
	pid_t now = child_of_broker("ntm-inside");

	return now && now != *(pid_t *)arg;
}

static void test_inside_killed(void **state)
{
	pid_t inside = child_of_broker("ntm-inside");
	int end[2];

	(void)state;
	assert_true(inside > 0);
	connection(end);
	kill(inside, SIGKILL);
	assert_true(await(inside_is_not, &inside, 5000));
	assert_carries(end);
	close(end[0]);
	close(end[1]);
	connection(end); /* the same namespace: VIP4 is there */
	assert_carries(end);
	close(end[0]);
	close(end[1]);
}

static void test_keeper_killed(void **state)
{
	pid_t keeper = broker_pid(), inside = child_of_broker("ntm-inside");
	pid_t worker = (pid_t)standin("pid");

	(void)state;
	kill(keeper, SIGKILL);
	assert_true(await(gone, &inside, 5000));
	assert_true(await(gone, &worker, 5000));
	assert_int_equal(broker_start(NULL, NULL, 0), 0);
	test_low_port(state);
}

/* --- repair ----------------------------------------------------------------------------------- */

static bool interface_is_up(void *arg)
{
	struct ifreq ifr = {.ifr_name = "ntm0"};
	int fd = inside_socket_get(AF_INET, SOCK_DGRAM);
	bool up = ioctl(fd, SIOCGIFFLAGS, &ifr) == 0 && ifr.ifr_flags & IFF_UP;

	(void)arg;
	close(fd);
	return up;
}

/* Can an ordinary connection be made on @arg, an address? */
static bool address_works(void *arg)
{
	union sockaddr_any a;
	socklen_t len = addr_make(&a, arg, 0);
	int fd = inside_socket_get(a.sa.sa_family, SOCK_STREAM);
	bool ok = bind(fd, &a.sa, len) == 0;

	close(fd);
	return ok;
}

static void inside_command(const char *command)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "nsenter --preserve-credentials --user --net --target=%d %s",
		 child_of_broker("ntm-inside"), command);
	assert_int_equal(system(text), 0);
}

static void test_repair(void **state)
{
	struct ifreq ifr = {.ifr_name = "ntm0"};
	long gen;
	int fd, end[2];

	(void)state;
	/* what any program with a socket of ours may do */
	fd = inside_socket_get(AF_INET, SOCK_DGRAM);
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) == 0)
		assert_true(await(interface_is_up, NULL, 5000));
	close(fd);
	assert_true(interface_is_up(NULL));

	inside_command("ip addr flush dev ntm0");
	assert_true(await(address_works, VIP4, 5000));
	assert_true(await(address_works, VIP6, 5000));
	inside_command("ip link set lo down");
	assert_true(await(address_works, "::1", 5000));

	/* the interface itself: another TUN, so another worker */
	connection(end);
	gen = standin("generation");
	inside_command("ip link del ntm0");
	assert_true(standin_reaches("generation", gen + 1));
	assert_true(await(address_works, VIP4, 5000));
	assert_true(interface_is_up(NULL));
	assert_carries(end);
	close(end[0]);
	close(end[1]);
}

/* --- what the keeper links ------------------------------------------------------------------------ */

static void test_keeper_is_small(void **state)
{
	char command[300], line[300];
	FILE *f;
	int n = 0;

	(void)state;
	snprintf(command, sizeof(command), "ldd %s/bin/ntm-broker",
		 getenv("O"));
	f = popen(command, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (getenv("NTM_SAN") && *getenv("NTM_SAN") &&
		    !strstr(line, "gnutls") && !strstr(line, "nettle"))
			continue;
		n++;
		assert_true(strstr(line, "linux-vdso") ||
			    strstr(line, "libmnl") || strstr(line, "libc.so") ||
			    strstr(line, "ld-linux"));
	}
	assert_int_equal(pclose(f), 0);
	assert_true(n >= 3 || *getenv("NTM_SAN"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_broker_a_user),
		cmocka_unit_test(test_end_and_again),
		cmocka_unit_test(test_worker_says_end),
		cmocka_unit_test(test_worker_refuses),
		cmocka_unit_test(test_denied),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_low_port),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_worker_killed),
		cmocka_unit_test(test_worker_hangs),
		cmocka_unit_test(test_inside_killed),
		cmocka_unit_test(test_repair),
		cmocka_unit_test(test_keeper_killed),
		cmocka_unit_test(test_keeper_is_small),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}

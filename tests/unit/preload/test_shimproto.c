/* SPDX-License-Identifier: MIT */
/* test_shimproto - codec of requests and answers; messages with descriptors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/shimproto.h"

static const struct shim_request request = {
	.op = SHIM_CLAIM,
	.domain = AF_INET6,
	.type = SOCK_STREAM,
	.protocol = IPPROTO_TCP,
	.v6only = 1,
	.defer = 1,
	.backlog = 0x01020304,
	.inode = 0x1122334455667788,
	.local = {AF_INET, 0x1234, {127, 0, 0, 1}},
	.remote = {AF_INET6, 0xfedc, {0xfd, 0x6e, [15] = 9}},
	.name = "desk.me.example.org",
};

static const struct shim_answer answer = {
	.op = SHIM_RESOLVE,
	.err = 23,
	.vip6 = {0xfd, 0x6e, [15] = 1},
	.vip4 = {198, 18, 0, 1},
	.addr = {AF_INET, 61000, {127, 80, 0, 1}},
	.name = "desk.me.example.org",
};

/* The layout is a contract between versions: these bytes may never change. */
static void test_request_bytes(void **state)
{
	/* version, op; domain, type, protocol; flags; backlog; inode; local */
	static const char head[] = "\x01\x06"
				   "\0\x0a\0\x01\0\x06"
				   "\x01\x01"
				   "\x01\x02\x03\x04"
				   "\x11\x22\x33\x44\x55\x66\x77\x88"
				   "\x04\x12\x34\x7f\0\0\x01";
	uint8_t buf[SHIM_MSG_MAX];
	int len = shim_request_put(&request, buf);

	(void)state;
	assert_int_equal(len, 22 + 19 + 19 + 1 + 19);
	assert_memory_equal(buf, head, sizeof(head) - 1);
	assert_int_equal(buf[41], 6);
	assert_int_equal(buf[60], 19);
	assert_memory_equal(buf + 61, "desk.me", 7);
}

static void test_request_good(void **state)
{
	struct shim_request out;
	uint8_t buf[SHIM_MSG_MAX];
	int len = shim_request_put(&request, buf);

	(void)state;
	assert_int_equal(shim_request_get(buf, (size_t)len, &out), 0);
	assert_memory_equal(&out, &request, sizeof(out));
}

static void test_answer_good(void **state)
{
	struct shim_answer out;
	uint8_t buf[SHIM_MSG_MAX];
	int len = shim_answer_put(&answer, buf);

	(void)state;
	assert_true(len > 0);
	assert_int_equal(shim_answer_get(buf, (size_t)len, &out), 0);
	assert_memory_equal(&out, &answer, sizeof(out));
}

/* Truncated at every byte, and with one too many: refused, output untouched. The
 * message lies at the end of its allocation, so that a sanitizer sees a read
 * beyond it. */
static void lengths_case(const uint8_t *msg, size_t len, bool is_answer)
{
	union {
		struct shim_request req;
		struct shim_answer ans;
	} out, was;
	uint8_t *copy;
	size_t n;
	int ret;

	memset(&was, 0x5a, sizeof(was));
	for (n = 0; n <= len + 1; n++) {
		copy = malloc(n ? n : 1);
		memcpy(copy, msg, n <= len ? n : len);
		if (n > len)
			copy[len] = 0;
		out = was;
		ret = is_answer ? shim_answer_get(copy, n, &out.ans)
				: shim_request_get(copy, n, &out.req);
		if (n == len) {
			assert_int_equal(ret, 0);
		} else {
			assert_int_equal(ret, -EBADMSG);
			assert_memory_equal(&out, &was, sizeof(out));
		}
		free(copy);
	}
}

static void test_lengths(void **state)
{
	uint8_t buf[SHIM_MSG_MAX];

	(void)state;
	lengths_case(buf, (size_t)shim_request_put(&request, buf), false);
	lengths_case(buf, (size_t)shim_answer_put(&answer, buf), true);
}

static void test_maximum(void **state)
{
	struct shim_request req = request, out;
	struct shim_answer ans = answer, out_ans;
	uint8_t buf[SHIM_MSG_MAX];
	int len;

	(void)state;
	memset(req.name, 'a', SHIM_NAME_MAX);
	len = shim_request_put(&req, buf);
	assert_true(len > SHIM_NAME_MAX && len <= SHIM_MSG_MAX);
	assert_int_equal(shim_request_get(buf, (size_t)len, &out), 0);
	assert_int_equal(strlen(out.name), SHIM_NAME_MAX);
	memset(ans.name, 'b', SHIM_NAME_MAX);
	len = shim_answer_put(&ans, buf);
	assert_int_equal(shim_answer_get(buf, (size_t)len, &out_ans), 0);
	assert_int_equal(strlen(out_ans.name), SHIM_NAME_MAX);
	/* a name without end is one too long */
	req.name[SHIM_NAME_MAX] = 'a';
	assert_int_equal(shim_request_put(&req, buf), -EMSGSIZE);
}

/* One byte of the good request replaced: what must be refused. */
static void spoil(size_t at, uint8_t value)
{
	struct shim_request out;
	uint8_t buf[SHIM_MSG_MAX];
	int len = shim_request_put(&request, buf);

	assert_int_not_equal(buf[at], value);
	buf[at] = value;
	assert_int_equal(shim_request_get(buf, (size_t)len, &out), -EBADMSG);
}

static void test_values_refused(void **state)
{
	struct shim_answer bad = answer, out;
	uint8_t buf[SHIM_MSG_MAX];
	int len;

	(void)state;
	spoil(0, 0);
	spoil(0, SHIM_VERSION + 1);
	spoil(1, 0); /* operations */
	spoil(1, 11);
	spoil(1, 255);
	spoil(8, 2); /* flags */
	spoil(9, 255);
	spoil(22, 0); /* families: none, but with a port */
	spoil(22, 5);
	spoil(29, 1);  /* bytes behind an IPv4 address */
	spoil(60, 18); /* name's length */
	spoil(60, 20);
	spoil(60, 254);
	spoil(65, 0); /* a NUL within */
	bad.err = -1;
	len = shim_answer_put(&bad, buf);
	assert_int_equal(shim_answer_get(buf, (size_t)len, &out), -EBADMSG);
}

/* Every operation of requests.def, and all flips of a bit: never a crash. */
static void test_flips(void **state)
{
	struct shim_request out;
	struct shim_answer out_ans;
	uint8_t buf[SHIM_MSG_MAX];
	int len = shim_request_put(&request, buf), bit;

	(void)state;
	for (bit = 0; bit < len * 8; bit++) {
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		shim_request_get(buf, (size_t)len, &out);
		shim_answer_get(buf, (size_t)len, &out_ans);
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(shim_request_get(buf, (size_t)len, &out), 0);
}

static void test_addresses(void **state)
{
	struct shim_addr a, v4 = {AF_INET, 80, {10, 1, 2, 3}};
	struct sockaddr_storage ss;
	socklen_t len = shim_addr_to(&v4, &ss);

	(void)state;
	assert_int_equal(len, sizeof(struct sockaddr_in));
	assert_int_equal(shim_addr_from((struct sockaddr *)&ss, len, &a), 0);
	assert_memory_equal(&a, &v4, sizeof(a));
	assert_int_equal(shim_addr_from((struct sockaddr *)&ss, 4, &a),
			 -EINVAL);
	ss.ss_family = AF_INET6;
	assert_int_equal(shim_addr_from((struct sockaddr *)&ss, len, &a),
			 -EAFNOSUPPORT);
	a = (struct shim_addr){AF_INET6, 80, {[10] = 0xff, 0xff, 10, 1, 2, 3}};
	shim_addr_unmap(&a);
	assert_memory_equal(&a, &v4, sizeof(a));
	a = (struct shim_addr){0};
	assert_int_equal(shim_addr_to(&a, &ss), 0);
}

static void pair(int sock[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock), 0);
}

static ino_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void test_descriptor(void **state)
{
	uint8_t buf[8];
	int sock[2], fd = -2, sent = open("/dev/null", O_RDONLY);

	(void)state;
	pair(sock);
	assert_int_equal(shim_msg_send(sock[0], (uint8_t *)"a", 1, sent), 0);
	assert_int_equal(shim_msg_recv(sock[1], buf, sizeof(buf), &fd, 0), 1);
	assert_true(fd >= 0 && fd != sent);
	assert_int_equal(inode(fd), inode(sent));
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	assert_int_equal(shim_msg_send(sock[0], (uint8_t *)"b", 1, -1), 0);
	assert_int_equal(shim_msg_recv(sock[1], buf, sizeof(buf), &fd, 0), 1);
	assert_int_equal(fd, -1);
	assert_int_equal(
		shim_msg_recv(sock[1], buf, sizeof(buf), &fd, MSG_DONTWAIT),
		-EAGAIN);
	close(sent);
	close(sock[0]);
	assert_int_equal(shim_msg_recv(sock[1], buf, sizeof(buf), &fd, 0), 0);
	assert_int_equal(shim_msg_send(sock[1], buf, 1, -1), -EPIPE);
	close(sock[1]);
}

/* Too long, or empty: what came with it is closed again. */
static void test_descriptor_dropped(void **state)
{
	uint8_t buf[4];
	int sock[2], fd, sent = open("/dev/null", O_RDONLY), next;

	(void)state;
	pair(sock);
	next = dup(0);
	close(next);
	assert_int_equal(shim_msg_send(sock[0], (uint8_t *)"12345", 5, sent),
			 0);
	assert_int_equal(shim_msg_recv(sock[1], buf, sizeof(buf), &fd, 0),
			 -EBADMSG);
	assert_int_equal(fd, -1);
	assert_int_equal(shim_msg_send(sock[0], buf, 0, sent), 0);
	assert_int_equal(shim_msg_recv(sock[1], buf, sizeof(buf), &fd, 0), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(fcntl(next, F_GETFD), -1);
	close(sent);
	close(sock[0]);
	close(sock[1]);
}

/* Two at once: one is taken, the other is not left open. */
static void test_two_descriptors(void **state)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} ctl = {0};
	struct iovec iov = {(char[]){'x'}, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &ctl,
			   .msg_controllen = sizeof(ctl.space)};
	int sock[2], fd, fds[2] = {0, 0}, next;
	uint8_t buf[4];

	(void)state;
	pair(sock);
	ctl.h.cmsg_level = SOL_SOCKET;
	ctl.h.cmsg_type = SCM_RIGHTS;
	ctl.h.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&ctl.h), fds, sizeof(fds));
	assert_int_equal(sendmsg(sock[0], &m, 0), 1);
	next = dup(0);
	close(next);
	assert_int_equal(shim_msg_recv(sock[1], buf, sizeof(buf), &fd, 0), 1);
	assert_int_equal(fd, next);
	assert_int_equal(fcntl(next + 1, F_GETFD), -1);
	close(fd);
	close(sock[0]);
	close(sock[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_bytes),
		cmocka_unit_test(test_request_good),
		cmocka_unit_test(test_answer_good),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_maximum),
		cmocka_unit_test(test_values_refused),
		cmocka_unit_test(test_flips),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_descriptor_dropped),
		cmocka_unit_test(test_two_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* test_outbox - what a forwarding thread sends: every size, every tail, in order */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/packet.h"
#include "servers/rs/outbox.h"

#define LARGEST 65507 /* of UDP over IPv4 */

static struct outbox box;
static struct locals locals;
static struct remote to;
static int sink;
static uint8_t data[4 * LARGEST], got[LARGEST];

static int bound(struct sockaddr_in *in)
{
	static const int room = 4 * 1024 * 1024;
	socklen_t len = sizeof(*in);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(in, 0, sizeof(*in));
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	assert_int_equal(bind(fd, (struct sockaddr *)in, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)in, &len), 0);
	return fd;
}

static int begin(void **state)
{
	struct sockaddr_in in;
	int fd = bound(&in);

	(void)state;
	sink = bound(&in);
	memset(&to, 0, sizeof(to));
	((uint8_t *)to.ip)[10] = ((uint8_t *)to.ip)[11] = 0xff;
	memcpy((uint8_t *)to.ip + 12, &in.sin_addr, 4);
	to.port = in.sin_port;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	alarm(60); /* a loop without end is a failure */
	return outbox_init(&box, &fd, 1, &locals);
}

/* @bytes in datagrams of @size arrive as they are */
static void arrive(const uint8_t *p, size_t bytes, size_t size)
{
	for (size_t at = 0; at < bytes; at += size) {
		size_t want = bytes - at < size ? bytes - at : size;

		assert_int_equal(recv(sink, got, sizeof(got), MSG_DONTWAIT),
				 want);
		assert_memory_equal(got, p + at, want);
	}
}

static void send_all(size_t bytes, size_t size)
{
	outbox_add(&box, 9, &to, 0, data, bytes, (uint16_t)size);
	outbox_flush(&box);
	arrive(data, bytes, size);
}

/* A run ends at OUTBOX_BYTES: with all sizes, and tails that fit behind it or not. */
static void tails(void **state)
{
	(void)state;
	for (size_t size = 1000; size <= PACKET_DATA_MAX; size += 13) {
		size_t full = OUTBOX_BYTES / size * size;
		size_t left = OUTBOX_BYTES - full;

		send_all(full, size);
		send_all(full + 1, size);
		if (left) {
			send_all(full + left, size);
			send_all(full + left + 1, size);
		}
		send_all(full + size, size);
	}
}

/* The same in two calls: the second finds a run that is nearly full. */
static void tail_alone(void **state)
{
	(void)state;
	outbox_add(&box, 9, &to, 0, data, 46 * 1400, 1400);
	outbox_add(&box, 9, &to, 0, data + 46 * 1400, 500, 1400);
	outbox_add(&box, 9, &to, 0, data + 46 * 1400 + 500, 1400, 1400);
	outbox_flush(&box);
	arrive(data, 46 * 1400 + 500, 1400);
	arrive(data + 46 * 1400 + 500, 1400, 1400);
}

static void largest(void **state)
{
	(void)state;
	send_all(LARGEST, LARGEST);
	send_all(2 * LARGEST, LARGEST);
	send_all(1, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tail_alone, begin),
		cmocka_unit_test_setup(tails, begin),
		cmocka_unit_test_setup(largest, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* direct_site - two ends, a door at CN whose worker the test plays, and a relay before it */
#include "tests/unit/post/direct_site.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/post/door.h"
#include "broker/post/link.h"
#include "tests/unit/post/fixture.h"

struct relay r;
struct worker_played played;

/* --- the relay
 * ------------------------------------------------------------------------------- */

static void leg_close(struct leg *l)
{
	for (int i = 0; i < 2; i++) {
		if (!l->io[i])
			continue;
		loop_io_del(l->io[i]);
		close(l->pair[i]);
		l->io[i] = NULL;
	}
}

static void pass(struct leg *l, int from)
{
	uint64_t *n = from ? &r.down : &r.up;
	uint64_t *cut = from ? &r.cut_down : &r.cut_up;
	size_t want = 65536;
	char buf[65536];
	ssize_t got;

	if (*cut - *n < want)
		want = (size_t)(*cut - *n);
	if (!from && r.stop_up - r.up < want)
		want = (size_t)(r.stop_up - r.up);
	if (!want) {
		loop_io_set(l->io[from], 0);
		return;
	}
	got = recv(l->pair[from], buf, want, MSG_DONTWAIT);
	/* both are on this loop: what the other has not read yet fits */
	if (got > 0 &&
	    send(l->pair[!from], buf, (size_t)got, MSG_NOSIGNAL) != got)
		got = -1; /* it has hung up */
	if (got > 0)
		*n += (uint64_t)got;
	if (got <= 0 || *n == *cut) {
		if (*n == *cut)
			*cut = NEVER;
		leg_close(l);
	}
}

static void on_leg(void *arg, int fd, unsigned int events)
{
	struct leg *l = arg;

	(void)events;
	pass(l, fd == l->pair[1]);
}

static int dial(const struct addr *to)
{
	int size = 8 << 20, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	assert_int_equal(connect(fd, &to->sa, addr_len(to)), 0);
	return fd;
}

static void on_relay(void *arg, int fd, unsigned int events)
{
	int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	struct leg *l = &r.legs[r.n_legs++ % LEGS_MAX];

	(void)arg, (void)events;
	assert_true(s >= 0);
	if (r.closed) {
		close(s);
		return;
	}
	l->pair[0] = s;
	l->pair[1] = dial(&r.door_at);
	for (int i = 0; i < 2; i++)
		assert_int_equal(loop_io_add(w.loop, l->pair[i], LOOP_READ,
					     false, on_leg, l, &l->io[i]),
				 0);
}

static int listener(struct addr *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	assert_int_equal(addr_parse("127.0.0.1:0", 0, at), 0);
	assert_int_equal(bind(fd, &at->sa, addr_len(at)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, len, at),
			 0);
	return fd;
}

/* --- CN's worker
 * ---------------------------------------------------------------------------- */

static void on_link(void *arg, int fd, unsigned int events)
{
	char buf[512], answer[512];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	json_t *j = n > 0 ? json_loadb(buf, (size_t)n, 0, NULL) : NULL;

	(void)arg, (void)events;
	if (!strcmp(text(j, "say"), "who")) {
		played.asked++;
		snprintf(answer, sizeof(answer),
			 "{\"event\":\"who\",\"address\":\"%s\"%s%s%s}",
			 text(j, "address"), played.name ? ",\"name\":\"" : "",
			 played.name ? played.name : "",
			 played.name ? "\"" : "");
		assert_true(send(fd, answer, strlen(answer), 0) > 0);
	}
	json_decref(j);
}

void door_make(void)
{
	int sv[2], fd = dup(r.door);

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	played.fd = sv[0];
	assert_int_equal(loop_io_add(w.loop, sv[0], LOOP_READ, false, on_link,
				     NULL, &played.io),
			 0);
	assert_int_equal(link_open(&w.cn.post, sv[1], &w.cn.post.link), 0);
	assert_int_equal(door_open(&w.cn.post, &fd, 1, &w.cn.post.door), 0);
}

void door_end(void)
{
	loop_io_del(played.io);
	close(played.fd);
}

void relay_end(void)
{
	loop_io_del(r.io);
	close(r.fd);
}

void relay_again(void)
{
	r.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(r.fd, &r.at.sa, addr_len(&r.at)), 0);
	assert_int_equal(listen(r.fd, 8), 0);
	assert_int_equal(loop_io_add(w.loop, r.fd, LOOP_READ, false, on_relay,
				     NULL, &r.io),
			 0);
}

int direct_open(void **state)
{
	int err = ends_open(state);

	memset(&r, 0, sizeof(r));
	r.cut_up = r.cut_down = r.stop_up = NEVER;
	played = (struct worker_played){.name = MN};
	r.door = listener(&r.door_at);
	r.fd = listener(&r.at);
	assert_int_equal(loop_io_add(w.loop, r.fd, LOOP_READ, false, on_relay,
				     NULL, &r.io),
			 0);
	w.mn.post.door_at = &r.at;
	door_make();
	return err;
}

int direct_close(void **state)
{
	for (size_t i = 0; i < LEGS_MAX; i++)
		leg_close(&r.legs[i]);
	relay_end();
	close(r.door);
	door_end();
	return ends_close(state);
}

/* --- what became of an item
 * ----------------------------------------------------------------- */

void went(const char *by)
{
	json_t *j = newest(&w.mn, "outbox");

	assert_string_equal(
		text(json_array_get(json_object_get(j, "to"), 0), "by"), by);
	json_decref(j);
}

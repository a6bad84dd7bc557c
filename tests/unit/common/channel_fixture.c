/* SPDX-License-Identifier: MIT */
/* channel_fixture - client and server in one loop over loopback, under a test's clock */
#include "tests/unit/common/channel_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static uint64_t fake_now(void *arg)
{
	return ((struct fixture *)arg)->now;
}

static void on_open(struct channel *c, void *arg)
{
	struct side *s = arg;

	s->opened++;
	s->channel = c;
}

void send_txn(struct channel *c, uint32_t txn, int expect)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;

	e.txn = txn;
	e.body_case = NTM__ENVELOPE__BODY_ACK;
	e.ack = &ack;
	assert_int_equal(channel_send(c, &e), expect);
}

static void on_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct side *s = arg;

	s->messages++;
	s->last_txn = msg->txn;
	s->last_len = ntm__envelope__get_packed_size(msg);
	if (s->answer)
		send_txn(c, msg->txn + 1000, 0);
	if (s->rest)
		channel_rest(c, s->rest);
	if (s->finish_on_message)
		channel_finish(c);
	if (s->close_on_message)
		channel_close(c);
}

static void on_closed(struct channel *c, int err, void *arg)
{
	struct side *s = arg;

	if (s->channel == c)
		s->channel = NULL;
	s->closed++;
	s->err = err;
}

const struct channel_ops ops = {
	.open = on_open,
	.message = on_message,
	.closed = on_closed,
};

int channel_group_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->pki = pki_new("example.org");
	pki_issue(f->pki, NTMC_CERT_SERVER, "as.example.org", NTMC_ROLE_AS,
		  -HOUR, DAY, &f->as);
	pki_issue(f->pki, NTMC_CERT_NODE, "desk.me.example.org", 0, -HOUR, DAY,
		  &f->node);
	assert_int_equal(tls_context_new(&f->as.id, f->as.der, f->as.len,
					 f->pki->ca_der, f->pki->ca_len,
					 f->pki->trust, NULL, &f->server_ctx),
			 0);
	assert_int_equal(tls_context_new(&f->node.id, f->node.der, f->node.len,
					 f->pki->ca_der, f->pki->ca_len,
					 f->pki->trust, NULL, &f->client_ctx),
			 0);
	assert_int_equal(tls_context_new(NULL, NULL, 0, NULL, 0, NULL,
					 f->pki->ca_fp, &f->anonymous_ctx),
			 0);
	*state = f;
	return 0;
}

int channel_group_teardown(void **state)
{
	struct fixture *f = *state;

	tls_context_free(f->server_ctx);
	tls_context_free(f->client_ctx);
	tls_context_free(f->anonymous_ctx);
	pki_free(f->pki);
	free(f);
	return 0;
}

int listen_loopback(struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*addr = (struct sockaddr_in){.sin_family = AF_INET};
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)addr, sizeof(*addr)), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)addr, &len), 0);
	return fd;
}

int channel_setup(void **state)
{
	struct fixture *f = *state;

	f->now = LOOP_S(1000);
	memset(&f->server, 0, sizeof(f->server));
	memset(&f->client, 0, sizeof(f->client));
	assert_int_equal(loop_new(&f->loop), 0);
	loop_set_clock(f->loop, fake_now, NULL, f);
	assert_int_equal(channel_listen_take(f->loop, f->server_ctx,
					     listen_loopback(&f->addr), &ops,
					     &f->server, &f->listener),
			 0);
	return 0;
}

int channel_teardown(void **state)
{
	struct fixture *f = *state;

	channel_listener_close(f->listener);
	if (f->client.channel)
		channel_close(f->client.channel);
	loop_free(f->loop);
	return 0;
}

double real_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void some_turns(struct fixture *f)
{
	int i;

	for (i = 0; i < 50; i++)
		assert_int_equal(loop_turn(f->loop, false), 0);
}

void pass(struct fixture *f, uint64_t ns)
{
	f->now += ns;
	some_turns(f);
}

struct channel *dial(struct fixture *f, struct tls_context *ctx)
{
	struct channel *c;

	assert_int_equal(channel_connect(f->loop, ctx,
					 (struct sockaddr *)&f->addr,
					 sizeof(f->addr), &ops, &f->client, &c),
			 0);
	f->client.channel = c;
	return c;
}

/* A TCP client that says nothing; non-blocking. */
int dial_raw(struct fixture *f)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_true(connect(fd, (struct sockaddr *)&f->addr, sizeof(f->addr)) ==
			    0 ||
		    errno == EINPROGRESS);
	return fd;
}

bool hung_up(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char c;

	return poll(&p, 1, 0) == 1 &&
	       (p.revents & (POLLHUP | POLLERR) || recv(fd, &c, 1, 0) <= 0);
}

Ntm__Envelope *big_envelope(size_t packed)
{
	static Ntm__Envelope e;
	static Ntm__DevicesResponse r;
	static Ntm__Device *list[1024], devices[1024];
	static uint8_t fp[32];
	static char version[129];
	size_t i, len;

	ntm__envelope__init(&e);
	ntm__devices_response__init(&r);
	memset(version, 'v', 128);
	e.body_case = NTM__ENVELOPE__BODY_DEVICES_RESPONSE;
	e.devices_response = &r;
	r.devices = list;
	for (i = 0; i < 1024; i++) {
		ntm__device__init(&devices[i]);
		devices[i].fqdn = "a.b.example.org";
		devices[i].fingerprint.data = fp;
		devices[i].fingerprint.len = 32;
		list[i] = &devices[i];
	}
	for (r.n_devices = 1; r.n_devices < 1024; r.n_devices++) {
		len = ntm__envelope__get_packed_size(&e);
		if (len >= packed)
			break;
		/* the last ones take up what is missing, byte by byte */
		devices[r.n_devices - 1].version =
			version + 128 - (packed - len > 100 ? 20 : 0);
	}
	while (ntm__envelope__get_packed_size(&e) > packed)
		r.n_devices--;
	for (i = 0; i < r.n_devices; i++) {
		while ((len = ntm__envelope__get_packed_size(&e)) < packed &&
		       devices[i].version > version)
			devices[i].version--;
	}
	return &e;
}

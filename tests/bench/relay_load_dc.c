/* SPDX-License-Identifier: MIT */
/* relay_load_dc - a DC that shares a key with the relay and directs its paths */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/channel.h"
#include "common/keysharing.h"
#include "common/log.h"
#include "servers/servercert.h"
#include "tests/bench/relay_load.h"

#define WINDOW 128 /* directions under way */

struct dc {
	struct loop *loop;
	struct loop_timer *tick;
	int fd;
	struct addr rs;
	struct datagram_keys keys;
	uint64_t id, counter;
	unsigned int paths, next, done;
	uint32_t under_way[WINDOW]; /* txn, 0: none */
	uint64_t told_ns[WINDOW];
	struct addr mn, cn;
	bool is_ready;
};

static void dc_send(struct dc *dc, const Ntm__Signal *msg)
{
	struct packet_header h = {
		.type = PACKET_SIGNAL, .id = dc->id, .counter = dc->counter++};
	uint8_t buf[PACKET_SIGNAL_MAX];
	int n = datagram_seal(&h, dc->keys.aead, &dc->keys.down, &msg->base,
			      buf);

	if (n < 0 || !addr_is_set(&dc->rs))
		return;
	(void)!sendto(dc->fd, buf, (size_t)n, 0, &dc->rs.sa, addr_len(&dc->rs));
}

static void dc_direct(struct dc *dc, unsigned int i)
{
	Ntm__RelayDirection d = NTM__RELAY_DIRECTION__INIT;
	Ntm__RelayEnd mn = NTM__RELAY_END__INIT, cn = NTM__RELAY_END__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	char names[2][32];
	struct ntmc_key kpunch;

	ktun_of(i, &kpunch);
	snprintf(names[0], sizeof(names[0]), "caller-%u", i);
	snprintf(names[1], sizeof(names[1]), "callee-%u", i);
	mn.account = names[0];
	cn.account = names[1];
	mn.proven.data = (uint8_t *)addr_ip(&dc->mn, &mn.proven.len);
	cn.proven.data = (uint8_t *)addr_ip(&dc->cn, &cn.proven.len);
	d.path_id = path_of(i);
	d.kpunch = (ProtobufCBinaryData){NTMC_KEY_LEN, kpunch.b};
	d.aead = NTMC_AES_256_GCM;
	d.mn = &mn;
	d.cn = &cn;
	msg.txn = i + 1;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_DIRECTION;
	msg.relay_direction = &d;
	dc->under_way[i % WINDOW] = i + 1;
	dc->told_ns[i % WINDOW] = now_ns();
	dc_send(dc, &msg);
}

static void dc_tick(void *arg)
{
	struct dc *dc = arg;

	/* what was lost is told again: all that is not acknowledged */
	for (unsigned int k = 0; k < WINDOW; k++)
		if (dc->under_way[k] &&
		    now_ns() - dc->told_ns[k] > ANSWER_MS * NS / 1000)
			dc_direct(dc, dc->under_way[k] - 1);
	if (ended)
		loop_stop(dc->loop);
	loop_timer_arm(dc->tick, LOOP_MS(50));
}

static void dc_fill(struct dc *dc)
{
	while (dc->next < dc->paths && !dc->under_way[dc->next % WINDOW])
		dc_direct(dc, dc->next++);
	if (dc->done == dc->paths && !dc->is_ready) {
		dc->is_ready = true;
		ready();
	}
}

static void dc_acked(struct dc *dc, uint32_t txn, uint32_t code)
{
	if (dc->under_way[(txn - 1) % WINDOW] != txn)
		return;
	if (code)
		fprintf(stderr, "relay_load: path %u: %s\n", txn,
			err_text((int)code));
	dc->under_way[(txn - 1) % WINDOW] = 0;
	dc->done++;
	dc_fill(dc);
}

static void dc_registered(struct dc *dc, uint32_t txn)
{
	Ntm__RelayRegistrationAck ack = NTM__RELAY_REGISTRATION_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	ack.boot = 1;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_RELAY_REGISTRATION_ACK;
	msg.relay_registration_ack = &ack;
	dc_send(dc, &msg);
	dc_fill(dc);
}

static void dc_signal(void *arg, int fd, unsigned int events)
{
	struct dc *dc = arg;
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	struct packet_header h;
	ProtobufCMessage *base;
	uint8_t buf[2048];
	const Ntm__Signal *msg;
	ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from,
			     &from_len);

	(void)events;
	if (n < 0 || packet_header_get(buf, (size_t)n, &h) || h.id != dc->id ||
	    datagram_open(&h, dc->keys.aead, &dc->keys.up, buf, (size_t)n,
			  &ntm__signal__descriptor, &base) ||
	    addr_from_sockaddr((struct sockaddr *)&from, from_len, &dc->rs))
		return;
	msg = (const Ntm__Signal *)base;
	if (msg->body_case == NTM__SIGNAL__BODY_RELAY_REGISTRATION) {
		dc_registered(dc, msg->txn);
	} else if (msg->body_case == NTM__SIGNAL__BODY_ACK) {
		dc_acked(dc, msg->txn, msg->ack->code);
	}
	datagram_free(base);
}

static void dc_open(struct channel *c, void *arg)
{
	struct dc *dc = arg;
	struct ntmc_key key;

	ntmc_random(NULL, &dc->id, sizeof(dc->id));
	ntmc_key_random(NULL, &key);
	if (datagram_relay_keys(&key, dc->id, NTMC_AES_256_GCM, &dc->keys))
		die("keys");
	channel_set_idle(c, 0);
	if (keysharing_send(c, &(struct keysharing){.txn = 1,
						    .id = dc->id,
						    .key = &key,
						    .aead = NTMC_AES_256_GCM,
						    .lifetime_s = 86400}))
		die("key sharing");
}

static void dc_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	(void)c;
	(void)msg;
	(void)arg;
}

static void dc_closed(struct channel *c, int err, void *arg)
{
	(void)c;
	(void)arg;
	fprintf(stderr, "relay_load: the relay has gone: %s\n", err_text(err));
}

int cmd_dc(char **argv)
{
	static const struct channel_ops ops = {
		.open = dc_open, .message = dc_message, .closed = dc_closed};
	struct dc dc = {.paths = (unsigned int)atoi(argv[4])};
	struct addr at = address(argv[3]);
	struct channel_listener *listener;
	struct servercert cert;
	struct loop_io *io;
	int tcp, one = 1;

	dc.mn = address(argv[5]);
	dc.cn = address(argv[6]);
	dc.fd = udp_socket(&at, NULL);
	tcp = socket(at.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(tcp, &at.sa, addr_len(&at)) || listen(tcp, 4))
		die("listen");
	if (loop_new(&dc.loop) || servercert_load(argv[2], "dc", &cert) ||
	    channel_listen_take(dc.loop, cert.tls, tcp, &ops, &dc, &listener) ||
	    loop_io_add(dc.loop, dc.fd, LOOP_READ, false, dc_signal, &dc,
			&io) ||
	    loop_timer_new(dc.loop, dc_tick, &dc, &dc.tick))
		die("the DC");
	loop_timer_arm(dc.tick, 0);
	return loop_run(dc.loop) ? 1 : 0;
}

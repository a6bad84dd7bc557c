/* SPDX-License-Identifier: MIT */
/* gate_site - a gate beside a site's AS and DC, and nodes' streams to it */
#include "gate_site.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "servers/role.h"
#include "servers/sockets.h"

struct site site;
struct peer node;
static struct role_env env;
struct gate *gate;
struct addr at;
int relay = -1;
struct addr relay_from;
size_t relay_n;
bool relay_echo;
static struct loop_io *relay_io;
int played_gms = -1;
/* between the peer, which speaks UDP, and its stream */
static int pump = -1;
static struct addr pump_from;
static struct loop_io *pump_io;

/* --- the stream -------------------------------------------------------------- */

static void on_open(struct channel *c, void *arg)
{
	struct stream *s = arg;

	(void)c;
	s->open = true;
}

static void from_relay(struct stream *s, const struct gateframe *f)
{
	uint32_t number;

	memcpy(&number, f->data + PACKET_HEADER_LEN, sizeof(number));
	s->order &= number >= s->next;
	s->next = number + 1;
	s->n++;
	s->bytes += f->len;
}

static int on_bytes(struct channel *c, uint8_t *data, size_t len, void *arg)
{
	struct stream *s = arg;
	struct gateframe f;
	size_t done = 0;
	int n;

	(void)c;
	while ((n = gateframe_get(data + done, len - done, &f)) > 0) {
		done += (size_t)n;
		if (f.side == GATE_RELAY)
			from_relay(s, &f);
		else
			assert_int_equal(sendto(pump, f.data, f.len, 0,
						&pump_from.sa,
						addr_len(&pump_from)),
					 (ssize_t)f.len);
	}
	return n < 0 ? n : (int)done;
}

static void on_closed(struct channel *c, int err, void *arg)
{
	struct stream *s = arg;

	(void)c;
	s->closed = true;
	s->err = err;
	s->c = NULL;
}

const struct channel_ops stream_ops = {
	.open = on_open, .bytes = on_bytes, .closed = on_closed};

void stream_start(struct stream *s, bool cert)
{
	memset(s, 0, sizeof(*s));
	s->order = true;
	assert_int_equal(
		tls_context_new(cert ? &node.id : NULL, cert ? node.cert : NULL,
				cert ? node.cert_len : 0, cert ? node.ca : NULL,
				cert ? node.ca_len : 0, NULL, site.ca_fp,
				&s->tls),
		0);
	tls_context_set_roles(s->tls, NTMC_ROLE_RS);
	assert_int_equal(channel_connect(site.loop, s->tls, &at.sa,
					 addr_len(&at), &stream_ops, s, &s->c),
			 0);
}

bool stream_ready(void *arg)
{
	return ((struct stream *)arg)->open;
}

bool stream_closed(void *arg)
{
	return ((struct stream *)arg)->closed;
}

void stream_end(struct stream *s)
{
	if (s->c)
		channel_close(s->c);
	assert_true(site_wait(&site, stream_closed, s));
	tls_context_free(s->tls);
}

static void stream_put(struct stream *s, enum gate_side side,
		       const uint8_t *data, size_t len)
{
	uint8_t *room = channel_room(s->c, GATEFRAME_HEAD + len);

	assert_non_null(room);
	gateframe_put(room, side, len);
	memcpy(room + GATEFRAME_HEAD, data, len);
	channel_put(s->c, GATEFRAME_HEAD + len);
}

void stream_number(struct stream *s, uint32_t number, size_t len)
{
	uint8_t buf[1500] = {0};

	memcpy(buf + PACKET_HEADER_LEN, &number, sizeof(number));
	stream_put(s, GATE_RELAY, buf, len);
}

long long gate_number(const char *key)
{
	json_t *o = gate_admin(gate, "status", NULL);
	long long n = json_integer_value(json_object_get(o, key));

	json_decref(o);
	return n;
}

/* --- around it ------------------------------------------------------------------ */

static int udp_socket(struct addr *out)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;
	int fd, size = 4 << 20;

	assert_int_equal(addr_parse("127.0.0.1", 0, &a), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	assert_int_equal(bind(fd, &a.sa, addr_len(&a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, len, out),
			 0);
	return fd;
}

static ssize_t take(int fd, uint8_t *buf, size_t size, struct addr *from)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	ssize_t n = recvfrom(fd, buf, size, MSG_DONTWAIT,
			     (struct sockaddr *)&ss, &len);

	if (n >= 0)
		assert_int_equal(
			addr_from_sockaddr((struct sockaddr *)&ss, len, from),
			0);
	return n;
}

static void relay_readable(void *arg, int fd, unsigned int events)
{
	uint8_t buf[2048];
	ssize_t n;

	(void)arg;
	(void)events;
	while ((n = take(fd, buf, sizeof(buf), &relay_from)) >= 0) {
		relay_n++;
		if (relay_echo)
			(void)!sendto(fd, buf, (size_t)n, 0, &relay_from.sa,
				      addr_len(&relay_from));
	}
}

static void pump_readable(void *arg, int fd, unsigned int events)
{
	struct stream *s = arg;
	uint8_t buf[2048];
	ssize_t n;

	(void)events;
	while ((n = take(fd, buf, sizeof(buf), &pump_from)) >= 0)
		if (s->c)
			stream_put(s, GATE_DC, buf, (size_t)n);
	if (s->c)
		channel_flush(s->c);
}

void pump_start(struct stream *s, struct addr *to)
{
	pump = udp_socket(to);
	assert_int_equal(loop_io_add(site.loop, pump, LOOP_READ, false,
				     pump_readable, s, &pump_io),
			 0);
}

void pump_end(void)
{
	loop_io_del(pump_io);
	close(pump);
}

static int gms_listens(void)
{
	struct addr a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_int_equal(
		addr_parse("127.0.0.1", (uint16_t)site.conf.gms_port, &a), 0);
	assert_int_equal(bind(fd, &a.sa, addr_len(&a)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

int gate_setup(void **state)
{
	char error[SOCKETS_ERROR_LEN];
	char dc[ADDR_TEXT_LEN];
	struct addr a;

	(void)state;
	site_new(&site);
	site_add_account(&site, "alice");
	peer_new(&node, &site, "laptop");
	assert_int_equal(peer_login(&node, "alice", SITE_PASSWORD), 0);
	relay = udp_socket(&a);
	relay_n = 0;
	relay_echo = true;
	assert_int_equal(loop_io_add(site.loop, relay, LOOP_READ, false,
				     relay_readable, NULL, &relay_io),
			 0);
	site.conf.rs_port = addr_port(&a);
	free(site.conf.rs_listen);
	site.conf.rs_listen = strdup("127.0.0.1");
	free(site.conf.rs_dc);
	addr_format(&site.dc_addr, dc);
	site.conf.rs_dc = strdup(dc);
	site.conf.rs_tls_port = site_free_port();
	assert_int_equal(
		addr_parse("127.0.0.1", (uint16_t)site.conf.rs_tls_port, &at),
		0);
	site.conf.gms_port = site_free_port();
	free(site.conf.gms_listen);
	site.conf.gms_listen = strdup("127.0.0.1");
	played_gms = gms_listens();
	memset(&env, 0, sizeof(env));
	env.loop = site.loop;
	env.dir = site.dir;
	env.conf = &site.conf;
	assert_int_equal(sockets_bind(role_find("gate"), &site.conf, site.dir,
				      &env.sockets, error),
			 0);
	close(env.sockets.admin);
	assert_int_equal(gate_new(&env, &gate), 0);
	return 0;
}

int gate_teardown(void **state)
{
	(void)state;
	gate_free(gate);
	loop_io_del(relay_io);
	close(relay);
	close(played_gms);
	peer_free(&node);
	site_free(&site);
	return 0;
}

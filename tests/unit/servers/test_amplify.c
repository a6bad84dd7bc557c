/* SPDX-License-Identifier: MIT */
/*
 * test_amplify - a forged source turns no more bytes against it than it sends itself
 *
 * Every kind of datagram, usual, largest and cut short, goes to DC and RS from an
 * address that has proven nothing; what comes back there is counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay.h"
#include "peer.h"
#include "tests/vectors/sample.h"

#define TYPES	16
#define PATH_ID UINT64_C(0x1234567890abcdee)

static struct site site;
static struct peer node;
static struct relay relay;

/* struct count - bytes to and from an address */
struct count {
	int fd;
	size_t sent, got, datagrams;
};

static void count_new(struct count *c, const struct addr *to)
{
	memset(c, 0, sizeof(*c));
	c->fd = socket(to->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(c->fd >= 0);
	assert_int_equal(connect(c->fd, &to->sa, addr_len(to)), 0);
}

static void count_send(struct count *c, const uint8_t *buf, size_t len)
{
	assert_int_equal(send(c->fd, buf, len, 0), (ssize_t)len);
	c->sent += len;
	c->datagrams++;
}

/* all that has come by now; no more than went, so far */
static void count_check(struct count *c, const char *what)
{
	uint8_t buf[65536];
	ssize_t n;

	while ((n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT)) >= 0)
		c->got += (size_t)n;
	if (c->got > c->sent)
		fail_msg("%s: %zu bytes for %zu", what, c->got, c->sent);
	c->sent = c->got = 0;
}

/* --- the DC ---------------------------------------------------------------------- */

static int site_setup(void **state)
{
	(void)state;
	site_new(&site);
	site_add_account(&site, "alice");
	peer_new(&node, &site, "laptop");
	assert_int_equal(peer_login(&node, "alice", SITE_PASSWORD), 0);
	peer_register(&node);
	return 0;
}

static int site_teardown(void **state)
{
	(void)state;
	peer_free(&node);
	site_free(&site);
	return 0;
}

/* The DC has dealt with all that came before: it deals in turn. */
static void dc_settled(struct count *c, const char *what)
{
	assert_non_null(peer_keep_alive(&node));
	count_check(c, what);
}

static void dc_send(struct count *c, const Ntm__Signal *msg, const char *what)
{
	struct packet_header h = {.type = PACKET_SIGNAL,
				  .id = node.node_id,
				  .counter = node.counter++};
	uint8_t buf[PACKET_SIGNAL_MAX];
	int len = datagram_seal(&h, NTMC_AES_256_GCM, &node.keys.up, &msg->base,
				buf);

	if (len < 0)
		return; /* larger than a datagram */
	count_send(c, buf, (size_t)len);
	dc_settled(c, what);
}

/* by whoever holds the node's keys, but not the address */
static void signals_to_the_dc(void **state)
{
	const ProtobufCMessageDescriptor *d = &ntm__signal__descriptor;
	const ProtobufCFieldDescriptor *f;
	struct count c;

	(void)state;
	count_new(&c, &site.dc_addr);
	for (size_t i = 0; (f = sample_body(d, i)); i++)
		for (int size = SAMPLE_USUAL; size <= SAMPLE_LARGEST; size++) {
			ProtobufCMessage *m =
				sample_new(d, f->id, (enum sample_size)size);

			assert_non_null(m);
			dc_send(&c, (Ntm__Signal *)m, f->name);
			datagram_free(m);
		}
	assert_true(c.datagrams > 10);
	close(c.fd);
}

/* a registration of every size around those of its answers */
static void registrations(void **state)
{
	static uint8_t zeros[400];
	struct count c;

	(void)state;
	count_new(&c, &site.dc_addr);
	for (size_t n = 0; n < sizeof(zeros); n += 3) {
		Ntm__RegistrationRequest q = NTM__REGISTRATION_REQUEST__INIT;
		Ntm__Signal msg = NTM__SIGNAL__INIT;

		q.padding = (ProtobufCBinaryData){n, zeros};
		msg.txn = (uint32_t)n + 1;
		msg.body_case = NTM__SIGNAL__BODY_REGISTRATION_REQUEST;
		msg.registration_request = &q;
		dc_send(&c, &msg, "a padded registration");
	}
	close(c.fd);
}

/* nothing at all comes back to who holds no key, whatever the header says */
static void strangers_at_the_dc(void **state)
{
	uint8_t buf[PACKET_SIGNAL_MAX];
	struct count c;

	(void)state;
	count_new(&c, &site.dc_addr);
	for (unsigned int type = 0; type < TYPES; type++)
		for (size_t len = 1; len <= sizeof(buf); len += 171) {
			struct packet_header h = {.type = (uint8_t)type,
						  .id = node.node_id,
						  .counter = len};

			ntmc_random(NULL, buf, sizeof(buf));
			packet_header_put(&h, buf);
			count_send(&c, buf, len);
		}
	assert_non_null(peer_keep_alive(&node));
	c.sent = 0;
	count_check(&c, "a stranger");
	close(c.fd);
}

/* --- the RS ------------------------------------------------------------------------ */

static int relay_setup(void **state)
{
	(void)state;
	relay_new(&relay);
	relay_start(&relay);
	return 0;
}

static int relay_teardown(void **state)
{
	(void)state;
	relay_free(&relay);
	return 0;
}

static uint64_t get_id(const uint8_t *buf)
{
	struct packet_header h;

	return packet_header_get(buf, PACKET_PROBE_LEN, &h) ? 0 : h.id;
}

/* A probe comes back behind all that was sent from this socket before: one thread
 * reads it. Its own bytes are counted on both sides. */
static void rs_settled(struct count *c, const char *what)
{
	static uint64_t id = 1000;
	struct packet_header h = {.type = PACKET_RELAY_PROBE, .id = ++id};
	uint8_t buf[65536] = {0};
	ssize_t n;

	packet_header_put(&h, buf);
	count_send(c, buf, PACKET_PROBE_LEN);
	do {
		n = recv(c->fd, buf, sizeof(buf), 0);
		assert_true(n > 0);
		c->got += (size_t)n;
	} while (n != PACKET_PROBE_LEN || get_id(buf) != id);
	count_check(c, what);
}

/* every type, of a path that is known and one that is not, random and zero behind */
static void strangers_at_the_rs(void **state)
{
	static const uint64_t ids[] = {PATH_ID, PATH_ID | 1, 77, 0};
	struct end mn, cn;
	struct ntmc_key kpunch;
	uint8_t buf[2000];
	struct count c;
	char what[64];

	(void)state;
	relay_pair(&relay, PATH_ID, &kpunch, &mn, &cn, true);
	count_new(&c, &relay.at4);
	for (unsigned int type = 0; type < TYPES; type++)
		for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
			for (size_t len = 1; len <= sizeof(buf); len += 97) {
				struct packet_header h = {.type = (uint8_t)type,
							  .id = ids[i]};

				ntmc_random(NULL, buf, sizeof(buf));
				if (len % 2)
					memset(buf, 0, sizeof(buf));
				packet_header_put(&h, buf);
				count_send(&c, buf, len);
				snprintf(what, sizeof(what), "type %u, %zu",
					 type, len);
				rs_settled(&c, what);
			}
	/* and nobody else got any of it */
	assert_int_equal(recv(mn.fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
	assert_int_equal(recv(cn.fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
	close(c.fd);
	end_free(&mn);
	end_free(&cn);
}

/* who holds the keys of an end, but not its address, in every size */
static void punches(void **state)
{
	struct end mn, cn;
	struct ntmc_key kpunch;

	(void)state;
	ntmc_key_random(NULL, &kpunch);
	assert_int_equal(relay_direct(&relay, PATH_ID, &kpunch, "192.0.2.1",
				      "192.0.2.2"),
			 0);
	end_new(&mn, &relay, AF_INET, PATH_ID, &kpunch);
	end_new(&cn, &relay, AF_INET, PATH_ID | 1, &kpunch);
	end_bind(&cn);
	for (size_t padding = 0; padding < 200; padding++) {
		struct count c = {.fd = mn.fd};

		end_send_punch(&mn, false, false, padding);
		c.sent = mn.punch_len;
		/* what the other end sends does not come here */
		end_send(&cn, 1000, 1);
		rs_settled(&c, "a punch");
	}
	assert_int_equal(relay_number(&relay, "forwarded"), 0);
	end_free(&mn);
	end_free(&cn);
}

#define S(f) cmocka_unit_test_setup_teardown(f, site_setup, site_teardown)
#define R(f) cmocka_unit_test_setup_teardown(f, relay_setup, relay_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		S(signals_to_the_dc),
		S(registrations),
		S(strangers_at_the_dc),
		R(strangers_at_the_rs),
		R(punches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

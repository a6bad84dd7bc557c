/* SPDX-License-Identifier: MIT */
/*
 * fuzz_rs - whatever strangers send to a relay's port
 *
 * The first byte says how: bits 0-2 the source (0 MN's bound address, 1 CN's, 2 a
 * proven address, 3 and more a stranger's), bit 3 the body is sealed as a Hole Punch
 * of MN's end first, bit 4 of CN's; the second and third byte are the size of each
 * datagram in the message. The rest is the message.
 *
 * Held: a stranger gets no more bytes than it sent, nothing goes to an address that
 * did not ask, and a datagram is forwarded only from end to end.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>

#include "servers/rs/state.h"

#define PATH_ID UINT64_C(0x8877665544332210)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rs rs;
static struct role_env env;
static struct rs_thread *thread;
static struct ntmc_key kpunch;
static uint8_t buf[THREAD_MESSAGE_MAX];

static void source(unsigned int which, struct remote *out)
{
	uint8_t ip[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [15] = 1};

	ip[15] = (uint8_t)(1 + which);
	memset(out, 0, sizeof(*out));
	memcpy(out->ip, ip, sizeof(ip));
	out->port = htons((uint16_t)(4000 + which));
}

/* a path with both ends bound; the proven address of MN is source 2's */
static void path_put(void)
{
	struct path_keys k = {.id = PATH_ID, .aead = NTMC_AES_256_GCM};
	uint32_t old[2], h = paths_find(&rs.paths, PATH_ID);
	struct remote at;

	if (h)
		paths_remove(&rs.paths, h, 3600);
	for (unsigned int i = 0; i < 2; i++)
		if (datagram_punch_keys(&kpunch, PATH_ID | i, NTMC_AES_256_GCM,
					&k.end[i]))
			abort();
	source(2, &at);
	memcpy(k.proven[0], at.ip, sizeof(k.proven[0]));
	if (paths_put(&rs.paths, &k, 3600, old))
		abort();
	h = paths_find(&rs.paths, PATH_ID);
	for (unsigned int i = 0; i < 2; i++) {
		source(i, &at);
		paths_bind(&paths_at(&rs.paths, h)->end[i], &at, true, 3600);
	}
}

static void start(void)
{
	memset(&kpunch, 0x21, sizeof(kpunch));
	rs.env = &env;
	atomic_store(&rs.now_s, 3600);
	ntmc_key_random(NULL, &rs.cookie_key);
	locals_init(&rs.locals);
	rs.signals[0] = rs.signals[1] = -1;
	thread = calloc(1, sizeof(*thread));
	if (!thread || paths_init(&rs.paths, 4) || quota_init(&rs.quota, 4))
		abort();
	thread->rs = &rs;
	thread->n_sockets = 1;
	thread->family[0] = AF_INET;
	thread->outbox.locals = &rs.locals;
	thread->outbox.n_sockets = 1;
	thread->outbox.fds[0] = -1; /* looked at, not sent */
	thread->outbox.family[0] = AF_INET;
	thread->outbox.gso = true;
}

/* the rest of the input, sealed as one punch of that end */
static size_t seal(unsigned int end, const uint8_t *data, size_t size)
{
	struct packet_header h = {
		.type = PACKET_HOLE_PUNCH, .id = PATH_ID | end, .counter = 1};
	struct datagram_keys keys;

	if (size > PACKET_SIGNAL_MAX - PACKET_OVERHEAD)
		size = PACKET_SIGNAL_MAX - PACKET_OVERHEAD;
	if (datagram_punch_keys(&kpunch, h.id, NTMC_AES_256_GCM, &keys))
		abort();
	packet_header_put(&h, buf);
	memcpy(buf + PACKET_HEADER_LEN, data, size);
	if (ntmc_seal_once(keys.aead, &keys.up, h.counter, buf,
			   PACKET_HEADER_LEN, buf + PACKET_HEADER_LEN, size))
		abort();
	return size + PACKET_OVERHEAD;
}

static void check(const struct remote *from, unsigned int which, size_t came)
{
	struct outbox *o = &thread->outbox;
	struct remote ends[2];
	size_t back = 0;

	source(0, &ends[0]);
	source(1, &ends[1]);
	for (unsigned int i = 0; i < o->n; i++) {
		const struct outbox_run *r = &o->runs[i];

		if (remote_same(&r->to, from))
			back += r->bytes;
		else if (which > 1 || !remote_same(&r->to, &ends[!which]))
			abort(); /* to somebody who did not ask */
	}
	if (back > came)
		abort();
	o->n = 0;
	memset(o->open, 0, sizeof(o->open));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arrival a = {.data = buf};
	unsigned int which;

	if (!thread)
		start();
	if (size < 4 || size > 4096)
		return 0;
	path_put();
	which = data[0] & 7;
	source(which, &a.from);
	a.size = (uint16_t)(data[1] << 8 | data[2]);
	if (data[0] & 0x18) {
		a.len = seal(data[0] >> 4 & 1, data + 3, size - 3);
	} else {
		memcpy(buf, data + 3, size - 3);
		a.len = size - 3;
	}
	if (!a.size || a.size > a.len)
		a.size = (uint16_t)a.len;
	forward_arrival(thread, &a);
	/* an end that moved by a punch is where it came from: check() sees it as
	 * the source */
	check(&a.from, which, a.len);
	return 0;
}

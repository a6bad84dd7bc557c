/* SPDX-License-Identifier: MIT */
/*
 * fuzz_rs - whatever strangers send to a relay's port
 *
 * The first byte says how: bits 0-2 the source (0 MN's bound address, 1 CN's, 2 a
 * proven address, 3 and more a stranger's), bit 3 the body is sealed as a Hole Punch
 * of MN's end first, bit 4 of CN's, bit 6 of place 0 of a group; with bit 5 the body is
 * a group packet with a good hop. The second and third byte are the size of each
 * datagram in the message. The rest is the message. MN and CN are the group's members.
 *
 * Held: a stranger gets no more bytes than it sent, nothing goes to an address that
 * did not ask, and a datagram is forwarded only from end to end.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>

#include "libntmcrypto/grouppacket.h"
#include "servers/rs/state.h"

#define PATH_ID UINT64_C(0x8877665544332210)
#define TAG	UINT64_C(0x0123456789abcdef)

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

static void gone(void *arg, const struct group_here *h)
{
	(void)arg;
	(void)h;
}

/* an epoch of which both are at their places */
static void group_put(void)
{
	struct group_direction d = {
		.tag = TAG,
		.relay_key = kpunch.b,
		.bind_key = kpunch.b,
		.aead = NTMC_AES_256_GCM,
		.places = 3,
		.lifetime_s = 60,
	};
	struct group_here *h = groups_find(&rs.groups, TAG);
	struct remote at;
	uint32_t old;
	bool bound;

	if (h)
		groups_end(&rs.groups, h);
	groups_sweep(&rs.groups, 3600, gone, NULL);
	if (groups_put(&rs.groups, &d, 3600, &old))
		abort();
	h = groups_find(&rs.groups, TAG);
	for (unsigned int i = 0; i < 2; i++) {
		source(i, &at);
		if (!groups_punch(&h->places[i], GROUP_WISH_BIND, &at, 1, 3600,
				  &bound) ||
		    !bound)
			abort();
	}
}

/* the rest of the input behind a header, with a hop */
static size_t hop(const uint8_t *data, size_t size)
{
	uint8_t text[GROUP_PACKET_HEADER + NTMC_TAG_LEN], mac[NTMC_HASH_LEN];
	uint64_t tag = htobe64(TAG);

	if (size < sizeof(text) + GROUP_HOP_LEN)
		return 0;
	memcpy(buf, data, size);
	buf[0] = PACKET_GROUP;
	buf[1] = PACKET_VERSION;
	buf[3] |= GROUP_PACKET_HOP;
	memcpy(buf + PACKET_ID_AT, &tag, sizeof(tag));
	memcpy(text, buf, GROUP_PACKET_HEADER);
	memcpy(text + GROUP_PACKET_HEADER,
	       buf + size - GROUP_HOP_LEN - NTMC_TAG_LEN, NTMC_TAG_LEN);
	ntmc_hmac(kpunch.b, NTMC_KEY_LEN, text, sizeof(text), mac);
	memcpy(buf + size - GROUP_HOP_LEN, mac, GROUP_HOP_LEN);
	return size;
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
	if (!thread || paths_init(&rs.paths, 4) || groups_init(&rs.groups, 4) ||
	    quota_init(&rs.quota, 4))
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

static void keys_of(struct packet_header *h, bool place,
		    struct datagram_keys *out)
{
	int r;

	if (place) {
		h->flags = PACKET_PLACE;
		h->id = TAG;
		r = groups_place_keys(groups_find(&rs.groups, TAG), 0, out);
	} else {
		r = datagram_punch_keys(&kpunch, h->id, NTMC_AES_256_GCM, out);
	}
	if (r)
		abort();
}

/* the rest of the input, sealed as one punch of that end, or of the place */
static size_t seal(unsigned int end, bool place, const uint8_t *data,
		   size_t size)
{
	struct packet_header h = {
		.type = PACKET_HOLE_PUNCH, .id = PATH_ID | end, .counter = 1};
	struct datagram_keys keys;

	if (size > PACKET_SIGNAL_MAX - PACKET_OVERHEAD)
		size = PACKET_SIGNAL_MAX - PACKET_OVERHEAD;
	keys_of(&h, place, &keys);
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
	group_put();
	which = data[0] & 7;
	source(which, &a.from);
	a.size = (uint16_t)(data[1] << 8 | data[2]);
	if (data[0] & 0x58) {
		a.len = seal(data[0] >> 4 & 1, data[0] & 0x40, data + 3,
			     size - 3);
	} else if (data[0] & 0x20) {
		a.len = hop(data + 3, size - 3);
		if (!a.len)
			return 0;
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

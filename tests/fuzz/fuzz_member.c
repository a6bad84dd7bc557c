/* SPDX-License-Identifier: MIT */
/*
 * fuzz_member - ntm-member with a group: any bytes as requests of programs, as what is in
 * items, and as what its GMS says
 *
 * An input is records: a byte (bits 0 to 2 what, 3 and 4 of whom), length (2), so many
 * bytes. What: 0 lines at member.sock, 1 an item with a group's paper, 2 a message of the
 * chat, 3 read marks, 4 a message of the GMS, 5 an entry of the GMS, or of another member,
 * signed, with RN2: the bytes say which, 6 an invitation that is in order, or a welcome,
 * 7 time goes by; where it is of somebody else: what ntm-post is to answer next.
 * Stores are real, in a folder of their own. ntm-post is played: it says yes to all, or
 * what it was told to. The worker is not there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <utlist.h>

#include "broker/member/asks.h"
#include "broker/member/chat.h"
#include "broker/member/member_impl.h"
#include "broker/member/papers.h"
#include "broker/member/plans.h"
#include "broker/member/postcall.h"
#include "common/datagram.h"
#include "common/log.h"
#include "tests/fuzz/crypto_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define US  "pc.ann.example.net"
#define BOB "pc.bob.example.net"
#define EVE "pc.eve.example.org"

static struct node node;
static struct part *part;
static struct ntmc_identity us, bob, eve, gms;
static struct group *log_of_gms;
static struct sockaddr_un at;
static socklen_t at_len;
static char dir[64];
static uint64_t clock_ns;
static uint8_t fill;

/* struct call - somebody at the played post.sock */
struct call {
	int fd;
	struct loop_io *io;
	char line[4096];
	size_t len;
};

static struct {
	int fd;
	struct loop_io *io;
	struct call calls[4];
	const uint8_t *next; /* the answer that it was told to give */
	size_t next_len;
} post;

static void want(bool holds)
{
	if (!holds)
		abort();
}

static uint64_t mono(void *arg)
{
	(void)arg;
	return clock_ns;
}

static int64_t wall(void *arg)
{
	(void)arg;
	return FUZZ_NOW;
}

static void turn(int n)
{
	while (n--)
		want(!loop_turn(node.loop, false));
}

/* --- ntm-post ------------------------------------------------------------------------------ */

static void call_end(struct call *c)
{
	loop_io_del(c->io);
	close(c->fd);
	memset(c, 0, sizeof(*c));
	c->fd = -1;
}

static const char *usual(const char *line)
{
	static char text[300];
	char key[NTMC_BASE64URL_LEN(NTMC_KEY_LEN) + 3];

	if (strstr(line, "\"inbox\""))
		return "{\"ok\":true,\"items\":[]}\n";
	ntmc_base64url_encode(bob.ed_pub, NTMC_KEY_LEN, key);
	snprintf(text, sizeof(text),
		 "{\"ok\":true,\"bytes\":5,\"devices\":[{\"name\":\"" BOB
		 "\",\"key\":\"%s\"}]}\n",
		 key);
	return text;
}

static void on_line(void *arg, int fd, unsigned int events)
{
	struct call *c = arg;
	ssize_t n = recv(fd, c->line + c->len, sizeof(c->line) - 1 - c->len, 0);
	const char *said;

	(void)events;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0)
		c->len += (size_t)n;
	said = n > 0 && !memchr(c->line, '\n', c->len) &&
			       c->len < sizeof(c->line) - 1
		       ? NULL
		       : usual(c->line);
	if (!said)
		return;
	if (n > 0 && post.next) {
		n = send(fd, post.next, post.next_len, MSG_NOSIGNAL);
		post.next = NULL;
	} else if (n > 0) {
		n = send(fd, said, strlen(said), MSG_NOSIGNAL);
	}
	call_end(c);
}

static void on_call(void *arg, int fd, unsigned int events)
{
	int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct call *c = post.calls;

	(void)arg, (void)events;
	want(s >= 0);
	while (c->fd >= 0)
		want(++c < post.calls + 4); /* one at a time, it is said */
	c->fd = s;
	want(!loop_io_add(node.loop, s, LOOP_READ, false, on_line, c, &c->io));
}

static void post_open(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/post.sock", dir);
	unlink(un.sun_path);
	for (size_t i = 0; i < 4; i++)
		post.calls[i].fd = -1;
	post.next = NULL;
	post.fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	want(post.fd >= 0 &&
	     !bind(post.fd, (struct sockaddr *)&un, sizeof(un)) &&
	     !listen(post.fd, 8) &&
	     !loop_io_add(node.loop, post.fd, LOOP_READ, false, on_call, NULL,
			  &post.io));
}

static void post_close(void)
{
	for (size_t i = 0; i < 4; i++)
		if (post.calls[i].fd >= 0)
			call_end(&post.calls[i]);
	loop_io_del(post.io);
	close(post.fd);
}

/* all that is asked of it ends: what waits for an answer goes on, or comes again */
static void post_settle(void)
{
	post.next = NULL;
	do {
		while (postcall_busy(node.post))
			turn(1);
		clock_ns += LOOP_S(1);
		turn(2);
	} while (postcall_busy(node.post));
}

/* --- what the GMS says --------------------------------------------------------------------- */

static ProtobufCBinaryData bytes(const void *p, size_t len)
{
	return (ProtobufCBinaryData){len, (uint8_t *)p};
}

static void heard(const Ntm__Envelope *msg)
{
	struct part *p, *tmp;

	if (msg->body_case == NTM__ENVELOPE__BODY_GROUP_PLANS)
		plans_heard(node.plans, msg->group_plans);
	/* whichever of our groups it is of */
	DL_FOREACH_SAFE (node.parts, p, tmp)
		if (!p->over)
			member_message(p->m, msg);
	turn(2);
	/* it left, or was removed: it is gone at the end of the turn */
	part = node.parts;
}

static void any(const uint8_t *data, size_t len)
{
	ProtobufCMessage *msg;

	if (datagram_unpack(&ntm__envelope__descriptor, data, len, &msg))
		return;
	heard((Ntm__Envelope *)msg);
	datagram_free(msg);
}

/* the end of its log, with the last @entry, or none */
static void news(const uint8_t *entry, size_t len)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupNews body = NTM__GROUP_NEWS__INIT;
	Ntm__GroupLogged one = NTM__GROUP_LOGGED__INIT, *list = &one;
	uint8_t seal[GROUP_SEAL_LEN];
	struct ntmc_key rn2 = {{9}};

	if (group_seal_make(&gms, log_of_gms, &rn2, FUZZ_NOW - 60,
			    FUZZ_NOW + 7200, seal))
		return;
	one.entry = bytes(entry, len);
	body.n_entries = entry ? 1 : 0;
	body.entries = &list;
	body.group = bytes(group_id(log_of_gms), GROUP_ID_LEN);
	body.seal = bytes(seal, sizeof(seal));
	body.rn2 = bytes(rn2.b, sizeof(rn2.b));
	body.now = FUZZ_NOW;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_NEWS;
	e.group_news = &body;
	heard(&e);
}

static void entry(unsigned int whose, const uint8_t *data, size_t len)
{
	static const enum group_kind kinds[] = {
		GROUP_RENEW,  GROUP_ADD,     GROUP_POLICY, GROUP_RIGHTS,
		GROUP_REMOVE, GROUP_REFRESH, GROUP_MOVE,   GROUP_RENEW};
	const struct ntmc_identity *by[] = {&gms, &us, &bob, &eve};
	struct group_policy policy = group_policy_default;
	struct group_joiner j = {.token = {1}, .rights = 7, .fqdn = BOB};
	struct ntmc_env env = fuzz_env(&fill);
	struct ntmc_key share = {{3}};
	uint8_t b[GROUP_ENTRY_MAX], a = len > 1 ? data[1] : 0;
	uint32_t gone = a & 3;
	struct group_change c = {
		.policy = &policy,
		.joiners = &j,
		.n_joiners = 1,
		.share = &share,
		.reason = GROUP_REMOVED,
		.gone = &gone,
		.n_gone = 1,
		.index = gone,
		.rights = a >> 5,
		.server = "gms.example.org",
		.server_key = eve.ed_pub,
	};
	size_t n;

	if (!len || !part)
		return;
	c.kind = kinds[data[0] & 7];
	policy.renew_s += a;
	memcpy(j.ed_pub, a & 64 ? eve.ed_pub : bob.ed_pub, NTMC_KEY_LEN);
	if (group_make(&env, log_of_gms, by[whose & 3], &c, b, &n, NULL))
		return;
	if (len > 3)
		b[data[2] % n] ^= data[3];
	/* what a GMS would refuse it sends all the same */
	(void)!group_apply(log_of_gms, b, n, NULL);
	news(b, n);
}

/* --- items -------------------------------------------------------------------------------------- */

static void item(unsigned int whose, const char *service, const void *text,
		 size_t len)
{
	static const char *const names[] = {BOB, EVE, US, "pc.bob.example.ne"};
	char path[128];
	json_t *j;
	int fd;

	snprintf(path, sizeof(path), "%s/item/tree/text", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	want(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	close(fd);
	snprintf(path, sizeof(path), "%s/item", dir);
	j = json_pack("{s:s, s:s, s:s, s:I}", "from", names[whose & 3],
		      "service", service, "folder", path, "at",
		      (json_int_t)node_now(&node));
	want(paper_item(node.papers, j) <= 0); /* done with, or not now */
	json_decref(j);
	turn(2);
}

static void paper(unsigned int whose, const uint8_t *data, size_t len)
{
	static const char *const services[] = {"invite", "accept", "welcome",
					       "decline"};
	char text[NTMC_BASE64URL_LEN(2048) + 3];

	if (!len || len > 2048)
		return;
	ntmc_base64url_encode(data + 1, len - 1, text);
	/* also such as are not base64url */
	if (data[0] & 128)
		item(whose, services[data[0] & 3], data + 1, len - 1);
	else
		item(whose, services[data[0] & 3], text, strlen(text));
}

static void invitation(const uint8_t *data, size_t len)
{
	uint8_t a = len ? data[0] : 0, b[GROUP_INVITE_MAX];
	char text[NTMC_BASE64URL_LEN(GROUP_INVITE_MAX) + 3];
	struct group_secret s = {.id = {a & 127}, .epoch = 2, .generation = 1};
	struct group_invite i = {.id = {a & 127},
				 .name = "choir",
				 .server = "gms.example.org",
				 .ways = "127.0.0.1:1",
				 .inviter = BOB,
				 .invitee = US,
				 .rights = a & 7,
				 .expires = node_now(&node) + FUZZ_DAY,
				 .token = {a & 127, 2}};
	size_t n;

	i.name[0] = (char)('a' + (a & 15));
	if (a & 128) {
		strcpy(s.name, i.name);
		n = group_welcome_put(&s, group_hash(log_of_gms), b);
		ntmc_base64url_encode(b, n, text);
		item(0, "welcome", text, strlen(text));
		papers_work(node.papers);
		turn(2);
		return;
	}
	memcpy(i.server_key, gms.ed_pub, NTMC_KEY_LEN);
	memcpy(i.inviter_key, bob.ed_pub, NTMC_KEY_LEN);
	memcpy(i.invitee_key, us.ed_pub, NTMC_KEY_LEN);
	want(!group_invite_make(&bob, &i, b, &n));
	if (len > 2)
		b[data[1] % n] ^= data[2];
	ntmc_base64url_encode(b, n, text);
	item(0, "invite", text, strlen(text));
}

/* --- programs ---------------------------------------------------------------------------------------- */

static void lines(const uint8_t *data, size_t len)
{
	char answer[4096];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	want(fd >= 0 && !connect(fd, (struct sockaddr *)&at, at_len));
	turn(1);
	for (size_t done = 0; done < len;) {
		ssize_t n = send(fd, data + done, len - done, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		done += (size_t)n;
		turn(2);
		while (recv(fd, answer, sizeof(answer), 0) > 0)
			;
	}
	turn(3);
	close(fd);
	turn(2);
	part = node.parts;
}

/* --- one input ------------------------------------------------------------------------------------------ */

static void record(uint8_t what, const uint8_t *data, size_t len)
{
	unsigned int whose = what >> 3 & 3;

	switch (what & 7) {
	case 0:
		lines(data, len);
		break;
	case 1:
		paper(whose, data, len);
		break;
	case 2:
		item(whose, CHAT_MESSAGE, data, len);
		break;
	case 3:
		item(whose, CHAT_READ, data, len);
		break;
	case 4:
		any(data, len);
		break;
	case 5:
		entry(whose, data, len);
		break;
	case 6:
		invitation(data, len);
		break;
	default:
		if (whose) {
			post.next = data;
			post.next_len = len;
			break;
		}
		clock_ns += LOOP_S(len ? data[0] : 1);
		turn(3);
		part = node.parts;
	}
}

static void listen_here(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memset(&at, 0, sizeof(at));
	at.sun_family = AF_UNIX;
	at_len = sizeof(at);
	/* a name that the kernel picks: no file is left */
	want(fd >= 0 &&
	     !bind(fd, (struct sockaddr *)&at, sizeof(sa_family_t)) &&
	     !getsockname(fd, (struct sockaddr *)&at, &at_len) &&
	     !listen(fd, 8) && !asks_open(&node, fd, &node.asks));
}

/* the group that is ours, joined */
static void found(void)
{
	uint8_t entry[GROUP_ENTRY_MAX], sealer[NTMC_KEY_LEN];
	size_t len;

	want(!part_found(&node, "band", &group_policy_default, &part));
	want(!memberstore_log_get(node.store, member_id(part->m), 1, entry,
				  &len, sealer));
	want(!group_new(&log_of_gms) &&
	     !group_apply(log_of_gms, entry, len, NULL));
	member_online(part->m);
	news(NULL, 0);
	want(part && member_state(part->m) == MEMBER_JOINED);
}

static void begin(void)
{
	struct who_manager *m = &node.who.managers[0];
	char path[128];

	memset(&node, 0, sizeof(node));
	node.link = -1;
	clock_ns = LOOP_S(1000);
	want(!loop_new(&node.loop));
	loop_set_clock(node.loop, mono, wall, NULL);
	node.rundir = dir;
	want(!who_open(dir, dir, "member", &node.who));
	*node.who.id = us;
	strcpy(node.who.fqdn, US);
	strcpy(node.who.domain, "example.net");
	strcpy(m->name, "gms.example.net");
	memcpy(m->ed_pub, gms.ed_pub, sizeof(m->ed_pub));
	want(!addr_parse("127.0.0.1", 1, &m->ways[0]));
	m->n_ways = 1;
	node.who.n_managers = 1;
	node.who.logged_in = true;
	snprintf(path, sizeof(path), "%s/member/groups.db", dir);
	want(!memberstore_open(path, NULL, &us, &node.store));
	want(!postcall_open(&node, &node.post) &&
	     !papers_open(&node, &node.papers) &&
	     !chat_open(&node, &node.chat) && !plans_open(&node, &node.plans));
	listen_here();
	post_open();
	found();
}

static void end(void)
{
	static const char *const files[] = {"groups.db",     "groups.db-wal",
					    "groups.db-shm", "chat.db",
					    "chat.db-wal",   "chat.db-shm"};
	char path[128];

	post_settle();
	node_close(&node);
	post_close();
	loop_free(node.loop);
	group_free(log_of_gms);
	log_of_gms = NULL;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/member/%s", dir, files[i]);
		unlink(path);
	}
}

static void tidy(void)
{
	char cmd[96];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd))
		perror(dir);
}

static void start(void)
{
	struct ntmc_identity *all[] = {&us, &bob, &eve, &gms};
	struct ntmc_env env = fuzz_env(&fill);
	char path[128];

	log_set_level(LOG_ERR);
	for (fill = 0; fill < 4; fill++)
		ntmc_identity_new(&env, all[fill]);
	snprintf(dir, sizeof(dir), "%s/fuzz-member.XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	want(mkdtemp(dir) != NULL);
	atexit(tidy);
	snprintf(path, sizeof(path), "%s/item", dir);
	want(!mkdir(path, 0700));
	strcat(path, "/tree");
	want(!mkdir(path, 0700));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!dir[0])
		start();
	begin();
	while (size >= 3) {
		size_t len = (size_t)(data[1] << 8 | data[2]);

		len = len > size - 3 ? size - 3 : len;
		record(data[0], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	end();
	return 0;
}

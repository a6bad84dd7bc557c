/* SPDX-License-Identifier: MIT */
/*
 * test_papers - invitations of both sides: forged, said again, to and of others, names
 * that are none, a thousand of one account
 *
 * One device without ntm-post and without a GMS: items are put into its hands, and what
 * it keeps is looked at.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <utlist.h>

#include "broker/member/alive.h"
#include "broker/member/member_impl.h"
#include "broker/member/papers.h"
#include "broker/member/postcall.h"
#include "broker/state.pb-c.h"
#include "broker/statefile.h"

#define US   "desk.bob.example.net"
#define THEY "pc.ann.example.org"
#define DAY  86400

/* @ann: who invites us; @eve: somebody else; @gms: of the group that is ours */
static struct ntmc_identity us, ann, eve, gms;
static struct node node;
static struct papers *papers;
static struct part part; /* our own group */
static char dir[32], folder[64];

/* --- the stage ----------------------------------------------------------------------- */

static void no_send(void *arg, Ntm__Envelope *msg)
{
	(void)arg, (void)msg;
}

static void no_state(void *arg, struct member *m, enum member_state before)
{
	(void)arg, (void)m, (void)before;
}

static void no_keys(void *arg, const struct group_keys *k, uint32_t index)
{
	(void)arg, (void)k, (void)index;
}

static void no_saw(void *arg, enum member_saw what, uint32_t who,
		   uint64_t epoch, int code)
{
	(void)arg, (void)what, (void)who, (void)epoch, (void)code;
}

static void no_done(void *arg, int code)
{
	(void)arg, (void)code;
}

static void no_people(void *arg)
{
	(void)arg;
}

static const struct member_ops ops = {.send = no_send,
				      .state = no_state,
				      .keys = no_keys,
				      .saw = no_saw,
				      .done = no_done,
				      .people = no_people};

/* the worker has met them under these names */
static void pin(void)
{
	Ntm__State__Known known = NTM__STATE__KNOWN__INIT;
	Ntm__State__KnownPeer peer = NTM__STATE__KNOWN_PEER__INIT,
			      *list = &peer;
	uint8_t fp[NTMC_FP_LEN];

	ntmc_fingerprint(ann.ed_pub, fp);
	peer.fqdn = (char *)THEY;
	peer.fingerprint = (ProtobufCBinaryData){sizeof(fp), fp};
	known.peers = &list;
	known.n_peers = 1;
	assert_int_equal(statefile_save(dir, "known", &known.base), 0);
	who_load_known(&node.who);
}

/* a group of ours, whose GMS cannot be reached */
static void found(void)
{
	struct who_manager *m = &node.who.managers[0];
	struct member_setup setup = {
		.loop = node.loop, .id = &us, .store = node.store, .ops = &ops};

	strcpy(m->name, "gms.example.net");
	memcpy(m->ed_pub, gms.ed_pub, sizeof(m->ed_pub));
	assert_int_equal(addr_parse("192.0.2.1", 4509, &m->ways[0]), 0);
	m->n_ways = 1;
	node.who.n_managers = 1;
	node.who.logged_in = true;
	assert_int_equal(server_of(&node, m->name, m->ed_pub, &part.server), 0);
	assert_int_equal(member_found(&setup, "band", US, m->name, m->ed_pub,
				      &group_policy_default, &part.m),
			 0);
	part.node = &node;
	DL_APPEND(node.parts, &part);
}

static void open_all(void)
{
	char path[80];

	assert_int_equal(papers_open(&node, &papers), 0);
	node.papers = papers;
	snprintf(path, sizeof(path), "%s/tree", folder);
	assert_true(!mkdir(folder, 0700) && !mkdir(path, 0700));
}

static int setup(void **state)
{
	char path[64];

	(void)state;
	memset(&node, 0, sizeof(node));
	memset(&part, 0, sizeof(part));
	strcpy(dir, "/tmp/papers.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(folder, sizeof(folder), "%s/item", dir);
	assert_int_equal(loop_new(&node.loop), 0);
	node.rundir = dir;
	assert_int_equal(who_open(dir, dir, "member", &node.who), 0);
	*node.who.id = us;
	strcpy(node.who.fqdn, US);
	snprintf(path, sizeof(path), "%s/groups.db", dir);
	assert_int_equal(memberstore_open(path, NULL, &us, &node.store), 0);
	assert_int_equal(postcall_open(&node, &node.post), 0);
	open_all();
	found();
	return 0;
}

static int teardown(void **state)
{
	char cmd[64];

	(void)state;
	node.ending = true;
	papers_close(papers);
	member_free(part.m);
	DL_DELETE(node.parts, &part);
	servers_close(&node);
	postcall_close(node.post);
	memberstore_close(node.store);
	who_close(&node.who);
	loop_free(node.loop);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
	return 0;
}

static int identities(void **state)
{
	(void)state;
	ntmc_identity_new(NULL, &us);
	ntmc_identity_new(NULL, &ann);
	ntmc_identity_new(NULL, &eve);
	ntmc_identity_new(NULL, &gms);
	return 0;
}

/* --- what comes ------------------------------------------------------------------------ */

/* an item of @from, which ntm-post has checked to be of that name */
static void item(const char *from, const char *service, const uint8_t *b,
		 size_t len)
{
	char text[NTMC_BASE64URL_LEN(2048) + 3], path[80];
	json_t *j = json_pack("{s:s, s:s, s:s}", "from", from, "service",
			      service, "folder", folder);
	int fd;

	ntmc_base64url_encode(b, len, text);
	snprintf(path, sizeof(path), "%s/tree/text", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	/* whatever is in it: it is done with, and the inbox is free of it */
	assert_int_equal(paper_item(papers, j), 0);
	json_decref(j);
}

/* an invite of @by, called @name, to us; each has a group and token of its own */
static struct group_invite like(const struct ntmc_identity *by,
				const char *name)
{
	struct group_invite i = {.name = "choir",
				 .server = "gms.example.org",
				 .ways = "192.0.2.9:4509",
				 .expires = ntmc_now(NULL) + 10 * DAY};

	snprintf(i.inviter, sizeof(i.inviter), "%s", name);
	strcpy(i.invitee, US);
	ntmc_random(NULL, i.id, sizeof(i.id));
	ntmc_random(NULL, i.token, sizeof(i.token));
	memcpy(i.server_key, gms.ed_pub, NTMC_KEY_LEN);
	memcpy(i.inviter_key, by->ed_pub, NTMC_KEY_LEN);
	memcpy(i.invitee_key, us.ed_pub, NTMC_KEY_LEN);
	return i;
}

static void invited(const struct ntmc_identity *by, const char *from,
		    const struct group_invite *i)
{
	uint8_t b[GROUP_INVITE_MAX];
	size_t len;

	assert_int_equal(group_invite_make(by, i, b, &len), 0);
	item(from, "invite", b, len);
}

static unsigned int count(enum paper_state state, const char *account)
{
	struct paper *p;
	unsigned int n = 0;

	for (p = papers_first(papers); p; p = p->next)
		n += p->state == state &&
		     (!account || strstr(p->i.inviter, account));
	return n;
}

/* --- forged, again, of others ------------------------------------------------------------- */

static void forged(void **state)
{
	struct group_invite i = like(&ann, THEY), other;
	uint8_t b[GROUP_INVITE_MAX];
	size_t len, at;

	(void)state;
	pin();
	assert_int_equal(group_invite_make(&ann, &i, b, &len), 0);
	for (at = 0; at < len; at++) {
		b[at] ^= 1;
		item(THEY, "invite", b, len);
		b[at] ^= 1;
		if (at)
			item(THEY, "invite", b, at);
	}
	/* in another's name; for another; by a key that is not the one we met */
	item("pc.eve.example.org", "invite", b, len);
	other = i;
	memcpy(other.invitee_key, eve.ed_pub, NTMC_KEY_LEN);
	invited(&ann, THEY, &other);
	other = like(&eve, THEY);
	invited(&eve, THEY, &other);
	/* over; for longer than any lives */
	other = i;
	other.expires = ntmc_now(NULL) - 1;
	invited(&ann, THEY, &other);
	other.expires = ntmc_now(NULL) + 40 * DAY;
	invited(&ann, THEY, &other);
	assert_null(papers_first(papers));
	/* as it is, and then as often as anybody likes: one */
	for (at = 0; at < 5; at++)
		item(THEY, "invite", b, len);
	assert_int_equal(count(PAPER_INVITED, NULL), 1);
	/* to a group that we are in */
	other = like(&ann, THEY);
	memcpy(other.id, member_id(part.m), GROUP_ID_LEN);
	invited(&ann, THEY, &other);
	assert_int_equal(count(PAPER_INVITED, NULL), 1);
}

/* @as in place of @text, which is as long, and signed for good */
static void renamed(const char *text, const char *as)
{
	static const char label[] = "ntm group invite v1";
	struct group_invite i = like(&ann, THEY);
	uint8_t b[GROUP_INVITE_MAX], text_signed[2 * GROUP_INVITE_MAX], *at;
	size_t len, n;

	assert_int_equal(strlen(text), strlen(as));
	assert_int_equal(group_invite_make(&ann, &i, b, &len), 0);
	at = memmem(b, len, text, strlen(text));
	assert_non_null(at);
	memcpy(at, as, strlen(as));
	n = len - NTMC_SIG_LEN;
	memcpy(text_signed, label, sizeof(label) - 1);
	memcpy(text_signed + sizeof(label) - 1, b, n);
	ntmc_ed25519_sign(&ann.ed_priv, ann.ed_pub, text_signed,
			  sizeof(label) - 1 + n, b + n);
	item(THEY, "invite", b, len);
}

static void names(void **state)
{
	static const char *const bad[] = {
		"cho\nr", "\033[2Jr", "Choir", "cho r",		 "ch\xd0\xb0r",
		"-hoir",  "choi-",    "ch/ir", "\xe2\x80\xaeor", "c.oir",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		renamed("choir", bad[i]);
	renamed("gms.example.org", "gms.example.or\n");
	renamed("gms.example.org", "gms.ex\xd0\xb0mple.or");
	renamed(US, "desk.bob.example.ne\t");
	assert_null(papers_first(papers));
	renamed("choir", "chorr"); /* so it was the name alone */
	assert_int_equal(count(PAPER_INVITED, NULL), 1);
}

/* --- a thousand ---------------------------------------------------------------------------- */

static void thousand(void **state)
{
	struct paper *found;
	char from[64];

	(void)state;
	assert_int_equal(memberstore_begin(node.store), 0);
	for (unsigned int n = 0; n < 1000; n++) {
		struct group_invite i;

		snprintf(from, sizeof(from), "pc%u.eve.example.org", n % 100);
		i = like(&eve, from);
		invited(&eve, from, &i);
	}
	assert_int_equal(memberstore_commit(node.store), 0);
	assert_int_equal(count(PAPER_INVITED, NULL), PAPERS_FROM_MAX);
	/* nobody else is kept from inviting us, nor are we from anything */
	{
		struct group_invite i = like(&ann, THEY);

		strcpy(i.name, "walkers");
		invited(&ann, THEY, &i);
	}
	assert_int_equal(papers_find(papers, "walkers", &found), 0);
	assert_int_equal(papers_accept(papers, found), 0);
	assert_int_equal(papers_invite(papers, &part, THEY, ann.ed_pub, 0), 0);
	/* what waits can be thrown away, one by one; then there is room again */
	assert_int_equal(papers_find(papers, "choir", &found), -NTM_EEXISTS);
	strcpy(from, part_id_text(papers_first(papers)->i.id));
	assert_int_equal(papers_find(papers, from, &found), 0);
	assert_int_equal(papers_decline(papers, found), 0);
	{
		struct group_invite i = like(&eve, "pc.eve.example.org");

		strcpy(from, i.inviter);
		invited(&eve, from, &i);
		invited(&eve, from, &i);
	}
	assert_int_equal(count(PAPER_INVITED, "eve"), PAPERS_FROM_MAX);
}

/* of a thousand accounts: the list is full, and what is ours goes on */
static void accounts(void **state)
{
	struct ntmc_identity id;
	char from[64];
	int r = 0, n;

	(void)state;
	assert_int_equal(memberstore_begin(node.store), 0);
	for (n = 0; n < 1000; n++) {
		struct group_invite i;

		snprintf(from, sizeof(from), "pc.eve%d.example.org", n);
		i = like(&eve, from);
		invited(&eve, from, &i);
	}
	assert_int_equal(count(PAPER_INVITED, NULL), PAPERS_INVITED_MAX);
	/* we invite a thousand ourselves */
	for (n = 0; n < 1000 && !r; n++) {
		ntmc_identity_new(NULL, &id);
		snprintf(from, sizeof(from), "pc.eve%d.example.org", n);
		r = papers_invite(papers, &part, from, id.ed_pub, 0);
	}
	assert_int_equal(r, -NTM_ELIMIT);
	assert_int_equal(n, PAPERS_ASKED_MAX + 1);
	assert_int_equal(count(PAPER_ASKED, NULL), PAPERS_ASKED_MAX);
	assert_int_equal(memberstore_commit(node.store), 0);
	/* all of it is there after a start */
	papers_close(papers);
	assert_int_equal(papers_open(&node, &papers), 0);
	node.papers = papers;
	assert_int_equal(count(PAPER_ASKED, NULL), PAPERS_ASKED_MAX);
	assert_int_equal(count(PAPER_INVITED, NULL), PAPERS_INVITED_MAX);
}

/* --- the other two items ----------------------------------------------------------------------- */

static size_t acceptance(const struct ntmc_identity *by,
			 const struct group_invite *i, uint8_t *out)
{
	struct group_accept a = {.prekey.serial = 1};
	struct ntmc_key priv;

	memcpy(a.id, i->id, sizeof(a.id));
	memcpy(a.token, i->token, sizeof(a.token));
	ntmc_x25519_keygen(NULL, &priv, a.prekey.pub);
	group_prekey_sign(by, i->id, &a.prekey);
	group_accept_make(by, &a, out);
	return GROUP_ACCEPT_LEN;
}

static void accepted(void **state)
{
	uint8_t b[GROUP_ACCEPT_LEN];
	struct paper *p;
	size_t len, at;

	(void)state;
	assert_int_equal(papers_invite(papers, &part, THEY, ann.ed_pub, 0), 0);
	assert_int_equal(papers_invite(papers, &part, THEY, ann.ed_pub, 0),
			 -NTM_EEXISTS);
	p = papers_first(papers);
	/* somebody else's, in its own and in her name */
	len = acceptance(&eve, &p->i, b);
	item("pc.eve.example.org", "accept", b, len);
	item(THEY, "accept", b, len);
	len = acceptance(&ann, &p->i, b);
	item("pc.eve.example.org", "accept", b, len);
	for (at = 0; at < len; at++) {
		b[at] ^= 1;
		item(THEY, "accept", b, len);
		b[at] ^= 1;
	}
	item("pc.eve.example.org", "decline", p->i.token, GROUP_TOKEN_LEN);
	assert_int_equal(p->state, PAPER_ASKED);
	item(THEY, "accept", b, len);
	assert_int_equal(p->state, PAPER_ACCEPTED);
	/* again; and too late to decline */
	item(THEY, "accept", b, len);
	item(THEY, "decline", p->i.token, GROUP_TOKEN_LEN);
	assert_int_equal(p->state, PAPER_ACCEPTED);
	assert_ptr_equal(papers_first(papers), p);
	assert_null(p->next);
}

/* an entry of ours is in the log */
static void entry(struct group_change *c)
{
	uint8_t b[GROUP_ENTRY_MAX];
	struct ntmc_key share;
	size_t len;

	ntmc_key_random(NULL, &share);
	c->share = &share;
	assert_int_equal(group_make(NULL, part.m->g, &us, c, b, &len, NULL), 0);
	assert_int_equal(group_apply(part.m->g, b, len, NULL), 0);
}

/* whom we added was removed before we could give it the welcome: it is not added again */
static void removed_unwelcomed(void **state)
{
	struct group_joiner j = {.fqdn = THEY};
	struct group_change add = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	uint32_t gone = 1;
	struct group_change away = {.kind = GROUP_REMOVE,
				    .reason = GROUP_REMOVED,
				    .gone = &gone,
				    .n_gone = 1};
	uint8_t b[GROUP_ACCEPT_LEN];
	struct paper *p;

	(void)state;
	assert_int_equal(papers_invite(papers, &part, THEY, ann.ed_pub, 0), 0);
	p = papers_first(papers);
	item(THEY, "accept", b, acceptance(&ann, &p->i, b));
	assert_int_equal(p->state, PAPER_ACCEPTED);
	memcpy(j.token, p->i.token, sizeof(j.token));
	memcpy(j.ed_pub, ann.ed_pub, sizeof(j.ed_pub));
	entry(&add);
	entry(&away);
	part.m->state = MEMBER_JOINED;
	papers_work(papers);
	assert_null(papers_first(papers));
	assert_false(part.adding);
	/* nor after a start; and it may be invited anew */
	papers_close(papers);
	assert_int_equal(papers_open(&node, &papers), 0);
	node.papers = papers;
	assert_null(papers_first(papers));
	assert_int_equal(papers_invite(papers, &part, THEY, ann.ed_pub, 0), 0);
}

/* --- who is silent --------------------------------------------------------------------- */

/* ntm-post's socket */
static int post_listen(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/post.sock", dir);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* what ntm-post is asked to send: to Ann, of our group */
static void post_hears(int fd, uint8_t word)
{
	uint8_t b[1 + GROUP_ID_LEN];
	char line[2048];
	ssize_t n = -1;
	json_t *j;
	int c = -1;

	while (c < 0) {
		c = accept(fd, NULL, NULL);
		assert_int_equal(loop_turn(node.loop, c < 0), 0);
	}
	while (n < 0) {
		n = recv(c, line, sizeof(line) - 1, MSG_DONTWAIT);
		assert_int_equal(loop_turn(node.loop, false), 0);
	}
	line[n] = '\0';
	j = json_loads(line, 0, NULL);
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "cmd")),
			    "send");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(j, "to"), 0)),
		THEY);
	assert_string_equal(json_string_value(json_object_get(j, "service")),
			    "alive");
	assert_int_equal(ntmc_base64url_decode(
				 json_string_value(json_object_get(j, "text")),
				 b, sizeof(b)),
			 0);
	assert_int_equal(b[0], word);
	assert_memory_equal(b + 1, member_id(part.m), GROUP_ID_LEN);
	json_decref(j);
	assert_int_equal(send(c, "{\"ok\":true}\n", 12, MSG_NOSIGNAL), 12);
	while (postcall_busy(node.post))
		assert_int_equal(loop_turn(node.loop, true), 0);
	close(c);
}

/* member 1 was silent for 800 s, and asked after @asked (0: not), as it was stored */
static void silent(uint16_t asked)
{
	uint8_t rows[] = {2,
			  0,
			  0,
			  0,
			  1,
			  0,
			  0,
			  0,
			  0,
			  0,
			  0,
			  0,
			  0,
			  0,
			  0,
			  0,
			  0,
			  0,
			  0,
			  0,
			  0,
			  0,
			  0,
			  3,
			  32,
			  0,
			  0,
			  (uint8_t)(asked >> 8),
			  (uint8_t)asked};

	assert_int_equal(memberstore_silence_put(node.store, member_id(part.m),
						 rows, sizeof(rows)),
			 0);
	silence_free(part.m->silence);
	assert_int_equal(silence_new(&part.m->silence), 0);
	silence_load(part.m);
	assert_int_equal(silence_s(part.m, 1), 800);
	assert_int_equal(silence_asked_s(part.m, 1),
			 asked ? 800u - asked : SILENCE_UNASKED);
}

static void alive(void **state)
{
	struct group_joiner j = {.fqdn = THEY};
	struct group_change add = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	uint8_t b[GROUP_SEAL_LEN] = {2};
	size_t len = 1 + GROUP_ID_LEN;
	int fd = post_listen();

	(void)state;
	pin();
	memcpy(j.ed_pub, ann.ed_pub, sizeof(j.ed_pub));
	memset(j.token, 7, sizeof(j.token));
	entry(&add);
	memcpy(b + 1, member_id(part.m), GROUP_ID_LEN);
	silent(700);
	/* of somebody else; of another group; no such word */
	item("pc.eve.example.org", "alive", b, len);
	b[1] ^= 1;
	item(THEY, "alive", b, len);
	b[1] ^= 1;
	for (size_t i = 1; i < len; i++)
		item(THEY, "alive", b, i);
	item(THEY, "alive", b, len + 1);
	b[0] = 3;
	item(THEY, "alive", b, len);
	assert_int_equal(silence_s(part.m, 1), 800);
	/* it is there */
	b[0] = 2;
	item(THEY, "alive", b, len);
	assert_int_equal(silence_s(part.m, 1), 0);
	assert_int_equal(silence_asked_s(part.m, 1), SILENCE_UNASKED);
	/* it shows a seal: the same, whatever the seal says */
	silent(700);
	memcpy(b, member_id(part.m), GROUP_ID_LEN);
	item(THEY, "seal", b, sizeof(b));
	assert_int_equal(silence_s(part.m, 1), 0);
	/* it asks: it is answered, once, though nobody of us was silent */
	silent(700);
	b[0] = 1;
	memcpy(b + 1, member_id(part.m), GROUP_ID_LEN);
	item(THEY, "alive", b, len);
	assert_int_equal(silence_s(part.m, 1), 0);
	post_hears(fd, 2);
	item(THEY, "alive", b, len);
	assert_false(postcall_busy(node.post));
	/* and we ask */
	silent(0);
	alive_ask(&part, 1);
	assert_int_equal(silence_asked_s(part.m, 1), SILENCE_UNASKED);
	post_hears(fd, 1);
	assert_int_equal(silence_asked_s(part.m, 1), 0);
	alive_ask(&part, 9);
	assert_false(postcall_busy(node.post));
	/* as if it were of the device that we know by another key */
	silent(700);
	b[0] = 2;
	memcpy((uint8_t *)group_find(part.m->g, 1)->ed_pub, eve.ed_pub,
	       NTMC_KEY_LEN);
	item(THEY, "alive", b, len);
	assert_int_equal(silence_s(part.m, 1), 800);
	close(fd);
}

static void welcomed(void **state)
{
	struct group_invite i = like(&ann, THEY);
	uint8_t b[GROUP_WELCOME_MAX], hash[NTMC_HASH_LEN] = {1};
	struct group_secret s = {.epoch = 2, .generation = 1};
	struct paper *p;
	size_t len;

	(void)state;
	memcpy(s.id, i.id, sizeof(s.id));
	strcpy(s.name, i.name);
	len = group_welcome_put(&s, hash, b);
	/* before the invitation, and before the person has agreed */
	item(THEY, "welcome", b, len);
	invited(&ann, THEY, &i);
	item(THEY, "welcome", b, len);
	p = papers_first(papers);
	assert_int_equal(p->state, PAPER_INVITED);
	assert_int_equal(papers_accept(papers, p), 0);
	/* of somebody else; of another group; cut short */
	item("pc.eve.example.org", "welcome", b, len);
	s.id[0] ^= 1;
	len = group_welcome_put(&s, hash, b);
	item(THEY, "welcome", b, len);
	s.id[0] ^= 1;
	len = group_welcome_put(&s, hash, b);
	for (size_t at = 1; at < len; at++)
		item(THEY, "welcome", b, at);
	assert_int_equal(p->state, PAPER_AGREED);
	assert_int_equal(p->welcome_len, 0);
	item(THEY, "welcome", b, len);
	assert_int_equal(p->state, PAPER_WELCOMED);
	/* a second one does not take its place */
	s.rn1.b[0] = 1;
	len = group_welcome_put(&s, hash, b);
	item(THEY, "welcome", b, len);
	assert_memory_not_equal(p->welcome, b, len);
}

/* a server that makes up wishes for welcomes, without end */
static void wished(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 1000; i++)
		papers_give(papers, &part, 0);
	assert_true(node.giving > 0 && node.giving <= 64);
	/* what is asked of ntm-post, which is not there, ends; then there is room */
	while (node.giving)
		assert_int_equal(loop_turn(node.loop, true), 0);
	papers_give(papers, &part, 0);
	assert_int_equal(node.giving, 1);
	while (node.giving)
		assert_int_equal(loop_turn(node.loop, true), 0);
	/* of nobody */
	papers_give(papers, &part, 7);
	assert_int_equal(node.giving, 0);
}

/* whoever invites says where the server of other groups is: it is not cut off */
static void learned(void **state)
{
	static const char many[] =
		"198.51.100.1:1|198.51.100.2:1|198.51.100.3:1|"
		"198.51.100.4:1|198.51.100.5:1|198.51.100.6:1|"
		"198.51.100.7:1|198.51.100.8:1";
	char ways[GROUP_WAYS_MAX + 1];

	(void)state;
	assert_int_equal(server_learn(&node, eve.ed_pub, "192.0.2.7:4509"), 0);
	assert_int_equal(server_learn(&node, eve.ed_pub, many), 0);
	assert_int_equal(memberstore_server_get(node.store, eve.ed_pub, ways),
			 0);
	assert_int_equal(strncmp(ways, "192.0.2.7:4509|198.51.100.1:1|", 30),
			 0);
	/* it has moved, and there is no room */
	assert_int_equal(server_learn(&node, eve.ed_pub,
				      "[2001:db8::7]:4509|192.0.2.7:4509|no"),
			 0);
	assert_int_equal(memberstore_server_get(node.store, eve.ed_pub, ways),
			 0);
	assert_string_equal(ways, "192.0.2.7:4509|198.51.100.1:1|"
				  "198.51.100.2:1|198.51.100.3:1|"
				  "[2001:db8::7]:4509|198.51.100.4:1|"
				  "198.51.100.5:1|198.51.100.6:1");
	/* one that nobody knows */
	assert_int_equal(server_learn(&node, ann.ed_pub, "192.0.2.8"), 0);
	assert_int_equal(memberstore_server_get(node.store, ann.ed_pub, ways),
			 -NTM_ENOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(forged),   T(names),	  T(thousand),
		T(accounts), T(accepted), T(welcomed),
		T(wished),   T(learned),  T(removed_unwelcomed),
		T(alive),
	};

	return cmocka_run_group_tests_name("papers", tests, identities, NULL);
}

/* SPDX-License-Identifier: MIT */
/* paper_stage - one device without ntm-post and GMS, into whose hands items are put */
#include "paper_stage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utlist.h>

#include "broker/member/postcall.h"
#include "broker/state.pb-c.h"
#include "broker/statefile.h"

struct ntmc_identity us, ann, eve, gms;
struct node node;
struct papers *papers;
struct part part;
char dir[32];
static char folder[64];

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

void stage_pin(void)
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

int stage_setup(void **state)
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

int stage_teardown(void **state)
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

int stage_identities(void **state)
{
	(void)state;
	ntmc_identity_new(NULL, &us);
	ntmc_identity_new(NULL, &ann);
	ntmc_identity_new(NULL, &eve);
	ntmc_identity_new(NULL, &gms);
	return 0;
}

void stage_item(const char *from, const char *service, const uint8_t *b,
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

struct group_invite stage_invite(const struct ntmc_identity *by,
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

void stage_invited(const struct ntmc_identity *by, const char *from,
		   const struct group_invite *i)
{
	uint8_t b[GROUP_INVITE_MAX];
	size_t len;

	assert_int_equal(group_invite_make(by, i, b, &len), 0);
	stage_item(from, "invite", b, len);
}

void stage_entry(struct group_change *c)
{
	uint8_t b[GROUP_ENTRY_MAX];
	struct ntmc_key share;
	size_t len;

	ntmc_key_random(NULL, &share);
	c->share = &share;
	assert_int_equal(group_make(NULL, part.m->g, &us, c, b, &len, NULL), 0);
	assert_int_equal(group_apply(part.m->g, b, len, NULL), 0);
}

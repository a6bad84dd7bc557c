/* SPDX-License-Identifier: MIT */
/*
 * paper_item - what groups say to each other in items: invitations, and messages for chat.c
 *
 * An item is signed by its sender, whose key ntm-post has pinned under that name. What
 * is in it must be of the same sender; its own signatures bind it to the group. Whatever
 * does not hold is logged, and done with.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utlist.h>

#include "broker/account.h"
#include "broker/member/alive.h"
#include "broker/member/asks.h"
#include "broker/member/chat.h"
#include "broker/member/papers.h"
#include "broker/member/tell.h"
#include "broker/post/manifest.h"
#include "common/log.h"

#define BYTES_MAX    2048 /* of an invite, the longest */
#define CHAT_WAITS_S (7 * 86400)
#define TEXT_MAX     (NTMC_BASE64URL_LEN(BYTES_MAX) + 3)

/* The text of @item. @out: @max + 1 bytes. Return: bytes, -NTM_EDECODE */
static int text_of(const json_t *item, char *out, size_t max)
{
	const char *folder = json_string_value(json_object_get(item, "folder"));
	char path[600];
	struct stat st;
	ssize_t n = -1;
	int fd = -1;

	if (folder && snprintf(path, sizeof(path), "%s/tree/text", folder) <
			      (int)sizeof(path))
		fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -NTM_EDECODE;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size <= (off_t)max)
		n = read(fd, out, max);
	close(fd);
	if (n <= 0)
		return -NTM_EDECODE;
	out[n] = '\0';
	return (int)n;
}

/* @out: BYTES_MAX bytes. Return: bytes, -NTM_EDECODE */
static int bytes_of(const json_t *item, uint8_t *out)
{
	char text[TEXT_MAX + 1];
	size_t len;

	if (text_of(item, text, TEXT_MAX - 1) < 0)
		return -NTM_EDECODE;
	len = strlen(text) * 3 / 4;
	if (ntmc_base64url_decode(text, out, len))
		return -NTM_EDECODE;
	ntmc_wipe(text, sizeof(text));
	return (int)len;
}

static int chat_of(struct papers *all, const char *from, const char *service,
		   const json_t *item)
{
	char *text = malloc(ITEM_TEXT_MAX + 1);
	int n = text ? text_of(item, text, ITEM_TEXT_MAX) : -NTM_ENOMEM;
	int r = n < 0 ? n
		      : chat_item(papers_node(all)->chat, from, service, text,
				  (size_t)n);

	if (n > 0)
		ntmc_wipe(text, (size_t)n);
	free(text);
	if (r != -NTM_EAGAIN)
		return r;
	/* no log will ever be so far: whoever sent it cannot fill the inbox */
	return node_now(papers_node(all)) - json_integer_value(json_object_get(
						    item, "at")) >
			       CHAT_WAITS_S
		       ? -NTM_EEXPIRED
		       : -NTM_EAGAIN;
}

/* an account, however many devices it has, can fill no list */
static bool too_many(struct papers *all, const char *from)
{
	unsigned int n = 0, same = 0;
	struct paper *p;

	for (p = papers_first(all); p; p = p->next) {
		if (p->state != PAPER_INVITED)
			continue;
		n++;
		same += account_same(p->i.inviter, from);
	}
	return n >= PAPERS_INVITED_MAX || same >= PAPERS_FROM_MAX;
}

static int take_invite(struct papers *all, const char *from, const uint8_t *b,
		       size_t len)
{
	struct node *n = papers_node(all);
	struct paper like = {.state = PAPER_INVITED, .len = len};
	uint8_t fp[NTMC_FP_LEN];
	bool verified;
	int r = group_invite_get(b, len, n->who.id->ed_pub, node_now(n),
				 &like.i);

	if (r)
		return r;
	ntmc_fingerprint(like.i.inviter_key, fp);
	if (strcmp(like.i.inviter, from) ||
	    who_pinned(&n->who, from, fp, &verified) == -NTM_EPIN)
		return -NTM_EAUTH;
	if (papers_by_token(all, like.i.token) || part_by_id(n, like.i.id))
		return -NTM_EEXISTS;
	if (too_many(all, from))
		return -NTM_ELIMIT;
	memcpy(like.bytes, b, len);
	return papers_add(all, &like);
}

static int take_accept(struct papers *all, const char *from, const uint8_t *b,
		       size_t len)
{
	struct node *n = papers_node(all);
	struct group_accept a;
	struct paper *p;
	int r = -NTM_ENOTFOUND;

	for (p = papers_first(all); p; p = p->next) {
		if (p->state != PAPER_ASKED || strcmp(p->i.invitee, from))
			continue;
		r = group_accept_get(b, len, &p->i, node_now(n), &a);
		if (r != -NTM_ENOTFOUND)
			break;
	}
	if (r)
		return r;
	group_prekey_put(&a.prekey, p->accepted);
	p->state = PAPER_ACCEPTED;
	p->handed = true;
	r = paper_store(p);
	if (r)
		p->state = PAPER_ASKED;
	return r;
}

static int take_decline(struct papers *all, const char *from, const uint8_t *b,
			size_t len)
{
	struct paper *p =
		len == GROUP_TOKEN_LEN ? papers_by_token(all, b) : NULL;
	enum paper_state before;
	int r;

	if (!p || !paper_is_open(p) || strcmp(p->i.invitee, from))
		return -NTM_ENOTFOUND;
	before = p->state;
	p->state = PAPER_REFUSED;
	r = paper_store(p);
	if (r)
		p->state = before;
	return r;
}

static int take_welcome(struct papers *all, const char *from, const uint8_t *b,
			size_t len)
{
	uint8_t hash[NTMC_HASH_LEN];
	struct group_secret s;
	struct paper *p;
	int r = group_welcome_get(b, len, &s, hash);

	if (r)
		return r;
	for (p = papers_first(all); p; p = p->next)
		if (p->state == PAPER_AGREED && !strcmp(p->i.inviter, from) &&
		    !memcmp(p->i.id, s.id, sizeof(s.id)))
			break;
	group_secret_clear(&s);
	if (!p)
		return papers_again(all, from, b, len);
	memcpy(p->welcome, b, len);
	p->welcome_len = len;
	p->state = PAPER_WELCOMED;
	r = paper_store(p);
	if (r) {
		p->state = PAPER_AGREED;
		p->welcome_len = 0;
	}
	return r;
}

int paper_item(struct papers *all, const json_t *item)
{
	static const struct {
		const char *service;
		int (*take)(struct papers *all, const char *from,
			    const uint8_t *b, size_t len);
	} kinds[] = {
		{"invite", take_invite},   {"accept", take_accept},
		{"welcome", take_welcome}, {"decline", take_decline},
		{"seal", tell_take},	   {"alive", alive_take},
	};
	const char *from = json_string_value(json_object_get(item, "from"));
	const char *service =
		json_string_value(json_object_get(item, "service"));
	uint8_t b[BYTES_MAX];
	int r = -NTM_EINVAL, n;

	if (chat_is_service(service)) {
		r = chat_of(all, from, service, item);
		if (r && r != -NTM_EAGAIN)
			log_info("member", "%s of %s: %s", service, from,
				 err_text(r));
		return r == -NTM_ESTORE || r == -NTM_ENOMEM ? -NTM_EAGAIN
		       : r == -NTM_EAGAIN		    ? r
							    : 0;
	}
	n = bytes_of(item, b);
	for (size_t i = 0; n > 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].service, service))
			r = kinds[i].take(all, from, b, (size_t)n);
	ntmc_wipe(b, sizeof(b));
	if (n <= 0)
		r = n;
	if (r)
		log_info("member", "%s of %s: %s", service, from, err_text(r));
	return r == -NTM_ESTORE || r == -NTM_ENOMEM ? -NTM_EAGAIN : 0;
}

bool paper_wanted(struct papers *all, const char *service, const char *from)
{
	bool accept = !strcmp(service, "accept") || !strcmp(service, "decline");
	struct paper *p;

	if (chat_is_service(service) || !strcmp(service, "seal") ||
	    !strcmp(service, "alive"))
		return papers_is_mate(all, from);
	if (!accept && strcmp(service, "welcome"))
		return false;
	for (p = papers_first(all); p; p = p->next)
		if ((accept ? paper_is_open(p) : p->state == PAPER_AGREED) &&
		    !strcmp(accept ? p->i.invitee : p->i.inviter, from))
			return true;
	return !accept && papers_is_mate(all, from);
}

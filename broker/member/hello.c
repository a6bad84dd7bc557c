/* SPDX-License-Identifier: MIT */
/*
 * hello - what a member says of itself to the GMS: how far it is, its prekey, its keys
 *
 * Hello says how far it is. It acknowledges an epoch behind the news, not at once: the next
 * prekey is drawn and signed then, and the GMS has told everybody by then. A prekey for
 * which a part has come is told no more; the next one is on the disk before it is told.
 */
#include "broker/member/member_impl.h"

#include <string.h>

#include "common/log.h"

/* The GMS takes none but later serials. One of a disk of yesterday is to be above all that
 * were told since, which nobody here remembers: so the time is in it, with room for a
 * thousand of one second. A prekey is good for an epoch. */
void member_new_prekey(struct member *m)
{
	struct member_prekey *k = m->own.prekey;
	uint64_t now = (uint64_t)ntmc_now(m->s.env) * 1000;

	k[1] = k[0];
	ntmc_x25519_keygen(m->s.env, &k[0].priv, k[0].pub);
	m->own.serial++;
	if (m->own.serial < now && now <= INT64_MAX)
		m->own.serial = now;
	m->own.used = false;
}

/* the prekey to be told, another one where a part has come for it; on the disk first.
 * Return: false: the disk failed, nothing is to be said */
static bool prekey_to_tell(struct member *m, uint8_t out[GROUP_PREKEY_LEN])
{
	struct group_prekey *p = &m->prekey;

	/* without a log there is no place for it on the disk */
	if (m->own.used && group_epoch(m->g)) {
		struct member_own before = m->own;
		int r;

		member_new_prekey(m);
		r = memberstore_put(m->s.store, m->g, &m->own);
		if (r)
			m->own = before;
		member_own_clear(&before);
		if (r) {
			log_err("member", "%s: a key could not be stored: %s",
				m->own.secret.name, err_text(r));
			return false;
		}
	}
	if (p->serial != m->own.serial ||
	    memcmp(p->pub, m->own.prekey[0].pub, sizeof(p->pub)) != 0) {
		memcpy(p->pub, m->own.prekey[0].pub, sizeof(p->pub));
		p->serial = m->own.serial;
		group_prekey_sign(m->s.id, m->id, p);
	}
	group_prekey_put(p, out);
	return true;
}

static void login_say(struct member *m, Ntm__GroupHello *body)
{
	ntmc_wipe(&m->login, sizeof(m->login));
	if (!m->s.login || !m->s.login(m->s.arg, &m->login))
		return;
	body->node_id = m->login.node_id;
	body->key_id = m->login.key_id;
}

void member_hello(struct member *m)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupHello body = NTM__GROUP_HELLO__INIT;
	uint8_t prekey[GROUP_PREKEY_LEN];

	if (!prekey_to_tell(m, prekey))
		return;
	body.group = member_bytes(m->id, sizeof(m->id));
	body.prekey = member_bytes(prekey, sizeof(prekey));
	login_say(m, &body);
	if (group_epoch(m->g)) {
		body.epoch = group_epoch(m->g);
		body.hash = member_bytes(group_hash(m->g), NTMC_HASH_LEN);
	}
	if (member_seal(m)) /* or it would not believe that it is an old one */
		body.seal = member_bytes(m->seal, sizeof(m->seal));
	e.body_case = NTM__ENVELOPE__BODY_GROUP_HELLO;
	e.group_hello = &body;
	member_say(m, &e);
}

void hello_again(void *arg)
{
	struct member *m = arg;

	if (m->online)
		member_hello(m);
}

void hello_ack(void *arg)
{
	struct member *m = arg;
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupAck body = NTM__GROUP_ACK__INIT;
	uint8_t tag[GROUP_CONFIRM_LEN], prekey[GROUP_PREKEY_LEN];

	if (m->state != MEMBER_JOINED || !m->online ||
	    !prekey_to_tell(m, prekey))
		return; /* the next hello says it */
	group_confirm(&m->keys, m->index, tag);
	body.group = member_bytes(m->id, sizeof(m->id));
	body.epoch = m->keys.epoch;
	body.prekey = member_bytes(prekey, sizeof(prekey));
	body.confirmation = member_bytes(tag, sizeof(tag));
	e.body_case = NTM__ENVELOPE__BODY_GROUP_ACK;
	e.group_ack = &body;
	member_say(m, &e);
}

/* SPDX-License-Identifier: MIT */
/* subscribers - Cache Servers, boxes and GMSs, which are told every node's tokens */
#include "servers/as/subscribers.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/as/groupmanagers.h"
#include "servers/removed.h"
#include "servers/renewal.h"

#define PART 100 /* nodes in one TokenList */

/* struct filled - a holder as a message */
struct filled {
	struct accounts_holder holder;
	Ntm__NodeTokens msg;
	Ntm__Token tokens[ACCOUNTS_TOKENS_MAX];
	Ntm__Token *list[ACCOUNTS_TOKENS_MAX];
};

static void fill(struct filled *f)
{
	ntm__node_tokens__init(&f->msg);
	f->msg.fqdn = f->holder.fqdn;
	f->msg.withdrawn = f->holder.withdrawn;
	for (size_t i = 0; i < f->holder.n; i++) {
		ntm__token__init(&f->tokens[i]);
		f->tokens[i].hash = (ProtobufCBinaryData){
			NTMC_HASH_LEN, f->holder.tokens[i].hash};
		f->tokens[i].expires = f->holder.tokens[i].expires;
		f->list[i] = &f->tokens[i];
	}
	f->msg.n_tokens = f->holder.n;
	f->msg.tokens = f->list;
}

struct part {
	char names[PART][FQDN_MAX + 1];
	struct filled nodes[PART];
	Ntm__NodeTokens *list[PART];
};

static int read_part(struct as *as, const char *after, struct part *p,
		     size_t *n_names, Ntm__TokenList *body)
{
	int r = accounts_names(as->accounts, after, PART, p->names, n_names);

	for (size_t i = 0; !r && i < *n_names; i++) {
		struct filled *f = &p->nodes[i];

		r = accounts_holder(as->accounts, p->names[i],
				    loop_wall(as->loop), &f->holder);
		if (r)
			break;
		fill(f);
		p->list[body->n_nodes++] = &f->msg;
	}
	body->nodes = p->list;
	return r;
}

static void send_part(struct as_conn *conn, bool first)
{
	Ntm__TokenList body = NTM__TOKEN_LIST__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	struct part *p = calloc(1, sizeof(*p));
	size_t n = 0;
	int r = p ? read_part(conn->as, conn->told, p, &n, &body) : -NTM_ENOMEM;

	body.first = first;
	body.last = n < PART;
	msg.body_case = NTM__ENVELOPE__BODY_TOKEN_LIST;
	msg.token_list = &body;
	if (!r)
		r = channel_send(conn->channel, &msg);
	if (!r && n)
		strcpy(conn->told, p->names[n - 1]);
	free(p);
	if (r) { /* it comes again, and gets all of them */
		log_err("as", "the list of tokens is not told: %s",
			err_text(r));
		channel_close(conn->channel);
	}
	conn->listing = !body.last;
}

static bool may_hear(const struct as *as, const struct ntmc_cert *peer)
{
	uint8_t fp[NTMC_FP_LEN];

	if (!peer || peer->kind != NTMC_CERT_SERVER ||
	    !(peer->roles & (NTMC_ROLE_CS | NTMC_ROLE_BOX | NTMC_ROLE_GMS)))
		return false;
	ntmc_fingerprint(peer->ed_pub, fp);
	return !removed_has(as->env->dir, fp);
}

bool subscribers_add(struct as_conn *conn, const Ntm__TokenSubscription *m)
{
	const struct ntmc_cert *peer = channel_peer(conn->channel);
	int r = 0;

	if (conn->subscriber || !may_hear(conn->as, peer)) {
		channel_close(conn->channel);
		return false;
	}
	channel_set_idle(conn->channel, 0);
	conn->subscriber = true;
	conn->told[0] = '\0';
	if (peer->roles & NTMC_ROLE_GMS)
		r = groupmanagers_add(conn, m);
	if (r) {
		log_err("as", "the GMS %s cannot be told to nodes: %s",
			peer->fqdn, err_text(r));
		channel_close(conn->channel);
		return false;
	}
	log_info("as", "%s is told the tokens", peer->fqdn);
	send_part(conn, true);
	return true;
}

void subscribers_acked(struct as_conn *conn, const Ntm__NtmAck *ack)
{
	if (ack->code)
		channel_close(conn->channel);
	else if (conn->listing)
		send_part(conn, false);
}

void subscribers_changed(struct as *as, const char *fqdn)
{
	Ntm__TokenChange body = NTM__TOKEN_CHANGE__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	struct as_conn *conn, *tmp;
	struct filled f;
	int r = accounts_holder(as->accounts, fqdn, loop_wall(as->loop),
				&f.holder);

	if (r && r != -NTM_ENOTFOUND) {
		/* nobody may go on with what was: all begin anew */
		log_err("as", "tokens of %s: %s", fqdn, err_text(r));
		HASH_ITER (hh, as->conns, conn, tmp)
			if (conn->subscriber)
				channel_close(conn->channel);
		return;
	}
	fill(&f);
	body.node = &f.msg;
	body.gone = r;
	msg.body_case = NTM__ENVELOPE__BODY_TOKEN_CHANGE;
	msg.token_change = &body;
	HASH_ITER (hh, as->conns, conn, tmp) {
		if (!conn->subscriber)
			continue;
		if (!may_hear(as, channel_peer(conn->channel)))
			channel_close(conn->channel); /* removed meanwhile */
		else if (channel_send(conn->channel, &msg))
			log_debug("as", "a change of tokens was not sent");
	}
}

static int send_on(void *arg, const Ntm__Envelope *msg)
{
	return channel_send(arg, msg);
}

void subscribers_renew(struct as_conn *conn, const Ntm__Envelope *msg)
{
	const ProtobufCBinaryData *der = &msg->certificate_request->certificate;
	struct ntmc_cert cert;

	if (!conn->subscriber || ntmc_cert_parse(der->data, der->len, &cert) ||
	    memcmp(cert.ed_pub, channel_peer(conn->channel)->ed_pub,
		   NTMC_KEY_LEN)) {
		log_warn("as", "a certificate is wanted by whom it is not for");
		channel_close(conn->channel);
		return;
	}
	if (renewal_answer(msg, as_renew_server, conn->as, send_on,
			   conn->channel))
		log_warn("as", "a server's certificate was not sent");
}

unsigned int subscribers_end_removed(struct as *as)
{
	struct as_conn *conn, *tmp;
	unsigned int n = 0;

	HASH_ITER (hh, as->conns, conn, tmp) {
		if (!conn->subscriber ||
		    may_hear(as, channel_peer(conn->channel)))
			continue;
		log_info("as", "%s was removed",
			 channel_peer(conn->channel)->fqdn);
		channel_close(conn->channel);
		n++;
	}
	return n;
}

/* --- admin commands ---------------------------------------------------------- */

struct subscribers_names {
	size_t n, room;
	char (*list)[FQDN_MAX + 1];
};

static void gather(void *arg, const struct device *d)
{
	struct subscribers_names *s = arg;

	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 16;
		void *more = reallocarray(s->list, room, sizeof(*s->list));

		if (!more)
			return;
		s->list = more;
		s->room = room;
	}
	strcpy(s->list[s->n++], d->fqdn);
}

struct subscribers_names *subscribers_gather(struct as *as, const char *command,
					     const char *name)
{
	struct subscribers_names *s = calloc(1, sizeof(*s));
	struct device d;

	if (!s || !name)
		return s;
	if (!strncmp(command, "account-", 8)) {
		if (accounts_device_each(as->accounts, name, gather, s))
			log_err("as", "devices of %s cannot be read", name);
	} else if (!accounts_device(as->accounts, name, &d)) {
		gather(s, &d);
	}
	return s;
}

void subscribers_tell(struct as *as, struct subscribers_names *names)
{
	if (!names)
		return;
	for (size_t i = 0; i < names->n; i++)
		subscribers_changed(as, names->list[i]);
	free(names->list);
	free(names);
}

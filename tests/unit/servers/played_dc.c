/* SPDX-License-Identifier: MIT */
/* played_dc - the DC of another domain as far as ours sees one, with one node; may lie */
#include "played_dc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/keysharing.h"

/* --- datagrams ------------------------------------------------------------------ */

uint32_t played_dc_send(struct played_dc *p, struct played_link *l,
			Ntm__Signal *msg)
{
	static uint32_t next = 100;
	struct packet_header h = {
		.type = PACKET_SIGNAL, .id = l->id, .counter = l->counter++};
	uint8_t buf[PACKET_SIGNAL_MAX];
	int len;

	if (!msg->txn)
		msg->txn = ++next;
	len = datagram_seal(&h, l->keys.aead,
			    l->asks ? &l->keys.up : &l->keys.down, &msg->base,
			    buf);
	assert_true(len > 0);
	assert_int_equal(sendto(p->fd, buf, (size_t)len, 0,
				&p->site->dc_addr.sa,
				addr_len(&p->site->dc_addr)),
			 len);
	return msg->txn;
}

void played_dc_info(struct played_dc *p, Ntm__NodeInfo *out)
{
	ntm__node_info__init(out);
	out->fqdn = (char *)p->fqdn;
	out->ed_pub = (ProtobufCBinaryData){NTMC_KEY_LEN, p->node.ed_pub};
	out->x_pub = (ProtobufCBinaryData){NTMC_KEY_LEN, p->node.x_pub};
	out->x_sig = (ProtobufCBinaryData){NTMC_SIG_LEN, p->sig};
	out->vip6 = (ProtobufCBinaryData){16, p->vip6};
	out->vip4 = (ProtobufCBinaryData){4, p->vip4};
}

static void send_info(struct played_dc *p, uint32_t txn)
{
	Ntm__NodeInformation body = NTM__NODE_INFORMATION__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__NodeInfo info;

	played_dc_info(p, &info);
	body.code = p->info_code;
	body.node = body.code ? NULL : &info;
	body.reachable = p->reachable;
	body.families = 1;
	body.aead = NTMC_AES_256_GCM;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_NODE_INFORMATION;
	msg.node_information = &body;
	played_dc_send(p, &p->in, &msg);
}

/* @where: with its node's address */
static void send_ack(struct played_dc *p, struct played_link *l, uint32_t txn,
		     uint32_t code, bool where)
{
	static uint8_t ip[4] = {127, 0, 0, 1};
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;
	Ntm__Signal msg = NTM__SIGNAL__INIT;
	Ntm__Address a = NTM__ADDRESS__INIT, *list[1] = {&a};
	Ntm__NodeInfo info;

	if (where && !code) {
		played_dc_info(p, &info);
		if (p->agrees_as)
			info.fqdn = (char *)p->agrees_as;
		a.ip = (ProtobufCBinaryData){4, ip};
		a.port = 4500;
		a.kind = NTM__ADDRESS_KIND__ADDRESS_OBSERVED;
		info.n_addresses = 1;
		info.addresses = list;
		ack.peer = &info;
	}
	ack.code = code;
	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_ACK;
	msg.ack = &ack;
	played_dc_send(p, l, &msg);
}

static void keep(Ntm__Signal **place, Ntm__Signal *msg)
{
	if (*place)
		ntm__signal__free_unpacked(*place, NULL);
	*place = msg;
}

static void on_signal(struct played_dc *p, struct played_link *l,
		      Ntm__Signal *msg)
{
	const Ntm__NodeInformationRequest *q;

	if (msg->body_case == NTM__SIGNAL__BODY_NODE_INFORMATION_REQUEST) {
		q = msg->node_information_request;
		snprintf(p->asked, sizeof(p->asked), "%s", q->fqdn);
		snprintf(p->asker, sizeof(p->asker), "%s", q->asker);
		p->n_requests++;
		if (!p->silent)
			send_info(p, msg->txn);
	} else if (msg->body_case == NTM__SIGNAL__BODY_PEER_DIRECTION) {
		p->n_directions++;
		if (!p->silent)
			send_ack(p, l, msg->txn,
				 msg->peer_direction->check_path && p->path_code
					 ? p->path_code
					 : p->ack_code,
				 true);
		keep(&p->direction, msg);
		return;
	} else if (msg->body_case == NTM__SIGNAL__BODY_WITHDRAW) {
		p->n_withdraws++;
		memcpy(p->withdrawn, msg->withdraw->fingerprints[0].data,
		       NTMC_FP_LEN);
		send_ack(p, l, msg->txn, 0, false);
	}
	p->n_got++;
	keep(&p->got, msg);
}

static void on_datagram(void *arg, int fd, unsigned int events)
{
	struct played_dc *p = arg;
	struct played_link *l;
	struct packet_header h;
	ProtobufCMessage *msg;
	uint8_t buf[2048];
	ssize_t len = recv(fd, buf, sizeof(buf), 0);

	(void)events;
	if (len < 0)
		return;
	assert_int_equal(packet_header_get(buf, (size_t)len, &h), 0);
	l = h.id == p->in.id ? &p->in : &p->out;
	if (h.id != l->id)
		return; /* of before it was restarted */
	assert_int_equal(datagram_open(&h, l->keys.aead,
				       l->asks ? &l->keys.down : &l->keys.up,
				       buf, (size_t)len,
				       &ntm__signal__descriptor, &msg),
			 0);
	on_signal(p, l, (Ntm__Signal *)msg);
}

/* --- channels --------------------------------------------------------------------- */

static void link_take(struct played_link *l, const struct ntmc_key *key,
		      uint64_t id, uint32_t aead, bool asks)
{
	l->id = id;
	l->asks = asks;
	l->counter = UINT64_C(3) << PACKET_BOOT_SHIFT;
	assert_int_equal(datagram_domain_keys(key, id, (enum ntmc_aead_alg)aead,
					      &l->keys),
			 0);
	l->ready = true;
}

static void in_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	Ntm__NtmAck ack = NTM__NTM_ACK__INIT;
	Ntm__Envelope answer = NTM__ENVELOPE__INIT;
	const Ntm__KeySharing *s = msg->key_sharing;
	struct played_dc *p = arg;
	struct ntmc_key key;

	assert_int_equal(msg->body_case, NTM__ENVELOPE__BODY_KEY_SHARING);
	memcpy(key.b, s->key.data, NTMC_KEY_LEN);
	link_take(&p->in, &key, s->id, s->aead, false);
	p->n_keys++;
	ack.code = p->key_code;
	answer.txn = msg->txn;
	answer.body_case = NTM__ENVELOPE__BODY_ACK;
	answer.ack = &ack;
	assert_int_equal(channel_send(c, &answer), 0);
}

static void in_open(struct channel *c, void *arg)
{
	(void)c;
	(void)arg;
}

static void in_closed(struct channel *c, int err, void *arg)
{
	(void)c;
	(void)err;
	(void)arg;
}

static const struct channel_ops in_ops = {
	.open = in_open, .message = in_message, .closed = in_closed};

static void out_open(struct channel *c, void *arg)
{
	struct played_dc *p = arg;
	struct ntmc_key key;
	struct keysharing k = {.txn = 5,
			       .key = &key,
			       .aead = NTMC_AES_256_GCM,
			       .lifetime_s = 86400};

	ntmc_key_random(NULL, &key);
	ntmc_random(NULL, &k.id, sizeof(k.id));
	link_take(&p->out, &key, k.id, k.aead, true);
	p->out.ready = false;
	assert_int_equal(keysharing_send(c, &k), 0);
}

static void out_message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct played_dc *p = arg;

	assert_int_equal(msg->body_case, NTM__ENVELOPE__BODY_ACK);
	p->channel_err = -(int)msg->ack->code;
	p->out.ready = true;
	channel_close(c);
}

static void out_closed(struct channel *c, int err, void *arg)
{
	struct played_dc *p = arg;

	(void)c;
	if (!p->out.ready)
		p->channel_err = err ? err : -NTM_ECLOSED;
	p->channel = NULL;
}

static const struct channel_ops out_ops = {
	.open = out_open, .message = out_message, .closed = out_closed};

static bool has_ended(void *arg)
{
	return !((struct played_dc *)arg)->channel;
}

int played_dc_link(struct played_dc *p)
{
	struct tls_context *tls;

	p->channel_err = 0;
	p->out.ready = false;
	assert_int_equal(tls_context_new(&p->id.id, p->id.der, p->id.len,
					 p->pki->ca_der, p->pki->ca_len, NULL,
					 p->site->ca_fp, &tls),
			 0);
	assert_int_equal(channel_connect(p->site->loop, tls,
					 &p->site->dc_addr.sa,
					 addr_len(&p->site->dc_addr), &out_ops,
					 p, &p->channel),
			 0);
	assert_true(site_wait(p->site, has_ended, p));
	tls_context_free(tls);
	return p->channel_err;
}

void played_dc_forget(struct played_dc *p)
{
	memset(&p->in, 0, sizeof(p->in));
	memset(&p->out, 0, sizeof(p->out));
}

const Ntm__Signal *played_dc_answer(struct played_dc *p, uint32_t txn)
{
	return site_answer(p->site, &p->got, txn);
}

const char *played_dc_add(struct played_dc *p)
{
	static char error[256];
	char fp[NTMC_FP_TEXT_LEN], at[32];
	json_t *request, *answer;
	const char *text;

	ntmc_fingerprint_text(p->pki->ca_fp, fp);
	snprintf(at, sizeof(at), "127.0.0.1:%u", p->port);
	request = json_pack("{s:s, s:s, s:s}", "domain", p->pki->domain.domain,
			    "ca", fp, "address", at);
	answer = dc_admin(p->site->dc, "peer-add", request);
	text = json_string_value(json_object_get(answer, "error"));
	snprintf(error, sizeof(error), "%s", text ? text : "");
	json_decref(request);
	json_decref(answer);
	return error;
}

/* --- life ------------------------------------------------------------------------------ */

static void open_sockets(struct played_dc *p)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int one = 1, tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	p->port = (uint16_t)site_free_port();
	any.sin_port = htons(p->port);
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(tcp, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(tcp, 8), 0);
	p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(p->fd, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(channel_listen_take(p->site->loop, p->tls, tcp,
					     &in_ops, p, &p->listener),
			 0);
	assert_int_equal(loop_io_add(p->site->loop, p->fd, LOOP_READ, false,
				     on_datagram, p, &p->io),
			 0);
}

void played_dc_new(struct played_dc *p, struct site *s, const char *domain)
{
	static char names[4][254];
	static unsigned int next;
	char *fqdn = names[next++ % 4];

	memset(p, 0, sizeof(*p));
	p->site = s;
	p->pki = pki_new(domain);
	pki_issue(p->pki, NTMC_CERT_SERVER, domain, NTMC_ROLE_DC, -60, 3600,
		  &p->id);
	ntmc_identity_new(NULL, &p->node);
	ntmc_static_sign(&p->node, p->sig);
	snprintf(fqdn, sizeof(names[0]), "desk.carol.%s", domain);
	p->fqdn = fqdn;
	memcpy(p->vip6, p->pki->prefix6, 16);
	p->vip6[15] = 7;
	memcpy(p->vip4, (uint8_t[]){198, 18, 0, 1}, 4);
	p->reachable = true;
	/* it pins the site's CA */
	assert_int_equal(tls_context_new(&p->id.id, p->id.der, p->id.len,
					 p->pki->ca_der, p->pki->ca_len, NULL,
					 s->ca_fp, &p->tls),
			 0);
	open_sockets(p);
}

void played_dc_free(struct played_dc *p)
{
	channel_listener_close(p->listener);
	assert_int_equal(loop_turn(p->site->loop, false), 0);
	loop_io_del(p->io);
	close(p->fd);
	keep(&p->direction, NULL);
	keep(&p->got, NULL);
	tls_context_free(p->tls);
	pki_free(p->pki);
}

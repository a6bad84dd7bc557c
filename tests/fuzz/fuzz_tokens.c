/* SPDX-License-Identifier: MIT */
/*
 * fuzz_tokens - whatever may come on the channel of an AS to a Cache Server, box or GMS:
 * lists of nodes in parts, changes, keys, certificates, all else, and its ends
 *
 * An input is records: a byte (0 a message, 1 the channel ends, 2 it stands again), and
 * with a message its length (2) and an Envelope. It goes to a GMS, whose keys are kept by
 * a ledger that is played, and to a Cache Server. What they say of each node is held to a
 * list of our own, which is written for clearness alone.
 */
#include <stdlib.h>
#include <string.h>

#include "common/datagram.h"
#include "libntmcrypto/groupnode.h"
#include "servers/dcchannel.h"
#include "servers/gms/state.h"
#include "servers/tokens.h"

#define NAMES_MAX 400
#define NOW	  1800000000
#define KNOWN	  4 /* tokens that seeds have: 32 bytes of their number */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void want(bool holds)
{
	if (!holds)
		abort();
}

/* --- what is so ------------------------------------------------------------------------ */

struct name {
	char fqdn[FQDN_MAX + 1];
	bool withdrawn;
	size_t n;
	struct {
		uint8_t hash[NTMC_HASH_LEN];
		int64_t expires;
	} token[4];
};

struct book {
	struct name all[NAMES_MAX];
	size_t n;
};

static struct book book, coming;
static bool known, listing;

static struct name *look(struct book *b, const char *fqdn)
{
	for (size_t i = 0; i < b->n; i++)
		if (!strcmp(b->all[i].fqdn, fqdn))
			return &b->all[i];
	return NULL;
}

static void strike(struct book *b, const char *fqdn)
{
	struct name *name = look(b, fqdn);

	if (name)
		*name = b->all[--b->n];
}

static void note(struct book *b, const Ntm__NodeTokens *m)
{
	struct name *name;

	strike(b, m->fqdn);
	name = &b->all[b->n++];
	memset(name, 0, sizeof(*name));
	strcpy(name->fqdn, m->fqdn);
	name->withdrawn = m->withdrawn;
	for (; name->n < m->n_tokens; name->n++) {
		memcpy(name->token[name->n].hash, m->tokens[name->n]->hash.data,
		       NTMC_HASH_LEN);
		name->token[name->n].expires = m->tokens[name->n]->expires;
	}
}

/* Return: it can be used */
static bool take_list(const Ntm__TokenList *m)
{
	if (m->first)
		coming.n = 0;
	else if (!listing)
		return false;
	listing = true;
	for (size_t i = 0; i < m->n_nodes; i++)
		note(&coming, m->nodes[i]);
	if (!m->last)
		return true;
	listing = false;
	known = true;
	book = coming;
	coming.n = 0;
	return true;
}

static void take_change(const Ntm__TokenChange *m)
{
	if (listing && m->gone)
		strike(&coming, m->node->fqdn);
	else if (listing)
		note(&coming, m->node);
	if (m->gone)
		strike(&book, m->node->fqdn);
	else
		note(&book, m->node);
}

/* --- what they rely upon, played ---------------------------------------------------------- */

struct dcchannel {
	const struct dcchannel_ops *ops;
	void *arg;
	bool open, ends;
	unsigned int acks, sent;
	uint32_t acked;
};

static struct dcchannel *channels[2]; /* of the GMS, of the Cache Server */
static size_t n_channels;

int dcchannel_new(struct loop *l, struct tls_context *tls, const char *name,
		  const struct server_ways *dc, const struct dcchannel_ops *ops,
		  void *arg, struct dcchannel **out)
{
	(void)l, (void)tls, (void)name, (void)dc;
	want(ops->role == NTMC_ROLE_AS && n_channels < 2);
	*out = calloc(1, sizeof(**out));
	want(*out);
	(*out)->ops = ops;
	(*out)->arg = arg;
	channels[n_channels++] = *out;
	return 0;
}

void dcchannel_free(struct dcchannel *d)
{
	free(d);
}

int dcchannel_send(struct dcchannel *d, const Ntm__Envelope *msg)
{
	if (!d->open)
		return -NTM_ECLOSED;
	want(!datagram_check(&msg->base));
	d->sent++;
	if (msg->body_case == NTM__ENVELOPE__BODY_ACK) {
		d->acks++;
		d->acked = msg->txn;
	}
	return 0;
}

void dcchannel_close(struct dcchannel *d)
{
	d->ends = true;
}

void dcchannel_set_tls(struct dcchannel *d, struct tls_context *tls)
{
	(void)d, (void)tls;
}

bool dcchannel_is_open(const struct dcchannel *d)
{
	return d->open;
}

int64_t loop_wall(struct loop *l)
{
	(void)l;
	return NOW;
}

int serverconf_ways(const char *list, uint16_t port,
		    struct server_ways out[static SERVERCONF_ADDRESSES_MAX])
{
	(void)list, (void)port, (void)out;
	return 0;
}

int serverconf_addresses(const char *list, uint16_t port,
			 struct addr out[static SERVERCONF_ADDRESSES_MAX])
{
	(void)list;
	return addr_parse("192.0.2.1", port ? port : 1, &out[0]) ? -NTM_EINVAL
								 : 1;
}

int serverconf_announced(const char *address, const char *listen, uint16_t port,
			 struct addr out[static SERVERCONF_ADDRESSES_MAX])
{
	(void)address;
	return serverconf_addresses(listen, port, out);
}

int serverconf_reachable(struct addr *a)
{
	(void)a;
	return 0;
}

/* the disk fails for some keys */
int ledger_shared_put(struct ledger *l, const struct ledger_shared *k)
{
	(void)l;
	want(k->until >= NOW && k->until <= (int64_t)NOW + UINT32_MAX);
	return (k->id & 255) == 255 ? -NTM_ESTORE : 0;
}

int ledger_shared(struct ledger *l, struct ledger_shared *out, size_t max,
		  size_t *n)
{
	(void)l, (void)out;
	want(max > 0);
	*n = 0;
	return 0;
}

static struct gms gms;
static struct asfeed *feed;
static struct tokens *cs;

/* the AS has said so at this very moment */
void callers_withdrawn(struct gms *g, const char *fqdn)
{
	want(g == &gms);
	want(!fqdn || asfeed_withdrawn(feed, fqdn) || !known);
}

/* --- one input ------------------------------------------------------------------------------ */

static void on_listed(void *arg)
{
	want(arg == &book);
}

static void on_changed(void *arg, const char *fqdn, enum tokens_state state)
{
	want(arg == &book && fqdn_is_valid(fqdn) && state != TOKENS_UNKNOWN);
}

static void on_certificate(void *arg, const Ntm__CertificateResponse *m)
{
	want(arg == &book && m->code <= 65535);
}

static const struct tokens_ops cs_ops = {.listed = on_listed,
					 .changed = on_changed,
					 .certificate = on_certificate};

static void compare_name(const struct name *name)
{
	uint8_t token[TOKENS_LEN], hash[NTMC_HASH_LEN];
	enum tokens_state state = !known	    ? TOKENS_UNKNOWN
				  : name->withdrawn ? TOKENS_WITHDRAWN
						    : TOKENS_LIVE;

	want(tokens_state(cs, name->fqdn) == state);
	want(asfeed_withdrawn(feed, name->fqdn) == (known && name->withdrawn));
	for (uint8_t i = 0; i < KNOWN; i++) {
		int r = -NTM_EAUTH;

		memset(token, i, sizeof(token));
		ntmc_sha256(token, sizeof(token), hash);
		for (size_t k = 0; k < name->n && r == -NTM_EAUTH; k++)
			if (!memcmp(name->token[k].hash, hash, sizeof(hash)))
				r = name->token[k].expires > NOW
					    ? 0
					    : -NTM_EEXPIRED;
		want(tokens_check(cs, name->fqdn, token, NOW) ==
		     (known ? r : -NTM_EAGAIN));
	}
}

static void compare(void)
{
	want(tokens_count(cs) == book.n);
	want(tokens_are_fed(cs) == (channels[1]->open && known && !listing));
	want(asfeed_is_fed(feed) == tokens_are_fed(cs));
	want(tokens_state(cs, "nobody.at.all") ==
	     (known ? TOKENS_NOBODY : TOKENS_UNKNOWN));
	for (size_t i = 0; i < book.n; i++)
		compare_name(&book.all[i]);
}

static void channels_end(void)
{
	for (size_t i = 0; i < 2; i++) {
		struct dcchannel *d = channels[i];

		if (!d->open)
			continue;
		d->open = d->ends = false;
		d->ops->closed(d->arg);
	}
	listing = false;
	coming.n = 0;
}

static void channels_open(void)
{
	for (size_t i = 0; i < 2; i++) {
		struct dcchannel *d = channels[i];

		if (d->open)
			continue;
		d->open = true;
		d->sent = 0;
		d->ops->open(d->arg);
		want(d->sent == 1 && !d->ends);
	}
}

/* Return: it is one that a Cache Server, or a GMS, can use */
static bool take(const Ntm__Envelope *m, bool is_gms)
{
	switch (m->body_case) {
	case NTM__ENVELOPE__BODY_TOKEN_LIST:
		return !is_gms || take_list(m->token_list);
	case NTM__ENVELOPE__BODY_TOKEN_CHANGE:
		if (is_gms)
			take_change(m->token_change);
		return true;
	case NTM__ENVELOPE__BODY_KEY_SHARING:
		return is_gms;
	case NTM__ENVELOPE__BODY_CERTIFICATE_RESPONSE:
		return !is_gms; /* this GMS has asked for none */
	default:
		return false;
	}
}

static void message(const uint8_t *data, size_t len)
{
	ProtobufCMessage *msg;
	Ntm__Envelope *m;
	bool ends = false;

	/* what is no message ends the channel */
	if (datagram_unpack(&ntm__envelope__descriptor, data, len, &msg)) {
		channels_end();
		return;
	}
	m = (Ntm__Envelope *)msg;
	if (book.n + 100 > NAMES_MAX || coming.n + 100 > NAMES_MAX) {
		datagram_free(msg);
		return;
	}
	for (size_t i = 0; i < 2 && channels[i]->open; i++) {
		struct dcchannel *d = channels[i];
		bool good = take(m, !i), list;

		list = m->body_case == NTM__ENVELOPE__BODY_TOKEN_LIST;
		d->acks = 0;
		d->ops->message(d->arg, m);
		if (list && !i)
			want(d->ends == !good);
		else if (!list)
			want(d->ends == !good);
		want(d->acks == (list && !d->ends));
		want(!d->acks || d->acked == m->txn);
		ends |= d->ends;
	}
	datagram_free(msg);
	/* both begin anew, so that one list of ours is enough */
	if (ends)
		channels_end();
}

static void begin(void)
{
	static struct server_conf conf;
	struct server_ways as = {.n = 0};

	n_channels = 0;
	book.n = coming.n = 0;
	known = listing = false;
	gms.conf = &conf;
	want(!asfeed_new(&gms, &feed));
	want(!tokens_new(NULL, NULL, "cs", &as, &cs_ops, &book, &cs));
	channels_open();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	log_set_level(LOG_ERR);
	begin();
	while (size >= 1) {
		uint8_t what = *data++;
		size_t len;

		size--;
		if (what == 1) {
			channels_end();
		} else if (what == 2) {
			channels_open();
		} else if (size >= 2) {
			len = (size_t)(data[0] << 8 | data[1]);
			len = len > size - 2 ? size - 2 : len;
			message(data + 2, len);
			data += 2 + len;
			size -= 2 + len;
		} else {
			break;
		}
		compare();
	}
	asfeed_free(feed);
	tokens_free(cs);
	return 0;
}

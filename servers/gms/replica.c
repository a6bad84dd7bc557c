/* SPDX-License-Identifier: MIT */
/*
 * replica - which relay replicates a group's packets: asked of the DC, told to members
 *
 * Theory of operation
 *
 * Where a group has gms.relay_from members or more and somebody is here, each epoch is
 * directed to a relay: we name its tag, K_relay (both of RN2), how many places there
 * are, and a bind key; the DC answers where that relay is (servers/dc/groupdirect.c).
 * Each member is told so behind its news, with the key of its own place. Its place is
 * its position among the epoch's members, which all know from the log, so that what the
 * relay says of places means members to them, and nothing to it.
 *
 * The bind key is derived of a secret of this process: nothing is stored, and a GMS that
 * was restarted makes members bind anew. Bind keys and places are one epoch's: whoever
 * was removed has none in the next. What is over lapses at the relay.
 *
 * Every REPLICA_EVERY_S the epoch is given more time. Where the DC then names another
 * relay, or none, members are told. A group that is smaller has none, and its members
 * are told nothing: packets go from member to member unless a relay is named.
 *
 * Who is charged for the copies: the account of the first member of our own domain,
 * mostly the founder's; else that of the first.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "common/datagram.h"
#include "common/fqdn.h"
#include "common/log.h"
#include "servers/dcchannel.h"
#include "servers/gms/state.h"

#define ADDRESSES 4
#define AEAD	  NTMC_AES_256_GCM

/* struct relayed - a group that is to have a relay
 * @txn: of what we asked; 0: nothing is under way. @n: 0: it has none (yet) */
struct relayed {
	UT_hash_handle hh;
	uint8_t id[GROUP_ID_LEN];
	uint64_t epoch, tag;
	struct ntmc_key bind;
	uint32_t txn;
	uint64_t next_ns; /* ask then */
	struct addr at[ADDRESSES];
	size_t n;
};

struct replica {
	struct gms *gms;
	struct dcchannel *dc;
	struct ntmc_key secret;
	struct relayed *groups;
	uint32_t txn;
};

static struct relayed *find(const struct replica *r, const struct group *g)
{
	struct relayed *x;

	HASH_FIND(hh, r->groups, group_id(g), GROUP_ID_LEN, x);
	return x;
}

static void forget(struct replica *r, struct relayed *x)
{
	HASH_DEL(r->groups, x);
	ntmc_wipe(x, sizeof(*x));
	free(x);
}

/* --- telling members --------------------------------------------------------------------- */

static uint32_t place_of(const struct group *g, uint32_t index)
{
	uint32_t i = 0;

	while (i < group_size(g) && group_at(g, i)->index != index)
		i++;
	return i;
}

static void tell(struct follow *f, const struct relayed *x)
{
	const struct group *g = ledger_state(f->lg);
	Ntm__GroupRelay body = NTM__GROUP_RELAY__INIT;
	Ntm__Address a[ADDRESSES], *list[ADDRESSES];
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	struct ntmc_key key;

	body.place = place_of(g, f->index);
	if (datagram_place_secret(&x->bind, x->tag, body.place, &key))
		return;
	for (size_t i = 0; i < x->n; i++) {
		ntm__address__init(&a[i]);
		addr_to_message(&x->at[i], NTM__ADDRESS_KIND__ADDRESS_LOCAL,
				&a[i]);
		list[body.n_addresses++] = &a[i];
	}
	body.addresses = list;
	body.group =
		(ProtobufCBinaryData){GROUP_ID_LEN, (uint8_t *)group_id(g)};
	body.epoch = x->epoch;
	body.key = (ProtobufCBinaryData){NTMC_KEY_LEN, key.b};
	body.aead = AEAD;
	msg.body_case = NTM__ENVELOPE__BODY_GROUP_RELAY;
	msg.group_relay = &body;
	caller_send(f->caller, &msg);
	ntmc_key_clear(&key);
}

static bool has_epoch(const struct follow *f, const struct relayed *x)
{
	return !f->more && !f->ahead && f->told == x->epoch;
}

void replica_tell(struct follow *f)
{
	const struct group *g = ledger_state(f->lg);
	struct relayed *x = find(f->caller->gms->replica, g);

	if (x && x->n && x->epoch == group_epoch(g) && has_epoch(f, x))
		tell(f, x);
}

static void tell_all(struct replica *r, const struct relayed *x)
{
	struct ledger_group *lg = ledger_find(r->gms->ledger, x->id);
	struct follow *f;

	if (!lg || group_epoch(ledger_state(lg)) != x->epoch)
		return;
	DL_FOREACH (((struct follow *)ledger_arg(lg)), f)
		if (has_epoch(f, x))
			tell(f, x);
}

/* --- asking the DC ------------------------------------------------------------------------ */

/* account, or account.domain of another domain; "": nobody's */
static void account_of(const struct gms *gms, const struct group *g,
		       char out[static NTMC_FQDN_MAX + 1])
{
	const char *domain = gms->conf->domain, *name, *dot;
	struct fqdn_parts parts;

	for (size_t i = 0; i < group_size(g); i++)
		if (!fqdn_split(group_at(g, i)->fqdn, domain, &parts)) {
			strcpy(out, parts.account);
			return;
		}
	name = group_size(g) ? group_at(g, 0)->fqdn : "";
	dot = strchr(name, '.');
	strcpy(out, dot ? dot + 1 : "");
}

static int make_keys(struct replica *r, struct relayed *x,
		     const struct group *g, const struct ntmc_key *rn2,
		     struct ntmc_key *relay_key)
{
	uint8_t tag[GROUP_TAG_LEN];
	uint64_t be;

	group_relay_derive(rn2, group_id(g), x->epoch, relay_key, tag);
	memcpy(&be, tag, sizeof(be));
	x->tag = be64toh(be);
	return ntmc_derive(&r->secret, tag, sizeof(tag), "ntm group bind v1",
			   NULL, 0, &x->bind);
}

static void ask(struct replica *r, struct relayed *x, struct ledger_group *lg)
{
	const struct group *g = ledger_state(lg);
	Ntm__GroupDirection body = NTM__GROUP_DIRECTION__INIT;
	Ntm__Envelope msg = NTM__ENVELOPE__INIT;
	char account[NTMC_FQDN_MAX + 1];
	struct ntmc_key relay_key;

	x->next_ns = loop_now(r->gms->loop) + LOOP_S(REPLICA_RETRY_S);
	if (make_keys(r, x, g, ledger_rn2(lg), &relay_key))
		return;
	account_of(r->gms, g, account);
	body.tag = x->tag;
	body.relay_key = (ProtobufCBinaryData){NTMC_KEY_LEN, relay_key.b};
	body.bind_key = (ProtobufCBinaryData){NTMC_KEY_LEN, x->bind.b};
	body.aead = AEAD;
	body.places = (uint32_t)group_size(g);
	body.account = account;
	body.lifetime_s = REPLICA_LIFETIME_S;
	r->txn += 1 + !(r->txn + 1);
	msg.txn = x->txn = r->txn;
	msg.body_case = NTM__ENVELOPE__BODY_GROUP_DIRECTION;
	msg.group_direction = &body;
	if (dcchannel_send(r->dc, &msg))
		x->txn = 0; /* when it is there again */
	ntmc_key_clear(&relay_key);
}

static bool is_wanted(const struct gms *gms, struct ledger_group *lg)
{
	unsigned int from = gms->conf->gms_relay_from;

	return from && ledger_arg(lg) && !ledger_ended(lg) &&
	       group_size(ledger_state(lg)) >= from;
}

void replica_look(struct gms *gms, struct ledger_group *lg)
{
	const struct group *g = ledger_state(lg);
	struct replica *r = gms->replica;
	struct relayed *x = find(r, g);

	if (x && (!is_wanted(gms, lg) || x->epoch != group_epoch(g))) {
		forget(r, x);
		x = NULL;
	}
	if (!is_wanted(gms, lg) || !dcchannel_is_open(r->dc))
		return;
	if (!x) {
		x = calloc(1, sizeof(*x));
		if (!x)
			return; /* the clock looks again */
		memcpy(x->id, group_id(g), sizeof(x->id));
		x->epoch = group_epoch(g);
		HASH_ADD(hh, r->groups, id, GROUP_ID_LEN, x);
	}
	if (loop_now(gms->loop) >= x->next_ns)
		ask(r, x, lg);
}

/* --- what the DC says ---------------------------------------------------------------------- */

static bool take_addresses(struct relayed *x, const Ntm__GroupDirected *m)
{
	struct addr at[ADDRESSES];
	bool changed;
	size_t n = 0;

	for (size_t i = 0; !m->code && i < m->n_addresses && n < ADDRESSES; i++)
		n += !addr_from_message(m->addresses[i], &at[n]);
	changed = n != x->n;
	for (size_t i = 0; !changed && i < n; i++)
		changed = !addr_equal(&at[i], &x->at[i]);
	if (n)
		memcpy(x->at, at, n * sizeof(at[0]));
	x->n = n;
	return changed;
}

static void directed(struct replica *r, uint32_t txn,
		     const Ntm__GroupDirected *m)
{
	struct relayed *x, *tmp;

	HASH_ITER (hh, r->groups, x, tmp)
		if (x->txn == txn && x->tag == m->tag)
			break;
	if (!x)
		return; /* of an epoch that is over */
	x->txn = 0;
	if (m->code)
		log_debug("gms", "no relay for a group: %s",
			  err_text(-(int)m->code));
	if (take_addresses(x, m))
		tell_all(r, x);
	if (x->n)
		x->next_ns = loop_now(r->gms->loop) + LOOP_S(REPLICA_EVERY_S);
}

static void on_message(void *arg, const Ntm__Envelope *msg)
{
	struct replica *r = arg;

	if (msg->body_case == NTM__ENVELOPE__BODY_GROUP_DIRECTED) {
		directed(r, msg->txn, msg->group_directed);
		return;
	}
	log_warn("gms", "the DC said what no DC says to a GMS");
	dcchannel_close(r->dc);
}

/* what is directed lives on; what we asked is asked again */
static void on_open(void *arg)
{
	struct replica *r = arg;
	struct relayed *x, *tmp;

	HASH_ITER (hh, r->groups, x, tmp)
		x->next_ns = 0;
}

static void on_closed(void *arg)
{
	(void)arg;
}

static const struct dcchannel_ops ops = {
	.open = on_open,
	.message = on_message,
	.closed = on_closed,
};

/* --- life ------------------------------------------------------------------------------------ */

static int find_dc(const struct server_conf *c, struct server_ways *out)
{
	struct server_ways dcs[SERVERCONF_ADDRESSES_MAX];
	int n = serverconf_ways(c->gms_dc, (uint16_t)c->dc_port, dcs);

	if (n < 0)
		return -NTM_ECONF;
	if (n) {
		*out = dcs[0];
		return 0;
	}
	out->n = 1;
	return serverconf_own_dc(c, &out->a[0]);
}

int replica_new(struct gms *gms, struct replica **out)
{
	struct replica *r = calloc(1, sizeof(*r));
	struct server_ways dc;
	int err;

	if (!r)
		return -NTM_ENOMEM;
	r->gms = gms;
	ntmc_key_random(NULL, &r->secret);
	err = find_dc(gms->conf, &dc);
	if (!err)
		err = dcchannel_new(gms->loop, gms->cert.tls, "gms", &dc, &ops,
				    r, &r->dc);
	if (err)
		replica_free(r);
	else
		*out = r;
	return err;
}

void replica_free(struct replica *r)
{
	struct relayed *x, *tmp;

	if (!r)
		return;
	HASH_ITER (hh, r->groups, x, tmp)
		forget(r, x);
	dcchannel_free(r->dc);
	ntmc_wipe(r, sizeof(*r));
	free(r);
}

void replica_set_tls(struct replica *r, struct tls_context *tls)
{
	dcchannel_set_tls(r->dc, tls);
}

bool replica_is_linked(const struct replica *r)
{
	return dcchannel_is_open(r->dc);
}

size_t replica_count(const struct replica *r)
{
	size_t n = 0;

	for (const struct relayed *x = r->groups; x; x = x->hh.next)
		n += x->n > 0;
	return n;
}

/* SPDX-License-Identifier: MIT */
/*
 * fuzz_gms - whatever devices say to a GMS: two members, one of its domain that is none,
 * one of another domain; entries, parts, wishes, questions, in any order
 *
 * An input is records: a byte (bits 0 and 1 who, 2 to 4 what), length (1), so many bytes.
 * What: 0 any bytes as a message, 1 an entry that is good in form and is signed, of the
 * kind that the bytes say, with their parts, 2 a hello, 3 an acknowledgement, 4 a wish to
 * leave, 5 the connection ends, or begins, 6 a second goes by, and where a byte says so
 * the AS shares a key from now on, or none, 7 RN2 is made anew.
 * Store and log are real; channels, AS and relay are played. Held: what is sent is a
 * sound message, no RN2 goes to who is no member, and the log makes the state.
 */
#include <stdio.h>
#include <unistd.h>

#include "common/datagram.h"
#include "servers/gms/state.h"
#include "tests/fuzz/crypto_keys.h"

#define WHO_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** struct channel - a device's; @closing: our end has had enough */
struct channel {
	bool open, closing;
	struct ntmc_cert cert;
	struct ntmc_identity id;
};

static struct channel who[WHO_MAX];
static struct gms gms;
static bool keyed; /* the AS shares a key with it */
static struct server_conf conf = {.domain = "example.net"};
static uint8_t gid[GROUP_ID_LEN] = {5}, fill;
static char path[64];
static int64_t wall;

static void want(bool holds)
{
	if (!holds)
		abort();
}

static struct ledger_group *lg(void)
{
	return ledger_find(gms.ledger, gid);
}

static bool is_member(const struct channel *c)
{
	return lg() && group_find_key(ledger_state(lg()), c->cert.ed_pub);
}

/* --- what is played --------------------------------------------------------------------- */

int channel_send(struct channel *c, const Ntm__Envelope *msg)
{
	const Ntm__GroupNews *n = msg->group_news;

	want(c->open && !datagram_check(&msg->base));
	switch (msg->body_case) {
	case NTM__ENVELOPE__BODY_ACK:
	case NTM__ENVELOPE__BODY_GROUP_GONE:
		return 0;
	case NTM__ENVELOPE__BODY_GROUP_PLANS:
		/* an administrator asks devices of the domain alone */
		want(!msg->group_plans->n_plans || c == &who[0]);
		return 0;
	case NTM__ENVELOPE__BODY_GROUP_NEWS:
		/* our domain's have a login: theirs comes sealed */
		want(!n->rn2.len || c == &who[3] || !keyed);
		break;
	default:
		break;
	}
	want(is_member(c));
	return 0;
}

void channel_close(struct channel *c)
{
	c->closing = true;
}

void channel_finish(struct channel *c)
{
	c->closing = true;
}

void channel_flush(struct channel *c)
{
	want(c->open);
}

void channel_set_idle(struct channel *c, uint32_t seconds)
{
	want(c->open && seconds);
}

void channel_rest(struct channel *c, uint64_t ns)
{
	want(c->open && ns);
}

const struct ntmc_cert *channel_peer(const struct channel *c)
{
	return &c->cert;
}

bool asfeed_has_keys(const struct asfeed *a)
{
	(void)a;
	return keyed;
}

int asfeed_node_key(const struct asfeed *a, uint64_t key_id, uint64_t node_id,
		    const uint8_t ed_pub[static NTMC_KEY_LEN],
		    struct ntmc_key *kngms)
{
	(void)a, (void)node_id, (void)ed_pub;
	if (key_id != 1)
		return -NTM_ENOLOGIN;
	memset(kngms, 7, sizeof(*kngms));
	return 0;
}

bool asfeed_withdrawn(const struct asfeed *a, const char *fqdn)
{
	(void)a, (void)fqdn;
	return false;
}

void replica_look(struct gms *g, struct ledger_group *l)
{
	want(g == &gms && l);
}

void replica_tell(struct follow *f)
{
	want(f->caller->channel->open && is_member(f->caller->channel));
}

uint64_t loop_now(struct loop *l)
{
	(void)l;
	return LOOP_S(1);
}

int64_t loop_wall(struct loop *l)
{
	(void)l;
	return wall;
}

void gms_flush_soon(struct gms *g)
{
	g->flushing = true;
}

/* --- what they say ------------------------------------------------------------------------ */

static void say(struct channel *c, Ntm__Envelope *msg)
{
	/* it is what another end would take, or it never comes to a role */
	if (c->open && !c->closing && !datagram_check(&msg->base))
		caller_ops.message(c, msg, &gms);
}

static void any(struct channel *c, const uint8_t *data, size_t len)
{
	ProtobufCMessage *msg;

	if (datagram_unpack(&ntm__envelope__descriptor, data, len, &msg)) {
		c->closing = true;
		return;
	}
	say(c, (Ntm__Envelope *)msg);
	datagram_free(msg);
}

static ProtobufCBinaryData bytes(const void *p, size_t len)
{
	return (ProtobufCBinaryData){len, (uint8_t *)p};
}

static void hello(struct channel *c, uint8_t how)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupHello body = NTM__GROUP_HELLO__INIT;
	uint8_t prekey[GROUP_PREKEY_LEN];
	struct group_prekey p = {.serial = how};

	memset(p.pub, how, sizeof(p.pub));
	group_prekey_sign(&c->id, gid, &p);
	group_prekey_put(&p, prekey);
	body.group = bytes(gid, sizeof(gid));
	body.prekey = bytes(prekey, sizeof(prekey));
	body.key_id = how & 1 ? 1 : 0;
	body.node_id = 9;
	if (how & 2 && lg()) {
		body.epoch = group_epoch(ledger_state(lg())) + (how >> 6);
		body.hash =
			bytes(group_hash(ledger_state(lg())), NTMC_HASH_LEN);
		if (how & 4)
			body.seal = bytes(ledger_seal(lg()), GROUP_SEAL_LEN);
	}
	e.body_case = NTM__ENVELOPE__BODY_GROUP_HELLO;
	e.group_hello = &body;
	say(c, &e);
}

static void acknowledge(struct channel *c, uint8_t how)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupAck body = NTM__GROUP_ACK__INIT;
	uint8_t tag[GROUP_CONFIRM_LEN] = {1};

	body.group = bytes(gid, sizeof(gid));
	body.epoch = (lg() ? group_epoch(ledger_state(lg())) : 0) + (how >> 6);
	body.confirmation = bytes(tag, sizeof(tag));
	e.txn = how & 63;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_ACK;
	e.group_ack = &body;
	say(c, &e);
}

/* the index of @c; of nobody where it is none */
static uint32_t index_of(const struct channel *c)
{
	const struct group_member *m =
		lg() ? group_find_key(ledger_state(lg()), c->cert.ed_pub)
		     : NULL;

	return m ? m->index : 77;
}

static void leave(struct channel *c)
{
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupLeave body = NTM__GROUP_LEAVE__INIT;
	struct group_leave l;

	if (!lg())
		return;
	group_leave_sign(&c->id, ledger_state(lg()), index_of(c), &l);
	body.group = bytes(gid, sizeof(gid));
	body.index = l.index;
	body.epoch = l.epoch;
	body.signature = bytes(l.sig, sizeof(l.sig));
	e.txn = 3;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_LEAVE;
	e.group_leave = &body;
	say(c, &e);
}

/* --- entries ----------------------------------------------------------------------------------- */

/* parts for all who may want one; @but: not for that one */
static void give_parts(struct channel *c, uint64_t epoch, uint32_t but)
{
	static const uint8_t part[GROUP_PART_LEN];
	Ntm__GroupPart list[16], *ptr[16];
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	Ntm__GroupParts body = NTM__GROUP_PARTS__INIT;
	const struct ledger_person *p;
	size_t i;

	for (i = 0; lg() && i < 16 && (p = ledger_person_at(lg(), i)); i++) {
		if (!p->serial || p->index == but || p->index == index_of(c))
			continue;
		ntm__group_part__init(&list[body.n_parts]);
		list[body.n_parts].index = p->index;
		list[body.n_parts].part = bytes(part, sizeof(part));
		ptr[body.n_parts] = &list[body.n_parts];
		body.n_parts++;
	}
	body.group = bytes(gid, sizeof(gid));
	body.epoch = epoch;
	body.parts = ptr;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_PARTS;
	e.group_parts = &body;
	say(c, &e);
}

static bool change_of(struct channel *c, const uint8_t *data, size_t len,
		      struct group_change *change)
{
	static const enum group_kind kinds[] = {
		GROUP_ADD,    GROUP_REMOVE, GROUP_REMOVE, GROUP_REFRESH,
		GROUP_RIGHTS, GROUP_POLICY, GROUP_MOVE,	  GROUP_CREATE};
	static struct group_policy policy;
	static struct group_joiner j;
	static struct group_leave l;
	static struct ntmc_key share;
	static uint32_t gone;
	uint8_t a = len > 1 ? data[1] : 0;

	memset(&j, 0, sizeof(j));
	share = (struct ntmc_key){{a}};
	policy = group_policy_default;
	policy.renew_s = 60u + a;
	j.token[0] = a;
	j.rights = a >> 4 & GROUP_ALL_RIGHTS;
	j.fqdn = who[a & 3].cert.fqdn;
	memcpy(j.ed_pub, who[a & 3].cert.ed_pub, sizeof(j.ed_pub));
	gone = a & 15;
	*change = (struct group_change){
		.kind = kinds[data[0] & 7],
		.share = &share,
		.id = gid,
		.fqdn = c->cert.fqdn,
		.server = "gms.example.net",
		.server_key = gms.id.ed_pub,
		.policy = &policy,
		.joiners = &j,
		.n_joiners = 1,
		.reason = (data[0] & 7) == 2 ? GROUP_LEFT : GROUP_REMOVED,
		.gone = &gone,
		.n_gone = 1,
		.index = gone,
		.rights = j.rights,
		.leave = &l,
	};
	if ((data[0] & 7) != 2)
		return true;
	if (!lg() || !ledger_person(lg(), gone))
		return false;
	l = ledger_person(lg(), gone)->leave;
	return true;
}

static void entry(struct channel *c, const uint8_t *data, size_t len)
{
	uint8_t b[GROUP_ENTRY_MAX];
	struct ntmc_env env = fuzz_env(&fill);
	struct group_change change;
	struct group *none = NULL;
	Ntm__Envelope e = NTM__ENVELOPE__INIT;
	uint8_t prekey[GROUP_PREKEY_LEN] = {0};
	ProtobufCBinaryData list[2] = {bytes(prekey, sizeof(prekey)),
				       bytes(prekey, sizeof(prekey))};
	Ntm__GroupSubmit body = NTM__GROUP_SUBMIT__INIT;
	const struct group *g = lg() ? ledger_state(lg()) : NULL;
	size_t n;
	int r;

	if (!len || !change_of(c, data, len, &change))
		return;
	if (!g) {
		if (change.kind != GROUP_CREATE)
			return;
		want(!group_new(&none));
		g = none;
	}
	r = group_make(&env, g, &c->id, &change, b, &n, NULL);
	if (!r &&
	    (change.kind == GROUP_REMOVE || change.kind == GROUP_REFRESH) &&
	    !(data[0] & 8)) {
		give_parts(c, group_epoch(g) + 1,
			   change.kind == GROUP_REMOVE ? *change.gone
						       : UINT32_MAX);
		body.sealer = bytes(gms.id.x_pub, NTMC_KEY_LEN);
	}
	group_free(none);
	if (r)
		return;
	if (change.kind == GROUP_ADD && data[0] & 16) {
		memcpy(prekey, data,
		       len < sizeof(prekey) ? len : sizeof(prekey));
		body.prekeys = list;
		body.n_prekeys = 1 + (data[0] >> 5 & 1);
	}
	/* a byte of it is another one */
	if (len > 3)
		b[data[2] % n] ^= data[3];
	body.entry = bytes(b, n);
	e.txn = 2;
	e.body_case = NTM__ENVELOPE__BODY_GROUP_SUBMIT;
	e.group_submit = &body;
	say(c, &e);
}

/* --- one input ---------------------------------------------------------------------------------- */

static void begin_or_end(struct channel *c)
{
	if (c->open) {
		caller_ops.closed(c, 0, &gms);
		c->open = false;
		return;
	}
	c->open = true;
	c->closing = false;
	caller_ops.open(c, &gms);
}

static void second(void)
{
	int r = ledger_flush(gms.ledger);

	gms.flushing = false;
	want(!r);
	callers_flushed(&gms, r);
	pace_sweep(&gms, true);
	if (lg() && ledger_is_left(lg()) && !ledger_ended(lg()))
		follow_end(&gms, lg());
}

static void record(uint8_t what, const uint8_t *data, size_t len)
{
	struct channel *c = &who[what & 3];
	uint8_t how = len ? data[0] : 0;

	switch (what >> 2 & 7) {
	case 0:
		any(c, data, len);
		break;
	case 1:
		entry(c, data, len);
		break;
	case 2:
		hello(c, how);
		break;
	case 3:
		acknowledge(c, how);
		break;
	case 4:
		leave(c);
		break;
	case 5:
		begin_or_end(c);
		break;
	case 6:
		second();
		keyed = len ? how & 1 : keyed;
		break;
	default:
		if (lg() && !ledger_ended(lg()))
			want(!follow_renew(&gms, lg(), true));
	}
	for (size_t i = 0; i < WHO_MAX; i++)
		if (who[i].open && who[i].closing)
			begin_or_end(&who[i]);
}

static bool reread(void *arg, const struct ledger_logged *e)
{
	want(!group_apply(arg, e->entry, e->len, NULL));
	return true;
}

/* what is there now is what the log says, and gone for the next input */
static void look_over(struct ledger_group *l)
{
	struct group *again;

	want(group_size(ledger_state(l)) > 0);
	want(!ledger_flush(gms.ledger) && !group_new(&again));
	want(!ledger_read(gms.ledger, l, 0, 0, reread, again));
	want(!memcmp(group_hash(again), group_hash(ledger_state(l)),
		     NTMC_HASH_LEN));
	group_free(again);
	want(!ledger_arg(l) && !ledger_wipe(gms.ledger, l));
}

/* a group that ann is to found */
static void plan(const char *command)
{
	json_t *j = json_pack("{s:s, s:s, s:[{s:s, s:i}]}", "name", "choir",
			      "founder", "ann.example.net", "members", "name",
			      "pc.bob.example.net", "rights", 1);
	json_t *a = defined_admin(&gms, command, j);

	want(a && (!strcmp(command, "undefine") ||
		   json_is_true(json_object_get(a, "ok"))));
	json_decref(a);
	json_decref(j);
}

static void wipe_all(void *arg, struct ledger_group *l)
{
	*(struct ledger_group **)arg = l;
}

static void tidy(void)
{
	unlink(path);
	strcpy(strchr(path, '\0'), "-wal");
	unlink(path);
	strcpy(strchr(path, '\0') - 3, "shm");
	unlink(path);
}

static void start(void)
{
	static const char *const names[WHO_MAX] = {
		"pc.ann.example.net", "pc.bob.example.net",
		"pc.eve.example.net", "pc.joe.example.org"};
	struct ntmc_env env = fuzz_env(&fill);

	log_set_level(LOG_ERR);
	gms.conf = &conf;
	gms.people_page = GMS_PEOPLE;
	for (fill = 0; fill <= WHO_MAX; fill++)
		ntmc_identity_new(&env,
				  fill < WHO_MAX ? &who[fill].id : &gms.id);
	for (size_t i = 0; i < WHO_MAX; i++) {
		who[i].cert.kind = NTMC_CERT_NODE;
		strcpy(who[i].cert.fqdn, names[i]);
		memcpy(who[i].cert.ed_pub, who[i].id.ed_pub, NTMC_KEY_LEN);
	}
	snprintf(path, sizeof(path), "%s/fuzz-gms.%d",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", getpid());
	want(!ledger_open(path, &gms.id, NULL, &gms.ledger));
	want(!follow_open(&gms));
	atexit(tidy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ledger_group *l;

	if (!gms.ledger)
		start();
	keyed = true;
	wall = FUZZ_NOW;
	plan("define");
	for (size_t i = 0; i < WHO_MAX; i++)
		begin_or_end(&who[i]);
	while (size >= 2) {
		size_t len = data[1] < size - 2 ? data[1] : size - 2;

		record(data[0], data + 2, len);
		data += 2 + len;
		size -= 2 + len;
	}
	for (size_t i = 0; i < WHO_MAX; i++)
		if (who[i].open)
			begin_or_end(&who[i]);
	want(!gms.callers && !gms.n_strangers);
	do {
		l = NULL;
		ledger_each(gms.ledger, wipe_all, &l);
		if (l)
			look_over(l);
	} while (l);
	pace_sweep(&gms, true);
	plan("undefine"); /* where it still waits */
	wall += GMS_KEEP_S + 1;
	defined_tidy(&gms);
	want(!gms.plans && !gms.n_plans);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* group_crowd - members of one group in one process, each with ntm-member's own engine */
#include "tests/bench/group_crowd.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/groupword.h"
#include "common/fdmsg.h"

void must(int r, const char *what)
{
	if (r) {
		fprintf(stderr, "group_load: %s: %s\n", what, err_text(r));
		exit(1);
	}
}

/* --- what the engine says ------------------------------------------------------------- */

static void on_send(void *arg, Ntm__Envelope *msg)
{
	struct mate *p = arg;

	must(channel_send(p->channel, msg), p->fqdn);
}

static void on_state(void *arg, struct member *m, enum member_state before)
{
	(void)arg, (void)m, (void)before;
}

/* as words.c says it; the worker's end is read at once, as no worker is here */
static void tell_worker(struct mate *p, const struct group_keys *k,
			uint32_t index)
{
	struct groupword_epoch e = {.index = index,
				    .valid_s = (uint32_t)member_valid_s(p->m),
				    .now = member_not_after(p->m) -
					   member_valid_s(p->m),
				    .keys = *k,
				    .group = p->m->g};
	uint8_t b[GROUPWORD_MAX];
	int fds[FDMSG_MAX];
	size_t n;

	snprintf(e.name, sizeof(e.name), "%s", member_name(p->m));
	snprintf(e.domain, sizeof(e.domain), "example.org");
	memset(&e.keys.confirm, 0, sizeof(e.keys.confirm));
	memset(&e.keys.exporter, 0, sizeof(e.keys.exporter));
	must(groupword_epoch_send(p->crowd->word[0], &e), "the worker's word");
	ntmc_wipe(&e, sizeof(e));
	if (fdmsg_recv(p->crowd->word[1], b, sizeof(b), fds, &n, 0) <= 0 ||
	    n != 1)
		must(-NTM_EDECODE, "the worker's word");
	close(fds[0]);
}

static void on_keys(void *arg, const struct group_keys *k, uint32_t index)
{
	struct mate *p = arg;

	if (k && k->epoch == p->epoch)
		return;
	p->epoch = k ? k->epoch : 0;
	p->key_ns = loop_now_exact(p->crowd->loop);
	if (k)
		tell_worker(p, k, index);
	p->untidy = true;
}

static void on_saw(void *arg, enum member_saw what, uint32_t who,
		   uint64_t epoch, int code)
{
	const struct mate *p = arg;

	(void)who;
	fprintf(stderr, "group_load: %s: epoch %llu: %s\n", p->fqdn,
		(unsigned long long)epoch, member_saw_text(what));
	must(code ? code : -NTM_ESTATE, p->fqdn);
}

static void on_done(void *arg, int code)
{
	((struct mate *)arg)->done = code;
}

static void on_people(void *arg)
{
	((struct mate *)arg)->people = true;
}

static void on_wanted(void *arg, uint32_t index)
{
	(void)index;
	must(-NTM_ESTATE, ((struct mate *)arg)->fqdn);
}

static void on_ask(void *arg, uint32_t index)
{
	(void)arg, (void)index; /* nobody is silent for so long */
}

/* no say(): there is no tunnel to others here */
static const struct member_ops ops = {.send = on_send,
				      .state = on_state,
				      .keys = on_keys,
				      .saw = on_saw,
				      .done = on_done,
				      .people = on_people,
				      .wanted = on_wanted,
				      .ask = on_ask};

/* --- connections ---------------------------------------------------------------------- */

static void opened(struct channel *c, void *arg)
{
	struct mate *p = arg;

	(void)c;
	p->open = true;
	if (p->m)
		member_online(p->m);
}

static void message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct mate *p = arg;

	(void)c;
	if (p->m)
		member_message(p->m, msg);
}

static void closed(struct channel *c, int err, void *arg)
{
	struct mate *p = arg;

	if (p->channel != c)
		return; /* by crowd_close() */
	must(err ? err : -NTM_ECLOSED, p->fqdn);
}

static const struct channel_ops wire = {
	.open = opened, .message = message, .closed = closed};

void mate_connect(struct mate *p, const struct addr *at)
{
	must(channel_connect(p->crowd->loop, p->tls, &at->sa, addr_len(at),
			     &wire, p, &p->channel),
	     "connect");
}

/* --- in the group, and out of it --------------------------------------------------------- */

void mate_found(struct mate *p, const uint8_t *key)
{
	must(member_found(&p->setup, "band", p->fqdn, "gms.example.org", key,
			  &group_policy_default, &p->m),
	     "a group");
}

void mate_joiner(struct mate *p, struct group_joiner *out)
{
	const uint8_t *gid = member_id(p->crowd->mate[0].m);
	struct group_prekey k = {.serial = 1};

	memset(out, 0, sizeof(*out));
	ntmc_random(NULL, out->token, sizeof(out->token));
	memcpy(out->ed_pub, p->id.ed_pub, sizeof(out->ed_pub));
	out->rights = GROUP_ALL_RIGHTS;
	out->fqdn = p->fqdn;
	ntmc_x25519_keygen(NULL, &p->prekey.priv, p->prekey.pub);
	memcpy(k.pub, p->prekey.pub, sizeof(k.pub));
	group_prekey_sign(&p->id, gid, &k);
	group_prekey_put(&k, out->prekey);
}

void mate_join(struct mate *p, const struct mate *from)
{
	uint8_t welcome[GROUP_WELCOME_MAX];
	size_t len = member_welcome(from->m, welcome);

	must(member_join(&p->setup, welcome, len, &p->prekey, 1, &p->m),
	     "a welcome");
	ntmc_wipe(welcome, sizeof(welcome));
	if (p->open)
		member_online(p->m);
}

/* as part.c does when the engine says that it is out */
void mate_forget(struct mate *p)
{
	must(memberstore_drop(p->store, member_id(p->m)), "a store");
	member_free(p->m);
	p->m = NULL;
	p->epoch = 0;
}

/* --- all of them ----------------------------------------------------------------------------- */

static void certify(struct mate *p, unsigned int i,
		    const struct crowd_domain *d)
{
	struct ntmc_cert c = {.kind = NTMC_CERT_NODE};
	uint8_t der[NTMC_CERT_MAX];
	size_t len = sizeof(der);
	int64_t now = ntmc_now(NULL);

	ntmc_identity_new(NULL, &p->id);
	snprintf(p->fqdn, sizeof(p->fqdn), "d%u.person.%.200s", i,
		 d->domain.domain);
	memcpy(c.fqdn, p->fqdn, sizeof(c.fqdn));
	memcpy(c.ed_pub, p->id.ed_pub, sizeof(c.ed_pub));
	memcpy(c.x_pub, p->id.x_pub, sizeof(c.x_pub));
	ntmc_static_sign(&p->id, c.x_sig);
	memcpy(c.vip6, d->domain.prefix6, 8);
	c.vip6[14] = (uint8_t)(i >> 8);
	c.vip6[15] = (uint8_t)i;
	memcpy(c.vip4, d->domain.prefix4, 4);
	c.vip4[2] = (uint8_t)(1 + (i >> 8));
	c.vip4[3] = (uint8_t)i;
	must(ntmc_ca_issue(NULL, d->ca, &c, now - 60, now + 86400, der, &len),
	     "certificate");
	must(tls_context_new(&p->id, der, len, d->der, d->len, d->trust, NULL,
			     &p->tls),
	     "TLS");
	tls_context_set_roles(p->tls, NTMC_ROLE_GMS);
}

static void mate_open(struct mate *p, unsigned int i,
		      const struct crowd_domain *d, const char *stores)
{
	char path[PATH_MAX];

	certify(p, i, d);
	snprintf(path, sizeof(path), "%s/%u.db", stores, i);
	must(memberstore_open(path, NULL, &p->id, &p->store), path);
	p->setup = (struct member_setup){.loop = p->crowd->loop,
					 .id = &p->id,
					 .store = p->store,
					 .ops = &ops,
					 .arg = p};
}

static void tick(void *arg)
{
	(void)arg;
}

void crowd_open(struct crowd *c, unsigned int n, const struct crowd_domain *d,
		const char *stores)
{
	memset(c, 0, sizeof(*c));
	c->n = n;
	c->mate = calloc(n, sizeof(*c->mate));
	must(c->mate ? 0 : -NTM_ENOMEM, "members");
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, c->word)
		     ? -NTM_ESYSTEM
		     : 0,
	     "the worker's socket");
	must(loop_new(&c->loop), "loop");
	must(loop_timer_new(c->loop, tick, NULL, &c->tick), "timer");
	for (unsigned int i = 0; i < n; i++) {
		c->mate[i].crowd = c;
		mate_open(&c->mate[i], i, d, stores);
	}
}

void crowd_close(struct crowd *c)
{
	for (unsigned int i = 0; i < c->n; i++) {
		struct channel *was = c->mate[i].channel;

		c->mate[i].channel = NULL;
		if (was)
			channel_close(was);
	}
	must(loop_turn(c->loop, false), "loop");
	for (unsigned int i = 0; i < c->n; i++) {
		struct mate *p = &c->mate[i];

		member_free(p->m);
		memberstore_close(p->store);
		tls_context_free(p->tls);
	}
	loop_timer_free(c->tick);
	loop_free(c->loop);
	close(c->word[0]);
	close(c->word[1]);
	free(c->mate);
}

void crowd_tidy(struct crowd *c)
{
	for (unsigned int i = 0; i < c->n; i++) {
		struct mate *p = &c->mate[i];

		if (p->untidy)
			must(memberstore_tidy(p->store), "a store's log");
		p->untidy = false;
	}
}

void crowd_turn(struct crowd *c, bool (*cond)(struct crowd *c))
{
	uint64_t end = loop_now_exact(c->loop) + LOOP_S(60);

	while (!cond(c)) {
		loop_timer_arm(c->tick, LOOP_MS(100));
		must(loop_turn(c->loop, true), "loop");
		if (loop_now_exact(c->loop) > end) {
			fprintf(stderr, "group_load: it takes too long\n");
			exit(1);
		}
	}
}

/* SPDX-License-Identifier: MIT */
/*
 * courier - what boxes of two domains ask each other, carried by their DCs
 *
 * Theory of operation
 *
 * Out. Our box names whom it means; the domain of that name is found as for a
 * direction, the name is cut at it, and the request goes as a Box Request under our
 * key with that DC, every 250 ms until its Box Response comes, or the time is over. So
 * a request may arrive twice: boxes answer the second as they answered the first.
 *
 * In. A Box Request under the key of another DC goes to our box with the name of that
 * domain, which is all that says who asks: names in a request lack their domain, and
 * the box adds this one to senders and its own to receivers. The place of a request
 * follows from who asks and its txn; a repetition finds it taken and waits with the
 * first. Nothing is kept once it is answered: the next repetition asks the box again.
 *
 * Requests are paid for as directions are (domain_must_wait_ms()), and no domain holds
 * more than a quarter of either table.
 */
#include "servers/dc/courier.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "servers/dc/boxlink.h"
#include "servers/dc/state.h"

#define TICK_NS	     LOOP_MS(COURIER_TICK_MS)
#define SUSPECT_TICK 3
#define NO_PLACE     UINT32_MAX

/* struct ask - of our box; @request NULL: the place is free */
struct ask {
	uint32_t id, txn;
	uint16_t domain;
	bool asking; /* else its DC is looked for */
	uint8_t ticks;
	Ntm__BoxRequest *request;
};

/* struct asked - of another domain's box; @domain 0: the place is free */
struct asked {
	uint16_t domain, generation;
	uint8_t ticks;
	uint32_t txn;
};

struct courier {
	struct dc *dc;
	struct ask asks[COURIER_ASKS_MAX];
	struct asked in[COURIER_ASKED_MAX];
	unsigned int n_asks, n_in, generation;
	struct loop_timer *timer;
	uint64_t sent, answered, failed, taken, told, refused;
};

static void tick_arm(struct courier *c)
{
	if (!loop_timer_armed(c->timer))
		loop_timer_arm(c->timer, TICK_NS);
}

/* --- out ------------------------------------------------------------------------- */

static void tell_box(struct dc *dc, uint32_t id, int err,
		     uint64_t retry_after_ms)
{
	Ntm__BoxResponse r = NTM__BOX_RESPONSE__INIT;

	r.code = (uint32_t)-err;
	r.retry_after_ms = retry_after_ms;
	boxlink_answer(dc, id, &r);
}

static void ask_end(struct courier *c, struct ask *a)
{
	datagram_free(&a->request->base);
	memset(a, 0, sizeof(*a));
	c->n_asks--;
}

static void ask_fail(struct courier *c, struct ask *a, int err)
{
	uint32_t id = a->id;

	c->failed++;
	ask_end(c, a);
	tell_box(c->dc, id, err, 0);
}

static void ask_send(struct courier *c, struct ask *a, struct domain *d)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.txn = a->txn;
	msg.body_case = NTM__SIGNAL__BODY_BOX_REQUEST;
	msg.box_request = a->request;
	d->asked++;
	if (!domain_send(c->dc, d, true, &msg))
		log_debug("courier", "%s: not asked", d->name);
}

static void ask_look(struct courier *c, struct ask *a, struct domain *d)
{
	int err = domain_ready(c->dc, d);

	if (err == -NTM_EAGAIN)
		return;
	if (err) {
		ask_fail(c, a, err);
		return;
	}
	a->asking = true;
	a->ticks = 0;
	ask_send(c, a, d);
}

static void ask_tick(struct courier *c, struct ask *a)
{
	struct domain *d = domains_at(c->dc, a->domain);

	a->ticks++;
	if (!d)
		ask_fail(c, a, -NTM_ENONAME);
	else if (a->ticks >=
		 (a->asking ? COURIER_ASK_TICKS : COURIER_LOOK_TICKS))
		ask_fail(c, a, -NTM_EUNREACHABLE);
	else if (!a->asking)
		ask_look(c, a, d);
	else {
		if (a->ticks == SUSPECT_TICK &&
		    d->heard + LOOP_S(1) < loop_now(c->dc->loop))
			domain_suspect(c->dc, d);
		ask_send(c, a, d);
	}
}

static Ntm__BoxRequest *copy_of(const Ntm__BoxRequest *q)
{
	size_t len = ntm__box_request__get_packed_size(q);
	uint8_t *p = malloc(len ? len : 1);
	Ntm__BoxRequest *copy = NULL;

	if (p) {
		ntm__box_request__pack(q, p);
		copy = ntm__box_request__unpack(NULL, len, p);
		ntmc_wipe(p, len);
		free(p);
	}
	return copy;
}

static char **name_in(Ntm__BoxRequest *q)
{
	switch (q->body_case) {
	case NTM__BOX_REQUEST__BODY_TEMPORAL_KEY:
		return &q->temporal_key->to;
	case NTM__BOX_REQUEST__BODY_EXCHANGE:
		return &q->exchange->to;
	case NTM__BOX_REQUEST__BODY_PREKEYS:
		return &q->prekeys->name;
	case NTM__BOX_REQUEST__BODY__NOT_SET:
	default:
		return NULL;
	}
}

/* The name as the other domain writes it. Return: 0, -NTM_EINVAL */
static int cut_name(Ntm__BoxRequest *q, const char *name,
		    const struct domain *d)
{
	char **at = name_in(q);
	struct fqdn_parts parts;
	size_t len;

	if (!at || fqdn_split(name, d->name, &parts))
		return -NTM_EINVAL;
	if (q->body_case != NTM__BOX_REQUEST__BODY_PREKEYS && !parts.device[0])
		return -NTM_EINVAL;
	len = strlen(name) - strlen(d->name) - 1;
	if (strlen(*at) < len)
		return -NTM_EINVAL;
	memmove(*at, name, len);
	(*at)[len] = '\0';
	return 0;
}

/* Return: NO_PLACE when there is none for this domain */
static uint32_t ask_place(const struct courier *c, const struct domain *d)
{
	uint32_t place = NO_PLACE, of_it = 0;

	for (uint32_t i = 0; i < COURIER_ASKS_MAX; i++) {
		if (!c->asks[i].request)
			place = i;
		else if (c->asks[i].domain == d->number)
			of_it++;
	}
	return of_it < COURIER_ASKS_MAX / 4 ? place : NO_PLACE;
}

static int ask_new(struct courier *c, const Ntm__BoxQuestion *q)
{
	struct domain *d = domains_want(c->dc, q->name);
	uint32_t i = d ? ask_place(c, d) : NO_PLACE;
	struct ask *a = &c->asks[i == NO_PLACE ? 0 : i];
	Ntm__BoxRequest *copy;
	int err;

	if (!d)
		return -NTM_ENONAME;
	if (i == NO_PLACE)
		return -NTM_ELIMIT;
	copy = copy_of(q->request);
	err = copy ? cut_name(copy, q->name, d) : -NTM_ENOMEM;
	if (err) {
		if (copy)
			datagram_free(&copy->base);
		return err;
	}
	*a = (struct ask){.id = q->id, .domain = d->number, .request = copy};
	c->generation++;
	a->txn = (c->generation * COURIER_ASKS_MAX + i) & ~BOXLINK_TXN;
	c->n_asks++;
	c->sent++;
	tick_arm(c);
	ask_look(c, a, d);
	return 0;
}

void courier_ask(struct dc *dc, const Ntm__BoxQuestion *q)
{
	int err = ask_new(dc->courier, q);

	if (err)
		tell_box(dc, q->id, err, 0);
}

void courier_response(struct dc *dc, struct domain *d, uint32_t txn,
		      const Ntm__BoxResponse *r)
{
	struct courier *c = dc->courier;
	struct ask *a = &c->asks[txn % COURIER_ASKS_MAX];

	if (!a->request || a->txn != txn || a->domain != d->number ||
	    !a->asking)
		return;
	d->answered++;
	c->answered++;
	boxlink_answer(dc, a->id, r);
	ask_end(c, a);
}

void courier_domain_changed(struct dc *dc, struct domain *d)
{
	struct courier *c = dc->courier;

	for (size_t i = 0; c && c->n_asks && i < COURIER_ASKS_MAX; i++) {
		struct ask *a = &c->asks[i];

		if (!a->request || a->domain != d->number)
			continue;
		if (!a->asking)
			ask_look(c, a, d);
		else if (d->state == DOMAIN_READY)
			ask_send(c, a, d); /* under the new key */
	}
}

/* --- in --------------------------------------------------------------------------- */

static void respond(struct dc *dc, struct domain *d, uint32_t txn,
		    const Ntm__BoxResponse *r)
{
	Ntm__Signal msg = NTM__SIGNAL__INIT;

	msg.txn = txn;
	msg.body_case = NTM__SIGNAL__BODY_BOX_RESPONSE;
	msg.box_response = (Ntm__BoxResponse *)r;
	if (!domain_send(dc, d, false, &msg))
		log_debug("courier", "%s: not answered", d->name);
}

static void refuse(struct dc *dc, struct domain *d, uint32_t txn, int err,
		   uint64_t wait_ms)
{
	Ntm__BoxResponse r = NTM__BOX_RESPONSE__INIT;

	dc->courier->refused++;
	r.code = (uint32_t)-err;
	r.retry_after_ms = wait_ms;
	respond(dc, d, txn, &r);
}

static bool is_waiting(const struct courier *c, const struct domain *d,
		       uint32_t txn)
{
	for (size_t i = 0; c->n_in && i < COURIER_ASKED_MAX; i++)
		if (c->in[i].domain == d->number && c->in[i].txn == txn)
			return true;
	return false;
}

static uint32_t asked_place(const struct courier *c, const struct domain *d)
{
	uint32_t place = NO_PLACE, of_it = 0;

	for (uint32_t i = 0; i < COURIER_ASKED_MAX; i++) {
		if (!c->in[i].domain)
			place = i;
		else if (c->in[i].domain == d->number)
			of_it++;
	}
	return of_it < COURIER_ASKED_MAX / 4 ? place : NO_PLACE;
}

void courier_request(struct dc *dc, struct domain *d, uint32_t txn,
		     const Ntm__BoxRequest *q)
{
	struct courier *c = dc->courier;
	struct asked *x;
	uint64_t wait_ms;
	uint32_t i;

	if (is_waiting(c, d, txn))
		return;
	wait_ms = domain_must_wait_ms(dc, d);
	i = wait_ms ? NO_PLACE : asked_place(c, d);
	if (i == NO_PLACE) {
		refuse(dc, d, txn, -NTM_ELIMIT, wait_ms);
		return;
	}
	x = &c->in[i];
	x->generation++;
	if (!boxlink_question(dc, (uint32_t)x->generation << 16 | i, d->name,
			      q)) {
		refuse(dc, d, txn, -NTM_EAGAIN, 0);
		return;
	}
	x->domain = d->number;
	x->txn = txn;
	x->ticks = 0;
	c->n_in++;
	c->taken++;
	tick_arm(c);
}

static void asked_end(struct courier *c, struct asked *x)
{
	x->domain = 0;
	c->n_in--;
}

void courier_told(struct dc *dc, const Ntm__BoxAnswer *a)
{
	struct courier *c = dc->courier;
	struct asked *x = &c->in[a->id % COURIER_ASKED_MAX];
	struct domain *d = domains_at(dc, x->domain);

	if (!x->domain || (a->id & 0xffff) >= COURIER_ASKED_MAX ||
	    a->id >> 16 != x->generation)
		return;
	if (d)
		respond(dc, d, x->txn, a->response);
	asked_end(c, x);
	c->told++;
}

/* --- clock, life --------------------------------------------------------------------- */

static void tick(void *arg)
{
	struct courier *c = arg;

	for (size_t i = 0; c->n_asks && i < COURIER_ASKS_MAX; i++)
		if (c->asks[i].request)
			ask_tick(c, &c->asks[i]);
	for (size_t i = 0; c->n_in && i < COURIER_ASKED_MAX; i++)
		if (c->in[i].domain && ++c->in[i].ticks >= COURIER_ASKED_TICKS)
			asked_end(c, &c->in[i]);
	if (c->n_asks || c->n_in)
		tick_arm(c);
}

void courier_forget(struct dc *dc)
{
	struct courier *c = dc->courier;

	for (size_t i = 0; c && i < COURIER_ASKS_MAX; i++)
		if (c->asks[i].request)
			ask_end(c, &c->asks[i]);
	for (size_t i = 0; c && i < COURIER_ASKED_MAX; i++)
		if (c->in[i].domain)
			asked_end(c, &c->in[i]);
}

json_t *courier_admin(struct dc *dc)
{
	const struct courier *c = dc->courier;

#define N(x) (json_int_t)(x)
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "asked", N(c->sent),
			 "answered", N(c->answered), "failed", N(c->failed),
			 "taken", N(c->taken), "told", N(c->told), "refused",
			 N(c->refused));
#undef N
}

int courier_new(struct dc *dc, struct courier **out)
{
	struct courier *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -NTM_ENOMEM;
	c->dc = dc;
	r = loop_timer_new(dc->loop, tick, c, &c->timer);
	if (r)
		free(c);
	else
		*out = c;
	return r;
}

void courier_free(struct courier *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < COURIER_ASKS_MAX; i++)
		if (c->asks[i].request)
			ask_end(c, &c->asks[i]);
	loop_timer_free(c->timer);
	free(c);
}

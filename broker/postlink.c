/* SPDX-License-Identifier: MIT */
/*
 * postlink - when ntm-post is started, and what it is told
 *
 * Theory of operation
 *
 * Sending and receiving items is the business of ntm-post (posterlink.h), a process that
 * is there only while it has something to do. Three listening sockets stand ready for it:
 * one for `ntm send` and other programs in the runtime folder, and one on each virtual
 * address, for those who have an item for us while both are online.
 *
 * It is started when a connection waits; when the number of our cache list has changed
 * and is not 0; once after the worker's start or a login, as it may have left work; and
 * when the time has come that it named at its end. It tells us over the link:
 *   busy: it has work. If it dies then it is started again;
 *   group: an item of application ntm-group is here: ntm-member is told;
 *   idle: it ends. It says how many of our messages it has read: where there are more,
 *         it is started again.
 * What an ntm-post of a worker before said before we came we may not know: it counts as
 * busy.
 */
#include "broker/postlink.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/account.h"
#include "broker/memberlink.h"
#include "broker/resolve.h"
#include "broker/session.h"
#include "common/log.h"

#define BACKLOG	    64
#define AGAIN_MIN_S 1
#define AGAIN_MAX_S (40 * 86400)

enum { AT_POST, AT_TCP6, AT_TCP4 }; /* as in poster_kinds */

struct postlink {
	struct worker *w;
	struct posterlink *link;
	uint8_t vip6[16], vip4[4]; /* that the sockets are bound to */
	struct loop_timer *again;
	bool busy, idle;	 /* what it said last; @idle: it ends */
	unsigned int sent, read; /* messages to it */
	bool looked;		 /* it was started once since the login */
	uint32_t serial;
	unsigned int starts;
};

/* --- messages ------------------------------------------------------------------------ */

static bool runs(const struct postlink *p)
{
	return posterlink_state(p->link) == POSTERLINK_RUNNING;
}

static void tell_with(struct postlink *p, json_t *o, int fd)
{
	posterlink_tell(p->link, o, fd);
	p->sent++; /* one that is lost makes it start again */
}

static void tell(struct postlink *p, json_t *o)
{
	tell_with(p, o, -1);
}

static void tell_event(struct postlink *p, const char *event)
{
	if (p && runs(p))
		tell(p, json_pack("{s:s}", "event", event));
}

/* who is at the other end of a connection to its port */
static void tell_who(struct postlink *p, const char *address)
{
	const char *name = NULL;
	struct addr a;

	if (address && !addr_parse(address, 0, &a))
		name = resolve_reverse(p->w->resolve, &a);
	if (address)
		tell(p, json_pack("{s:s, s:s, s:s?}", "event", "who", "address",
				  address, "name", name));
}

static void on_idle(struct postlink *p, const json_t *message)
{
	json_int_t again =
		json_integer_value(json_object_get(message, "again_s"));
	json_int_t events =
		json_integer_value(json_object_get(message, "events"));

	p->busy = false;
	p->idle = true;
	p->read = (unsigned int)events;
	posterlink_forgive(p->link);
	loop_timer_disarm(p->again);
	if (again > AGAIN_MAX_S)
		again = AGAIN_MAX_S;
	if (again >= AGAIN_MIN_S)
		loop_timer_arm(p->again, LOOP_S((uint64_t)again));
}

static void said(void *arg, const char *what, const json_t *message)
{
	struct postlink *p = arg;

	if (!strcmp(what, "who")) {
		tell_who(p, json_string_value(
				    json_object_get(message, "address")));
	} else if (!strcmp(what, "group")) {
		memberlink_items(p->w->memberlink);
	} else if (!strcmp(what, "busy")) {
		p->busy = true;
		p->idle = false;
	} else if (!strcmp(what, "idle")) {
		on_idle(p, message);
	}
}

/* --- its life, by posterlink ----------------------------------------------------------- */

static void linked(void *arg)
{
	struct postlink *p = arg;

	p->busy = p->idle = false;
}

static void started(void *arg)
{
	struct postlink *p = arg;

	p->starts++;
	p->sent = p->read = 0;
	tell(p, json_pack("{s:s, s:b, s:I}", "event", "start", "online",
			  session_state(p->w->session) == SESSION_ONLINE,
			  "serial", (json_int_t)p->serial));
}

static enum posterlink_end ended(void *arg)
{
	const struct postlink *p = arg;

	if (p->busy || !p->idle)
		return POSTERLINK_LEFT;
	return p->sent != p->read ? POSTERLINK_NEWS : POSTERLINK_DONE;
}

static const struct posterlink_ops ops = {
	.linked = linked,
	.started = started,
	.said = said,
	.ended = ended,
};

static void again(void *arg)
{
	struct postlink *p = arg;

	posterlink_work(p->link);
}

/* --- sockets inside the namespace -------------------------------------------------------- */

static bool has_socket(const struct postlink *p, int i)
{
	return posterlink_socket(p->link, i) >= 0;
}

/* a socket inside the namespace, on one of our virtual addresses */
static void listen_virtual(struct postlink *p, int i, const struct addr *a)
{
	static const int on = 1;
	int fd, family = a->sa.sa_family;
	int err = keeper_socket(p->w->keeper, family, SOCK_STREAM, 0, &fd);

	if (err) {
		log_warn("post", "no socket for other nodes: %s",
			 err_text(err));
		return;
	}
	/* the address may not be there yet, or be tried for doubles */
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	else
		setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &a->sa, addr_len(a)) || listen(fd, BACKLOG)) {
		log_warn("post", "port %u of our virtual address: %s",
			 POSTLINK_PORT, strerror(errno));
		close(fd);
		return;
	}
	posterlink_listen(p->link, i, fd);
	/* one that was started before there was an address has no door */
	if (runs(p) && has_socket(p, i))
		tell_with(p, json_pack("{s:s}", "event", "door"),
			  posterlink_socket(p->link, i));
}

static void listen_all(struct postlink *p)
{
	static const uint8_t none[4];
	const struct ntmc_cert *c = &p->w->account->cert;
	bool moved =
		memcmp(p->vip6, c->vip6, 16) || memcmp(p->vip4, c->vip4, 4);
	struct addr a;

	posterlink_listen_local(p->link);
	if (moved && (has_socket(p, AT_TCP6) || has_socket(p, AT_TCP4))) {
		posterlink_unlisten(p->link, AT_TCP6);
		posterlink_unlisten(p->link, AT_TCP4);
		posterlink_stop(p->link); /* it has the old ones */
	}
	memcpy(p->vip6, c->vip6, sizeof(p->vip6));
	memcpy(p->vip4, c->vip4, sizeof(p->vip4));
	if (!has_socket(p, AT_TCP6) &&
	    !addr_from_ip(c->vip6, 16, POSTLINK_PORT, &a))
		listen_virtual(p, AT_TCP6, &a);
	if (!has_socket(p, AT_TCP4) && memcmp(c->vip4, none, 4) &&
	    !addr_from_ip(c->vip4, 4, POSTLINK_PORT, &a))
		listen_virtual(p, AT_TCP4, &a);
}

/* --- events ------------------------------------------------------------------------------------ */

void postlink_logged_in(struct postlink *p)
{
	if (!p)
		return;
	listen_all(p);
	p->looked = false;
	tell_event(p, "session");
	if (session_state(p->w->session) == SESSION_ONLINE)
		postlink_online(p);
}

void postlink_logged_out(struct postlink *p)
{
	if (!p)
		return;
	p->serial = 0;
	loop_timer_disarm(p->again);
	tell_event(p, "session");
}

void postlink_online(struct postlink *p)
{
	if (!p)
		return;
	listen_all(p); /* a session that was saved: nobody has logged in */
	tell_event(p, "online");
	if (!p->looked)
		posterlink_work(p->link);
	p->looked = true;
}

void postlink_serial(struct postlink *p, uint32_t serial)
{
	bool news = p && serial && serial != p->serial;

	if (p)
		p->serial = serial;
	if (!news)
		return;
	if (runs(p)) {
		tell(p, json_pack("{s:s, s:I}", "event", "notice", "serial",
				  (json_int_t)serial));
		return;
	}
	listen_all(p); /* of a saved session it comes before we are online */
	posterlink_work(p->link);
}

void postlink_policy(struct postlink *p)
{
	tell_event(p, "policy");
}

void postlink_status(const struct postlink *p, struct postlink_status *out)
{
	memset(out, 0, sizeof(*out));
	if (!p)
		return;
	out->state = posterlink_state(p->link);
	out->serial = p->serial;
	out->starts = p->starts;
}

/* --- life ----------------------------------------------------------------------------------------- */

bool postlink_is_installed(void)
{
	return posterlink_is_installed(POSTER_ITEMS);
}

/* what the sockets that a worker before us left are bound to */
static void addresses_of(struct postlink *p)
{
	struct sockaddr_storage ss;
	socklen_t len;

	for (int i = AT_TCP6; i <= AT_TCP4; i++) {
		len = sizeof(ss);
		if (!has_socket(p, i) ||
		    getsockname(posterlink_socket(p->link, i),
				(struct sockaddr *)&ss, &len))
			continue;
		if (ss.ss_family == AF_INET6)
			memcpy(p->vip6,
			       &((struct sockaddr_in6 *)&ss)->sin6_addr, 16);
		else if (ss.ss_family == AF_INET)
			memcpy(p->vip4, &((struct sockaddr_in *)&ss)->sin_addr,
			       4);
	}
}

int postlink_new(struct worker *w, struct postlink **out)
{
	struct postlink *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -NTM_ENOMEM;
	p->w = w;
	err = loop_timer_new(w->loop, again, p, &p->again);
	if (!err)
		err = posterlink_new(w, POSTER_ITEMS, &ops, p, &p->link);
	if (err) {
		loop_timer_free(p->again);
		free(p);
		return err;
	}
	p->looked = runs(p);
	addresses_of(p);
	*out = p;
	return 0;
}

void postlink_free(struct postlink *p)
{
	if (!p)
		return;
	posterlink_free(p->link);
	loop_timer_free(p->again);
	free(p);
}

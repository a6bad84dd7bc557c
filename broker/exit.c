/* SPDX-License-Identifier: MIT */
/*
 * exit - the way to general hosts: when it is taken, and the peer that is the exit
 *
 * Theory of operation
 *
 * The name exit.DOMAIN is looked up like any account's, and the DC answers with the
 * exit that is nearest, if our account may use one. From then on that peer is the exit:
 * whenever its tunnel is made (peer.c) the data path is told to send what goes to no
 * virtual address there (datapath_set_exit()), and to take packets of general hosts
 * from there. Moving, keys and resumption are those of every peer.
 *
 * A program under `ntm-run --exit` asks before each connection (shim: SHIM_EXIT), and
 * is answered at once, from what is known: the tunnel works, or has worked and sleeps.
 * ntm-run itself waits for the first tunnel (exit_connect()), so that it usually does.
 * Under `auto` whatever is near, or has no exit, goes directly; what is decided for one
 * connection does not change while it lasts.
 *
 * When the exit fails, the name is looked up again at the next need, 2 s apart, and may
 * lead to another one; when it says good-bye, as one that drains does to who has nothing
 * open there, at once. Connections through the one before are lost.
 */
#include "broker/exit.h"

#include <ifaddrs.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/account.h"
#include "broker/peer.h"
#include "broker/resolve.h"
#include "common/file.h"
#include "common/log.h"

#define NETWORKS_MAX 64
#define RETRY_NS     LOOP_S(2)

/* struct network - one of the host's; @mask as long as the address */
struct network {
	struct addr addr;
	uint8_t mask[16];
};

/* struct caller - who waits for the tunnel */
struct caller {
	exit_fn *fn;
	void *arg;
	struct caller *next;
};

struct exit {
	struct worker *w;
	char path[PATH_MAX];
	bool on;
	bool said; /* that programs go directly, since when it last worked */
	char name[FQDN_MAX + 1];
	struct resolve_wait *wait;
	struct loop_timer *again;
	struct caller *callers;
	int err;	 /* of the last look-up, positive */
	uint64_t failed; /* when; 0 never */
	struct network networks[NETWORKS_MAX];
	size_t n_networks;
};

const char *exit_name(const struct exit *e)
{
	return e->name;
}

bool exit_is_on(const struct exit *e)
{
	return e->on;
}

static struct peer *exit_peer(const struct exit *e)
{
	return e->name[0] ? peers_find(e->w->peers, e->name) : NULL;
}

/* --- sentences ------------------------------------------------------------------- */

static void why_text(const struct exit *e, int err, char why[EXIT_WHY_MAX])
{
	switch (err) {
	case NTM_EDISABLED:
		snprintf(why, EXIT_WHY_MAX,
			 "the exit is not enabled on this device; run `ntm "
			 "exit on`");
		break;
	case NTM_EPERM:
		snprintf(why, EXIT_WHY_MAX,
			 "the account %s may not use the domain's exit; ask "
			 "its administrator",
			 e->w->account->logged_in ? e->w->account->name : "");
		break;
	case NTM_ENONAME:
	case NTM_EOFFLINE:
		snprintf(why, EXIT_WHY_MAX,
			 "the domain has no exit that is online; ask its "
			 "administrator");
		break;
	default:
		snprintf(why, EXIT_WHY_MAX, "the exit cannot be used: %s",
			 err_text(err));
	}
}

bool exit_why(const struct exit *e, char why[static EXIT_WHY_MAX])
{
	if (!e->on || e->name[0] || !e->err)
		return false;
	why_text(e, e->err, why);
	return true;
}

/* --- the tunnel -------------------------------------------------------------------- */

void exit_tunnel(struct exit *e, struct peer *p)
{
	if (e && e->on && e->w->dp && p->tunnel && !strcmp(p->fqdn, e->name))
		datapath_set_exit(e->w->dp, p->tunnel);
}

static void callers_end(struct exit *e, int err)
{
	char why[EXIT_WHY_MAX] = "";
	struct caller *c;

	if (err)
		why_text(e, err, why);
	while ((c = e->callers)) {
		e->callers = c->next;
		c->fn(c->arg, err, why);
		free(c);
	}
}

static void resolved(void *arg, int err, struct peer *p)
{
	struct exit *e = arg;

	e->wait = NULL;
	e->err = err;
	if (err) {
		e->failed = loop_now(e->w->loop);
		log_info("exit", "no exit: %s", err_text(err));
	} else {
		snprintf(e->name, sizeof(e->name), "%s", p->fqdn);
		e->failed = 0;
		e->said = false;
		exit_tunnel(e, p);
	}
	callers_end(e, err);
}

static void look_up(struct exit *e)
{
	char name[FQDN_MAX + 1];

	if (e->wait)
		return;
	if (fqdn_join(NULL, EXIT_ACCOUNT, e->w->account->domain, name)) {
		callers_end(e, NTM_EINVAL);
		return;
	}
	resolve_name(e->w->resolve, name, resolved, e, &e->wait);
}

/* 0: it may be asked for */
static int ready(const struct exit *e)
{
	return !e->w->account->logged_in ? NTM_ENOLOGIN
	       : !e->on			 ? NTM_EDISABLED
					 : 0;
}

void exit_connect(struct exit *e, exit_fn *fn, void *arg)
{
	char why[EXIT_WHY_MAX];
	struct caller *c;
	int err = ready(e);

	c = err ? NULL : malloc(sizeof(*c));
	if (!c) {
		err = err ? err : NTM_ENOMEM;
		why_text(e, err, why);
		fn(arg, err, why);
		return;
	}
	*c = (struct caller){.fn = fn, .arg = arg, .next = e->callers};
	e->callers = c;
	look_up(e);
}

void exit_cancel(struct exit *e, void *arg)
{
	struct caller **at = &e->callers, *c;

	while (*at && (*at)->arg != arg)
		at = &(*at)->next;
	c = *at;
	if (!c)
		return;
	*at = c->next;
	free(c);
}

static bool works(const struct exit *e)
{
	const struct peer *p = exit_peer(e);

	return p && (p->state == PEER_UP || p->state == PEER_MOVING ||
		     (p->state == PEER_IDLE && p->has_secret) ||
		     (p->state == PEER_ASKING && p->has_secret));
}

static void on_again(void *arg)
{
	struct exit *e = arg;

	if (!ready(e) && !works(e))
		look_up(e);
}

void exit_lost(struct exit *e, const struct peer *p)
{
	if (e && !ready(e) && !strcmp(p->fqdn, e->name))
		loop_timer_arm(e->again, 0);
}

bool exit_packet(struct exit *e, const struct addr *dst)
{
	struct peer *p = exit_peer(e);

	(void)dst;
	if (ready(e))
		return false;
	if (p && p->state != PEER_DOWN && !peer_tunnel(p)) {
		peer_connect(p);
		exit_tunnel(e, p);
		return p->tunnel != NULL;
	}
	if (!e->failed || loop_now(e->w->loop) - e->failed > RETRY_NS)
		look_up(e);
	return false;
}

/* --- a program asks ------------------------------------------------------------------ */

static bool same_network(const struct network *n, const struct addr *a)
{
	size_t len, i;
	const uint8_t *own = addr_ip(&n->addr, &len), *ip;
	bool same = true;

	if (n->addr.sa.sa_family != a->sa.sa_family)
		return false;
	ip = addr_ip(a, &len);
	for (i = 0; i < len; i++)
		same = same && !((own[i] ^ ip[i]) & n->mask[i]);
	return same;
}

/* means this host, its link, or many */
static bool is_here(const uint8_t *ip, size_t len)
{
	static const uint8_t zero[15];

	if (len == 4)
		return !ip[0] || ip[0] == 127 || ip[0] >= 224 ||
		       (ip[0] == 169 && ip[1] == 254);
	return !memcmp(ip, zero, 15) || ip[0] == 0xff ||
	       (ip[0] == 0xfe && ip[1] >= 0x80);
}

static bool is_private(const uint8_t *ip, size_t len)
{
	if (len == 16)
		return (ip[0] & 0xfe) == 0xfc;
	return ip[0] == 10 || (ip[0] == 172 && ip[1] >> 4 == 1) ||
	       (ip[0] == 192 && ip[1] == 168) ||
	       (ip[0] == 100 && ip[1] >> 6 == 1);
}

static bool is_near(const struct exit *e, const struct addr *dst)
{
	const uint8_t *ip;
	size_t len;

	ip = addr_ip(dst, &len);
	if (is_private(ip, len))
		return true;
	for (size_t i = 0; i < e->n_networks; i++)
		if (same_network(&e->networks[i], dst))
			return true;
	return false;
}

/* Under `auto`, once until it works again. */
static int direct(struct exit *e)
{
	char why[EXIT_WHY_MAX];

	if (!e->said) {
		why_text(e,
			 ready(e) ? ready(e)
			 : e->err ? e->err
				  : NTM_EOFFLINE,
			 why);
		log_warn("exit", "programs go directly: %s", why);
	}
	e->said = true;
	return -NTM_ENOTOURS;
}

int exit_ask(struct exit *e, unsigned int mode, const struct addr *dst)
{
	const uint8_t *ip;
	size_t len;

	ip = addr_ip(dst, &len);
	if (!ip || is_here(ip, len) ||
	    (mode != SHIM_EXIT_RELAY && is_near(e, dst)))
		return -NTM_ENOTOURS;
	if (!ready(e) && !works(e) &&
	    (!e->failed || loop_now(e->w->loop) - e->failed > RETRY_NS))
		look_up(e);
	if (!ready(e) && works(e))
		return 0;
	return mode == SHIM_EXIT_RELAY ? -NTM_EUNREACHABLE : direct(e);
}

/* --- the host ---------------------------------------------------------------------------- */

void exit_moved(struct exit *e)
{
	struct ifaddrs *list, *i;
	struct network *n;
	struct addr mask;
	const uint8_t *m;
	size_t len;

	if (getifaddrs(&list))
		return; /* what was known stays */
	e->n_networks = 0;
	for (i = list; i && e->n_networks < NETWORKS_MAX; i = i->ifa_next) {
		n = &e->networks[e->n_networks];
		if (!i->ifa_addr || !i->ifa_netmask ||
		    addr_from_sockaddr(i->ifa_addr, sizeof(struct sockaddr_in6),
				       &n->addr) ||
		    addr_from_sockaddr(i->ifa_netmask,
				       sizeof(struct sockaddr_in6), &mask) ||
		    mask.sa.sa_family != n->addr.sa.sa_family)
			continue;
		m = addr_ip(&mask, &len);
		memcpy(n->mask, m, len);
		e->n_networks++;
	}
	freeifaddrs(list);
}

/* --- the person's choice ------------------------------------------------------------------- */

int exit_turn(struct exit *e, bool on)
{
	const char *text = on ? "on\n" : "off\n";
	struct peer *p = exit_peer(e);
	int err = file_write(e->path, text, strlen(text), 0600);

	if (err)
		return err;
	e->on = on;
	e->said = false;
	e->failed = 0;
	e->err = 0;
	if (!on) {
		if (e->w->dp)
			datapath_set_exit(e->w->dp, NULL);
		if (p && p->tunnel)
			peer_close(p, NTM_EOFFLINE, true);
		e->name[0] = '\0';
	}
	return 0;
}

void exit_forget(struct exit *e)
{
	e->name[0] = '\0';
	e->failed = 0;
	e->err = 0;
}

int exit_new(struct worker *w, const char *state_dir, struct exit **out)
{
	struct exit *e = calloc(1, sizeof(*e));
	uint8_t *text;
	size_t len;
	int err;

	if (!e)
		return -NTM_ENOMEM;
	e->w = w;
	if (snprintf(e->path, sizeof(e->path), "%s/exit", state_dir) >=
	    (int)sizeof(e->path)) {
		free(e);
		return -NTM_EINVAL;
	}
	err = loop_timer_new(w->loop, on_again, e, &e->again);
	if (err) {
		free(e);
		return err;
	}
	err = file_read(e->path, 16, &text, &len);
	if (!err) {
		e->on = !strcmp((char *)text, "on\n");
		file_free(text, len);
	}
	exit_moved(e);
	*out = e;
	return 0;
}

void exit_free(struct exit *e)
{
	if (!e)
		return;
	if (e->wait)
		resolve_cancel(e->wait);
	callers_end(e, NTM_EAGAIN);
	loop_timer_free(e->again);
	free(e);
}

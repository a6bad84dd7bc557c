/* SPDX-License-Identifier: MIT */
/*
 * clients - the nodes that use the exit: let in, counted, let go
 *
 * Theory of operation
 *
 * Who may use an exit the DC decides at every direction; here every node of the domain
 * that the DC directs to us is let in (policy: the domain). Keys are not pinned to
 * names as people's nodes do: the domain's CA is believed, so a device that was made
 * anew is not refused. Each account has a daily amount; who has used it up keeps the
 * tunnel, but nothing passes through it until the day (UTC) is over.
 */
#include <stdio.h>
#include <string.h>

#include "broker/account.h"
#include "broker/pins.h"
#include "broker/policy.h"
#include "servers/exit/program.h"

#define DRAIN_IDLE_S 3

void clients_let_in(struct program *p)
{
	struct policy_rule rule = {.n_ports = 0};
	int err;

	if (policy_count(p->w.policy))
		return;
	snprintf(rule.subject, sizeof(rule.subject), "%s",
		 p->w.account->domain);
	err = policy_allow(p->w.policy, &rule, NULL, NULL);
	if (err)
		log_err("exit", "%s/policy: %s", p->folder, err_text(err));
}

/* A key other than the one met before: the CA has vouched for it. */
struct unpin {
	struct program *p;
	char fqdn[FQDN_MAX + 1];
};

static void find_refused(void *arg, const struct pin *pin)
{
	static const uint8_t none[NTMC_FP_LEN];
	struct unpin *u = arg;

	if (pin->pinned && memcmp(pin->offered, none, sizeof(none)))
		strcpy(u->fqdn, pin->fqdn);
}

void clients_unpin(struct program *p)
{
	struct unpin u = {.p = p};

	pins_each(p->w.pins, find_refused, &u);
	if (u.fqdn[0] && pins_forget(p->w.pins, u.fqdn, NULL, NULL))
		log_debug("exit", "%s stays pinned", u.fqdn);
}

/* Who has nothing open is sent to another exit; its next connection begins there. */
static void let_go(struct program *p, struct peer *peer, unsigned int sockets)
{
	if (usage_idle(p->usage, peer->fqdn, !sockets) < DRAIN_IDLE_S ||
	    (peer->state != PEER_UP && peer->state != PEER_MOVING))
		return;
	log_info("exit", "%s has nothing open and is let go", peer->fqdn);
	peer_close(peer, NTM_EOFFLINE, true);
}

static void count_peer(void *arg, struct peer *peer)
{
	struct program *p = arg;
	struct fqdn_parts parts;
	struct dp_counters n;
	struct usage_numbers number;
	bool over;

	/* withdrawn: its addresses may be another one's soon */
	if (peer->state == PEER_DOWN && peer->why == NTM_EDISABLED)
		net_child_tell_of(p, (struct seam_control){.op = SEAM_FORGET},
				  peer);
	if (!peer->tunnel ||
	    fqdn_split(peer->fqdn, p->w.account->domain, &parts))
		return;
	dp_tunnel_counters(peer->tunnel, &n);
	over = usage_count(p->usage, parts.account, peer->fqdn,
			   n.tx_bytes + n.rx_bytes, &number);
	if (usage_to_say(p->usage, parts.account))
		log_info("exit", "%s has used up its day", parts.account);
	net_child_tell_of(p,
			  (struct seam_control){.op = SEAM_ACCOUNT,
						.closed = over,
						.account = number.account,
						.node = number.node},
			  peer);
	if (p->draining)
		let_go(p, peer, p->stats->open[number.node % NET_OPEN]);
}

void clients_count(struct program *p)
{
	usage_day(p->usage, worker_wall(&p->w) / 86400, p->account_day);
	peers_each(p->w.peers, count_peer, p);
}

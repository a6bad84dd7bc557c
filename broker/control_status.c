/* SPDX-License-Identifier: MIT */
/* control_status - commands that look: status, peers; and down */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/domains.h"
#include "broker/control.h"
#include "broker/gate.h"
#include "broker/groups.h"
#include "broker/keepalive.h"
#include "broker/login.h"
#include "broker/notify.h"
#include "broker/peer.h"
#include "broker/pins.h"
#include "broker/postlink.h"
#include "broker/relayed.h"
#include "broker/session.h"
#include "broker/timers.h"

json_t *control_addr(const struct addr *a)
{
	char text[ADDR_TEXT_LEN];

	return json_string(addr_is_set(a) ? addr_format(a, text) : "");
}

static json_t *ip_json(const uint8_t *ip, size_t len)
{
	static const uint8_t none[16];
	char text[ADDR_TEXT_LEN];
	struct addr a;

	if (!memcmp(ip, none, len) || addr_from_ip(ip, len, 0, &a))
		return json_string("");
	return json_string(addr_format_ip(&a, text));
}

static void set_count(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

/* --- status ----------------------------------------------------------------------------- */

static json_t *totals_json(const struct worker *w)
{
	struct dp_totals t;
	json_t *o = json_object();

	datapath_totals(w->dp, &t);
	set_count(o, "tx_packets", t.sum.tx_packets);
	set_count(o, "rx_packets", t.sum.rx_packets);
	set_count(o, "tx_bytes", t.sum.tx_bytes);
	set_count(o, "rx_bytes", t.sum.rx_bytes);
	set_count(o, "tx_datagrams", t.sum.tx_datagrams);
	set_count(o, "rx_datagrams", t.sum.rx_datagrams);
	set_count(o, "bad_auth", t.sum.bad_auth);
	set_count(o, "replayed", t.sum.replayed);
	set_count(o, "bad_source", t.sum.bad_source);
	set_count(o, "bad_lease", t.sum.bad_lease);
	set_count(o, "bad_port", t.sum.bad_port);
	set_count(o, "no_keys", t.sum.no_keys);
	set_count(o, "dropped", t.sum.queue_dropped);
	set_count(o, "too_big", t.sum.too_big);
	set_count(o, "parts", t.sum.parts);
	set_count(o, "malformed", t.malformed);
	set_count(o, "unknown_path", t.unknown_path);
	set_count(o, "unroutable", t.unroutable);
	set_count(o, "unknown_group", t.unknown_group);
	set_count(o, "gso_fallbacks", t.gso_fallbacks);
	set_count(o, "gso", t.gso_on);
	set_count(o, "gro", t.gro_on);
	return o;
}

static json_t *shim_json(const struct worker *w)
{
	struct shim_stats s = {0};
	json_t *o = json_object();

	if (w->shim)
		shimserver_stats(w->shim, &s);
	set_count(o, "requests", s.requests);
	set_count(o, "refused", s.refused);
	set_count(o, "doorbells", s.doorbells);
	set_count(o, "claimed", s.claimed);
	set_count(o, "unclaimed", s.unclaimed);
	set_count(o, "udp_flows", s.udp_flows);
	set_count(o, "listeners", s.listeners);
	set_count(o, "udp_servers", s.udp_servers);
	return o;
}

#define OFFLINE_AFTER_S                                                        \
	4 /* the first repetitions, and the DC is said to be silent */

static const char *state_text(const struct worker *w)
{
	if (!w->account->logged_in)
		return "logged-out";
	switch (session_state(w->session)) {
	case SESSION_ONLINE:
		return "online";
	case SESSION_REGISTERING:
		return session_silent_s(w->session) > OFFLINE_AFTER_S
			       ? "offline"
			       : "registering";
	case SESSION_OFF:
		break;
	}
	return "offline";
}

static void warn(json_t *list, const char *text)
{
	json_array_append_new(list, json_string(text));
}

/* It is renewed at half of its life; a quarter left means that this fails. */
static void certificate_warn(const struct worker *w, json_t *list)
{
	const struct account *a = w->account;
	int64_t left = a->cert.not_after - worker_wall(w);
	char text[160];

	if (!a->logged_in || left >= (a->expires - a->obtained) / 4)
		return;
	if (left < 0)
		snprintf(text, sizeof(text),
			 "the certificate has expired; peers refuse it until "
			 "it is renewed");
	else
		snprintf(text, sizeof(text),
			 "the certificate ends in %lld min and is not renewed "
			 "yet; the Account Server must be reachable before",
			 (long long)left / 60);
	warn(list, text);
}

static void coordinator_warn(const struct worker *w, json_t *list)
{
	unsigned int s = session_silent_s(w->session);
	char text[160];

	if (!w->account->logged_in || s <= OFFLINE_AFTER_S)
		return;
	snprintf(text, sizeof(text),
		 "the coordinator has not answered for %u %s; open tunnels go "
		 "on, new peers are not found; see `ntm netcheck`",
		 s < 120 ? s : s / 60, s < 120 ? "s" : "min");
	warn(list, text);
}

static void hints_warn(const struct worker *w, json_t *list)
{
	char text[2 * FQDN_MAX + 80];
	const char *domain;

	for (size_t i = 0; (domain = domains_hinted(w, i)); i++) {
		snprintf(text, sizeof(text),
			 "%s runs NTMobile, too: `ntm allow %s` lets its names "
			 "be found",
			 domain, domain);
		warn(list, text);
	}
}

static json_t *warnings_json(const struct worker *w)
{
	json_t *list = json_array();
	const struct account *a = w->account;
	char text[WORKER_WHY_MAX + 40], clock[SESSION_CLOCK_TEXT];

	if (!a->logged_in && a->ended)
		warn(list, err_text(a->ended));
	if (!a->logged_in && a->damaged)
		warn(list, "what the last login left cannot be read; run `ntm "
			   "login`");
	if (login_trouble(w->login))
		warn(list, login_trouble(w->login));
	if (session_clock_wrong(w->session, clock)) {
		snprintf(text, sizeof(text), "%s; set it", clock);
		warn(list, text);
	}
	certificate_warn(w, list);
	coordinator_warn(w, list);
	if (w->policy_why[0]) {
		snprintf(text, sizeof(text), "%s; the rules of before hold",
			 w->policy_why);
		warn(list, text);
	}
	hints_warn(w, list);
	return list;
}

static void live(void *arg, struct peer *p)
{
	size_t *n = arg;

	*n += p->state == PEER_UP || p->state == PEER_MOVING;
}

json_t *control_keepalive(const struct worker *w)
{
	static const char *const states[KEEPALIVE_NSTATES] = {
		[KEEPALIVE_FIXED] = "fixed",
		[KEEPALIVE_OPENING] = "measuring",
		[KEEPALIVE_SILENT] = "measuring",
		[KEEPALIVE_ASKING] = "measuring",
		[KEEPALIVE_DONE] = "measured",
	};
	struct keepalive_status s;
	struct notify_status ns;

	keepalive_status(w->keepalive, &s);
	notify_status(w->notify, &ns);
	if (ns.pushed)
		return json_pack("{s:s, s:s}", "by", "push", "state",
				 "registered");
	if (ns.state == NOTIFY_UP)
		return json_pack("{s:s, s:s, s:o, s:i, s:i, s:i}", "by", "ns",
				 "state", "connected", "server",
				 control_addr(&ns.at), "interval_s",
				 (int)ns.interval_s, "alive_s", (int)ns.alive_s,
				 "dead_s", (int)ns.dead_s);
	return json_pack("{s:s, s:s, s:i, s:i, s:i, s:i}", "by", "udp", "state",
			 states[s.state], "interval_s", (int)s.interval_s,
			 "alive_s", (int)s.alive_s, "dead_s", (int)s.dead_s,
			 "lost", (int)s.lost);
}

static json_t *post_json(const struct worker *w)
{
	struct postlink_status st;

	if (!w->postlink)
		return json_null();
	postlink_status(w->postlink, &st);
	return json_pack("{s:s, s:I, s:i}", "state",
			 posterlink_state_text(st.state), "serial",
			 (json_int_t)st.serial, "starts", (int)st.starts);
}

static void status_account(const struct worker *w, json_t *o)
{
	const struct account *a = w->account;
	struct addr dc, observed, gate;

	if (!a->logged_in)
		return;
	json_object_set_new(o, "fqdn", json_string(a->fqdn));
	json_object_set_new(o, "domain", json_string(a->domain));
	json_object_set_new(o, "vip6", ip_json(a->cert.vip6, 16));
	json_object_set_new(o, "vip4", ip_json(a->cert.vip4, 4));
	set_count(o, "certificate_expires", (uint64_t)a->cert.not_after);
	if (session_dc(w->session, &dc))
		json_object_set_new(o, "dc", control_addr(&dc));
	if (session_rtt_us(w->session))
		json_object_set_new(
			o, "dc_rtt_ms",
			json_real(session_rtt_us(w->session) / 1000.0));
	if (session_observed(w->session, &observed))
		json_object_set_new(o, "observed", control_addr(&observed));
	json_object_set_new(
		o, "mapping",
		json_string(control_mapping(relays_told_mapping(w->relays))));
	json_object_set_new(o, "keepalive", control_keepalive(w));
	json_object_set_new(o, "relays", control_relays(w));
	if (gate_address(w->gate, &gate))
		json_object_set_new(o, "gate", control_addr(&gate));
	json_object_set_new(o, "exit", control_exit_json(w));
	json_object_set_new(o, "post", post_json(w));
	json_object_set_new(o, "domains", domains_json(w));
	json_object_set_new(o, "groups", groups_json(w->groups));
}

/* --- peers --------------------------------------------------------------------------------- */

static void peer_counters(const struct peer *p, json_t *o)
{
	struct dp_counters n;
	uint64_t now = peer_now(p);

	if (!p->tunnel)
		return;
	dp_tunnel_counters(p->tunnel, &n);
	set_count(o, "tx_bytes", n.tx_bytes);
	set_count(o, "rx_bytes", n.rx_bytes);
	set_count(o, "tx_packets", n.tx_packets);
	set_count(o, "rx_packets", n.rx_packets);
	set_count(o, "dropped", n.queue_dropped);
	if (n.last_rx_ns)
		json_object_set_new(o, "last_rx_s",
				    json_real((now - n.last_rx_ns) / 1e9));
	if (p->keyed_ns)
		json_object_set_new(o, "rekeyed_s",
				    json_real((now - p->keyed_ns) / 1e9));
}

static void peer_path(const struct peer *p, json_t *o)
{
	const struct candidate *c = path_current(p);
	unsigned int sent = p->paths.sent, got = p->paths.answered;

	if (!p->tunnel || !c)
		return;
	json_object_set_new(o, "remote", control_addr(&c->addr));
	if (p->state == PEER_UP)
		json_object_set_new(o, "path",
				    json_string(c->relay ? "relay" : "direct"));
	if (c->relay)
		json_object_set_new(o, "relay", control_addr(&c->addr));
	if (c->rtt_ns)
		json_object_set_new(o, "rtt_ms", json_real(c->rtt_ns / 1e6));
	/* the latest may be under way still */
	json_object_set_new(
		o, "loss_percent",
		json_real(sent > got + 1 ? 100.0 * (sent - got) / sent : 0.0));
	set_count(o, "mtu", p->pmtu.size);
}

/* why it is not direct */
static const char *why(const struct peer *p)
{
	const char *limit = punch_limit(p);

	switch (p->state) {
	case PEER_DOWN:
		return err_text(p->why);
	case PEER_MOVING:
		return limit ? limit : "no path answers";
	case PEER_UP:
		if (!relayed_is(p))
			return "";
		return limit ? limit : relayed_why(p);
	case PEER_SHAKING:
		return limit ? limit : "";
	case PEER_IDLE:
	case PEER_ASKING:
	case PEER_NSTATES:
		break;
	}
	return "";
}

static void peer_json(void *arg, struct peer *p)
{
	json_t *list = arg;
	const struct pin *pin = pins_find(p->w->pins, p->fqdn);
	char fp[NTMC_FP_TEXT_LEN] = "";
	json_t *o;

	if (p->known)
		ntmc_fingerprint_text(p->fp, fp);
	o = json_pack("{s:s, s:s, s:o, s:o, s:b, s:s}", "fqdn", p->fqdn,
		      "state", peer_shown(p), "vip6", ip_json(p->vip6, 16),
		      "vip4", ip_json(p->shown4, 4), "verified",
		      pin && pin->verified, "fingerprint", fp);
	peer_path(p, o);
	peer_counters(p, o);
	if (*why(p) || p->state != PEER_UP)
		json_object_set_new(o, "why", json_string(why(p)));
	json_array_append_new(list, o);
}

/* for status: how the live ones are reached */
static void path_json(void *arg, struct peer *p)
{
	json_t *o;

	if (p->state != PEER_UP && p->state != PEER_MOVING)
		return;
	o = json_pack("{s:s, s:s}", "fqdn", p->fqdn, "state", peer_shown(p));
	peer_path(p, o);
	if (*why(p))
		json_object_set_new(o, "why", json_string(why(p)));
	json_array_append_new(arg, o);
}

void control_peers(struct ask *call)
{
	json_t *list = json_array();

	peers_each(control_worker(call)->peers, peer_json, list);
	ask_answer(call, json_pack("{s:o}", "peers", list));
}

/* --- the whole -------------------------------------------------------------------------------- */

void control_status(struct ask *call)
{
	struct worker *w = control_worker(call);
	size_t n = 0;
	json_t *paths = json_array();
	json_t *o = json_pack("{s:s, s:s}", "state", state_text(w), "engine",
			      "netns");

	peers_each(w->peers, live, &n);
	status_account(w, o);
	set_count(o, "generation", keeper_generation(w->keeper));
	set_count(o, "uptime_s",
		  (loop_now(w->loop) - w->started_ns) / 1000000000);
	set_count(o, "udp_port", w->udp_port);
	json_object_set_new(o, "totals", totals_json(w));
	json_object_set_new(o, "shim", shim_json(w));
	set_count(o, "peers", n);
	peers_each(w->peers, path_json, paths);
	json_object_set_new(o, "paths", paths);
	json_object_set_new(o, "warnings", warnings_json(w));
	ask_answer(call, o);
}

/* --- down -------------------------------------------------------------------------------------- */

void control_down(struct ask *call)
{
	struct worker *w = control_worker(call);
	int err = keeper_quit(w->keeper);

	if (err)
		ask_fail(call, err, NULL);
	else
		ask_answer(call, NULL);
}

/* SPDX-License-Identifier: MIT */
/* control_netcheck - what network this device is in, and why a path is relayed */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/account.h"
#include "broker/domains.h"
#include "broker/control.h"
#include "broker/gate.h"
#include "broker/keepalive.h"
#include "broker/notify.h"
#include "broker/peer.h"
#include "broker/portmap.h"
#include "broker/relayed.h"
#include "broker/session.h"

#define PROBE_LIMIT_MS 2500

/* struct netcheck - both families, and the relays, are asked at once */
struct netcheck {
	struct ask *call;
	struct worker *w;
	unsigned int open;
	bool measuring;
	struct relays_wait wait;
	struct probe {
		struct netcheck *n;
		int family;
		bool tried, works;
		uint32_t id;
		uint64_t sent_ns, rtt_ns;
		struct addr observed;
	} probes[2];
};

static bool is_local(const struct netcheck *n, const struct addr *a)
{
	struct addr list[HANDOVER_ADDRS_MAX];
	const struct worker_env *env = n->w->env;
	size_t count = env->locals(env->ctx, list, HANDOVER_ADDRS_MAX);

	for (size_t i = 0; i < count; i++)
		if (addr_equal_ip(&list[i], a))
			return true;
	return false;
}

static json_t *probe_json(const struct netcheck *n, const struct probe *p)
{
	bool nat = p->works && (!is_local(n, &p->observed) ||
				addr_port(&p->observed) != n->w->udp_port);

	return json_pack(
		"{s:b, s:o, s:b, s:s}", "works", p->works, "observed",
		p->works ? control_addr(&p->observed) : json_string(""), "nat",
		nat, "mapping",
		control_mapping(relays_mapping(n->w->relays,
					       p == &n->probes[0] ? AF_INET
								  : AF_INET6)));
}

static json_t *interfaces_json(const struct handover *h)
{
	struct handover_addr list[HANDOVER_ADDRS_MAX];
	size_t n = handover_list(h, list, HANDOVER_ADDRS_MAX);
	json_t *out = json_array(), *o = NULL;
	char text[ADDR_TEXT_LEN];

	for (size_t i = 0; i < n; i++) {
		size_t j;

		json_array_foreach(
			out, j,
			o) if (!strcmp(list[i].interface,
				       json_string_value(json_object_get(
					       o, "name")))) break;
		if (j == json_array_size(out)) {
			o = json_pack("{s:s, s:[]}", "name", list[i].interface,
				      "addresses");
			json_array_append_new(out, o);
		}
		json_array_append_new(
			json_object_get(o, "addresses"),
			json_string(addr_format_ip(&list[i].addr, text)));
	}
	return out;
}

static void say(json_t *list, const char *text)
{
	json_array_append_new(list, json_string(text));
}

const char *control_mapping(Ntm__NatMapping m)
{
	switch (m) {
	case NTM__NAT_MAPPING__MAPPING_NONE:
		return "none";
	case NTM__NAT_MAPPING__MAPPING_INDEPENDENT:
		return "independent";
	case NTM__NAT_MAPPING__MAPPING_DEPENDENT:
		return "dependent";
	case NTM__NAT_MAPPING__MAPPING_BLOCKED:
		return "blocked";
	case NTM__NAT_MAPPING__MAPPING_UNKNOWN:
	default:
		return "unknown";
	}
}

json_t *control_relays(const struct worker *w)
{
	json_t *list = json_array(), *o;

	for (size_t i = 0; i < relays_count(w->relays); i++) {
		const struct relay *r = relays_at(w->relays, i);

		for (size_t k = 0; k < r->n; k++) {
			const struct relay_addr *a = &r->addrs[k];

			o = json_pack("{s:o, s:o}", "address",
				      control_addr(&a->addr), "observed",
				      control_addr(&a->observed));
			if (a->rtt_ns)
				json_object_set_new(
					o, "rtt_ms",
					json_real((double)a->rtt_ns / 1e6));
			json_array_append_new(list, o);
		}
	}
	return list;
}

static void family_say(json_t *list, const char *name, const struct probe *p)
{
	char text[160];

	if (!p->tried)
		snprintf(text, sizeof(text), "The DC has no %s address to try.",
			 name);
	else if (p->works)
		snprintf(text, sizeof(text),
			 "UDP over %s reaches the DC in %.1f ms.", name,
			 (double)p->rtt_ns / 1e6);
	else
		snprintf(text, sizeof(text),
			 "UDP over %s does not reach the DC: it is down, or "
			 "there is no route, or a firewall.",
			 name);
	say(list, text);
}

/* Did a relay's other port get through? -1: nobody was asked */
static int lets_in(const struct worker *w, int family)
{
	int yes = -1;

	for (size_t i = 0; i < relays_count(w->relays); i++) {
		const struct relay *r = relays_at(w->relays, i);

		for (size_t k = 0; k < r->n; k++) {
			if (!r->addrs[k].answered ||
			    r->addrs[k].addr.sa.sa_family != family)
				continue;
			if (yes < 0)
				yes = 0;
			yes |= r->addrs[k].other;
		}
	}
	return yes;
}

static void mapping_say(json_t *list, const struct netcheck *n,
			const char *name, int family)
{
	Ntm__NatMapping m = relays_mapping(n->w->relays, family);
	int in = lets_in(n->w, family);
	char text[240];

	if (m == NTM__NAT_MAPPING__MAPPING_UNKNOWN ||
	    m == NTM__NAT_MAPPING__MAPPING_BLOCKED)
		return;
	snprintf(text, sizeof(text), "%s: %s%s", name,
		 m == NTM__NAT_MAPPING__MAPPING_NONE
			 ? "no NAT changes this device's address"
		 : m == NTM__NAT_MAPPING__MAPPING_INDEPENDENT
			 ? "a NAT, that maps alike for every destination; "
			   "direct paths to most peers are possible"
			 : "a NAT, that maps by destination; direct paths are "
			   "possible only to peers whose network lets them in",
		 in < 0	  ? "."
		 : in > 0 ? "; answers from other ports come in."
			  : "; only what was asked for comes in.");
	say(list, text);
}

static void relays_say(json_t *list, const struct worker *w)
{
	char text[160], at[ADDR_TEXT_LEN];
	struct addr a;
	uint64_t rtt;

	for (size_t i = 0; i < relays_count(w->relays); i++) {
		const struct relay *r = relays_at(w->relays, i);

		rtt = relay_nearest(r, &a);
		if (rtt)
			snprintf(text, sizeof(text),
				 "Relay %s answers in %.1f ms.",
				 addr_format(&a, at), (double)rtt / 1e6);
		else
			snprintf(text, sizeof(text),
				 "Relay %s does not answer.",
				 addr_format(&r->addrs[0].addr, at));
		say(list, text);
	}
}

static void relayed_say(void *arg, struct peer *p)
{
	const struct candidate *c = path_current(p);
	char text[FQDN_MAX + 300], at[ADDR_TEXT_LEN];
	const char *limit = punch_limit(p);

	if (limit) {
		snprintf(text, sizeof(text), "%s: %s.", p->fqdn, limit);
		say(arg, text);
	}
	if (p->state != PEER_UP || !relayed_is(p))
		return;
	snprintf(text, sizeof(text), "%s is reached through relay %s: %s.",
		 p->fqdn, addr_format(&c->addr, at), relayed_why(p));
	say(arg, text);
}

static const char *const protocol_names[PORTMAP_PROTOCOLS + 1] = {
	[PORTMAP_PCP] = "PCP",
	[PORTMAP_NATPMP] = "NAT-PMP",
	[PORTMAP_UPNP] = "UPnP",
	[PORTMAP_NO_PROTOCOL] = "",
};

static const char *const why_names[PORTMAP_WHYS] = {
	[PORTMAP_UNASKED] = "not asked",
	[PORTMAP_DONE] = "mapped",
	[PORTMAP_NO_ANSWER] = "no answer",
	[PORTMAP_NO_SERVICE] = "not offered",
	[PORTMAP_DENIED] = "denied",
	[PORTMAP_GARBAGE] = "an answer that is none",
	[PORTMAP_FAILED] = "failed here",
};

static const char *const lie_names[PORTMAP_LIES] = {
	[PORTMAP_TRUE] = "",
	[PORTMAP_LIE_PORT] = "port 0",
	[PORTMAP_LIE_ADDRESS] = "an address that is not public",
	[PORTMAP_LIE_OWN] = "an address of this device",
	[PORTMAP_LIE_OTHER] = "an address where nobody sees this device",
	[PORTMAP_LIE_LIFE] = "a mapping for too short a time",
};

static const char *const portmap_states[PORTMAP_STATES] = {
	[PORTMAP_OFF] = "off",	       [PORTMAP_NONE] = "none",
	[PORTMAP_ASKING] = "asking",   [PORTMAP_MAPPED] = "mapped",
	[PORTMAP_REFUSED] = "refused",
};

static json_t *portmap_json(const struct worker *w)
{
	struct portmap_status s;

	portmap_status(w->portmap, &s);
	return json_pack("{s:s, s:s, s:o, s:I, s:s, s:s, s:s, s:s, s:i}",
			 "state", portmap_states[s.state], "protocol",
			 protocol_names[s.protocol], "address",
			 s.state == PORTMAP_MAPPED ? control_addr(&s.mapped)
						   : json_string(""),
			 "left_s", (json_int_t)s.left_s, "pcp",
			 why_names[s.why[PORTMAP_PCP]], "natpmp",
			 why_names[s.why[PORTMAP_NATPMP]], "upnp",
			 why_names[s.why[PORTMAP_UPNP]], "refused",
			 lie_names[s.lie], "lies", (int)s.lies);
}

static void portmap_refused_say(char *text, size_t size,
				const struct portmap_status *s)
{
	if (s->lie)
		snprintf(text, size,
			 "What the router says of a port for this device is "
			 "not used: %s.",
			 lie_names[s->lie]);
	else if (!s->answered)
		snprintf(text, size,
			 "The router could not be asked for a port: "
			 "ntm-portmap ended without an answer.");
	else if (!s->routed)
		snprintf(text, size,
			 "No router to ask for a port is on the way out.");
	else
		snprintf(text, size,
			 "The router gives this device no port: PCP %s, "
			 "NAT-PMP %s, UPnP %s.",
			 why_names[s->why[PORTMAP_PCP]],
			 why_names[s->why[PORTMAP_NATPMP]],
			 why_names[s->why[PORTMAP_UPNP]]);
}

static void portmap_say(json_t *list, const struct worker *w)
{
	char text[240], at[ADDR_TEXT_LEN];
	struct portmap_status s;

	portmap_status(w->portmap, &s);
	switch (s.state) {
	case PORTMAP_MAPPED:
		snprintf(text, sizeof(text),
			 "The router has mapped %s to this device by %s, for "
			 "%u minutes more unless renewed.",
			 addr_format(&s.mapped, at), protocol_names[s.protocol],
			 (unsigned int)(s.left_s / 60));
		break;
	case PORTMAP_REFUSED:
		portmap_refused_say(text, sizeof(text), &s);
		break;
	case PORTMAP_ASKING:
		snprintf(text, sizeof(text),
			 "The router is being asked for a port.");
		break;
	case PORTMAP_OFF:
		snprintf(text, sizeof(text),
			 "The router is not asked for a port: portmap = off.");
		break;
	case PORTMAP_NONE:
	case PORTMAP_STATES:
	default:
		return;
	}
	say(list, text);
}

static void keepalive_say(json_t *list, const struct worker *w)
{
	struct keepalive_status s;
	char text[240], bears[80] = "", at[ADDR_TEXT_LEN];
	struct notify_status ns;

	notify_status(w->notify, &ns);
	if (ns.pushed) {
		say(list, "A push service tells this device of directions; no "
			  "UDP mapping is kept.");
		return;
	}
	if (ns.state == NOTIFY_UP) {
		snprintf(text, sizeof(text),
			 "Notification Server %s tells this device of "
			 "directions, and is heard of every %u s; no UDP "
			 "mapping is kept.",
			 addr_format(&ns.at, at), ns.interval_s);
		say(list, text);
		return;
	}
	keepalive_status(w->keepalive, &s);
	if (!s.interval_s)
		return;
	if (s.alive_s && s.dead_s)
		snprintf(bears, sizeof(bears),
			 "the network keeps a silent mapping %u to %u s",
			 s.alive_s, s.dead_s);
	else if (s.alive_s)
		snprintf(bears, sizeof(bears),
			 "the network keeps a silent mapping at least %u s",
			 s.alive_s);
	else if (s.dead_s)
		snprintf(bears, sizeof(bears),
			 "the network keeps a silent mapping less than %u s",
			 s.dead_s);
	snprintf(text, sizeof(text),
		 "A keep-alive goes to the DC every %u s%s%s%s%s.",
		 s.interval_s, *bears ? ": " : "", bears,
		 s.lost ? "; mappings die in use, too" : "",
		 s.state == KEEPALIVE_FIXED || s.state == KEEPALIVE_DONE
			 ? ""
			 : "; it is still being measured");
	say(list, text);
}

static void gate_say(json_t *list, const struct worker *w)
{
	char text[160], at[ADDR_TEXT_LEN];
	struct addr a;

	if (!gate_address(w->gate, &a))
		return;
	snprintf(text, sizeof(text),
		 "UDP is blocked here: relayed by TLS on %u, through %s.",
		 addr_port(&a), addr_format_ip(&a, at));
	say(list, text);
}

/* other domains whose DC, or whose CA, there is trouble with */
static void domains_say(json_t *list, const struct worker *w)
{
	json_t *all = domains_json(w), *d;
	char text[FQDN_MAX + 300];
	size_t i;

	json_array_foreach(all, i, d)
	{
		const char *why = json_string_value(json_object_get(d, "why"));

		if (!why || !*why)
			continue;
		snprintf(text, sizeof(text), "The domain %s: %s.",
			 json_string_value(json_object_get(d, "domain")), why);
		say(list, text);
	}
	json_decref(all);
}

static json_t *sentences(const struct netcheck *n)
{
	json_t *list = json_array();

	family_say(list, "IPv4", &n->probes[0]);
	family_say(list, "IPv6", &n->probes[1]);
	gate_say(list, n->w);
	mapping_say(list, n, "IPv4", AF_INET);
	mapping_say(list, n, "IPv6", AF_INET6);
	keepalive_say(list, n->w);
	portmap_say(list, n->w);
	relays_say(list, n->w);
	domains_say(list, n->w);
	peers_each(n->w->peers, relayed_say, list);
	return list;
}

static void netcheck_end(struct netcheck *n)
{
	const struct probe *p =
		n->probes[0].works ? &n->probes[0] : &n->probes[1];
	json_t *o =
		json_pack("{s:o, s:o, s:o, s:o}", "interfaces",
			  interfaces_json(control_handover(n->call)), "udp4",
			  probe_json(n, &n->probes[0]), "udp6",
			  probe_json(n, &n->probes[1]), "text", sentences(n));
	struct ask *call = n->call;
	struct addr gate;

	json_object_set_new(o, "relays", control_relays(n->w));
	json_object_set_new(o, "keepalive", control_keepalive(n->w));
	json_object_set_new(o, "portmap", portmap_json(n->w));
	if (gate_address(n->w->gate, &gate))
		json_object_set_new(o, "gate", control_addr(&gate));
	if (p->works)
		json_object_set_new(o, "dc_rtt_ms", json_real(p->rtt_ns / 1e6));
	free(n);
	ask_on_gone(call, NULL, NULL);
	ask_answer(call, o);
}

static void probed(void *arg, int err, const Ntm__Signal *msg)
{
	struct probe *p = arg;
	struct netcheck *n = p->n;

	if (!err && msg->body_case == NTM__SIGNAL__BODY_REGISTRATION_RESPONSE &&
	    msg->registration_response->observed &&
	    !addr_from_message(msg->registration_response->observed,
			       &p->observed)) {
		p->works = true;
		p->rtt_ns = loop_now_exact(n->w->loop) - p->sent_ns;
	}
	if (!--n->open)
		netcheck_end(n);
}

static void measured(void *arg)
{
	struct netcheck *n = arg;

	n->measuring = false;
	if (!--n->open)
		netcheck_end(n);
}

static void netcheck_gone(void *arg)
{
	struct netcheck *n = arg;

	for (size_t i = 0; i < 2; i++)
		session_cancel(n->w->session, n->probes[i].id);
	if (n->measuring)
		relays_measure_cancel(n->w->relays, &n->wait);
	ask_answer(n->call, NULL);
	free(n);
}

void control_netcheck(struct ask *call)
{
	struct worker *w = control_worker(call);
	const struct account *a = w->account;
	struct netcheck *n = calloc(1, sizeof(*n));

	if (!n || !a->logged_in) {
		free(n);
		ask_fail(call, a->logged_in ? NTM_ENOMEM : NTM_ENOLOGIN, NULL);
		return;
	}
	n->call = call;
	n->w = w;
	for (size_t i = 0; i < a->n_dc; i++) {
		bool six = a->dc[i].sa.sa_family == AF_INET6;
		struct probe *p = &n->probes[six];

		if (p->tried)
			continue;
		p->n = n;
		p->tried = true;
		p->sent_ns = loop_now_exact(w->loop);
		if (!session_probe_udp(w->session, &a->dc[i], PROBE_LIMIT_MS,
				       probed, p, &p->id))
			n->open++;
	}
	n->wait = (struct relays_wait){.fn = measured, .arg = n};
	n->measuring = relays_measure(w->relays, &n->wait);
	n->open += n->measuring;
	if (n->open)
		ask_on_gone(call, netcheck_gone, n);
	else
		netcheck_end(n);
}

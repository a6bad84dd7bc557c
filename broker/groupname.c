/* SPDX-License-Identifier: MIT */
/*
 * groupname - names and virtual addresses of the groups that this node is in
 *
 * A group is NAME.group.DOMAIN, @NAME to people where it is the only one of that name here.
 * Its addresses follow from its id and the first half of its domain's: nobody gives them.
 */
#include "broker/groups_impl.h"

#include <stdio.h>
#include <string.h>

#include "broker/account.h"
#include "broker/datapath/group.h"
#include "broker/domains.h"
#include "broker/policy.h"
#include "common/log.h"

#define LABEL_DOT GROUPS_LABEL "."
#define FOUR_BITS 0x3ffffu /* 239.192.0.0/14 has so many addresses */
#define FOUR_NET  0xefc00000u

/* --- names ------------------------------------------------------------------------------ */

/* The domain in NAME.group.DOMAIN; NULL: it is none such */
static const char *domain_of(const char *name)
{
	const char *dot = strchr(name, '.');

	if (!dot || dot == name ||
	    strncmp(dot + 1, LABEL_DOT, strlen(LABEL_DOT)))
		return NULL;
	dot += 1 + strlen(LABEL_DOT);
	return *dot ? dot : NULL;
}

/* Has the group that name, whole or the first word of it? */
static bool is_called(const struct groups_one *o, const char *name)
{
	const char *domain = domain_of(name);
	size_t n = strcspn(name, ".");

	return strlen(o->name) == n && !strncmp(o->name, name, n) &&
	       (domain ? !strcmp(o->domain, domain) : !name[n]);
}

const struct groups_one *groups_by_name(const struct groups *gs,
					const char *name, const uint8_t *id)
{
	const struct groups_one *found = NULL;

	if (!domain_of(name))
		return NULL;
	for (const struct groups_one *o = gs->list; o; o = o->next) {
		if (!is_called(o, name) ||
		    (id && memcmp(o->id, id, GROUP_ID_LEN)))
			continue;
		if (found)
			return NULL;
		found = o;
	}
	return found;
}

int groups_subject(const struct groups *gs, struct policy_rule *r)
{
	const struct groups_one *found = NULL;
	char whole[FQDN_MAX + 1];

	for (const struct groups_one *o = gs ? gs->list : NULL; o;
	     o = o->next) {
		if (!is_called(o, r->subject + 1))
			continue;
		if (found)
			return -NTM_ENOTFOUND;
		found = o;
	}
	if (!found)
		return domain_of(r->subject + 1) ? 0 : -NTM_ENOTFOUND;
	if (fqdn_join(found->name, GROUPS_LABEL, found->domain, whole) ||
	    strlen(whole) == FQDN_MAX)
		return -NTM_EINVAL;
	snprintf(r->subject + 1, FQDN_MAX, "%s", whole);
	memcpy(r->id, found->id, sizeof(r->id));
	r->bound = true;
	return 0;
}

void groups_bind(const struct groups *gs)
{
	char whole[FQDN_MAX + 1];

	if (!gs || !gs->all)
		return;
	for (const struct groups_one *o = gs->list; o; o = o->next)
		if (!fqdn_join(o->name, GROUPS_LABEL, o->domain, whole) &&
		    groups_by_name(gs, whole, NULL) == o)
			policy_bind(gs->w->policy, whole, o->id);
}

const char *groups_rule(const struct groups *gs, const struct policy_rule *r)
{
	bool other = false;

	for (const struct groups_one *o = gs ? gs->list : NULL; o;
	     o = o->next) {
		if (!is_called(o, r->subject + 1))
			continue;
		if (r->bound && !memcmp(o->id, r->id, sizeof(r->id)))
			return "here";
		other = true;
	}
	if (r->bound && gs && groups_keyless(gs, r->id))
		return "keyless";
	return !r->bound ? "awaited" : other ? "other" : "away";
}

bool groups_is_name(const struct groups *gs, const char *name)
{
	const char *domain = domain_of(name);
	const struct worker *w = gs->w;

	return domain && w->account->logged_in &&
	       (!strcmp(domain, w->account->domain) ||
		groups_by_name(gs, name, NULL) || domains_allowed(w, name));
}

/* --- addresses --------------------------------------------------------------------------- */

void groups_addresses(const uint8_t id[static GROUP_ID_LEN],
		      const uint8_t prefix[static GROUPWORD_PREFIX_LEN],
		      uint8_t vip6[static 16], uint8_t vip4[static 4])
{
	static const char label[] = "ntm group address v1";
	uint8_t text[sizeof(label) - 1 + GROUP_ID_LEN], hash[NTMC_HASH_LEN];
	uint32_t v;

	memcpy(text, label, sizeof(label) - 1);
	memcpy(text + sizeof(label) - 1, id, GROUP_ID_LEN);
	ntmc_sha256(text, sizeof(text), hash);
	vip6[0] = 0xff;
	vip6[1] = 0x38;
	vip6[2] = 0;
	vip6[3] = 0x40;
	memcpy(vip6 + 4, prefix, GROUPWORD_PREFIX_LEN);
	memcpy(vip6 + 12, hash, 4);
	vip6[12] |= 0x80;
	v = FOUR_NET | (get32(hash) & FOUR_BITS);
	put32(vip4, v);
}

/* The first half of the domain's virtual addresses. false: not known yet */
static bool prefix_find(const struct worker *w, const char *domain,
			const uint8_t said[static GROUPWORD_PREFIX_LEN],
			uint8_t out[static GROUPWORD_PREFIX_LEN])
{
	static const uint8_t none[GROUPWORD_PREFIX_LEN];
	const struct account *a = w->account;
	const struct ntmc_trust_domain *d;
	char any[FQDN_MAX + 1];

	memcpy(out, said, GROUPWORD_PREFIX_LEN);
	if (memcmp(out, none, sizeof(none)))
		return true;
	if (!strcmp(domain, a->domain)) {
		memcpy(out, a->constraint.prefix6, GROUPWORD_PREFIX_LEN);
		return true;
	}
	if (fqdn_join(NULL, GROUPS_LABEL, domain, any))
		return false;
	d = domains_find(w, any);
	if (d)
		memcpy(out, d->prefix6, GROUPWORD_PREFIX_LEN);
	return d != NULL;
}

void groups_address(struct groups_one *o,
		    const uint8_t said[static GROUPWORD_PREFIX_LEN])
{
	static const uint8_t none[16];
	uint8_t prefix[GROUPWORD_PREFIX_LEN];

	if (memcmp(o->vip6, none, sizeof(o->vip6)))
		return;
	if (!prefix_find(o->gs->w, o->domain, said, prefix)) {
		log_info(o->name, "no address yet: %s is not known here",
			 o->domain);
		return;
	}
	groups_addresses(o->id, prefix, o->vip6, o->vip4);
	if (!dp_group_set_addresses(o->dp, o->vip6, o->vip4))
		return;
	log_warn(o->name, "another group has its IPv4 address here: this one "
			  "is reached by IPv6 alone");
	memset(o->vip4, 0, sizeof(o->vip4));
	if (dp_group_set_addresses(o->dp, o->vip6, o->vip4))
		memset(o->vip6, 0, sizeof(o->vip6));
}

void groups_domain(struct groups *gs)
{
	static const uint8_t unsaid[GROUPWORD_PREFIX_LEN];

	for (struct groups_one *o = gs ? gs->list : NULL; o; o = o->next)
		groups_address(o, unsaid);
}

int groups_find(const struct groups *gs, const char *name,
		uint8_t vip6[static 16], uint8_t vip4[static 4])
{
	static const uint8_t none[16];
	const struct groups_one *o = groups_by_name(gs, name, NULL);

	if (!o || !memcmp(o->vip6, none, sizeof(o->vip6)))
		return -NTM_ENONAME;
	memcpy(vip6, o->vip6, 16);
	memcpy(vip4, o->vip4, 4);
	return 0;
}

size_t groups_ranges(const struct groups *gs,
		     struct engine_config out[static GROUPS_RANGES])
{
	static const uint8_t six[6] = {0xff, 0x38, 0, 0x40, 0xfd, 0x6e};
	static const uint8_t none[4], four[4] = {239, 192};
	const struct groups_one *o = gs ? gs->list : NULL;
	size_t n = 0;

	memset(out, 0, GROUPS_RANGES * sizeof(*out));
	for (; o; o = o->next) {
		if (!memcmp(o->vip4, none, sizeof(none)))
			continue;
		if (n == GROUPS_RANGES) {
			n = 1;
			memcpy(out[0].prefix4, four, sizeof(four));
			out[0].prefix4_len = 14;
			break;
		}
		memcpy(out[n].prefix4, o->vip4, sizeof(o->vip4));
		out[n++].prefix4_len = 32;
	}
	if (gs && gs->list) {
		memcpy(out[0].prefix6, six, sizeof(six));
		out[0].prefix6_len = 48;
		n += !n;
	}
	return n;
}

const char *groups_reverse(struct groups *gs, const struct addr *a)
{
	size_t len;
	const uint8_t *ip = addr_ip(a, &len);
	const struct groups_one *o = gs && ip ? gs->list : NULL;

	while (o && memcmp(len == 4 ? o->vip4 : o->vip6, ip, len))
		o = o->next;
	if (!o || fqdn_join(o->name, GROUPS_LABEL, o->domain, gs->reverse))
		return NULL;
	return gs->reverse;
}

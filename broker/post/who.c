/* SPDX-License-Identifier: MIT */
/* who - who this device is, whom it trusts, and who may send to it unasked */
#include "broker/post/who.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/account.h"
#include "broker/policy.h"
#include "broker/state.pb-c.h"
#include "broker/statefile.h"
#include "common/file.h"
#include "common/log.h"

/* @of: the file that was read; the worker replaces it by another */
struct known_state {
	Ntm__State__Known *msg;
	struct stat of;
};

static bool known_same(struct who *w)
{
	struct stat st, *of = &w->known->of;
	char path[PATH_MAX];
	bool same;

	if (snprintf(path, sizeof(path), "%s/known", w->state) >=
		    (int)sizeof(path) ||
	    stat(path, &st))
		return false;
	same = st.st_ino == of->st_ino && st.st_size == of->st_size &&
	       st.st_mtim.tv_sec == of->st_mtim.tv_sec &&
	       st.st_mtim.tv_nsec == of->st_mtim.tv_nsec;
	*of = st;
	return same;
}

int who_open(const char *config, const char *state, const char *folder,
	     struct who *w)
{
	char why[256];
	int err;

	memset(w, 0, sizeof(*w));
	w->config = strdup(config);
	w->state = strdup(state);
	w->id = ntmc_secret_alloc(sizeof(*w->id));
	w->known = calloc(1, sizeof(*w->known));
	if (!w->config || !w->state || !w->id || !w->known ||
	    asprintf(&w->dir, "%s/%s", state, folder) < 0)
		return -NTM_ENOMEM;
	err = file_make_folder(w->dir, 0700);
	if (err)
		return err;
	err = policy_open(NULL, config, &w->policy, why, sizeof(why));
	if (err)
		log_err("post", "%s", why);
	return err;
}

void who_close(struct who *w)
{
	if (w->policy)
		policy_free(w->policy);
	if (w->known && w->known->msg)
		statefile_free(&w->known->msg->base);
	free(w->known);
	ntmc_trust_free(w->trust);
	ntmc_secret_free(w->id, sizeof(*w->id));
	free(w->config);
	free(w->state);
	free(w->dir);
	ntmc_wipe(w, sizeof(*w));
}

/* --- what the worker wrote
 * -------------------------------------------------------------- */

bool who_ca_file(const struct who *w, const char *domain, char *path,
		 size_t size)
{
	return (size_t)snprintf(path, size, "%s/ca.%s.pem", w->dir, domain) <
	       size;
}

/* Trust a CA for its domain, and let libcurl have it. */
static int ca_take(struct who *w, const uint8_t *der, size_t len)
{
	char pem[NTMC_PEM_MAX], path[PATH_MAX];
	struct ntmc_trust_domain d;
	int err = ntmc_trust_add(w->trust, der, len, NULL, &d);

	if (!err)
		err = ntmc_cert_pem(der, len, pem, sizeof(pem));
	if (!err && !who_ca_file(w, d.domain, path, sizeof(path)))
		err = -NTM_EINVAL;
	return err ? err : file_write(path, pem, strlen(pem), 0600);
}

/* Of our domain and of those that are known now: one that was forgotten counts no
 * more. What cannot be made anew stays as it was. */
static int trust_make(struct who *w)
{
	const Ntm__State__Known *k = w->known->msg;
	struct ntmc_trust *old = w->trust;
	int err = ntmc_trust_new(&w->trust);
	size_t i;

	if (!err)
		err = ca_take(w, w->ca, w->ca_len);
	for (i = 0; !err && k && i < k->n_servers; i++) {
		const Ntm__State__KnownServer *s = k->servers[i];

		if (s->ca.len && strcmp(s->domain, w->domain) &&
		    ca_take(w, s->ca.data, s->ca.len))
			log_warn("post", "the CA of %s is of no use",
				 s->domain);
	}
	if (err) {
		ntmc_trust_free(w->trust);
		w->trust = old;
	} else {
		ntmc_trust_free(old);
	}
	return err;
}

/* Return: it has changed */
static bool known_read(struct who *w)
{
	ProtobufCMessage *msg;

	if (known_same(w) ||
	    statefile_load(w->state, "known", &ntm__state__known__descriptor,
			   &msg))
		return false; /* or nobody was met yet */
	if (w->known->msg)
		statefile_free(&w->known->msg->base);
	w->known->msg = (Ntm__State__Known *)msg;
	return true;
}

void who_load_known(struct who *w)
{
	if (known_read(w) && w->logged_in && trust_make(w))
		log_err("post", "the CAs of other domains cannot be read");
}

void who_load_policy(struct who *w)
{
	char why[256];

	if (policy_reload(w->policy, why, sizeof(why)))
		log_err("post", "%s; the old rules stay", why);
}

static void manager_take(struct who *w, const Ntm__State__Manager *from)
{
	struct who_manager *to = &w->managers[w->n_managers];
	size_t i;

	if (w->n_managers == WHO_MANAGERS_MAX ||
	    strlen(from->name) >= sizeof(to->name) ||
	    from->ed_pub.len != sizeof(to->ed_pub) ||
	    from->key.len != sizeof(to->key.b))
		return;
	memset(to, 0, sizeof(*to));
	strcpy(to->name, from->name);
	memcpy(to->ed_pub, from->ed_pub.data, sizeof(to->ed_pub));
	memcpy(to->key.b, from->key.data, sizeof(to->key.b));
	to->key_id = from->key_id;
	for (i = 0; i < from->n_addresses && to->n_ways < WHO_WAYS_MAX; i++)
		if (!statefile_addr_get(&from->addresses[i],
					&to->ways[to->n_ways]))
			to->n_ways++;
	w->n_managers++;
}

static int session_take(struct who *w, const Ntm__State__Session *s)
{
	const char *account = account_of(s->fqdn), *dot;
	size_t i;
	int err;

	dot = account ? strchr(account, '.') : NULL;
	if (!dot || strlen(s->fqdn) > FQDN_MAX ||
	    s->certificate.len > sizeof(w->cert_der) ||
	    s->ca.len > sizeof(w->ca))
		return -NTM_EDECODE;
	err = ntmc_cert_parse(s->certificate.data, s->certificate.len,
			      &w->cert);
	if (err)
		return err;
	memcpy(w->cert_der, s->certificate.data, s->certificate.len);
	w->cert_len = s->certificate.len;
	strcpy(w->fqdn, s->fqdn);
	strcpy(w->domain, dot + 1);
	w->has_token = s->token.len == WHO_TOKEN_LEN;
	if (w->has_token)
		memcpy(w->token, s->token.data, WHO_TOKEN_LEN);
	w->n_box = 0;
	for (i = 0; s->box_port && i < s->n_dc && i < WHO_DC_MAX; i++) {
		if (statefile_addr_get(&s->dc[i], &w->box[w->n_box]))
			continue;
		addr_set_port(&w->box[w->n_box++], (uint16_t)s->box_port);
	}
	w->node_id = s->node_id;
	w->n_managers = 0;
	for (i = 0; i < s->n_managers; i++)
		manager_take(w, s->managers[i]);
	memcpy(w->ca, s->ca.data, s->ca.len);
	w->ca_len = s->ca.len;
	return 0;
}

int who_load(struct who *w)
{
	ProtobufCMessage *msg;
	char path[PATH_MAX];
	int err;

	w->logged_in = false;
	if (snprintf(path, sizeof(path), "%s/identity.key", w->state) >=
	    (int)sizeof(path))
		return -NTM_EINVAL;
	err = ntmc_identity_load(path, w->id);
	if (!err)
		err = statefile_load(w->state, "session",
				     &ntm__state__session__descriptor, &msg);
	if (err == -NTM_ENOTFOUND)
		return 0;
	if (err)
		return err;
	err = session_take(w, (Ntm__State__Session *)msg);
	statefile_free(msg);
	if (err)
		return err;
	(void)known_read(w);
	ntmc_trust_free(w->trust); /* of another session */
	w->trust = NULL;
	err = trust_make(w);
	w->logged_in = !err;
	return err;
}

/* --- whom it trusts
 * --------------------------------------------------------------------- */

struct find_domain {
	const char *server;
	const char *found;
};

static void domain_match(void *arg, const struct ntmc_trust_domain *d)
{
	struct find_domain *f = arg;
	const char *dot = strchr(f->server, '.');

	if (dot && !strcmp(dot + 1, d->domain))
		f->found = dot + 1;
}

const char *who_server_domain(const struct who *w, const char *server)
{
	struct find_domain f = {.server = server};

	if (w->logged_in)
		ntmc_trust_each(w->trust, domain_match, &f);
	return f.found;
}

int who_pinned(const struct who *w, const char *fqdn,
	       const uint8_t fp[static NTMC_FP_LEN], bool *verified)
{
	const Ntm__State__Known *k = w->known->msg;
	int err = -NTM_ENOTFOUND;
	size_t i;

	*verified = false;
	for (i = 0; k && i < k->n_peers; i++) {
		const Ntm__State__KnownPeer *p = k->peers[i];

		if (!strcmp(p->fqdn, fqdn) &&
		    p->fingerprint.len == NTMC_FP_LEN) {
			if (memcmp(p->fingerprint.data, fp, NTMC_FP_LEN))
				return -NTM_EPIN;
			*verified = p->verified;
			return 0;
		}
		if (p->verified && account_same(p->fqdn, fqdn))
			err = -NTM_EUNVERIFIED;
	}
	return err;
}

bool who_allows(const struct who *w, const char *sender)
{
	struct policy_grant g;

	policy_check(w->policy, w->logged_in ? w->fqdn : NULL, sender, &g);
	return g.in;
}

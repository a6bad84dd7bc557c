/* SPDX-License-Identifier: MIT */
/*
 * groupmanagers - the GMSs of the domain: nodes are told of them at the login
 *
 * Theory of operation
 *
 * as/groupmanagers has a line for each, and one for each key; written anew by each change:
 *
 *     gms IDENTITY NAME ADDRESS[|ADDRESS]...
 *     key IDENTITY NUMBER KEY SECONDS
 *
 * A key gives Kngms to the logins of as.lifetime, which live as long again: after
 * twice that nobody has a login of it. A new one is drawn only while its GMS is
 * there to hear of it, but for the first, and at a start. Whoever loses the file loses
 * nothing: at the next subscription there is a new one, and nodes whose Kngms is not
 * known log in again.
 */
#include "servers/as/groupmanagers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/keysharing.h"
#include "libntmcrypto/groupnode.h"
#include "servers/datadir.h"
#include "servers/removed.h"

#define FILE_NAME      "as/groupmanagers"
#define FILE_MAX_BYTES 65536
#define WAYS_TEXT_MAX  (SERVERCONF_WAYS_MAX * (ADDR_TEXT_LEN + 1))

struct shared {
	uint64_t id;
	struct ntmc_key key;
	int64_t made;
};

struct groupmanager {
	uint8_t ed_pub[NTMC_KEY_LEN];
	char name[FQDN_MAX + 1];
	struct server_ways ways;
	struct shared keys[GROUPMANAGERS_KEYS]; /* oldest first */
	size_t n_keys;
};

struct groupmanagers {
	struct groupmanager list[GROUPMANAGERS_MAX];
	size_t n;
};

static struct groupmanager *find(struct groupmanagers *all,
				 const uint8_t *ed_pub)
{
	for (size_t i = 0; i < all->n; i++)
		if (!memcmp(all->list[i].ed_pub, ed_pub, NTMC_KEY_LEN))
			return &all->list[i];
	return NULL;
}

static bool was_removed(const struct as *as, const uint8_t *ed_pub)
{
	uint8_t fp[NTMC_FP_LEN];

	ntmc_fingerprint(ed_pub, fp);
	return removed_has(as->env->dir, fp);
}

/* --- the file ---------------------------------------------------------------------- */

static void put_server(FILE *f, const struct groupmanager *s)
{
	char hex[NTMC_FP_TEXT_LEN], key[NTMC_FP_TEXT_LEN], at[ADDR_TEXT_LEN];

	/* 32 bytes, as a fingerprint has */
	ntmc_fingerprint_text(s->ed_pub, hex);
	fprintf(f, "gms %s %s ", hex, s->name);
	for (size_t i = 0; i < s->ways.n; i++)
		fprintf(f, "%s%s", i ? "|" : "",
			addr_format(&s->ways.a[i], at));
	fputc('\n', f);
	for (size_t i = 0; i < s->n_keys; i++) {
		ntmc_fingerprint_text(s->keys[i].key.b, key);
		fprintf(f, "key %s %" PRIu64 " %s %" PRId64 "\n", hex,
			s->keys[i].id, key, s->keys[i].made);
	}
	ntmc_wipe(key, sizeof(key));
}

static int save(struct as *as)
{
	char path[DATADIR_PATH_MAX], *text = NULL;
	size_t len = 0;
	FILE *f;
	int r = datadir_path(as->env->dir, FILE_NAME, path);

	if (r)
		return r;
	f = open_memstream(&text, &len);
	if (!f)
		return -NTM_ENOMEM;
	for (size_t i = 0; i < as->groupmanagers->n; i++)
		put_server(f, &as->groupmanagers->list[i]);
	r = fclose(f) ? -NTM_ENOMEM : file_write(path, text, len, 0600);
	if (text)
		ntmc_wipe(text, len);
	free(text);
	return r;
}

static bool load_server(struct groupmanagers *all, const uint8_t *ed_pub,
			const char *name, const char *ways)
{
	struct server_ways list[SERVERCONF_ADDRESSES_MAX];
	struct groupmanager *s;

	if (all->n == GROUPMANAGERS_MAX || find(all, ed_pub) ||
	    strlen(name) > FQDN_MAX || serverconf_ways(ways, 0, list) != 1)
		return false;
	s = &all->list[all->n++];
	memcpy(s->ed_pub, ed_pub, NTMC_KEY_LEN);
	strcpy(s->name, name);
	s->ways = list[0];
	return true;
}

static bool load_key(struct groupmanager *s, const char *id, const char *hex,
		     const char *made)
{
	struct shared *k;
	char *end;

	if (!s || s->n_keys == GROUPMANAGERS_KEYS)
		return false;
	k = &s->keys[s->n_keys];
	k->id = strtoull(id, &end, 10);
	if (*end || !k->id || ntmc_fingerprint_parse(hex, k->key.b))
		return false;
	k->made = strtoll(made, &end, 10);
	s->n_keys += !*end;
	return !*end;
}

static bool load_line(struct groupmanagers *all, char *line)
{
	uint8_t ed_pub[NTMC_KEY_LEN];
	char *word[5], *rest = NULL;
	size_t n = 0;

	word[n] = strtok_r(line, " ", &rest);
	while (word[n] && ++n < 5)
		word[n] = strtok_r(NULL, " ", &rest);
	if (!n)
		return true;
	if (n < 4 || ntmc_fingerprint_parse(word[1], ed_pub))
		return false;
	if (n == 4 && !strcmp(word[0], "gms"))
		return load_server(all, ed_pub, word[2], word[3]);
	return n == 5 && !strcmp(word[0], "key") &&
	       load_key(find(all, ed_pub), word[2], word[3], word[4]);
}

void groupmanagers_free(struct as *as)
{
	if (as->groupmanagers)
		ntmc_wipe(as->groupmanagers, sizeof(*as->groupmanagers));
	free(as->groupmanagers);
	as->groupmanagers = NULL;
}

/* --- keys --------------------------------------------------------------------------- */

static struct as_conn *conn_of(struct as *as, const uint8_t *ed_pub)
{
	struct as_conn *conn, *tmp;

	HASH_ITER (hh, as->conns, conn, tmp) {
		const struct ntmc_cert *peer = channel_peer(conn->channel);

		if (conn->subscriber && peer &&
		    !memcmp(peer->ed_pub, ed_pub, NTMC_KEY_LEN))
			return conn;
	}
	return NULL;
}

static int tell_key(struct as *as, struct as_conn *conn, const struct shared *k)
{
	int64_t left = k->made + 2 * (int64_t)as->conf->as_lifetime -
		       loop_wall(as->loop);

	if (left <= 0)
		return 0;
	return keysharing_send(
		conn->channel,
		&(struct keysharing){.id = k->id,
				     .key = &k->key,
				     .aead = NTMC_AES_256_GCM,
				     .lifetime_s = (uint32_t)left});
}

static bool is_due(const struct as *as, const struct groupmanager *s)
{
	int64_t age;

	if (!s->n_keys)
		return true;
	age = loop_wall(as->loop) - s->keys[s->n_keys - 1].made;
	return age < 0 || age >= as->conf->as_lifetime;
}

static struct shared *draw(struct as *as, struct groupmanager *s)
{
	struct shared *k;

	if (s->n_keys == GROUPMANAGERS_KEYS)
		memmove(s->keys, s->keys + 1, --s->n_keys * sizeof(s->keys[0]));
	k = &s->keys[s->n_keys++];
	do
		ntmc_random(NULL, &k->id, sizeof(k->id));
	while (!k->id);
	ntmc_key_random(NULL, &k->key);
	k->made = loop_wall(as->loop);
	return k;
}

/* --- a GMS comes -------------------------------------------------------------------- */

static int take_ways(const Ntm__TokenSubscription *m, struct server_ways *out)
{
	out->n = 0;
	for (size_t i = 0; i < m->n_addresses && i < SERVERCONF_WAYS_MAX; i++)
		if (addr_from_message(m->addresses[i], &out->a[out->n++]))
			return -NTM_EINVAL;
	return out->n ? 0 : -NTM_EINVAL;
}

/* those that were taken back make room */
static void sweep(struct as *as)
{
	struct groupmanagers *all = as->groupmanagers;
	size_t i = 0;

	while (i < all->n)
		if (was_removed(as, all->list[i].ed_pub))
			all->list[i] = all->list[--all->n];
		else
			i++;
}

/* it is known from now on, with a key. Return: 0, -NTM_ELIMIT, -NTM_ESTORE ... */
static int put(struct as *as, const uint8_t *ed_pub, const char *name,
	       const struct server_ways *ways)
{
	struct groupmanagers *all = as->groupmanagers;
	struct groupmanager *s;

	sweep(as);
	s = find(all, ed_pub);
	if (!s && all->n == GROUPMANAGERS_MAX)
		return -NTM_ELIMIT;
	if (!s) {
		s = &all->list[all->n++];
		memset(s, 0, sizeof(*s));
		memcpy(s->ed_pub, ed_pub, NTMC_KEY_LEN);
	}
	strcpy(s->name, name);
	s->ways = *ways;
	if (is_due(as, s))
		draw(as, s);
	return save(as);
}

int groupmanagers_add(struct as_conn *conn, const Ntm__TokenSubscription *m)
{
	const struct ntmc_cert *peer = channel_peer(conn->channel);
	struct as *as = conn->as;
	struct groupmanager *s;
	struct server_ways ways;
	int r = take_ways(m, &ways);

	if (!r)
		r = put(as, peer->ed_pub, peer->fqdn, &ways);
	if (r)
		return r;
	s = find(as->groupmanagers, peer->ed_pub);
	for (size_t i = 0; !r && i < s->n_keys; i++)
		r = tell_key(as, conn, &s->keys[i]);
	return r;
}

/* --- at the start ------------------------------------------------------------------- */

/* The one on this machine may come later than the first login. */
static void add_own(struct as *as)
{
	const struct server_conf *c = as->conf;
	struct addr list[SERVERCONF_ADDRESSES_MAX];
	struct server_ways ways = {.n = 0};
	uint8_t der[NTMC_CERT_MAX];
	struct ntmc_cert cert;
	size_t len = sizeof(der);
	int n = serverconf_announced(c->gms_address, c->gms_listen,
				     (uint16_t)c->gms_port, list);
	int r = servercert_der(as->env->dir, "gms", der, &len);

	if (!r)
		r = ntmc_cert_parse(der, len, &cert);
	for (int i = 0; i < n && i < SERVERCONF_WAYS_MAX; i++)
		ways.a[ways.n++] = list[i];
	if (!r && ways.n)
		r = put(as, cert.ed_pub, cert.fqdn, &ways);
	if (r || !ways.n)
		log_err("as", "the GMS here cannot be told to nodes: %s",
			err_text(r ? r : -NTM_ECONF));
}

int groupmanagers_load(struct as *as)
{
	char path[DATADIR_PATH_MAX], *text, *line;
	uint8_t *data;
	size_t len;
	int r;

	as->groupmanagers = calloc(1, sizeof(*as->groupmanagers));
	if (!as->groupmanagers)
		return -NTM_ENOMEM;
	r = datadir_path(as->env->dir, FILE_NAME, path);
	if (!r)
		r = file_read(path, FILE_MAX_BYTES, &data, &len);
	if (r && r != -NTM_ENOTFOUND)
		log_err("as", "%s cannot be read: %s", path, err_text(r));
	if (!r) {
		text = (char *)data;
		while ((line = strsep(&text, "\n")))
			if (!load_line(as->groupmanagers, line))
				log_err("as",
					"%s: a line of it says nothing; left "
					"out",
					path);
		file_free(data, len);
	}
	if (serverconf_has_role(as->conf->roles, "gms"))
		add_own(as);
	return 0;
}

/* --- a node logs in ------------------------------------------------------------------- */

static void renew(struct as *as, struct groupmanager *s)
{
	struct as_conn *conn = is_due(as, s) ? conn_of(as, s->ed_pub) : NULL;

	if (!conn)
		return;
	if (tell_key(as, conn, draw(as, s)))
		log_debug("as", "a GMS was not told of a key");
	if (save(as))
		log_err("as", "%s cannot be written; check the disk",
			FILE_NAME);
}

void groupmanagers_name(struct as *as, uint64_t node_id,
			const uint8_t ed_pub[static NTMC_KEY_LEN],
			Ntm__LoginResponse *body, struct groupmanagers_named *n)
{
	body->group_managers = n->list;
	for (size_t i = 0; i < as->groupmanagers->n; i++) {
		struct groupmanager *s = &as->groupmanagers->list[i];
		size_t at = body->n_group_managers, k;
		Ntm__GroupManager *msg = &n->msg[at];

		if (was_removed(as, s->ed_pub))
			continue;
		renew(as, s);
		if (!s->n_keys || group_node_key(&s->keys[s->n_keys - 1].key,
						 node_id, ed_pub, &n->key[at]))
			continue;
		ntm__group_manager__init(msg);
		msg->name = s->name;
		msg->ed_pub = (ProtobufCBinaryData){NTMC_KEY_LEN, s->ed_pub};
		msg->key_id = s->keys[s->n_keys - 1].id;
		msg->key = (ProtobufCBinaryData){NTMC_KEY_LEN, n->key[at].b};
		for (k = 0; k < s->ways.n; k++) {
			ntm__address__init(&n->at[at][k]);
			addr_to_message(&s->ways.a[k],
					NTM__ADDRESS_KIND__ADDRESS_LOCAL,
					&n->at[at][k]);
			n->ways[at][k] = &n->at[at][k];
		}
		msg->n_addresses = s->ways.n;
		msg->addresses = n->ways[at];
		n->list[body->n_group_managers++] = msg;
	}
}

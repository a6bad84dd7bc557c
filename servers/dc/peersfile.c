/* SPDX-License-Identifier: MIT */
/*
 * peersfile - dc/peers: the domains that an administrator added, a line each
 *
 *     DOMAIN SHA256 [ADDRESS[|ADDRESS]...]
 *     DOMAIN -				that is blocked, with all under it
 *
 * Written anew by each command, and durable before it is answered. A line that is
 * none is logged and kept out: nobody is trusted by mistake.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/log.h"
#include "servers/datadir.h"
#include "servers/dc/abroad.h"
#include "servers/dc/domains_impl.h"
#include "servers/dc/state.h"

#define FILE_MAX_BYTES (256 * 1024)
#define WAYS_TEXT_MAX  320

/* --- one line ------------------------------------------------------------------- */

struct peer_line {
	char name[FQDN_MAX + 1];
	uint8_t fp[NTMC_FP_LEN];
	struct server_ways ways;
};

/* @error: DOMAIN_WHY_MAX bytes */
static int line_make(const struct dc *dc, const char *name, const char *fp,
		     const char *ways, struct peer_line *out, char *error)
{
	struct server_ways list[SERVERCONF_ADDRESSES_MAX];

	memset(out, 0, sizeof(*out));
	if (fqdn_normalize(name, out->name)) {
		snprintf(error, DOMAIN_WHY_MAX, "%.80s is not a domain", name);
		return -NTM_EINVAL;
	}
	if (ntmc_fingerprint_parse(fp, out->fp)) {
		snprintf(error, DOMAIN_WHY_MAX,
			 "%.80s is not a CA's fingerprint: 64 hexadecimal "
			 "digits, behind # in its join string",
			 fp);
		return -NTM_EINVAL;
	}
	if (ways && *ways) {
		if (serverconf_ways(ways, (uint16_t)dc->conf->dc_port, list) !=
		    1) {
			snprintf(error, DOMAIN_WHY_MAX,
				 "%.80s is not ADDRESS[:PORT], or several with "
				 "| between them",
				 ways);
			return -NTM_EINVAL;
		}
		out->ways = list[0];
	}
	if (domains_blocked(dc, out->name)) {
		snprintf(error, DOMAIN_WHY_MAX,
			 "%.80s is blocked: run `ntm-server peer unblock`",
			 out->name);
		return -NTM_EPERM;
	}
	return domains_conflict(dc, out->name, out->fp, error)
		       ? -NTM_ECONSTRAINT
		       : 0;
}

static int line_take(struct dc *dc, const struct peer_line *l)
{
	struct domain *d = domains_find(dc, l->name);

	/* another CA, another place: no key of before is good any more; but whom its
	 * nodes met is still to be told of withdrawals */
	if (d && d->has_fp && memcmp(d->fp, l->fp, NTMC_FP_LEN))
		domain_other_ca(dc, d);
	if (d)
		domain_reset(dc, d);
	else
		d = domain_put(dc, l->name);
	if (!d)
		return -NTM_ELIMIT;
	d->added = d->has_fp = true;
	memcpy(d->fp, l->fp, NTMC_FP_LEN);
	d->fixed = l->ways;
	return 0;
}

static void ways_text(const struct server_ways *w, char out[WAYS_TEXT_MAX])
{
	char text[ADDR_TEXT_LEN];
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < w->n; i++)
		used += (size_t)snprintf(out + used, WAYS_TEXT_MAX - used,
					 "%s%s", i ? "|" : "",
					 addr_format(&w->a[i], text));
}

/* --- the file ---------------------------------------------------------------------- */

static int save(struct dc *dc)
{
	char path[DATADIR_PATH_MAX], *text = NULL, fp[NTMC_FP_TEXT_LEN],
				     ways[WAYS_TEXT_MAX];
	size_t len = 0;
	FILE *f;
	int r = datadir_file(dc->env->dir, DATADIR_DC_PEERS, path);

	if (r)
		return r;
	f = open_memstream(&text, &len);
	if (!f)
		return -NTM_ENOMEM;
	fputs("# other domains, by `ntm-server peer`: DOMAIN SHA256 "
	      "[ADDRESS], or DOMAIN - where it is blocked\n",
	      f);
	for (size_t i = 0; i < dc->domains->n_blocked; i++)
		fprintf(f, "%s -\n", dc->domains->blocked[i]);
	for (size_t i = 0; i < DOMAINS_MAX; i++) {
		const struct domain *d = dc->domains->list[i];

		if (!d || !d->added)
			continue;
		ntmc_fingerprint_text(d->fp, fp);
		ways_text(&d->fixed, ways);
		fprintf(f, "%s %s%s%s\n", d->name, fp, ways[0] ? " " : "",
			ways);
	}
	r = fclose(f) ? -NTM_ENOMEM : file_write(path, text, len, 0600);
	free(text);
	return r;
}

/* --- blocks ------------------------------------------------------------------------ */

/* its number; n_blocked: it is not blocked itself */
static size_t block_find(const struct domains *ds, const char *name)
{
	size_t i = 0;

	while (i < ds->n_blocked && strcmp(ds->blocked[i], name) != 0)
		i++;
	return i;
}

/* an added peer is removed by name first: nobody loses one by a word about others */
static const struct domain *added_within(const struct dc *dc, const char *name)
{
	for (size_t i = 0; i < DOMAINS_MAX; i++) {
		const struct domain *d = dc->domains->list[i];

		if (d && d->added && fqdn_is_within(d->name, name))
			return d;
	}
	return NULL;
}

/* @error: DOMAIN_WHY_MAX bytes */
static int block_take(struct dc *dc, const char *name, char *error)
{
	struct domains *ds = dc->domains;
	const struct domain *peer;
	char norm[FQDN_MAX + 1];

	if (fqdn_normalize(name, norm)) {
		snprintf(error, DOMAIN_WHY_MAX, "%.80s is not a domain", name);
		return -NTM_EINVAL;
	}
	if (fqdn_is_within(dc->cert.domain.domain, norm)) {
		snprintf(error, DOMAIN_WHY_MAX, "%.80s is this server's own",
			 norm);
		return -NTM_EINVAL;
	}
	peer = added_within(dc, norm);
	if (peer) {
		snprintf(error, DOMAIN_WHY_MAX,
			 "%.60s was added: run `ntm-server peer remove` for it "
			 "first",
			 peer->name);
		return -NTM_EEXISTS;
	}
	if (block_find(ds, norm) < ds->n_blocked)
		return 0;
	if (ds->n_blocked == DOMAIN_BLOCKS_MAX) {
		snprintf(error, DOMAIN_WHY_MAX, "%u domains are blocked: %s",
			 DOMAIN_BLOCKS_MAX, err_text(NTM_ELIMIT));
		return -NTM_ELIMIT;
	}
	strcpy(ds->blocked[ds->n_blocked++], norm);
	return 0;
}

static void block_drop(struct domains *ds, size_t i)
{
	ds->n_blocked--;
	memmove(ds->blocked[i], ds->blocked[i + 1],
		(ds->n_blocked - i) * sizeof(ds->blocked[0]));
}

static void load_line(struct dc *dc, char *line, unsigned int number)
{
	char *save_ptr = NULL, error[DOMAIN_WHY_MAX] = "";
	char *name = strtok_r(line, " \t", &save_ptr);
	char *fp = strtok_r(NULL, " \t", &save_ptr);
	char *ways = strtok_r(NULL, " \t", &save_ptr);
	struct peer_line l;

	if (!name || *name == '#')
		return;
	if (!fp || strtok_r(NULL, " \t", &save_ptr))
		snprintf(error, sizeof(error), "not DOMAIN SHA256 [ADDRESS]");
	else if (!strcmp(fp, "-"))
		(void)block_take(dc, name, error); /* it said why */
	else if (!line_make(dc, name, fp, ways, &l, error) && line_take(dc, &l))
		snprintf(error, sizeof(error), "too many");
	if (error[0])
		log_err("domains", "dc/peers:%u: %s; left out", number, error);
}

int peersfile_load(struct dc *dc)
{
	char path[DATADIR_PATH_MAX], *text, *line;
	unsigned int number = 0;
	uint8_t *data;
	size_t len;
	int r = datadir_file(dc->env->dir, DATADIR_DC_PEERS, path);

	if (!r)
		r = file_read(path, FILE_MAX_BYTES, &data, &len);
	if (r == -NTM_ENOTFOUND)
		return 0;
	if (r) {
		log_err("domains", "%s cannot be read: %s", path, err_text(r));
		return r;
	}
	text = (char *)data;
	while ((line = strsep(&text, "\n")))
		load_line(dc, line, ++number);
	file_free(data, len);
	return 0;
}

/* --- commands ------------------------------------------------------------------------ */

static json_t *failed(const char *why)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", why);
}

static json_t *peer_add(struct dc *dc, json_t *request)
{
	const char *name =
		json_string_value(json_object_get(request, "domain"));
	const char *fp = json_string_value(json_object_get(request, "ca"));
	const char *at = json_string_value(json_object_get(request, "address"));
	char error[DOMAIN_WHY_MAX];
	struct peer_line l;
	int r;

	if (!name || !fp)
		return failed("domain and fingerprint are missing");
	if (line_make(dc, name, fp, at, &l, error))
		return failed(error);
	r = line_take(dc, &l);
	if (!r)
		r = save(dc);
	if (r && domains_find(dc, l.name)) { /* not durable: as it was */
		domain_drop(dc, domains_find(dc, l.name));
		if (peersfile_load(dc))
			log_err("domains", "dc/peers is not read again");
	}
	return r ? failed(err_text(r))
		 : json_pack("{s:b, s:s}", "ok", 1, "domain", l.name);
}

static json_t *peer_remove(struct dc *dc, json_t *request)
{
	const char *name =
		json_string_value(json_object_get(request, "domain"));
	char norm[FQDN_MAX + 1];
	struct domain *d = name && !fqdn_normalize(name, norm)
				   ? domains_find(dc, norm)
				   : NULL;
	int r;

	if (d && !d->added)
		return failed("nobody added it; `ntm-server peer block` is "
			      "for those whom DNSSEC vouches for");
	if (!d)
		return failed("no such peer");
	d->added = false;
	r = save(dc);
	if (r) {
		d->added = true;
		return failed(err_text(r));
	}
	log_info("domains", "%s was removed", d->name);
	guests_removed(dc, d);
	domain_drop(dc, d);
	return json_pack("{s:b}", "ok", 1);
}

static json_t *peer_block(struct dc *dc, json_t *request)
{
	const char *name =
		json_string_value(json_object_get(request, "domain"));
	struct domains *ds = dc->domains;
	char error[DOMAIN_WHY_MAX];
	size_t was = ds->n_blocked;
	int r;

	if (!name)
		return failed("the domain is missing");
	if (block_take(dc, name, error))
		return failed(error);
	r = save(dc);
	if (r) {
		ds->n_blocked = was;
		return failed(err_text(r));
	}
	for (size_t i = 0; i < DOMAINS_MAX; i++) {
		struct domain *d = ds->list[i];

		if (!d || !domains_blocked(dc, d->name))
			continue;
		log_info("domains", "%s was blocked", d->name);
		guests_removed(dc, d);
		domain_drop(dc, d);
	}
	return json_pack("{s:b}", "ok", 1);
}

static json_t *peer_unblock(struct dc *dc, json_t *request)
{
	const char *name =
		json_string_value(json_object_get(request, "domain"));
	struct domains *ds = dc->domains;
	char norm[FQDN_MAX + 1];
	size_t i = name && !fqdn_normalize(name, norm) ? block_find(ds, norm)
						       : ds->n_blocked;
	int r;

	if (i == ds->n_blocked)
		return failed("it is not blocked; `ntm-server peer list` says "
			      "what is");
	block_drop(ds, i);
	r = save(dc);
	if (r) {
		strcpy(ds->blocked[ds->n_blocked++], norm);
		return failed(err_text(r));
	}
	return json_pack("{s:b}", "ok", 1);
}

static json_t *peer_list(struct dc *dc)
{
	json_t *blocked = json_array();

	for (size_t i = 0; i < dc->domains->n_blocked; i++)
		json_array_append_new(blocked,
				      json_string(dc->domains->blocked[i]));
	return json_pack("{s:b, s:o, s:o}", "ok", 1, "peers", domains_admin(dc),
			 "blocked", blocked);
}

json_t *peersfile_admin(struct dc *dc, const char *command, json_t *request)
{
	if (!strcmp(command, "peer-add"))
		return peer_add(dc, request);
	if (!strcmp(command, "peer-remove"))
		return peer_remove(dc, request);
	if (!strcmp(command, "peer-block"))
		return peer_block(dc, request);
	if (!strcmp(command, "peer-unblock"))
		return peer_unblock(dc, request);
	if (!strcmp(command, "peer-list"))
		return peer_list(dc);
	return NULL;
}

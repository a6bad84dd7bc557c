/* SPDX-License-Identifier: MIT */
/* init - `ntm-server init`: a domain's CA, keys, configuration and stores */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/fqdn.h"
#include "servers/as/accounts.h"
#include "servers/cli.h"
#include "servers/dc/journal.h"
#include "servers/servercert.h"

#define DNS_PORT_UNPRIVILEGED "4553"
#define TLS_PORT	      443
#define TLS_PORT_UNPRIVILEGED "4443"
#define LIST_MAX	      512
#define CONF_VALUES	      13 /* those that make_conf() may set */

static int make_ca(const char *dir, const char *domain,
		   const struct server_slice *slice, struct ntmc_ca **out)
{
	char key[DATADIR_PATH_MAX], cert[DATADIR_PATH_MAX],
		copy[DATADIR_PATH_MAX];
	uint8_t der[NTMC_CERT_MAX], prefix6[16];
	size_t len = sizeof(der);
	int r = datadir_file(dir, DATADIR_CA_KEY, key);

	if (!r)
		r = datadir_file(dir, DATADIR_CA_CERT, cert);
	if (!r)
		r = datadir_file(dir, DATADIR_DC_CA, copy);
	if (!r)
		r = ntmc_ca_new(NULL, domain, slice->prefix, slice->len,
				SERVERCERT_CA_DAYS, out, prefix6);
	if (!r)
		r = ntmc_ca_save(*out, key, cert);
	if (!r)
		r = ntmc_ca_der(*out, der, &len);
	return r ? r : file_write(copy, der, len, 0600);
}

static int make_stores(const char *dir)
{
	char path[DATADIR_PATH_MAX];
	struct accounts *a;
	struct journal *j;
	int r = datadir_file(dir, DATADIR_AS_DB, path);

	if (!r)
		r = accounts_open(path, &a);
	if (r)
		return r;
	accounts_close(a);
	r = datadir_file(dir, DATADIR_DC_DB, path);
	if (!r)
		r = journal_open(path, false, &j);
	if (!r)
		journal_close(j);
	return r;
}

/* may our user bind that port? */
static bool may_bind(int port)
{
	FILE *f;
	int start = 1024;

	if (geteuid() == 0)
		return true;
	f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
	if (f && fscanf(f, "%d", &start) != 1)
		start = 1024;
	if (f)
		fclose(f);
	return start <= port;
}

static int make_conf(const struct cli *c, const char *domain, bool dns53)
{
	struct server_conf_value v[CONF_VALUES] = {
		{"server", "domain", domain}};
	char path[DATADIR_PATH_MAX], list[LIST_MAX] = "";
	size_t n = 1, used = 0;
	int r = datadir_file(c->dir, DATADIR_CONF, path);

	for (size_t i = 0; i < c->n_listen && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used,
					 "%s%s", i ? ", " : "", c->listen[i]);
	if (used >= sizeof(list))
		return -NTM_EINVAL;
	if (used) {
		v[n++] = (struct server_conf_value){"as", "listen", list};
		v[n++] = (struct server_conf_value){"dc", "listen", list};
		v[n++] = (struct server_conf_value){"rs", "listen", list};
		v[n++] = (struct server_conf_value){"exit", "listen", list};
		v[n++] = (struct server_conf_value){"ns", "listen", list};
		v[n++] = (struct server_conf_value){"cs", "listen", list};
		v[n++] = (struct server_conf_value){"gms", "listen", list};
		v[n++] = (struct server_conf_value){"box", "listen", list};
		v[n++] = (struct server_conf_value){"dns", "listen", list};
	}
	if (c->slice)
		v[n++] = (struct server_conf_value){"dc", "slice", c->slice};
	if (!dns53)
		v[n++] = (struct server_conf_value){"dns", "port",
						    DNS_PORT_UNPRIVILEGED};
	if (!may_bind(TLS_PORT))
		v[n++] = (struct server_conf_value){"rs", "tls_port",
						    TLS_PORT_UNPRIVILEGED};
	return r ? r : serverconf_write(path, v, n);
}

static int make_all(const struct cli *c, const char *domain,
		    const struct server_slice *slice, bool dns53)
{
	struct ntmc_ca *ca = NULL;
	int r = make_ca(c->dir, domain, slice, &ca);

	if (!r)
		r = servercert_renew(c->dir, ca, domain, ntmc_now(NULL), true,
				     NULL);
	ntmc_ca_free(ca);
	if (!r)
		r = make_stores(c->dir);
	/* last: with it the folder is complete */
	return r ? r : make_conf(c, domain, dns53);
}

static int check_listen(const struct cli *c)
{
	struct addr list[SERVERCONF_ADDRESSES_MAX];

	for (size_t i = 0; i < c->n_listen; i++)
		if (strchr(c->listen[i], ',') ||
		    serverconf_addresses(c->listen[i], 1, list) != 1)
			return cli_fail("%s is not an address", c->listen[i]);
	return 0;
}

static int check_args(const struct cli *c, char domain[static FQDN_MAX + 1],
		      struct server_slice *slice)
{
	if (!c->domain) {
		cli_fail("init needs --domain; see ntm-server --help");
		return CLI_USAGE;
	}
	if (fqdn_normalize(c->domain, domain))
		return cli_fail("%s is not a domain name", c->domain);
	if (serverconf_slice(c->slice ? c->slice : "198.18.0.0/15", slice))
		return cli_fail("%s is not an IPv4 prefix of length 8 to 24",
				c->slice);
	return check_listen(c);
}

int cli_init(struct cli *c)
{
	char domain[FQDN_MAX + 1];
	struct server_slice slice;
	bool dns53 = may_bind(53), away = c->relay || c->ns || c->cs;
	int r;

	if ((away && (c->domain || c->slice)) ||
	    !!c->relay + !!c->ns + !!c->cs > 1) {
		cli_fail("--relay, --ns or --cs FILE says the domain, and "
			 "stands alone");
		return CLI_USAGE;
	}
	r = away ? check_listen(c) : check_args(c, domain, &slice);
	if (r)
		return r;
	if (away)
		return cli_init_away(c);
	r = cli_make_dir(c, false, "nothing was changed");
	if (r)
		return r;
	r = datadir_enter(c->dir);
	if (!r)
		r = make_all(c, domain, &slice, dns53);
	if (r)
		return cli_fail("%s: %s", c->dir, err_text(r));
	printf("Domain %s is ready in %s.\n", domain, c->dir);
	if (!dns53)
		printf("DNS listens on port %s: port 53 is for root.\n",
		       DNS_PORT_UNPRIVILEGED);
	if (!may_bind(TLS_PORT))
		printf("Nodes without UDP reach the relay on port %s: port "
		       "%d is for root.\n",
		       TLS_PORT_UNPRIVILEGED, TLS_PORT);
	printf("Next: ntm-server account add NAME; ntm-server run; "
	       "ntm-server join-string\n");
	return 0;
}

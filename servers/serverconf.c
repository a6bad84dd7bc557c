/* SPDX-License-Identifier: MIT */
/* serverconf - the configuration of ntm-server and what follows from it */
#include "servers/serverconf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/fqdn.h"
#include "servers/dns/rate.h"
#include "servers/exit/filter.h"
#include "servers/role.h"

static const struct conf_key keys[] = {
#define CONF(section_, key_, type_, field_, dflt_, help_)                      \
	{.section = section_,                                                  \
	 .key = key_,                                                          \
	 .type = CONF_##type_,                                                 \
	 .offset = offsetof(struct server_conf, field_),                       \
	 .dflt = dflt_,                                                        \
	 .help = help_},
#include "servers/server.def"
#undef CONF
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

/* next item of a comma separated list, trimmed; false at the end */
static bool list_next(const char **list, char *item, size_t size)
{
	const char *p = *list, *end;
	size_t len;

	if (!p)
		return false;
	end = strchr(p, ',');
	len = end ? (size_t)(end - p) : strlen(p);
	*list = end ? end + 1 : NULL;
	while (len && isspace((unsigned char)*p)) {
		p++;
		len--;
	}
	while (len && isspace((unsigned char)p[len - 1]))
		len--;
	if (len >= size)
		len = size - 1; /* no address or role is that long: not found */
	memcpy(item, p, len);
	item[len] = '\0';
	return true;
}

int serverconf_addresses(const char *list, uint16_t port,
			 struct addr out[static SERVERCONF_ADDRESSES_MAX])
{
	char item[ADDR_TEXT_LEN];
	int n = 0;

	if (!list || !*list)
		return 0;
	while (list_next(&list, item, sizeof(item))) {
		if (n == SERVERCONF_ADDRESSES_MAX ||
		    addr_parse(item, port, &out[n]))
			return -NTM_EINVAL;
		n++;
	}
	return n;
}

/* one item of serverconf_ways(); destroyed */
static bool take_ways(char *item, uint16_t port, struct server_ways *out)
{
	char *next = item, *way;

	out->n = 0;
	while ((way = strsep(&next, "|"))) {
		if (out->n == SERVERCONF_WAYS_MAX ||
		    addr_parse(way, port, &out->a[out->n]))
			return false;
		out->n++;
	}
	return true;
}

int serverconf_ways(const char *list, uint16_t port,
		    struct server_ways out[static SERVERCONF_ADDRESSES_MAX])
{
	char item[SERVERCONF_WAYS_MAX * ADDR_TEXT_LEN];
	int n = 0;

	if (!list || !*list)
		return 0;
	while (list_next(&list, item, sizeof(item))) {
		if (n == SERVERCONF_ADDRESSES_MAX ||
		    !take_ways(item, port, &out[n]))
			return -NTM_EINVAL;
		n++;
	}
	return n;
}

static bool is_wildcard(const struct addr *a)
{
	static const uint8_t zero[16];
	size_t len;
	const uint8_t *ip = addr_ip(a, &len);

	return ip && !memcmp(ip, zero, len);
}

/* this machine's addresses of one family: those that others can use first */
static int add_interfaces(sa_family_t family, uint16_t port, struct addr *out,
			  int n)
{
	struct ifaddrs *list, *i;
	struct addr a;
	int start = n;

	if (getifaddrs(&list))
		return n;
	for (i = list; i && n < SERVERCONF_ADDRESSES_MAX; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != family ||
		    !(i->ifa_flags & IFF_UP) ||
		    addr_from_sockaddr(i->ifa_addr, sizeof(struct sockaddr_in6),
				       &a))
			continue;
		addr_set_port(&a, port);
		if (addr_is_usable_remote(&a))
			out[n++] = a;
	}
	freeifaddrs(list);
	if (n == start && start == 0 && n < SERVERCONF_ADDRESSES_MAX &&
	    !addr_parse(family == AF_INET ? "127.0.0.1" : "::1", port, &a))
		out[n++] = a;
	return n;
}

int serverconf_reachable(struct addr *a)
{
	size_t len;
	const uint8_t *ip = addr_ip(a, &len);

	for (size_t i = 0; i < len; i++)
		if (ip[i])
			return 0;
	return addr_parse(len == 4 ? "127.0.0.1" : "::1", addr_port(a), a);
}

int serverconf_announced(const char *address, const char *listen, uint16_t port,
			 struct addr out[static SERVERCONF_ADDRESSES_MAX])
{
	struct addr bound[SERVERCONF_ADDRESSES_MAX];
	int n_bound, n = 0;

	if (address && *address)
		return serverconf_addresses(address, port, out);
	n_bound = serverconf_addresses(listen, port, bound);
	for (int i = 0; i < n_bound && n < SERVERCONF_ADDRESSES_MAX; i++) {
		if (is_wildcard(&bound[i]))
			n = add_interfaces(bound[i].sa.sa_family,
					   addr_port(&bound[i]), out, n);
		else
			out[n++] = bound[i];
	}
	return n_bound < 0 ? n_bound : n;
}

int serverconf_own_dc(const struct server_conf *c, struct addr *out)
{
	struct addr a[SERVERCONF_ADDRESSES_MAX];
	int n = serverconf_addresses(c->dc_listen, (uint16_t)c->dc_port, a);

	if (n < 1)
		return -NTM_ECONF;
	*out = a[0];
	return serverconf_reachable(out);
}

int serverconf_slice(const char *text, struct server_slice *out)
{
	char copy[32], *slash, *end;
	struct in_addr in;
	unsigned long len;
	uint32_t host;

	if (strlen(text) >= sizeof(copy))
		return -NTM_EINVAL;
	strcpy(copy, text);
	slash = strchr(copy, '/');
	if (!slash)
		return -NTM_EINVAL;
	*slash++ = '\0';
	if (!isdigit((unsigned char)*slash) ||
	    inet_pton(AF_INET, copy, &in) != 1)
		return -NTM_EINVAL;
	len = strtoul(slash, &end, 10);
	if (*end || len < 8 || len > 24)
		return -NTM_EINVAL;
	host = 0xffffffffu >> len;
	if (ntohl(in.s_addr) & host)
		return -NTM_EINVAL;
	memcpy(out->prefix, &in, 4);
	out->len = (unsigned int)len;
	return 0;
}

bool serverconf_has_role(const char *list, const char *role)
{
	char item[32];

	while (list_next(&list, item, sizeof(item)))
		if (!strcmp(item, role))
			return true;
	return false;
}

static const char *check_roles(const struct server_conf *c)
{
	const char *list = c->roles;
	char item[32];
	bool any = false;

	while (list_next(&list, item, sizeof(item))) {
		const struct role *r = role_find(item);

		if (!r || !r->configured)
			return "server.roles names a role that does not exist";
		any = true;
	}
	return any ? NULL : "server.roles is empty";
}

static const char *check_exit(const struct server_conf *c)
{
	struct addr a[SERVERCONF_ADDRESSES_MAX];
	int n = serverconf_addresses(c->exit_listen, 1, a);
	struct filter_list list;
	struct filter f;

	if (n < 1 || n > 2 ||
	    (n == 2 && a[0].sa.sa_family == a[1].sa.sa_family))
		return "exit.listen is not one address of each family, or of "
		       "one";
	if (!c->exit_port || c->exit_port > 65535)
		return "exit.port is not between 1 and 65535";
	if (filter_list_parse(c->exit_allow, &list) ||
	    filter_list_parse(c->exit_deny, &list))
		return "exit.allow or exit.deny is not a list of up to 64 "
		       "prefixes";
	if (filter_ports_parse(c->exit_closed_ports, &f))
		return "exit.closed_ports is not a list of up to 16 ports";
	if (!c->exit_sockets || c->exit_sockets > 65536)
		return "exit.sockets is not between 1 and 65536";
	return NULL;
}

static const char *check_keepalive(const struct server_conf *c)
{
	if (c->dc_keepalive < 1 || c->dc_keepalive > 3600)
		return "dc.keepalive is not between 1s and 1h";
	if (c->ns_keepalive < 10 || c->ns_keepalive_max > 7200 ||
	    c->ns_keepalive_max < c->ns_keepalive)
		return "ns.keepalive and ns.keepalive_max are not between 10s "
		       "and 2h, in that order";
	if (!c->ns_connections || c->ns_connections > 1000000)
		return "ns.connections is not between 1 and 1000000";
	if (c->dc_keepalive_max > 300)
		return "dc.keepalive_max is above 5m";
	return NULL;
}

static const char *check_cs(const struct server_conf *c)
{
	struct server_ways ways[SERVERCONF_ADDRESSES_MAX];
	struct addr a[SERVERCONF_ADDRESSES_MAX];

	if (!c->cs_port || c->cs_port > 65535)
		return "cs.port is not between 1 and 65535";
	if (serverconf_addresses(c->cs_listen, 1, a) < 1 ||
	    serverconf_addresses(c->cs_address, 1, a) < 0)
		return "cs.listen or cs.address is not a list of addresses";
	if (serverconf_ways(c->cs_as, 1, ways) < 0 ||
	    serverconf_ways(c->cs_box, 1, ways) < 0)
		return "cs.as or cs.box is not ADDRESS:PORT";
	if (c->cs_lifetime < 3600 || c->cs_lifetime > 30 * 86400)
		return "cs.lifetime is not between 1h and 30d";
	if (!c->cs_connections || c->cs_connections > 1000000 ||
	    !c->cs_source_connections)
		return "cs.connections is not between 1 and 1000000, or "
		       "cs.source_connections is 0";
	return NULL;
}

static const char *check_gms(const struct server_conf *c)
{
	struct server_ways ways[SERVERCONF_ADDRESSES_MAX];
	struct addr a[SERVERCONF_ADDRESSES_MAX];

	if (!c->gms_port || c->gms_port > 65535)
		return "gms.port is not between 1 and 65535";
	if (serverconf_addresses(c->gms_listen, 1, a) < 1 ||
	    serverconf_addresses(c->gms_address, 1, a) < 0)
		return "gms.listen or gms.address is not a list of addresses";
	if (serverconf_ways(c->gms_dc, 1, ways) < 0)
		return "gms.dc is not ADDRESS:PORT, addresses of one with | "
		       "between them";
	return NULL;
}

static const char *check_rest(const struct server_conf *c)
{
	const char *wrong = check_keepalive(c);

	if (!wrong)
		wrong = check_cs(c);
	if (!wrong)
		wrong = check_gms(c);
	return wrong ? wrong : check_roles(c);
}

/* Return: NULL, or what is wrong */
static const char *check(struct server_conf *c)
{
	struct server_ways ways[SERVERCONF_ADDRESSES_MAX];
	struct addr a[SERVERCONF_ADDRESSES_MAX];
	struct server_slice slice;
	enum log_level level;

	if (!c->domain)
		return "server.domain is missing";
	if (fqdn_normalize(c->domain, c->domain))
		return "server.domain is not a domain name";
	if (!log_level_parse(c->log_level, &level))
		return "server.log_level is not err, warn, info or debug";
	if (!c->as_port || c->as_port > 65535 || !c->dc_port ||
	    c->dc_port > 65535 || !c->dns_port || c->dns_port > 65535 ||
	    !c->rs_port || c->rs_port > 65535 || c->rs_other_port > 65535 ||
	    !c->ns_port || c->ns_port > 65535)
		return "a port is not between 1 and 65535";
	if (serverconf_addresses(c->as_listen, 1, a) < 1 ||
	    serverconf_addresses(c->dc_listen, 1, a) < 1 ||
	    serverconf_addresses(c->dns_listen, 1, a) < 1 ||
	    serverconf_addresses(c->rs_listen, 1, a) < 1 ||
	    serverconf_addresses(c->ns_listen, 1, a) < 1)
		return "a listen list is not 1 to 8 addresses";
	if (serverconf_addresses(c->as_address, 1, a) < 0 ||
	    serverconf_addresses(c->dc_address, 1, a) < 0 ||
	    serverconf_addresses(c->rs_address, 1, a) < 0 ||
	    serverconf_addresses(c->ns_address, 1, a) < 0 ||
	    serverconf_ways(c->ns_dc, 1, ways) < 0 ||
	    serverconf_ways(c->rs_dc, 1, ways) < 0)
		return "an address list is not up to 8 addresses";
	if (c->as_dc && addr_parse(c->as_dc, (uint16_t)c->dc_port, &a[0]))
		return "as.dc is not ADDRESS:PORT";
	if (serverconf_slice(c->dc_slice, &slice))
		return "dc.slice is not an IPv4 prefix of length 8 to 24";
	if (c->as_lifetime < 600 || c->as_lifetime > 30 * 86400)
		return "as.lifetime is not between 10m and 30d";
	if (!c->as_device_limit || c->as_device_limit > 256)
		return "as.device_limit is not between 1 and 256";
	if (c->dc_direction_burst < 1 || c->dc_direction_burst > 60000)
		return "dc.direction_burst is not between 1 and 60000";
	if (c->rs_tls_port > 65535)
		return "rs.tls_port is not between 0 and 65535";
	if (c->rs_port == c->rs_other_port)
		return "rs.other_port is rs.port";
	if (serverconf_has_role(c->roles, "rs") &&
	    serverconf_has_role(c->roles, "dc") && c->dns_enable &&
	    (c->dns_port == c->rs_port || c->dns_port == c->rs_other_port))
		return "dns.port is one of rs's ports";
	if (c->rs_threads > ROLE_COPIES_MAX)
		return "rs.threads is more than 16";
	if (!c->rs_paths || c->rs_paths > 1u << 24)
		return "rs.paths is not between 1 and 16777216";
	if (c->dns_rate > RATE_MAX)
		return "dns.rate is not between 0 and 100000";
	if (c->dns_slip > RATE_SLIP_MAX)
		return "dns.slip is not between 0 and 100";
	if (serverconf_has_role(c->roles, "exit") && check_exit(c))
		return check_exit(c);
	return check_rest(c);
}

int serverconf_load(const char *path, struct server_conf *out,
		    char error[static SERVERCONF_ERROR_LEN])
{
	struct server_conf c = {.domain = NULL};
	const char *wrong;
	int r;

	error[0] = '\0';
	r = conf_defaults(keys, N_KEYS, &c);
	if (!r)
		r = conf_load(keys, N_KEYS, path, &c, error,
			      SERVERCONF_ERROR_LEN);
	if (!r) {
		wrong = check(&c);
		if (wrong) {
			snprintf(error, SERVERCONF_ERROR_LEN, "%s: %s", path,
				 wrong);
			r = -NTM_ECONF;
		}
	}
	if (r) {
		conf_clear(keys, N_KEYS, &c);
		if (!error[0])
			snprintf(error, SERVERCONF_ERROR_LEN, "%s: %s", path,
				 err_text(r));
		return r;
	}
	*out = c;
	return 0;
}

void serverconf_clear(struct server_conf *c)
{
	conf_clear(keys, N_KEYS, c);
}

/* "# " and the help text, wrapped */
static void write_comment(FILE *f, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t word = strcspn(text, " ");

		if (column && column + 1 + word > 76) {
			fputc('\n', f);
			column = 0;
		}
		fprintf(f, "%s%.*s", column ? " " : "# ", (int)word, text);
		column += word + (column ? 1 : 2);
		text += word;
		while (*text == ' ')
			text++;
	}
	fputc('\n', f);
}

int serverconf_write(const char *path, const struct server_conf_value *values,
		     size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	const char *section = "";
	FILE *f;
	bool bad;

	if (fd < 0)
		return errno == EEXIST ? -NTM_EEXISTS : -NTM_ESTORE;
	f = fdopen(fd, "w");
	if (!f) {
		close(fd);
		return -NTM_ENOMEM;
	}
	fprintf(f, "# ntm-server.conf - see ntm-server.conf(5). What stands "
		   "behind # is the default.\n");
	for (const struct conf_key *k = keys; k < keys + N_KEYS; k++) {
		const char *value = NULL;

		for (size_t i = 0; i < n; i++)
			if (!strcmp(values[i].section, k->section) &&
			    !strcmp(values[i].key, k->key))
				value = values[i].value;
		if (strcmp(section, k->section))
			fprintf(f, "\n[%s]\n", k->section);
		section = k->section;
		write_comment(f, k->help);
		fprintf(f, "%s%s = %s\n", value ? "" : "#", k->key,
			value	  ? value
			: k->dflt ? k->dflt
				  : "");
	}
	bad = ferror(f) || fflush(f) || fsync(fd);
	return (fclose(f) || bad) ? -NTM_ESTORE : 0;
}

void serverconf_print_mdoc(void)
{
	const char *section = "";

	for (const struct conf_key *k = keys; k < keys + N_KEYS; k++) {
		if (strcmp(section, k->section))
			printf("%s.Ss Section [%s]\n.Bl -tag -width Ds\n",
			       *section ? ".El\n" : "", k->section);
		section = k->section;
		printf(".It Cm %s\n%s.\n", k->key, k->help);
		if (k->dflt)
			printf("Default: %s.\n", k->dflt);
	}
	printf(".El\n");
}

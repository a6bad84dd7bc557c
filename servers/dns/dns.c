/* SPDX-License-Identifier: MIT */
/* dns - the domain's name server: UDP and TCP around zone.c */
#include "servers/dns/dns.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/file.h"
#include "common/acceptor.h"
#include "common/log.h"
#include "servers/datadir.h"
#include "servers/dns/rate.h"
#include "servers/dns/zone.h"
#include "servers/visitor.h"

#define QUERY_MAX   4096
#define PER_TURN    64
#define CONTROL_MAX 256
#define TCP_HEAD    2

struct conn {
	struct visitor v; /* first */
	struct dns *dns;
	size_t in_len;
	uint8_t in[TCP_HEAD + QUERY_MAX];
	uint8_t out[TCP_HEAD + ZONE_TCP_MAX];
};

struct socket {
	struct dns *dns;
	int fd;
	struct loop_io *io;
};

struct dns {
	struct loop *loop;
	struct zone *zone;
	struct rate *rate;
	struct socket udp[ROLE_SOCKETS_MAX];
	size_t n_udp;
	struct acceptor *tcp;
	struct visitors conns;
	uint64_t queries, limited, refused_conns;
	struct loop_task destroy;
};

/* --- UDP ---------------------------------------------------------------------- */

/* the address a query came to becomes the one its answer comes from */
static void turn_control(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	if (!c)
		return;
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(c), sizeof(info));
		info.ipi_ifindex = 0;
		info.ipi_spec_dst = info.ipi_addr;
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		m->msg_controllen = CMSG_SPACE(sizeof(info));
	} else if (c->cmsg_level == IPPROTO_IPV6 &&
		   c->cmsg_type == IPV6_PKTINFO) {
		m->msg_controllen = CMSG_SPACE(sizeof(struct in6_pktinfo));
	} else {
		m->msg_control = NULL;
		m->msg_controllen = 0;
	}
}

/* Return: bytes of the answer; 0: none */
static size_t answer_make(struct dns *d, const struct addr *from,
			  const uint8_t *query, size_t len,
			  uint8_t out[static ZONE_UDP_MAX])
{
	switch (rate_query(d->rate, from, loop_now(d->loop))) {
	case RATE_ANSWER:
		return zone_answer(d->zone, query, len, false, out,
				   ZONE_UDP_MAX);
	case RATE_TRUNCATE:
		d->limited++;
		return zone_truncated(query, len, out, ZONE_UDP_MAX);
	case RATE_DROP:
		d->limited++;
		break;
	}
	return 0;
}

static bool answer_one(struct dns *d, int fd)
{
	uint8_t query[QUERY_MAX], answer[ZONE_UDP_MAX], control[CONTROL_MAX];
	struct addr from;
	struct iovec iov = {query, sizeof(query)};
	struct msghdr m = {.msg_name = &from.sa,
			   .msg_namelen = sizeof(from),
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	ssize_t len = recvmsg(fd, &m, 0);
	size_t n;

	if (len < 0)
		return errno == EINTR;
	d->queries++;
	if (m.msg_flags & MSG_TRUNC)
		return true;
	n = answer_make(d, &from, query, (size_t)len, answer);
	if (!n)
		return true;
	iov = (struct iovec){answer, n};
	turn_control(&m);
	m.msg_flags = 0;
	if (sendmsg(fd, &m, 0) < 0)
		log_debug("dns", "an answer was not sent");
	return true;
}

static void udp_readable(void *arg, int fd, unsigned int events)
{
	struct socket *s = arg;

	(void)events;
	for (int i = 0; i < PER_TURN && answer_one(s->dns, fd); i++)
		;
}

/* --- TCP ---------------------------------------------------------------------- */

static void conn_free(struct visitor *v)
{
	free(v);
}

/* answer the queries that are complete, one at a time */
static bool conn_answer(struct conn *c)
{
	while (!c->v.out_len && c->in_len >= TCP_HEAD) {
		size_t len = (size_t)c->in[0] << 8 | c->in[1], n;

		if (len > QUERY_MAX) {
			visitor_end(&c->v);
			return false;
		}
		if (c->in_len < TCP_HEAD + len)
			break;
		c->dns->queries++;
		n = zone_answer(c->dns->zone, c->in + TCP_HEAD, len, true,
				c->out + TCP_HEAD, ZONE_TCP_MAX);
		c->in_len -= TCP_HEAD + len;
		memmove(c->in, c->in + TCP_HEAD + len, c->in_len);
		if (!n) {
			visitor_end(&c->v);
			return false;
		}
		c->out[0] = (uint8_t)(n >> 8);
		c->out[1] = (uint8_t)n;
		c->v.out_len = TCP_HEAD + n;
		visitor_wake(&c->v);
		if (!visitor_write(&c->v, c->out))
			return false;
	}
	return true;
}

static void conn_ready(void *arg, int fd, unsigned int events)
{
	struct conn *c = arg;

	(void)fd;
	if (events & LOOP_WRITE &&
	    (!visitor_write(&c->v, c->out) || !conn_answer(c)))
		return;
	if (events & LOOP_READ && !c->v.out_len &&
	    visitor_read(&c->v, c->in, sizeof(c->in), &c->in_len))
		conn_answer(c);
}

static int conn_new(struct dns *d, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -NTM_ENOMEM;
	c->dns = d;
	r = visitor_new(&d->conns, &c->v, fd, conn_ready);
	if (r)
		free(c);
	return r;
}

static void comes(void *arg, int fd, const struct addr *from)
{
	struct dns *d = arg;

	(void)from;
	if (d->conns.n == DNS_TCP_MAX) {
		/* the oldest one makes room for who asks */
		d->refused_conns++;
		visitor_end(d->conns.first);
	}
	if (conn_new(d, fd))
		close(fd);
}

/* --- start and stop ------------------------------------------------------------------ */

static int dns_zone(struct dns *d, const struct role_env *env)
{
	const struct server_conf *c = env->conf;
	struct addr dc[SERVERCONF_ADDRESSES_MAX], as[SERVERCONF_ADDRESSES_MAX];
	int n_dc = serverconf_announced(c->dc_address, c->dc_listen,
					(uint16_t)c->dc_port, dc);
	int n_as = serverconf_announced(c->as_address, c->as_listen,
					(uint16_t)c->as_port, as);
	struct zone_config z = {.domain = c->domain,
				.ttl = c->dns_ttl,
				.serial = (uint32_t)loop_wall(env->loop),
				.dc = dc,
				.as = as,
				.as_port = (uint16_t)c->as_port,
				.dc_port = (uint16_t)c->dc_port};
	struct ntmc_trust_domain domain;
	struct ntmc_trust *trust = NULL;
	char path[DATADIR_PATH_MAX];
	uint8_t *der;
	size_t len;
	int r = n_dc < 0 || n_as < 0 ? -NTM_ECONF : 0;

	if (!r)
		r = datadir_file(env->dir, DATADIR_DC_CA, path);
	if (!r)
		r = file_read(path, NTMC_CERT_MAX, &der, &len);
	if (r)
		return r;
	r = ntmc_trust_new(&trust);
	if (!r)
		r = ntmc_trust_add(trust, der, len, NULL, &domain);
	ntmc_trust_free(trust);
	file_free(der, len);
	if (r)
		return r;
	z.n_dc = (size_t)n_dc;
	z.n_as = (size_t)n_as;
	z.ca_fp = domain.fp;
	return zone_new(&z, &d->zone);
}

static int udp_add(struct dns *d, int fd)
{
	struct socket *s = &d->udp[d->n_udp];
	int r;

	*s = (struct socket){.dns = d, .fd = fd};
	r = loop_io_add(d->loop, fd, LOOP_READ, false, udp_readable, s, &s->io);
	d->n_udp += !r;
	return r;
}

int dns_new(const struct role_env *env, struct dns **out)
{
	const struct role_sockets *s = &env->sockets;
	struct dns *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -NTM_ENOMEM;
	d->loop = env->loop;
	d->conns = (struct visitors){
		.loop = d->loop, .idle_s = DNS_TCP_IDLE_S, .free = conn_free};
	r = dns_zone(d, env);
	if (!r)
		r = rate_new(env->conf->dns_rate, env->conf->dns_slip,
			     &d->rate);
	for (size_t i = 0; !r && i < s->n_udp; i++)
		r = udp_add(d, s->udp[i]);
	if (!r)
		r = acceptor_new(d->loop, "dns", comes, d, &d->tcp);
	for (size_t i = 0; !r && i < s->n_tcp; i++)
		r = acceptor_add(d->tcp, s->tcp[i]);
	if (r) {
		log_err("dns", "cannot start: %s", err_text(r));
		dns_free(d);
		return r;
	}
	*out = d;
	return 0;
}

static void dns_destroy(void *arg)
{
	struct dns *d = arg;

	rate_free(d->rate);
	zone_free(d->zone);
	free(d);
}

void dns_free(struct dns *d)
{
	if (!d)
		return;
	while (d->conns.first)
		visitor_end(d->conns.first);
	for (size_t i = 0; i < d->n_udp; i++) {
		loop_io_del(d->udp[i].io);
		close(d->udp[i].fd);
	}
	acceptor_free(d->tcp);
	d->destroy = (struct loop_task){.fn = dns_destroy, .arg = d};
	loop_defer_task(d->loop, &d->destroy);
}

json_t *dns_admin(struct dns *d, const char *command, json_t *request)
{
	(void)request;
	if (strcmp(command, "status"))
		return NULL;
	return json_pack("{s:b, s:I, s:I, s:i, s:I}", "ok", 1, "queries",
			 (json_int_t)d->queries, "limited",
			 (json_int_t)d->limited, "connections", (int)d->conns.n,
			 "connections_refused", (json_int_t)d->refused_conns);
}

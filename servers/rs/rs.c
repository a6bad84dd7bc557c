/* SPDX-License-Identifier: MIT */
/* rs - the Relay Server: start, stop, clock, admin */
#include "servers/drainfile.h"
#include "servers/rs/rs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "servers/datadir.h"
#include "servers/rs/state.h"

#define DRAIN_FILE	  "rs/draining"
#define DAY_S		  86400
#define CERT_EVERY_S	  3600
#define CERT_WARN_S	  (30 * DAY_S)
#define SIGNALS_PER_TURN  256
#define ACCOUNTS_PER_PATH 2 /* places for accounts: its two ends' */

unsigned int rs_threads(const struct server_conf *c)
{
	unsigned int n = c->rs_threads;
	cpu_set_t set;

	if (!n && !sched_getaffinity(0, sizeof(set), &set))
		n = (unsigned int)CPU_COUNT(&set);
	return n < 1 ? 1 : n > RS_THREADS_MAX ? RS_THREADS_MAX : n;
}

uint64_t rs_sum(const struct rs *rs, size_t offset)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < rs->n_threads; i++)
		sum += atomic_load_explicit(
			(const _Atomic uint64_t
				 *)((const uint8_t *)&rs->threads[i]->stats +
				    offset),
			memory_order_relaxed);
	return sum;
}

void rs_path_gone(void *arg, const struct path *path)
{
	struct rs *rs = arg;

	for (int i = 0; i < 2; i++)
		quota_put(&rs->quota, atomic_load(&path->end[i].account));
	quota_fresh(&rs->quota, path->fresh, -1);
	rs->ended++;
}

void rs_group_gone(void *arg, const struct group_here *h)
{
	struct rs *rs = arg;

	quota_put(&rs->quota, h->account);
}

static void path_bound(void *arg, const struct path *path)
{
	struct rs *rs = arg;

	quota_fresh(&rs->quota, path->fresh, -1);
}

/* --- the clock ------------------------------------------------------------------- */

static void set_now(struct rs *rs)
{
	uint32_t s = (uint32_t)(loop_now(rs->loop) / 1000000000u);

	if (!rs->start_s)
		rs->start_s = s;
	atomic_store(&rs->now_s, s - rs->start_s + 3600);
}

static void set_quota(struct rs *rs)
{
	quota_set(&rs->quota, rs->conf->rs_account_rate,
		  rs->conf->rs_account_day);
}

/* of the threads' processors, and of the places for paths */
static void measure_load(struct rs *rs)
{
	uint64_t now = loop_now(rs->loop), cpu = 0, spent, load, full;

	if (now - rs->load_at_ns < LOOP_S(1))
		return;
	for (unsigned int i = 0; i < rs->n_threads; i++)
		cpu += thread_cpu_ns(rs->threads[i]);
	spent = (now - rs->load_at_ns) * rs->n_threads;
	load = rs->load_at_ns ? (cpu - rs->load_cpu_ns) * 1000 / spent : 0;
	full = (uint64_t)rs->paths.used * 1000 / rs->paths.size;
	if (load < full)
		load = full;
	rs->load = load > 1000 ? 1000 : (unsigned int)load;
	rs->load_cpu_ns = cpu;
	rs->load_at_ns = now;
}

/* Without a restart, which would end every path: only the links begin anew. The
 * certificate before goes with the next one; its channels have ended by then. */
static void take_certificate(struct rs *rs)
{
	struct servercert fresh;
	int r = servercert_load(rs->env->dir, "rs", &fresh);

	if (r) {
		log_err("rs", "new certificate: %s", err_text(r));
		return;
	}
	log_info("rs", "new server certificate");
	servercert_clear(&rs->cert_before);
	rs->cert_before = rs->cert;
	rs->cert = fresh;
	for (unsigned int i = 0; i < rs->n_links; i++)
		link_reconnect(rs->links[i]);
}

void rs_look_at_certificate(struct rs *rs)
{
	int64_t left;

	if (servercert_is_stale(rs->env->dir, "rs", &rs->cert))
		take_certificate(rs);
	for (unsigned int i = 0; i < rs->n_links; i++)
		link_renew(rs->links[i]);
	left = rs->cert.not_after - loop_wall(rs->loop);
	if (left < CERT_WARN_S) {
		log_warn("rs",
			 "the certificate ends in %lld days, and the Account "
			 "Server has not renewed it: see `relay renew` in "
			 "ntm-server(8)",
			 (long long)(left / DAY_S));
	}
}

static void rs_clock(void *arg)
{
	struct rs *rs = arg;

	set_now(rs);
	measure_load(rs);
	quota_day(&rs->quota, loop_wall(rs->loop) / DAY_S);
	paths_sweep(&rs->paths,
		    rs->paths.top * RS_CLOCK_MS / (RS_SWEEP_ROUND_S * 1000) + 1,
		    rs_now_s(rs), rs_path_gone, path_bound, rs);
	groups_sweep(&rs->groups, rs_now_s(rs), rs_group_gone, rs);
	if (rs_now_s(rs) >= rs->daily_s) {
		rs->daily_s = rs_now_s(rs) + CERT_EVERY_S;
		rs_look_at_certificate(rs);
	}
	loop_timer_arm(rs->clock, LOOP_MS(RS_CLOCK_MS));
}

/* --- start and stop ------------------------------------------------------------------ */

static void signals_readable(void *arg, int fd, unsigned int events)
{
	uint8_t buf[PACKET_SIGNAL_MAX];
	struct rs *rs = arg;

	(void)events;
	for (int i = 0; i < SIGNALS_PER_TURN; i++) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n <= 0)
			return;
		link_signal(rs, buf, (size_t)n);
	}
}

static int open_signals(struct rs *rs)
{
	int size = 1 << 20;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0, rs->signals)) {
		rs->signals[0] = rs->signals[1] = -1;
		return -NTM_ESYSTEM;
	}
	(void)!setsockopt(rs->signals[1], SOL_SOCKET, SO_SNDBUF, &size,
			  sizeof(size));
	return loop_io_add(rs->loop, rs->signals[0], LOOP_READ, false,
			   signals_readable, rs, &rs->signals_io);
}

/* sockets of the supervisor: address by address, role_sockets.copies of each */
static int open_threads(struct rs *rs)
{
	const struct role_sockets *s = &rs->env->sockets;
	size_t copies = s->copies ? s->copies : 1, n = s->n_udp / copies;
	int fds[ROLE_SOCKETS_MAX], r = 0;

	if (!n || n > ROLE_SOCKETS_MAX || copies > RS_THREADS_MAX)
		return -NTM_EINVAL;
	for (size_t i = 0; !r && i < copies; i++) {
		for (size_t k = 0; k < n; k++)
			fds[k] = s->udp[k * copies + i];
		r = thread_new(rs, fds, n, &rs->threads[i]);
		rs->n_threads += !r;
		if (!r)
			groups_add_thread(&rs->groups, &rs->threads[i]->turn);
	}
	return r;
}

int rs_dcs(const struct server_conf *c,
	   struct server_ways out[static SERVERCONF_ADDRESSES_MAX])
{
	int n = serverconf_ways(c->rs_dc, (uint16_t)c->dc_port, out);

	if (n)
		return n < 0 ? -NTM_ECONF : n;
	out[0].n = 1;
	return serverconf_own_dc(c, &out[0].a[0]) ? -NTM_ECONF : 1;
}

static int open_links(struct rs *rs)
{
	struct server_ways dcs[SERVERCONF_ADDRESSES_MAX];
	int n = rs_dcs(rs->conf, dcs), r = n < 0 ? n : 0;

	for (int i = 0; !r && i < n; i++) {
		r = link_new(rs, (unsigned int)i, &dcs[i], &rs->links[i]);
		rs->n_links += !r;
	}
	return r;
}

/* --- draining, over restarts: a maintenance begins with one -------------------------- */

static void drain_load(struct rs *rs)
{
	char path[DATADIR_PATH_MAX];

	rs->draining = !datadir_path(rs->env->dir, DRAIN_FILE, path) &&
		       drainfile_read(path);
	if (rs->draining)
		log_warn("rs", "draining, as before: takes no new paths; see "
			       "`relay undrain` in ntm-server(8)");
}

static void drain_save(const struct rs *rs)
{
	char path[DATADIR_PATH_MAX];

	if (!datadir_path(rs->env->dir, DRAIN_FILE, path))
		drainfile_write(path, "rs", rs->draining);
}

static int rs_open(struct rs *rs)
{
	int r = servercert_load(rs->env->dir, "rs", &rs->cert);

	if (!r)
		r = paths_init(&rs->paths, rs->conf->rs_paths);
	if (!r)
		r = groups_init(&rs->groups, rs->conf->rs_groups);
	if (!r)
		r = quota_init(&rs->quota,
			       rs->conf->rs_paths * ACCOUNTS_PER_PATH +
				       rs->conf->rs_groups);
	if (r)
		return r;
	drain_load(rs);
	set_quota(rs);
	quota_day(&rs->quota, loop_wall(rs->loop) / DAY_S);
	r = open_signals(rs);
	if (!r)
		r = open_threads(rs);
	if (!r)
		r = open_links(rs);
	if (!r)
		r = loop_timer_new(rs->loop, rs_clock, rs, &rs->clock);
	return r;
}

int rs_new(const struct role_env *env, struct rs **out)
{
	struct rs *rs = calloc(1, sizeof(*rs));
	int r;

	if (!rs)
		return -NTM_ENOMEM;
	rs->env = env;
	rs->loop = env->loop;
	rs->conf = env->conf;
	rs->signals[0] = rs->signals[1] = -1;
	set_now(rs);
	rs->daily_s = rs_now_s(rs);
	ntmc_key_random(NULL, &rs->cookie_key);
	locals_init(&rs->locals);
	r = rs_open(rs);
	if (r) {
		log_err("rs", "cannot start: %s", err_text(r));
		rs_free(rs);
		return r;
	}
	loop_timer_arm(rs->clock, 0);
	log_info("rs", "%u threads, room for %u paths", rs->n_threads,
		 rs->paths.size);
	*out = rs;
	return 0;
}

/* deferred behind the ends of the channels, which use the certificate */
static void rs_destroy(void *arg)
{
	struct rs *rs = arg;

	servercert_clear(&rs->cert);
	servercert_clear(&rs->cert_before);
	ntmc_key_clear(&rs->cookie_key);
	free(rs);
}

void rs_free(struct rs *rs)
{
	const struct role_sockets *s;

	if (!rs)
		return;
	s = &rs->env->sockets;
	for (unsigned int i = 0; i < rs->n_links; i++)
		link_free(rs->links[i]);
	for (unsigned int i = 0; i < rs->n_threads; i++)
		thread_free(rs->threads[i]);
	for (size_t i = 0; rs->n_threads && i < s->n_other; i++)
		close(s->other[i]);
	loop_timer_free(rs->clock);
	loop_io_del(rs->signals_io);
	for (int i = 0; i < 2; i++)
		if (rs->signals[i] >= 0)
			close(rs->signals[i]);
	paths_clear(&rs->paths);
	groups_clear(&rs->groups);
	quota_clear(&rs->quota);
	locals_clear(&rs->locals);
	rs->destroy = (struct loop_task){.fn = rs_destroy, .arg = rs};
	loop_defer_task(rs->loop, &rs->destroy);
}

void rs_reload(struct rs *rs, const struct server_conf *conf)
{
	rs->conf = conf;
	set_quota(rs);
}

/* --- admin ------------------------------------------------------------------------- */

static uint64_t outbox_sum(const struct rs *rs, size_t offset)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < rs->n_threads; i++)
		sum += atomic_load_explicit(
			(const _Atomic uint64_t *)((const uint8_t *)&rs
							   ->threads[i]
							   ->outbox.stats +
						   offset),
			memory_order_relaxed);
	return sum;
}

static json_t *status(const struct rs *rs)
{
	static const struct {
		const char *name;
		size_t offset;
	} sums[] = {
#define SUM(field) {#field, offsetof(struct rs_stats, field)}
		SUM(received),	   SUM(forwarded),     SUM(forwarded_bytes),
		SUM(punches),	   SUM(probes),	       SUM(malformed),
		SUM(unknown_path), SUM(wrong_source),  SUM(unbound),
		SUM(over_rate),	   SUM(over_day),      SUM(over_credit),
		SUM(busy),	   SUM(bad_punch),     SUM(old_punch),
		SUM(short_punch),  SUM(signals_lost),  SUM(group_packets),
		SUM(group_copies), SUM(unknown_group), SUM(bad_hop),
		SUM(not_member),
#undef SUM
	};
	json_t *o = json_object();
	unsigned int up = 0;

#define SET(name, value)                                                       \
	json_object_set_new(o, name, json_integer((json_int_t)(value)))
	for (unsigned int i = 0; i < rs->n_links; i++)
		up += link_is_up(rs->links[i]);
	json_object_set_new(o, "ok", json_true());
	SET("links", rs->n_links);
	SET("links_up", up);
	json_object_set_new(o, "draining", json_boolean(rs->draining));
	SET("paths", rs->paths.used);
	SET("paths_max", rs->paths.size);
	SET("path_bytes", (paths_bytes(rs->paths.size) +
			   quota_bytes(rs->paths.size * ACCOUNTS_PER_PATH)) /
				  rs->paths.size);
	SET("groups", rs->groups.used);
	SET("groups_max", rs->groups.size);
	SET("group_members", groups_bound(&rs->groups));
	SET("group_directions", rs->group_directions);
	SET("accounts", rs->quota.used);
	SET("load", rs->load);
	SET("threads", rs->n_threads);
	SET("directions", rs->directions);
	SET("withdrawals", rs->withdrawals);
	SET("ended", rs->ended);
	SET("idle_refused", rs->idle_refused);
	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
		SET(sums[i].name, rs_sum(rs, sums[i].offset));
	SET("sent", outbox_sum(rs, offsetof(struct outbox_stats, packets)));
	SET("sent_bytes", outbox_sum(rs, offsetof(struct outbox_stats, bytes)));
	SET("sent_messages",
	    outbox_sum(rs, offsetof(struct outbox_stats, messages)));
	SET("send_lost", outbox_sum(rs, offsetof(struct outbox_stats, lost)));
	SET("gso_fallbacks",
	    outbox_sum(rs, offsetof(struct outbox_stats, fallbacks)));
	SET("certificate_days",
	    (rs->cert.not_after - loop_wall(rs->loop)) / DAY_S);
#undef SET
	return o;
}

json_t *rs_admin(struct rs *rs, const char *command, json_t *request)
{
	bool drain = !strcmp(command, "drain");

	(void)request;
	if (drain || !strcmp(command, "undrain")) {
		rs->draining = drain;
		drain_save(rs);
		log_info("rs", "%s", drain ? "draining" : "takes new paths");
		for (unsigned int i = 0; i < rs->n_links; i++)
			link_register(rs->links[i]);
		return status(rs);
	}
	return strcmp(command, "status") ? NULL : status(rs);
}

/* SPDX-License-Identifier: MIT */
/*
 * group_load - how long until all members have the new key: N of them in this process,
 * each with its own log and TLS connection, the GMS in another, its store on the disk
 *
 * Usage: group_load FOLDER N ADDRESS...     (FOLDER: of ntm-server init, with roles)
 *
 * Theory of operation
 *
 * Each of ADDRESS is this machine's; so many that no more than 256 members have one.
 * A renewal is the GMS's own entry, begun by a byte on a pipe where its timer would. Who
 * joins is among those who are waited for; its welcome, an item in the tunnel or by the
 * Cache Server, is handed over in the process.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "servers/datadir.h"
#include "servers/gms/gms.h"
#include "servers/gms/state.h"
#include "tests/unit/servers/gms_member.h"

#define PORT   4509
#define ROUNDS 10
#define WAVE   8 /* handshakes at a time, of one address */

enum event { REMOVAL, JOIN, REFRESH, RENEWAL, N_EVENTS };
static const char *const names[] = {"removal", "join", "refresh", "renewal"};

struct bench {
	const char *dir;
	unsigned int n;
	struct loop *loop;
	struct loop_timer *tick; /* so that no wait is for ever */
	struct ntmc_ca *ca;
	struct ntmc_trust *trust;
	struct ntmc_trust_domain domain;
	struct ntmc_identity gms, *id;
	struct gms_member *m;
	struct addr at[16];
	unsigned int n_at;
	pid_t pid;
	int renew; /* a byte: the GMS renews */
	double joiner_ms[ROUNDS];
	unsigned int n_joiners;
	double *ms[N_EVENTS], gms_cpu[N_EVENTS], our_cpu[N_EVENTS];
	size_t n_ms[N_EVENTS];
};

static void must(int r, const char *what)
{
	if (r) {
		fprintf(stderr, "group_load: %s: %s\n", what, err_text(r));
		exit(1);
	}
}

/* --- the GMS ---------------------------------------------------------------------- */

static int listening(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET,
				  .sin_port = htons(PORT)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	    on = 1;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 512)) {
		perror("group_load: port 4509");
		exit(1);
	}
	return fd;
}

/* what its timer does when renew_s has passed */
static void renew_one(void *arg, struct ledger_group *lg)
{
	must(follow_renew(arg, lg, true), "renewal");
}

static void on_renew(void *arg, int fd, unsigned int events)
{
	struct gms *gms = arg;
	char c;

	(void)events;
	if (read(fd, &c, 1) == 1)
		ledger_each(gms->ledger, renew_one, gms);
}

static void serve(const char *dir, int fd, int renew)
{
	char path[DATADIR_PATH_MAX], error[SERVERCONF_ERROR_LEN];
	static struct server_conf conf;
	static struct role_env env;
	struct loop_io *io;
	struct gms *gms;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	must(datadir_path(dir, "ntm-server.conf", path), "folder");
	must(serverconf_load(path, &conf, error), path);
	must(loop_new(&env.loop), "loop");
	env.dir = dir;
	env.conf = &conf;
	env.sockets.tcp[0] = fd;
	env.sockets.n_tcp = 1;
	env.sockets.admin = -1;
	must(gms_new(&env, &gms), "gms");
	must(loop_io_add(env.loop, renew, LOOP_READ, false, on_renew, gms, &io),
	     "pipe");
	for (;;)
		must(loop_turn(env.loop, true), "loop");
}

/* --- members ------------------------------------------------------------------------- */

static void member_open(struct bench *b, unsigned int i, const uint8_t *gid,
			const uint8_t *ca, size_t ca_len)
{
	struct ntmc_cert c = {.kind = NTMC_CERT_NODE};
	uint8_t der[NTMC_CERT_MAX];
	size_t len = sizeof(der);
	struct tls_context *tls;
	int64_t now = ntmc_now(NULL);

	ntmc_identity_new(NULL, &b->id[i]);
	snprintf(c.fqdn, sizeof(c.fqdn), "d%u.person.%.200s", i,
		 b->domain.domain);
	memcpy(c.ed_pub, b->id[i].ed_pub, sizeof(c.ed_pub));
	memcpy(c.x_pub, b->id[i].x_pub, sizeof(c.x_pub));
	ntmc_static_sign(&b->id[i], c.x_sig);
	memcpy(c.vip6, b->domain.prefix6, 8);
	c.vip6[14] = (uint8_t)(i >> 8);
	c.vip6[15] = (uint8_t)i;
	memcpy(c.vip4, b->domain.prefix4, 4);
	c.vip4[2] = (uint8_t)(1 + (i >> 8));
	c.vip4[3] = (uint8_t)i;
	must(ntmc_ca_issue(NULL, b->ca, &c, now - 60, now + 86400, der, &len),
	     "certificate");
	must(tls_context_new(&b->id[i], der, len, ca, ca_len, b->trust, NULL,
			     &tls),
	     "TLS");
	tls_context_set_roles(tls, NTMC_ROLE_GMS);
	gms_member_init(&b->m[i], b->loop, &b->id[i], c.fqdn, tls, gid);
}

static void tick(void *arg)
{
	(void)arg;
}

static void turn_until(struct bench *b, bool (*cond)(struct bench *b))
{
	uint64_t end = loop_now_exact(b->loop) + LOOP_S(60);

	while (!cond(b)) {
		loop_timer_arm(b->tick, LOOP_MS(100));
		must(loop_turn(b->loop, true), "loop");
		if (loop_now_exact(b->loop) > end) {
			fprintf(stderr, "group_load: it takes too long\n");
			exit(1);
		}
	}
}

static unsigned int wave_from, wave_to;

static bool wave_is_open(struct bench *b)
{
	unsigned int i;

	for (i = wave_from; i < wave_to; i++)
		if (!b->m[i].open)
			return false;
	return true;
}

static void connect_all(struct bench *b)
{
	unsigned int i;

	for (wave_from = 0; wave_from < b->n; wave_from = wave_to) {
		wave_to = wave_from + WAVE * b->n_at;
		if (wave_to > b->n)
			wave_to = b->n;
		for (i = wave_from; i < wave_to; i++)
			must(gms_member_connect(&b->m[i], &b->at[i % b->n_at]),
			     "connect");
		turn_until(b, wave_is_open);
	}
}

/* --- waiting --------------------------------------------------------------------------- */

static struct gms_member *asker;
static uint64_t want;	 /* epoch */
static unsigned int out; /* whom it need not reach; N: nobody */

static bool is_acked(struct bench *b)
{
	(void)b;
	return !asker->asked;
}

static bool is_answered(struct bench *b)
{
	(void)b;
	return asker->answered;
}

static bool all_have_it(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < b->n; i++) {
		must(b->m[i].trouble, b->m[i].fqdn);
		if (i != out && b->m[i].g && b->m[i].epoch != want)
			return false;
	}
	return true;
}

/* what comes behind the key: acknowledgements, new prekeys */
static bool all_is_said(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < b->n; i++)
		if (b->m[i].channel && loop_timer_armed(b->m[i].ack))
			return false;
	return true;
}

static int ask(struct bench *b, struct gms_member *who, struct group_change *c)
{
	asker = who;
	gms_member_question(who);
	turn_until(b, is_answered);
	must(gms_member_submit(who, c), "entry");
	turn_until(b, is_acked);
	return -(int)who->ack_code;
}

static bool author_has_it(struct bench *b)
{
	(void)b;
	return asker->epoch == want;
}

static uint64_t again_ns;

static bool is_time(struct bench *b)
{
	return loop_now_exact(b->loop) >= again_ns;
}

/* A device has so many entries in GMS_WINDOW_S, and the GMS does not say when the window
 * ends: it is asked each second, and members hear what comes meanwhile. */
static void back_off(struct bench *b)
{
	again_ns = loop_now_exact(b->loop) + LOOP_S(1);
	turn_until(b, is_time);
}

static double cpu_of(clockid_t clock)
{
	struct timespec t = {0};

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* as one who may remove does when there is time; counted as CPU, not as delay */
static void prepare(struct bench *b, struct gms_member *author)
{
	double ours = cpu_of(CLOCK_PROCESS_CPUTIME_ID);

	asker = author;
	gms_member_question(author);
	turn_until(b, is_answered);
	must(gms_member_prepare(author), "prekeys");
	b->our_cpu[REMOVAL] += cpu_of(CLOCK_PROCESS_CPUTIME_ID) - ours;
}

/* who has been added is given its welcome as soon as the author has the epoch */
static void welcome(struct bench *b, struct gms_member *author)
{
	struct gms_member *to = &b->m[out];

	asker = author;
	turn_until(b, author_has_it);
	must(gms_member_welcome(author, to), "welcome");
	gms_member_hello(to);
	out = b->n;
}

static void begin(struct bench *b, enum event e, struct gms_member *author,
		  struct group_change *c)
{
	if (e == RENEWAL) {
		if (write(b->renew, "r", 1) != 1)
			must(-NTM_ESYSTEM, "renewal");
		return;
	}
	must(ask(b, author, c), names[e]);
	if (e == JOIN)
		welcome(b, author);
}

/* one event, from the author's first question to the last member's key */
static void event(struct bench *b, enum event e, struct gms_member *author,
		  struct group_change *c)
{
	clockid_t gms = CLOCK_REALTIME;
	uint64_t t0 = loop_now_exact(b->loop);
	double ours = cpu_of(CLOCK_PROCESS_CPUTIME_ID), theirs;
	unsigned int i;

	clock_getcpuclockid(b->pid, &gms);
	theirs = cpu_of(gms);
	want = group_epoch(author->g) + 1;
	begin(b, e, author, c);
	turn_until(b, all_have_it);
	turn_until(b, all_is_said);
	b->our_cpu[e] += cpu_of(CLOCK_PROCESS_CPUTIME_ID) - ours;
	b->gms_cpu[e] += cpu_of(gms) - theirs;
	for (i = 0; i < b->n; i++)
		if (i != out && b->m[i].g)
			b->ms[e][b->n_ms[e]++] =
				(double)(b->m[i].key_ns - t0) / 1e6;
	if (e == JOIN)
		b->joiner_ms[b->n_joiners++] =
			(double)(b->m[b->n - 1].key_ns - t0) / 1e6;
}

/* --- what happens ------------------------------------------------------------------------- */

static void fill(struct bench *b, struct group_joiner *j, unsigned int i)
{
	memset(j, 0, sizeof(*j));
	ntmc_random(NULL, j->token, sizeof(j->token));
	memcpy(j->ed_pub, b->id[i].ed_pub, sizeof(j->ed_pub));
	j->rights = GROUP_ALL_RIGHTS;
	j->fqdn = b->m[i].fqdn;
}

static void form(struct bench *b)
{
	struct group_joiner j[GROUP_JOIN_MAX];
	struct group_change c = {.kind = GROUP_ADD, .joiners = j};
	unsigned int i, k;
	int r;

	asker = &b->m[0];
	must(gms_member_create(asker, b->gms.ed_pub, &group_policy_default),
	     "create");
	turn_until(b, is_acked);
	must(-(int)asker->ack_code, "create");
	gms_member_hello(asker);
	want = 1;
	turn_until(b, all_have_it);
	for (i = 1; i < b->n; i += k) {
		for (k = 0; k < GROUP_JOIN_MAX && i + k < b->n; k++)
			fill(b, &j[k], i + k);
		c.n_joiners = k;
		want = group_epoch(b->m[0].g) + 1;
		while ((r = ask(b, &b->m[0], &c)) == -NTM_ERATE)
			back_off(b);
		must(r, "join");
		turn_until(b, all_have_it);
	}
	for (i = 1; i < b->n; i++) {
		must(gms_member_welcome(&b->m[0], &b->m[i]), "welcome");
		gms_member_hello(&b->m[i]);
	}
	turn_until(b, all_have_it);
}

static void rounds(struct bench *b)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};
	struct group_joiner j;
	struct group_change add = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	struct group_change away = {
		.kind = GROUP_REMOVE, .reason = GROUP_REMOVED, .n_gone = 1};
	unsigned int r, last = b->n - 1;

	for (r = 0; r < ROUNDS; r++) {
		struct gms_member *author = &b->m[1 + r % (b->n - 2)];
		struct gms_member *gone = &b->m[last];

		prepare(b, author);
		away.gone = &gone->index;
		out = last;
		event(b, REMOVAL, author, &away);
		fill(b, &j, last);
		event(b, JOIN, author, &add);
		event(b, REFRESH, author, &refresh);
		event(b, RENEWAL, author, NULL);
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(struct bench *b)
{
	double target = b->n > 250 ? 1000 : 300, p95, member;
	char label[64];
	int e;

	for (e = 0; e < N_EVENTS; e++) {
		size_t n = b->n_ms[e];

		qsort(b->ms[e], n, sizeof(double), by_size);
		p95 = b->ms[e][n * 95 / 100];
		member = b->our_cpu[e] / (double)n * 1e3;
		printf("# group-%s-%u: p50 %.1f ms, GMS %.1f ms of CPU\n",
		       names[e], b->n, b->ms[e][n / 2],
		       b->gms_cpu[e] / ROUNDS * 1e3);
		snprintf(label, sizeof(label), "group-%s-p95-%u", names[e],
			 b->n);
		printf("%-34s %12.4g %-8s <=%-10g %s\n", label, p95, "ms",
		       target, p95 <= target ? "ok" : "short");
		snprintf(label, sizeof(label), "group-%s-cpu-%u", names[e],
			 b->n);
		if (e == RENEWAL)
			printf("%-34s %12.4g %-8s <=%-10g %s\n", label, member,
			       "ms", 1., member <= 1 ? "ok" : "short");
		else
			printf("# %s: %.3g ms a member\n", label, member);
	}
}

static void report_joiners(struct bench *b)
{
	unsigned int n = b->n_joiners;

	qsort(b->joiner_ms, n, sizeof(double), by_size);
	printf("# group-join-%u: who joins: p50 %.1f ms, longest %.1f ms\n",
	       b->n, b->joiner_ms[n / 2], b->joiner_ms[n - 1]);
}

static void load(struct bench *b, uint8_t *ca, size_t *len)
{
	char key[DATADIR_PATH_MAX], cert[DATADIR_PATH_MAX];

	must(datadir_file(b->dir, DATADIR_CA_KEY, key), "folder");
	must(datadir_file(b->dir, DATADIR_CA_CERT, cert), "folder");
	must(ntmc_ca_load(key, cert, &b->ca), key);
	must(ntmc_ca_der(b->ca, ca, len), "CA");
	must(ntmc_trust_new(&b->trust), "trust");
	must(ntmc_trust_add(b->trust, ca, *len, NULL, &b->domain), "trust");
	must(datadir_file(b->dir, DATADIR_GMS_KEY, key), "folder");
	must(ntmc_identity_load(key, &b->gms), key);
}

int main(int argc, char **argv)
{
	struct rlimit files = {8192, 8192};
	struct bench b = {.dir = argc > 3 ? argv[1] : ""};
	uint8_t ca[NTMC_CERT_MAX], gid[GROUP_ID_LEN];
	size_t len = sizeof(ca);
	unsigned int i;
	int fd, ends[2];

	if (argc < 4) {
		fprintf(stderr, "usage: group_load FOLDER N ADDRESS...\n");
		return 2;
	}
	b.n = (unsigned int)atoi(argv[2]);
	out = b.n;
	setrlimit(RLIMIT_NOFILE, &files);
	for (i = 3; i < (unsigned int)argc && b.n_at < 16; i++)
		must(addr_parse(argv[i], PORT, &b.at[b.n_at++]), argv[i]);
	load(&b, ca, &len);
	fd = listening();
	must(pipe(ends) ? -NTM_ESYSTEM : 0, "pipe");
	b.renew = ends[1];
	b.pid = fork();
	if (!b.pid)
		serve(b.dir, fd, ends[0]);
	close(fd);
	close(ends[0]);
	must(loop_new(&b.loop), "loop");
	must(loop_timer_new(b.loop, tick, NULL, &b.tick), "timer");
	b.id = calloc(b.n, sizeof(*b.id));
	b.m = calloc(b.n, sizeof(*b.m));
	for (i = 0; i < N_EVENTS; i++)
		b.ms[i] = calloc((size_t)b.n * ROUNDS, sizeof(double));
	if (!b.id || !b.m || b.n < 3)
		return 1;
	ntmc_random(NULL, gid, sizeof(gid));
	for (i = 0; i < b.n; i++)
		member_open(&b, i, gid, ca, len);
	connect_all(&b);
	form(&b);
	rounds(&b);
	report(&b);
	report_joiners(&b);
	kill(b.pid, SIGTERM);
	waitpid(b.pid, NULL, 0);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * group_load - how long until all members have the new key: N of them in this process,
 * each with ntm-member's engine, a store and a TLS connection of its own; the GMS in
 * another one, its store on the disk
 *
 * Usage: group_load FOLDER STORES HOST N ADDRESS...
 *        FOLDER: of ntm-server init, with roles. STORES: a folder. HOST: the lab's host of
 *        the GMS, as the file of its network; -: this one
 *
 * Theory of operation
 *
 * Each of ADDRESS is the GMS's; so many that no more than 256 members come to it from one
 * of ours. A renewal is the GMS's own entry, begun by a byte on a pipe where its timer
 * would. Who joins is among those who are waited for; its welcome, an item in the tunnel or
 * by the Cache Server, is handed over in the process.
 *
 * All stores are written and synced by one process, one after the other, where each device
 * would write its own: so the last key is here later than it would be, and with STORES on a
 * disk it is that disk which is measured. What a store on the disk of FOLDER costs, is
 * measured by itself.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "servers/datadir.h"
#include "tests/bench/group_crowd.h"
#include "tests/bench/group_server.h"
#include "tests/bench/group_store.h"

#define ROUNDS	  10
#define WAVE	  8 /* who come at a time, of one address */
#define ADDRESSES 16

enum event { REMOVAL, JOIN, REFRESH, RENEWAL, N_EVENTS };
static const char *const names[] = {"removal", "join", "refresh", "renewal"};

struct bench {
	struct crowd c; /* first: what is waited for is asked of it */
	struct group_server gms;
	struct addr at[ADDRESSES];
	unsigned int n, n_at;
	double joiner_ms[ROUNDS];
	unsigned int n_joiners;
	double *ms[N_EVENTS], gms_cpu[N_EVENTS], our_cpu[N_EVENTS];
	size_t n_ms[N_EVENTS];
	/* of the slowest round: where the first waited, too, it was for the GMS */
	struct round {
		double first, last;
	} slowest[N_EVENTS];
};

/* --- waiting --------------------------------------------------------------------------- */

static struct mate *asker;
static uint64_t want;	 /* epoch */
static unsigned int out; /* whom it need not reach; N: nobody */

static bool is_done(struct crowd *c)
{
	(void)c;
	return asker->done <= 0;
}

static bool is_answered(struct crowd *c)
{
	(void)c;
	return asker->people;
}

static bool all_have_it(struct crowd *c)
{
	for (unsigned int i = 0; i < c->n; i++)
		if (i != out && c->mate[i].m && c->mate[i].epoch != want)
			return false;
	return true;
}

/* what comes behind the key: acknowledgements, new prekeys */
static bool all_is_said(struct crowd *c)
{
	for (unsigned int i = 0; i < c->n; i++)
		if (c->mate[i].m && loop_timer_armed(c->mate[i].m->ack))
			return false;
	return true;
}

static bool is_out(struct crowd *c)
{
	return member_state(c->mate[out].m) == MEMBER_OUT;
}

static bool author_has_it(struct crowd *c)
{
	(void)c;
	return asker->epoch == want;
}

static uint64_t again_ns;

static bool is_time(struct crowd *c)
{
	return loop_now_exact(c->loop) >= again_ns;
}

/* Return: what became of it */
static int ask(struct bench *b, struct mate *who, const struct group_change *c)
{
	asker = who;
	who->done = 1;
	must(member_submit(who->m, c), "a wish");
	crowd_turn(&b->c, is_done);
	return who->done;
}

/* A device has so many entries in GMS_WINDOW_S, and the GMS does not say when the window
 * ends: it is asked each second, and members hear what comes meanwhile. */
static void back_off(struct bench *b)
{
	again_ns = loop_now_exact(b->c.loop) + LOOP_S(1);
	crowd_turn(&b->c, is_time);
}

static double cpu_of(clockid_t clock)
{
	struct timespec t = {0};

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- one event -------------------------------------------------------------------------- */

/* as one who may remove does when there is time; counted as CPU, not as delay */
static void prepare(struct bench *b, struct mate *author)
{
	double ours = cpu_of(CLOCK_PROCESS_CPUTIME_ID);

	asker = author;
	author->people = false;
	if (!member_prepare(author->m))
		must(-NTM_ESTATE, "prekeys");
	crowd_turn(&b->c, is_answered);
	b->our_cpu[REMOVAL] += cpu_of(CLOCK_PROCESS_CPUTIME_ID) - ours;
}

/* who has been added is given its welcome as soon as the author has the epoch */
static void begin(struct bench *b, enum event e, struct mate *author,
		  const struct group_change *c)
{
	if (e == RENEWAL) {
		if (write(b->gms.renew, "r", 1) != 1)
			must(-NTM_ESYSTEM, "renewal");
		return;
	}
	asker = author;
	author->done = 1;
	must(member_submit(author->m, c), names[e]);
	if (e != JOIN)
		return;
	crowd_turn(&b->c, author_has_it);
	mate_join(&b->c.mate[out], author);
	out = b->n;
}

static void round_over(struct bench *b, enum event e, uint64_t t0)
{
	struct round r = {.first = 1e9};
	unsigned int i;
	double ms;

	for (i = 0; i < b->n; i++) {
		if (i == out)
			continue;
		ms = (double)(b->c.mate[i].key_ns - t0) / 1e6;
		b->ms[e][b->n_ms[e]++] = ms;
		r.first = ms < r.first ? ms : r.first;
		r.last = ms > r.last ? ms : r.last;
	}
	if (r.last > b->slowest[e].last)
		b->slowest[e] = r;
}

/* from the author's first question to the last member's key */
static void event(struct bench *b, enum event e, struct mate *author,
		  const struct group_change *c)
{
	clockid_t gms = CLOCK_REALTIME;
	uint64_t t0 = loop_now_exact(b->c.loop);
	double ours = cpu_of(CLOCK_PROCESS_CPUTIME_ID), theirs;

	clock_getcpuclockid(b->gms.pid, &gms);
	theirs = cpu_of(gms);
	want = group_epoch(member_group(author->m)) + 1;
	begin(b, e, author, c);
	crowd_turn(&b->c, all_have_it);
	if (e != RENEWAL) {
		crowd_turn(&b->c, is_done);
		must(asker->done, names[e]);
	}
	crowd_turn(&b->c, all_is_said);
	crowd_tidy(&b->c);
	b->our_cpu[e] += cpu_of(CLOCK_PROCESS_CPUTIME_ID) - ours;
	b->gms_cpu[e] += cpu_of(gms) - theirs;
	round_over(b, e, t0);
	if (e == JOIN)
		b->joiner_ms[b->n_joiners++] =
			(double)(b->c.mate[b->n - 1].key_ns - t0) / 1e6;
}

/* --- what happens ------------------------------------------------------------------------- */

/* who has been added comes, some at a time, and hears the whole log */
static void come(struct bench *b)
{
	unsigned int i, n = 1;

	out = b->n;
	while (n < b->n) {
		for (i = 0; i < WAVE * b->n_at && n < b->n; i++, n++) {
			mate_join(&b->c.mate[n], &b->c.mate[0]);
			mate_connect(&b->c.mate[n], &b->at[n % b->n_at]);
		}
		crowd_turn(&b->c, all_have_it);
	}
	crowd_turn(&b->c, all_is_said);
	crowd_tidy(&b->c);
}

static void form(struct bench *b, const uint8_t *gms)
{
	struct group_joiner j[GROUP_JOIN_MAX];
	struct group_change c = {.kind = GROUP_ADD, .joiners = j};
	struct mate *founder = asker = &b->c.mate[0];
	unsigned int i, k;
	int r;

	mate_found(founder, gms);
	mate_connect(founder, &b->at[0]);
	want = 1;
	crowd_turn(&b->c, author_has_it);
	for (i = 1; i < b->n; i += k) {
		for (k = 0; k < GROUP_JOIN_MAX && i + k < b->n; k++)
			mate_joiner(&b->c.mate[i + k], &j[k]);
		c.n_joiners = k;
		want++;
		while ((r = ask(b, founder, &c)) == -NTM_ERATE)
			back_off(b);
		must(r, "join");
		crowd_turn(&b->c, author_has_it);
	}
	come(b);
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
		struct mate *author = &b->c.mate[1 + r % (b->n - 2)];
		struct mate *gone = &b->c.mate[last];
		uint32_t index = member_index(gone->m);

		prepare(b, author);
		away.gone = &index;
		out = last;
		event(b, REMOVAL, author, &away);
		crowd_turn(&b->c, is_out);
		mate_forget(gone);
		mate_joiner(gone, &j);
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
		printf("# group-%s-%u: p50 %.1f ms, GMS %.1f ms of CPU; the "
		       "slowest round: first %.1f ms, last %.1f ms\n",
		       names[e], b->n, b->ms[e][n / 2],
		       b->gms_cpu[e] / ROUNDS * 1e3, b->slowest[e].first,
		       b->slowest[e].last);
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

/* Return: the GMS's key, of which the public half counts */
static void load(const char *dir, struct crowd_domain *d,
		 struct ntmc_identity *gms)
{
	char key[DATADIR_PATH_MAX], cert[DATADIR_PATH_MAX];

	d->len = sizeof(d->der);
	must(datadir_file(dir, DATADIR_CA_KEY, key), "folder");
	must(datadir_file(dir, DATADIR_CA_CERT, cert), "folder");
	must(ntmc_ca_load(key, cert, &d->ca), key);
	must(ntmc_ca_der(d->ca, d->der, &d->len), "CA");
	must(ntmc_trust_new(&d->trust), "trust");
	must(ntmc_trust_add(d->trust, d->der, d->len, NULL, &d->domain),
	     "trust");
	must(datadir_file(dir, DATADIR_GMS_KEY, key), "folder");
	must(ntmc_identity_load(key, gms), key);
}

int main(int argc, char **argv)
{
	struct rlimit files = {8192, 8192};
	struct bench b = {.n = argc > 5 ? (unsigned int)atoi(argv[4]) : 0};
	struct crowd_domain d;
	struct ntmc_identity gms;
	char own[DATADIR_PATH_MAX];
	int i;

	if (b.n < 3 || b.n > GROUP_MEMBERS_MAX) {
		fprintf(stderr, "usage: group_load FOLDER STORES HOST N "
				"ADDRESS...\n");
		return 2;
	}
	must(setrlimit(RLIMIT_NOFILE, &files) ? -NTM_ESYSTEM : 0,
	     "8192 descriptors");
	for (i = 5; i < argc && b.n_at < ADDRESSES; i++)
		must(addr_parse(argv[i], GROUP_SERVER_PORT, &b.at[b.n_at++]),
		     argv[i]);
	load(argv[1], &d, &gms);
	group_server_start(&b.gms, argv[1],
			   strcmp(argv[3], "-") ? argv[3] : NULL);
	crowd_open(&b.c, b.n, &d, argv[2]);
	for (i = 0; i < N_EVENTS; i++) {
		b.ms[i] = calloc((size_t)b.n * ROUNDS, sizeof(double));
		must(b.ms[i] ? 0 : -NTM_ENOMEM, "figures");
	}
	form(&b, gms.ed_pub);
	rounds(&b);
	report(&b);
	report_joiners(&b);
	must(datadir_path(argv[1], "figure.db", own), "folder");
	group_store_figure(&b.c.mate[0], own);
	crowd_close(&b.c);
	group_server_stop(&b.gms);
	return 0;
}

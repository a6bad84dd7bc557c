/* SPDX-License-Identifier: MIT */
/*
 * meter - copies standard input to a file, shows how far it is, and measures gaps
 *
 *   meter --total BYTES --out FILE --at FRACTION --run COMMAND --report FILE
 *
 * When FRACTION of the bytes has come, COMMAND is started once (sh -c), beside the
 * copying. The report is JSON: bytes, seconds, when the command started, the longest
 * time without a byte before it (the calm gap) and after it (the gap, with its ends
 * in microseconds since 1970).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUFFER	    (256 * 1024)
#define BAR_COLUMNS 40

struct meter {
	uint64_t total, got;
	double at;
	const char *out, *run, *report;
	int fd;
	bool terminal, started;
	double t0, t_event, t_last, t_drawn;
	double gap_before, gap_after;
	long long gap_ended_us;
	int drawn_tenth;
	pid_t child;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static long long wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void bar_draw(struct meter *m, bool last)
{
	double part = m->total ? (double)m->got / (double)m->total : 0;
	double t = now();
	int full = (int)(part * BAR_COLUMNS), i;

	/* On a terminal ten times a second, in a log at every tenth. */
	if (m->terminal ? !last && t - m->t_drawn < 0.1
			: !last && (int)(part * 10) == m->drawn_tenth)
		return;
	m->t_drawn = t;
	m->drawn_tenth = (int)(part * 10);
	fputs(m->terminal ? "\r  [" : "  [", stderr);
	for (i = 0; i < BAR_COLUMNS; i++)
		fputc(i < full ? '#' : '.', stderr);
	fprintf(stderr, "] %3.0f %%  %5.0f MB  %5.0f Mbit/s%s", part * 100,
		(double)m->got / 1e6,
		(double)m->got * 8 / 1e6 / (t - m->t0 + 1e-9),
		m->terminal && !last ? "" : "\n");
}

static void command_start(struct meter *m)
{
	m->started = true;
	m->t_event = now();
	m->child = fork();
	if (m->child)
		return;
	close(m->fd);
	close(STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execl("/bin/sh", "sh", "-c", m->run, (char *)NULL);
	_exit(127);
}

static void bytes_count(struct meter *m, size_t n)
{
	double t = now(), gap = t - m->t_last;
	double *worst = m->started ? &m->gap_after : &m->gap_before;

	if (m->got && gap > *worst) {
		*worst = gap;
		if (m->started)
			m->gap_ended_us = wall_us();
	}
	m->t_last = t;
	m->got += n;
	if (!m->started && m->run && (double)m->got >= m->at * (double)m->total)
		command_start(m);
	bar_draw(m, false);
}

static int copy(struct meter *m)
{
	static char buf[BUFFER];
	ssize_t n;

	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) != 0) {
		ssize_t done = 0, w;

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		bytes_count(m, (size_t)n);
		for (; done < n; done += w) {
			w = write(m->fd, buf + done, (size_t)(n - done));
			if (w < 0)
				return -1;
		}
	}
	return 0;
}

static int report_write(const struct meter *m)
{
	FILE *f = fopen(m->report, "w");

	if (!f)
		return -1;
	fprintf(f,
		"{\"bytes\": %llu, \"seconds\": %.3f, \"event_s\": %.3f, "
		"\"calm_gap_ms\": %.1f, \"gap_ms\": %.1f, "
		"\"gap_began_us\": %lld, \"gap_ended_us\": %lld}\n",
		(unsigned long long)m->got, m->t_last - m->t0,
		m->started ? m->t_event - m->t0 : -1.0, m->gap_before * 1e3,
		m->gap_after * 1e3,
		m->gap_ended_us - (long long)(m->gap_after * 1e6),
		m->gap_ended_us);
	return fclose(f);
}

static void options_parse(struct meter *m, int argc, char **argv)
{
	static const struct option longs[] = {
		{"total", required_argument, NULL, 't'},
		{"out", required_argument, NULL, 'o'},
		{"at", required_argument, NULL, 'a'},
		{"run", required_argument, NULL, 'r'},
		{"report", required_argument, NULL, 'R'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 't':
			m->total = strtoull(optarg, NULL, 10);
			break;
		case 'o':
			m->out = optarg;
			break;
		case 'a':
			m->at = strtod(optarg, NULL);
			break;
		case 'r':
			m->run = optarg;
			break;
		case 'R':
			m->report = optarg;
			break;
		default:
			exit(2);
		}
	}
	if (!m->total || !m->out || !m->report) {
		fputs("meter: --total, --out and --report are needed\n",
		      stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct meter m = {.at = 0.5, .drawn_tenth = -1};
	int err, status = 0;

	options_parse(&m, argc, argv);
	m.fd = open(m.out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (m.fd < 0) {
		perror(m.out);
		return 1;
	}
	m.terminal = isatty(STDERR_FILENO);
	m.t0 = m.t_last = now();
	err = copy(&m);
	if (m.terminal || m.got < m.total)
		bar_draw(&m, true);
	if (m.started)
		waitpid(m.child, &status, 0);
	if (err || close(m.fd) || report_write(&m)) {
		perror("meter");
		return 1;
	}
	return status ? 1 : 0;
}

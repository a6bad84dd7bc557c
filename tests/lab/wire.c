/* SPDX-License-Identifier: MIT */
/*
 * wire - a seeded cable between two TAP devices: delay, jitter, loss, disorder,
 *        a rate, and a silent limit of packet size
 *
 * Theory of operation
 *
 * Purpose. The tests need links with a known delay and known faults on kernels
 * that have no netem. wire makes a TAP in each of two network namespaces and
 * carries frames from one to the other. It runs in the lab as its root.
 *
 * Data. A direction is a "lane" (lane.c): it reads one TAP and writes the other.
 *
 * Offloads. The TAPs speak IFF_VNET_HDR with TSO and USO, so a super-packet of
 * 64 KiB crosses whole, with one read and one write: that is what makes several
 * Gbit/s and many megabytes in flight possible. Chance must strike packets, not
 * super-packets: while a lane has loss or disorder its TAP is told to
 * have the kernel cut packets to size first.
 *
 * Time. One thread sleeps in ppoll() until a frame arrives or the next is due.
 *
 * Control. A SOCK_SEQPACKET socket takes one command per message and answers
 * each; `wire ctl SOCKET COMMAND...` is its client. SIGUSR1 prints counters.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/lab/lane.h"

#ifndef TUN_F_USO4 /* Linux 6.2; Debian 12 ships the headers of 6.1 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define COMMAND_MAX 256
#define ANSWER_MAX  1024
#define CLIENTS_MAX 8
#define NS_PER_MS   1000000.0

struct wire {
	struct lane lane[2]; /* a to b, b to a */
	int tap[2];
	int listener, signals;
	int client[CLIENTS_MAX];
	char end[2][128]; /* NETNS:DEVICE */
	const char *control;
	uint64_t seed;
	bool gso, background;
};

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *fmt,
								...)
{
	va_list ap;

	fprintf(stderr, "wire: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	exit(1);
}

/* --- settings ---------------------------------------------------------- */

static int params_set(struct params *p, const char *key, double value)
{
	if (value < 0)
		return -1;
	if (!strcmp(key, "delay-ms"))
		p->delay_ns = value * NS_PER_MS;
	else if (!strcmp(key, "jitter-ms"))
		p->jitter_ns = value * NS_PER_MS;
	else if (!strcmp(key, "loss") && value <= 100)
		p->loss = value / 100;
	else if (!strcmp(key, "reorder") && value <= 100)
		p->reorder = value / 100;
	else if (!strcmp(key, "reorder-ms"))
		p->reorder_ns = value * NS_PER_MS;
	else if (!strcmp(key, "rate-mbit"))
		p->rate_bps = value * 1e6;
	else if (!strcmp(key, "rate-queue-ms"))
		p->rate_queue_ns = value * NS_PER_MS;
	else if (!strcmp(key, "drop-above"))
		p->drop_above = value;
	else
		return -1;
	return 0;
}

/* Super-packets only where chance need not see the packets inside. */
static void wire_offload(const struct wire *wire)
{
	for (int i = 0; i < 2; i++) {
		const struct params *p = &wire->lane[i].params;
		unsigned long flags = TUN_F_CSUM;
		unsigned long tso = TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

		if (wire->gso && p->loss == 0 && p->reorder == 0)
			flags |= tso | TUN_F_USO4 | TUN_F_USO6;
		if (!ioctl(wire->tap[i], TUNSETOFFLOAD, flags))
			continue;
		flags &= ~(unsigned long)(TUN_F_USO4 | TUN_F_USO6);
		if (ioctl(wire->tap[i], TUNSETOFFLOAD, flags))
			die("TUNSETOFFLOAD: %s", strerror(errno));
	}
}

/* One setting of one lane; 0, or -1 when the words make no sense. */
static int lane_command(struct lane *lane, const char *word, const char *value)
{
	char *end = NULL;
	double number = value ? strtod(value, &end) : -1;

	if (!strcmp(word, "up") || !strcmp(word, "down")) {
		lane->params.down = word[0] == 'd';
		if (lane->params.down)
			lane_flush(lane);
		return 0;
	}
	if (!value || end == value || *end)
		return -1;
	if (!strcmp(word, "seed")) {
		lane_seed(lane, number);
		return 0;
	}
	return params_set(&lane->params, word, number);
}

/*
 * "[ab|ba] KEY VALUE", "[ab|ba] down|up", "carrier on|off" or "stats".
 * The answer goes to @answer, of ANSWER_MAX bytes.
 */
static void wire_command(struct wire *wire, char *line, char *answer)
{
	char *save, *word = strtok_r(line, " \n", &save), *value;
	unsigned int lanes = 3;
	int bad = 0, on, n;

	if (word && (!strcmp(word, "ab") || !strcmp(word, "ba"))) {
		lanes = word[0] == 'a' ? 1 : 2;
		word = strtok_r(NULL, " \n", &save);
	}
	value = strtok_r(NULL, " \n", &save);
	if (!word) {
		bad = -1;
	} else if (!strcmp(word, "stats")) {
		n = lane_print(&wire->lane[0], answer, ANSWER_MAX);
		lane_print(&wire->lane[1], answer + n, ANSWER_MAX - n);
		return;
	} else if (!strcmp(word, "carrier")) {
		on = value && !strcmp(value, "on");
		for (int i = 0; i < 2; i++)
			bad |= ioctl(wire->tap[i], TUNSETCARRIER, &on);
	} else {
		for (int i = 0; i < 2; i++) {
			if (lanes & 1u << i)
				bad |= lane_command(&wire->lane[i], word,
						    value);
		}
		wire_offload(wire);
	}
	snprintf(answer, ANSWER_MAX, bad ? "error: not understood\n" : "ok\n");
}

/* --- the process ------------------------------------------------------- */

/* A TAP named by @end, "NETNS:DEVICE"; NETNS is a name under /run/netns. */
static int tap_open(const char *end)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};
	const char *dev = strchr(end, ':');
	char path[160];
	int ns, fd;

	if (!dev || strlen(dev + 1) >= sizeof(ifr.ifr_name))
		die("'%s' is not NETNS:DEVICE", end);
	snprintf(path, sizeof(path), "/run/netns/%.*s", (int)(dev - end), end);
	strcpy(ifr.ifr_name, dev + 1);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET))
		die("%s: %s", path, strerror(errno));
	close(ns);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		die("/dev/net/tun: %s", strerror(errno));
	if (ioctl(fd, TUNSETIFF, &ifr))
		die("TUNSETIFF %s: %s", end, strerror(errno));
	return fd;
}

static struct sockaddr_un control_address(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(sun.sun_path))
		die("path too long: %s", path);
	strcpy(sun.sun_path, path);
	return sun;
}

static int control_listen(const char *path)
{
	struct sockaddr_un sun = control_address(path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);

	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) ||
	    listen(fd, CLIENTS_MAX))
		die("%s: %s", path, strerror(errno));
	return fd;
}

/* wire ctl SOCKET WORD...: send one command, print the answer. */
static int control_client(int argc, char **argv)
{
	struct sockaddr_un sun;
	char line[COMMAND_MAX] = "", answer[ANSWER_MAX];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ssize_t len;

	if (argc < 2)
		die("usage: wire ctl SOCKET COMMAND...");
	sun = control_address(argv[0]);
	for (int i = 1; i < argc; i++) {
		size_t at = strlen(line);

		snprintf(line + at, sizeof(line) - at, "%s ", argv[i]);
	}
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) ||
	    send(fd, line, strlen(line), 0) < 0)
		die("%s: %s", argv[0], strerror(errno));
	len = recv(fd, answer, sizeof(answer) - 1, 0);
	if (len <= 0)
		die("%s: no answer", argv[0]);
	answer[len] = 0;
	if (strcmp(answer, "ok\n"))
		fputs(answer, stdout);
	return !strncmp(answer, "error", 5);
}

static void control_accept(struct wire *wire)
{
	int fd = accept4(wire->listener, NULL, NULL,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	for (int i = 0; fd >= 0 && i < CLIENTS_MAX; i++) {
		if (wire->client[i] < 0) {
			wire->client[i] = fd;
			return;
		}
	}
	if (fd >= 0)
		close(fd);
}

static void control_serve(struct wire *wire, int *client)
{
	char line[COMMAND_MAX], answer[ANSWER_MAX];
	ssize_t len = recv(*client, line, sizeof(line) - 1, 0);

	if (len < 0 && errno == EAGAIN)
		return;
	if (len > 0) {
		line[len] = 0;
		wire_command(wire, line, answer);
		len = send(*client, answer, strlen(answer), MSG_NOSIGNAL);
	}
	if (len <= 0) {
		close(*client);
		*client = -1;
	}
}

/* False when a signal asks to end. */
static bool signal_serve(struct wire *wire)
{
	struct signalfd_siginfo info;
	char line[COMMAND_MAX * 2];

	if (read(wire->signals, &info, sizeof(info)) != sizeof(info))
		return true;
	if (info.ssi_signo != SIGUSR1)
		return false;
	for (int i = 0; i < 2; i++) {
		lane_print(&wire->lane[i], line, sizeof(line));
		fputs(line, stderr);
	}
	return true;
}

static void wire_run(struct wire *wire)
{
	struct pollfd fds[4 + CLIENTS_MAX];

	for (;;) {
		uint64_t due[2] = {lane_drain(&wire->lane[0]),
				   lane_drain(&wire->lane[1])};
		uint64_t next = due[0] < due[1] ? due[0] : due[1];
		uint64_t now = lane_now_ns(),
			 wait = next > now ? next - now : 0;
		struct timespec ts = {wait / NS_PER_S, wait % NS_PER_S};

		for (int i = 0; i < 4 + CLIENTS_MAX; i++)
			fds[i].events = POLLIN;
		fds[0].fd = wire->tap[0];
		fds[1].fd = wire->tap[1];
		fds[2].fd = wire->signals;
		fds[3].fd = wire->listener;
		for (int i = 0; i < CLIENTS_MAX; i++)
			fds[4 + i].fd = wire->client[i];
		if (ppoll(fds, 4 + CLIENTS_MAX, next == UINT64_MAX ? NULL : &ts,
			  NULL) <= 0)
			continue;
		for (int i = 0; i < 2; i++) {
			if (fds[i].revents)
				lane_read(&wire->lane[i]);
		}
		if (fds[2].revents && !signal_serve(wire))
			return;
		if (fds[3].revents)
			control_accept(wire);
		for (int i = 0; i < CLIENTS_MAX; i++) {
			if (fds[4 + i].revents)
				control_serve(wire, &wire->client[i]);
		}
	}
}

/* The command line: wire's own options here, the lanes' by params_set(). */
static void wire_option(struct wire *wire, const char *key, const char *value)
{
	char *end;
	double number = strtod(value, &end);

	if (!strcmp(key, "a") || !strcmp(key, "b")) {
		snprintf(wire->end[key[0] == 'b'], sizeof(wire->end[0]), "%s",
			 value);
	} else if (!strcmp(key, "control")) {
		wire->control = value;
	} else if (!strcmp(key, "gso")) {
		wire->gso = !strcmp(value, "on");
	} else if (*end || !*value) {
		die("--%s: '%s' is not a number", key, value);
	} else if (!strcmp(key, "seed")) {
		wire->seed = number;
	} else if (params_set(&wire->lane[0].params, key, number) ||
		   params_set(&wire->lane[1].params, key, number)) {
		die("--%s %s: unknown option or bad value", key, value);
	}
}

static void wire_open(struct wire *wire)
{
	sigset_t set;

	for (int i = 0; i < 2; i++) {
		wire->tap[i] = tap_open(wire->end[i]);
		if (!lane_init(&wire->lane[i], i ? "ba" : "ab", wire->seed))
			die("out of memory");
	}
	for (int i = 0; i < 2; i++) {
		wire->lane[i].in = wire->tap[i];
		wire->lane[i].out = wire->tap[!i];
	}
	wire_offload(wire);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	wire->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	wire->listener = wire->control ? control_listen(wire->control) : -1;
	for (int i = 0; i < CLIENTS_MAX; i++)
		wire->client[i] = -1;
	/* Wake when asked, not up to 50 us later */
	prctl(PR_SET_TIMERSLACK, 1);
}

static const char usage[] =
	"usage: wire --a NETNS:TAP --b NETNS:TAP [--control SOCKET] [--seed "
	"N]\n"
	"            [--delay-ms MS] [--jitter-ms MS] [--loss PERCENT]\n"
	"            [--reorder PERCENT] [--reorder-ms MS] [--rate-mbit N]\n"
	"            [--rate-queue-ms MS] [--drop-above BYTES] [--gso on|off]\n"
	"            [--background]\n"
	"       wire ctl SOCKET [ab|ba] KEY VALUE | [ab|ba] down|up |\n"
	"            seed N | carrier on|off | stats\n";

int main(int argc, char **argv)
{
	static struct wire wire = {.seed = 1, .gso = true};
	struct params defaults = {
		.reorder_ns = NS_PER_MS,
		.rate_queue_ns = 50 * NS_PER_MS,
	};

	if (argc > 1 && !strcmp(argv[1], "ctl"))
		return control_client(argc - 2, argv + 2);
	wire.lane[0].params = wire.lane[1].params = defaults;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--background")) {
			wire.background = true;
		} else if (strncmp(argv[i], "--", 2) || i + 1 == argc) {
			fputs(usage, stderr);
			return 2;
		} else {
			wire_option(&wire, argv[i] + 2, argv[i + 1]);
			i++;
		}
	}
	wire_open(&wire);
	/* The TAPs and the socket exist before whoever started us goes on */
	if (wire.background) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork: %s", strerror(errno));
		if (pid > 0)
			return 0;
	}
	wire_run(&wire);
	return 0;
}

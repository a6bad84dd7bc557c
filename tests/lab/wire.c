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
 * Data. A direction is a "lane": it reads one TAP and writes the other. A frame
 * is read straight into the lane's byte ring and described by a record (when it
 * is due, where it lies). A lane is first in, first out: jitter never makes a
 * frame overtake another. A frame chosen by --reorder is copied to one of a few
 * "late" slots and waits there longer, so that its successors overtake it.
 *
 * Offloads. The TAPs speak IFF_VNET_HDR with TSO and USO, so a super-packet of
 * 64 KiB crosses whole, with one read and one write: that is what makes several
 * Gbit/s and many megabytes in flight possible. Chance must strike packets, not
 * super-packets: while a lane has loss or disorder its TAP is told to
 * have the kernel cut packets to size first.
 *
 * Chance. Each lane owns a generator seeded from --seed and its direction.
 * Every frame takes the same three draws whatever is switched on, so one
 * setting does not disturb another. ARP and IPv6 neighbour discovery take no
 * draw and are never lost, delayed out of order or refused: their timing is the
 * kernel's and would make a seeded run differ from the next.
 *
 * Time. One thread sleeps in ppoll() until a frame arrives or the next is due.
 *
 * Limits. RING_MIB bytes and RECORDS frames in flight per lane; beyond that new
 * frames are dropped and counted as `queue`. With a rate, frames that would
 * wait longer than rate-queue-ms for their turn are dropped and counted as
 * `rate`.
 *
 * Control. A SOCK_SEQPACKET socket takes one command per message and answers
 * each; `wire ctl SOCKET COMMAND...` is its client. SIGUSR1 prints counters.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef TUN_F_USO4 /* Linux 6.2; Debian 12 ships the headers of 6.1 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define VNET_LEN    sizeof(struct virtio_net_hdr)
#define ETH_LEN	    14
#define FRAME_MAX   (VNET_LEN + ETH_LEN + 4 + 65535 + 64)
#define RING_MIB    64	  /* bytes in flight, per lane */
#define RECORDS	    65536 /* frames in flight, per lane; a power of two */
#define LATE_SLOTS  64	  /* frames held back by --reorder */
#define BATCH	    64	  /* frames read from one TAP before the other's turn */
#define COMMAND_MAX 256
#define ANSWER_MAX  1024
#define CLIENTS_MAX 8
#define NS_PER_MS   1000000.0
#define NS_PER_S    1000000000ull

struct params {
	uint64_t delay_ns;
	uint64_t jitter_ns;	 /* uniform, added to the delay */
	uint64_t reorder_ns;	 /* how much longer a chosen frame waits */
	uint64_t rate_queue_ns;	 /* longest wait for the rate's turn */
	double loss;		 /* 0..1 */
	double reorder;		 /* 0..1 */
	double rate_bps;	 /* 0: none */
	unsigned int drop_above; /* bytes of IP packet; 0: none */
	bool down;
};

struct counters {
	uint64_t frames, bytes; /* delivered */
	uint64_t lost, large, late, queue, rate, down, failed;
};

struct record {
	uint64_t due;
	uint32_t off, len;
};

struct late {
	uint64_t due; /* 0: free */
	uint32_t len;
	uint8_t bytes[FRAME_MAX];
};

struct lane {
	const char *name;
	int in, out;
	struct params params;
	struct counters count;
	uint64_t prng;
	uint64_t last_due;  /* keeps the order under jitter */
	uint64_t next_free; /* when the rate lets the next frame start */
	uint8_t *ring;
	uint32_t head; /* where the next frame is read to */
	struct record *records;
	uint32_t first, last; /* records in use: [first, last) modulo RECORDS */
	struct late *late;
	unsigned int late_used;
};

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

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* splitmix64: a full-period sequence from any seed; returns [0, 1). */
static double lane_draw(struct lane *lane)
{
	uint64_t z = lane->prng += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	z ^= z >> 31;
	return (double)(z >> 11) / 9007199254740992.0;
}

/* --- what a frame is --------------------------------------------------- */

/* ARP, or ICMPv6 130..137 and 143 (multicast listeners, neighbours). */
static bool frame_is_neighbour(const uint8_t *eth, size_t len)
{
	unsigned int type = len >= ETH_LEN ? eth[12] << 8 | eth[13] : 0;
	const uint8_t *ip = eth + ETH_LEN;

	if (type == 0x0806)
		return true;
	if (type != 0x86dd || len < ETH_LEN + 49)
		return false;
	if (ip[6] == 0) /* hop-by-hop options: MLD has them, 8 bytes long */
		return ip[40] == 58 && ip[48] >= 130 && ip[48] <= 143;
	return ip[6] == 58 && ip[40] >= 130 && ip[40] <= 137;
}

/* Size of the IP packets this frame is, or will be cut into. */
static size_t frame_packet_size(const uint8_t *frame, size_t len)
{
	const struct virtio_net_hdr *vh = (const void *)frame;
	unsigned int type = vh->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	const uint8_t *eth = frame + VNET_LEN;
	size_t start = vh->csum_start, l4 = 8;

	len -= VNET_LEN;
	if (type == VIRTIO_NET_HDR_GSO_NONE)
		return len > ETH_LEN ? len - ETH_LEN : 0;
	if ((type == VIRTIO_NET_HDR_GSO_TCPV4 ||
	     type == VIRTIO_NET_HDR_GSO_TCPV6) &&
	    start + 13 <= len)
		l4 = (eth[start + 12] >> 4) * 4;
	return start - ETH_LEN + l4 + vh->gso_size;
}

/* --- a lane ------------------------------------------------------------ */

static void lane_seed(struct lane *lane, uint64_t seed)
{
	lane->prng = seed * 2 + (lane->name[0] == 'b');
}

static void lane_init(struct lane *lane, const char *name, uint64_t seed)
{
	lane->name = name;
	lane_seed(lane, seed);
	/* Never touched memory costs nothing; a calm lane stays at its start */
	lane->ring = mmap(NULL, (size_t)RING_MIB << 20, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	lane->records = calloc(RECORDS, sizeof(*lane->records));
	lane->late = calloc(LATE_SLOTS, sizeof(*lane->late));
	if (lane->ring == MAP_FAILED || !lane->records || !lane->late)
		die("out of memory");
}

/* Room for one frame at ->head, or NULL when the lane is full. */
static uint8_t *lane_room(struct lane *lane)
{
	const uint32_t size = (uint32_t)RING_MIB << 20;
	uint32_t tail;

	if (lane->first == lane->last)
		lane->head = 0;
	if (lane->first == lane->last)
		return lane->ring;
	if (lane->last - lane->first == RECORDS)
		return NULL;
	tail = lane->records[lane->first % RECORDS].off;
	if (lane->head > tail) {
		if (size - lane->head >= FRAME_MAX)
			return lane->ring + lane->head;
		lane->head = 0;
	}
	return tail - lane->head > FRAME_MAX ? lane->ring + lane->head : NULL;
}

static void lane_deliver(struct lane *lane, const uint8_t *frame, size_t len)
{
	if (write(lane->out, frame, len) < 0) {
		lane->count.failed++;
		return;
	}
	lane->count.frames++;
	lane->count.bytes += len - VNET_LEN;
}

/* Keep a frame back in a late slot; false when all are taken. */
static bool lane_hold(struct lane *lane, const uint8_t *frame, size_t len,
		      uint64_t due)
{
	for (int i = 0; i < LATE_SLOTS; i++) {
		if (lane->late[i].due)
			continue;
		lane->late[i].due = due;
		lane->late[i].len = len;
		memcpy(lane->late[i].bytes, frame, len);
		lane->late_used++;
		lane->count.late++;
		return true;
	}
	return false;
}

/* Decide the fate of a frame just read to @frame, which is at ->head. */
static void lane_take(struct lane *lane, uint8_t *frame, size_t len,
		      uint64_t now)
{
	const struct params *p = &lane->params;
	double lose, swap, jitter;
	uint64_t due = now;

	if (p->down) {
		lane->count.down++;
		return;
	}
	if (frame_is_neighbour(frame + VNET_LEN, len - VNET_LEN)) {
		lane_deliver(lane, frame, len);
		return;
	}
	lose = lane_draw(lane);
	swap = lane_draw(lane);
	jitter = lane_draw(lane);
	if (lose < p->loss) {
		lane->count.lost++;
		return;
	}
	if (p->drop_above && frame_packet_size(frame, len) > p->drop_above) {
		lane->count.large++;
		return;
	}
	if (p->rate_bps > 0) {
		if (lane->next_free < now)
			lane->next_free = now;
		if (lane->next_free - now > p->rate_queue_ns) {
			lane->count.rate++;
			return;
		}
		lane->next_free +=
			(len - VNET_LEN) * 8.0 * NS_PER_S / p->rate_bps;
		due = lane->next_free;
	}
	due += p->delay_ns + (uint64_t)(jitter * p->jitter_ns);
	if (swap < p->reorder &&
	    lane_hold(lane, frame, len, due + p->reorder_ns))
		return;
	if (due < lane->last_due)
		due = lane->last_due;
	lane->last_due = due;
	lane->records[lane->last++ % RECORDS] = (struct record){
		.due = due,
		.off = frame - lane->ring,
		.len = len,
	};
	lane->head = (frame - lane->ring) + ((len + 63) & ~63u);
}

static void lane_read(struct lane *lane)
{
	static uint8_t scratch[FRAME_MAX];
	uint64_t now = now_ns();

	for (int i = 0; i < BATCH; i++) {
		uint8_t *room = lane_room(lane);
		ssize_t len = read(lane->in, room ? room : scratch, FRAME_MAX);

		if (len < (ssize_t)VNET_LEN)
			return;
		if (room)
			lane_take(lane, room, len, now);
		else
			lane->count.queue++;
	}
}

/* Deliver what is due; returns when the next frame is, UINT64_MAX if none. */
static uint64_t lane_drain(struct lane *lane)
{
	uint64_t now = now_ns(), next = UINT64_MAX;

	for (int i = 0; lane->late_used && i < LATE_SLOTS; i++) {
		struct late *late = &lane->late[i];

		if (late->due && late->due <= now) {
			lane_deliver(lane, late->bytes, late->len);
			late->due = 0;
			lane->late_used--;
		} else if (late->due && late->due < next) {
			next = late->due;
		}
	}
	/* No longer than a batch: the other lane and the TAPs wait meanwhile */
	for (int i = 0; lane->first != lane->last; i++) {
		struct record *r = &lane->records[lane->first % RECORDS];

		if (r->due > now || i == BATCH)
			return r->due < next ? r->due : next;
		lane_deliver(lane, lane->ring + r->off, r->len);
		lane->first++;
	}
	return next;
}

/* A cut cable loses what is on it. */
static void lane_flush(struct lane *lane)
{
	lane->count.down += lane->last - lane->first + lane->late_used;
	lane->first = lane->last;
	lane->late_used = 0;
	for (int i = 0; i < LATE_SLOTS; i++)
		lane->late[i].due = 0;
}

static int lane_print(const struct lane *lane, char *out, size_t size)
{
	const struct counters *c = &lane->count;

	return snprintf(out, size,
			"%s frames=%lu bytes=%lu lost=%lu large=%lu late=%lu "
			"queue=%lu rate=%lu down=%lu failed=%lu held=%u\n",
			lane->name, c->frames, c->bytes, c->lost, c->large,
			c->late, c->queue, c->rate, c->down, c->failed,
			lane->last - lane->first + lane->late_used);
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
		uint64_t now = now_ns(), wait = next > now ? next - now : 0;
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
		lane_init(&wire->lane[i], i ? "ba" : "ab", wire->seed);
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

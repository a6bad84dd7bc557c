/* SPDX-License-Identifier: MIT */
/*
 * main - ntm-broker: one per user; options, the lock, the background
 *
 * Stages: options - folders - lock - (background) - keeper - run - tidy up.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/control.h"
#include "broker/keeper.h"
#include "common/file.h"
#include "common/log.h"
#include "common/rundir.h"

#define WHY_MAX	       512
#define LOG_ROTATE     (1024 * 1024) /* at start, an older log is set aside */
#define LOCK_FILE      "lock"
#define ENDING_MS      3000 /* a broker that was told to end may take so long */
#define ENDING_POLL_MS 20

/* Exit statuses; ntm-run tells "already running" from a failure. */
enum { EXIT_USAGE = 2, EXIT_RUNNING = 3 };

struct broker {
	bool foreground;
	enum log_level level;
	unsigned int port;
	char config[PATH_MAX], state[PATH_MAX], worker[PATH_MAX];
	char rundir[RUNDIR_MAX], log[PATH_MAX];
	const char *level_text;
	int lock;
	int notify; /* pipe to the waiting parent; -1 in the foreground */
};

static const char usage[] =
	"Usage: ntm-broker [OPTION...]\n"
	"Keeps this user's virtual network; ntm-run and `ntm up` start it.\n"
	"\n"
	"  -b, --background      return when it serves (default)\n"
	"  -f, --foreground      stay; log to standard error\n"
	"  -p, --port=PORT       outer UDP port (default: that of the last "
	"run)\n"
	"  -c, --config=DIR      configuration (default: ~/.config/ntm)\n"
	"  -s, --state=DIR       keys and state (default: ~/.local/state/ntm)\n"
	"  -l, --log-level=LEVEL err, warn, info or debug (default: info)\n"
	"  -h, --help            this text\n"
	"  -V, --version         the version\n"
	"\n"
	"Exit status: 0 serving (or ended in order), 1 failed, 2 wrong usage,\n"
	"3 a broker is already running.\n";

static const struct option options[] = {
	{"background", no_argument, NULL, 'b'},
	{"foreground", no_argument, NULL, 'f'},
	{"port", required_argument, NULL, 'p'},
	{"config", required_argument, NULL, 'c'},
	{"state", required_argument, NULL, 's'},
	{"log-level", required_argument, NULL, 'l'},
	{"worker", required_argument, NULL, 'w'}, /* for the tests */
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

/* --- options ------------------------------------------------------------------------- */

static bool copy(char *dst, size_t size, const char *src)
{
	size_t n = strlen(src);

	if (n >= size)
		return false;
	memcpy(dst, src, n + 1);
	return true;
}

static bool port_parse(const char *text, unsigned int *out)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || v < 1 ||
	    v > UINT16_MAX)
		return false;
	*out = (unsigned int)v;
	return true;
}

/* Return: true to go on; else *@status is how to end. */
static bool options_parse(struct broker *b, int argc, char **argv, int *status)
{
	bool ok = true;
	int c;

	*status = EXIT_USAGE;
	while (ok && (c = getopt_long(argc, argv, "bfp:c:s:l:hV", options,
				      NULL)) != -1) {
		switch (c) {
		case 'b':
		case 'f':
			b->foreground = c == 'f';
			break;
		case 'p':
			ok = port_parse(optarg, &b->port);
			break;
		case 'c':
			ok = copy(b->config, sizeof(b->config), optarg);
			break;
		case 's':
			ok = copy(b->state, sizeof(b->state), optarg);
			break;
		case 'w':
			ok = copy(b->worker, sizeof(b->worker), optarg);
			break;
		case 'l':
			ok = log_level_parse(optarg, &b->level);
			b->level_text = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			*status = 0;
			return false;
		case 'V':
			puts("ntm-broker " NTM_VERSION);
			*status = 0;
			return false;
		default:
			fputs("Try ntm-broker --help.\n", stderr);
			return false;
		}
		if (!ok)
			fprintf(stderr, "ntm-broker: -%c does not take '%s'\n",
				c, optarg);
	}
	if (ok && optind < argc) {
		fprintf(stderr, "ntm-broker: '%s'? It takes options only\n",
			argv[optind]);
		ok = false;
	}
	return ok;
}

/* --- folders --------------------------------------------------------------------------- */

/* $XDG/ntm, else $HOME/FALLBACK/ntm; an option given before wins. */
static bool folder_default(char *dst, size_t size, const char *xdg,
			   const char *fallback)
{
	const char *base = getenv(xdg), *home = getenv("HOME");
	int n;

	if (dst[0] == '/')
		return true;
	if (dst[0]) { /* the worker and we may stand elsewhere later */
		char *full = realpath(dst, NULL);
		bool ok = full && copy(dst, size, full);

		free(full);
		return ok;
	}
	if (base && base[0] == '/')
		n = snprintf(dst, size, "%s/ntm", base);
	else if (home && home[0] == '/')
		n = snprintf(dst, size, "%s/%s/ntm", home, fallback);
	else
		return false;
	return n > 0 && (size_t)n < size;
}

/* The worker beside us (build tree), else where `make install` puts it. */
static bool worker_find(char *dst, size_t size)
{
	static const char *const places[] = {"ntm-worker",
					     "../libexec/ntm/ntm-worker"};
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	size_t i;
	int len;

	if (dst[0])
		return true;
	if (n <= 0)
		return false;
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		len = snprintf(dst, size, "%s/%s", exe, places[i]);
		if (len > 0 && (size_t)len < size && access(dst, X_OK) == 0)
			return true;
	}
	return false;
}

static bool folders_prepare(struct broker *b, char *why)
{
	int err;

	if (!folder_default(b->config, sizeof(b->config), "XDG_CONFIG_HOME",
			    ".config") ||
	    !folder_default(b->state, sizeof(b->state), "XDG_STATE_HOME",
			    ".local/state")) {
		snprintf(why, WHY_MAX,
			 "no configuration or state folder; set "
			 "HOME, or use --config and --state");
		return false;
	}
	if (file_make_folder(b->state, 0700)) {
		snprintf(why, WHY_MAX, "the folder %.400s cannot be made",
			 b->state);
		return false;
	}
	err = rundir_make(b->rundir, sizeof(b->rundir));
	if (err) {
		snprintf(why, WHY_MAX,
			 err == -EPERM
				 ? "the runtime folder is not yours alone; set "
				   "XDG_RUNTIME_DIR to a folder of mode 0700"
				 : "no runtime folder can be made; set "
				   "XDG_RUNTIME_DIR");
		return false;
	}
	if (!worker_find(b->worker, sizeof(b->worker))) {
		snprintf(why, WHY_MAX,
			 "ntm-worker is not beside ntm-broker; "
			 "install it again");
		return false;
	}
	return true;
}

/* --- one broker a user ------------------------------------------------------------------ */

/* Does whoever has the lock serve anybody? */
static bool is_served(const struct broker *b)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool served;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/" CONTROL_SOCKET,
		 b->rundir);
	/* EAGAIN: others wait there already */
	served = fd >= 0 && (!connect(fd, (struct sockaddr *)&un, sizeof(un)) ||
			     errno == EAGAIN);
	if (fd >= 0)
		close(fd);
	return served;
}

/* The kernel frees the lock with the last descriptor, however we end. The file holds
 * our number for people and `ntm down`. Who has it and does not serve is ending: `ntm
 * down` has returned by then, so we wait for it. */
static int lock_take(struct broker *b, char *why)
{
	char path[RUNDIR_MAX + 16], text[16] = "";
	ssize_t n;

	snprintf(path, sizeof(path), "%s/" LOCK_FILE, b->rundir);
	b->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (b->lock < 0) {
		snprintf(why, WHY_MAX, "%s: %s", path, strerror(errno));
		return 1;
	}
	for (int ms = 0; ms <= ENDING_MS; ms += ENDING_POLL_MS) {
		if (flock(b->lock, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (is_served(b))
			break;
		poll(NULL, 0, ENDING_POLL_MS);
	}
	n = read(b->lock, text, sizeof(text) - 1);
	text[n > 0 ? strcspn(text, "\n") : 0] = '\0';
	snprintf(why, WHY_MAX, "a broker is already running (process %s)",
		 text[0] ? text : "unknown");
	return EXIT_RUNNING;
}

static void lock_sign(const struct broker *b)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", getpid());

	if (ftruncate(b->lock, 0) < 0 ||
	    pwrite(b->lock, text, (size_t)n, 0) != n)
		log_warn("broker", "the lock file cannot be written: %s",
			 strerror(errno));
}

/* --- the background ---------------------------------------------------------------------- */

/* The child speaks one sentence, or nothing when it serves. */
static int wait_for_child(int pipe_end)
{
	char why[WHY_MAX];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(why) - 1) {
		n = read(pipe_end, why + len, sizeof(why) - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	why[len] = '\0';
	if (len == 1 && why[0] == '+')
		return 0;
	fprintf(stderr, "ntm-broker: %s\n",
		len ? why : "it ended before it served; see its log");
	return 1;
}

static bool log_redirect(struct broker *b, char *why)
{
	char old[PATH_MAX + 8];
	struct stat st;
	int fd;

	if ((size_t)snprintf(b->log, sizeof(b->log), "%s/broker.log",
			     b->state) >= sizeof(b->log))
		return false;
	snprintf(old, sizeof(old), "%s.old", b->log);
	if (stat(b->log, &st) == 0 && st.st_size > LOG_ROTATE)
		(void)rename(b->log, old);
	fd = open(b->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 ||
	    dup2(fd, STDOUT_FILENO) < 0) {
		snprintf(why, WHY_MAX, "%.400s: %s", b->log, strerror(errno));
		return false;
	}
	close(fd);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		dup2(fd, STDIN_FILENO);
		close(fd);
	}
	return true;
}

/* In the child: true. The parent waits for it and does not return. */
static bool background(struct broker *b, char *why)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	pid = fork();
	if (pid < 0)
		return false;
	if (pid > 0) {
		close(ends[1]);
		_exit(wait_for_child(ends[0]));
	}
	close(ends[0]);
	b->notify = ends[1];
	setsid();
	return chdir("/") == 0 && log_redirect(b, why);
}

static void say(struct broker *b, const char *text)
{
	if (b->notify < 0) {
		fprintf(stderr, "ntm-broker: %s\n", text);
		return;
	}
	if (write(b->notify, text, strlen(text)) < 0)
		log_warn("broker", "nobody waits to hear: %s", text);
}

static void ready(void *arg, const char *why)
{
	struct broker *b = arg;

	if (why) { /* heard when we are gone, so that the next can start */
		say(b, why);
	} else if (b->notify >= 0) {
		say(b, "+");
		close(b->notify);
		b->notify = -1;
	} else {
		log_info("broker", "serving in %s", b->rundir);
	}
}

/* --- all ------------------------------------------------------------------------------------ */

/* Pools, pending doorbells and peers' sockets need many descriptors. */
static void limits_raise(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static int serve(struct broker *b, char *why)
{
	const struct keeper_options opt = {
		.rundir = b->rundir,
		.config = b->config,
		.state = b->state,
		.worker = b->worker,
		.log_level = b->level_text,
		.port = (uint16_t)b->port,
	};
	struct keeper *k;
	int status;

	if (keeper_new(&opt, &k, why, WHY_MAX)) {
		log_err("broker", "%s", why);
		say(b, why);
		return EXIT_FAILURE;
	}
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	lock_sign(b);
	status = keeper_run(k, ready, b);
	keeper_free(k);
	log_info("broker", "ended");
	return status;
}

int main(int argc, char **argv)
{
	static struct broker b = {.level = LOG_INFO,
				  .level_text = "info",
				  .lock = -1,
				  .notify = -1};
	char why[WHY_MAX] = "";
	int status;

	umask(0077);
	if (!options_parse(&b, argc, argv, &status))
		return status;
	if (!folders_prepare(&b, why)) {
		say(&b, why);
		return EXIT_FAILURE;
	}
	status = lock_take(&b, why);
	if (status) {
		say(&b, why);
		return status;
	}
	if (!b.foreground && !background(&b, why)) {
		say(&b, why[0] ? why : strerror(errno));
		return EXIT_FAILURE;
	}
	limits_raise();
	if (log_open("ntm-broker", b.level, NULL))
		return EXIT_FAILURE;
	status = serve(&b, why);
	log_close();
	return status;
}

/* SPDX-License-Identifier: MIT */
/*
 * engine_netns - the engine on kernel namespaces
 *
 * Theory of operation
 *
 * The keeper forks the inside process (inside.c), which makes the namespaces and the
 * TUN and hands them back: from then on this side holds them by descriptor, and no
 * death but the keeper's own ends them. Sockets are made by the inside process on
 * request; the interface is configured from here over a netlink socket made inside.
 *
 *   keeper, host namespaces        | inside process, own namespaces
 *   TUN, user_ns, net_ns, netlink  | sockets for shims (pool.c)
 *   link ---------------------------- link
 *
 * Any program of the same user may reconfigure the interface (it owns the user
 * namespace). That is within the trust boundary, but accidents are mended: a second
 * netlink socket listens for changes, and engine_repair() compares and mends.
 */
#include "broker/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fdmsg.h"
#include "broker/inside.h"
#include "broker/netdev.h"
#include "common/log.h"

#define INSIDE_TIMEOUT_MS  5000 /* making namespaces can be slow under load */
#define REQUEST_TIMEOUT_MS 1000
#define APPARMOR_PROFILE   "share/doc/ntmobile/apparmor/ntm-broker"

struct engine {
	int tun, user_ns, net_ns, netlink, watch;
	int link; /* to the inside process */
	pid_t inside;
	int listener; /* keeper.sock, borrowed; -1 before engine_serve() */
	bool configured;
	struct engine_config conf;
};

/* --- why it failed --------------------------------------------------------------- */

static long sysctl_read(const char *path)
{
	FILE *f = fopen(path, "re");
	long v = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &v) != 1)
		v = -1;
	fclose(f);
	return v;
}

/* Where `make install` put the profile: beside the folder we were started from. */
static const char *apparmor_profile(char *buf, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", buf, size - 1);
	char *slash;
	int up;

	buf[n > 0 ? n : 0] = '\0';
	for (up = 0; up < 2; up++) {
		slash = strrchr(buf, '/');
		if (slash)
			*slash = '\0';
	}
	n = (ssize_t)strlen(buf);
	if (n + sizeof("/" APPARMOR_PROFILE) > size)
		return APPARMOR_PROFILE;
	memcpy(buf + n, "/" APPARMOR_PROFILE, sizeof("/" APPARMOR_PROFILE));
	return buf;
}

static void why_namespace(const struct inside_report *r, char *why, size_t size)
{
	bool denied = r->err == EPERM || r->err == EACCES;
	char profile[256];

	if (denied && sysctl_read("/proc/sys/kernel/"
				  "apparmor_restrict_unprivileged_userns") > 0)
		snprintf(why, size,
			 "AppArmor denies user namespaces to this program; as "
			 "root copy %s into /etc/apparmor.d and run: "
			 "systemctl reload apparmor",
			 apparmor_profile(profile, sizeof(profile)));
	else if (sysctl_read("/proc/sys/kernel/unprivileged_userns_clone") == 0)
		snprintf(why, size,
			 "this machine denies user namespaces to ordinary "
			 "users; as root run: sysctl -w "
			 "kernel.unprivileged_userns_clone=1");
	else if (sysctl_read("/proc/sys/user/max_user_namespaces") == 0 ||
		 sysctl_read("/proc/sys/user/max_net_namespaces") == 0)
		snprintf(why, size,
			 "this machine allows no user or network namespaces; "
			 "as root run: sysctl -w "
			 "user.max_user_namespaces=10000 "
			 "user.max_net_namespaces=10000");
	else
		snprintf(why, size,
			 "user namespaces are denied here (%s); if this is a "
			 "container, allow it unshare(2), or run outside of it",
			 strerror(r->err));
}

static void why_tun(const struct inside_report *r, char *why, size_t size)
{
	char profile[256];
	struct stat st;

	if (r->stage == INSIDE_TUN_MAKE)
		snprintf(why, size,
			 "the kernel denies a TUN interface in a user "
			 "namespace (%s); if AppArmor runs here, as root "
			 "copy %s into /etc/apparmor.d and run: "
			 "systemctl reload apparmor",
			 strerror(r->err),
			 apparmor_profile(profile, sizeof(profile)));
	else if (stat("/dev/net/tun", &st) < 0)
		snprintf(why, size,
			 "/dev/net/tun does not exist; as root run: "
			 "modprobe tun");
	else if (r->err == EACCES || r->err == EPERM)
		snprintf(why, size,
			 "/dev/net/tun is closed to you (mode %03o); as root "
			 "run: chmod 666 /dev/net/tun",
			 st.st_mode & 0777);
	else
		snprintf(why, size,
			 "/dev/net/tun cannot be opened (%s); as root run: "
			 "modprobe tun",
			 strerror(r->err));
}

static void why_report(const struct inside_report *r, char *why, size_t size)
{
	switch ((enum inside_stage)r->stage) {
	case INSIDE_UNSHARE:
	case INSIDE_MAP:
		why_namespace(r, why, size);
		break;
	case INSIDE_TUN_OPEN:
	case INSIDE_TUN_MAKE:
		why_tun(r, why, size);
		break;
	case INSIDE_SYSCTL:
		snprintf(why, size,
			 "/proc/sys is read-only here (%s); if this is a "
			 "container, run outside of it",
			 strerror(r->err));
		break;
	case INSIDE_DONE:
	case INSIDE_NETLINK:
	case INSIDE_NSTAGES:
		snprintf(why, size, "the network namespace is unusable (%s)",
			 strerror(r->err));
		break;
	}
}

/* --- the inside process ----------------------------------------------------------- */

static void inside_reap(struct engine *e)
{
	if (e->link >= 0)
		close(e->link);
	e->link = -1;
	if (e->inside > 0) {
		kill(e->inside, SIGKILL);
		while (waitpid(e->inside, NULL, 0) < 0 && errno == EINTR)
			;
	}
	e->inside = 0;
}

/* Forks a child for @plan and takes its report and descriptors. A child that does
 * not serve is gone at return. */
static int inside_start(struct engine *e, const struct inside_plan *plan,
			struct inside_report *report, int fds[static FDMSG_MAX],
			size_t *n_fds)
{
	int sv[2];
	pid_t me = getpid();

	*n_fds = 0;
	*report = (struct inside_report){INSIDE_NETLINK, EIO};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return -NTM_ENOENGINE;
	e->inside = fork();
	if (e->inside == 0) {
		close(sv[0]);
		inside_main(sv[1], plan, me);
	}
	close(sv[1]);
	e->link = sv[0];
	if (e->inside < 0 || fdmsg_wait(e->link, INSIDE_TIMEOUT_MS) ||
	    fdmsg_recv(e->link, report, sizeof(*report), fds, n_fds, 0) !=
		    sizeof(*report)) {
		inside_reap(e);
		return -NTM_ENOENGINE;
	}
	if (report->stage == INSIDE_DONE && plan->serve)
		return 0;
	if (e->inside > 0) /* let it end: its TUN lives on here */
		while (waitpid(e->inside, NULL, 0) < 0 && errno == EINTR)
			;
	e->inside = 0;
	inside_reap(e);
	return report->stage == INSIDE_DONE ? 0 : -NTM_ENOENGINE;
}

int engine_open(struct engine **out, char *why, size_t why_size)
{
	static const struct inside_plan plan = {-1, -1, true, true};
	struct inside_report report;
	struct engine *e = calloc(1, sizeof(*e));
	int fds[FDMSG_MAX], err;
	size_t n_fds;

	why[0] = '\0';
	if (!e) {
		snprintf(why, why_size, "%s", err_text(NTM_ENOMEM));
		return -NTM_ENOENGINE;
	}
	e->tun = e->user_ns = e->net_ns = e->netlink = e->watch = -1;
	e->link = e->listener = -1;
	err = inside_start(e, &plan, &report, fds, &n_fds);
	if (err || n_fds != 5) {
		why_report(&report, why, why_size);
		while (n_fds)
			close(fds[--n_fds]);
		engine_close(e);
		return -NTM_ENOENGINE;
	}
	e->tun = fds[0];
	e->user_ns = fds[1];
	e->net_ns = fds[2];
	e->netlink = fds[3];
	e->watch = fds[4];
	if (netdev_reconcile(e->netlink, INSIDE_IFNAME, NULL) < 0) {
		snprintf(why, why_size,
			 "the interface inside the namespace cannot be "
			 "brought up (%s)",
			 strerror(errno));
		engine_close(e);
		return -NTM_ENOENGINE;
	}
	*out = e;
	return 0;
}

void engine_close(struct engine *e)
{
	const int fds[] = {e->tun, e->user_ns, e->net_ns, e->netlink, e->watch};
	size_t i;

	inside_reap(e);
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(e);
}

int engine_inside_fd(const struct engine *e)
{
	return e->link;
}

int engine_serve(struct engine *e, int listener)
{
	static const struct inside_request req = {.op = INSIDE_LISTENER};

	e->listener = listener;
	return fdmsg_send(e->link, &req, sizeof(req), NULL, 0, &listener, 1, 0);
}

int engine_revive(struct engine *e)
{
	const struct inside_plan plan = {e->user_ns, e->net_ns, false, true};
	struct inside_report report;
	int fds[FDMSG_MAX], err;
	size_t n_fds;

	inside_reap(e);
	err = inside_start(e, &plan, &report, fds, &n_fds);
	while (n_fds)
		close(fds[--n_fds]);
	if (!err && e->listener >= 0)
		err = engine_serve(e, e->listener);
	return err ? -NTM_ENOENGINE : 0;
}

int engine_socket(struct engine *e, int domain, int type, int protocol, int *fd)
{
	const struct inside_request req = {INSIDE_SOCKET, domain, type,
					   protocol};
	int fds[FDMSG_MAX];
	int32_t answer = 0;
	size_t n_fds = 0;
	ssize_t n;
	int err;

	err = fdmsg_send(e->link, &req, sizeof(req), NULL, 0, NULL, 0, 0);
	if (!err)
		err = fdmsg_wait(e->link, REQUEST_TIMEOUT_MS);
	if (err) {
		/* an answer that comes late must not meet the next request */
		if (err == -NTM_ETIMEOUT && engine_revive(e))
			log_err("engine", "the inside process hangs");
		return -NTM_ESYSTEM;
	}
	n = fdmsg_recv(e->link, &answer, sizeof(answer), fds, &n_fds, 0);
	if (n == sizeof(answer) && !answer && n_fds == 1) {
		*fd = fds[0];
		return 0;
	}
	while (n_fds)
		close(fds[--n_fds]);
	errno = answer;
	return answer == EPERM ? -NTM_EPERM : -NTM_ESYSTEM;
}

/* --- the interface ----------------------------------------------------------------- */

int engine_tun(const struct engine *e)
{
	return e->tun;
}

int engine_watch(const struct engine *e)
{
	return e->watch;
}

int engine_configure(struct engine *e, const struct engine_config *conf)
{
	int n;

	if (conf->mtu < 1280 || conf->mtu > 9000)
		return -NTM_EINVAL;
	e->conf = *conf;
	e->configured = true;
	n = netdev_reconcile(e->netlink, INSIDE_IFNAME, &e->conf);
	return n < 0 ? n : 0;
}

/* The interface was deleted: its TUN is dead for good, so another one. */
static int tun_replace(struct engine *e)
{
	const struct inside_plan plan = {e->user_ns, e->net_ns, true, false};
	struct inside_report report;
	struct engine helper = {.link = -1};
	int fds[FDMSG_MAX], err;
	size_t n_fds;

	err = inside_start(&helper, &plan, &report, fds, &n_fds);
	if (err || n_fds != 1) {
		while (n_fds)
			close(fds[--n_fds]);
		log_err("engine",
			"the interface is gone and cannot be made "
			"again: %s",
			strerror(report.err));
		return -NTM_ENOENGINE;
	}
	close(e->tun);
	e->tun = fds[0];
	return 0;
}

int engine_repair(struct engine *e, bool *new_tun)
{
	const struct engine_config *conf = e->configured ? &e->conf : NULL;
	char buf[8192];
	ssize_t n;
	int fixed, err;

	*new_tun = false;
	do /* what happened does not matter, only that something did */
		n = recv(e->watch, buf, sizeof(buf), MSG_DONTWAIT);
	while (n >= 0 || errno == ENOBUFS || errno == EINTR);
	fixed = netdev_reconcile(e->netlink, INSIDE_IFNAME, conf);
	if (fixed == -NTM_ENOTFOUND) {
		err = tun_replace(e);
		if (err)
			return err;
		*new_tun = true;
		fixed = netdev_reconcile(e->netlink, INSIDE_IFNAME, conf);
	}
	if (fixed > 0)
		log_warn("engine", "repaired %d settings of the interface",
			 fixed);
	return fixed < 0 ? 0 : fixed;
}

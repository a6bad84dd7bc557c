/* SPDX-License-Identifier: MIT */
/*
 * program - ntm-exit's data, shared by the files of its process with keys
 *
 *   main.c       stages, login, events
 *   options.c    what it was started with
 *   net_child.c  the net process, made and told
 *   clients.c    nodes that use the exit
 *   load.c       how busy it is, which the DC is told
 *
 * Owner: main(), one from start to end. Context: loop thread.
 */
#ifndef NTM_SERVERS_EXIT_PROGRAM_H
#define NTM_SERVERS_EXIT_PROGRAM_H

#include <time.h>

#include "broker/handover.h"
#include "broker/peer.h"
#include "broker/worker.h"
#include "common/log.h"
#include "servers/adminsock.h"
#include "servers/datadir.h"
#include "servers/exit/net.h"
#include "servers/exit/seam.h"
#include "servers/exit/seams.h"
#include "servers/exit/usage.h"

#define FOLDER_MAX (DATADIR_PATH_MAX + 16)

/* struct program - all that lives from start to end */
struct program {
	struct worker w; /* first: the data path's argument is a worker */
	struct worker_env env;
	struct keeper_link keeper;
	struct dp_ops ops;
	struct loop *loop;
	struct handover *handover;
	struct adminsock *admin;
	struct loop_signal *term, *interrupt, *hup;
	struct loop_timer *tick;
	enum log_level level;
	uint64_t account_day;
	struct net_conf net;
	struct net_stats *stats;
	struct usage *usage;
	const char *dir;
	char folder[FOLDER_MAX], enrol[FOLDER_MAX + 8];
	char drain_file[FOLDER_MAX + 16];
	int udp4, udp6, admin_fd, seam;
	clockid_t net_clock;
	uint64_t load_ns,
		cpu_ns[2]; /* of the last measurement; ours, the child's */
	unsigned int load, report_s;
	bool draining, reporting;
	pid_t child;
	unsigned int wait_s; /* before the next try to log in */
	bool asking;
};

/* --- options.c --- */

/** sets what @p begins with. Return: 0, -NTM_EINVAL */
NTM_MUST_CHECK int options_parse(struct program *p, int argc, char **argv);

/* --- net_child.c --- */

/** before any key is read. p->seam is its other end. Return: 0, -NTM_ENOMEM,
 *  -NTM_ESYSTEM */
NTM_MUST_CHECK int net_child_start(struct program *p);
/** @c: with its op; of the node with these addresses */
void net_child_tell(struct program *p, struct seam_control c,
		    const uint8_t *vip4, const uint8_t *vip6);
void net_child_tell_of(struct program *p, struct seam_control c,
		       const struct peer *peer);

/* --- clients.c --- */

/** at the start: every node of the domain that the DC directs to us */
void clients_let_in(struct program *p);
/** each second: a key other than the one met before is taken */
void clients_unpin(struct program *p);
/** each second: what they used; who has used up the day is told to the net process */
void clients_count(struct program *p);

/* --- load.c --- */

/** measures, and tells the DC */
void load_report(struct program *p);
/** no more nodes from now on, over a restart, too; or some again */
void load_drain(struct program *p, bool draining);

#endif

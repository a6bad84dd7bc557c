/* SPDX-License-Identifier: MIT */
/* options - what ntm-server starts ntm-exit with, and has checked */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "servers/exit/program.h"

enum option_code {
	OPTION_UDP4 = 256,
	OPTION_UDP6,
	OPTION_ADMIN,
	OPTION_PORT,
	OPTION_SOCKETS,
	OPTION_DAY,
	OPTION_RATE,
	OPTION_DIR,
	OPTION_LEVEL,
	OPTION_ALLOW,
	OPTION_DENY,
	OPTION_CLOSED,
};

static bool number_parse(int option, const char *text, struct program *p)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end)
		return false;
	switch (option) {
	case OPTION_UDP4:
		p->udp4 = (int)v;
		break;
	case OPTION_UDP6:
		p->udp6 = (int)v;
		break;
	case OPTION_ADMIN:
		p->admin_fd = (int)v;
		break;
	case OPTION_PORT:
		p->w.udp_port = (uint16_t)v;
		break;
	case OPTION_SOCKETS:
		p->net.sockets = (unsigned int)v;
		break;
	case OPTION_RATE:
		p->net.rate = v;
		break;
	default:
		p->account_day = v;
	}
	return true;
}

static bool option_take(int option, const char *text, struct program *p)
{
	struct filter *f = &p->net.filter;

	switch (option) {
	case OPTION_DIR:
		p->dir = text;
		return true;
	case OPTION_LEVEL:
		return log_level_parse(text, &p->level);
	case OPTION_ALLOW:
		return !filter_list_parse(text, &f->allow);
	case OPTION_DENY:
		return !filter_list_parse(text, &f->deny);
	case OPTION_CLOSED:
		return !filter_ports_parse(text, f);
	case '?':
		return false;
	default:
		return number_parse(option, text, p);
	}
}

int options_parse(struct program *p, int argc, char **argv)
{
	static const struct option list[] = {
		{"dir", required_argument, NULL, OPTION_DIR},
		{"udp4", required_argument, NULL, OPTION_UDP4},
		{"udp6", required_argument, NULL, OPTION_UDP6},
		{"admin", required_argument, NULL, OPTION_ADMIN},
		{"port", required_argument, NULL, OPTION_PORT},
		{"sockets", required_argument, NULL, OPTION_SOCKETS},
		{"account-day", required_argument, NULL, OPTION_DAY},
		{"account-rate", required_argument, NULL, OPTION_RATE},
		{"log-level", required_argument, NULL, OPTION_LEVEL},
		{"allow", required_argument, NULL, OPTION_ALLOW},
		{"deny", required_argument, NULL, OPTION_DENY},
		{"closed-ports", required_argument, NULL, OPTION_CLOSED},
		{NULL, 0, NULL, 0},
	};
	int c;

	p->udp4 = p->udp6 = p->admin_fd = p->seam = -1;
	p->level = LOG_INFO;
	p->net.mtu = WORKER_MTU;
	p->net.look = true;
	while ((c = getopt_long(argc, argv, "", list, NULL)) != -1)
		if (!option_take(c, optarg, p))
			return -NTM_EINVAL;
	snprintf(p->folder, sizeof(p->folder), "%s/exit", p->dir ? p->dir : "");
	snprintf(p->enrol, sizeof(p->enrol), "%s/enrol", p->folder);
	snprintf(p->drain_file, sizeof(p->drain_file), "%s/draining",
		 p->folder);
	return p->dir && p->admin_fd >= 0 && p->net.sockets ? 0 : -NTM_EINVAL;
}

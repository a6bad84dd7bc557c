/* SPDX-License-Identifier: MIT */
/* brokerconf - the node's own configuration: broker.conf in the config folder */
#include "broker/brokerconf.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/conf.h"

struct text {
	char *portmap, *keepalive;
};

static const struct conf_key keys[] = {
	{"network", "portmap", CONF_STRING, offsetof(struct text, portmap),
	 "auto", "auto: ask the router for a port; off: ask nothing"},
	{"network", "keepalive", CONF_STRING, offsetof(struct text, keepalive),
	 "auto",
	 "udp: keep-alives to the DC; ns: a connection with a "
	 "Notification Server; auto: that one where UDP bears little"},
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

static const char *const modes[] = {
	[NOTIFY_AUTO] = "auto",
	[NOTIFY_UDP] = "udp",
	[NOTIFY_NS] = "ns",
};
#define MODES (sizeof(modes) / sizeof(modes[0]))

static int check(const struct text *t, struct brokerconf *out, const char *path,
		 char *why, size_t why_size)
{
	size_t i = 0;

	if (strcmp(t->portmap, "auto") && strcmp(t->portmap, "off")) {
		snprintf(why, why_size,
			 "%s: network.portmap is to be auto or off, not '%s'",
			 path, t->portmap);
		return -NTM_ECONF;
	}
	while (i < MODES && strcmp(t->keepalive, modes[i]))
		i++;
	if (i == MODES) {
		snprintf(why, why_size,
			 "%s: network.keepalive is to be auto, udp or ns, not "
			 "'%s'",
			 path, t->keepalive);
		return -NTM_ECONF;
	}
	out->portmap = !strcmp(t->portmap, "auto");
	out->keepalive = (enum notify_mode)i;
	return 0;
}

int brokerconf_read(const char *config_dir, struct brokerconf *out, char *why,
		    size_t why_size)
{
	char path[PATH_MAX + 16];
	struct text t = {0};
	int err = conf_defaults(keys, KEYS, &t);

	why[0] = '\0';
	snprintf(path, sizeof(path), "%s/broker.conf", config_dir);
	if (!err)
		err = conf_load(keys, KEYS, path, &t, why, why_size);
	if (err == -NTM_ENOTFOUND)
		err = 0;
	if (!err)
		err = check(&t, out, path, why, why_size);
	conf_clear(keys, KEYS, &t);
	return err;
}

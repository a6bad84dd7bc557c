/* SPDX-License-Identifier: MIT */
/* brokerconf - the node's own configuration: broker.conf in the config folder */
#include "broker/brokerconf.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/conf.h"

struct text {
	char *portmap;
};

static const struct conf_key keys[] = {
	{"network", "portmap", CONF_STRING, offsetof(struct text, portmap),
	 "auto", "auto: ask the router for a port; off: ask nothing"},
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

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
	if (!err && strcmp(t.portmap, "auto") && strcmp(t.portmap, "off")) {
		snprintf(why, why_size,
			 "%s: network.portmap is to be auto or off, not '%s'",
			 path, t.portmap);
		err = -NTM_ECONF;
	}
	if (!err)
		out->portmap = !strcmp(t.portmap, "auto");
	conf_clear(keys, KEYS, &t);
	return err;
}

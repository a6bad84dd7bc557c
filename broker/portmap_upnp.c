/* SPDX-License-Identifier: MIT */
/*
 * portmap_upnp - UPnP's Internet Gateway Device, by miniupnpc
 *
 * One search by multicast. Whoever answers names an address to read a description
 * from, and the description names one to command: both must be the router's own, or
 * anybody in the network could have us call on others.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>

#include "broker/portmap_try.h"

#define SEARCH_MS      1000
#define TRIES	       3   /* ports, where the first is taken */
#define PORT_TAKEN     718 /* the protocol's numbers */
#define PERMANENT_ONLY 725
#define PERMANENT_LIFE 7200 /* ours: it is deleted at our end */
#define DEVICE	       "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
#define TEXT	       16 /* an IPv4 address, a port, a number of seconds */

struct igd {
	struct UPNPUrls urls;
	struct IGDdatas data;
	char source[TEXT], gateway[TEXT];
};

static bool of_router(const struct igd *g, const char *url)
{
	char begin[TEXT + 8];
	size_t len;

	if (!url)
		return false;
	len = (size_t)snprintf(begin, sizeof(begin), "http://%s", g->gateway);
	return !strncmp(url, begin, len) &&
	       (url[len] == ':' || url[len] == '/');
}

/* Return: DONE; .urls are to be freed then */
static enum portmap_why igd_find(struct igd *g)
{
	struct UPNPDev *list, *d;
	enum portmap_why why = PORTMAP_DONE;
	char lan[64];
	int err = 0;

	list = upnpDiscoverDevice(DEVICE, SEARCH_MS, g->source, NULL, 0, 0, 2,
				  &err);
	for (d = list; d; d = d->pNext)
		if (of_router(g, d->descURL) &&
		    UPNP_GetIGDFromUrl(d->descURL, &g->urls, &g->data, lan,
				       sizeof(lan)))
			break;
	if (!d)
		why = list ? PORTMAP_NO_SERVICE : PORTMAP_NO_ANSWER;
	freeUPNPDevlist(list);
	if (why != PORTMAP_DONE)
		return why;
	if (g->data.first.servicetype[0] && of_router(g, g->urls.controlURL))
		return PORTMAP_DONE;
	FreeUPNPUrls(&g->urls);
	return PORTMAP_GARBAGE;
}

static enum portmap_why igd_add(const struct igd *g, struct portmap_try *t)
{
	char inner[TEXT], outer[TEXT], life[TEXT];
	uint16_t port = t->ask.outer_port;
	uint32_t seconds = t->ask.life_s;
	int err = -1;

	snprintf(inner, sizeof(inner), "%u", t->ask.inner_port);
	for (int i = 0; i < TRIES; i++) {
		snprintf(outer, sizeof(outer), "%u", port);
		snprintf(life, sizeof(life), "%u", seconds);
		err = UPNP_AddPortMapping(
			g->urls.controlURL, g->data.first.servicetype, outer,
			inner, g->source, "NTMobile", "UDP", NULL, life);
		if (err == PERMANENT_ONLY)
			seconds = 0;
		else if (err == PORT_TAKEN) /* another, above the usual ones */
			port = (uint16_t)(0x8000 | (t->ask.nonce[i] << 7 ^
						    t->ask.nonce[i + 1]));
		else
			break;
	}
	t->say.outer_port = port;
	t->say.life_s = seconds ? seconds : PERMANENT_LIFE;
	return !err ? PORTMAP_DONE : err > 0 ? PORTMAP_DENIED : PORTMAP_GARBAGE;
}

static enum portmap_why igd_map(const struct igd *g, struct portmap_try *t)
{
	char text[64] = "";
	int err = UPNP_GetExternalIPAddress(g->urls.controlURL,
					    g->data.first.servicetype, text);

	if (err || inet_pton(AF_INET, text, t->say.outer) != 1)
		return err > 0 ? PORTMAP_DENIED : PORTMAP_GARBAGE;
	return igd_add(g, t);
}

static enum portmap_why igd_delete(const struct igd *g,
				   const struct portmap_try *t)
{
	char outer[TEXT];

	snprintf(outer, sizeof(outer), "%u", t->ask.outer_port);
	return UPNP_DeletePortMapping(g->urls.controlURL,
				      g->data.first.servicetype, outer, "UDP",
				      NULL)
		       ? PORTMAP_DENIED
		       : PORTMAP_DONE;
}

enum portmap_why portmap_try_upnp(struct portmap_try *t)
{
	struct in_addr at = {.s_addr = t->natpmp.gateway};
	struct igd *g = calloc(1, sizeof(*g));
	enum portmap_why why = PORTMAP_FAILED;

	if (!g)
		return why;
	inet_ntop(AF_INET, &at, g->gateway, sizeof(g->gateway));
	inet_ntop(AF_INET, t->ask.source, g->source, sizeof(g->source));
	why = igd_find(g);
	if (why == PORTMAP_DONE) {
		why = t->ask.life_s ? igd_map(g, t) : igd_delete(g, t);
		FreeUPNPUrls(&g->urls);
	}
	free(g);
	return why;
}

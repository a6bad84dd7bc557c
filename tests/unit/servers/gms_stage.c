/* SPDX-License-Identifier: MIT */
/* gms_stage - a site whose AS knows a GMS, and devices that have logged in */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "servers/datadir.h"
#include "servers/sockets.h"
#include "tests/unit/servers/gms_stage.h"

struct site site;
struct role_env env;
struct gms *gms;
struct addr gms_at;
struct ntmc_trust *trust;

void stage_gms_start(void)
{
	char error[SOCKETS_ERROR_LEN];

	memset(&env, 0, sizeof(env));
	env.loop = site.loop;
	env.dir = site.dir;
	env.conf = &site.conf;
	assert_int_equal(sockets_bind(role_find("gms"), &site.conf, site.dir,
				      &env.sockets, error),
			 0);
	close(env.sockets.admin);
	env.sockets.admin = -1;
	assert_int_equal(gms_new(&env, &gms), 0);
}

void stage_gms_stop(void)
{
	if (gms)
		gms_free(gms);
	gms = NULL;
	assert_int_equal(loop_turn(site.loop, false), 0);
}

void stage_copy(const char *from, const char *to)
{
	char a[DATADIR_PATH_MAX], b[DATADIR_PATH_MAX],
		command[4 * DATADIR_PATH_MAX + 64];

	assert_int_equal(datadir_path(site.dir, from, a), 0);
	assert_int_equal(datadir_path(site.dir, to, b), 0);
	snprintf(command, sizeof(command), "cp %s %s && rm -f %s-wal %s-shm", a,
		 b, b, b);
	assert_int_equal(system(command), 0);
}

bool stage_is_fed(void *arg)
{
	(void)arg;
	return asfeed_is_fed(gms->asfeed);
}

void stage_up(void)
{
	site_new(&site);
	site.conf.gms_port = site_free_port();
	assert_int_equal(
		addr_parse("127.0.0.1", (uint16_t)site.conf.gms_port, &gms_at),
		0);
	assert_int_equal(ntmc_trust_new(&trust), 0);
	stage_gms_start();
	assert_true(site_wait(&site, stage_is_fed, NULL));
	stage_gms_stop();
}

void stage_down(void)
{
	ntmc_trust_free(trust);
	site_free(&site);
}

void stage_device(int i, struct peer *p, struct tls_context **tls)
{
	char name[16];

	snprintf(name, sizeof(name), "person%d", i);
	site_add_account(&site, name);
	peer_new(p, &site, "desk");
	assert_int_equal(peer_login(p, name, SITE_PASSWORD), 0);
	assert_int_not_equal(p->key_id, 0);
	assert_int_equal(
		ntmc_trust_add(trust, p->ca, p->ca_len, site.ca_fp, NULL), 0);
	assert_int_equal(tls_context_new(&p->id, p->cert, p->cert_len, p->ca,
					 p->ca_len, trust, NULL, tls),
			 0);
	tls_context_set_roles(*tls, NTMC_ROLE_GMS);
}

void stage_device_end(struct peer *p, struct tls_context *tls)
{
	tls_context_free(tls);
	peer_free(p);
}

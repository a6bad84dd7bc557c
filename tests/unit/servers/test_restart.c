/* SPDX-License-Identifier: MIT */
/* test_restart - what the DC knows after a restart, a kill, and on a full disk */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

#include "dc_site.h"

static void restarted_dc(void **state)
{
	const Ntm__RegistrationResponse *r;
	uint8_t vip6[16], vip4[4];
	const Ntm__Signal *s;
	uint64_t boot;

	(void)state;
	r = registration(&cn, NULL);
	memcpy(vip6, r->vip6.data, 16);
	memcpy(vip4, r->vip4.data, 4);
	boot = r->boot;
	peer_register(&mn);
	peer_register(&cn);
	site_stop_dc(&site);
	site_start_dc(&site);
	/* the session lives on; the address must be proven again */
	s = peer_keep_alive(&cn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_REGISTRATION_RESPONSE);
	r = registration(&cn, NULL);
	assert_int_equal(r->boot, boot + 1);
	assert_memory_equal(r->vip6.data, vip6, 16);
	assert_memory_equal(r->vip4.data, vip4, 4);
	peer_register(&mn);
	peer_register(&cn);
	s = peer_direction(&mn, cn.fqdn);
	assert_non_null(s);
	assert_int_equal(s->body_case, NTM__SIGNAL__BODY_ROUTE_DIRECTION);
	site_wait_link(&site);
	assert_int_equal(peer_login_cert(&cn), 0);
	assert_int_equal(cn.code, 0);
}

/* what was acknowledged to a node is there after kill -9 */
static void killed_dc(void **state)
{
	struct peer p;
	struct {
		uint64_t node_id;
		struct datagram_keys keys;
		char fqdn[254];
	} told;
	int pipe_fd[2], status;
	pid_t pid;

	(void)state;
	site_stop_as(&site);
	site_stop_dc(&site);
	assert_int_equal(pipe(pipe_fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct site child = site; /* its own loop, the same folder */

		site_new_loop(&child);
		site_start_dc(&child);
		site_start_as(&child);
		site_wait_link(&child);
		peer_new(&p, &child, "fresh");
		if (peer_login(&p, "alice", SITE_PASSWORD) || p.code)
			_exit(1);
		memset(&told, 0, sizeof(told));
		told.node_id = p.node_id;
		told.keys = p.keys;
		strcpy(told.fqdn, p.fqdn);
		if (write(pipe_fd[1], &told, sizeof(told)) != sizeof(told))
			_exit(1);
		raise(SIGKILL);
	}
	close(pipe_fd[1]);
	assert_int_equal(read(pipe_fd[0], &told, sizeof(told)), sizeof(told));
	close(pipe_fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	site_start_dc(&site);
	site_start_as(&site);
	peer_new(&p, &site, "fresh");
	p.node_id = told.node_id;
	p.keys = told.keys;
	strcpy(p.fqdn, told.fqdn);
	p.counter = UINT64_C(1) << PACKET_BOOT_SHIFT;
	peer_register(&p);
	assert_int_equal(site_dc_number(&site, "nodes"), 3);
	peer_free(&p);
}

static void full_disk(void **state)
{
	struct rlimit old, tight;
	struct peer p;
	char path[128];
	struct stat st;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	peer_new(&p, &site, "phone");
	snprintf(path, sizeof(path), "%s/dc/dc.db-wal", site.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = old;
	tight.rlim_cur = (rlim_t)st.st_size / 2; /* no file may grow */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, NTM_ESTORE);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	/* others were served meanwhile, and there is room again */
	peer_register(&mn);
	assert_int_equal(peer_login(&p, "alice", SITE_PASSWORD), 0);
	assert_int_equal(p.code, 0);
	peer_register(&p);
	peer_free(&p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(restarted_dc),
		T(killed_dc),
		T(full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

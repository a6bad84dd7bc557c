/* SPDX-License-Identifier: MIT */
/* test_shelf_list - a long list of the box's store, by HTTP: quickly, and page by page */
#include <stdio.h>
#include <string.h>

#include "box_site.h"
#include "shelf_rig.h"

#define WAITS	 10000
#define QUICK_MS 100
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RUNNING_SLOW 1
#else
#define RUNNING_SLOW 0
#endif

/* WAITS items wait for bob */
static void waits_fill(const char *db)
{
	struct shelf_device d = {.n = 0};
	int64_t now = later(0);

	assert_int_equal(shelf_open(db, &s), 0);
	assert_int_equal(shelf_begin(s, now), 0);
	strcpy(d.fqdn, bob.fqdn);
	ntmc_fingerprint(bob.id.ed_pub, d.fp);
	assert_int_equal(shelf_put_device(s, &d), 0);
	for (unsigned int n = 0; n < WAITS; n++) {
		struct shelf_exchange x = {.kind = SHELF_KEY, .n_addrs = 1};
		struct ntmc_key k = {{1}};

		item_fill(&x.i, "alice." SITE_DOMAIN, n);
		strcpy(x.i.to, bob.fqdn);
		x.i.expires = now + 3600;
		strcpy(x.cs, "cs." SITE_DOMAIN);
		assert_int_equal(addr_parse("192.0.2.1", 4507, &x.addrs[0]), 0);
		memcpy(k.b, &n, sizeof(n));
		memcpy(x.hash, &n, sizeof(n));
		assert_int_equal(shelf_put_key(s, &x.i, &k), 0);
		assert_int_equal(shelf_put_exchange(s, &x), 0);
		x.kind = SHELF_DATA;
		assert_int_equal(shelf_put_exchange(s, &x), 0);
	}
	commit();
	shelf_close(s);
}

static void listed(void **state)
{
	struct web w = {&near, "GET", "/v1/cache?limit=20000", .peer = &bob};
	char page[64], db[128];
	double best = 1e9, cpu = 1e9;
	json_t *o;

	box_stop(&near);
	snprintf(db, sizeof(db), "%s/box/box.db", near.site.dir);
	waits_fill(db);
	box_start(&near);
	box_wait(&near);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(web(&w, NULL, &o), 200);
		assert_int_equal(json_array_size(json_object_get(o, "entries")),
				 WAITS);
		best = web_ms() < best ? web_ms() : best;
		cpu = web_cpu_ms() < cpu ? web_cpu_ms() : cpu;
		json_decref(o);
	}
	print_message("%d entries listed in %.0f ms, %.0f ms of processor\n",
		      WAITS, best, cpu);
	/* whatever else this machine does now */
	assert_true(cpu < QUICK_MS * (RUNNING_SLOW ? 20 : 1));
	/* page by page */
	w.path = page;
	strcpy(page, "/v1/cache?limit=4000");
	for (int i = 0; i < 3; i++) {
		json_t *list, *last;

		assert_int_equal(web(&w, NULL, &o), 200);
		list = json_object_get(o, "entries");
		assert_int_equal(json_array_size(list), i < 2 ? 4000 : 2000);
		assert_true(json_is_true(json_object_get(o, "more")) ==
			    (i < 2));
		last = json_array_get(list, json_array_size(list) - 1);
		snprintf(page, sizeof(page), "/v1/cache?limit=4000&after=%lld",
			 (long long)json_integer_value(
				 json_object_get(last, "number")));
		json_decref(o);
	}
	web_forget();
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(listed, boxes_setup,
						boxes_teardown),
	};

	return cmocka_run_group_tests_name("shelf_list", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* test_alive - a member that was silent is asked whether it is there, and says so: items
 * alone; and how often who asks is answered */
#include "paper_stage.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/member/alive.h"
#include "broker/member/postcall.h"

/* ntm-post's socket */
static int post_listen(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/post.sock", dir);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* ntm-post is asked to send these bytes */
static void post_hears_item(int fd, const char *service, const char *whom,
			    const uint8_t *want, size_t len)
{
	uint8_t b[GROUP_SEAL_LEN];
	char line[2048];
	ssize_t n = -1;
	json_t *j;
	int c = -1;

	while (c < 0) {
		c = accept(fd, NULL, NULL);
		assert_int_equal(loop_turn(node.loop, c < 0), 0);
	}
	while (n < 0) {
		n = recv(c, line, sizeof(line) - 1, MSG_DONTWAIT);
		assert_int_equal(loop_turn(node.loop, false), 0);
	}
	line[n] = '\0';
	j = json_loads(line, 0, NULL);
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "cmd")),
			    "send");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(j, "to"), 0)),
		whom);
	assert_string_equal(json_string_value(json_object_get(j, "service")),
			    service);
	assert_int_equal(
		ntmc_base64url_decode(
			json_string_value(json_object_get(j, "text")), b, len),
		0);
	assert_memory_equal(b, want, len);
	json_decref(j);
	assert_int_equal(send(c, "{\"ok\":true}\n", 12, MSG_NOSIGNAL), 12);
	while (postcall_busy(node.post))
		assert_int_equal(loop_turn(node.loop, true), 0);
	close(c);
}

static void post_hears(int fd, uint8_t word, const char *whom)
{
	uint8_t b[1 + GROUP_ID_LEN] = {word};

	memcpy(b + 1, member_id(part.m), GROUP_ID_LEN);
	post_hears_item(fd, "alive", whom, b, sizeof(b));
}

/* member 1 was silent for 800 s, and asked after @asked (0: not), as it was stored */
static void silent(uint16_t asked)
{
	uint8_t rows[29] = {[0] = 2,
			    [4] = 1,
			    [23] = 3,
			    [24] = 32,
			    [27] = (uint8_t)(asked >> 8),
			    [28] = (uint8_t)asked};

	assert_int_equal(memberstore_silence_put(node.store, member_id(part.m),
						 rows, sizeof(rows)),
			 0);
	silence_free(part.m->silence);
	assert_int_equal(silence_new(&part.m->silence), 0);
	silence_load(part.m);
	assert_int_equal(silence_s(part.m, 1), 800);
	assert_int_equal(silence_asked_s(part.m, 1),
			 asked ? 800u - asked : SILENCE_UNASKED);
}

static void alive(void **state)
{
	struct group_joiner j = {.fqdn = THEY};
	struct group_change add = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	uint8_t b[GROUP_SEAL_LEN] = {2};
	size_t len = 1 + GROUP_ID_LEN;
	int fd = post_listen();

	(void)state;
	stage_pin();
	memcpy(j.ed_pub, ann.ed_pub, sizeof(j.ed_pub));
	memset(j.token, 7, sizeof(j.token));
	stage_entry(&add);
	memcpy(b + 1, member_id(part.m), GROUP_ID_LEN);
	silent(700);
	/* of somebody else; of another group; no such word */
	stage_item("pc.eve.example.org", "alive", b, len);
	b[1] ^= 1;
	stage_item(THEY, "alive", b, len);
	b[1] ^= 1;
	for (size_t i = 1; i < len; i++)
		stage_item(THEY, "alive", b, i);
	stage_item(THEY, "alive", b, len + 1);
	b[0] = 3;
	stage_item(THEY, "alive", b, len);
	assert_int_equal(silence_s(part.m, 1), 800);
	/* it is there */
	b[0] = 2;
	stage_item(THEY, "alive", b, len);
	assert_int_equal(silence_s(part.m, 1), 0);
	assert_int_equal(silence_asked_s(part.m, 1), SILENCE_UNASKED);
	/* it shows a seal: the same, whatever the seal says */
	silent(700);
	memcpy(b, member_id(part.m), GROUP_ID_LEN);
	stage_item(THEY, "seal", b, sizeof(b));
	assert_int_equal(silence_s(part.m, 1), 0);
	/* it asks: it is answered, once, though nobody of us was silent */
	silent(700);
	b[0] = 1;
	memcpy(b + 1, member_id(part.m), GROUP_ID_LEN);
	stage_item(THEY, "alive", b, len);
	assert_int_equal(silence_s(part.m, 1), 0);
	post_hears(fd, 2, THEY);
	stage_item(THEY, "alive", b, len);
	assert_false(postcall_busy(node.post));
	/* and we ask */
	silent(0);
	alive_ask(&part, 1);
	assert_int_equal(silence_asked_s(part.m, 1), SILENCE_UNASKED);
	post_hears(fd, 1, THEY);
	assert_int_equal(silence_asked_s(part.m, 1), 0);
	alive_ask(&part, 9);
	assert_false(postcall_busy(node.post));
	/* as if it were of the device that we know by another key */
	silent(700);
	b[0] = 2;
	memcpy((uint8_t *)group_find(part.m->g, 1)->ed_pub, eve.ed_pub,
	       NTMC_KEY_LEN);
	stage_item(THEY, "alive", b, len);
	assert_int_equal(silence_s(part.m, 1), 800);
	close(fd);
}

#define OTHER "pc.eve.example.org"

static void add(const char *name, const struct ntmc_identity *id)
{
	struct group_joiner j = {.fqdn = name};
	struct group_change c = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};

	memcpy(j.ed_pub, id->ed_pub, sizeof(j.ed_pub));
	ntmc_random(NULL, j.token, sizeof(j.token));
	stage_entry(&c);
}

/* two that ask in turn are answered once each, as one is */
static void in_turn(void **state)
{
	uint8_t b[1 + GROUP_ID_LEN] = {1};
	int fd = post_listen();

	(void)state;
	add(THEY, &ann);
	add(OTHER, &eve);
	memcpy(b + 1, member_id(part.m), GROUP_ID_LEN);
	stage_item(THEY, "alive", b, sizeof(b));
	post_hears(fd, 2, THEY);
	stage_item(OTHER, "alive", b, sizeof(b));
	post_hears(fd, 2, OTHER);
	for (int i = 0; i < 4; i++) {
		stage_item(i % 2 ? OTHER : THEY, "alive", b, sizeof(b));
		assert_false(postcall_busy(node.post));
	}
	close(fd);
}

/* a seal of the GMS for an epoch of ours, on another past */
static void other_seal(uint8_t out[static GROUP_SEAL_LEN])
{
	struct group_change c = {.kind = GROUP_REFRESH};
	struct ntmc_key share = {{1}}, rn2 = {{2}};
	uint8_t b[GROUP_ENTRY_MAX];
	struct member_own own;
	struct group *g;
	size_t len;

	c.share = &share;
	assert_int_equal(
		memberstore_get(node.store, member_id(part.m), &g, &own), 0);
	member_own_clear(&own);
	while (group_epoch(g) < group_epoch(part.m->g)) {
		assert_int_equal(group_make(NULL, g, &us, &c, b, &len, NULL),
				 0);
		assert_int_equal(group_apply(g, b, len, NULL), 0);
	}
	assert_int_equal(group_seal_make(&gms, g, &rn2, 1000, 2000, out), 0);
	group_free(g);
}

/* the same for two that show seals of another past: each is shown ours, once */
static void seals_in_turn(void **state)
{
	uint8_t theirs[GROUP_SEAL_LEN], *ours;
	struct ntmc_key rn2 = {{3}};
	int fd = post_listen();

	(void)state;
	add(THEY, &ann);
	add(OTHER, &eve);
	other_seal(theirs);
	ours = part.m->seal;
	assert_int_equal(
		group_seal_make(&gms, part.m->g, &rn2, 1000, 2000, ours), 0);
	stage_item(THEY, "seal", theirs, sizeof(theirs));
	post_hears_item(fd, "seal", THEY, ours, GROUP_SEAL_LEN);
	stage_item(OTHER, "seal", theirs, sizeof(theirs));
	post_hears_item(fd, "seal", OTHER, ours, GROUP_SEAL_LEN);
	for (int i = 0; i < 4; i++) {
		stage_item(i % 2 ? OTHER : THEY, "seal", theirs,
			   sizeof(theirs));
		assert_false(postcall_busy(node.post));
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(alive, stage_setup,
						stage_teardown),
		cmocka_unit_test_setup_teardown(in_turn, stage_setup,
						stage_teardown),
		cmocka_unit_test_setup_teardown(seals_in_turn, stage_setup,
						stage_teardown),
	};

	return cmocka_run_group_tests_name("alive", tests, stage_identities,
					   NULL);
}

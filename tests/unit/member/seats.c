/* SPDX-License-Identifier: MIT */
/* seats - a GMS, and devices that are members of one group, in one test process */
#include "seats.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "servers/datadir.h"

struct seat seats[SEATS];

static uint64_t ahead_ns;
static int64_t wall_ahead_s;
static bool fake;

/* --- time ------------------------------------------------------------------------- */

static uint64_t mono(void *arg)
{
	struct timespec t;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec +
	       ahead_ns;
}

static int64_t wall(void *arg)
{
	(void)arg;
	return time(NULL) + wall_ahead_s;
}

void seats_set_wall(int64_t ahead_s)
{
	wall_ahead_s = ahead_s;
	seats_wait_s(0);
}

void seats_wait_s(unsigned int s)
{
	if (!fake)
		loop_set_clock(site.loop, mono, wall, NULL);
	fake = true;
	ahead_ns += LOOP_S(s);
	assert_int_equal(loop_turn(site.loop, false), 0);
}

/* with a clock of ours the loop does not know when to wake */
void seats_step(void)
{
	assert_int_equal(loop_turn(site.loop, !fake), 0);
	if (fake)
		(void)poll(NULL, 0, 1);
}

bool seats_turn(bool (*cond)(void *), void *arg)
{
	int i;

	if (!fake)
		return site_wait(&site, cond, arg);
	for (i = 0; i < 5000 && !cond(arg); i++)
		seats_step();
	return cond(arg);
}

/* --- what members say of themselves -------------------------------------------------- */

static void on_send(void *arg, Ntm__Envelope *msg)
{
	struct seat *s = arg;

	if (s->channel)
		assert_int_equal(channel_send(s->channel, msg), 0);
}

static void on_state(void *arg, struct member *m, enum member_state before)
{
	(void)arg, (void)m, (void)before;
}

static void on_say(void *arg, const uint8_t *text, size_t len)
{
	struct seat *s = arg;

	assert_true(len <= sizeof(s->said));
	memcpy(s->said, text, len);
	s->said_len = len;
	s->said_epoch = s->keys.epoch;
}

static void on_keys(void *arg, const struct group_keys *k, uint32_t index)
{
	struct seat *s = arg;

	(void)index;
	s->has_keys = k;
	s->n_keys++;
	if (k)
		s->keys = *k;
}

static void on_saw(void *arg, enum member_saw what, uint32_t who,
		   uint64_t epoch, int code)
{
	(void)who, (void)epoch, (void)code;
	((struct seat *)arg)->saw |= 1u << what;
}

static void on_done(void *arg, int code)
{
	((struct seat *)arg)->done = code;
}

static void on_people(void *arg)
{
	((struct seat *)arg)->answered = true;
}

static void on_wanted(void *arg, uint32_t index)
{
	((struct seat *)arg)->wanted = index;
}

static void on_ask(void *arg, uint32_t index)
{
	struct seat *s = arg;

	s->asked = index;
	s->n_asked++;
	member_asked(s->m, index);
}

static bool on_login(void *arg, struct member_login *out)
{
	const struct peer *p = &((struct seat *)arg)->peer;

	out->node_id = p->node_id;
	out->key_id = p->key_id;
	out->key = p->kngms;
	return p->key_id;
}

static const struct member_ops ops = {.send = on_send,
				      .state = on_state,
				      .keys = on_keys,
				      .saw = on_saw,
				      .done = on_done,
				      .people = on_people,
				      .wanted = on_wanted,
				      .say = on_say,
				      .ask = on_ask};

/* --- connections ------------------------------------------------------------------------ */

static void opened(struct channel *c, void *arg)
{
	struct seat *s = arg;

	if (s->channel != c)
		return;
	s->open = true;
	if (s->m)
		member_online(s->m);
}

static void message(struct channel *c, const Ntm__Envelope *msg, void *arg)
{
	struct seat *s = arg;

	if (s->channel != c || !s->m)
		return;
	if (s->tap)
		s->tap(s, msg);
	else
		member_message(s->m, msg);
}

static void closed(struct channel *c, int err, void *arg)
{
	struct seat *s = arg;

	(void)err;
	if (s->channel != c)
		return;
	s->channel = NULL;
	s->open = false;
	if (s->m)
		member_offline(s->m);
}

static const struct channel_ops channel_ops_of_seats = {
	.open = opened, .message = message, .closed = closed};

static bool is_open(void *arg)
{
	return ((struct seat *)arg)->open;
}

void seat_online(struct seat *s)
{
	if (s->channel) {
		member_online(s->m);
		return;
	}
	assert_int_equal(channel_connect(site.loop, s->tls, &gms_at.sa,
					 addr_len(&gms_at),
					 &channel_ops_of_seats, s, &s->channel),
			 0);
	assert_true(seats_turn(is_open, s));
}

void seat_offline(struct seat *s)
{
	struct channel *c = s->channel;

	s->channel = NULL;
	s->open = false;
	if (c)
		channel_close(c);
	if (s->m)
		member_offline(s->m);
}

void seat_restart(struct seat *s)
{
	uint8_t id[GROUP_ID_LEN];

	memcpy(id, member_id(s->m), sizeof(id));
	seat_offline(s);
	member_free(s->m);
	s->m = NULL;
	s->has_keys = false;
	assert_int_equal(member_load(&s->setup, id, &s->m), 0);
	seat_online(s);
}

/* --- the server ----------------------------------------------------------------------------- */

static bool all_closed(void *arg)
{
	(void)arg;
	for (int i = 0; i < SEATS; i++)
		if (seats[i].channel)
			return false;
	return true;
}

void seats_gms_stop(void)
{
	stage_gms_stop();
	assert_true(seats_turn(all_closed, NULL));
}

/* --- what is done ----------------------------------------------------------------------------- */

static bool has_key(void *arg)
{
	const struct seat *s = arg;

	return s->has_keys && member_group(s->m) &&
	       s->keys.epoch == group_epoch(ledger_state(ledger_find(
					gms->ledger, member_id(s->m))));
}

static bool is_done(void *arg)
{
	return ((struct seat *)arg)->done <= 0;
}

int seat_submit(struct seat *s, const struct group_change *c)
{
	int r;

	s->done = 1;
	r = member_submit(s->m, c);
	if (r)
		return r;
	assert_true(seats_turn(is_done, s));
	return s->done;
}

int seat_submit_kind(struct seat *s, enum group_kind kind)
{
	struct group_change c = {.kind = kind, .policy = &group_policy_default};

	return seat_submit(s, &c);
}

int seat_remove(struct seat *s, int who)
{
	uint32_t index = member_index(seats[who].m);
	struct group_change c = {.kind = GROUP_REMOVE,
				 .reason = GROUP_REMOVED,
				 .gone = &index,
				 .n_gone = 1};

	return seat_submit(s, &c);
}

size_t seat_named(int who, uint8_t rights, struct member_prekey *k,
		  uint8_t welcome[static GROUP_WELCOME_MAX])
{
	struct seat *s = &seats[who];
	struct group_joiner j = {.rights = rights, .fqdn = s->peer.fqdn};
	struct group_change c = {
		.kind = GROUP_ADD, .joiners = &j, .n_joiners = 1};
	struct group_prekey p = {.serial = 1};
	size_t len;

	ntmc_x25519_keygen(NULL, &k->priv, k->pub);
	memcpy(p.pub, k->pub, sizeof(p.pub));
	group_prekey_sign(&s->peer.id, member_id(seats[0].m), &p);
	group_prekey_put(&p, j.prekey);
	ntmc_random(NULL, j.token, sizeof(j.token));
	memcpy(j.ed_pub, s->peer.id.ed_pub, sizeof(j.ed_pub));
	assert_int_equal(seat_submit(&seats[0], &c), 0);
	len = member_welcome(seats[0].m, welcome);
	assert_int_not_equal(len, 0);
	return len;
}

void seat_add(int who, uint8_t rights)
{
	struct seat *s = &seats[who];
	uint8_t welcome[GROUP_WELCOME_MAX];
	struct member_prekey k;
	size_t len = seat_named(who, rights, &k, welcome);

	assert_int_equal(member_join(&s->setup, welcome, len, &k, 1, &s->m), 0);
	seat_online(s);
	assert_true(seats_turn(has_key, s));
}

static bool together(void *arg)
{
	int n = *(int *)arg, i;

	for (i = 0; i < n; i++)
		if (!has_key(&seats[i]))
			return false;
	return true;
}

void seats_together(int n)
{
	assert_true(seats_turn(together, &n));
	for (int i = 1; i < n; i++)
		assert_memory_equal(&seats[i].keys, &seats[0].keys,
				    sizeof(seats[0].keys));
}

/* --- the stage --------------------------------------------------------------------------------- */

int seats_up(void **state)
{
	(void)state;
	stage_up();
	for (int i = 0; i < SEATS; i++)
		stage_device(i, &seats[i].peer, &seats[i].tls);
	return 0;
}

int seats_down(void **state)
{
	(void)state;
	for (int i = 0; i < SEATS; i++)
		stage_device_end(&seats[i].peer, seats[i].tls);
	stage_down();
	return 0;
}

static void store_path(int i, char path[static DATADIR_PATH_MAX])
{
	char name[32];

	snprintf(name, sizeof(name), "seat%d.db", i);
	assert_int_equal(datadir_path(site.dir, name, path), 0);
}

static void seat_begin(struct seat *s, int i)
{
	char path[DATADIR_PATH_MAX];

	store_path(i, path);
	unlink(path);
	assert_int_equal(memberstore_open(path, NULL, &s->peer.id, &s->store),
			 0);
	s->setup = (struct member_setup){.loop = site.loop,
					 .id = &s->peer.id,
					 .store = s->store,
					 .ops = &ops,
					 .login = on_login,
					 .arg = s};
	s->has_keys = s->open = s->answered = false;
	s->tap = NULL;
	s->saw = s->n_keys = 0;
	s->wanted = UINT32_MAX;
	s->n_asked = 0;
	s->done = 1;
}

int seats_setup(void **state)
{
	(void)state;
	stage_gms_start();
	for (int i = 0; i < SEATS; i++)
		seat_begin(&seats[i], i);
	assert_int_equal(member_found(&seats[0].setup, "band",
				      seats[0].peer.fqdn, "gms.example.org",
				      gms->id.ed_pub, &group_policy_default,
				      &seats[0].m),
			 0);
	assert_int_equal(member_state(seats[0].m), MEMBER_BEHIND);
	seat_online(&seats[0]);
	assert_true(seats_turn(has_key, &seats[0]));
	return 0;
}

int seats_teardown(void **state)
{
	(void)state;
	for (int i = 0; i < SEATS; i++) {
		seat_offline(&seats[i]);
		member_free(seats[i].m);
		seats[i].m = NULL;
		memberstore_close(seats[i].store);
	}
	stage_gms_stop();
	fake = false;
	ahead_ns = 0;
	wall_ahead_s = 0;
	loop_set_clock(site.loop, NULL, NULL, NULL);
	return 0;
}

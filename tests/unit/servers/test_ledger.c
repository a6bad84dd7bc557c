/* SPDX-License-Identifier: MIT */
/* test_ledger - the GMS's groups: what is refused, what is kept, and kill -9 at any time */
#include "tests/unit/libntmcrypto/groups.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "servers/gms/ledger.h"

/* a circle whose GMS is a ledger */
struct desk {
	struct circle c;
	char dir[64], path[80];
	struct ledger *l;
	struct ledger_group *lg;
};

static void again(struct desk *d)
{
	ledger_close(d->l);
	assert_int_equal(ledger_open(d->path, &d->c.gms, &d->c.env, &d->l), 0);
	d->lg = ledger_find(d->l, d->c.id);
}

/* what comes beside an entry */
struct submission {
	uint8_t sealer[NTMC_KEY_LEN], part[PEOPLE][GROUP_PART_LEN];
	struct ledger_part parts[PEOPLE];
	size_t n;
};

/* the entry that the circle has made; @s: NULL: there is nothing beside it */
static int append(struct desk *d, const struct submission *s)
{
	const struct ledger_written w = {.entry = d->c.entry,
					 .len = d->c.len,
					 .sealer = s ? s->sealer : NULL,
					 .parts = s ? s->parts : NULL,
					 .n_parts = s ? s->n : 0};

	return ledger_append(d->l, d->lg, &w, false, NULL);
}

static void prekey(struct desk *d, unsigned int who)
{
	struct person *p = &d->c.p[who];
	uint8_t b[GROUP_PREKEY_LEN];

	group_prekey_put(&p->prekey, b);
	assert_int_equal(ledger_prekey(d->l, d->lg, p->index, b, sizeof(b)), 0);
}

/* 0, 1, 2 are members, with prekeys; epoch 3 */
static void desk_open(struct desk *d)
{
	unsigned int i;

	memset(d, 0, sizeof(*d));
	circle_open(&d->c);
	fixture_mkdir(d->dir);
	snprintf(d->path, sizeof(d->path), "%s/gms.db", d->dir);
	again(d);
	assert_null(d->lg);
	circle_create(&d->c);
	assert_int_equal(ledger_create(d->l, d->c.p[0].id.ed_pub,
				       d->c.p[0].fqdn, d->c.entry, d->c.len,
				       &d->lg),
			 0);
	for (i = 1; i < 3; i++) {
		circle_add(&d->c, 0, i, 0);
		assert_int_equal(append(d, NULL), 0);
	}
	for (i = 0; i < 3; i++)
		prekey(d, i);
	assert_memory_equal(group_hash(ledger_state(d->lg)),
			    group_hash(d->c.log), NTMC_HASH_LEN);
}

static void desk_close(struct desk *d)
{
	ledger_close(d->l);
	fixture_rmdir(d->dir);
	circle_close(&d->c);
}

/* a refresh or removal by @author; parts for all but @without */
static void submit(struct desk *d, unsigned int author,
		   struct group_change *change, int without,
		   struct submission *s)
{
	struct group_sealer sealer;
	struct group_entry e;
	unsigned int i;

	circle_make(&d->c, author, change);
	assert_int_equal(group_entry_get(d->c.entry, d->c.len, &e), 0);
	group_sealer_open(&d->c.env, d->c.id, e.epoch, e.generation, &sealer);
	memcpy(s->sealer, sealer.pub, sizeof(s->sealer));
	s->n = 0;
	for (i = 0; i < PEOPLE; i++) {
		struct person *p = &d->c.p[i];

		if (!p->g || i == author || (int)i == without ||
		    group_entry_removes(&e, p->index))
			continue;
		assert_int_equal(group_part_seal(&sealer, p->index,
						 p->prekey.pub, &d->c.share,
						 s->part[s->n]),
				 0);
		s->parts[s->n].index = p->index;
		s->parts[s->n].part = s->part[s->n];
		s->n++;
	}
}

static void test_append(void **state)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};
	uint32_t gone = 2;
	struct group_change away = {.kind = GROUP_REMOVE,
				    .reason = GROUP_REMOVED,
				    .gone = &gone,
				    .n_gone = 1};
	struct ntmc_key before;
	struct submission s;
	struct desk d;
	int64_t t;

	(void)state;
	desk_open(&d);
	/* a member that is left out, one that is no member, none at all */
	submit(&d, 1, &refresh, 2, &s);
	assert_int_equal(append(&d, &s), -NTM_EINVAL);
	submit(&d, 1, &refresh, -1, &s);
	s.parts[s.n - 1].index = 7;
	assert_int_equal(append(&d, &s), -NTM_EINVAL);
	assert_int_equal(append(&d, NULL), -NTM_EINVAL);
	assert_int_equal(group_epoch(ledger_state(d.lg)), 3);
	before = *ledger_rn2(d.lg);
	submit(&d, 1, &refresh, -1, &s);
	assert_int_equal(append(&d, &s), 0);
	assert_memory_not_equal(&before, ledger_rn2(d.lg), sizeof(before));
	/* the answer was lost: the same bytes once more */
	assert_int_equal(append(&d, &s), -NTM_EEXISTS);
	again(&d);
	assert_int_equal(append(&d, &s), -NTM_EEXISTS);
	assert_int_equal(group_seal_check(ledger_state(d.lg), ledger_seal(d.lg),
					  GROUP_SEAL_LEN, ledger_rn2(d.lg),
					  FIXTURE_NOW, &t),
			 0);
	/* two at once: the second is of a past that is over */
	submit(&d, 0, &away, -1, &s);
	assert_int_equal(append(&d, &s), -NTM_EFORK);
	circle_close(&d.c);
	ledger_close(d.l);
	fixture_rmdir(d.dir);
}

static int append_with(struct desk *d,
		       const uint8_t (*prekeys)[GROUP_PREKEY_LEN], size_t n)
{
	const struct ledger_written w = {.entry = d->c.entry,
					 .len = d->c.len,
					 .prekeys = prekeys,
					 .n_prekeys = n};

	return ledger_append(d->l, d->lg, &w, false, NULL);
}

/* who is added with a prekey is left out by nobody, before it was ever here */
static void test_prekeys(void **state)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};
	uint8_t k[2][GROUP_PREKEY_LEN] = {{0}};
	struct group_prekey weak = {.serial = 1};
	struct submission s;
	struct desk d;

	(void)state;
	desk_open(&d);
	circle_add(&d.c, 0, 3, 0);
	/* too many; another one's; with another kind of entry */
	assert_int_equal(append_with(&d, k, 2), -NTM_EINVAL);
	group_prekey_put(&d.c.p[2].prekey, k[0]);
	assert_int_equal(append_with(&d, k, 1), -NTM_EAUTH);
	group_prekey_put(&d.c.p[3].prekey, k[0]);
	k[0][NTMC_KEY_LEN + 7] ^= 1; /* another serial */
	assert_int_equal(append_with(&d, k, 1), -NTM_EAUTH);
	k[0][NTMC_KEY_LEN + 7] ^= 1;
	/* its own, but nobody can seal to it */
	group_prekey_sign(&d.c.p[3].id, d.c.id, &weak);
	group_prekey_put(&weak, k[1]);
	assert_int_equal(append_with(&d, k + 1, 1), -NTM_EAUTH);
	assert_int_equal(group_epoch(ledger_state(d.lg)), 3);
	assert_int_equal(append_with(&d, k, 1), 0);
	/* it is there with the entry, whenever the GMS ends */
	again(&d);
	assert_memory_equal(ledger_person(d.lg, 3)->prekey, k[0], sizeof(k[0]));
	submit(&d, 0, &refresh, 3, &s);
	assert_int_equal(append(&d, &s), -NTM_EINVAL);
	submit(&d, 0, &refresh, -1, &s);
	assert_int_equal(append(&d, &s), 0);
	/* its own hello brings the same one */
	assert_int_equal(ledger_prekey(d.l, d.lg, 3, k[0], sizeof(k[0])),
			 -NTM_EEXISTS);
	circle_spread(&d.c);
	circle_timer(&d.c);
	assert_int_equal(append_with(&d, k, 1), -NTM_EINVAL);
	/* of whom none is known: it is as if there were none */
	assert_int_equal(ledger_renew(d.l, d.lg), 0);
	desk_close(&d);
	desk_open(&d);
	memset(k, 0, sizeof(k));
	circle_add(&d.c, 0, 3, 0);
	assert_int_equal(append_with(&d, k, 1), 0);
	assert_true(!ledger_person(d.lg, 3)->serial);
	submit(&d, 0, &refresh, 3, &s);
	assert_int_equal(append(&d, &s), 0);
	desk_close(&d);
}

static void test_create(void **state)
{
	struct ledger_group *lg;
	struct desk d;
	uint8_t entry[GROUP_ENTRY_MAX];
	struct group_policy p = group_policy_default;
	struct group_change change = {.kind = GROUP_CREATE,
				      .server = "gms.example.org",
				      .policy = &p};
	struct ntmc_key share = {{1}};
	struct group *none;
	size_t len;

	(void)state;
	desk_open(&d);
	assert_int_equal(ledger_founded(d.l, d.c.p[0].id.ed_pub), 1);
	assert_int_equal(ledger_founded(d.l, d.c.p[1].id.ed_pub), 0);
	change.share = &share;
	change.id = d.c.id;
	change.fqdn = d.c.p[4].fqdn;
	change.server_key = d.c.gms.ed_pub;
	assert_int_equal(group_new(&none), 0);
	assert_int_equal(group_make(&d.c.env, none, &d.c.p[4].id, &change,
				    entry, &len, NULL),
			 0);
	assert_int_equal(ledger_create(d.l, d.c.p[4].id.ed_pub, d.c.p[4].fqdn,
				       entry, len, &lg),
			 -NTM_EEXISTS);
	/* another GMS's */
	change.id = d.c.p[3].id.ed_pub;
	change.server_key = d.c.p[5].id.ed_pub;
	assert_int_equal(group_make(&d.c.env, none, &d.c.p[4].id, &change,
				    entry, &len, NULL),
			 0);
	assert_int_equal(ledger_create(d.l, d.c.p[4].id.ed_pub, d.c.p[4].fqdn,
				       entry, len, &lg),
			 -NTM_EPERM);
	assert_int_equal(ledger_create(d.l, d.c.p[4].id.ed_pub, d.c.p[4].fqdn,
				       entry, len - 1, &lg),
			 -NTM_EDECODE);
	assert_int_equal(ledger_count(d.l), 1);
	group_free(none);
	desk_close(&d);
}

/* what a reader gets */
struct reader {
	uint64_t from;
	unsigned int entries, parts, at_most;
};

static bool count(void *arg, const struct ledger_logged *e)
{
	struct reader *r = arg;

	assert_int_equal(e->epoch, r->from + r->entries + 1);
	assert_true(!e->part || e->sealer);
	r->entries++;
	r->parts += e->part != NULL;
	return r->entries < r->at_most;
}

static struct reader read_from(struct desk *d, uint32_t index, uint64_t epoch,
			       unsigned int at_most)
{
	struct reader r = {.from = epoch, .at_most = at_most};

	assert_int_equal(ledger_read(d->l, d->lg, index, epoch, count, &r), 0);
	return r;
}

/* away: entries and parts wait, and are forgotten when they have been taken */
static void test_away(void **state)
{
	struct group_change refresh = {.kind = GROUP_REFRESH};
	uint8_t hash[NTMC_HASH_LEN], third[NTMC_HASH_LEN];
	struct submission s;
	struct reader r;
	struct desk d;
	int i;

	(void)state;
	desk_open(&d);
	memcpy(third, group_hash(d.c.log), sizeof(third));
	for (i = 0; i < 3; i++) {
		submit(&d, 1, &refresh, -1, &s);
		assert_int_equal(append(&d, &s), 0);
		assert_int_equal(group_apply(d.c.log, d.c.entry, d.c.len, NULL),
				 0);
		assert_int_equal(
			group_apply(d.c.p[1].g, d.c.entry, d.c.len, NULL), 0);
		assert_int_equal(ledger_renew(d.l, d.lg), 0);
		assert_int_equal(
			ledger_hash(d.l, d.lg, group_epoch(d.c.log), hash), 0);
		assert_memory_equal(hash, group_hash(d.c.log), sizeof(hash));
		group_free(d.c.p[1].g);
		d.c.p[1].g = NULL;
		{
			static uint8_t b[4096];
			size_t len;

			assert_int_equal(group_save(ledger_state(d.lg), b,
						    sizeof(b), &len),
					 0);
			assert_int_equal(group_load(b, len, &d.c.p[1].g), 0);
			group_free(d.c.log);
			assert_int_equal(group_load(b, len, &d.c.log), 0);
		}
	}
	assert_int_equal(ledger_hash(d.l, d.lg, 3, hash), 0);
	assert_memory_equal(hash, third, sizeof(hash));
	assert_int_equal(ledger_hash(d.l, d.lg, 99, hash), -NTM_ENOTFOUND);
	again(&d);
	r = read_from(&d, 2, 3, 100);
	assert_int_equal(r.entries, 6);
	assert_int_equal(r.parts, 3);
	/* the author has its share */
	assert_int_equal(read_from(&d, 1, 3, 100).parts, 0);
	assert_int_equal(read_from(&d, 2, 3, 2).entries, 2);
	ledger_ack(d.l, d.lg, 2, 6, NULL);
	ledger_ack(d.l, d.lg, 0, 99, NULL); /* not yet */
	assert_int_equal(ledger_flush(d.l), 0);
	again(&d);
	assert_int_equal(read_from(&d, 2, 3, 100).parts, 1);
	assert_int_equal(read_from(&d, 0, 3, 100).parts, 3);
	assert_int_equal(ledger_person(d.lg, 2)->acked, 6);
	desk_close(&d);
}

static void test_people(void **state)
{
	uint8_t b[GROUP_PREKEY_LEN], tag[GROUP_CONFIRM_LEN] = {7};
	struct group_leave leave;
	uint32_t gone = 2;
	struct group_change away = {
		.kind = GROUP_REMOVE, .reason = GROUP_LEFT, .leave = &leave};
	struct submission s;
	struct desk d;

	(void)state;
	desk_open(&d);
	/* the same again, one that is older, another's, nobody's */
	group_prekey_put(&d.c.p[1].prekey, b);
	assert_int_equal(ledger_prekey(d.l, d.lg, 1, b, sizeof(b)),
			 -NTM_EEXISTS);
	d.c.p[1].prekey.serial += 5;
	group_prekey_put(&d.c.p[1].prekey, b);
	assert_int_equal(ledger_prekey(d.l, d.lg, 1, b, sizeof(b)), -NTM_EAUTH);
	assert_int_equal(ledger_prekey(d.l, d.lg, 9, b, sizeof(b)),
			 -NTM_ENONAME);
	assert_int_equal(ledger_prekey(d.l, d.lg, 1, b, 5), -NTM_EDECODE);
	ledger_ack(d.l, d.lg, 1, 3, tag);
	assert_int_equal(ledger_flush(d.l), 0);
	again(&d);
	assert_memory_equal(ledger_person(d.lg, 1)->confirmation, tag,
			    sizeof(tag));
	assert_int_equal(ledger_person(d.lg, 1)->seen, FIXTURE_NOW);
	assert_int_equal(ledger_person(d.lg, 1)->serial,
			 d.c.p[1].prekey.serial - 5);

	group_leave_sign(&d.c.p[2].id, d.c.log, gone, &leave);
	leave.sig[0] ^= 1;
	assert_int_equal(ledger_leave(d.l, d.lg, &leave), -NTM_EAUTH);
	leave.sig[0] ^= 1;
	assert_int_equal(ledger_leave(d.l, d.lg, &leave), 0);
	again(&d);
	assert_true(ledger_person(d.lg, 2)->leaving);
	leave = ledger_person(d.lg, 2)->leave;
	submit(&d, 1, &away, -1, &s);
	assert_int_equal(append(&d, &s), 0);
	assert_null(ledger_person(d.lg, 2));
	again(&d);
	assert_null(ledger_person(d.lg, 2));
	assert_int_equal(ledger_person(d.lg, 0)->serial,
			 d.c.p[0].prekey.serial);
	desk_close(&d);
}

/* a process that renews and says each epoch once it is there, until it is killed */
static pid_t renewer(struct desk *d, int *fd)
{
	int p[2];
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	ledger_close(d->l);
	d->l = NULL;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct ledger *l;

		close(p[0]);
		if (ledger_open(d->path, &d->c.gms, NULL, &l))
			_exit(1);
		for (;;) {
			struct ledger_group *lg = ledger_find(l, d->c.id);
			uint64_t e;

			if (!lg || ledger_renew(l, lg))
				_exit(2);
			e = group_epoch(ledger_state(lg));
			if (write(p[1], &e, sizeof(e)) != sizeof(e))
				_exit(3);
		}
	}
	close(p[1]);
	*fd = p[0];
	return pid;
}

static void test_kill(void **state)
{
	uint64_t said = 3, e;
	struct desk d;
	int64_t t;
	int i, fd, status;

	(void)state;
	desk_open(&d);
	for (i = 0; i < 20; i++) {
		pid_t pid = renewer(&d, &fd);
		int wait = rand() % 6;

		/* some are awaited, so that the moment differs each time */
		while (wait-- && read(fd, &e, sizeof(e)) == sizeof(e))
			said = e;
		usleep((unsigned int)(rand() % 3000));
		kill(pid, SIGKILL);
		while (read(fd, &e, sizeof(e)) == sizeof(e))
			said = e;
		close(fd);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(ledger_open(d.path, &d.c.gms, &d.c.env, &d.l),
				 0);
		d.lg = ledger_find(d.l, d.c.id);
		e = group_epoch(ledger_state(d.lg));
		/* what was said is there, and at most one more */
		assert_true(e == said || e == said + 1);
		said = e;
		assert_int_equal(read_from(&d, 0, 3, 100000).entries, e - 3);
		assert_int_equal(
			group_seal_check(ledger_state(d.lg), ledger_seal(d.lg),
					 GROUP_SEAL_LEN, ledger_rn2(d.lg),
					 ledger_renewed(d.lg), &t),
			0);
	}
	assert_true(said > 3);
	desk_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),	cmocka_unit_test(test_append),
		cmocka_unit_test(test_away),	cmocka_unit_test(test_people),
		cmocka_unit_test(test_prekeys), cmocka_unit_test(test_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

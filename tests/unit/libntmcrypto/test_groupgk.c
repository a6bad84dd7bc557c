/* SPDX-License-Identifier: MIT */
/* test_groupgk - the group key: what it is made of (W5), and that nothing of it is left (W6) */
#include "groups.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "libntmcrypto/group_impl.h"

/* no subkey of @k is one of @before's, nor another one of its own */
static void all_differ(const struct group_keys *k,
		       const struct group_keys *before)
{
	const struct ntmc_key *a[] = {&k->confirm,	&k->control,
				      &k->data,		&k->exporter,
				      &before->confirm, &before->control,
				      &before->data,	&before->exporter};

	for (size_t i = 0; i < 4; i++)
		for (size_t j = i + 1; j < ARRAY_LEN(a); j++)
			if (i != j)
				assert_memory_not_equal(a[i], a[j],
							sizeof(*a[i]));
}

/* W5: group, name, epoch, generation and past are in it, each for itself */
static void test_bound(void **state)
{
	struct group_keys before, k;
	struct group_secret s, was;
	struct group *g;
	struct circle c;

	(void)state;
	circle_band(&c, 2);
	was = s = c.p[0].secret;
	before = c.p[0].keys;
	g = c.p[0].g;
	assert_int_equal(group_keys_derive(&s, g, &c.rn2, &k), 0);
	assert_true(circle_same_keys(&k, &before));
	s.name[0]++;
	assert_int_equal(group_keys_derive(&s, g, &c.rn2, &k), 0);
	all_differ(&k, &before);
	s = was;
	s.id[0] ^= 1;
	g->id[0] ^= 1;
	assert_int_equal(group_keys_derive(&s, g, &c.rn2, &k), 0);
	all_differ(&k, &before);
	g->id[0] ^= 1;
	s = was;
	s.epoch = ++g->epoch;
	assert_int_equal(group_keys_derive(&s, g, &c.rn2, &k), 0);
	all_differ(&k, &before);
	g->epoch--;
	s = was;
	s.generation = ++g->generation;
	assert_int_equal(group_keys_derive(&s, g, &c.rn2, &k), 0);
	all_differ(&k, &before);
	assert_int_equal(group_keys_derive(&was, g, &c.rn2, &k), -NTM_ESTATE);
	g->generation--;
	g->hash[31] ^= 1;
	assert_int_equal(group_keys_derive(&was, g, &c.rn2, &k), 0);
	all_differ(&k, &before);
	circle_close(&c);
}

#define MASK	  0x5a
#define STACK_LEN 262144
#define AREA_MAX  (64u << 20)

/** struct hunt - what is looked for in this process, masked; the derivation's own stack */
struct hunt {
	const struct circle *c;
	struct group_keys keys;
	uint8_t gk[NTMC_KEY_LEN], prk[NTMC_HASH_LEN], rn1[NTMC_KEY_LEN];
	ucontext_t here, there;
};

static struct hunt hunt;

/* as docs/groups.md has it; in a child, so that no copy of it is here */
static void by_hand(const struct circle *c, int fd)
{
	const struct group_secret *s = &c->p[0].secret;
	uint8_t text[256], out[3 * NTMC_KEY_LEN];
	struct wire_out w = wire_out(text, sizeof(text));

	wire_put_name(&w, "ntm group v1");
	wire_put(&w, s->id, sizeof(s->id));
	wire_put_name(&w, s->name);
	wire_put_number(&w, s->epoch, 8);
	wire_put_number(&w, s->generation, 4);
	wire_put(&w, group_hash(c->p[0].g), NTMC_HASH_LEN);
	if (ntmc_hkdf_extract(c->rn2.b, NTMC_KEY_LEN, s->rn1.b, NTMC_KEY_LEN,
			      out + NTMC_KEY_LEN) ||
	    ntmc_hkdf_expand(out + NTMC_KEY_LEN, text, w.len, out,
			     NTMC_KEY_LEN))
		_exit(1);
	memcpy(out + 2 * NTMC_KEY_LEN, s->rn1.b, NTMC_KEY_LEN);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] ^= MASK;
	_exit(write(fd, out, sizeof(out)) != sizeof(out));
}

static void told(const struct circle *c)
{
	uint8_t out[3 * NTMC_KEY_LEN];
	int fd[2], status;
	pid_t child;

	assert_int_equal(pipe(fd), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child)
		by_hand(c, fd[1]);
	assert_int_equal(read(fd[0], out, sizeof(out)), sizeof(out));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(fd[0]);
	close(fd[1]);
	memcpy(hunt.gk, out, NTMC_KEY_LEN);
	memcpy(hunt.prk, out + NTMC_KEY_LEN, NTMC_HASH_LEN);
	memcpy(hunt.rn1, out + 2 * NTMC_KEY_LEN, NTMC_KEY_LEN);
}

static size_t count_in(const uint8_t *b, size_t len, const uint8_t *masked)
{
	size_t i, k, n = 0;

	for (i = 0; i + NTMC_KEY_LEN <= len; i++) {
		for (k = 0; k < NTMC_KEY_LEN; k++)
			if ((b[i + k] ^ MASK) != masked[k])
				break;
		n += k == NTMC_KEY_LEN;
	}
	return n;
}

static size_t count_area(int mem, uint64_t from, uint64_t to,
			 const uint8_t *masked)
{
	static uint8_t b[1u << 20];
	size_t n = 0;

	while (from + NTMC_KEY_LEN <= to) {
		size_t len = to - from < sizeof(b) ? to - from : sizeof(b);

		if (pread(mem, b, len, (off_t)from) != (ssize_t)len)
			break; /* nothing is behind it */
		n += count_in(b, len, masked);
		from += len - NTMC_KEY_LEN + 1;
	}
	return n;
}

/* in all that this process may write: stacks, heaps, data of libraries */
static size_t count_here(const uint8_t *masked)
{
	FILE *f = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned long from, to;
	char line[512], mode[8];
	size_t n = 0;

	assert_non_null(f);
	assert_true(mem >= 0);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) == 3 &&
		    !strncmp(mode, "rw", 2) && to - from <= AREA_MAX)
			n += count_area(mem, from, to, masked);
	fclose(f);
	close(mem);
	return n;
}

static void derive_there(void)
{
	if (group_keys_derive(&hunt.c->p[0].secret, hunt.c->p[0].g,
			      &hunt.c->rn2, &hunt.keys))
		memset(&hunt.keys, 0, sizeof(hunt.keys));
}

/* W6: of GK, and of what it is made of on the way, nothing is left. On a stack of its own,
 * where nobody writes behind it */
static void test_no_gk(void **state)
{
	struct circle c;
	void *stack = mmap(NULL, STACK_LEN, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(stack != MAP_FAILED);
	circle_band(&c, 2);
	circle_timer(&c);
	told(&c);
	hunt.c = &c;
	assert_int_equal(getcontext(&hunt.there), 0);
	hunt.there.uc_stack.ss_sp = stack;
	hunt.there.uc_stack.ss_size = STACK_LEN;
	hunt.there.uc_link = &hunt.here;
	makecontext(&hunt.there, derive_there, 0);
	assert_int_equal(swapcontext(&hunt.here, &hunt.there), 0);
	assert_true(circle_same_keys(&hunt.keys, &c.p[0].keys));
	assert_true(count_here(hunt.rn1) > 0); /* what is here is found */
	assert_int_equal(count_here(hunt.gk), 0);
	assert_int_equal(count_here(hunt.prk), 0);
	circle_close(&c);
	munmap(stack, STACK_LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_no_gk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

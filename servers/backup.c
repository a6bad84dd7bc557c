/* SPDX-License-Identifier: MIT */
/*
 * backup - `ntm-server backup` and `restore`: the data folder in one file
 *
 * Theory of operation
 *
 *   "NTMBACKUP1\n"
 *   for each file: u8 number (enum datadir_file) | u64 length | bytes
 *   u8 255 | 32 bytes: digest of all before
 *
 * The digest runs over pieces of 64 KiB: d = SHA-256(d | piece). It finds damage,
 * not malice: whoever can write the file holds the CA's key anyway. restore reads
 * it twice: the first time to check all of it, the second time to write.
 *
 * Blobs of a Cache Server are not in it: they are large, and live for days. Items that
 * a restored store knows and whose blob is not there are called lost.
 *
 * The stores are copied by SQLite while the roles run. A restored DC forgets its
 * sessions: its boot number is an old one, and counters under their keys would be
 * used a second time. Nodes log in again by certificate.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "libntmcrypto/ntmcrypto.h"
#include "servers/as/accounts.h"
#include "servers/box/shelf.h"
#include "servers/cli.h"
#include "servers/cs/items.h"
#include "servers/gms/ledger.h"
#include "servers/dc/journal.h"

#define MAGIC	   "NTMBACKUP1\n"
#define END	   255
#define PIECE	   65536
#define COPY	   ".backup" /* of a store, while it is packed */
#define LENGTH_MAX (UINT64_C(1) << 40)

struct stream {
	FILE *f;
	uint8_t digest[NTMC_HASH_LEN];
	uint8_t piece[NTMC_HASH_LEN + PIECE];
};

static void digest_add(struct stream *s, const uint8_t *data, size_t len)
{
	memcpy(s->piece, s->digest, NTMC_HASH_LEN);
	if (data != s->piece + NTMC_HASH_LEN)
		memcpy(s->piece + NTMC_HASH_LEN, data, len);
	ntmc_sha256(s->piece, NTMC_HASH_LEN + len, s->digest);
}

static int put(struct stream *s, const uint8_t *data, size_t len)
{
	digest_add(s, data, len);
	return fwrite(data, 1, len, s->f) == len ? 0 : -NTM_ESTORE;
}

static int get(struct stream *s, uint8_t *data, size_t len)
{
	if (fread(data, 1, len, s->f) != len)
		return -NTM_EDECODE;
	digest_add(s, data, len);
	return 0;
}

static void put_head(uint8_t head[9], enum datadir_file f, uint64_t len)
{
	head[0] = (uint8_t)f;
	for (int i = 0; i < 8; i++)
		head[1 + i] = (uint8_t)(len >> (56 - 8 * i));
}

/* --- backup -------------------------------------------------------------------- */

static int pack_file(struct stream *s, enum datadir_file f, const char *path)
{
	uint8_t *room = s->piece + NTMC_HASH_LEN, head[9];
	FILE *in = fopen(path, "re");
	struct stat st;
	uint64_t left;
	int r;

	if (!in)
		return errno == ENOENT ? 0 : -NTM_ESTORE;
	if (fstat(fileno(in), &st)) {
		fclose(in);
		return -NTM_ESTORE;
	}
	left = (uint64_t)st.st_size;
	put_head(head, f, left);
	r = put(s, head, sizeof(head));
	while (!r && left) {
		size_t n = left < PIECE ? (size_t)left : PIECE;

		if (fread(room, 1, n, in) != n)
			r = -NTM_ESTORE;
		else if (fwrite(room, 1, n, s->f) != n)
			r = -NTM_ESTORE;
		else
			digest_add(s, room, n);
		left -= n;
	}
	fclose(in);
	return r;
}

static int copy_store(enum datadir_file f, const char *path, const char *copy)
{
	struct accounts *a;
	struct journal *j;
	struct shelf *b;
	struct ledger *l;
	struct items *s;
	int r;

	unlink(copy);
	if (f == DATADIR_GMS_DB) {
		/* nothing is signed: no identity */
		r = ledger_open(path, NULL, NULL, &l);
		if (r)
			return r;
		r = ledger_backup(l, copy);
		ledger_close(l);
		return r;
	}
	if (f == DATADIR_BOX_DB) {
		r = shelf_open(path, &b);
		if (r)
			return r;
		r = shelf_backup(b, copy);
		shelf_close(b);
		return r;
	}
	if (f == DATADIR_AS_DB) {
		r = accounts_open(path, &a);
		if (r)
			return r;
		r = accounts_backup(a, copy);
		accounts_close(a);
		return r;
	}
	if (f == DATADIR_CS_DB) {
		r = items_open(path, &s);
		if (r)
			return r;
		r = items_backup(s, copy);
		items_close(s);
		return r;
	}
	r = journal_open(path, false, &j);
	if (r)
		return r;
	r = journal_backup(j, copy);
	journal_close(j);
	return r;
}

static int pack_one(struct stream *s, const char *dir, enum datadir_file f)
{
	char path[DATADIR_PATH_MAX], copy[DATADIR_PATH_MAX + 8];
	int r = datadir_file(dir, f, path);

	if (r ||
	    (f != DATADIR_AS_DB && f != DATADIR_DC_DB && f != DATADIR_BOX_DB &&
	     f != DATADIR_CS_DB && f != DATADIR_GMS_DB))
		return r ? r : pack_file(s, f, path);
	if (access(path, F_OK))
		return 0;
	snprintf(copy, sizeof(copy), "%s" COPY, path);
	r = copy_store(f, path, copy);
	if (!r)
		r = pack_file(s, f, copy);
	unlink(copy);
	return r;
}

static int pack_all(struct stream *s, const char *dir)
{
	const uint8_t end = END;
	int r = put(s, (const uint8_t *)MAGIC, strlen(MAGIC));

	for (int f = 0; !r && f < DATADIR_NFILES; f++)
		r = pack_one(s, dir, (enum datadir_file)f);
	if (!r)
		r = put(s, &end, 1);
	if (!r && fwrite(s->digest, 1, NTMC_HASH_LEN, s->f) != NTMC_HASH_LEN)
		r = -NTM_ESTORE;
	if (!r && (fflush(s->f) || fsync(fileno(s->f))))
		r = -NTM_ESTORE;
	return r;
}

int cli_backup(struct cli *c)
{
	static struct stream s; /* 64 KiB; a command runs once */
	const char *out = c->args[0];
	struct server_conf conf;
	int fd, r = cli_conf(c, &conf);

	if (r)
		return r;
	serverconf_clear(&conf);
	/* as who we are: the owner of the data may not write there */
	fd = open(out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return cli_fail("%s: %s", out, strerror(errno));
	s.f = fdopen(fd, "w");
	r = s.f ? datadir_enter(c->dir) : -NTM_ENOMEM;
	if (!r)
		r = pack_all(&s, c->dir);
	if (s.f && fclose(s.f) && !r)
		r = -NTM_ESTORE;
	ntmc_wipe(&s, sizeof(s));
	if (!r)
		return 0;
	unlink(out);
	return cli_fail("the backup could not be made: %s", err_text(r));
}

/* --- restore -------------------------------------------------------------------- */

/* @out: NULL only reads */
static int unpack_file(struct stream *s, uint64_t left, FILE *out)
{
	uint8_t *room = s->piece + NTMC_HASH_LEN;
	int r = 0;

	while (!r && left) {
		size_t n = left < PIECE ? (size_t)left : PIECE;

		r = get(s, room, n);
		if (!r && out && fwrite(room, 1, n, out) != n)
			r = -NTM_ESTORE;
		left -= n;
	}
	return r;
}

static int unpack_to(struct stream *s, uint64_t len, const char *dir,
		     enum datadir_file f)
{
	char path[DATADIR_PATH_MAX], tmp[DATADIR_PATH_MAX + 8];
	FILE *out;
	int fd, r = datadir_file(dir, f, path);

	if (r)
		return r;
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out)
		return -NTM_ESTORE;
	r = unpack_file(s, len, out);
	if (fflush(out) || fsync(fd))
		r = r ? r : -NTM_ESTORE;
	fclose(out);
	if (!r && rename(tmp, path))
		r = -NTM_ESTORE;
	if (r)
		unlink(tmp);
	return r;
}

/* @dir: NULL checks the whole file and writes nothing */
static int unpack_all(struct stream *s, const char *dir)
{
	uint8_t magic[sizeof(MAGIC) - 1], head[9], want[NTMC_HASH_LEN];
	uint64_t len;
	int r, next = 0;

	rewind(s->f);
	memset(s->digest, 0, sizeof(s->digest));
	r = get(s, magic, sizeof(magic));
	if (r || memcmp(magic, MAGIC, sizeof(magic)))
		return -NTM_EDECODE;
	for (;;) {
		if (fread(head, 1, 1, s->f) != 1)
			return -NTM_EDECODE;
		if (head[0] == END)
			break;
		/* each file once, in order: a damaged number is found here */
		if (head[0] >= DATADIR_NFILES || head[0] < next ||
		    fread(head + 1, 1, 8, s->f) != 8)
			return -NTM_EDECODE;
		next = head[0] + 1;
		digest_add(s, head, sizeof(head));
		len = 0;
		for (int i = 0; i < 8; i++)
			len = len << 8 | head[1 + i];
		if (len > LENGTH_MAX)
			return -NTM_EDECODE;
		r = dir ? unpack_to(s, len, dir, (enum datadir_file)head[0])
			: unpack_file(s, len, NULL);
		if (r)
			return r;
	}
	digest_add(s, head, 1);
	if (fread(want, 1, sizeof(want), s->f) != sizeof(want) ||
	    memcmp(want, s->digest, sizeof(want)) || fgetc(s->f) != EOF)
		return -NTM_EDECODE;
	return 0;
}

/* a store's WAL belongs to the store that was there before */
static void drop_wal(const char *dir, enum datadir_file f)
{
	char path[DATADIR_PATH_MAX], extra[DATADIR_PATH_MAX + 8];

	if (datadir_file(dir, f, path))
		return;
	snprintf(extra, sizeof(extra), "%s-wal", path);
	unlink(extra);
	snprintf(extra, sizeof(extra), "%s-shm", path);
	unlink(extra);
}

static int unpack_folder(struct stream *s, const struct cli *c)
{
	char path[DATADIR_PATH_MAX];
	struct journal *j;
	int r = datadir_enter(c->dir);

	if (r)
		return r;
	drop_wal(c->dir, DATADIR_AS_DB);
	drop_wal(c->dir, DATADIR_DC_DB);
	drop_wal(c->dir, DATADIR_CS_DB);
	drop_wal(c->dir, DATADIR_BOX_DB);
	drop_wal(c->dir, DATADIR_GMS_DB);
	r = unpack_all(s, c->dir);
	if (!r)
		r = datadir_file(c->dir, DATADIR_DC_DB, path);
	if (!r)
		r = journal_open(path, false, &j);
	if (r)
		return r;
	r = journal_forget_sessions(j);
	journal_close(j);
	return r;
}

int cli_restore(struct cli *c)
{
	static struct stream s;
	int r;

	if (datadir_is_running(c->dir))
		return cli_fail("ntm-server runs in %s; stop it first", c->dir);
	s.f = fopen(c->args[0], "re");
	if (!s.f)
		return cli_fail("%s: %s", c->args[0], strerror(errno));
	r = unpack_all(&s, NULL);
	if (r) {
		fclose(s.f);
		return cli_fail("%s is damaged, or no backup", c->args[0]);
	}
	r = cli_make_dir(c, c->force, "--force replaces it");
	if (!r) {
		r = unpack_folder(&s, c);
		if (r)
			r = cli_fail("%s: %s", c->dir, err_text(r));
	}
	fclose(s.f);
	ntmc_wipe(&s, sizeof(s));
	return r;
}

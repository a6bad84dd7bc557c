/* SPDX-License-Identifier: MIT */
/* fixture - what the tests of libntmcrypto share */
#include "fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t unhex(const char *hex, void *out, size_t size)
{
	size_t len = strlen(hex) / 2;
	uint8_t *p = out;

	assert_int_equal(strlen(hex) % 2, 0);
	assert_true(len <= size);
	for (size_t i = 0; i < len; i++) {
		unsigned int v;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		p[i] = (uint8_t)v;
	}
	return len;
}

void assert_hex_at(const void *p, size_t len, const char *hex, const char *file,
		   int line)
{
	const uint8_t *b = p;
	char *text = malloc(2 * len + 1);

	_assert_true(text != NULL, "malloc", file, line);
	text[0] = '\0';
	for (size_t i = 0; i < len; i++)
		sprintf(text + 2 * i, "%02x", b[i]);
	_assert_string_equal(text, hex, file, line);
	free(text);
}

static void script_random(void *ctx, void *buf, size_t len)
{
	struct script *s = ctx;
	uint8_t *p = buf;

	while (len--)
		*p++ = s->pos < s->len ? s->bytes[s->pos++] : s->fill++;
}

static int64_t script_now(void *ctx)
{
	return ((struct script *)ctx)->now;
}

struct ntmc_env script_env(struct script *s)
{
	return (struct ntmc_env){
		.random = script_random, .now = script_now, .ctx = s};
}

void fixture_identity(uint8_t n, struct ntmc_identity *id)
{
	struct script s = {.fill = n};
	struct ntmc_env env = script_env(&s);

	ntmc_identity_new(&env, id);
}

struct ntmc_ca *fixture_ca(const char *domain, uint8_t n,
			   uint8_t prefix6[static 16])
{
	static const uint8_t slice[4] = {198, 18, 0, 0};
	struct script s = {.fill = n, .now = FIXTURE_NOW};
	struct ntmc_env env = script_env(&s);
	struct ntmc_ca *ca = NULL;

	assert_int_equal(
		ntmc_ca_new(&env, domain, slice, 15, 365, &ca, prefix6), 0);
	return ca;
}

void fixture_node(const uint8_t prefix6[static 16], const char *fqdn,
		  const struct ntmc_identity *id, struct ntmc_cert *cert)
{
	static const uint8_t vip4[4] = {198, 19, 1, 7};

	memset(cert, 0, sizeof(*cert));
	cert->kind = NTMC_CERT_NODE;
	strcpy(cert->fqdn, fqdn);
	memcpy(cert->ed_pub, id->ed_pub, sizeof(cert->ed_pub));
	memcpy(cert->x_pub, id->x_pub, sizeof(cert->x_pub));
	ntmc_static_sign(id, cert->x_sig);
	memcpy(cert->vip6, prefix6, 8);
	cert->vip6[15] = 7;
	memcpy(cert->vip4, vip4, sizeof(vip4));
}

void fixture_server(const char *fqdn, const struct ntmc_identity *id,
		    uint32_t roles, struct ntmc_cert *cert)
{
	memset(cert, 0, sizeof(*cert));
	cert->kind = NTMC_CERT_SERVER;
	strcpy(cert->fqdn, fqdn);
	memcpy(cert->ed_pub, id->ed_pub, sizeof(cert->ed_pub));
	cert->roles = roles;
}

void fixture_mkdir(char path[static 64])
{
	strcpy(path, "/tmp/ntm-test-XXXXXX");
	assert_non_null(mkdtemp(path));
}

void fixture_rmdir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	assert_int_equal(rmdir(path), 0);
}

/* SPDX-License-Identifier: MIT */
/* https - a client of HTTPS servers under test: libcurl in a thread, the loop turns */
#include "https.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "servers/servercert.h"

static struct site *the_site;
static const struct addr *server_at;
static char server_name[64], ca_path[128], cs_cert[128], cs_key[128];

static void write_text(char *path, const char *name, const char *text)
{
	snprintf(path, 128, "%s/%s", the_site->dir, name);
	assert_int_equal(file_write(path, text, strlen(text), 0600), 0);
}

void https_open(struct site *s, const char *role, const struct addr *at)
{
	struct servercert_pem cs;

	the_site = s;
	server_at = at;
	snprintf(server_name, sizeof(server_name), "%s." SITE_DOMAIN, role);
	assert_int_equal(servercert_pem(s->dir, "cs", &cs), 0);
	write_text(ca_path, "ca.pem", cs.ca);
	write_text(cs_cert, "cs.pem", cs.certificate);
	write_text(cs_key, "cs.key", cs.key);
	servercert_pem_clear(&cs);
}

static size_t on_got(char *data, size_t size, size_t n, void *arg)
{
	struct https_ask *a = arg;

	if (a->got_len + n > HTTPS_GOT_MAX)
		return 0;
	memcpy(a->got + a->got_len, data, n);
	a->got_len += n;
	a->got[a->got_len] = '\0';
	return size * n;
}

static size_t on_send(char *data, size_t size, size_t n, void *arg)
{
	struct https_ask *a = arg;
	size_t left = a->body_len - a->sent,
	       len = size * n < left ? size * n : left;

	if (a->data)
		memcpy(data, a->data + a->sent, len);
	else
		memset(data, 0, len);
	a->sent += len;
	return len;
}

static void add_body(struct https_ask *a, CURL *e)
{
	if (a->body) {
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, a->body);
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, strlen(a->body));
	} else if (a->body_len) {
		curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE,
				 (curl_off_t)a->body_len);
		curl_easy_setopt(e, CURLOPT_READFUNCTION, on_send);
		curl_easy_setopt(e, CURLOPT_READDATA, a);
	}
}

static void *client(void *arg)
{
	struct https_ask *a = arg;
	const char *name = a->name ? a->name : server_name;
	struct curl_slist *headers = NULL, *where = NULL;
	char url[256], resolve[128];
	struct curl_header *date;
	CURL *e = curl_easy_init();

	snprintf(url, sizeof(url), "https://%s:%u%s", name,
		 addr_port(server_at), a->path);
	snprintf(resolve, sizeof(resolve), "%s:%u:127.0.0.1", name,
		 addr_port(server_at));
	where = curl_slist_append(NULL, resolve);
	if (!a->no_version)
		headers = curl_slist_append(headers, "NTM-Version: test 1");
	if (!a->expect)
		headers = curl_slist_append(headers, "Expect:");
	for (size_t i = 0; i < 8 && a->headers[i]; i++)
		headers = curl_slist_append(headers, a->headers[i]);
	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_RESOLVE, where);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(e, CURLOPT_CAINFO, ca_path);
	curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_TIMEOUT, 20L);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_got);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, a);
	if (a->with_cert) {
		curl_easy_setopt(e, CURLOPT_SSLCERT, cs_cert);
		curl_easy_setopt(e, CURLOPT_SSLKEY, cs_key);
	}
	add_body(a, e);
	if (!strcmp(a->method, "HEAD"))
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, a->method);
	a->code = curl_easy_perform(e);
	curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &a->status);
	if (!curl_easy_header(e, "Date", 0, CURLH_HEADER, -1, &date))
		a->date = curl_getdate(date->value, NULL);
	curl_easy_cleanup(e);
	curl_slist_free_all(headers);
	curl_slist_free_all(where);
	a->over = true;
	return NULL;
}

static bool is_over(void *arg)
{
	return ((struct https_ask *)arg)->over;
}

pthread_t begin_ask(struct https_ask *a)
{
	pthread_t thread;

	a->got = calloc(1, HTTPS_GOT_MAX + 1);
	assert_int_equal(pthread_create(&thread, NULL, client, a), 0);
	return thread;
}

void end_ask(struct https_ask *a, pthread_t thread)
{
	assert_true(site_wait(the_site, is_over, a));
	pthread_join(thread, NULL);
}

long ask(struct https_ask *a)
{
	end_ask(a, begin_ask(a));
	return a->code ? -(long)a->code : a->status;
}

json_t *answer_of(struct https_ask *a)
{
	json_t *j = json_loadb(a->got, a->got_len, JSON_DECODE_ANY, NULL);

	free(a->got);
	a->got = NULL;
	assert_non_null(j);
	return j;
}

void expect_error(struct https_ask *a, long status, const char *name)
{
	json_t *j;

	assert_int_equal(ask(a), status);
	j = answer_of(a);
	assert_string_equal(json_string_value(json_object_get(j, "error")),
			    name);
	assert_true(json_is_string(json_object_get(j, "text")));
	json_decref(j);
}

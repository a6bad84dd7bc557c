/* SPDX-License-Identifier: MIT */
/* exchange_web - one request to the box, by libcurl: its address, our certificate, limits */
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "servers/cs/exchange_impl.h"

#define TIMEOUT_S 20L
/* one each: who waits for another domain keeps no connection from the others */
#define CONNECTIONS ((long)EXCHANGE_RUNNING + 1)

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct question *q = arg;

	if (size * n > ANSWER_MAX - 1 - q->got_len)
		return 0;
	memcpy(q->got + q->got_len, data, size * n);
	q->got_len += size * n;
	q->got[q->got_len] = '\0';
	return size * n;
}

int exchange_send(struct exchange *x, struct question *q, const char *path)
{
	CURL *e = curl_easy_init();
	char url[FQDN_MAX + 64];

	q->easy = e;
	if (!e || !q->body)
		return -NTM_ENOMEM;
	snprintf(url, sizeof(url), "https://box.%s:%u%s", x->conf.domain,
		 addr_port(&x->conf.box.a[0]), path);
	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(e, CURLOPT_RESOLVE, x->connect);
	curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(e, CURLOPT_CAINFO, x->conf.ca);
	curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(e, CURLOPT_SSLCERT, x->conf.certificate);
	curl_easy_setopt(e, CURLOPT_SSLKEY, x->conf.key);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, x->headers);
	curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->body);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, q);
	curl_easy_setopt(e, CURLOPT_PRIVATE, q);
	if (curl_multi_add_handle(x->multi, e))
		return -NTM_ENOMEM;
	DL_APPEND(x->questions, q);
	x->running[q->far] += !q->registers;
	return 0;
}

void exchange_take_off(struct exchange *x, struct question *q)
{
	curl_multi_remove_handle(x->multi, q->easy);
	DL_DELETE(x->questions, q);
	x->running[q->far] -= !q->registers;
}

int exchange_web_open(struct exchange *x)
{
	const struct server_ways *box = &x->conf.box;
	char line[SERVERCONF_WAYS_MAX * ADDR_TEXT_LEN + FQDN_MAX + 16],
		text[ADDR_TEXT_LEN];
	struct curl_slist *more;
	size_t used;

	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return -NTM_ENOMEM;
	x->multi = curl_multi_init();
	curl_multi_setopt(x->multi, CURLMOPT_MAX_HOST_CONNECTIONS, CONNECTIONS);
	x->headers =
		curl_slist_append(NULL, "NTM-Version: ntm-server/" NTM_VERSION);
	more = x->headers ? curl_slist_append(x->headers,
					      "Content-Type: application/json")
			  : NULL;
	if (more)
		more = curl_slist_append(more, "Expect:");
	/* all of its addresses, under its name */
	used = (size_t)snprintf(line, sizeof(line),
				"+box.%s:%u:", x->conf.domain,
				addr_port(&box->a[0]));
	for (size_t i = 0; i < box->n; i++)
		used += (size_t)snprintf(line + used, sizeof(line) - used,
					 "%s%s", i ? "," : "",
					 addr_format_ip(&box->a[i], text));
	x->connect = curl_slist_append(NULL, line);
	return x->multi && more && x->connect ? 0 : -NTM_ENOMEM;
}

void exchange_web_close(struct exchange *x)
{
	if (x->multi)
		curl_multi_cleanup(x->multi);
	curl_slist_free_all(x->headers);
	curl_slist_free_all(x->connect);
}

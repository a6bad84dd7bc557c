/* SPDX-License-Identifier: MIT */
/* web_call - one request as libcurl has it: where to, header, body, limits */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/post/web_impl.h"
#include "libntmcrypto/ntmcrypto.h"

#define CONNECT_MS   10000u
#define ANSWER_S     300L /* all of a request without a blob */
#define STALL_BYTES  1L
#define STALL_S	     60u
#define BUFFER_BYTES (256L << 10)
#define GOT_FIRST    1024

/* --- bytes
 * ------------------------------------------------------------------------------ */

static size_t on_read(char *buf, size_t size, size_t n, void *arg)
{
	struct web_call *c = arg;
	long got;

	size *= n;
	if (c->dead)
		return CURL_READFUNC_ABORT;
	if (c->read) {
		got = c->read(c->arg, (uint8_t *)buf, size);
		if (got < 0) {
			c->err = (int)got;
			return CURL_READFUNC_ABORT;
		}
	} else {
		got = (long)(c->body_len - c->body_at < size
				     ? c->body_len - c->body_at
				     : size);
		memcpy(buf, c->body + c->body_at, (size_t)got);
		c->body_at += (size_t)got;
	}
	c->moved += (uint64_t)got;
	return (size_t)got;
}

/* curl asks again from the beginning after a connection that had gone stale */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct web_call *c = arg;

	if (c->read || origin != SEEK_SET || offset < 0 ||
	    (size_t)offset > c->body_len)
		return CURL_SEEKFUNC_FAIL;
	c->body_at = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* realloc() would leave a copy of keys behind */
static bool got_room(struct web_call *c, size_t size)
{
	size_t room = c->got_room ? c->got_room : GOT_FIRST;
	char *more;

	while (room < c->got_len + size)
		room *= 2;
	if (room == c->got_room)
		return true;
	more = malloc(room);
	if (!more)
		return false;
	if (c->got) {
		memcpy(more, c->got, c->got_len);
		ntmc_wipe(c->got, c->got_len);
		free(c->got);
	}
	c->got = more;
	c->got_room = room;
	return true;
}

static size_t on_write(char *data, size_t size, size_t n, void *arg)
{
	struct web_call *c = arg;
	long status = 0;

	size *= n;
	if (c->dead)
		return 0;
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	if (c->write && (status == 200 || status == 206)) {
		c->err = c->write(c->arg, (const uint8_t *)data, size);
		c->moved += size;
		return c->err ? 0 : size;
	}
	if (size > c->got_max - c->got_len) {
		c->err = -NTM_ETOOBIG;
		return 0;
	}
	if (!got_room(c, size))
		return 0;
	memcpy(c->got + c->got_len, data, size);
	c->got_len += size;
	return size;
}

/* --- requests
 * --------------------------------------------------------------------------- */

/* Not to whom DNS of the Internet names: virtual addresses alone, fd6e::/16. */
static curl_socket_t on_open(void *arg, curlsocktype purpose,
			     struct curl_sockaddr *a)
{
	const struct sockaddr_in6 *in6 = (const void *)&a->addr;
	const struct web_call *c = arg;
	int fd;

	(void)purpose;
	if (a->family != AF_INET6 || in6->sin6_addr.s6_addr[0] != 0xfd ||
	    in6->sin6_addr.s6_addr[1] != 0x6e)
		return CURL_SOCKET_BAD;
	fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
	if (fd >= 0 && c->unacked_ms)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
				 &c->unacked_ms, sizeof(c->unacked_ms));
	return fd;
}

static int device_set(struct web_call *c, const struct web_request *r)
{
	const struct web_server *s = r->server;
	char url[1024];

	if ((size_t)snprintf(url, sizeof(url), "http://%s:%u%s", s->name,
			     s->tunnel, r->path) >= sizeof(url))
		return -NTM_EINVAL;
	curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(c->easy, CURLOPT_URL, url);
	/* a name that nobody knows is not waited for at the end */
	curl_easy_setopt(c->easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(c->easy, CURLOPT_IPRESOLVE, (long)CURL_IPRESOLVE_V6);
	c->unacked_ms = r->unacked_ms;
	curl_easy_setopt(c->easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(c->easy, CURLOPT_OPENSOCKETDATA, c);
	return 0;
}

/* Its addresses under its name: all that have the first one's port. */
static int where_set(struct web_call *c, const struct web_request *r)
{
	const struct web_server *s = r->server;
	char text[WEB_ADDRS_MAX * (ADDR_TEXT_LEN + 1) + 300];
	char url[1024], one[ADDR_TEXT_LEN];
	uint16_t port;
	size_t i, at;

	if (s->tunnel && !s->n_addrs)
		return device_set(c, r);
	if (!s->n_addrs)
		return -NTM_EUNREACHABLE;
	web_socket_set(c);
	port = addr_port(&s->addrs[0]);
	at = (size_t)snprintf(text, sizeof(text), "+%s:%u:", s->name, port);
	for (i = 0; i < s->n_addrs; i++) {
		if (addr_port(&s->addrs[i]) != port)
			continue;
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
				       i ? "," : "",
				       addr_format_ip(&s->addrs[i], one));
	}
	c->resolve = curl_slist_append(NULL, text);
	if ((size_t)snprintf(url, sizeof(url), "%s://%s:%u%s",
			     s->tunnel ? "http" : "https", s->name, port,
			     r->path) >= sizeof(url))
		return -NTM_EINVAL;
	if (s->tunnel)
		curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(c->easy, CURLOPT_RESOLVE, c->resolve);
	curl_easy_setopt(c->easy, CURLOPT_URL, url);
	/* where there is no memory for the file's name, the machine's own CAs count */
	if (curl_easy_setopt(c->easy, CURLOPT_CAINFO, s->ca) ||
	    curl_easy_setopt(c->easy, CURLOPT_CAPATH, NULL))
		return -NTM_ENOMEM;
	return c->resolve ? 0 : -NTM_ENOMEM;
}

int web_call_headers(struct web_call *c, const struct web_request *r)
{
	struct curl_slist *l;
	size_t i;

	for (i = 0; r->headers && r->headers[i]; i++) {
		l = curl_slist_append(c->headers, r->headers[i]);
		if (!l)
			return -NTM_ENOMEM;
		c->headers = l;
	}
	return 0;
}

int web_call_body(struct web_call *c, const struct web_request *r)
{
	if (r->json)
		c->body = json_dumps(r->json, JSON_COMPACT);
	else if (r->text)
		c->body = strdup(r->text);
	else if (r->body)
		c->body = malloc(r->body_len + 1);
	else
		return 0;
	if (!c->body)
		return -NTM_ENOMEM;
	c->body_len = r->json || r->text ? strlen(c->body) : r->body_len;
	if (!r->json && !r->text)
		memcpy(c->body, r->body, r->body_len);
	return 0;
}

static int headers_set(struct web_call *c, const struct web_request *r)
{
	int err = web_call_headers(c, r);
	struct curl_slist *l;

	if (err)
		return err;
	l = curl_slist_append(c->headers,
			      r->json || r->text
				      ? "Content-Type: application/json"
				      : "Content-Type: "
					"application/octet-stream");
	if (!l)
		return -NTM_ENOMEM;
	c->headers = l;
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
	return 0;
}

static int body_set(struct web_call *c, const struct web_request *r)
{
	uint64_t length = r->length;
	int err = web_call_body(c, r);

	if (err)
		return err;
	curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, r->method);
	if (c->body)
		length = c->body_len;
	else if (!r->read)
		return 0;
	curl_easy_setopt(c->easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c->easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(c->easy, CURLOPT_READDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(c->easy, CURLOPT_SEEKDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)length);
	if (r->read && length > BUFFER_BYTES)
		curl_easy_setopt(c->easy, CURLOPT_UPLOAD_BUFFERSIZE,
				 BUFFER_BYTES);
	return 0;
}

static void rules_set(struct web_call *c, const struct web_request *r)
{
	curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(c->easy, CURLOPT_SSLVERSION,
			 (long)CURL_SSLVERSION_TLSv1_3);
	curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION,
			 (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->easy, CURLOPT_PATH_AS_IS,
			 1L); /* an ID may be ".." */
	if (!c->read && !c->write)
		curl_easy_setopt(c->easy, CURLOPT_TIMEOUT, ANSWER_S);
	curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)(r->connect_ms ? r->connect_ms : CONNECT_MS));
	curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
	curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_TIME,
			 (long)(r->stall_s ? r->stall_s : STALL_S));
	curl_easy_setopt(c->easy, CURLOPT_FORBID_REUSE, r->last ? 1L : 0L);
	if (c->write && r->length > BUFFER_BYTES)
		curl_easy_setopt(c->easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
}

int web_call_set(struct web_call *c, const struct web_request *r)
{
	int err;

	c->easy = curl_easy_init();
	if (!c->easy)
		return -NTM_ENOMEM;
	c->ours = r->server->ours && !r->server->tunnel;
	rules_set(c, r);
	err = where_set(c, r);
	if (!err)
		err = headers_set(c, r);
	return err ? err : body_set(c, r);
}

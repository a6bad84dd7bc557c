/* SPDX-License-Identifier: MIT */
/*
 * sender - one push as an HTTPS request, and what its answer means
 *
 * Theory of operation
 *
 * FCM (HTTP v1): a JWT signed by the service account (RS256) is changed for an access
 * token at the account's token_uri; that goes with each message until shortly before
 * it ends. APNs: a JWT (ES256) made anew every half hour, HTTP/2. UnifiedPush: a POST
 * to the URL that the node named.
 *
 * A push says that something waits, and nothing else: what it is, and for whom, no
 * service learns.
 *
 * What an account's URL may not do. Make us speak to hosts inside: each address that
 * its name leads to is filtered as an exit's is, when the socket is made; redirects are
 * not followed; no proxy is asked, which would connect for us; no connection is shared
 * with other requests, whose hosts are ours to choose. Hold us up: nothing here waits,
 * no request lasts longer than TIMEOUT_S, and a name that no server resolves keeps a
 * thread of the library, not us. Write into our log or memory: of its answer only the
 * status is looked at, and no more than SENDER_READ_MAX are read.
 */
#include "servers/push/sender.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "servers/exit/filter.h"
#include "servers/push/jwt.h"

#define CREDENTIALS_MAX 16384
#define TIMEOUT_S	10L
#define APNS_JWT_S	1800 /* Apple: between 20 and 60 min */
#define FCM_JWT_S	3600
#define FCM_MARGIN_S	60
#define FCM_AGAIN_S	5
#define LOOK_S		60 /* this machine's own addresses change */
#define SAY_S		10
#define FCM_SCOPE	"https://www.googleapis.com/auth/firebase.messaging"
#define FCM_GRANT	"urn:ietf:params:oauth:grant-type:jwt-bearer"
#define WORTH_S		60 /* a push that comes later is worth nothing */
#define URL_MAX		1024
#define APNS_TOKEN_MAX	200 /* digits; today 64 */

struct sender {
	const struct server_conf *conf;
	struct filter filter;
	json_t *fcm; /* the service account; NULL: none */
	char *apns;  /* PEM; NULL: none */
	char fcm_token[JWT_MAX], apns_token[JWT_MAX];
	time_t fcm_until, apns_until, fcm_again;
	time_t looked, said;
};

/* --- credentials ------------------------------------------------------------------ */

static char *read_text(const char *path)
{
	uint8_t *data;
	size_t len;
	char *text;

	int r = file_read_private(path, CREDENTIALS_MAX, &data, &len);

	if (r) {
		log_err("push",
			"%s: %s; it must belong to the user of the servers, "
			"with mode 0600",
			path, err_text(r));
		return NULL;
	}
	text = strndup((const char *)data, len);
	file_free(data, len);
	return text;
}

static const char *fcm_text(const struct sender *s, const char *key)
{
	const char *v = json_string_value(json_object_get(s->fcm, key));

	return v ? v : "";
}

static int read_credentials(struct sender *s)
{
	const struct server_conf *c = s->conf;
	char *text;

	if (c->push_fcm) {
		text = read_text(c->push_fcm);
		s->fcm = text ? json_loads(text, 0, NULL) : NULL;
		if (text)
			ntmc_wipe(text, strlen(text));
		free(text);
		if (!*fcm_text(s, "client_email") ||
		    !*fcm_text(s, "private_key") ||
		    !*fcm_text(s, "token_uri") || !*fcm_text(s, "project_id")) {
			log_err("push",
				"%s is not the key file of a service "
				"account",
				c->push_fcm);
			return -NTM_ECONF;
		}
	}
	if (c->push_apns_key) {
		s->apns = read_text(c->push_apns_key);
		if (!s->apns || !c->push_apns_key_id || !c->push_apns_team ||
		    !c->push_apns_topic) {
			log_err("push", "apns_key needs apns_key_id, apns_team "
					"and apns_topic");
			return -NTM_ECONF;
		}
	}
	return 0;
}

int sender_new(const struct server_conf *c, struct sender **out)
{
	struct sender *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -NTM_ENOMEM;
	s->conf = c;
	r = filter_list_parse(c->push_allow, &s->filter.allow);
	if (!r)
		r = filter_look(&s->filter);
	if (!r)
		r = read_credentials(s);
	if (r) {
		sender_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void sender_free(struct sender *s)
{
	if (!s)
		return;
	json_decref(s->fcm);
	if (s->apns)
		ntmc_wipe(s->apns, strlen(s->apns));
	free(s->apns);
	ntmc_wipe(s, sizeof(*s));
	free(s);
}

/* --- requests --------------------------------------------------------------------- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct sending *x = arg;
	size_t room = sizeof(x->got) - 1 - x->got_len;
	size_t len = size * n < room ? size * n : room;

	memcpy(x->got + x->got_len, data, len);
	x->got_len += len;
	x->got[x->got_len] = '\0';
	x->read += size * n; /* the rest is not of interest */
	return x->read > SENDER_READ_MAX ? 0 : size * n;
}

/* where an account may not make us speak to */
static curl_socket_t on_socket(void *arg, curlsocktype purpose,
			       struct curl_sockaddr *a)
{
	struct sending *x = arg;
	uint8_t ip[16];

	(void)purpose;
	if (a->family == AF_INET)
		filter_widen((uint8_t *)&a->addr + 4, 4, ip);
	else if (a->family == AF_INET6)
		filter_widen((uint8_t *)&a->addr + 8, 16, ip);
	else
		return CURL_SOCKET_BAD;
	if (!filter_address(&x->sender->filter, ip)) {
		x->closed = true;
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static bool add_header(struct sending *x, const char *text)
{
	struct curl_slist *more = curl_slist_append(x->headers, text);

	if (more)
		x->headers = more;
	return more;
}

void sending_clear(struct sending *x)
{
	curl_easy_cleanup(x->easy);
	curl_slist_free_all(x->headers);
	free(x->body);
	memset(x, 0, sizeof(*x));
}

/* takes x->body and x->headers along */
static int prepare(const struct sender *s, struct sending *x, const char *url)
{
	x->easy = curl_easy_init();
	if (!x->easy || !x->body)
		return -NTM_ENOMEM;
	curl_easy_setopt(x->easy, CURLOPT_URL, url);
	curl_easy_setopt(x->easy, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(x->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(x->easy, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl_easy_setopt(x->easy, CURLOPT_FOLLOWLOCATION, 0L);
	/* else its end would wait for a resolver that does not answer */
	curl_easy_setopt(x->easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, x->body);
	curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
	curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
	if (s->conf->push_ca)
		curl_easy_setopt(x->easy, CURLOPT_CAINFO, s->conf->push_ca);
	return 0;
}

/* --- FCM ------------------------------------------------------------------------------ */

bool sender_is_ready(const struct sender *s, Ntm__PushKind kind)
{
	return kind != NTM__PUSH_KIND__PUSH_FCM || !s->fcm ||
	       time(NULL) < s->fcm_until;
}

int sender_ask(struct sender *s, struct sending *x)
{
	time_t now = time(NULL);
	char jwt[JWT_MAX];
	int r;

	memset(x, 0, sizeof(*x));
	if (now < s->fcm_again && s->fcm_again - now <= FCM_AGAIN_S)
		return -NTM_EAGAIN;
	s->fcm_again = now + FCM_AGAIN_S;
	r = jwt_sign(json_pack("{s:s, s:s}", "alg", "RS256", "typ", "JWT"),
		     json_pack("{s:s, s:s, s:s, s:I, s:I}", "iss",
			       fcm_text(s, "client_email"), "scope", FCM_SCOPE,
			       "aud", fcm_text(s, "token_uri"), "iat",
			       (json_int_t)now, "exp",
			       (json_int_t)(now + FCM_JWT_S)),
		     fcm_text(s, "private_key"), NTMC_RS256, jwt);
	if (r) {
		log_err("push", "the key of FCM does not sign: %s",
			err_text(r));
		return r;
	}
	if (asprintf(&x->body, "grant_type=%s&assertion=%s", FCM_GRANT, jwt) <
	    0)
		x->body = NULL;
	ntmc_wipe(jwt, sizeof(jwt));
	r = prepare(s, x, fcm_text(s, "token_uri"));
	if (r)
		sending_clear(x);
	return r;
}

void sender_asked(struct sender *s, struct sending *x, CURLcode code)
{
	json_t *answer = json_loads(x->got, 0, NULL);
	const char *token =
		json_string_value(json_object_get(answer, "access_token"));
	json_int_t life =
		json_integer_value(json_object_get(answer, "expires_in"));

	if (code || !token || strlen(token) >= sizeof(s->fcm_token) ||
	    life <= FCM_MARGIN_S || life > 10 * FCM_JWT_S) {
		log_warn("push", "FCM gives no access token: %s",
			 code ? curl_easy_strerror(code) : "it is refused");
	} else {
		strcpy(s->fcm_token, token);
		s->fcm_until = time(NULL) - FCM_MARGIN_S + (time_t)life;
	}
	json_decref(answer);
	ntmc_wipe(x->got, sizeof(x->got));
}

static int fcm_start(struct sender *s, const char *token, struct sending *x)
{
	char url[URL_MAX], line[JWT_MAX + 64];
	json_t *o;

	snprintf(url, sizeof(url), "%s/v1/projects/%s/messages:send",
		 s->conf->push_fcm_url, fcm_text(s, "project_id"));
	snprintf(line, sizeof(line), "Authorization: Bearer %s", s->fcm_token);
	o = json_pack("{s:{s:s, s:{s:s}, s:{s:s, s:s}}}", "message", "token",
		      token, "data", "ntm", "direction", "android", "priority",
		      "HIGH", "ttl", "60s");
	x->body = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (!add_header(x, "Content-Type: application/json") ||
	    !add_header(x, line))
		return -NTM_ENOMEM;
	return prepare(s, x, url);
}

/* --- APNs ----------------------------------------------------------------------------- */

/* It stands in a path: nothing but what Apple gives. */
static bool is_apns_token(const char *token)
{
	size_t len = strspn(token, "0123456789abcdefABCDEF");

	return len && len <= APNS_TOKEN_MAX && !token[len];
}

static int apns_start(struct sender *s, const char *token, struct sending *x)
{
	const struct server_conf *c = s->conf;
	time_t now = time(NULL);
	char url[URL_MAX], line[JWT_MAX + 64], topic[256], until[64];
	int r = 0;

	if (!is_apns_token(token))
		return -NTM_EINVAL;
	if (now >= s->apns_until || s->apns_until - now > APNS_JWT_S) {
		s->apns_until = 0;
		r = jwt_sign(json_pack("{s:s, s:s}", "alg", "ES256", "kid",
				       c->push_apns_key_id),
			     json_pack("{s:s, s:I}", "iss", c->push_apns_team,
				       "iat", (json_int_t)now),
			     s->apns, NTMC_ES256, s->apns_token);
		if (r) {
			log_err("push", "apns_key does not sign: %s",
				err_text(r));
			return r;
		}
		s->apns_until = now + APNS_JWT_S;
	}
	snprintf(url, sizeof(url), "%s/3/device/%s", c->push_apns_url, token);
	snprintf(line, sizeof(line), "authorization: bearer %s", s->apns_token);
	snprintf(topic, sizeof(topic), "apns-topic: %s", c->push_apns_topic);
	snprintf(until, sizeof(until), "apns-expiration: %lld",
		 (long long)now + WORTH_S);
	x->body = strdup("{\"aps\":{\"content-available\":1},"
			 "\"ntm\":\"direction\"}");
	if (!add_header(x, "Content-Type: application/json") ||
	    !add_header(x, line) || !add_header(x, topic) ||
	    !add_header(x, until) ||
	    !add_header(x, "apns-push-type: background") ||
	    !add_header(x, "apns-priority: 5"))
		return -NTM_ENOMEM;
	return prepare(s, x, url);
}

/* --- UnifiedPush ---------------------------------------------------------------------- */

static void look(struct sender *s)
{
	time_t now = time(NULL);

	if (now >= s->looked && now - s->looked < LOOK_S)
		return;
	s->looked = now;
	if (filter_look(&s->filter))
		log_warn("push", "the addresses of this machine cannot be "
				 "read; those of before count");
}

static int unified_start(struct sender *s, const char *url, struct sending *x)
{
	int r;

	look(s);
	x->body = strdup("{\"ntm\":\"direction\"}");
	if (!add_header(x, "Content-Type: application/json") ||
	    !add_header(x, "TTL: 60") || !add_header(x, "Urgency: high"))
		return -NTM_ENOMEM;
	r = prepare(s, x, url);
	if (!r) {
		curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETFUNCTION,
				 on_socket);
		curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETDATA, x);
		curl_easy_setopt(x->easy, CURLOPT_PROXY, "");
		curl_easy_setopt(x->easy, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(x->easy, CURLOPT_FORBID_REUSE, 1L);
	}
	return r;
}

/* --- all ------------------------------------------------------------------------------ */

int sender_start(struct sender *s, Ntm__PushKind kind, const char *token,
		 struct sending *out)
{
	int r = -NTM_ENOTFOUND;

	memset(out, 0, sizeof(*out));
	out->sender = s;
	if (kind == NTM__PUSH_KIND__PUSH_FCM && s->fcm)
		r = fcm_start(s, token, out);
	else if (kind == NTM__PUSH_KIND__PUSH_APNS && s->apns)
		r = apns_start(s, token, out);
	else if (kind == NTM__PUSH_KIND__PUSH_UNIFIED &&
		 s->conf->push_unifiedpush)
		r = unified_start(s, token, out);
	if (r)
		sending_clear(out);
	return r;
}

/* by the services' own documents: whose token is of nobody any more */
static bool is_gone(Ntm__PushKind kind, long status, const char *body)
{
	if (kind == NTM__PUSH_KIND__PUSH_FCM)
		return status == 404 && strstr(body, "UNREGISTERED");
	if (kind == NTM__PUSH_KIND__PUSH_APNS)
		return status == 410 || strstr(body, "BadDeviceToken") ||
		       strstr(body, "DeviceTokenNotForTopic");
	return status == 404 || status == 410;
}

/* A service's words, not too often. */
static void say(struct sender *s, Ntm__PushKind kind, long status,
		const char *body)
{
	time_t now = time(NULL);
	char text[101];
	size_t i;

	if (now >= s->said && now - s->said < SAY_S)
		return;
	s->said = now;
	for (i = 0; body[i] && i + 1 < sizeof(text); i++)
		text[i] = body[i] >= ' ' && body[i] <= '~' ? body[i] : ' ';
	text[i] = '\0';
	/* what stands at an account's URL has no word here */
	log_warn("push", "a service says %ld: %s", status,
		 kind == NTM__PUSH_KIND__PUSH_UNIFIED ? "" : text);
}

/* by what did not work, not by whom: is it worth another attempt? */
static enum sender_verdict failed(const struct sending *x, CURLcode code)
{
	log_debug("push", "%s", curl_easy_strerror(code));
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return x->closed ? SENDER_FAILED : SENDER_LATER;
	default:
		return SENDER_FAILED;
	}
}

enum sender_verdict sender_end(struct sender *s, Ntm__PushKind kind,
			       struct sending *x, CURLcode code,
			       unsigned int *retry_s)
{
	curl_off_t wait = 0;
	long status = 0;

	*retry_s = 0;
	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code && (code != CURLE_WRITE_ERROR || !status))
		return failed(x, code);
	if (status / 100 == 2)
		return SENDER_SENT;
	if (is_gone(kind, status, x->got))
		return SENDER_GONE;
	if (kind == NTM__PUSH_KIND__PUSH_FCM && status == 401) {
		s->fcm_until = 0; /* with another access token */
		return SENDER_LATER;
	}
	if (kind == NTM__PUSH_KIND__PUSH_APNS && status == 403 &&
	    strstr(x->got, "ExpiredProviderToken")) {
		s->apns_until = 0;
		return SENDER_LATER;
	}
	if (status != 429 && status / 100 != 5) {
		say(s, kind, status, x->got);
		return SENDER_FAILED;
	}
	curl_easy_getinfo(x->easy, CURLINFO_RETRY_AFTER, &wait);
	*retry_s = wait > WORTH_S ? WORTH_S + 1 : (unsigned int)wait;
	return SENDER_LATER;
}

/* SPDX-License-Identifier: MIT */
/* test_client - one request to a broker that answers well, badly, or not to the end */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wrappers/client.h"

#define LINE_MAX_LEN 4096

static char dir[] = "/tmp/test_client.XXXXXX";
static char folder[64], path[80];

/* --- a fake broker ------------------------------------------------------------- */

/* struct answer - bytes; "%s" in @text stands for the request when @echo */
struct answer {
	const char *text;
	size_t len;
	bool echo;
};

static void broker_serve(int listener, const struct answer *a)
{
	char request[LINE_MAX_LEN] = "", line[2 * LINE_MAX_LEN];
	int fd = accept(listener, NULL, NULL);
	size_t got = 0;
	ssize_t n = 1;

	while (n > 0 && !strchr(request, '\n') && got < sizeof(request) - 1) {
		n = read(fd, request + got, sizeof(request) - 1 - got);
		got += n > 0 ? (size_t)n : 0;
	}
	request[strcspn(request, "\n")] = '\0';
	if (a->echo) {
		snprintf(line, sizeof(line), "{\"ok\":true,\"got\":%s}\n",
			 request);
		n = write(fd, line, strlen(line));
	} else {
		n = write(fd, a->text, a->len);
	}
	_exit(n < 0);
}

/* What client_call() makes of a broker that answers @a and goes; client_line_to(), where
 * there is @line. */
static int ask_either(const struct answer *a, client_progress_fn *fn,
		      const void *arg, char **line, json_t **answer)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	json_t *request = json_pack("{s:s, s:i}", "cmd", "try", "n", 7);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), status, err;
	pid_t pid;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	unlink(path);
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(listener, 1), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(10);
		broker_serve(listener, a);
	}
	close(listener);
	err = line ? client_line_to(CLIENT_CONTROL, request, 10, line, answer)
		   : client_call(request, fn, arg, answer);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	json_decref(request);
	return err;
}

static int ask(const struct answer *a, client_progress_fn *fn, const void *arg,
	       json_t **answer)
{
	return ask_either(a, fn, arg, NULL, answer);
}

static int ask_text(const char *text, json_t **answer)
{
	const struct answer a = {.text = text, .len = strlen(text)};

	return ask(&a, NULL, NULL, answer);
}

static void assert_unanswered(int err, int want, json_t *const *answer)
{
	assert_int_equal(err, want);
	assert_null(*answer);
}

/* --- good -------------------------------------------------------------------------- */

static void test_good(void **state)
{
	const struct answer echo = {.echo = true};
	json_t *answer, *got;

	(void)state;
	assert_int_equal(ask(&echo, NULL, NULL, &answer), 0);
	got = json_object_get(answer, "got"); /* the request came as it was */
	assert_string_equal(json_string_value(json_object_get(got, "cmd")),
			    "try");
	assert_int_equal(json_integer_value(json_object_get(got, "n")), 7);
	json_decref(answer);
}

static void count(const void *arg, const json_t *line)
{
	unsigned int *n = *(unsigned int *const *)arg;

	*n = *n * 10 +
	     (unsigned int)json_integer_value(json_object_get(line, "seq"));
}

static void test_progress(void **state)
{
	static const char text[] =
		"{\"progress\":\"a\",\"seq\":1}\n"
		"{\"progress\":\"b\",\"seq\":2}\n"
		"{\"progress\":\"c\",\"seq\":3}\n"
		"{\"ok\":true,\"sent\":3}\n"
		"{\"progress\":\"after the end\",\"seq\":4}\n";
	const struct answer a = {.text = text, .len = strlen(text)};
	unsigned int seen = 0, *at = &seen;
	json_t *answer;

	(void)state;
	assert_int_equal(ask(&a, count, &at, &answer), 0);
	assert_int_equal(seen, 123); /* in order, and none after the last */
	assert_int_equal(json_integer_value(json_object_get(answer, "sent")),
			 3);
	json_decref(answer);
	/* who does not listen gets the end alike */
	assert_int_equal(ask(&a, NULL, NULL, &answer), 0);
	json_decref(answer);
}

static void test_refused(void **state)
{
	json_t *answer;

	(void)state;
	assert_int_equal(ask_text("{\"ok\":false,\"error\":\"PASSWORD\","
				  "\"text\":\"wrong\"}\n",
				  &answer),
			 -NTM_EPASSWORD);
	assert_string_equal(client_text(-NTM_EPASSWORD, answer), "wrong");
	json_decref(answer);
	/* an error of a later version is still one */
	assert_int_equal(
		ask_text("{\"ok\":false,\"error\":\"NEWER\"}\n", &answer),
		-NTM_ESERVER);
	assert_string_equal(client_text(-NTM_ESERVER, answer),
			    err_text(NTM_ESERVER));
	json_decref(answer);
	assert_int_equal(ask_text("{\"ok\":null}\n", &answer), -NTM_ESERVER);
	json_decref(answer);
}

/* a line as it came, but what it says is wrong is read */
static void test_line(void **state)
{
	static const struct {
		const char *text, *line;
		int err;
	} say[] = {
		{"{\"ok\":true,\"x\":[1,}\n", "{\"ok\":true,\"x\":[1,}\n", 0},
		{"{\"seq\":1}\n{\"ok\":true}\n", "{\"ok\":true}\n", 0},
		{"{\"ok\":false,\"error\":\"STORE\"}\n", NULL, -NTM_ESTORE},
		{"{\"x\":1,\"ok\":true}\n", NULL, -NTM_EDECODE},
		{"[\n", NULL, -NTM_EDECODE},
		{"", NULL, -NTM_ECLOSED},
	};
	json_t *why;
	char *line;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(say) / sizeof(say[0]); i++) {
		const struct answer a = {.text = say[i].text,
					 .len = strlen(say[i].text)};

		assert_int_equal(ask_either(&a, NULL, NULL, &line, &why),
				 say[i].err);
		if (say[i].line)
			assert_string_equal(line, say[i].line);
		else
			assert_null(line);
		free(line);
		json_decref(why);
	}
}

/* --- bad --------------------------------------------------------------------------- */

static void test_truncated(void **state)
{
	static const char text[] =
		"{\"progress\":\"a\"}\n{\"ok\":true,\"n\":1}";
	size_t first = strcspn(text, "\n") + 1;
	json_t *answer;

	(void)state;
	for (size_t len = 0; len < strlen(text); len++) {
		const struct answer a = {.text = text, .len = len};
		/* between lines, or with a whole one that ends nothing */
		bool whole = len == 0 || len == first - 1 || len == first;

		assert_unanswered(ask(&a, NULL, NULL, &answer),
				  whole ? -NTM_ECLOSED : -NTM_EDECODE, &answer);
	}
	assert_int_equal(ask_text(text, &answer), 0);
	json_decref(answer);
}

static void test_garbage(void **state)
{
	static const char *const garbage[] = {
		"\n",
		"[]\n",
		"null\n",
		"true\n",
		"\"ok\"\n",
		"{\"ok\":true\n",
		"{\"ok\":true,\"ok\":false}\n",
		"{\"ok\":true} {\"ok\":true}\n",
		"{\"ok\":true,\"text\":\"\xff\xfe\"}\n",
		"HTTP/1.1 400 Bad Request\r\n\r\n",
	};
	static const char nul[] = "{\"ok\":\0true}\n";
	const struct answer with_nul = {.text = nul, .len = sizeof(nul) - 1};
	char noise[512];
	json_t *answer;

	(void)state;
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
		assert_unanswered(ask_text(garbage[i], &answer), -NTM_EDECODE,
				  &answer);
	assert_unanswered(ask(&with_nul, NULL, NULL, &answer), -NTM_EDECODE,
			  &answer);
	srand(1);
	for (int i = 0; i < 50; i++) {
		const struct answer a = {.text = noise,
					 .len = (size_t)rand() % sizeof(noise) +
						1};

		for (size_t k = 0; k < a.len; k++)
			noise[k] = (char)(rand() % 255 + 1);
		assert_unanswered(ask(&a, NULL, NULL, &answer), -NTM_EDECODE,
				  &answer);
	}
}

static void test_nobody(void **state)
{
	json_t *request = json_pack("{s:s}", "cmd", "status"), *answer;

	(void)state;
	unlink(path);
	assert_unanswered(client_call(request, NULL, NULL, &answer),
			  -NTM_ENOBROKER, &answer);
	assert_false(client_broker_runs());
	/* a folder that others may write to is not asked at all */
	assert_int_equal(chmod(folder, 0777), 0);
	assert_unanswered(client_call(request, NULL, NULL, &answer), -NTM_EPERM,
			  &answer);
	assert_int_equal(chmod(folder, 0700), 0);
	json_decref(request);
}

/* Each failure of the client's own has a sentence, and says what to do. */
static void test_sentences(void **state)
{
	static const struct {
		int err;
		const char *has;
	} rows[] = {
		{-NTM_ECLOSED, "try again"}, {-NTM_ETIMEOUT, "ntm down"},
		{-NTM_EDECODE, "ntm up"},    {-NTM_EPERM, "XDG_RUNTIME_DIR"},
		{-NTM_ENOBROKER, "ntm up"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_non_null(
			strstr(client_text(rows[i].err, NULL), rows[i].has));
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(folder, sizeof(folder), "%s/ntm", dir);
	snprintf(path, sizeof(path), "%s/control.sock", folder);
	signal(SIGPIPE, SIG_IGN);
	return setenv("XDG_RUNTIME_DIR", dir, 1) || mkdir(folder, 0700);
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder) || rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_sentences),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

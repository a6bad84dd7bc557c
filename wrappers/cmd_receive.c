/* SPDX-License-Identifier: MIT */
/* cmd_receive - ntm receive: take items that others have sent */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/post/manifest.h"
#include "common/out.h"
#include "common/plain.h"
#include "wrappers/client.h"
#include "wrappers/items.h"

#define FILES_MAX 1000 /* names that CMD gets; of more, NTM_FILES tells */
#define LEFT	  3    /* an item stays, as a name of it is in use */
#define AGAIN_MIN                                                              \
	10 /* s, doubling: one that could not be taken, with --follow */
#define AGAIN_MAX 600
#define TEXT_NAME "text"

/* --- placing
 * -------------------------------------------------------------------------------- */

static void on_placed(void *arg, const char *path)
{
	const struct command_args *a = arg;
	char shown[4096];

	if (a->json || a->on_receive)
		return;
	puts(out_is_terminal() ? plain_text(path, shown, sizeof(shown)) : path);
}

static enum place_exists on_ask(void *arg, const char *dir, const char *name)
{
	char line[32] = "", shown[NAME_MAX + 1];

	(void)arg;
	fprintf(stderr, "%s/%s exists: [o]verwrite, [r]ename, [s]kip? ", dir,
		plain_text(name, shown, sizeof(shown)));
	if (!fgets(line, sizeof(line), stdin))
		return PLACE_REFUSE;
	return *line == 'o'   ? PLACE_OVERWRITE
	       : *line == 'r' ? PLACE_RENAME
			      : PLACE_REFUSE;
}

static void on_left(void *arg, const char *dir, const char *name,
		    enum place_exists how)
{
	const struct command_args *a = arg;
	char shown[NAME_MAX + 1];

	if (a->json)
		return; /* it is said for all of them */
	fprintf(stderr, "ntm: %s/%s exists; it was left as it is%s\n", dir,
		plain_text(name, shown, sizeof(shown)),
		how == PLACE_OVERWRITE ? ", as folders are not replaced: "
					 "`--rename` places the new one beside"
		: isatty(STDIN_FILENO) ? ""
				       : ": `--rename` or `--overwrite` says "
					 "what to do");
}

static void command_env(const json_t *item, size_t files)
{
	static const struct {
		const char *name, *member;
	} texts[] = {
		{"NTM_FROM", "from"},	    {"NTM_MESSAGE", "message"},
		{"NTM_SERVICE", "service"}, {"NTM_APPLICATION", "application"},
		{"NTM_ITEM", "item"},
	};
	char number[32];
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		setenv(texts[i].name, out_text(item, texts[i].member, ""), 1);
	snprintf(number, sizeof(number), "%lld",
		 (long long)out_int(item, "id"));
	setenv("NTM_NUMBER", number, 1);
	snprintf(number, sizeof(number), "%zu", files);
	setenv("NTM_FILES", number, 1);
}

/* CMD gets the files as its arguments, a text as its input. Never as words of CMD. */
static int command_run(const struct command_args *a, const json_t *item,
		       const struct place_list *files, int text_fd)
{
	const char *argv[FILES_MAX + 5] = {"sh", "-c", a->on_receive, "ntm"};
	char why[256];
	int status = -1;
	size_t i;
	pid_t pid;

	for (i = 0; i < files->n && i < FILES_MAX; i++)
		argv[4 + i] = files->path[i];
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		command_env(item, files->n);
		if (text_fd < 0)
			text_fd = open("/dev/null", O_RDONLY);
		if (text_fd < 0 || dup2(text_fd, STDIN_FILENO) < 0)
			_exit(127);
		execv("/bin/sh", (char *const *)argv);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			break;
	if (pid > 0 && WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	snprintf(why, sizeof(why),
		 "item %lld: the command %s %d; the item stays, and %s",
		 (long long)out_int(item, "id"),
		 pid > 0 && WIFSIGNALED(status) ? "was ended by signal"
						: "ended with status",
		 pid > 0 && WIFSIGNALED(status) ? WTERMSIG(status)
		 : pid > 0			? WEXITSTATUS(status)
						: 127,
		 a->follow ? "is handed to it again later"
			   : "the next `ntm receive` takes it up again");
	return command_fail(a, -NTM_ESERVER, why);
}

/* The text, where the item is one of ours and nothing else. *@out: free() it.
 * Return: a descriptor to read it from, or -1 */
static int text_open(const json_t *item, char **out)
{
	char tree[600];
	struct dirent *d;
	struct stat st;
	DIR *list;
	int fd = -1, others = 0;
	ssize_t n = -1;

	if (strcmp(out_text(item, "application", ""), ITEMS_APPLICATION) ||
	    strcmp(out_text(item, "service", ""), "text"))
		return -1;
	snprintf(tree, sizeof(tree), "%s/tree", out_text(item, "folder", ""));
	list = opendir(tree);
	while (list && (d = readdir(list)))
		others += strcmp(d->d_name, ".") && strcmp(d->d_name, "..") &&
			  strcmp(d->d_name, TEXT_NAME);
	if (list && !others)
		fd = openat(dirfd(list), TEXT_NAME,
			    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (list)
		closedir(list);
	*out = fd >= 0 ? calloc(1, ITEM_TEXT_MAX + 1) : NULL;
	if (*out && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	    st.st_size <= ITEM_TEXT_MAX)
		n = pread(fd, *out, ITEM_TEXT_MAX, 0);
	if (n >= 0)
		return fd;
	free(*out);
	*out = NULL;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* On a terminal it may not move the cursor or write elsewhere, and says whose it is. */
static int text_show(const json_t *item, char *text)
{
	char *line = text, *end;

	if (!out_is_terminal()) {
		fputs(text, stdout);
		return fflush(stdout) ? 1 : 0;
	}
	printf("%s\n", out_colour(OUT_DIM, out_text(item, "from", "?")));
	while (line && *line) {
		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		for (char *tab = line; (tab = strchr(tab, '\t')); tab++)
			*tab = ' ';
		puts(plain_text(line, line, strlen(line) + 1));
		line = end ? end + 1 : NULL;
	}
	return fflush(stdout) ? 1 : 0;
}

static enum place_exists how(const struct command_args *a)
{
	if (a->overwrite)
		return PLACE_OVERWRITE;
	if (a->rename)
		return PLACE_RENAME;
	return !a->json && isatty(STDIN_FILENO) && isatty(STDERR_FILENO)
		       ? PLACE_ASK
		       : PLACE_REFUSE;
}

static int taken(const struct command_args *a, const json_t *item)
{
	json_t *answer;

	if (items_call(a,
		       json_pack("{s:s, s:I}", "cmd", "taken", "id",
				 out_int(item, "id")),
		       &answer))
		return 1;
	json_decref(answer);
	return 0;
}

/* what stands between the person and the folder that was named, or current */
static const char *folder_why(int err, const char *dir, char why[static 512])
{
	char shown[256];

	plain_text(dir, shown, sizeof(shown));
	if (err == -NTM_ENOTFOUND)
		snprintf(why, 512, "%s: there is no such folder; make it first",
			 shown);
	else if (err == -NTM_EPERM)
		snprintf(why, 512,
			 "%s: you may not write there; name another folder "
			 "with --to",
			 shown);
	else if (err == -NTM_ESTORE)
		snprintf(why, 512,
			 "%s: it could not be written, the disk may be full; "
			 "what is not there yet stays in the inbox",
			 shown);
	else
		snprintf(why, 512, "%s: %s", shown, err_text(err));
	return why;
}

static int receive_files(const struct command_args *a, json_t *item,
			 struct placed *record)
{
	const struct place_way way = {.how = how(a),
				      .placed = on_placed,
				      .left = on_left,
				      .ask = on_ask,
				      .arg = (void *)a};
	const char *dir = a->to ? a->to : ".";
	struct place_list files = {NULL, 0};
	json_t *paths = json_array();
	char why[512];
	int status;
	bool left;
	size_t i;

	status = place_tree(out_text(item, "folder", ""), record, dir, &way,
			    &files);
	left = status > 0;
	if (status < 0)
		status = command_fail(a, status, folder_why(status, dir, why));
	else if (status && a->json)
		(void)command_fail(
			a, -NTM_EEXISTS,
			"a name of the item exists already; `--rename` or "
			"`--overwrite` says what to do");
	if (!status && a->on_receive)
		status = command_run(a, item, &files, -1);
	for (i = 0; i < files.n; i++)
		json_array_append_new(paths, json_string(files.path[i]));
	json_object_set_new(item, "placed", paths);
	place_list_clear(&files);
	return left ? LEFT : status;
}

/* What it is: text, or files. Return: as receive_one() */
static int receive_what(const struct command_args *a, json_t *item,
			struct placed *record)
{
	const struct place_list none = {NULL, 0};
	char *text = NULL;
	int fd = text_open(item, &text), status;

	if (fd < 0)
		status = receive_files(a, item, record);
	else if (a->on_receive)
		status = command_run(a, item, &none, fd);
	else if (a->json)
		status = json_object_set_new(item, TEXT_NAME, json_string(text))
				 ? 1
				 : 0;
	else
		status = text_show(item, text);
	if (fd >= 0)
		close(fd);
	free(text);
	return status;
}

static int not_ours(const struct command_args *a, const json_t *item, int err,
		    const char *text)
{
	char why[256];

	snprintf(why, sizeof(why), "item %lld: %s",
		 (long long)out_int(item, "id"), text);
	return command_fail(a, err, why);
}

/* Is it there still? Who had it before us may have taken it. Return: 0, or 1 and it was
 * said what is wrong */
static int still_here(const struct command_args *a, const json_t *item)
{
	json_t *answer, *now;
	int status = 0;

	if (items_call(a,
		       json_pack("{s:s, s:I}", "cmd", "inbox", "id",
				 out_int(item, "id")),
		       &answer))
		return 1;
	now = json_array_get(json_object_get(answer, "items"), 0);
	if (strcmp(out_text(now, "state", ""), "here"))
		status = not_ours(a, item, -NTM_ENOTFOUND,
				  "another program has taken it");
	json_decref(answer);
	return status;
}

/* One that is here, ours alone from the first look to `taken`: else two would hand it to
 * their commands. Return: exit status, or LEFT */
static int receive_one(const struct command_args *a, json_t *item)
{
	struct placed *record = NULL;
	int err = placed_open(out_text(item, "folder", ""), &record), status;

	if (err)
		return not_ours(a, item, err,
				err == -NTM_EAGAIN
					? "another program is taking it; if it "
					  "stays in the inbox, run `ntm "
					  "receive` again"
				: err == -NTM_ENOTFOUND
					? "another program has taken it"
					: err_text(err));
	status = still_here(a, item);
	if (!status)
		status = receive_what(a, item, record);
	if (!status)
		status = taken(a, item);
	placed_close(record);
	if (!status)
		command_json(a, item);
	return status;
}

/* --- receive
 * -------------------------------------------------------------------------------- */

static bool under_way(const json_t *item)
{
	const char *state = out_text(item, "state", "");

	return strcmp(state, "here") && strcmp(state, "refused") &&
	       strcmp(state, "held");
}

static void on_its_own(json_int_t id)
{
	char text[200];

	snprintf(text, sizeof(text),
		 "ntm: item %lld comes by itself; `ntm inbox` shows it, `ntm "
		 "receive %lld` takes it",
		 (long long)id, (long long)id);
	items_interrupt_end(text);
}

/* By its number: fetched first, whoever sent it. */
static int receive_number(const struct command_args *a, const char *word)
{
	json_int_t id = items_number(a, "inbox", word);
	json_t *item, *answer;
	char why[600];
	int status;

	if (!id)
		return 2;
	if (items_may(a, id) ||
	    items_call(a, json_pack("{s:s, s:I}", "cmd", "fetch", "id", id),
		       &answer))
		return 1;
	json_decref(answer);
	item = items_watch(a, "inbox", id, under_way);
	if (items_interrupted())
		on_its_own(id);
	if (item && !strcmp(out_text(item, "state", ""), "here")) {
		status = receive_one(a, item) ? 1 : 0;
	} else {
		snprintf(why, sizeof(why), "item %lld: %s", (long long)id,
			 item ? out_text(item, "text", "it was refused")
			      : "it is in the inbox no more: it was taken, or "
				"its sender has withdrawn it");
		status = command_fail(a, item ? -NTM_EPERM : -NTM_ENOTFOUND,
				      why);
	}
	json_decref(item);
	return status;
}

/* --- what --follow keeps of items that stayed: their number, and with it true where a
 * name is in use (it is not asked about again), else when it is tried again ---------- */

static json_int_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec;
}

static bool stays(const json_t *left, const char *number)
{
	const json_t *j = json_object_get(left, number);

	return json_is_true(j) || out_int(j, "at") > now_s();
}

/* what is to be kept of one that stayed again, @r being why */
static json_t *stays_on(const json_t *left, const char *number, int r)
{
	json_int_t wait = 2 * out_int(json_object_get(left, number), "wait");

	if (r == LEFT)
		return json_true();
	wait = wait < AGAIN_MIN ? AGAIN_MIN : wait;
	wait = wait > AGAIN_MAX ? AGAIN_MAX : wait;
	return json_pack("{s:I, s:I}", "at", now_s() + wait, "wait", wait);
}

/* seconds until the first is tried again; 0: none */
static unsigned int again_s(json_t *left)
{
	json_int_t first = 0, now = now_s();
	const char *number;
	json_t *j;

	json_object_foreach(left, number, j)
	{
		if (!json_is_true(j) && (!first || out_int(j, "at") < first))
			first = out_int(j, "at");
	}
	return !first ? 0 : first > now ? (unsigned int)(first - now) : 1;
}

/* All that are here and of `ntm`: other programs take theirs. *@n: how many. @left: those
 * that stayed, of --follow; NULL: each is tried */
static int receive_here(const struct command_args *a, json_t *left, size_t *n,
			bool *logged_in)
{
	json_t *items, *item, *kept = json_object();
	char number[32];
	int status = 0, r;
	size_t i;

	*n = 0;
	if (items_all(a, "inbox", &items, logged_in)) {
		json_decref(kept);
		return 1;
	}
	json_array_foreach(items, i, item)
	{
		if (strcmp(out_text(item, "state", ""), "here") ||
		    strcmp(out_text(item, "application", ""),
			   ITEMS_APPLICATION))
			continue;
		++*n;
		snprintf(number, sizeof(number), "%lld",
			 (long long)out_int(item, "id"));
		if (stays(left, number)) {
			json_object_set(kept, number,
					json_object_get(left, number));
			continue;
		}
		r = receive_one(a, item);
		if (!r)
			continue;
		status = 1;
		json_object_set_new(kept, number, stays_on(left, number, r));
	}
	json_object_clear(left); /* with those that others have taken */
	json_object_update(left, kept);
	json_decref(kept);
	json_decref(items);
	return status;
}

/* Until something has changed since *@seen, or for @limit_s (0: however long). Return: 0,
 * or what ends the waiting */
static int change_wait(json_int_t *seen, unsigned int limit_s)
{
	json_t *ask = json_pack("{s:s, s:I}", "cmd", "wait", "seen", *seen);
	json_t *answer = NULL;
	int err = client_call_to(CLIENT_POST, ask, limit_s, &answer);

	if (!err)
		*seen = out_int(answer, "changes");
	json_decref(answer);
	json_decref(ask);
	if (err == -NTM_ETIMEOUT && limit_s)
		return 0;
	if (err != -NTM_ECLOSED && err != -NTM_EAGAIN)
		return err;
	items_pause(); /* ntm-post was restarted: the next call finds it */
	return 0;
}

static int follow(const struct command_args *a)
{
	json_t *left = json_object();
	json_int_t seen = 0;
	bool logged_in;
	size_t n;
	int err;

	if (!a->json && isatty(STDERR_FILENO))
		fputs("ntm: takes what comes; Ctrl-C ends it\n", stderr);
	for (;;) {
		err = change_wait(&seen, again_s(left));
		if (err)
			break;
		(void)receive_here(a, left, &n,
				   &logged_in); /* what was wrong was said */
	}
	json_decref(left);
	return command_fail(a, err, client_text(err, NULL));
}

/* Once, before anything is fetched or asked */
static int folder_check(const struct command_args *a)
{
	const char *dir = a->to ? a->to : ".";
	char why[512];
	struct stat st;
	int err = 0;

	if (stat(dir, &st) || !S_ISDIR(st.st_mode))
		err = -NTM_ENOTFOUND;
	else if (access(dir, W_OK | X_OK))
		err = -NTM_EPERM;
	/* a text needs no folder: only one that was named is checked */
	return err && a->to ? command_fail(a, err, folder_why(err, dir, why))
			    : 0;
}

static int worse(int a, int b)
{
	return a > b ? a : b;
}

int cmd_receive(const struct command_args *a)
{
	int status = folder_check(a), i;
	bool logged_in;
	size_t n;

	if (status)
		return status;
	for (i = 0; i < a->n_words; i++) /* usage is the worse one */
		status = worse(status, receive_number(a, a->words[i]));
	if (a->follow)
		return follow(a);
	if (a->n_words)
		return status;
	status = receive_here(a, NULL, &n, &logged_in);
	if (!n && !status && !a->json)
		items_none("nothing is here; see `ntm inbox`", logged_in);
	return status;
}

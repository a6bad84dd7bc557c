/* SPDX-License-Identifier: MIT */
/* test_out - units, tables and colours, on a terminal and without one */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "common/out.h"

/* What @print writes to standard output, in a process of its own: whether there
 * are colours is decided once. */
static void printed(void (*print)(void), int to, int from, char *buf,
		    size_t size)
{
	size_t got = 0;
	ssize_t n = 1;
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(to, STDOUT_FILENO);
		print();
		fflush(stdout);
		_exit(0);
	}
	close(to);
	while (n > 0 && got < size - 1) {
		n = read(from, buf + got, size - 1 - got);
		got += n > 0 ? (size_t)n : 0;
	}
	buf[got] = '\0';
	close(from);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void to_pipe(void (*print)(void), char *buf, size_t size)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	printed(print, ends[1], ends[0], buf, size);
}

static void to_terminal_of(unsigned short columns, void (*print)(void),
			   char *buf, size_t size)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	struct winsize w = {.ws_row = 24, .ws_col = columns};
	struct termios t;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master) || unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	assert_int_equal(tcgetattr(slave, &t), 0);
	cfmakeraw(&t);
	assert_int_equal(tcsetattr(slave, TCSANOW, &t), 0);
	assert_int_equal(ioctl(slave, TIOCSWINSZ, &w), 0);
	printed(print, slave, master, buf, size);
}

static void to_terminal(void (*print)(void), char *buf, size_t size)
{
	to_terminal_of(80, print, buf, size);
}

static void print_colours(void)
{
	out_screen();
	printf("%s %s %s", out_colour(OUT_GOOD, "good"),
	       out_colour(OUT_PLAIN, "plain"), out_colour(OUT_BAD, "bad"));
}

static void test_colours(void **state)
{
	char buf[256];

	(void)state;
	to_pipe(print_colours, buf, sizeof(buf));
	assert_string_equal(buf, "good plain bad");
	unsetenv("NO_COLOR");
	to_terminal(print_colours, buf, sizeof(buf));
	assert_string_equal(buf, "\033[H\033[2J\033[32mgood\033[0m plain "
				 "\033[31mbad\033[0m");
	setenv("NO_COLOR", "1", 1);
	to_terminal(print_colours, buf, sizeof(buf));
	assert_string_equal(buf, "\033[H\033[2Jgood plain bad");
	unsetenv("NO_COLOR");
}

static void print_table(void)
{
	static const char *const headings[] = {"NAME", "STATE", "LAST"};
	static const char *const cells[] = {
		"desk",	   "\033[32mdirect\033[0m",
		"1 s ago", "b\xc3\xbcro",
		"idle",	   "",
	};

	out_table(headings, 3, cells, 2);
	out_table(headings, 3, NULL, 0);
}

/* Columns are what a person sees: colours take none, two bytes of one letter one. */
static void test_table(void **state)
{
	char buf[512];

	(void)state;
	to_pipe(print_table, buf, sizeof(buf));
	assert_string_equal(buf, "NAME  STATE   LAST\n"
				 "desk  \033[32mdirect\033[0m  1 s ago\n"
				 "b\xc3\xbcro  idle    \n"
				 "NAME  STATE  LAST\n");
}

/* As wide as the terminal it is a table; a column more, and each row is a block. */
static void test_narrow(void **state)
{
	static const char blocks[] = "NAME   desk\n"
				     "STATE  \033[32mdirect\033[0m\n"
				     "LAST   1 s ago\n"
				     "\n"
				     "NAME   b\xc3\xbcro\n"
				     "STATE  idle\n";
	char buf[512], table[512];

	(void)state;
	to_pipe(print_table, table, sizeof(table));
	to_terminal_of(21, print_table, buf, sizeof(buf));
	assert_string_equal(buf, table);
	to_terminal_of(0, print_table, buf, sizeof(buf)); /* not known */
	assert_string_equal(buf, table);
	to_terminal_of(20, print_table, buf, sizeof(buf));
	assert_memory_equal(buf, blocks, sizeof(blocks) - 1);
}

static void test_units(void **state)
{
	(void)state;
	assert_string_equal(out_bytes(0), "0 B");
	assert_string_equal(out_bytes(999), "999 B");
	assert_string_equal(out_bytes(1000), "1.0 kB");
	assert_string_equal(out_bytes(1550000), "1.6 MB");
	assert_string_equal(out_bytes(INT64_C(5000000000000000)), "5000.0 TB");
	assert_string_equal(out_ago(-1), "never");
	assert_string_equal(out_ago(0), "0 s ago");
	assert_string_equal(out_ago(119), "119 s ago");
	assert_string_equal(out_ago(120), "2 min ago");
	assert_string_equal(out_ago(7199), "119 min ago");
	assert_string_equal(out_ago(7200), "2 h ago");
	assert_string_equal(out_date(0), "never");
	assert_string_equal(out_date(-5), "never");
	setenv("TZ", "UTC", 1);
	assert_string_equal(out_date(1800000000), "2027-01-15 08:00");
}

/* Several in one line of printf, each in a buffer of its own. */
static void test_slots(void **state)
{
	const char *s[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		s[i] = out_bytes(i);
	for (int i = 0; i < 8; i++)
		assert_int_equal(atoi(s[i]), i);
}

static void test_members(void **state)
{
	json_t *j = json_pack("{s:s, s:s, s:i, s:f, s:b, s:n}", "text", "here",
			      "empty", "", "int", 5, "real", 2.9, "bool", 1,
			      "null");

	(void)state;
	assert_string_equal(out_text(j, "text", "-"), "here");
	assert_string_equal(out_text(j, "empty", "-"), "-");
	assert_string_equal(out_text(j, "int", "-"), "-");
	assert_string_equal(out_text(j, "none", "-"), "-");
	assert_string_equal(out_text(NULL, "text", "-"), "-");
	assert_int_equal(out_int(j, "int"), 5);
	assert_int_equal(out_int(j, "real"), 2);
	assert_int_equal(out_int(j, "text"), 0);
	assert_int_equal(out_int(j, "null"), 0);
	assert_int_equal(out_int(NULL, "int"), 0);
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_colours), cmocka_unit_test(test_table),
		cmocka_unit_test(test_narrow),	cmocka_unit_test(test_units),
		cmocka_unit_test(test_slots),	cmocka_unit_test(test_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

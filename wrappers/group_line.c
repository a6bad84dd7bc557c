/* SPDX-License-Identifier: MIT */
/*
 * group_line - a line that a person edits while others speak
 *
 * libedit, by the interface that it shares with readline: a line comes in characters, and
 * between two of them the screen is ours. It knows one line at a time, in globals.
 */
#include <locale.h>
#include <stdio.h>

#include <editline/readline.h>

#include "wrappers/group.h"

static struct {
	const char *prompt;
	void (*fn)(char *line);
	bool over;
} l;

/* libedit has left the terminal alone, and begins anew when it is told so */
static void on_done(char *line)
{
	l.over = !line;
	l.fn(line);
	if (!l.over)
		rl_callback_handler_install(l.prompt, on_done);
}

void line_begin(const char *prompt, void (*fn)(char *line))
{
	setlocale(LC_CTYPE, "");
	using_history();
	l.prompt = prompt;
	l.fn = fn;
	rl_callback_handler_install(prompt, on_done);
}

void line_read(void)
{
	rl_callback_read_char();
}

void line_hide(void)
{
	fputs("\r\033[K", stdout);
	fflush(stdout);
}

void line_show(void)
{
	fflush(stdout);
	rl_forced_update_display();
}

void line_end(void)
{
	rl_callback_handler_remove();
	line_hide();
}

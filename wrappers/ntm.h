/* SPDX-License-Identifier: MIT */
/*
 * ntm - the commands of ntm (cmd_*.c), and what they ask the broker with
 *
 * Context: a short-lived program (command.h).
 */
#ifndef NTM_WRAPPERS_NTM_H
#define NTM_WRAPPERS_NTM_H

#include "wrappers/command.h"

command_fn cmd_up, cmd_down, cmd_env;
command_fn cmd_login, cmd_logout, cmd_passwd, cmd_devices, cmd_exit;
command_fn cmd_status, cmd_peers, cmd_netcheck;
command_fn cmd_send, cmd_outbox, cmd_cancel, cmd_inbox, cmd_receive, cmd_drop;
command_fn cmd_ping, cmd_verify, cmd_allow, cmd_forget, cmd_push;

/**
 * command_call() - ask the broker, print its refusal
 * @request: taken. @answer: on 0; json_decref() it
 *
 * With --json a refusal goes to standard output as JSON.
 * Return: 0, or the exit status 1
 */
int command_call(const struct command_args *a, json_t *request,
		 json_t **answer);

/** @draw over and over with --watch, else once; Return: exit status */
int command_watch(const struct command_args *a,
		  int (*draw)(const struct command_args *a));

#endif

/* SPDX-License-Identifier: MIT */
/*
 * desktop - the desktop's word that something came, where there is one
 *
 * Owner:   struct post. Context: loop thread.
 * ntm-post itself may run no program (isolate.h): a process of its own, made before,
 * takes two texts at a time and runs notify-send with them, one after another. It ends
 * with ntm-post. Where it is busy, a word is left out.
 */
#ifndef NTM_BROKER_POST_DESKTOP_H
#define NTM_BROKER_POST_DESKTOP_H

#include "common/err.h"

#define DESKTOP_TEXT_MAX 2048

struct desktop;

/**
 * desktop_open() - start it; before anything else is opened
 * @out: NULL where there is no session bus
 * Return: 0, -NTM_ENOMEM, -NTM_ESYSTEM
 */
NTM_MUST_CHECK int desktop_open(struct desktop **out);
void desktop_close(struct desktop *d); /* NULL is fine */
/** "@what from @sender"; NULL is fine */
void desktop_say(struct desktop *d, const char *sender, const char *what);

#endif

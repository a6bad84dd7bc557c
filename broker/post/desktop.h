/* SPDX-License-Identifier: MIT */
/*
 * desktop - the desktop's word that something came, where there is one
 *
 * Owner: none. Context: loop thread; notify-send runs by itself.
 */
#ifndef NTM_BROKER_POST_DESKTOP_H
#define NTM_BROKER_POST_DESKTOP_H

/** "@what from @sender", by notify-send; nothing where there is none */
void desktop_say(const char *sender, const char *what);

#endif

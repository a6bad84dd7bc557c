/* SPDX-License-Identifier: MIT */
/* gatelist - the gates that a node knows, in the file `gates` of its state folder */
#ifndef NTM_BROKER_GATELIST_H
#define NTM_BROKER_GATELIST_H

#include "broker/gate.h"

/** Return: how many; 0 also where the file is missing or cannot be used */
size_t gatelist_load(const char *state, struct gate_entry out[GATES_MAX]);
/** errors are logged: what is not kept is named again */
void gatelist_save(const char *state, const struct gate_entry *list, size_t n);
void gatelist_remove(const char *state);
/** those of @list that have a gate. Return: how many */
size_t gatelist_take(Ntm__Relay *const *list, size_t n,
		     struct gate_entry out[GATES_MAX]);
bool gatelist_same(const struct gate_entry *a, const struct gate_entry *b);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * fake_datapath - broker/datapath/datapath.h for the world
 *
 * A packet "sealed" under a key carries the key's first 16 bytes; opening compares
 * them. So both sides must hold the same keys under the same phase and Path ID for
 * anything to pass, and no cipher is computed. Order of the reports is the real one.
 * fake_group.c stands for its groups, fake_keeper.c for keeper and shims.
 */
#ifndef NTM_TESTS_CONTROL_FAKE_DATAPATH_H
#define NTM_TESTS_CONTROL_FAKE_DATAPATH_H

#include "tests/unit/broker/control/world.h"

struct datapath *fake_datapath_new(struct node *n);
void fake_datapath_free(struct datapath *dp);
void fake_input(struct datapath *dp, uint8_t *buf, size_t len,
		const struct addr *from);
/** struct fake_group_relay - dp_group_relay()'s last; @epoch 0: none; @places: 8 */
struct fake_group_relay {
	uint64_t epoch;
	struct addr at;
	uint8_t places;
};
struct fake_group_relay *fake_group_relay(struct datapath *dp);
struct dp_group;
/** what dp_group_new() was given */
const struct ntmc_env *fake_group_env(const struct dp_group *g);
void fake_output(struct datapath *dp, const uint8_t vip6[static 16]);

#endif

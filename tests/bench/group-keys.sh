#!/bin/bash
# SPDX-License-Identifier: MIT
# group-keys - see tests/bench/group_keys.c
exec "${O:-build}/tests/bench/group_keys"

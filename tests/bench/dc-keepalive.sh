#!/bin/bash
# SPDX-License-Identifier: MIT
# dc-keepalive - see tests/bench/dc_load.c
exec "${O:-build}/tests/bench/dc_load" keepalive

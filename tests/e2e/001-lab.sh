#!/bin/bash
# SPDX-License-Identifier: MIT
# 001-lab - the lab is what the other tests take it for
. "$(dirname "$0")/../lab/lab.sh"

lab_net home
lab_net cafe
lab_router r
lab_link r home 10.1.0.1/24 2001:db8:1::1/64
lab_link r cafe 10.2.0.1/24 2001:db8:2::1/64
lab_host a
lab_host b
lab_link a home 10.1.0.2/24 2001:db8:1::2/64 5
lab_link b cafe 10.2.0.3/24 2001:db8:2::3/64 5
lab_root a ping -c 10 -i 0.05 10.2.0.3
lab_root a ping -c 10 -i 0.05 2001:db8:2::3
ok x

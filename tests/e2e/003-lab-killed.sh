#!/bin/bash
# SPDX-License-Identifier: MIT
# 003-lab-killed - kill -9 of a lab leaves no process, namespace or interface
. "$(dirname "$0")/../lab/lab.sh"

# A second lab inside this one, with a host, a wire and programs of its user.
cat >"$LAB/victim.sh" <<END
#!/bin/bash
. $LAB_SRC/tests/lab/lab.sh
lab_net n
lab_host v
lab_link v n 10.0.0.1/24 - 1
lab_start daemon user v setsid sleep 4711
wait_for 5 'pgrep -f "sleep 4711"'
sleep infinity
END
chmod +x "$LAB/victim.sh"
ip link show >"$LAB/before"
"$LAB_SRC/tests/lab/enter" "$LAB/victim.sh" >"$LAB/log/victim" 2>&1 &
victim=$!
wait_for 20 'pgrep -f "sleep 4711"'

# One end here, one in the inner host's namespace: ours lives while that does.
holder=$(pgrep -f '^host-v')
ip link add name probe0 type veth peer name probe1 netns "$holder"
ip link show dev probe0 >/dev/null
inner=$(readlink "/proc/$holder/ns/pid")
assert_ne "$inner" "$(readlink /proc/1/ns/pid)" "the inner lab is one of its own"

disown $victim
kill -KILL $victim
inner_processes()
{
	find /proc -maxdepth 3 -path '/proc/[0-9]*/ns/pid' -lname "$inner"
}
wait_for 5 '[ -z "$(inner_processes)" ]'
ok "its processes are gone, daemons too"
wait_for 10 '! ip link show dev probe0'
ok "its hosts' namespaces are gone"
assert_eq "$(ip link show)" "$(cat "$LAB/before")" "no interface is left"

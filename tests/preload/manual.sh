#!/bin/sh
# SPDX-License-Identifier: MIT
# manual - every hook of hooks.def stands in the manual page with its text
cd "$(dirname "$0")/../.." || exit 2
want=$(gcc -E -P -D'HOOK_SYS(r,n,p,a,s,t)=@n@t@' -D'HOOK_LIB(r,n,p,a,m,t)=@n@t@' \
	-x c preload/hooks.def | sed -n 's/^@ *\([a-z0-9_]*\) *@ *"\(.*\)" *@$/.It Fn \1\n\2/p')
have=$(sed -n '/^\.\\" hooks begin/,/^\.\\" hooks end/p' preload/libntm.so.1 |
	grep -v '^\.\\"')
[ -n "$want" ] && [ "$want" = "$have" ] && exit 0
echo "between the marks of preload/libntm.so.1 there should be:"
echo "$want"
exit 1

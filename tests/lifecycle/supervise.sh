#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# usage: unshare --mount --propagation private sh supervise.sh NAME TREE NSPAWN-ARGUMENT...
#
# Runs one container above TREE until standard input ends, so it also ends when whoever started it is killed.
# The overlay lies on a tmpfs that only this mount namespace sees: nothing is left to unmount or to remove.
# Prints "nspawn PID" at each boot; all else on standard output is the container's console.
set -eu

name=$1
tree=$2
shift 2

# Each path that a systemd watches takes one of root's inotify instances, and the kernel's 128 are for all containers.
limit=/proc/sys/fs/inotify/max_user_instances
[ "$(cat "$limit")" -ge 4096 ] || echo 4096 >"$limit" || true

layers=/run/fpmjail-tests
mkdir -p "$layers"
mount -t tmpfs -o size=8g,mode=0755 tmpfs "$layers"
mkdir "$layers/upper" "$layers/work" "$layers/root"
mount -t overlay -o "lowerdir=$tree,upperdir=$layers/upper,workdir=$layers/work" overlay "$layers/root"

# One cgroup for each container: with --keep-unit two of them would share one systemd hierarchy otherwise.
cgroups=
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    cgroups=/sys/fs/cgroup/$name
else
    for hierarchy in systemd unified; do
        [ ! -d "/sys/fs/cgroup/$hierarchy" ] || cgroups="$cgroups /sys/fs/cgroup/$hierarchy/$name"
    done
fi
for cgroup in $cgroups; do
    mkdir "$cgroup"
done

run() {
    sh -c '
        cgroups=$1
        shift
        for cgroup in $cgroups; do
            echo $$ >"$cgroup/cgroup.procs"
        done
        echo $$ >/run/fpmjail-tests/nspawn
        echo "nspawn $$"
        exec "$@"
    ' sh "$cgroups" systemd-nspawn --quiet --register=no --keep-unit --machine="$name" --directory="$layers/root" "$@"
}

# nspawn ends with 133 when the container asks for a reboot (systemd-nspawn(1), --keep-unit).
(
    status=133
    while [ "$status" = 133 ]; do
        status=0
        run "$@" </dev/null 2>&1 || status=$?
    done
) &
loop=$!

cat >/dev/null

# The container's first process takes its whole pid namespace with it.
nspawn=$(cat "$layers/nspawn" 2>/dev/null || true)
read -r children <"/proc/$nspawn/task/$nspawn/children" || true
for process in ${children:-} $nspawn; do
    kill -KILL "$process" 2>/dev/null || true
done
wait "$loop" 2>/dev/null || true
for cgroup in $cgroups; do
    for attempt in 1 2 3 4 5 6 7 8 9 10; do
        find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep "0.$attempt"
    done
done

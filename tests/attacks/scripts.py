# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile scripts that use PHP alone. `$own` is a directory of the site, `$foreign` the directories of other sites."""

from __future__ import annotations

from tests.attacks import delegates
from tests.attacks.cases import Script

READING = (
    Script("outside", "read a world-readable file outside of the site", "Oss", """
        return @file_get_contents('/srv/outside/secret');
    """),
    Script("foreign-files", "read other sites' files by their absolute and relative paths", "Oss", """
        foreach ($foreign as $place) {
            foreach (["$place/htdocs/config.php", str_repeat('../', 20) . "$place/htdocs/config.php"] as $path) {
                $found[] = @file_get_contents($path);
            }
        }
        return implode('', $found);
    """),
    Script("links", "read the same files through symbolic and hard links that the site made", "Oss", """
        $wanted = array_map(fn ($place) => "$place/htdocs/config.php", $foreign);
        foreach ([...$wanted, '/srv/outside/secret'] as $at => $path) {
            @symlink($path, "$own/soft$at");
            @link($path, "$own/hard$at");
            $found[] = @file_get_contents("$own/soft$at") . @file_get_contents("$own/hard$at");
        }
        return implode('', $found);
    """),
    Script("proc-root", "reach the server's files by /proc/PID/root and /proc/PID/cwd of any process", "Oss", """
        foreach (['self', 'thread-self', 1, ...array_map('basename', glob('/proc/[0-9]*'))] as $pid) {
            $found[] = @file_get_contents("/proc/$pid/root/srv/outside/secret");
            $found[] = @file_get_contents("/proc/$pid/cwd/../../../../srv/outside/secret");
        }
        return implode('', $found);
    """),
    Script("processes", "see the processes of other users", "Oss", """
        $all = array_filter(glob('/proc/[0-9]*'), fn ($place) => @fileowner($place) !== posix_geteuid());
        return implode(' ', array_filter(array_map(fn ($place) => @file_get_contents("$place/cmdline"), $all)));
    """),
    Script("wrappers", "read the server's files by PHP's stream wrappers", "Oss", """
        foreach (['file://', 'php://filter/read=convert.base64-encode/resource=', 'glob://'] as $wrapper) {
            $found[] = @file_get_contents("{$wrapper}/srv/outside/secret");
            $found[] = implode('', @scandir("{$wrapper}/srv/outside") ?: []);
        }
        return implode('', $found);
    """),
)  # fmt: skip

STARTING = (
    Script("shell", "start a shell", "Oss", """
        return shell_exec('echo started');
    """),
    Script("uploaded-program", "start a program that was uploaded", "OOs", """
        copy("$payloads/program", "$own/program");
        chmod("$own/program", 0755);
        return $start(["$own/program"]);
    """, "In shared isolation it starts, in the chroot. Where systemd guards the site its directories are noexec."),
    Script("ld-preload", "load an uploaded library into another program: putenv('LD_PRELOAD')", "OOs", """
        copy("$payloads/library.so", "$own/library.so");
        putenv("LD_PRELOAD=$own/library.so");
        putenv("PROOF=$own/preloaded");
        $start(['/usr/bin/php', '-r', '1;']);
        putenv('LD_PRELOAD');
        return is_file("$own/preloaded") ? 'the library ran' : '';
    """, "As above: what runs is the site's own code, in the chroot."),
    Script("gconv-path", "load an uploaded library into PHP: putenv('GCONV_PATH')", "OOs", """
        mkdir("$own/gconv");
        copy("$payloads/library.so", "$own/gconv/ATTACK.so");
        file_put_contents("$own/gconv/gconv-modules", "module ATTACK// INTERNAL $own/gconv/ATTACK 2\\n"
            . "module INTERNAL ATTACK// $own/gconv/ATTACK 2\\n");
        putenv("GCONV_PATH=$own/gconv");
        putenv("PROOF=$own/converted");
        @iconv('ATTACK', 'UTF-8', 'text');
        $start(['/usr/bin/php', '-r', "iconv('ATTACK', 'UTF-8', 'text');"]);
        putenv('GCONV_PATH');
        return is_file("$own/converted") ? 'the library ran' : '';
    """, "As above."),
    Script("mail", "let mail() write a file: its fifth argument as options of the mail program", "Oss", """
        foreach (["-X$own/mail.php", "-C$own/mail.conf -X$own/mail.php", "--logfile=$own/mail.php"] as $options) {
            @mail('nobody@example.org', 'subject', '<?php echo "mail";', '', $options);
        }
        return is_file("$own/mail.php") ? file_get_contents("$own/mail.php") : '';
    """),
    Script("imagick-file", "have ImageMagick read a file outside of the site as the pixels of an image", "Oss", """
        $pixels = function (string $file): string {
            $image = new Imagick();
            $image->setSize(14, 1);
            $image->setOption('depth', '8');
            $image->readImage("gray:$file");
            return pack('C*', ...$image->exportImagePixels(0, 0, 14, 1, 'I', Imagick::PIXEL_CHAR));
        };
        $own = sys_get_temp_dir() . '/pixels-' . getmypid();
        file_put_contents($own, 'fourteen bytes');
        if ($pixels($own) !== 'fourteen bytes') {
            throw new RuntimeException('ImageMagick reads no file at all');
        }
        unlink($own);
        try {
            return $pixels('/srv/outside/secret');
        } catch (ImagickException) {
            return '';
        }
    """),
)  # fmt: skip

WRITING = (
    Script("image", "write to PHP, its libraries and settings, move them away, delete them", "sss", """
        $php = '/usr/lib/php';
        $done = [];
        $places = ['/usr', '/usr/bin', $php, '/etc', '/etc/ssl', '/.image', '/.image/current', '/.image/live'];
        foreach ($places as $place) {
            $done[] = @file_put_contents("$place/planted", 'x') ? $place : '';
            $done[] = @rename($place, "$own/moved") ? $place : '';
            $done[] = @chmod($place, 0777) ? $place : '';
        }
        foreach (['/usr/bin/php', '/etc/passwd', '/etc/fpm.conf', '/etc/ssl/openssl.cnf', '/.image/current'] as $path) {
            $done[] = @unlink($path) || @file_put_contents($path, 'x', FILE_APPEND) ? $path : '';
        }
        return implode(' ', array_filter($done));
    """),
    Script("root-of-jail", "make files in the jail's own directories", "sss", """
        $places = ['/', '/dev', '/run', '/proc', '/sys', '/var', '/var/lib', '/var/lib/php', '/var/www', '/var/log'];
        $done = array_filter($places, fn ($place) => @file_put_contents("$place/planted", 'x'));
        return implode(' ', $done);
    """),
    Script("devices", "read and write the memory, disks and the kernel's log by device files", "sss", """
        $devices = ['/dev/mem', '/dev/kmsg', '/dev/sda', '/dev/vda', '/dev/fuse', '/dev/kvm', '/dev/net/tun'];
        return implode(' ', array_filter($devices, fn ($device) => @fopen($device, 'r+')));
    """),
    Script("kernel-settings", "change settings of the kernel", "sss", """
        $settings = ['/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/sys/kernel/uevent_helper'];
        return implode(' ', array_filter($settings, fn ($path) => @fopen($path, 'r+')));
    """),
    Script("set-user-id", "make a program with the set-user-id bit", "OOs", """
        copy("$payloads/program", "$own/setuid");
        @chmod("$own/setuid", 04755);
        clearstatcache();
        return fileperms("$own/setuid") & 04000 ? 'made' : '';
    """, "It has the site's own user, and its directories are read by no other site."),
    Script("memory-filesystem", "fill the server's memory by /dev/shm", "Oss", """
        $block = str_repeat('x', 1 << 20);
        $file = @fopen('/dev/shm/full', 'w');
        for ($megabytes = 0; $file && $megabytes < 40 && @fwrite($file, $block) === 1 << 20; $megabytes++);
        @unlink('/dev/shm/full');
        return $megabytes === 40 ? '40 MB' : '';
    """, "16 MB of its own; none at all in shared isolation."),
    Script("inodes", "use up the inodes of /run and /dev/shm", "Oss", """
        for ($made = 0; $made < 20000 && @touch("/dev/shm/inode$made"); $made++);
        for ($gone = 0; $gone < $made; $gone++) {
            unlink("/dev/shm/inode$gone");
        }
        return $made === 20000 ? "$made files" : '';
    """),
)  # fmt: skip

MEETING = (
    Script("sessions", "read and poison another site's session", "Oss", """
        ini_set('session.use_strict_mode', '0');
        session_id('sessionofanothersite');
        @session_start(['use_cookies' => 0]);
        $found = $_SESSION['secret'] ?? '';
        session_destroy();
        return $found;
    """, "In the control both are applications of one pool."),
    Script("fastcgi", "forge a request to the PHP of another site or to Debian's, with PHP_ADMIN_VALUE", "Oss", """
        foreach (posix_geteuid() === 33 ? array_slice($sockets, 1) : $sockets as $socket) {
            $answers[] = $forge($socket);
        }
        return implode('', preg_grep('/^forged/', $answers));
    """),
    Script("opcache", "read OPcache's list of other sites' scripts", "Oss", """
        $scripts = array_keys(@opcache_get_status()['scripts'] ?? []);
        return implode(' ', preg_grep('/(neighbour|victim).*config/', $scripts));
    """),
    Script("opcache-reset", "empty OPcache", "OsO", """
        return @opcache_reset() ? 'emptied' : '';
    """, "In dedicated isolation OPcache is the site's own."),
    Script("apcu", "read another site's values in APCu", "OOs", """
        return apcu_fetch('secret') ?: '';
    """, "All pools of one master have one APCu; apt says so when such a site is installed."),
    Script("shared-memory", "read another site's System V shared memory", "OOs", """
        $memory = @shmop_open(0xf00d, 'a', 0, 0);
        return $memory ? shmop_read($memory, 0, shmop_size($memory)) : '';
    """, "The pools of one master are in one IPC name space; what a site shares with mode 0600 stays its own."),
    Script("signals", "end processes of other sites", "sss", """
        return implode(' ', array_filter($masters, fn ($pid) => posix_kill($pid, 0)));
    """),
)  # fmt: skip

SCRIPTS = {script.name: script for script in (*READING, *STARTING, *delegates.CASES, *WRITING, *MEETING)}

<?php
// SPDX-License-Identifier: MIT
// The server's own /usr: mounted, read-only, without set-uid programs that would count.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

$probe = Fpmjail\Probe::begin();
$chroot = ($probe->arguments['isolation'] ?? '') === 'shared'; // without /proc its mounts are for the host to judge
$probe->check('/usr', static function () use ($chroot) {
    if ($chroot && !file_exists('/proc/self')) {
        return (!is_link('/usr') && str_starts_with(__FILE__, '/usr/')) ?: "the server's /usr is not mounted";
    }
    foreach (file('/proc/self/mountinfo') as $line) {
        [, , , , $place, $options] = explode(' ', $line);
        if ($place === '/usr') {
            $missing = array_diff(['ro', 'nosuid'], explode(',', $options));
            return $missing === [] ?: 'it is mounted without ' . implode(', ', $missing);
        }
    }
    return "the server's /usr is not mounted";
});
$probe->answer();

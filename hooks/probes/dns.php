<?php
// SPDX-License-Identifier: MIT
// Name resolution without a network: the files that glibc reads, and a name of the hosts file.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

$probe = Fpmjail\Probe::begin();
$probe->check('address', static fn () => gethostbyname('127.0.0.1') === '127.0.0.1' ?: 'an address was not understood');
$probe->present();
if (($probe->arguments['dns'] ?? 'resolver') !== 'resolver') {
    // Without resolv.conf alone glibc would ask 127.0.0.1.
    $probe->check('files only', static fn () => trim((string) file_get_contents('/etc/nsswitch.conf')) === 'hosts: files'
        && !file_exists('/etc/resolv.conf') ?: 'the jail can ask name servers');
}
foreach ($probe->strings('hosts') as $name) {
    $probe->check($name, static function () use ($name) {
        // Without the hosts file glibc would ask the network, and this check would wait for it.
        $found = is_readable('/etc/hosts') ? gethostbyname($name) : $name;
        return $found === '127.0.0.1' ?: "gethostbyname('$name') returned '$found', expected 127.0.0.1";
    });
}
$probe->answer();

<?php
// SPDX-License-Identifier: MIT
// mail() starts its program, and the relay answers. Nothing is sent: the program is asked for its version, and for
// what the relay says of itself.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

$probe = Fpmjail\Probe::begin();
$probe->check('mail()', static function () {
    $said = mail('nobody@localhost', 'probe', '', '', '--version');
    return $said ?: 'mail() returned false: ' . (string) ini_get('sendmail_path') . ' --version fails';
});
$relay = (string) ($probe->arguments['relay'] ?? '');
if ($relay !== '') {
    $probe->check('relay', static function () use ($relay) {
        exec('/usr/sbin/sendmail --serverinfo --timeout=5 2>&1', $lines, $status);
        return $status === 0 ?: "$relay: " . (implode('; ', $lines) ?: "status $status");
    });
}
$probe->answer();

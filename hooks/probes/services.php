<?php
// SPDX-License-Identifier: MIT
// Names of services and protocols: getservbyname(), getprotobyname().

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

$probe = Fpmjail\Probe::begin();
$probe->present();
if ($probe->has('/etc/services')) {
    $probe->check('getservbyname', static fn () => getservbyname('https', 'tcp') === 443
        ?: "getservbyname('https', 'tcp') does not know 443");
}
if ($probe->has('/etc/protocols')) {
    $probe->check('getprotobyname', static fn () => getprotobyname('tcp') === 6
        ?: "getprotobyname('tcp') does not know 6");
}
$probe->check('by number', static fn () => @getservbyname('fpmjail-none', 'tcp') === false
    ?: 'a service that does not exist was found');
$probe->answer();

<?php
// SPDX-License-Identifier: MIT
// The LDAP library's settings without a server: that it can read them, and the authority that its TLS trusts.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

$probe = Fpmjail\Probe::begin();
$authority = (string) ($probe->arguments['authority'] ?? '');
$probe->check('ldap.conf', static fn () => is_readable('/etc/ldap/ldap.conf')
    ?: '/etc/ldap/ldap.conf is missing in the jail: TLS to an LDAP server trusts nobody');
if ($authority !== '') {
    $probe->check($authority, static fn () => is_readable($authority) ?: "$authority is missing in the jail");
}
if (extension_loaded('ldap')) {
    $probe->check('connection', static fn () => ldap_connect('ldap://127.0.0.1:1') !== false ?: 'ldap_connect() failed');
}
$probe->answer();

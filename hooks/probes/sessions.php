<?php
// SPDX-License-Identifier: MIT
// A session that is written, read again and destroyed, through whatever handler the site uses.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

$probe = Fpmjail\Probe::begin();
ini_set('session.use_cookies', '0');
ini_set('session.use_strict_mode', '0');
ini_set('session.cache_limiter', '');

$probe->check('session', static function () {
    $identifier = 'fpmjail' . bin2hex(random_bytes(16));
    session_id($identifier);
    session_start();
    $_SESSION = ['kept' => $identifier];
    session_write_close();
    session_id($identifier);
    session_start();
    $kept = ($_SESSION['kept'] ?? null) === $identifier;
    return session_destroy() && $kept ?: 'a session did not keep its value';
});
$probe->answer();

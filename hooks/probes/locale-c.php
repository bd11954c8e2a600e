<?php
// SPDX-License-Identifier: MIT
// The locale C.UTF-8, which decides whether escapeshellarg(), basename() and fgetcsv() keep UTF-8 text.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

$probe = Fpmjail\Probe::begin();
$probe->check('C.UTF-8', static fn () => setlocale(LC_ALL, 'C.UTF-8') !== false
    ?: "setlocale(LC_ALL, 'C.UTF-8') returned false");
// PHP itself takes the locale back when the request ends.
$probe->check('character type', static fn () => escapeshellarg('é') === "'é'"
    ?: 'escapeshellarg() lost a UTF-8 character under C.UTF-8');
$probe->answer();

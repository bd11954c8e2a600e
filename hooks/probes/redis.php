<?php
// SPDX-License-Identifier: MIT
// Redis through its socket; that it wants a password is an answer, too.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';
require __DIR__ . '/server.inc.php';

$probe = Fpmjail\Probe::begin();
Fpmjail\reach($probe, "PING\r\n", static fn (string $said): bool => preg_match('/^(\+PONG|-NO)/', $said) === 1);
$probe->answer();

<?php
// SPDX-License-Identifier: MIT
// PostgreSQL through its socket: it is asked for TLS and answers yes or no, before anybody has to log in.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';
require __DIR__ . '/server.inc.php';

$probe = Fpmjail\Probe::begin();
Fpmjail\reach($probe, pack('NN', 8, 80877103), static fn (string $said): bool => in_array($said, ['S', 'N'], true));
$probe->answer();

<?php
// SPDX-License-Identifier: MIT
// dash starts, with all that it can do by itself.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';
require __DIR__ . '/shell.inc.php';

$probe = Fpmjail\Probe::begin();
Fpmjail\expect($probe, 'for factor in 7; do echo $((6 * factor)); done | { read -r answer; echo "$answer"; } 2>&1', '42');
$probe->answer();

<?php
// SPDX-License-Identifier: MIT
// The restricted shell starts, for every way of PHP to ask for it, and all of its programs are there.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';
require __DIR__ . '/shell.inc.php';

$probe = Fpmjail\Probe::begin();
// `true` is the one word that it answers itself: nothing is written to the log of what was refused.
Fpmjail\expect($probe, "'true' 2>&1", '');
$probe->check('programs', static function () {
    $process = proc_open(['/bin/sh', '--programs'], [1 => ['pipe', 'w'], 2 => ['pipe', 'w']], $pipes);
    $listed = preg_split('/\n/', (string) stream_get_contents($pipes[1]), -1, PREG_SPLIT_NO_EMPTY);
    $words = trim((string) stream_get_contents($pipes[2]));
    if (proc_close($process) !== 0) {
        return $words ?: '/bin/sh does not list its programs';
    }
    $missing = array_filter($listed, static fn (string $path) => !is_executable($path));
    return $missing === [] ?: implode(', ', $missing) . ' cannot be run in the jail';
});
$probe->answer();

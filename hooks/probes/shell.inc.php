<?php
// SPDX-License-Identifier: MIT
// What the probes of both shells share: every function of PHP that starts /bin/sh, with a line and what it prints.

declare(strict_types=1);

namespace Fpmjail;

function expect(Probe $probe, string $line, string $printed): void
{
    $judge = static fn (mixed $said, int $status): true|string => $status === 0 && is_string($said)
        && trim($said) === $printed ?: "status $status, printed: " . addcslashes((string) $said, "\0..\37\177..\377");
    $probe->check('exec', static function () use ($line, $judge) {
        exec($line, $lines, $status);
        return $judge(implode("\n", $lines), $status);
    });
    $probe->check('popen', static function () use ($line, $judge) {
        $pipe = popen($line, 'r');
        return $judge(stream_get_contents($pipe), pclose($pipe));
    });
    $probe->check('proc_open', static function () use ($line, $judge) {
        $process = proc_open($line, [1 => ['pipe', 'w']], $pipes);
        return $process === false ? 'did not start' : $judge(stream_get_contents($pipes[1]), proc_close($process));
    });
}

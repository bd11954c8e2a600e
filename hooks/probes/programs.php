<?php
// SPDX-License-Identifier: MIT
// Every declared program: it runs, or, where nothing is known of it, all of its libraries are there.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

const SECONDS = 9.0; // one program
const LONGEST = 200;

/**
 * Runs a program without a shell: what it said on both streams, and its exit status (128 and more: a signal).
 *
 * @param list<string> $command
 * @param array<string, string>|null $environment
 * @return array{string, int}
 */
function run(array $command, string $input, ?array $environment): array
{
    // Files, because a program that waits for its output to be read, or for more input, would wait forever.
    $streams = [tmpfile(), tmpfile()];
    fwrite($streams[0], $input);
    rewind($streams[0]);
    $directory = sys_get_temp_dir();
    $process = proc_open($command, [$streams[0], $streams[1], $streams[1]], $pipes, $directory, $environment);
    if (!is_resource($process)) {
        throw new RuntimeException('proc_open() returned false');
    }
    for ($end = microtime(true) + SECONDS; ($state = proc_get_status($process))['running']; usleep(5000)) {
        if (microtime(true) > $end) {
            proc_terminate($process, 9);
            proc_close($process);
            throw new RuntimeException('it does not end');
        }
    }
    proc_close($process);
    rewind($streams[1]);
    $said = (string) stream_get_contents($streams[1], 1 << 20);
    return [$said, $state['signaled'] ? 128 + $state['termsig'] : $state['exitcode']];
}

/** What a program said, short enough for one line. */
function words(string $said): string
{
    $said = trim(preg_replace('/[^\x20-\x7e]+/', ' ', $said) ?? '');
    return strlen($said) > LONGEST ? substr($said, 0, LONGEST) . '...' : ($said === '' ? '(nothing)' : $said);
}

$probe = Fpmjail\Probe::begin();
foreach ((array) ($probe->arguments['programs'] ?? []) as $program) {
    $path = (string) $program['path'];
    $probe->check($path, static function () use ($path, $program) {
        clearstatcache();
        if (!is_executable($path)) {
            return file_exists($path) ? 'it is not executable' : 'No such file or directory';
        }
        if (isset($program['arguments'])) {
            [$said, $status] = run([$path, ...$program['arguments']], (string) $program['input'], null);
            $expected = (string) $program['output'];
            $good = $status === 0 && ($expected === '' || str_contains($said, $expected));
            return $good ?: "it ended with status $status and said: " . words($said);
        }
        if ($program['linked'] ?? false) {
            // ld.so(8): the program itself is not run.
            [$said, $status] = run([$path], '', ['LD_TRACE_LOADED_OBJECTS' => '1']);
            preg_match_all('/^\s*(\S+) => not found/m', $said, $missing);
            return ($status === 0 && $missing[1] === []) ?: "it does not load: " . words(implode(' ', $missing[1]) ?: $said);
        }
        return true;
    });
}
$probe->answer();

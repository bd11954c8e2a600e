<?php
// SPDX-License-Identifier: MIT
// Dates and time zones. Debian's PHP reads the system's database: without it date() ends the worker with SIGSEGV.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

$probe = Fpmjail\Probe::begin();
$there = is_readable('/usr/share/zoneinfo/UTC');

$probe->check('database', static fn () => $there
    ?: '/usr/share/zoneinfo/UTC is missing: date() would end the worker with SIGSEGV');
if ($there) {
    $probe->check('date()', static fn () => preg_match('/^20\d\d-\d\d-\d\dT/', date('c')) === 1 ?: date('c'));
    $declared = $probe->strings('timezones');
    if ($declared === [] || in_array('Europe/Paris', $declared, true)) {
        $probe->check('summer time', static function () {
            $paris = new DateTimeImmutable('2026-07-01 12:00', new DateTimeZone('Europe/Paris'));
            return $paris->format('P') === '+02:00' ?: 'Europe/Paris in July is ' . $paris->format('P');
        });
    }
    foreach ($declared as $name) {
        $probe->check($name, static fn () => (new DateTimeZone($name))->getName() === $name ?: "is not $name");
    }
    // A shared master has its list of zones from outside of every chroot.
    $shared = ($probe->arguments['isolation'] ?? '') === 'shared' && $declared !== [];
    $probe->check('every zone', static function () use ($shared, $declared) {
        $wrong = [];
        foreach ($shared ? $declared : DateTimeZone::listIdentifiers() as $name) {
            try {
                new DateTimeZone($name);
            } catch (Throwable $fault) {
                $wrong[] = $fault->getMessage();
            }
        }
        return $wrong === [] ?: count($wrong) . " zones cannot be used, first: $wrong[0]";
    });
}
$probe->answer();

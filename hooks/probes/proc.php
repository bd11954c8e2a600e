<?php
// SPDX-License-Identifier: MIT
// /proc shows as much as the description says, and no more.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

$probe = Fpmjail\Probe::begin();
$mode = (string) ($probe->arguments['proc'] ?? 'none');
$chroot = ($probe->arguments['isolation'] ?? '') === 'shared'; // without /proc it has none at all

$probe->check('own process', static fn () => is_dir('/proc/self') !== ($chroot && $mode === 'none')
    ?: ($chroot && $mode === 'none' ? '/proc is there' : '/proc is missing'));
$probe->check('load', static fn () => is_readable('/proc/loadavg') === ($mode !== 'none')
    ?: ($mode === 'none' ? 'the state of the server can be read in /proc' : '/proc/loadavg is missing'));
$probe->check('other processes', static fn () => is_dir('/proc/1') === ($mode === 'host')
    ?: ($mode === 'host' ? "other users' processes are hidden" : "other users' processes can be seen"));
$probe->answer();

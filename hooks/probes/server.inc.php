<?php
// SPDX-License-Identifier: MIT
// What the probes of database servers share: they connect to the sockets that the server itself shows, and listen.

declare(strict_types=1);

namespace Fpmjail;

const PATIENCE = 3;

/** Says something on a socket and judges the answer. */
function talk(string $path, string $question, callable $understood): true|string
{
    $stream = stream_socket_client("unix://$path", $number, $words, PATIENCE);
    if ($stream === false) {
        return "$path: $words";
    }
    stream_set_timeout($stream, PATIENCE);
    if ($question !== '') {
        fwrite($stream, $question);
    }
    $said = (string) fread($stream, 512);
    fclose($stream);
    return $understood($said) ?: "$path: something else answered: " . addcslashes(substr($said, 0, 40), "\0..\37\177..\377");
}

/** One check for each of the server's sockets. */
function reach(Probe $probe, string $question, callable $understood): void
{
    $probe->check('server', static fn () => $probe->strings('sockets') !== [] ?: 'the server has no socket');
    foreach ($probe->strings('sockets') as $path) {
        $probe->check($path, static fn () => talk($path, $question, $understood));
    }
}

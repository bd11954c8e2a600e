<?php
// SPDX-License-Identifier: MIT
// What every probe shares. A probe runs inside the jail, asked over FastCGI by root with a nonce; without one
// it is a page that does not exist. Its answer: {"nonce": ..., "checks": {name: true | "what went wrong"}}.

declare(strict_types=1);

namespace Fpmjail;

final class Probe
{
    /** @var array<string, true|string> */
    private array $checks = [];

    /** @param array<string, mixed> $arguments */
    private function __construct(private string $nonce, public readonly array $arguments)
    {
    }

    /** Ends the request as "not found" when nobody with a nonce asks. */
    public static function begin(): self
    {
        $nonce = $_SERVER['FPMJAIL_NONCE'] ?? '';
        if (!is_string($nonce) || strlen($nonce) < 32 || strspn($nonce, '0123456789abcdef') !== strlen($nonce)) {
            http_response_code(404);
            exit("File not found.\n");
        }
        $arguments = json_decode((string) ($_SERVER['FPMJAIL_ARGUMENTS'] ?? '{}'), true);
        ini_set('display_errors', '0');
        ini_set('html_errors', '0');
        error_reporting(E_ALL & ~E_DEPRECATED);
        set_error_handler(static function (int $level, string $message): bool {
            return (error_reporting() & $level) === 0 ? false : throw new \RuntimeException($message);
        });
        if (session_status() === PHP_SESSION_ACTIVE) {
            session_destroy(); // session.auto_start made one that nobody will come back to
        }
        return new self($nonce, is_array($arguments) ? $arguments : []);
    }

    /** Runs one check: it returns true or what is wrong; warnings and exceptions are what is wrong, too. */
    public function check(string $name, callable $body): void
    {
        try {
            $outcome = $body();
            $this->checks[$name] = $outcome === true ? true : (string) $outcome;
        } catch (\Throwable $fault) {
            $this->checks[$name] = self::switchedOff($fault) ?: $fault->getMessage();
        }
    }

    /** A function that the administrator disabled on purpose is not a fault of the jail. */
    private static function switchedOff(\Throwable $fault): bool
    {
        $disabled = array_map('trim', explode(',', (string) ini_get('disable_functions')));
        $found = preg_match('/^Call to undefined function (?:Fpmjail\\\\)?(\w+)\(\)$/', $fault->getMessage(), $match);
        return $found === 1 && in_array(strtolower($match[1]), array_map('strtolower', $disabled), true);
    }

    /** @return list<string> one argument that is a list of strings */
    public function strings(string $name): array
    {
        return array_values(array_filter((array) ($this->arguments[$name] ?? []), 'is_string'));
    }

    /** Checks the files that the host has, and that the jail therefore has to have. */
    public function present(): void
    {
        foreach ($this->strings('present') as $path) {
            $this->check($path, static fn () => is_readable($path) ?: "$path is missing in the jail");
        }
    }

    public function has(string $path): bool
    {
        return in_array($path, $this->strings('present'), true);
    }

    public function answer(): never
    {
        header('Content-Type: application/json');
        echo json_encode(
            ['nonce' => $this->nonce, 'checks' => (object) $this->checks],
            JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR
        );
        exit;
    }
}

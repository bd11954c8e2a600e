<?php
// SPDX-License-Identifier: MIT
// TLS without a network: OpenSSL's configuration, and whether curl and streams find the certificate authorities.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

const BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
const CURLE_SSL_CACERT_BADFILE = 77;

/** A certificate of the bundle that is valid today. */
function authority(): OpenSSLCertificate
{
    preg_match_all('/-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/s', (string) file_get_contents(BUNDLE), $all);
    foreach ($all[0] as $text) {
        $certificate = openssl_x509_read($text);
        $valid = $certificate === false ? 0 : (openssl_x509_parse($certificate)['validTo_time_t'] ?? 0);
        if ($valid > time()) {
            return $certificate;
        }
    }
    throw new RuntimeException(BUNDLE . ' holds no valid certificate');
}

/**
 * curl reads its bundle when it begins to speak TLS, so somebody has to listen: this script, on an abstract
 * socket that no other process knows. The first byte of a ClientHello (22) shows that curl was content.
 */
function curlSpeaksTls(): true|string
{
    $name = "\0fpmjail-probe-" . bin2hex(random_bytes(16));
    $listener = stream_socket_server("unix://$name");
    $handle = curl_init('https://localhost/');
    curl_setopt_array($handle, [
        CURLOPT_ABSTRACT_UNIX_SOCKET => substr($name, 1),
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 2,
        CURLOPT_PROXY => '',
    ]);
    $connection = null;
    $transfers = curl_multi_init();
    curl_multi_add_handle($transfers, $handle);
    $greeting = '';
    for ($patience = 0; $patience < 2000 && $greeting === ''; $patience++) {
        curl_multi_exec($transfers, $running);
        $connection ??= @stream_socket_accept($listener, 0) ?: null;
        if ($connection !== null) {
            stream_set_blocking($connection, false);
            $greeting = (string) fread($connection, 1);
        }
        if (!$running) {
            break;
        }
        usleep(500);
    }
    $finished = curl_multi_info_read($transfers);
    if ($greeting === "\x16") {
        return true;
    }
    $code = is_array($finished) ? $finished['result'] : 0;
    return $code === 0 ? 'curl did not begin to speak TLS' : "curl error $code: " . (curl_error($handle) ?: curl_strerror($code));
}

$probe = Fpmjail\Probe::begin();
$probe->check('bundle', static fn () => is_readable(BUNDLE) ?: BUNDLE . ' is missing in the jail');
$probe->check('streams', static fn () => openssl_x509_checkpurpose(authority(), X509_PURPOSE_ANY) === true
    ?: 'OpenSSL does not find the certificate authorities at ' . openssl_get_cert_locations()['default_cert_file']);
if (extension_loaded('curl')) {
    $probe->check('curl', 'curlSpeaksTls');
}
$probe->check('openssl.cnf', static function () {
    while (openssl_error_string() !== false) {
        continue; // what came before would be taken for the cause
    }
    $key = openssl_pkey_new(['private_key_type' => OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1']);
    return $key !== false && openssl_pkey_export($key, $text) ?: 'openssl_pkey_new(): ' . openssl_error_string();
});
$probe->answer();

<?php
// SPDX-License-Identifier: MIT
// A file uploaded as a browser does it, in the field "probe"; PHP deletes it when the request ends.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

const FAULTS = [
    UPLOAD_ERR_INI_SIZE => 'larger than upload_max_filesize',
    UPLOAD_ERR_PARTIAL => 'only partly received',
    UPLOAD_ERR_NO_FILE => 'no file was received',
    UPLOAD_ERR_NO_TMP_DIR => 'there is no temporary directory for uploads (error 6)',
    UPLOAD_ERR_CANT_WRITE => 'the temporary directory for uploads is not writable (error 7)',
];

$probe = Fpmjail\Probe::begin();
$probe->check('upload', static function () use ($probe) {
    if (!(bool) ini_get('file_uploads')) {
        return true;
    }
    $file = $_FILES['probe'] ?? ['error' => UPLOAD_ERR_NO_FILE, 'tmp_name' => ''];
    if ($file['error'] !== UPLOAD_ERR_OK) {
        return FAULTS[$file['error']] ?? "upload error {$file['error']}";
    }
    $expected = (string) ($probe->arguments['sha256'] ?? '');
    return is_uploaded_file($file['tmp_name']) && hash_file('sha256', $file['tmp_name']) === $expected
        ?: 'the file came out differently';
});
$probe->answer();

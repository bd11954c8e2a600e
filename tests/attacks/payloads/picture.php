<?php
// Reads a picture by a name that ImageMagick understands in its own way, and tells it apart from others. A process of its
// own: Debian's 6.9.11 aborts on `text:` and on `msl:`, and what delegates there are is read once in the life of one.
$signature = function (string $name): string {
    $image = new Imagick();
    $image->setFont('/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf');
    try {
        $image->readImage($name);
        return $image->getImageSignature();
    } catch (ImagickException) {
        return '';
    }
};
foreach (array_slice($argv, 1) as $name) {
    $said = $signature($name);
}
echo $said;

// SPDX-License-Identifier: GPL-2.0-or-later
// A library that shows that it was loaded: it makes the file that the variable PROOF names.
#include <fcntl.h>
#include <stdlib.h>

__attribute__((constructor)) static void loaded(void)
{
	const char *proof = getenv("PROOF");

	if (proof)
		open(proof, O_CREAT | O_WRONLY, 0644);
}

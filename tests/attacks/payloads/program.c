// SPDX-License-Identifier: GPL-2.0-or-later
// A program that shows that it was started.
#include <unistd.h>

int main(void)
{
	return write(1, "the program ran\n", 16) == 16 ? 0 : 1;
}

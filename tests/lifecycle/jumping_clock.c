// SPDX-License-Identifier: GPL-2.0-or-later
// A library to preload: the clock of the day is as many seconds off as /run/offset says at that moment, if it is there.
// The monotonic clocks, timers and the kernel's stamps stay true, as when somebody sets the clock.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long offset(void)
{
	char text[32] = "";
	int file = open("/run/offset", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return 0;
	ssize_t length = read(file, text, sizeof text - 1);
	close(file);
	return length > 0 ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int status = (int)syscall(SYS_clock_gettime, clock, now);
	if (status == 0 && clock == CLOCK_REALTIME)
		now->tv_sec += offset();
	return status;
}

/* Clocks. Leases use the boot clock (it goes on while the machine sleeps); waits use the monotonic one; people see the wall. Thread: any. */
#pragma once
#include <stdint.h>

int64_t clock_boot_ms(void);
int64_t clock_mono_ms(void);
int64_t clock_wall_ms(void);                 /* since 1970, UTC */
void clock_rfc3339(int64_t wall_ms, char out[32]); /* "2026-01-31T10:20:30.123Z" */
void clock_sleep_ms(int64_t ms);

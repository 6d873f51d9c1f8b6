#pragma once
// Linux facilities Swift cannot see: futex waits, the spin-loop hint, thread names and affinity.
#include <stdint.h>
#include <stddef.h>
/// Sleeps while *word == expected, at most timeout_ns (negative: no limit). Returns 0 when woken, else errno.
int vigil_futex_wait(const void *word, uint32_t expected, int64_t timeout_ns);
/// Wakes every thread sleeping on word. Returns how many were woken.
int vigil_futex_wake_all(const void *word);
/// Tells the processor that this is a spin-wait.
void vigil_spin_hint(void);
/// Names the calling thread (15 characters at most).
void vigil_thread_name(const char *name);
/// Nanoseconds of CLOCK_MONOTONIC, for bounding a wait.
uint64_t vigil_monotonic_nanoseconds(void);

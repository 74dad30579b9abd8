#pragma once
#include <stdint.h>

/// Bytes that the process has asked malloc and its relatives for, since it began; 0 where the C
/// library is not glibc, and under sanitizers.
uint64_t allocated_bytes(void);

#pragma once
#include <stddef.h>
#include <stdint.h>

/// libFuzzer as a function: it takes what is its own from the arguments, calls `callback` with one input
/// after the other, and ends the process when one of them ends it.
int LLVMFuzzerRunDriver(
    int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));

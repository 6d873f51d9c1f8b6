#pragma once
// A C door to simdjson.
#include <stddef.h>
#include <stdint.h>

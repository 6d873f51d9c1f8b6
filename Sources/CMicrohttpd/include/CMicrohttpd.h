#pragma once
// Typed doors to libmicrohttpd's variadic start, which Swift cannot import.
#include <microhttpd.h>

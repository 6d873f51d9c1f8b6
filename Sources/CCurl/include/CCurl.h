#pragma once
// Typed doors to libcurl's variadic calls, which Swift cannot import.
#include <curl/curl.h>

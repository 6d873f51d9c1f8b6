#pragma once
// Typed doors to libcurl's variadic calls, which Swift cannot import.
#include <curl/curl.h>
#include <stddef.h>
#include <stdint.h>

/// curl_easy_setopt for options that take a long.
CURLcode vigil_curl_set_long(CURL *easy, CURLoption option, long value);
/// curl_easy_setopt for options that take a string; libcurl keeps its own copy. NULL resets the option.
CURLcode vigil_curl_set_string(CURL *easy, CURLoption option, const char *value);
/// curl_easy_setopt for options that take a curl_off_t.
CURLcode vigil_curl_set_offset(CURL *easy, CURLoption option, int64_t value);
/// curl_easy_setopt for options that take a plain pointer, which must outlive the transfer.
CURLcode vigil_curl_set_pointer(CURL *easy, CURLoption option, void *value);
/// Sets the request headers; the list must outlive the transfer.
CURLcode vigil_curl_set_headers(CURL *easy, struct curl_slist *headers);
/// Sets the request body; libcurl keeps its own copy.
CURLcode vigil_curl_set_body(CURL *easy, const void *bytes, size_t count);
/// Sets the function that receives the response body and its context.
CURLcode vigil_curl_set_write(CURL *easy, size_t (*write)(char *, size_t, size_t, void *), void *context);
/// Sets the function that opens every socket of the transfer and its context.
CURLcode vigil_curl_set_opensocket(
    CURL *easy, curl_socket_t (*open)(void *, curlsocktype, struct curl_sockaddr *), void *context);
/// Sets the function that sees every connection's far end before a request goes out on it, new or kept, and its context.
CURLcode vigil_curl_set_prereq(CURL *easy, int (*check)(void *, char *, char *, int, int), void *context);
/// curl_easy_getinfo for facts of type long; 0 when unknown.
long vigil_curl_get_long(CURL *easy, CURLINFO info);
/// curl_easy_getinfo for facts of type curl_off_t; 0 when unknown.
int64_t vigil_curl_get_offset(CURL *easy, CURLINFO info);
/// curl_multi_setopt for options that take a long.
CURLMcode vigil_curl_multi_set_long(CURLM *multi, CURLMoption option, long value);
/// Takes one finished transfer off the multi handle's list: its handle (NULL when there is none) and its result.
CURL *vigil_curl_multi_next_done(CURLM *multi, CURLcode *result);

#include "CCurl.h"

CURLcode vigil_curl_set_long(CURL *easy, CURLoption option, long value) {
  return curl_easy_setopt(easy, option, value);
}

CURLcode vigil_curl_set_string(CURL *easy, CURLoption option, const char *value) {
  return curl_easy_setopt(easy, option, value);
}

CURLcode vigil_curl_set_offset(CURL *easy, CURLoption option, int64_t value) {
  return curl_easy_setopt(easy, option, (curl_off_t)value);
}

CURLcode vigil_curl_set_pointer(CURL *easy, CURLoption option, void *value) {
  return curl_easy_setopt(easy, option, value);
}

CURLcode vigil_curl_set_headers(CURL *easy, struct curl_slist *headers) {
  return curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
}

CURLcode vigil_curl_set_body(CURL *easy, const void *bytes, size_t count) {
  CURLcode rc = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
  // The size comes first: COPYPOSTFIELDS reads it to know how much to copy.
  return rc == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, bytes) : rc;
}

CURLcode vigil_curl_set_write(CURL *easy, size_t (*write)(char *, size_t, size_t, void *), void *context) {
  CURLcode rc = curl_easy_setopt(easy, CURLOPT_WRITEDATA, context);
  return rc == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, write) : rc;
}

CURLcode vigil_curl_set_opensocket(
    CURL *easy, curl_socket_t (*open)(void *, curlsocktype, struct curl_sockaddr *), void *context) {
  CURLcode rc = curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, context);
  return rc == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open) : rc;
}

CURLcode vigil_curl_set_prereq(CURL *easy, int (*check)(void *, char *, char *, int, int), void *context) {
  CURLcode rc = curl_easy_setopt(easy, CURLOPT_PREREQDATA, context);
  return rc == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, check) : rc;
}

long vigil_curl_get_long(CURL *easy, CURLINFO info) {
  long value = 0;
  return curl_easy_getinfo(easy, info, &value) == CURLE_OK ? value : 0;
}

int64_t vigil_curl_get_offset(CURL *easy, CURLINFO info) {
  curl_off_t value = 0;
  return curl_easy_getinfo(easy, info, &value) == CURLE_OK ? (int64_t)value : 0;
}

CURLMcode vigil_curl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return curl_multi_setopt(multi, option, value);
}

CURL *vigil_curl_multi_next_done(CURLM *multi, CURLcode *result) {
  int left = 0;
  CURLMsg *message;
  while ((message = curl_multi_info_read(multi, &left)) != NULL) {
    if (message->msg == CURLMSG_DONE) {
      *result = message->data.result;
      return message->easy_handle;
    }
  }
  return NULL;
}

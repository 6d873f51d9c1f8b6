#pragma once
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <sys/eventfd.h>
// Why a TLS handshake failed in detail (expired, unknown authority, ...): libmosquitto hands out its SSL object but not
// the verdict on the certificate. Declared here rather than included: these two calls are all that is needed.
long SSL_get_verify_result(const void *ssl);
const char *X509_verify_cert_error_string(long code);
// Hidden behind _GNU_SOURCE in <pthread.h>.
int pthread_setname_np(unsigned long thread, const char *name);

// The floor under Vigil's throughput: a subscriber that counts QoS 1 messages and does nothing else with them.
//
//   counter PORT FILTER IDLE_SECONDS    ends IDLE_SECONDS after the last message; prints {"received","per_s","cpu_us"}
#include <mosquitto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static const char *filter;
static long received;
static double first_at, last_at;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void connected(struct mosquitto *client, void *context, int code) {
  (void)context;
  if (code == 0) mosquitto_subscribe(client, NULL, filter, 1);
}

static void arrived(struct mosquitto *client, void *context, const struct mosquitto_message *message) {
  (void)client, (void)context, (void)message;
  last_at = now();
  if (received++ == 0) first_at = last_at;
}

int main(int count, char **arguments) {
  if (count != 4) return 2;
  filter = arguments[2];
  const double idle = atof(arguments[3]);
  mosquitto_lib_init();
  struct mosquitto *client = mosquitto_new(NULL, true, NULL);
  if (client == NULL) return 1;
  mosquitto_connect_callback_set(client, connected);
  mosquitto_message_callback_set(client, arrived);
  mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
  if (mosquitto_connect(client, "127.0.0.1", atoi(arguments[1]), 60) != MOSQ_ERR_SUCCESS) return 1;
  const double started = now();
  while (mosquitto_loop(client, 100, 1) == MOSQ_ERR_SUCCESS) {
    if (received > 0 ? now() - last_at > idle : now() - started > 15) break;
  }
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  printf("{\"received\":%ld,\"per_s\":%.0f,\"cpu_us\":%.2f}\n", received,
         received > 1 ? (double)received / (last_at - first_at) : 0, received > 0 ? cpu * 1e6 / (double)received : 0);
  return 0;
}

#include "CMicrohttpd.h"
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static size_t leave_encoded(void *context, struct MHD_Connection *connection, char *text) {
  (void)context;
  (void)connection;
  return strlen(text);
}

struct MHD_Daemon *vigil_http_start(
    int listen_socket, unsigned int pool_threads, unsigned int connections_max, unsigned int idle_seconds,
    MHD_AccessHandlerCallback handler, MHD_RequestCompletedCallback completed, void *context) {
  unsigned int flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC;
  flags |= pool_threads == 0 ? MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL : MHD_USE_EPOLL;
  // A pool of one is the plain single polling thread.
  unsigned int pool = pool_threads > 1 ? pool_threads : 0;
  return MHD_start_daemon(
      flags, 0, NULL, NULL, handler, context,                          //
      MHD_OPTION_LISTEN_SOCKET, (MHD_socket)listen_socket,             //
      MHD_OPTION_NOTIFY_COMPLETED, completed, context,                 //
      MHD_OPTION_UNESCAPE_CALLBACK, &leave_encoded, NULL,              //
      MHD_OPTION_CONNECTION_LIMIT, connections_max,                    //
      MHD_OPTION_CONNECTION_TIMEOUT, idle_seconds,                     //
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(32 * 1024),         //
      MHD_OPTION_STRICT_FOR_CLIENT, 1,                                 //
      MHD_OPTION_THREAD_POOL_SIZE, pool,                               //
      MHD_OPTION_END);
}

int vigil_http_peer(struct MHD_Connection *connection, char *text, size_t capacity) {
  if (capacity == 0) return -1;
  text[0] = '\0';
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (info == NULL || info->client_addr == NULL) return -1;
  socklen_t length =
      info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  return getnameinfo(info->client_addr, length, text, (socklen_t)capacity, NULL, 0, NI_NUMERICHOST) == 0 ? 0 : -1;
}

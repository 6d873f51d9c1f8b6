#pragma once
// Typed doors to libmicrohttpd's variadic calls, which Swift cannot import.
#include <microhttpd.h>
#include <stddef.h>

/// Starts a server on a listening socket, which it then owns. Paths and arguments are handed over as they came, still
/// percent-encoded. `pool_threads` serve all connections; 0 gives every connection its own thread.
/// Returns NULL when it cannot start; whether the socket is then closed depends on how far it came, so leave it alone.
struct MHD_Daemon *vigil_http_start(
    int listen_socket, unsigned int pool_threads, unsigned int connections_max, unsigned int idle_seconds,
    MHD_AccessHandlerCallback handler, MHD_RequestCompletedCallback completed, void *context);

/// Writes the peer's numeric address into `text` (always terminated). Returns 0, or -1 when it is not known.
int vigil_http_peer(struct MHD_Connection *connection, char *text, size_t capacity);

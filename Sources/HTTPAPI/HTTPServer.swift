import CMicrohttpd
import Synchronization

/// Why a server did not start.
package enum HTTPServerError: Error, Equatable {
  /// The address could not be bound: the error number.
  case cannotListen(BindAddress, Int32)
  /// The library refused to start on a bound socket.
  case cannotServe(BindAddress)
}

/// A small HTTP/1.1 server on threads of its own: requests in, handlers' answers out, every size bounded.
///
/// Never here: TLS (a proxy stands in front beyond loopback), authorisation and what a path means; handlers decide.
package final class HTTPServer: Sendable {
  /// Limits and where to listen.
  package struct Settings: Sendable {
    package var bind: BindAddress
    /// Larger bodies are answered 413.
    package var bodyBytesMax: Int
    package var connectionsMax: Int
    /// A connection that says nothing for this long is closed.
    package var idleSeconds: Int
    /// Threads that serve all connections, at least 1; nil gives every connection its own, for handlers that wait.
    package var threads: Int?

    package init(
      bind: BindAddress = .loopback, bodyBytesMax: Int = 1 << 20, connectionsMax: Int = 256, idleSeconds: Int = 30,
      threads: Int? = 2
    ) {
      self.bind = bind
      self.bodyBytesMax = bodyBytesMax
      self.connectionsMax = connectionsMax
      self.idleSeconds = idleSeconds
      self.threads = threads
    }
  }

  /// Where it listens, with the actual port.
  package let address: BindAddress
  private let site: HTTPSite
  /// The daemon as a number, so that the lock's content is Sendable; 0 once stopped.
  private let daemon: Mutex<UInt>

  /// Binds and starts answering.
  package init(_ settings: Settings, router: HTTPRouter) throws(HTTPServerError) {
    let (socket, port) = try settings.bind.listen()
    site = HTTPSite(router: router, bodyBytesMax: settings.bodyBytesMax)
    let threads = settings.threads.map { UInt32(max(1, $0)) } ?? 0
    let context = Unmanaged.passUnretained(site).toOpaque()
    let started = vigil_http_start(
      socket, threads, UInt32(max(1, settings.connectionsMax)), UInt32(max(1, settings.idleSeconds)), answer,
      forget, context)
    guard let started else { throw .cannotServe(settings.bind) }
    address = settings.bind.with(port: port)
    daemon = Mutex(UInt(bitPattern: started))
  }

  deinit { stop() }

  /// Closes the port and all connections, and waits for handlers under way; not to be called from one. Safe to call
  /// twice.
  package func stop() {
    let running = daemon.withLock { number in
      defer { number = 0 }
      return number
    }
    if let running = OpaquePointer(bitPattern: running) { MHD_stop_daemon(running) }
  }
}

/// What every connection of one server shares. Outlives the daemon: the server holds it until after `stop`.
final class HTTPSite: Sendable {
  let router: HTTPRouter
  let bodyBytesMax: Int

  init(router: HTTPRouter, bodyBytesMax: Int) {
    self.router = router
    self.bodyBytesMax = bodyBytesMax
  }
}

/// libmicrohttpd's access handler: called once when the headers are in, once for each piece of the body, and once at
/// the end.
private func answer(
  _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?, _ url: UnsafePointer<CChar>?,
  _ method: UnsafePointer<CChar>?, _ version: UnsafePointer<CChar>?, _ upload: UnsafePointer<CChar>?,
  _ uploadSize: UnsafeMutablePointer<Int>?, _ slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
  guard let context, let connection, let url, let method, let uploadSize, let slot else { return .NO }
  guard let known = slot.pointee else {
    let site = Unmanaged<HTTPSite>.fromOpaque(context).takeUnretainedValue()
    let exchange = HTTPExchange(
      site: site, connection: connection, method: String(cString: method), rawPath: String(cString: url))
    slot.pointee = Unmanaged.passRetained(exchange).toOpaque()
    // Refused before the body is read: the library then closes the connection.
    guard let refusal = exchange.refusal else { return .YES }
    return send(refusal, on: connection)
  }
  let exchange = Unmanaged<HTTPExchange>.fromOpaque(known).takeUnretainedValue()
  if uploadSize.pointee > 0 {
    exchange.take(UnsafeRawBufferPointer(start: upload, count: uploadSize.pointee))
    uploadSize.pointee = 0
    return .YES
  }
  return send(exchange.respond(), on: connection)
}

/// libmicrohttpd's completion callback: the request is over, however it ended.
private func forget(
  _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?,
  _ slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ reason: MHD_RequestTerminationCode
) {
  guard let slot, let known = slot.pointee else { return }
  slot.pointee = nil
  Unmanaged<HTTPExchange>.fromOpaque(known).release()
}

private func send(_ answer: HTTPResponse, on connection: OpaquePointer) -> MHD_Result {
  let response = answer.body.withUnsafeBytes { body in
    // The library copies, and does not write through the pointer.
    MHD_create_response_from_buffer(
      body.count, UnsafeMutableRawPointer(mutating: body.baseAddress), .RESPMEM_MUST_COPY)
  }
  guard let response else { return .NO }
  defer { MHD_destroy_response(response) }
  for header in answer.headers { MHD_add_response_header(response, header.name, header.value) }
  MHD_add_response_header(response, "X-Content-Type-Options", "nosniff")
  if !answer.headers.contains(where: { $0.name.lowercased() == "cache-control" }) {
    MHD_add_response_header(response, "Cache-Control", "no-store")
  }
  return MHD_queue_response(connection, UInt32(clamping: answer.status), response)
}

/// The three pages a supervisor and a metrics collector read.
package enum HealthPages {
  /// Adds `/healthz`, `/readyz` and `/metrics`.
  ///
  /// - Parameters:
  ///   - unreadyReasons: why work cannot be done now; empty means ready. No patient data.
  ///   - metrics: the Prometheus text exposition, format 0.0.4.
  package static func add(
    to router: inout HTTPRouter, unreadyReasons: @escaping @Sendable () -> [String],
    metrics: @escaping @Sendable () -> [UInt8]
  ) {
    // Alive means that this thread answers; anything more belongs to readiness, or a restart loop follows.
    router.add("GET", "/healthz") { _ in .text("ok\n") }
    router.add("GET", "/readyz") { _ in
      let reasons = unreadyReasons()
      guard !reasons.isEmpty else { return .json(Array("{\"ready\":true,\"reasons\":[]}".utf8)) }
      let list = reasons.map(HTTPResponse.quoted).joined(separator: ",")
      return .json(Array("{\"ready\":false,\"reasons\":[\(list)]}".utf8), status: 503)
    }
    router.add("GET", "/metrics") { _ in
      HTTPResponse(
        status: 200, headers: [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")], body: metrics())
    }
  }
}

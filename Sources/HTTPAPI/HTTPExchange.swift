import CMicrohttpd

/// One request while it arrives. Used by one server thread at a time.
final class HTTPExchange {
  private let site: HTTPSite
  private let method: String
  private var segments: [String] = []
  private var headers: [(name: String, value: String)] = []
  private var query: [(name: String, value: String)] = []
  private var peer = ""
  private var handler: HTTPRouter.Handler?
  private var parameters: [String: String] = [:]
  private var body: [UInt8] = []
  private var isTooLarge = false
  /// The answer when nothing of the body needs reading.
  private(set) var refusal: HTTPResponse?

  init(site: HTTPSite, connection: OpaquePointer, method: String, rawPath: String) {
    self.site = site
    self.method = method == "HEAD" ? "GET" : method
    headers = Self.values(connection, .HEADER_KIND).map { ($0.name.lowercased(), $0.value) }
    peer = Self.peer(connection)
    refusal = check(rawPath: rawPath, arguments: Self.values(connection, .GET_ARGUMENT_KIND))
  }

  func take(_ bytes: UnsafeRawBufferPointer) {
    guard !isTooLarge, body.count + bytes.count <= site.bodyBytesMax else {
      isTooLarge = true
      body = []
      return
    }
    body.append(contentsOf: bytes)
  }

  func respond() -> HTTPResponse {
    guard !isTooLarge else { return tooLarge }
    guard let handler else { return .problem(404, "not found") }
    return handler(
      HTTPRequest(
        method: method, path: "/" + segments.joined(separator: "/"), query: query, headers: headers, body: body,
        parameters: parameters, peer: peer))
  }

  // MARK: checks before the body

  private func check(rawPath: String, arguments: [(name: String, value: String)]) -> HTTPResponse? {
    if let problem = framingProblem() { return problem }
    guard let segments = HTTPRouter.segments(rawPath: rawPath) else {
      return .problem(400, "bad path", detail: "the path holds a broken or forbidden escape")
    }
    self.segments = segments
    for argument in arguments {
      guard let name = PercentEncoding.decode(argument.name, plusIsSpace: true),
        let value = PercentEncoding.decode(argument.value, plusIsSpace: true)
      else { return .problem(400, "bad query", detail: "the query holds a broken or forbidden escape") }
      query.append((name, value))
    }
    switch site.router.find(method, segments) {
    case .found(let handler, let parameters):
      self.handler = handler
      self.parameters = parameters
      return nil
    case .noSuchPath: return .problem(404, "not found")
    case .otherMethods(let allowed):
      var answer = HTTPResponse.problem(405, "method not allowed")
      answer.headers.append(("Allow", allowed.joined(separator: ", ")))
      return answer
    }
  }

  /// Two readings of where a request ends let one be smuggled inside another (RFC 9112, section 11.2): refused.
  private func framingProblem() -> HTTPResponse? {
    for name in ["content-length", "host", "transfer-encoding"] where headers.count(where: { $0.name == name }) > 1 {
      return .problem(400, "duplicate header", detail: "\(name) is given more than once")
    }
    let length = headers.first { $0.name == "content-length" }?.value
    let isChunked = headers.contains { $0.name == "transfer-encoding" }
    guard let length else { return nil }
    guard !isChunked else {
      return .problem(400, "ambiguous length", detail: "both content-length and transfer-encoding are given")
    }
    guard !length.isEmpty, length.utf8.allSatisfy({ (48...57).contains($0) }) else {
      return .problem(400, "bad content-length")
    }
    // Digits that do not fit are too many bytes, whatever they say.
    guard let count = Int(length), count <= site.bodyBytesMax else { return tooLarge }
    return nil
  }

  private var tooLarge: HTTPResponse {
    .problem(413, "body too large", detail: "at most \(site.bodyBytesMax) bytes are read")
  }

  // MARK: reading the connection

  private static func values(_ connection: OpaquePointer, _ kind: MHD_ValueKind) -> [(name: String, value: String)] {
    let collected = HTTPPairs()
    MHD_get_connection_values(connection, kind, collectPair, Unmanaged.passUnretained(collected).toOpaque())
    return withExtendedLifetime(collected) { collected.pairs }
  }

  private static func peer(_ connection: OpaquePointer) -> String {
    var text = [CChar](repeating: 0, count: 64)
    guard vigil_http_peer(connection, &text, text.count) == 0 else { return "" }
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

/// Names and values in the order they came.
private final class HTTPPairs {
  var pairs: [(name: String, value: String)] = []
}

private func collectPair(
  _ context: UnsafeMutableRawPointer?, _ kind: MHD_ValueKind, _ name: UnsafePointer<CChar>?,
  _ value: UnsafePointer<CChar>?
) -> MHD_Result {
  guard let context, let name else { return .YES }
  let collected = Unmanaged<HTTPPairs>.fromOpaque(context).takeUnretainedValue()
  collected.pairs.append((String(cString: name), value.map { String(cString: $0) } ?? ""))
  return .YES
}

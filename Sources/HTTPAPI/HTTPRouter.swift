/// Finds the handler of a method and path: pure, decided before a body is read.
package struct HTTPRouter: Sendable {
  /// Answers one request; called on a server thread, several at once, and must return soon.
  package typealias Handler = @Sendable (HTTPRequest) -> HTTPResponse

  enum Segment: Equatable, Sendable {
    case literal(String)
    case parameter(String)
    /// Last only: all that follows, also nothing.
    case rest
  }

  private struct Entry: Sendable {
    let method: String
    let segments: [Segment]
    let handler: Handler
  }

  enum Finding {
    case found(Handler, parameters: [String: String])
    case noSuchPath
    /// The path exists for these methods.
    case otherMethods([String])
  }

  private var entries: [Entry] = []

  package init() {}

  /// Adds a route. The first that matches, in order of adding, answers.
  ///
  /// - Parameters:
  ///   - method: upper case; `GET` also answers `HEAD`.
  ///   - pattern: such as `/v1/alerts/{id}`; a last segment `**` matches any rest.
  package mutating func add(_ method: String, _ pattern: String, _ handler: @escaping Handler) {
    let segments = Self.split(pattern).map { part -> Segment in
      if part == "**" { return .rest }
      if part.hasPrefix("{"), part.hasSuffix("}") { return .parameter(String(part.dropFirst().dropLast())) }
      return .literal(part)
    }
    entries.append(Entry(method: method, segments: segments, handler: handler))
  }

  /// - Parameter segments: decoded.
  func find(_ method: String, _ segments: [String]) -> Finding {
    var allowed: [String] = []
    for entry in entries {
      guard let parameters = Self.match(entry.segments, segments) else { continue }
      if entry.method == method { return .found(entry.handler, parameters: parameters) }
      if !allowed.contains(entry.method) { allowed.append(entry.method) }
    }
    if allowed.contains("GET") { allowed.append("HEAD") }
    return allowed.isEmpty ? .noSuchPath : .otherMethods(allowed)
  }

  private static func match(_ pattern: [Segment], _ segments: [String]) -> [String: String]? {
    var parameters: [String: String] = [:]
    for (index, part) in pattern.enumerated() {
      if part == .rest { return parameters }
      guard index < segments.count else { return nil }
      switch part {
      case .literal(let text): guard segments[index] == text else { return nil }
      case .parameter(let name):
        guard !segments[index].isEmpty else { return nil }
        parameters[name] = segments[index]
      case .rest: break
      }
    }
    return segments.count == pattern.count ? parameters : nil
  }

  /// The parts after the leading slash; `/` alone is one empty part.
  private static func split(_ path: String) -> [String] {
    path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
  }

  /// The decoded segments of a raw request path. Returns nil when it does not start with `/` or holds a bad escape, an
  /// encoded slash or a control byte.
  static func segments(rawPath: String) -> [String]? {
    guard rawPath.hasPrefix("/") else { return nil }
    var decoded: [String] = []
    for part in split(rawPath) {
      guard let text = PercentEncoding.decode(part, plusIsSpace: false), !text.contains("/") else { return nil }
      guard text != ".", text != ".." else { return nil }
      decoded.append(text)
    }
    return decoded
  }
}

/// Percent-encoding of URLs (RFC 3986, section 2.1).
enum PercentEncoding {
  /// Returns nil for a broken escape, a control byte or bytes that are not UTF-8.
  static func decode(_ text: String, plusIsSpace: Bool) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8.makeIterator()
    while let byte = rest.next() {
      var value = byte
      if byte == UInt8(ascii: "%") {
        guard let high = rest.next().flatMap(nibble), let low = rest.next().flatMap(nibble) else { return nil }
        value = high << 4 | low
      } else if plusIsSpace, byte == UInt8(ascii: "+") {
        value = UInt8(ascii: " ")
      }
      guard value >= 0x20, value != 0x7F else { return nil }
      bytes.append(value)
    }
    return String(validating: bytes, as: UTF8.self)
  }

  private static func nibble(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}

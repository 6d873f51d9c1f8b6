import Glibc

/// A client that sends exactly the bytes given, so that malformed requests can be tried.
package struct RawClient {
  private let descriptor: Int32

  /// Connects to a port of 127.0.0.1; nil where nobody listens.
  package init?(port: UInt16) {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
    let rc = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard descriptor >= 0, rc == 0 else { return nil }
  }

  /// Sends all of a text.
  package func send(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  /// Everything until the server closes.
  package func readAll() -> String {
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      guard count > 0 else { break }
      all += buffer[..<count]
    }
    close(descriptor)
    return String(decoding: all, as: UTF8.self)
  }

  /// Sends one request and returns the whole answer. The request should ask to close.
  package static func exchange(_ port: UInt16, _ text: String) -> String {
    guard let client = RawClient(port: port) else { return "" }
    client.send(text)
    return client.readAll()
  }

  /// A plain request with `Connection: close`.
  package static func request(
    _ port: UInt16, _ method: String, _ target: String, headers: [String] = [], body: String = ""
  ) -> String {
    var lines = ["\(method) \(target) HTTP/1.1", "Host: x", "Connection: close"] + headers
    if !body.isEmpty { lines.append("Content-Length: \(body.utf8.count)") }
    return exchange(port, lines.joined(separator: "\r\n") + "\r\n\r\n" + body)
  }
}

extension String {
  /// The status of an HTTP answer; nil when it is none.
  package var httpStatus: Int? { split(separator: " ").dropFirst().first.flatMap { Int($0) } }
  /// What follows the head.
  package var httpBody: Substring {
    split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false).last ?? ""
  }
}

import Glibc

/// A numeric address and port to listen on.
package struct BindAddress: Sendable, Equatable, CustomStringConvertible {
  /// A numeric IPv4 or IPv6 address, without brackets.
  package let host: String
  /// 0 takes a free one.
  package let port: UInt16
  let isV6: Bool

  /// Any free port of 127.0.0.1.
  package static let loopback = BindAddress(host: "127.0.0.1", port: 0, isV6: false)

  private init(host: String, port: UInt16, isV6: Bool) {
    self.host = host
    self.port = port
    self.isV6 = isV6
  }

  /// Reads `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`. Returns nil for anything else: names are not resolved.
  package init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let digits = text[text.index(after: colon)...]
    guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (48...57).contains($0) }),
      let port = UInt16(digits)
    else { return nil }
    var host = String(text[..<colon])
    let bracketed = host.hasPrefix("[") && host.hasSuffix("]")
    if bracketed { host = String(host.dropFirst().dropLast()) }
    if host == "localhost" { host = "127.0.0.1" }
    var v4 = in_addr()
    var v6 = in6_addr()
    let isV6 = bracketed && inet_pton(AF_INET6, host, &v6) == 1
    guard isV6 || (!bracketed && inet_pton(AF_INET, host, &v4) == 1) else { return nil }
    self.init(host: host, port: port, isV6: isV6)
  }

  /// Whether only this machine can reach it.
  package var isLoopback: Bool { isV6 ? host == "::1" : host.hasPrefix("127.") }

  package var description: String { isV6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

  func with(port: UInt16) -> BindAddress { BindAddress(host: host, port: port, isV6: isV6) }

  /// Opens a listening socket. - Throws: the error number.
  func listen() throws(HTTPServerError) -> (socket: Int32, port: UInt16) {
    let descriptor = socket(isV6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw .cannotListen(self, errno) }
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
    guard bind(descriptor), Glibc.listen(descriptor, 128) == 0, let port = boundPort(descriptor) else {
      let code = errno
      close(descriptor)
      throw .cannotListen(self, code)
    }
    return (descriptor, port)
  }

  private func bind(_ descriptor: Int32) -> Bool {
    if isV6 {
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = port.bigEndian
      inet_pton(AF_INET6, host, &address.sin6_addr)
      return Self.bind(descriptor, &address)
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    inet_pton(AF_INET, host, &address.sin_addr)
    return Self.bind(descriptor, &address)
  }

  private static func bind<Address>(_ descriptor: Int32, _ address: inout Address) -> Bool {
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<Address>.size)) == 0
      }
    }
  }

  private func boundPort(_ descriptor: Int32) -> UInt16? {
    // Port and family lie at the same place in both address forms.
    var address = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    let rc = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    return rc == 0 ? UInt16(bigEndian: address.sin6_port) : nil
  }
}

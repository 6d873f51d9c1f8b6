import Glibc

/// One way to reach a broker: what the library is asked to connect to.
///
/// The library connects without blocking only to the first address of a name and does not try the others, so names are
/// resolved here. With TLS it must be given the name (it checks the certificate against it); then the address family is
/// chosen by the local address it binds.
struct BrokerRoute: Equatable {
  /// A numeric address, or with TLS the name as configured.
  let host: String
  /// The local wildcard address of the family wanted, nil when `host` is numeric.
  let bindAddress: String?

  /// All routes to a host in the order the resolver prefers. Blocks while a name is looked up.
  ///
  /// - Throws: `RouteError` with the resolver's words.
  static func routes(host: String, tls: Bool) throws(RouteError) -> [BrokerRoute] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, nil, &hints, &list)
    guard code == 0 else { throw RouteError(reason: String(cString: gai_strerror(code)).lowercased()) }
    defer { freeaddrinfo(list) }
    var routes: [BrokerRoute] = []
    var next = list
    while let entry = next {
      if let route = route(host: host, tls: tls, entry: entry.pointee), !routes.contains(route) { routes.append(route) }
      next = entry.pointee.ai_next
    }
    return routes
  }

  private static func route(host: String, tls: Bool, entry: addrinfo) -> BrokerRoute? {
    guard entry.ai_family == AF_INET || entry.ai_family == AF_INET6 else { return nil }
    if tls { return BrokerRoute(host: host, bindAddress: entry.ai_family == AF_INET ? "0.0.0.0" : "::") }
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    guard getnameinfo(entry.ai_addr, entry.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 else {
      return nil
    }
    let numeric = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return BrokerRoute(host: String(decoding: numeric, as: UTF8.self), bindAddress: nil)
  }
}

/// A host name the resolver does not know.
struct RouteError: Error {
  let reason: String
}

import Glibc

/// What the system allows this process.
enum SystemLimits {
  /// Files this process may have open; `Int.max` without a limit.
  static var openFiles: Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .max }
    return Int(clamping: limit.rlim_cur)
  }

  /// Memory of the machine; nil if the system does not say.
  static var memoryBytes: Int? {
    let pages = sysconf(Int32(_SC_PHYS_PAGES))
    let page = sysconf(Int32(_SC_PAGESIZE))
    guard pages > 0, page > 0 else { return nil }
    return pages.multipliedReportingOverflow(by: page).partialValue
  }
}

/// Whether somebody listens.
enum Reachability {
  /// Connects and hangs up.
  ///
  /// - Returns: nil when somebody accepted, else the reason in a few words.
  static func tcp(host: String, port: Int, timeoutMs: Int32) -> String? {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, String(port), &hints, &found) == 0, let first = found else { return "no such host" }
    defer { freeaddrinfo(first) }
    var reason = "nobody answers"
    var next: UnsafeMutablePointer<addrinfo>? = first
    while let address = next?.pointee {
      switch connect(address, timeoutMs) {
      case nil: return nil
      case let text?: reason = text
      }
      next = address.ai_next
    }
    return reason
  }

  private static func connect(_ address: addrinfo, _ timeoutMs: Int32) -> String? {
    let descriptor = socket(address.ai_family, address.ai_socktype | Int32(SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { return "no socket to be had" }
    defer { close(descriptor) }
    if Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 { return nil }
    guard errno == EINPROGRESS else { return String(cString: strerror(errno)).lowercased() }
    var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    guard Glibc.poll(&poll, 1, timeoutMs) > 0 else { return "nobody answers within \(timeoutMs / 1000) s" }
    var error: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0 else { return "no answer" }
    return error == 0 ? nil : String(cString: strerror(error)).lowercased()
  }
}

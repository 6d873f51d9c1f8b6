import Glibc

/// Monotonic time in milliseconds, for deadlines only.
package func monotonicMilliseconds() -> Int64 {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
}

/// Asks `condition` again and again until it holds. Returns false when `seconds` passed without it.
///
/// Blocks the calling thread; the pause between two questions bounds the load, it decides nothing.
@discardableResult
package func eventually(within seconds: Double = 20, _ condition: () -> Bool) -> Bool {
  let deadline = monotonicMilliseconds() + Int64(seconds * 1000)
  while true {
    if condition() { return true }
    if monotonicMilliseconds() >= deadline { return false }
    var pause = timespec(tv_sec: 0, tv_nsec: 2_000_000)
    nanosleep(&pause, nil)
  }
}

/// A TCP port nobody listens on at this moment on 127.0.0.1. Somebody may take it before the caller does: retry then.
package func freePort() throws -> UInt16 {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  guard descriptor >= 0 else { throw SupportError.system("socket", errno) }
  defer { close(descriptor) }
  var address = loopback(port: 0)
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let bound = withUnsafeMutablePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
      bind(descriptor, raw, length) == 0 && getsockname(descriptor, raw, &length) == 0
    }
  }
  guard bound else { throw SupportError.system("bind", errno) }
  return UInt16(bigEndian: address.sin_port)
}

/// Whether something accepts connections on 127.0.0.1:`port`.
package func isListening(port: UInt16) -> Bool {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  guard descriptor >= 0 else { return false }
  defer { close(descriptor) }
  var address = loopback(port: port)
  return withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
    }
  }
}

private func loopback(port: UInt16) -> sockaddr_in {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  return address
}

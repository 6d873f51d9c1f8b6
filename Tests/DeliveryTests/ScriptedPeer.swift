import Glibc
import Synchronization

/// Takes one connection on a free loopback port and answers each request on it with the next text.
final class ScriptedPeer: Sendable {
  let port: UInt16
  private let received = Mutex<[String]>([])

  /// Heads of the requests, with as much of their bodies as came with them.
  var requests: [String] { received.withLock { $0 } }

  private struct NoSocket: Error {}

  init(answers: [String]) throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && listen(listener, 1) == 0 && getsockname(listener, $0, &length) == 0
      }
    }
    guard isBound else { throw NoSocket() }
    port = UInt16(bigEndian: address.sin_port)
    let script = Script(peer: self, listener: listener, answers: answers)
    var thread = pthread_t()
    let rc = pthread_create(
      &thread, nil,
      { context in
        if let context { Unmanaged<Script>.fromOpaque(context).takeRetainedValue().run() }
        return nil
      }, Unmanaged.passRetained(script).toOpaque())
    guard rc == 0 else { throw NoSocket() }
    pthread_detach(thread)
  }

  private final class Script: Sendable {
    let peer: ScriptedPeer
    let listener: Int32
    let answers: [String]

    init(peer: ScriptedPeer, listener: Int32, answers: [String]) {
      self.peer = peer
      self.listener = listener
      self.answers = answers
    }

    func run() {
      let client = accept(listener, nil, nil)
      close(listener)
      defer { close(client) }
      for answer in answers {
        guard let head = readHead(client) else { return }
        peer.received.withLock { $0.append(head) }
        _ = answer.withCString { write(client, $0, answer.utf8.count) }
      }
      // Until the other end is done.
      _ = readHead(client)
    }

    private func readHead(_ client: Int32) -> String? {
      var text = ""
      var chunk = [UInt8](repeating: 0, count: 4096)
      while !text.contains("\r\n\r\n") {
        let count = read(client, &chunk, chunk.count)
        guard count > 0 else { return nil }
        text += String(decoding: chunk[..<count], as: UTF8.self)
      }
      return text
    }
  }
}

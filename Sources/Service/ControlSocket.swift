import AlertJournal
import Digests
import Foundation
import Glibc
import Synchronization
import VitalModel

/// `STORE/control.sock` (mode 0600): one JSON object a line in, one out. Writing commands of other processes come this
/// way, so that the store has one writer.
final class ControlSocket: @unchecked Sendable {
  // Unchecked: the descriptor is written in init and closed in stop; the thread only reads it.

  private let path: String
  private let descriptor: Int32
  fileprivate unowned let service: VigilService
  private let isStopping = Atomic<Bool>(false)
  private var thread: DedicatedThread?

  /// Longest request line: rule texts are the longest thing asked.
  static let requestBytesMax = 64 << 20

  init(path: String, service: VigilService) throws(StartFailure) {
    self.path = path
    self.service = service
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    unlink(path)
    let mask = umask(0o177)
    let bound = ControlSocket.withAddress(path) { bind(descriptor, $0, $1) }
    umask(mask)
    guard let bound, bound == 0, listen(descriptor, 8) == 0 else {
      close(descriptor)
      throw .unavailable("\(path): the control socket cannot be made; choose a shorter store.path")
    }
    thread = DedicatedThread { [self] in run() }
  }

  /// nil where the path is too long for a socket.
  static func withAddress<R>(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R? {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }

  func stop() {
    isStopping.store(true, ordering: .releasing)
    shutdown(descriptor, Int32(SHUT_RDWR))
    thread?.join()
    close(descriptor)
    unlink(path)
  }

  private func run() {
    while !isStopping.load(ordering: .acquiring) {
      var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&watched, 1, 250) > 0 else { continue }
      let client = accept(descriptor, nil, nil)
      guard client >= 0 else { continue }
      var limit = timeval(tv_sec: 5, tv_usec: 0)
      setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
      answer(client)
      close(client)
    }
  }

  private func answer(_ client: Int32) {
    guard let line = ControlClient.readLine(client, limit: ControlSocket.requestBytesMax) else { return }
    let reply = reply(to: line)
    ControlClient.writeLine(reply, to: client)
  }

  private struct Request: Codable {
    var command: String
    var ids: [String]?
    /// A deployment as journaled, base64.
    var deployment: String?
    /// What somebody does about an alert.
    var request: ActionRequest?
    /// Whose deliveries.
    var receiver: String?
    /// What is done with keys.
    var keys: KeysRequest?
  }

  private func reply(to line: [UInt8]) -> String {
    guard let request = try? JSONDecoder().decode(Request.self, from: Data(line)) else {
      return "{\"error\":\"the request is not one JSON object with a command\"}"
    }
    switch request.command {
    case "ping": return "{\"ok\":true}"
    case "reload":
      service.reload()
      return "{\"ok\":true}"
    case "resubmit":
      let ids = (request.ids ?? []).compactMap { QuarantineID(text: $0) }
      return "{\"ok\":true,\"resubmitted\":\(service.resubmit(ids))}"
    case "deliveries-replay": return replay(request)
    case "rules-deploy": return deploy(request.deployment)
    case "checkpoint": return service.checkpointReply()
    case "backup-made": return service.noteBackup(request.ids ?? [])
    case "act": return act(request.request)
    case "keys": return keys(request.keys)
    default: return "{\"error\":\"unknown command\"}"
    }
  }
}

extension ControlSocket {
  fileprivate func keys(_ request: KeysRequest?) -> String {
    var out = JSONText()
    do throws(KeysRefusal) {
      guard let request else { throw KeysRefusal("the request says nothing to do") }
      return try KeysDesk(store: service.store, now: Int64(Date().timeIntervalSince1970 * 1000)).answer(request).json
    } catch {
      out.object { $0.field("error", error.line) }
      return out.text
    }
  }

  fileprivate func act(_ request: ActionRequest?) -> String {
    var out = JSONText()
    guard let request else {
      out.object { $0.field("error", "the request says nothing to do") }
      return out.text
    }
    do throws(ActionRefusal) {
      return try service.act(request).json
    } catch {
      out.object {
        $0.field("error", error.line)
        $0.field("reason", error.reason.rawValue)
      }
      return out.text
    }
  }

  private func replay(_ request: Request) -> String {
    var out = JSONText()
    do throws(JournalError) {
      let count = try service.keeper.replay(request.ids?.compactMap { UInt64($0) }, receiver: request.receiver)
      out.object {
        $0.field("ok", true)
        $0.field("replayed", count)
      }
    } catch {
      out.object { $0.field("error", error.description) }
    }
    return out.text
  }

  fileprivate func deploy(_ text: String?) -> String {
    var out = JSONText()
    guard let bytes = text.flatMap({ bytes(base64: $0) }), let deployment = RuleDeployment(journaled: bytes) else {
      out.object { $0.field("error", "the request holds no deployment of rules") }
      return out.text
    }
    do throws(RuleRefusal) {
      let position = try service.deploy(deployment)
      out.object {
        $0.field("ok", true)
        $0.field("number", deployment.number)
        $0.field("position", Int(clamping: position))
      }
    } catch {
      out.object { $0.field("error", error.line) }
    }
    return out.text
  }
}

/// The other end of the control socket.
package enum ControlClient {
  /// Sends one request to a running service; nil when none answers at this store.
  package static func ask(_ request: String, store: String) -> String? {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard ControlSocket.withAddress(store + "/control.sock", { connect(descriptor, $0, $1) }) == 0 else { return nil }
    writeLine(request, to: descriptor)
    return readLine(descriptor, limit: 1 << 20).map { String(decoding: $0, as: UTF8.self) }
  }

  static func readLine(_ descriptor: Int32, limit: Int) -> [UInt8]? {
    var line: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while line.count <= limit {
      let count = read(descriptor, &chunk, chunk.count)
      if count <= 0 { return line.isEmpty ? nil : line }
      if let end = chunk[..<count].firstIndex(of: 10) {
        line += chunk[..<end]
        return line
      }
      line += chunk[..<count]
    }
    return nil
  }

  static func writeLine(_ text: String, to descriptor: Int32) {
    let bytes = Array((text + "\n").utf8)
    var offset = 0
    while offset < bytes.count {
      let count = bytes[offset...].withUnsafeBytes {
        send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count <= 0 { return }
      offset += count
    }
  }
}

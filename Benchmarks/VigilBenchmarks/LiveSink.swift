import Glibc
import HTTPAPI
import Synchronization
import VitalModel

/// A webhook receiver that notes when each alert's body was read, and answers at once.
///
/// It reads `patient` and `onset_time` of whatever arrives, keeps the first webhook of each episode, and tells a script what
/// it has: `GET /count` a number, `GET /lines` all lines, `GET /stop` ends it.
enum LiveSink {
  static func run(_ options: LiveOptions) -> Int32 {
    let kept = Kept()
    var router = HTTPRouter()
    router.add("POST", "/**") { request in
      let now = LiveLine.nowMicros()
      kept.note(request.body, now)
      return HTTPResponse(status: 204)
    }
    router.add("GET", "/count") { _ in .text("\(kept.count)\n") }
    router.add("GET", "/lines") { _ in .text(kept.lines.map { $0 + "\n" }.joined()) }
    router.add("GET", "/stop") { _ in
      kept.isStopped.store(true, ordering: .releasing)
      return .text("stopping\n")
    }
    guard let bind = BindAddress("127.0.0.1:\(options.number("port", 0))") else { return 2 }
    do throws(HTTPServerError) {
      let server = try HTTPServer(.init(bind: bind), router: router)
      print("receiving on \(server.address)")
      fflush(nil)
      while !kept.isStopped.load(ordering: .acquiring) { usleep(50_000) }
      server.stop()
      return 0
    } catch {
      print("live-sink: \(error)")
      return 1
    }
  }

  /// What arrived, shared by the server's threads.
  private final class Kept: Sendable {
    private struct State {
      var seen: Set<String> = []
      var lines: [String] = []
    }
    private let state = Mutex(State())
    let isStopped = Atomic(false)

    var count: Int { state.withLock { $0.lines.count } }
    var lines: [String] { state.withLock { $0.lines } }

    func note(_ body: [UInt8], _ atMicros: Int64) {
      guard let patient = LiveSink.text("\"patient\":\"", in: body),
        let onset = LiveSink.text("\"onset_time\":\"", in: body), let onsetMs = Timestamp.parse(onset)
      else { return }
      state.withLock { state in
        guard state.seen.insert("\(patient) \(onsetMs)").inserted else { return }
        state.lines.append(LiveLine.text(patient: patient, onsetMs: onsetMs, atMicros: atMicros))
      }
    }
  }

  /// What follows the first occurrence of `key` up to the next quotation mark.
  private static func text(_ key: StaticString, in body: [UInt8]) -> String? {
    key.withUTF8Buffer { key in
      var from = 0
      while from + key.count <= body.count {
        if body[from] == key[0], body[from..<(from + key.count)].elementsEqual(key) {
          let rest = body[(from + key.count)...]
          return rest.firstIndex(of: UInt8(ascii: "\"")).map { String(decoding: rest[..<$0], as: UTF8.self) }
        }
        from += 1
      }
      return nil
    }
  }
}

import AlertJournal
import Configuration
import Digests
import Foundation
import Glibc
import KeyValueStore
import Service
import VitalModel

/// `vigil keys`: encryption at rest, made, changed and used to forget a patient (docs/encryption.md).
enum KeysCommand {
  static let command = Command(
    name: "keys", summary: "encryption at rest: make, rotate and destroy keys; hold and erase patients",
    example: "vigil keys rotate master --new file:/etc/vigil/master-2.key --by a.meyer -c vigil.yaml",
    flags: StoreAccess.flags + [
      Flag("--new", "REF", "rotate master: where the new key is, as --master-key says it"),
      Flag("--by", "USER", "who does it, for the record"),
      Flag("--reason", "TEXT", "hold, release, erase: why, for the record; name nobody in it"),
      Flag("--tenant", "NAME", "the patient's tenant, where several have the id"),
      Flag("--backups", "DIR", "erase: list the backups here that still hold the patient"),
      Flag("--json", "facts as one JSON object"),
    ],
    positional:
      "generate FILE|status|seal|rotate master|rotate tenant NAME|hold PATIENT|release PATIENT|erase PATIENT|resume",
    run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let words = arguments.positional
    switch (words.first, words.count) {
    case ("generate", 2): return try generate(words[1])
    case ("status", 1): return try KeysText.status(arguments)
    case ("seal", 1): return try KeysAtRest.seal(arguments)
    case ("rotate", 2) where words[1] == "master": return try rotateMaster(arguments)
    case ("rotate", 3) where words[1] == "tenant": return try rotateTenant(words[2], arguments)
    case ("hold", 2), ("release", 2): return try hold(words[1], isHold: words[0] == "hold", arguments)
    case ("erase", 2): return try KeysAtRest.erase(words[1], arguments)
    case ("resume", 1): return try KeysAtRest.resume(arguments)
    default:
      let known = ["generate", "status", "seal", "rotate", "hold", "release", "erase", "resume"]
      if let first = words.first, !known.contains(first) {
        let hint = Arguments.nearest(first, known).map { ", did you mean `\($0)`?" } ?? ""
        throw CommandFailure(ExitCode.usage, "keys: unknown action `\(first)`\(hint)")
      }
      throw CommandFailure(
        ExitCode.usage,
        "usage: vigil keys generate FILE | status | seal | rotate master --new REF | rotate tenant NAME|all | "
          + "hold PATIENT | release PATIENT | erase PATIENT | resume")
    }
  }

  /// Why, given as `--reason`.
  static func reason(_ arguments: Arguments) throws(CommandFailure) -> String {
    let reason = arguments.value("--reason") ?? ""
    guard !reason.isEmpty, reason.utf8.count <= 1000 else {
      throw CommandFailure(ExitCode.usage, "`--reason TEXT` is needed, at most 1000 bytes: why is on record")
    }
    return reason
  }

  // MARK: Making

  /// A new key in a new file that only its owner may read; an existing file is never written over.
  private static func generate(_ path: String) throws(CommandFailure) -> Int32 {
    let text: String
    do throws(DigestError) {
      text = try MasterKey.make() + "\n"
    } catch {
      throw CommandFailure(ExitCode.unavailable, "no random bytes can be had from the system: \(error)")
    }
    let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else {
      let why = errno == EEXIST ? "it exists, and a key is never written over" : String(cString: strerror(errno))
      throw CommandFailure(ExitCode.failed, "\(path): \(why)")
    }
    let bytes = Array(text.utf8)
    let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
    guard count == bytes.count, fsync(file) == 0, close(file) == 0 else {
      unlink(path)
      throw CommandFailure(ExitCode.failed, "\(path): cannot be written")
    }
    printLine("\(path): a new master key. Keep a copy apart from store and backups: without it both are lost.")
    return ExitCode.ok
  }

  // MARK: Rotating and holding

  private static func rotateMaster(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    guard let new = arguments.value("--new"), let reference = MasterKeyReference(new) else {
      throw CommandFailure(ExitCode.usage, "`--new` is needed: env:NAME, file:PATH or command:/PATH WORDS")
    }
    let request = KeysRequest(.rotateMaster, new: reference.description, by: try ActionSender.user(arguments))
    let answer = try send(request, arguments)
    if arguments.has("--json") {
      printLine(answer)
    } else {
      printLine(
        "\(FactsText(answer).text("wrapped") ?? "0") keys are under the new master key: set store.master_key to "
          + "\(reference) before the next start, and keep the old one as long as backups made under it")
    }
    return ExitCode.ok
  }

  private static func rotateTenant(_ name: String, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let request = KeysRequest(.rotateTenant, subject: name, by: try ActionSender.user(arguments))
    let answer = try send(request, arguments)
    let count = FactsText(answer).text("wrapped") ?? "0"
    printLine(arguments.has("--json") ? answer : "\(count) patients' keys are under new tenant keys")
    return ExitCode.ok
  }

  private static func hold(_ id: String, isHold: Bool, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let request = KeysRequest(
      isHold ? .hold : .release, subject: id, tenant: arguments.value("--tenant"),
      by: try ActionSender.user(arguments), reason: try reason(arguments))
    let answer = try send(request, arguments)
    let number = FactsText(answer).text("patient") ?? "?"
    let done = isHold ? "held: not erased, not dropped by age, until released" : "released"
    printLine(arguments.has("--json") ? answer : "patient #\(number) is \(done)")
    return ExitCode.ok
  }

  private struct Line: Encodable {
    var command = "keys"
    var keys: KeysRequest
  }

  /// Asks the running service, or does it here where nothing runs; the answer as JSON.
  static func send(_ request: KeysRequest, _ arguments: Arguments) throws(CommandFailure) -> String {
    let path = try StoreAccess.path(arguments)
    guard let bytes = try? JSONEncoder().encode(Line(keys: request)) else {
      throw CommandFailure(ExitCode.usage, "the request cannot be written as JSON; use plain text")
    }
    if let reply = ControlClient.ask(String(decoding: bytes, as: UTF8.self), store: path) {
      if let line = FactsText(reply).string("error") {
        throw CommandFailure(ExitCode.failed, "refused by the running service: \(line)")
      }
      return reply
    }
    let store = try KeysAtRest.open(path, arguments)
    defer { store.close() }
    do throws(KeysRefusal) {
      return try KeysDesk(store: store, now: Int64(Date().timeIntervalSince1970 * 1000)).answer(request).json
    } catch {
      throw CommandFailure(ExitCode.failed, error.line)
    }
  }
}

import Configuration
import Delivery
import Foundation
import Glibc
import HTTPAPI
import Service
import VitalModel

/// `vigil webhook test|receive`: try a receiver, or be one.
enum WebhookCommand {
  static let command = Command(
    name: "webhook", summary: "send a signed test webhook, or receive, verify and print webhooks",
    example: "vigil webhook receive --listen 127.0.0.1:9000 --secret env:HOOK_SECRET",
    flags: [
      Flag("--listen", "HOST:PORT", "receive: where to listen (default 127.0.0.1:0, a free port)"),
      Flag("--secret", "env:NAME|file:PATH", repeats: true, "receive: secret to verify with"),
      Flag("--output", "FILE", "receive: append each body as one line"),
      Flag("--for", "TIME", "receive: stop after this long (default: until Ctrl-C)"),
      Flag("--port-file", "FILE", "receive: write the port here once listening"),
      Flag("-c", "FILE", "test: configuration with the receivers"),
      Flag("--receiver", "NAME", "test: only this receiver"),
      Flag("--type", "TYPE", "test: opened (default), updated, escalated, acknowledged, resolved, digest, heartbeat"),
      Flag("--json", "one JSON object a line"),
    ], positional: "test|receive", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    switch arguments.positional.first {
    case "receive": return try receive(arguments)
    case "test": return try WebhookTest.run(arguments)
    default: throw CommandFailure(ExitCode.usage, "usage: vigil webhook test|receive [OPTIONS]")
    }
  }

  // MARK: receive

  private static func receive(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    guard let bind = BindAddress(arguments.value("--listen") ?? "127.0.0.1:0") else {
      throw CommandFailure(ExitCode.usage, "`--listen` must be HOST:PORT")
    }
    let secrets = try secrets(arguments)
    let seconds = try arguments.duration("--for").map { max(1, Int($0 / 1000)) }
    try OutputCheck.run("webhook", arguments, writing: ["--output", "--port-file"], reading: [], inputs: [])
    let printer = WebhookPrinter(json: arguments.has("--json"), output: arguments.value("--output"))
    let signals = Signals()
    let receiver: WebhookReceiver
    do {
      receiver = try WebhookReceiver(bind: bind, verify: verifier(secrets), onWebhook: { printer.show($0) })
    } catch {
      throw CommandFailure(ExitCode.unavailable, "cannot listen on \(bind): \(error)")
    }
    if let path = arguments.value("--port-file") {
      try OutputFile.write("\(receiver.address.port)\n", to: path, for: .everyone)
    }
    printError("receiving on \(receiver.url)" + (secrets.isEmpty ? " (signatures not verified: no --secret)" : ""))
    let deadline = seconds.map { ContinuousClock.now + .seconds($0) }
    while deadline.map({ ContinuousClock.now < $0 }) ?? true {
      let signal = signals.next(within: 1)
      if signal == SIGTERM || signal == SIGINT { break }
    }
    receiver.stop()
    let counts = receiver.counts
    printError("\(counts.accepted) accepted, \(counts.duplicates) duplicates, \(counts.refused) refused")
    return ExitCode.ok
  }

  private static func secrets(_ arguments: Arguments) throws(CommandFailure) -> [WebhookSecret] {
    var list: [WebhookSecret] = []
    for text in arguments.all("--secret") {
      guard let reference = SecretReference(text), let value = resolve(reference) else {
        throw CommandFailure(ExitCode.usage, "`--secret` must be env:NAME or file:PATH with a value in it")
      }
      do throws(ReceiverError) {
        list.append(try WebhookSecret(value))
      } catch {
        throw CommandFailure(ExitCode.usage, "the secret must be whsec_ and base64")
      }
    }
    return list
  }

  private static func resolve(_ reference: SecretReference) -> String? {
    switch reference {
    case .environment(let name): ConfigurationFiles.secrets.environment(name)
    case .file(let path): ConfigurationFiles.secrets.file(path)
    }
  }

  private static func verifier(_ secrets: [WebhookSecret]) -> @Sendable (ReceivedWebhook) -> String? {
    { webhook in
      if secrets.isEmpty { return nil }
      do throws(Signature.Refusal) {
        try Signature.verify(
          id: webhook.id, timestamp: webhook.timestamp, signatures: webhook.signature, body: webhook.body,
          secrets: secrets, nowSeconds: Int64(time(nil)), toleranceSeconds: 300)
        return nil
      } catch {
        switch error {
        case .malformedTimestamp: return "the timestamp is not a number"
        case .timestampOutsideTolerance: return "the timestamp is more than five minutes off"
        case .noMatch: return "the signature does not verify"
        }
      }
    }
  }
}

/// Prints received webhooks, one line each; called from the server's thread.
final class WebhookPrinter: @unchecked Sendable {
  // Unchecked: the file is only written under the lock.
  private let json: Bool
  private let file: FileHandle?
  private let lock = NSLock()

  init(json: Bool, output: String?) {
    self.json = json
    if let output {
      if !FileManager.default.fileExists(atPath: output) {
        _ = FileManager.default.createFile(atPath: output, contents: nil)
      }
      file = FileHandle(forWritingAtPath: output)
      _ = try? file?.seekToEnd()
    } else {
      file = nil
    }
  }

  func show(_ webhook: ReceivedWebhook) {
    lock.lock()
    defer { lock.unlock() }
    if let refusal = webhook.refusal {
      printError("refused \(webhook.id): \(refusal)")
      return
    }
    try? file?.write(contentsOf: webhook.body + [10])
    if json {
      printLine(String(decoding: webhook.body, as: UTF8.self))
      return
    }
    printLine(AlertLine.text(webhook.body, isDuplicate: webhook.isDuplicate))
  }
}

/// One alert as a line a nurse can read.
enum AlertLine {
  private struct Body: Decodable {
    struct Alert: Decodable {
      struct Location: Decodable {
        var unit: String?
        var bed: String?
      }
      var alertID: String
      var patient: String?
      var priority: String?
      var message: String?
      var phase: String?
      var detectedTime: String?
      var simulated: Bool?
      var location: Location?

      enum CodingKeys: String, CodingKey {
        case patient, priority, message, phase, simulated, location
        case alertID = "alert_id"
        case detectedTime = "detected_time"
      }
    }
    var type: String
    var data: Alert?
  }

  static func text(_ bytes: [UInt8], isDuplicate: Bool) -> String {
    guard let body = try? JSONDecoder().decode(Body.self, from: Data(bytes)), let alert = body.data else {
      return String(decoding: bytes, as: UTF8.self)
    }
    let priority = (alert.priority ?? "-").uppercased()
    let place = [alert.location?.unit, alert.location?.bed].compactMap { $0 }.joined(separator: "/")
    let who = alert.patient.map { $0.isEmpty ? "service" : $0 } ?? alert.alertID
    let time = alert.detectedTime.map { String($0.dropFirst(11).prefix(8)) } ?? ""
    var line = "\(time) \(pad(priority, 6)) \(pad(body.type.replacing("alert.", with: ""), 9)) \(pad(who, 10))"
    if !place.isEmpty { line += " \(place)" }
    line += "  \(alert.message ?? "(thin payload)")"
    if alert.simulated == true { line += "  [synthetic]" }
    if isDuplicate { line += "  [duplicate]" }
    return line
  }

  private static func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}

/// `vigil webhook test`: one signed test webhook to each configured receiver.
enum WebhookTest {
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let configuration = try RunCommand.load(arguments)
    var chosen = configuration
    if let name = arguments.value("--receiver") {
      chosen.receivers = configuration.receivers.filter { $0.name == name }
      if chosen.receivers.isEmpty { throw CommandFailure(ExitCode.usage, "no receiver `\(name)` in the configuration") }
    }
    guard !chosen.receivers.isEmpty else {
      throw CommandFailure(ExitCode.usage, "no receivers in the configuration; give one with -c FILE")
    }
    for complaint in ReceiverBuilder.complaints(chosen) { throw CommandFailure(ExitCode.badConfiguration, complaint) }
    let type = try type(arguments)
    if type == .heartbeat, let odd = chosen.receivers.first(where: { !$0.format.hasHeartbeat }) {
      throw CommandFailure(ExitCode.usage, "`\(odd.name)` has format \(odd.format.rawValue), which has no heartbeat")
    }
    let results = try WebhookTrial.send(to: chosen, type: type)
    for result in results {
      if arguments.has("--json") {
        var out = JSONText()
        out.object {
          $0.field("receiver", result.receiver)
          $0.field("delivered", result.isDelivered)
          $0.field("status", result.status)
          $0.field("detail", result.detail)
          $0.field("latency_ms", Int(result.latencyMicros / 1000))
        }
        printLine(out.text)
      } else {
        let outcome = result.isDelivered ? "delivered" : "failed: \(result.detail)"
        printLine("\(result.receiver): \(outcome) (status \(result.status), \(result.latencyMicros / 1000) ms)")
      }
    }
    return results.allSatisfy(\.isDelivered) ? ExitCode.ok : ExitCode.failed
  }

  private static func type(_ arguments: Arguments) throws(CommandFailure) -> WebhookType {
    let name = arguments.value("--type") ?? "opened"
    guard let type = WebhookType(rawValue: name) ?? WebhookType(rawValue: "alert." + name) else {
      throw CommandFailure(
        ExitCode.usage,
        "`--type` must be opened, updated, escalated, acknowledged, resolved, digest or heartbeat, not `\(name)`")
    }
    return type
  }
}

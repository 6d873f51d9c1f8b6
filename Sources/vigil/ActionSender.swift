import Configuration
import Foundation
import Service
import VitalModel

/// Sends what somebody does about alerts to the running service, or journals it where nothing runs (SEMANTICS E8).
enum ActionSender {
  static func send(_ request: ActionRequest, _ arguments: Arguments) throws(CommandFailure) -> ActionReceipt {
    let configuration = try RunCommand.load(arguments)
    let store = arguments.value("--store") ?? configuration.storePath
    if let reply = ControlClient.ask(try line(request), store: store) { return try receipt(reply) }
    let now = Int64(Date().timeIntervalSince1970 * 1000)
    let key = try StoreAccess.masterKey(arguments, store: store)
    do throws(ActionRefusal) {
      if let receipt = try OfflineActions.write(
        request, store: store, key: key, tenant: configuration.tenant, now: now)
      {
        return receipt
      }
    } catch {
      throw failure(error)
    }
    throw CommandFailure(
      ExitCode.inUse, "\(store): the store is in use but its control socket does not answer; run it again shortly")
  }

  /// `--by`: nobody acts without a name.
  static func user(_ arguments: Arguments) throws(CommandFailure) -> String {
    let name = arguments.value("--by") ?? ""
    guard !name.isEmpty else {
      throw CommandFailure(ExitCode.usage, "`--by USER` is needed: who acts is on record")
    }
    return name
  }

  private struct Line: Encodable {
    var command = "act"
    var request: ActionRequest
  }

  private static func line(_ request: ActionRequest) throws(CommandFailure) -> String {
    guard let bytes = try? JSONEncoder().encode(Line(request: request)) else {
      throw CommandFailure(ExitCode.usage, "the request cannot be written as JSON; use plain text")
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func receipt(_ reply: String) throws(CommandFailure) -> ActionReceipt {
    let answer = FactsText(reply)
    if let line = answer.string("error") {
      let reason = answer.string("reason").flatMap(ActionRefusal.Reason.init(rawValue:)) ?? .unavailable
      throw failure(ActionRefusal(reason, line))
    }
    guard let position = answer.text("position").flatMap(UInt64.init) else {
      throw CommandFailure(ExitCode.failed, "the running service answers \(reply)")
    }
    var receipt = ActionReceipt(position: position)
    if let id = answer.string("silence"), let until = answer.string("until").flatMap({ Timestamp.parse($0) }) {
      receipt.silence = Silence(id: id, matcher: .rule(""), author: "", reason: "", from: 0, until: until)
    }
    return receipt
  }

  private static func failure(_ refusal: ActionRefusal) -> CommandFailure {
    switch refusal.reason {
    case .wrong: CommandFailure(ExitCode.usage, refusal.line)
    case .unknown, .ended: CommandFailure(ExitCode.failed, refusal.line)
    case .unavailable: CommandFailure(ExitCode.unavailable, refusal.line)
    }
  }
}

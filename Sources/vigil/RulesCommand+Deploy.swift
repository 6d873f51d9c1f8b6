import AlertJournal
import Configuration
import Digests
import Foundation
import Service
import VitalModel

/// Rules put in force: through the running service, or in its store when nothing runs.
extension RulesCommand {
  static func deploy(_ path: String, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let mode = try arguments.value("--mode", as: "`live`, `shadow` or `off`", RuleMode.init(rawValue:)) ?? .live
    var change: RuleChange
    do throws(RuleFiles.Failure) {
      change = RuleChange(files: try RuleFiles.read(path))
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
    change.set = arguments.value("--set")
    change.mode = mode
    change.units = arguments.list("--unit")
    change.rules = arguments.list("--rule")
    change.author = arguments.value("--author") ?? ""
    change.approver = arguments.value("--approver")
    change.reason = arguments.value("--reason") ?? ""
    return try putInForce(arguments) { (history, now) throws(RuleRefusal) in
      guard let current = history.last else {
        throw RuleRefusal("the store holds no rules yet; `vigil run` once takes up the configured rule files")
      }
      return try change.deployment(after: current, now: now).deployment
    }
  }

  static func rollback(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let number = try arguments.int("--to", in: 1...Int(Int32.max))
    return try putInForce(arguments) { (history, now) throws(RuleRefusal) in
      try RuleChange.rollback(
        history, to: number, author: arguments.value("--author") ?? "", approver: arguments.value("--approver"),
        reason: arguments.value("--reason") ?? "", now: now
      ).deployment
    }
  }

  private static func putInForce(
    _ arguments: Arguments, _ make: ([RuleDeployment], Int64) throws(RuleRefusal) -> RuleDeployment
  ) throws(CommandFailure) -> Int32 {
    for flag in ["--author", "--reason"] where arguments.value(flag)?.isEmpty ?? true {
      throw CommandFailure(ExitCode.usage, "rules: `\(flag)` is needed: who puts rules in force, and why, is on record")
    }
    let configuration = try RunCommand.load(arguments)
    let path = arguments.value("--store") ?? configuration.storePath
    let now = Int64(Date().timeIntervalSince1970 * 1000)
    let history = try history(ofStore: path, arguments)
    var deployment: RuleDeployment
    do throws(RuleRefusal) {
      deployment = try make(history, now)
      try sign(&deployment, arguments)
      _ = try deployment.checked(after: history.last, isProduction: configuration.profile == .production)
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.line)
    }
    let position = try send(
      deployment, store: path, arguments, isProduction: configuration.profile == .production, now: now)
    if arguments.has("--json") {
      let verdict = deployment.verdict.rawValue
      printLine(json(deployment, position: position, signature: verdict, isCurrent: true))
    } else {
      printLine(
        "deployment \(deployment.number) in force from journal position \(position): \(deployment.shortVersion) "
          + "(\(deployment.modeText), before \(history.last?.shortVersion ?? "none"))")
    }
    return ExitCode.ok
  }

  private static func history(
    ofStore path: String, _ arguments: Arguments
  ) throws(CommandFailure) -> [RuleDeployment] {
    let access = try StoreAccess(path: path, arguments)
    return try access.reading { try RuleHistory.read(access.store) }
  }

  private static func sign(_ deployment: inout RuleDeployment, _ arguments: Arguments) throws(RuleRefusal) {
    guard let path = arguments.value("--key") else { return }
    guard let data = FileManager.default.contents(atPath: path), let key = SigningKey(pem: Array(data)) else {
      throw RuleRefusal("\(path): not an Ed25519 private key in PEM (openssl genpkey -algorithm ed25519 makes one)")
    }
    deployment.sign(with: key)
  }

  private static func send(
    _ deployment: RuleDeployment, store: String, _ arguments: Arguments, isProduction: Bool, now: Int64
  ) throws(CommandFailure) -> UInt64 {
    var request = JSONText()
    request.object {
      $0.field("command", "rules-deploy")
      $0.field("deployment", base64(deployment.journaled))
    }
    if let reply = ControlClient.ask(request.text, store: store) {
      guard let answer = (try? JSONSerialization.jsonObject(with: Data(reply.utf8))) as? [String: Any],
        let position = answer["position"] as? Int
      else { throw CommandFailure(ExitCode.failed, refusal(reply)) }
      return UInt64(position)
    }
    let key = try StoreAccess.masterKey(arguments, store: store)
    do throws(RuleRefusal) {
      if let position = try OfflineRules.write(
        deployment, store: store, key: key, isProduction: isProduction, now: now)
      {
        return position
      }
    } catch {
      throw CommandFailure(ExitCode.failed, error.line)
    }
    throw CommandFailure(
      ExitCode.inUse, "\(store): the store is in use but its control socket does not answer; run it again shortly")
  }

  private static func refusal(_ reply: String) -> String {
    let answer = (try? JSONSerialization.jsonObject(with: Data(reply.utf8))) as? [String: Any]
    return "refused by the running service: \(answer?["error"] as? String ?? reply)"
  }
}

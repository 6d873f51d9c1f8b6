import AlertJournal
import Configuration
import Digests
import Foundation
import RuleLanguage
import Service
import VitalModel
import YAMLText

/// `vigil rules`: versions of the rules looked at, compared, put in force and taken back.
enum RulesCommand {
  static let command = Command(
    name: "rules", summary: "list, show, compare, deploy and roll back versions of the rules",
    example: """
      vigil rules deploy Rules --mode shadow --rule spo2-low --author ann --reason "limit 92 on trial"
        vigil rules deploy Rules --unit ward-7 --author ann --reason "limit 92 in one unit first"
        vigil rules rollback --author ann --reason "too many alerts"
        vigil rules compare live Rules recording.csv
        vigil rules list --verify
      """,
    flags: StoreAccess.flags + [
      Flag("--set", "NAME", "rule set of a directory (default: the one in force, else adult-ward)"),
      Flag("--mode", "live|shadow|off", "deploy: tell people (default), only the ledger, or nobody"),
      Flag("--unit", "U,...", repeats: true, "deploy: only in these care units; elsewhere the old version stays"),
      Flag("--rule", "ID,...", repeats: true, "deploy: only these rules (default: all that differ)"),
      Flag("--author", "NAME", "deploy, rollback: who does it"),
      Flag("--approver", "NAME", "deploy, rollback: who agreed; production needs one"),
      Flag("--reason", "TEXT", "deploy, rollback: why"),
      Flag("--key", "FILE", "Ed25519 key in PEM: private to sign with; list: public, to verify against"),
      Flag("--to", "N|T", "rollback: number to go back to; compare, shadow: event times before this"),
      Flag("--from", "T", "compare, shadow: event times from this on"),
      Flag("--verify", "list: check every signature; exit 1 where one does not fit"),
      Flag("--patients", "ID,...", repeats: true, "compare: only these"),
      Flag("--roster", "FILE", "compare: ages and flags, as for replay"),
      Flag("--columns", "NAME", "compare: column map of Rules/maps"),
      Flag("--map", "COLUMN=KEY[:UNIT]", repeats: true, "compare: meaning of a column with a name of its own"),
      Flag("--events", "FILE", "compare: events.csv with the devices' own alarms"),
      Flag("--epoch", "T", "compare: what relative time_s counts from"),
      Flag("--device", "ID", "compare: device of a wide CSV"),
      Flag("--tenant", "NAME", "compare: tenant of the alerts (default demo)"),
      Flag("--without", "STAGE,...", repeats: true, "compare: switch suppression stages off"),
      Flag("--explain-expr", "show: the typed trees of the conditions and the memory of their windows"),
      Flag("--json", "facts as JSON lines"),
    ],
    positional: "list | show ID [VERSION] | diff A B | deploy DIR | rollback | compare A B INPUT... | shadow", run: run)

  static let usage = CommandFailure(
    ExitCode.usage,
    "usage: vigil rules list | show ID [VERSION] | diff A B | deploy DIR | rollback | compare A B INPUT... | shadow "
      + "(versions: a number or hash of `rules list`, `live`, or a rule directory)")

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    guard let action = arguments.positional.first else { throw usage }
    let rest = Array(arguments.positional.dropFirst())
    switch (action, rest.count) {
    case ("list", 0): return try list(arguments)
    case ("show", 1...2): return try show(rest[0], version: rest.count > 1 ? rest[1] : nil, arguments)
    case ("diff", 2): return try diff(rest[0], rest[1], arguments)
    case ("deploy", 1): return try deploy(rest[0], arguments)
    case ("rollback", 0): return try rollback(arguments)
    case ("compare", 3...): return try compare(rest[0], rest[1], Array(rest.dropFirst(2)), arguments)
    case ("shadow", 0): return try shadow(arguments)
    default:
      let actions = ["list", "show", "diff", "deploy", "rollback", "compare", "shadow"]
      guard !actions.contains(action) else { throw usage }
      let hint = Arguments.nearest(action, actions).map { ", did you mean `\($0)`?" } ?? ""
      throw CommandFailure(ExitCode.usage, "rules: unknown action `\(action)`\(hint)")
    }
  }

  // MARK: Versions

  /// One version a person named, with its plan and texts.
  struct Version {
    var name: String
    var plan: RulePlan
    var files: RuleFiles
    var set: String?
    var deployment: RuleDeployment?

    /// A rule's text as written.
    func text(_ rule: RuleDefinition) -> String? {
      let sources = deployment?.sources(ofRule: rule.id, version: rule.version).sources ?? files.sources
      return RuleDifference.document(ofRule: rule.id, in: sources)?.text
    }

    var side: RuleDifference.Side { .init(plan: plan, text: text) }
  }

  /// Reads the versions named; the store is opened only where one is meant.
  static func versions(_ names: [String], _ arguments: Arguments) throws(CommandFailure) -> [Version] {
    var history: [RuleDeployment]?
    var found: [Version] = []
    for name in names {
      if isDirectory(name) {
        found.append(try directory(name, arguments, among: history))
        continue
      }
      if history == nil { history = try self.history(arguments) }
      found.append(try version(name, among: history ?? []))
    }
    return found
  }

  static func history(_ arguments: Arguments) throws(CommandFailure) -> [RuleDeployment] {
    let access = try StoreAccess(arguments)
    return try access.reading { try RuleHistory.read(access.store) }
  }

  private static func isDirectory(_ path: String) -> Bool {
    guard Int(path) == nil, path != "live" else { return false }
    // What is written as a path is one, there or not: reading it says what is wrong.
    return path.contains("/") || path.hasSuffix(".yaml") || FileManager.default.fileExists(atPath: path)
  }

  private static func directory(
    _ path: String, _ arguments: Arguments, among history: [RuleDeployment]?
  ) throws(CommandFailure) -> Version {
    let isFile = path.hasSuffix(".yaml") || path.hasSuffix(".yml")
    let set = arguments.value("--set") ?? (isFile ? nil : history?.last?.set ?? "adult-ward")
    do throws(RuleFiles.Failure) {
      let files = try RuleFiles.read(path)
      return Version(name: path, plan: try files.plan(set: set), files: files, set: set)
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
  }

  private static func version(_ name: String, among history: [RuleDeployment]) throws(CommandFailure) -> Version {
    let deployment: RuleDeployment?
    if name == "live" {
      deployment = history.last
    } else if let number = Int(name), name.count < 6 {
      deployment = history.first { $0.number == number }
    } else {
      let digits = name.hasPrefix("sha256:") ? String(name.dropFirst(7)) : name
      deployment = history.last { digits.count >= 4 && $0.version.hasPrefix("sha256:" + digits) }
    }
    guard let deployment else {
      throw CommandFailure(
        ExitCode.usage,
        "no version `\(name)`: name a number or hash of `vigil rules list`, `live`, or a rule directory")
    }
    do throws(RuleFiles.Failure) {
      return Version(
        name: "\(deployment.number) (\(deployment.shortVersion))", plan: try deployment.plan(),
        files: deployment.baseFiles, set: deployment.set, deployment: deployment)
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, "deployment \(deployment.number): \(error.description)")
    }
  }

  // MARK: list

  private static func list(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let access = try StoreAccess(arguments)
    let history = try access.reading { try RuleHistory.readWithPositions(access.store) }
    let trusted = try trustedKey(arguments)
    var isSound = true
    var rows = [["NUMBER", "VERSION", "TIME", "AUTHOR", "APPROVER", "MODE", "SIGNATURE", "", "REASON"]]
    for (position, deployment) in history {
      let verdict = signatureText(deployment, trusted)
      if verdict != "valid", deployment.signature != nil || trusted != nil { isSound = false }
      let isCurrent = deployment.number == history.last?.deployment.number
      if arguments.has("--json") {
        printLine(json(deployment, position: position, signature: verdict, isCurrent: isCurrent))
        continue
      }
      rows.append([
        String(deployment.number), deployment.shortVersion,
        deployment.time > 0 ? Timestamp.format(deployment.time) : "-",
        deployment.author, deployment.approver ?? "-", deployment.modeText, verdict, isCurrent ? "in force" : "",
        deployment.reason.replacingOccurrences(of: "\n", with: " "),
      ])
    }
    if !arguments.has("--json") { printLine(TextTable.format(rows)) }
    guard arguments.has("--verify"), !isSound else { return ExitCode.ok }
    throw CommandFailure(ExitCode.failed, "a deployment is not signed as it should be: look at SIGNATURE above")
  }

  /// The public key signatures must be by; nil: any.
  private static func trustedKey(_ arguments: Arguments) throws(CommandFailure) -> String? {
    guard arguments.has("--verify"), let path = arguments.value("--key") else { return nil }
    guard let data = FileManager.default.contents(atPath: path), let key = publicKey(pem: Array(data)) else {
      throw CommandFailure(ExitCode.usage, "\(path): not an Ed25519 public key in PEM (openssl pkey -pubout makes one)")
    }
    return base64(key)
  }

  private static func signatureText(_ deployment: RuleDeployment, _ trusted: String?) -> String {
    let verdict = deployment.verdict
    guard verdict == .valid, let trusted, deployment.signature?.key != trusted else { return verdict.rawValue }
    return "other key"
  }

  static func json(
    _ deployment: RuleDeployment, position: UInt64?, signature: String, isCurrent: Bool
  ) -> String {
    var out = JSONText()
    out.object { out in
      out.field("number", deployment.number)
      out.field("version", deployment.version)
      out.field("previous", deployment.previous)
      out.field("position", position.map { Int(clamping: $0) })
      out.field("time", deployment.time > 0 ? Timestamp.format(deployment.time) : nil)
      out.field("author", deployment.author)
      out.field("approver", deployment.approver)
      out.field("reason", deployment.reason)
      out.field("origin", deployment.origin.rawValue)
      out.field("restores", deployment.restores)
      out.field("set", deployment.set)
      out.field("mode", deployment.modeText)
      out.array("layers") { out in
        for layer in deployment.layers {
          out.object {
            $0.field("mode", layer.mode)
            $0.field("units", layer.units)
            $0.field("rules", layer.rules)
          }
        }
      }
      out.field("signature", signature)
      out.field("key", deployment.signature?.key)
      out.field("in_force", isCurrent)
    }
    return out.text
  }

  // MARK: show

  private static func show(
    _ id: String, version: String?, _ arguments: Arguments
  ) throws(CommandFailure) -> Int32 {
    // Without a store to look into, the rules beside us.
    let isBeside = !arguments.has("--store") && !arguments.has("-c") && access("vigil.yaml", R_OK) != 0
    let version = try versions([version ?? (arguments.has("--set") || isBeside ? "Rules" : "live")], arguments)[0]
    let rules = version.plan.rules.filter { $0.id == id }
    guard !rules.isEmpty else {
      if let text = try outsideSet(id, version, isTree: arguments.has("--explain-expr")) {
        printLine(text)
        return ExitCode.ok
      }
      let hint = Arguments.nearest(id, version.plan.rules.map(\.id)).map { ", did you mean `\($0)`?" } ?? ""
      throw CommandFailure(ExitCode.usage, "no rule `\(id)` in \(version.name)\(hint)")
    }
    for rule in rules {
      if arguments.has("--json") {
        printLine(json(rule))
      } else {
        printLine(try words(rule, version, isTree: arguments.has("--explain-expr")))
      }
    }
    return ExitCode.ok
  }

  /// A rule of the directory that the set leaves out, with its own defaults; nil: there is none.
  private static func outsideSet(
    _ id: String, _ version: Version, isTree: Bool
  ) throws(CommandFailure) -> String? {
    guard version.deployment == nil else { return nil }
    let files = version.files
    do throws(TextProblems) {
      let registry = version.plan.registry
      let text =
        isTree
        ? try RuleLibrary.expressionTree(
          id, sources: files.sources, set: nil, registry: registry, directory: files.directory)
        : try RuleLibrary.prose(
          id, sources: files.sources, set: nil, registry: registry, directory: files.directory)
      return text.map { $0 + "Not in set \(version.set ?? "in force")." }
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, RuleLibrary.rendered(error, sources: files.sources))
    }
  }

  private static func json(_ rule: RuleDefinition) -> String {
    var out = JSONText()
    out.object { out in
      out.field("rule", rule.id)
      out.field("variant", rule.variant)
      out.field("version", rule.version)
      out.field("title", rule.title)
      out.field("mode", rule.mode.rawValue)
      out.field("kind", rule.kind.rawValue)
      out.field("priority", rule.priority.text)
      out.field("source", rule.source)
      out.field("rationale", rule.rationale)
      out.field("applies", rule.applies?.text)
      out.field("when", rule.when.text)
      out.field("clear", rule.clear?.text)
      if let check = rule.check {
        out.object("checks") { out in
          out.field("events", check.events)
          out.field("supported", check.supported.text)
          out.field("unsupported", check.unsupported.text)
        }
      }
      out.object("parameters") { out in
        for parameter in rule.parameters { out.field(parameter.name, RuleDifference.text(parameter)) }
      }
    }
    return out.text
  }

  /// The rule in plain English, or the typed trees of its conditions.
  private static func words(
    _ rule: RuleDefinition, _ version: Version, isTree: Bool
  ) throws(CommandFailure) -> String {
    let from = version.deployment?.sources(ofRule: rule.id, version: rule.version)
    let sources = from?.sources ?? version.files.sources
    let set = from.map(\.set) ?? version.set
    let directory = version.files.directory
    do throws(TextProblems) {
      let registry = version.plan.registry
      let text =
        isTree
        ? try RuleLibrary.expressionTree(
          rule.id, sources: sources, set: set, registry: registry, directory: directory)
        : try RuleLibrary.prose(rule.id, sources: sources, set: set, registry: registry, directory: directory)
      return (text ?? "") + standing(rule, version)
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, RuleLibrary.rendered(error, sources: sources))
    }
  }

  /// What a deployment makes of the rule as written.
  private static func standing(_ rule: RuleDefinition, _ version: Version) -> String {
    guard let deployment = version.deployment else { return "" }
    let mode = rule.mode == .live ? "live" : rule.mode.rawValue
    var line = "Deployment \(deployment.number): \(mode)"
    if !rule.variant.isEmpty { line += ", \(rule.variant) beside the version in force" }
    let isGated = rule.applies?.instructions.contains { instruction in
      if case .attribute(.unit) = instruction { true } else { false }
    }
    if isGated == true, let applies = rule.applies { line += ", for \(applies.text)" }
    return line + "\n"
  }

  // MARK: diff

  private static func diff(_ a: String, _ b: String, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let found = try versions([a, b], arguments)
    let difference = RuleDifference(found[0].side, found[1].side)
    if arguments.has("--json") {
      for rule in difference.rules { printLine(json(rule)) }
      return ExitCode.ok
    }
    if difference.isEmpty { printLine("no difference between \(found[0].name) and \(found[1].name)") }
    if !difference.vitals.isEmpty { printLine("vitals.yaml: \(difference.vitals.joined(separator: ", "))") }
    for rule in difference.rules {
      let variant = rule.variant.isEmpty ? "" : " (\(rule.variant))"
      let versions = [rule.from, rule.to].filter { !$0.isEmpty }.map(RuleDeployment.short).joined(separator: " to ")
      printLine("\(rule.change.rawValue) \(rule.id)\(variant) \(versions)")
      for field in rule.fields { printLine("  \(field.name): \(field.from) -> \(field.to)") }
      for line in rule.lines { printLine("    " + line) }
    }
    return ExitCode.ok
  }

  private static func json(_ rule: RuleDifference.Rule) -> String {
    var out = JSONText()
    out.object { out in
      out.field("rule", rule.id)
      out.field("variant", rule.variant)
      out.field("change", rule.change.rawValue)
      out.field("from", rule.from)
      out.field("to", rule.to)
      out.array("fields") { out in
        for field in rule.fields {
          out.object {
            $0.field("name", field.name)
            $0.field("from", field.from)
            $0.field("to", field.to)
          }
        }
      }
      out.field("lines", rule.lines)
    }
    return out.text
  }
}

import AlertJournal
import Configuration
import Foundation
import RuleLanguage
import Service
import VitalModel
import YAMLText

/// `vigil version`.
enum VersionCommand {
  static let command = Command(
    name: "version", summary: "print the version", example: "vigil version --json",
    flags: [Flag("--json", "as a JSON object")], positional: "", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    var out = JSONText()
    out.object {
      $0.field("vigil", Program.version)
      $0.field("contract", "v1")
      $0.field("store_format", Int(VigilStore.formatVersion))
    }
    printLine(
      arguments.has("--json")
        ? out.text : "vigil \(Program.version) (contract v1, store format \(VigilStore.formatVersion))")
    return ExitCode.ok
  }
}

/// `vigil check`: configuration and rules, every problem with its place.
enum CheckCommand {
  static let command = Command(
    name: "check", summary: "validate the configuration and the rules; exit 0 or 78",
    example: "vigil check -c vigil.yaml Rules/",
    flags: [
      Flag("-c", "FILE", "configuration (default ./vigil.yaml, else defaults)"),
      Flag("--set", "NAME", "check this rule set (default: the configured one)"),
      Flag("--json", "problems as JSON lines"),
    ], positional: "[Rules/]", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(0...1, "check [-c FILE] [Rules/]")
    var problems: [String] = []
    var json: [TextProblem] = []
    var configuration: VigilConfiguration?
    do throws(ConfigurationFiles.Failure) {
      configuration = try ConfigurationFiles.load(path: arguments.value("-c"), rules: arguments.positional.first)
    } catch {
      problems += error.lines
      json += error.problems
    }
    if let configuration {
      problems += ReceiverBuilder.complaints(configuration)
      do throws(MasterKeySource.Failure) {
        _ = try MasterKeySource.load(configuration.masterKey)
      } catch {
        problems.append(error.line)
      }
      tell(configuration.warnings, asJSON: arguments.has("--json"))
    }
    let rulesPath = arguments.positional.first ?? configuration?.rulesPath ?? "Rules"
    var counts = ""
    do throws(RuleFiles.Failure) {
      let files = try RuleFiles.read(rulesPath)
      let all = try files.plan(set: nil)
      let sets = RuleLibrary.setNames(sources: files.sources)
      for name in sets { _ = try files.plan(set: name) }
      // A single rule file has no sets.
      let set = arguments.value("--set") ?? (sets.isEmpty ? nil : configuration?.ruleSet)
      let plan = try files.plan(set: set)
      counts = "\(all.rules.count) rules and \(sets.count) sets are valid"
      if let set { counts += " (\(set) has \(plan.rules.count) rules)" }
      json += rosterProblems(configuration, plan, &problems)
      tell(
        strangers(configuration, all) + strangeFlags(configuration, plan, files), asJSON: arguments.has("--json"))
    } catch {
      var text = error.description
      if case .wrong(let found) = error {
        json += found.all
        problems.removeAll { plain in found.all.contains { $0.description == plain } }
        // With the source line and a caret under the fault.
        if let files = try? RuleFiles.read(rulesPath) {
          text = RuleLibrary.rendered(found, sources: files.sources, directory: files.directory)
        }
      }
      if !problems.contains(text) { problems.append(text) }
    }
    if arguments.has("--json") {
      for problem in json { printLine(jsonLine(problem)) }
    } else {
      for problem in problems { Program.complain(problem) }
    }
    if problems.isEmpty {
      if !arguments.has("--json") { printLine("configuration, " + counts) }
      return ExitCode.ok
    }
    return ExitCode.badConfiguration
  }

  /// What can be used and is probably not meant; it does not change the exit code.
  private static func tell(_ warnings: [TextProblem], asJSON: Bool) {
    for warning in warnings {
      if asJSON { printLine(jsonLine(warning, severity: "warning")) } else { Program.complain("warning: \(warning)") }
    }
  }

  /// Steps of rules' own ladders that name nobody the configuration knows; their escalations would go by the routes.
  private static func strangers(_ configuration: VigilConfiguration?, _ plan: RulePlan) -> [TextProblem] {
    guard let configuration, !configuration.receivers.isEmpty else { return [] }
    let names = configuration.onCall.names + configuration.receivers.map(\.name)
    return plan.rules.flatMap { rule in
      rule.escalation.filter { !names.contains($0.to) }.map { step in
        TextProblem(
          file: "rule \(rule.id)", line: 0, column: 0,
          message:
            "`escalation` names `\(step.to)`, which is no person, role, schedule or receiver of the configuration",
          suggestion: Suggestion.nearest(step.to, among: names))
      }
    }
  }

  /// Flags of patients that the rule directory does not list: a misspelt one would silently switch nothing.
  private static func strangeFlags(
    _ configuration: VigilConfiguration?, _ plan: RulePlan, _ files: RuleFiles
  ) -> [TextProblem] {
    guard let path = configuration?.roster, let known = RuleLibrary.knownFlags(in: files.sources),
      let text = try? String(contentsOfFile: path, encoding: .utf8),
      let roster = try? RosterFile.parseAny(text, file: path, registry: plan.registry, rules: plan.rules)
    else { return [] }
    return Set(roster.patients.flatMap(\.flags)).subtracting(known).sorted().map { flag in
      TextProblem(
        file: path, line: 0, column: 0,
        message: "flag `\(flag)` stands in no list of flags (flags.yaml of the rules): no rule asks for it",
        suggestion: Suggestion.nearest(flag, among: known))
    }
  }

  /// What is wrong with the configured roster, the settings of patients held against the rules in force.
  private static func rosterProblems(
    _ configuration: VigilConfiguration?, _ plan: RulePlan, _ lines: inout [String]
  ) -> [TextProblem] {
    guard let path = configuration?.roster else { return [] }
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      lines.append("\(path): the roster cannot be read")
      return [TextProblem(file: path, line: 0, column: 0, message: "the roster cannot be read")]
    }
    do throws(TextProblems) {
      _ = try RosterFile.parseAny(text, file: path, registry: plan.registry, rules: plan.rules)
      return []
    } catch {
      lines += error.all.map(\.description)
      return error.all
    }
  }

  private static func jsonLine(_ problem: TextProblem, severity: String = "error") -> String {
    var out = JSONText()
    out.object {
      $0.field("file", problem.file)
      $0.field("line", problem.line)
      $0.field("column", problem.column)
      $0.field("message", problem.message)
      $0.field("suggestion", problem.suggestion)
      $0.field("severity", severity)
    }
    return out.text
  }
}

import Foundation
import RuleLanguage
import RuleTesting
import Service
import VitalModel
import YAMLText

/// `vigil test`: the tests that stand beside rules, run through the live engine.
enum TestCommand {
  static let command = Command(
    name: "test", summary: "run the tests beside rules; exit 0, 1 when one fails, 78 when a file is wrong",
    example: "vigil test Rules/adult --coverage --junit rules.xml",
    flags: [
      Flag("--rules", "DIR", "rule directory with registry and scores (default Rules)"),
      Flag("--rule", "ID", repeats: true, "only this rule"),
      Flag("--set", "NAME", "only the rules of this set, with its overrides"),
      Flag("--require-tests", "a rule without tests fails"),
      Flag("--coverage", "which outcomes of each condition the tests saw"),
      Flag("--mutate", "change each rule in small ways: the tests must notice"),
      Flag("--minimum", "PERCENT", "with --mutate: fail below this mutation score"),
      Flag("--junit", "FILE", "write JUnit XML"),
      Flag("--json", "results as one JSON object"),
    ], positional: "[PATH ...]", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let minimum = try arguments.int("--minimum", in: 0...100)
    if minimum != nil, !arguments.has("--mutate") {
      throw CommandFailure(ExitCode.usage, "test: `--minimum` needs `--mutate`")
    }
    try OutputCheck.run("test", arguments, writing: ["--junit"], reading: [], inputs: [])
    let report = RuleTestReport(try results(arguments), requiresTests: arguments.has("--require-tests"))
    if let path = arguments.value("--junit") {
      try OutputFile.write(JUnitText.write(report), to: path, for: .everyone)
    }
    if arguments.has("--json") {
      printLine(report.json)
    } else {
      for line in report.lines { printLine(line) }
    }
    var failed = !report.passed
    if report.requiresTests, !report.untested.isEmpty {
      printError(
        "vigil: test: \(report.untested.count) rules have no tests: \(report.untested.joined(separator: ", "))")
    }
    if let minimum, !report.mutationReaches(minimum) {
      printError("vigil: test: the mutation score is below \(minimum) %")
      failed = true
    }
    return failed ? ExitCode.failed : ExitCode.ok
  }

  private static func results(_ arguments: Arguments) throws(CommandFailure) -> [RuleTestResult] {
    let rules = arguments.value("--rules") ?? "Rules"
    let paths = arguments.positional.isEmpty ? [rules] : arguments.positional
    let options = RuleTestSuite.Options(coverage: arguments.has("--coverage"), mutation: arguments.has("--mutate"))
    let start = ContinuousClock.now
    var results: [RuleTestResult] = []
    var known: [String] = []
    for path in paths {
      let chosen = try files(path, rules: rules)
      let plan: RulePlan
      var tests: [RuleTestFile]
      do throws(RuleFiles.Failure) {
        plan = try chosen.files.plan(set: arguments.value("--set"))
        tests = try read(chosen.files, plan)
      } catch {
        throw CommandFailure(ExitCode.badConfiguration, described(error, chosen.files))
      }
      tests = tests.filter { chosen.holds($0.file) }
      known += tests.map(\.rule)
      if arguments.has("--rule") { tests = tests.filter { arguments.all("--rule").contains($0.rule) } }
      // A rule named by two paths is tested once.
      tests = tests.filter { test in !results.contains { $0.rule == test.rule && $0.file == test.file } }
      let suite = RuleTestSuite(plan: plan, files: tests) { (ContinuousClock.now - start) / .seconds(1) }
      results += suite.run(options)
    }
    for id in arguments.all("--rule") where !known.contains(id) {
      let hint = Arguments.nearest(id, known).map { ", did you mean `\($0)`?" } ?? ""
      throw CommandFailure(ExitCode.usage, "test: no rule `\(id)` there\(hint)")
    }
    if results.isEmpty { throw CommandFailure(ExitCode.usage, "test: no rules in \(paths.joined(separator: ", "))") }
    return results
  }

  /// Each problem with the line it is in.
  private static func described(_ failure: RuleFiles.Failure, _ files: RuleFiles) -> String {
    guard case .wrong(let problems) = failure else { return failure.description }
    return RuleLibrary.rendered(problems, sources: files.sources, directory: files.directory)
  }

  private static func read(
    _ files: RuleFiles, _ plan: RulePlan
  ) throws(RuleFiles.Failure) -> [RuleTestFile] {
    do throws(TextProblems) {
      return try RuleTestReader.read(sources: files.sources, plan: plan, directory: files.directory)
    } catch {
      throw .wrong(error)
    }
  }

  /// The rule files a path means, and which of them its tests are taken from.
  private struct Chosen {
    var files: RuleFiles
    /// Path below the rule directory, as messages show it; nil: everything.
    var below: String?

    func holds(_ file: String) -> Bool { below.map { file == $0 || file.hasPrefix($0 + "/") } ?? true }
  }

  /// A rule directory, a part of the one `--rules` names, or a rule file of its own.
  private static func files(_ path: String, rules: String) throws(CommandFailure) -> Chosen {
    let given = URL(fileURLWithPath: path).standardizedFileURL.path
    let base = URL(fileURLWithPath: rules).standardizedFileURL.path
    let isRuleDirectory = FileManager.default.fileExists(atPath: given + "/vitals.yaml")
    do throws(RuleFiles.Failure) {
      if isRuleDirectory { return Chosen(files: try RuleFiles.read(trimmed(path))) }
      if given.hasPrefix(base + "/"), FileManager.default.fileExists(atPath: given) {
        let files = try RuleFiles.read(trimmed(rules))
        return Chosen(files: files, below: files.directory + given.dropFirst(base.count))
      }
      return Chosen(files: try RuleFiles.read(path, defaults: trimmed(rules)))
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
  }

  /// Without the slashes a shell completes a folder with.
  private static func trimmed(_ path: String) -> String {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
  }
}

import VitalModel

/// What a run of rule tests says, in words, as JSON, and as an exit decision.
package struct RuleTestReport: Sendable {
  package var results: [RuleTestResult]
  /// Whether a rule without tests counts as a failure.
  package var requiresTests: Bool

  package init(_ results: [RuleTestResult], requiresTests: Bool = false) {
    self.results = results
    self.requiresTests = requiresTests
  }

  /// Whether everything asked for passed.
  package var passed: Bool { failedCount == 0 && (!requiresTests || untested.isEmpty) }

  package var testCount: Int { results.reduce(0) { $0 + $1.outcomes.count } }
  package var failedCount: Int { results.reduce(0) { $0 + $1.failed } }
  /// Ids of rules nobody tests.
  package var untested: [String] { results.filter { $0.outcomes.isEmpty }.map(\.rule) }

  // MARK: Shares

  /// Outcomes seen and possible.
  package var coverage: (seen: Int, of: Int)? {
    let measured = results.compactMap(\.coverage)
    return measured.isEmpty ? nil : (measured.reduce(0) { $0 + $1.seen }, measured.reduce(0) { $0 + $1.outcomes })
  }

  /// Mutants noticed and tried.
  package var mutation: (killed: Int, of: Int)? {
    let tried = results.compactMap(\.mutants)
    return tried.isEmpty
      ? nil : (tried.reduce(0) { $0 + $1.filter(\.isKilled).count }, tried.reduce(0) { $0 + $1.count })
  }

  /// Whether at least `minimum` percent of the mutants were noticed; false if none was tried.
  package func mutationReaches(_ minimum: Int) -> Bool {
    guard let mutation else { return false }
    return mutation.killed * 100 >= minimum * mutation.of
  }

  /// In percent, rounded down: 100 means all.
  static func percent(_ part: Int, of whole: Int) -> String { whole == 0 ? "-" : "\(part * 100 / whole) %" }

  // MARK: Text

  /// One line a rule, then what failed, what was not covered and what survived, then one line for all.
  package var lines: [String] {
    let width = results.map(\.rule.count).max() ?? 0
    var lines = results.map { line(of: $0, width: width) }
    for result in results {
      for outcome in result.outcomes where !outcome.passed {
        lines += ["", "FAILED \(result.rule): \(outcome.name) (\(result.file):\(outcome.line))"]
        lines += outcome.details.map { $0.isEmpty ? "" : "  " + $0 }
      }
    }
    let uncovered = results.flatMap { result in
      (result.coverage?.uncovered ?? []).map { "\(result.file):\($0.line): \(result.rule) \($0.words)" }
    }
    if !uncovered.isEmpty { lines += ["", "not covered:"] + uncovered.map { "  " + $0 } }
    let survivors = results.flatMap { result in
      (result.mutants ?? []).filter { !$0.isKilled }.map { "\(result.file):\($0.line): \(result.rule) \($0.text)" }
    }
    if !survivors.isEmpty { lines += ["", "mutants that survived:"] + survivors.map { "  " + $0 } }
    return lines + ["", summary]
  }

  private func line(of result: RuleTestResult, width: Int) -> String {
    let mark = result.outcomes.isEmpty ? "none   " : result.failed > 0 ? "FAILED " : "ok     "
    var line = mark + result.rule + String(repeating: " ", count: width - result.rule.count + 2)
    let passed = result.outcomes.count - result.failed
    line += result.outcomes.isEmpty ? "no tests" : "\(passed) of \(result.outcomes.count) passed"
    if let coverage = result.coverage {
      line += ", coverage \(RuleTestReport.percent(coverage.seen, of: coverage.outcomes))"
    }
    if let mutants = result.mutants { line += ", mutants \(mutants.filter(\.isKilled).count) of \(mutants.count)" }
    return line
  }

  package var summary: String {
    var text = "\(RuleTestReport.count(results.count, "rule")), \(RuleTestReport.count(testCount, "test")), "
    text += failedCount == 0 ? "all passed" : "\(failedCount) failed"
    if let coverage {
      text += "; coverage \(RuleTestReport.percent(coverage.seen, of: coverage.of))"
      text += " (\(coverage.seen) of \(coverage.of) outcomes)"
    }
    if let mutation {
      text += "; mutation score \(RuleTestReport.percent(mutation.killed, of: mutation.of))"
      text += " (\(mutation.killed) of \(mutation.of))"
    }
    let untested = untested
    if !untested.isEmpty {
      text += "; without tests: " + untested.joined(separator: ", ")
    }
    return text
  }

  private static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

  // MARK: JSON

  /// One object.
  package var json: String {
    var out = JSONText()
    out.object { out in
      out.array("rules") { out in
        for result in results { RuleTestReport.write(result, to: &out) }
      }
      out.field("tests", testCount)
      out.field("failed", failedCount)
      out.field("untested", untested)
      RuleTestReport.share("coverage", coverage.map { ($0.seen, $0.of) }, &out)
      RuleTestReport.share("mutation", mutation.map { ($0.killed, $0.of) }, &out)
    }
    return out.text
  }

  private static func share(_ key: String, _ share: (Int, Int)?, _ out: inout JSONText) {
    guard let share else { return out.null(key) }
    out.object(key) {
      $0.field("count", share.0)
      $0.field("of", share.1)
    }
  }

  private static func write(_ result: RuleTestResult, to out: inout JSONText) {
    out.object { out in
      out.field("rule", result.rule)
      out.field("file", result.file)
      out.field("line", result.line)
      out.array("tests") { out in
        for outcome in result.outcomes {
          out.object {
            $0.field("name", outcome.name)
            $0.field("line", outcome.line)
            $0.field("passed", outcome.passed)
            $0.field("details", outcome.details)
          }
        }
      }
      share("coverage", result.coverage.map { ($0.seen, $0.outcomes) }, &out)
      out.array("uncovered") { out in
        for condition in result.coverage?.uncovered ?? [] {
          out.object {
            $0.field("key", condition.part.key)
            $0.field("line", condition.line)
            $0.field("condition", condition.text)
            $0.field("yes", condition.sawYes)
            $0.field("no", condition.sawNo)
          }
        }
      }
      share("mutation", result.mutants.map { ($0.filter(\.isKilled).count, $0.count) }, &out)
      out.array("survivors") { out in
        for mutant in result.mutants ?? [] where !mutant.isKilled {
          out.object {
            $0.field("line", mutant.line)
            $0.field("change", mutant.text)
          }
        }
      }
    }
  }
}

extension RuleCoverage.Condition {
  /// `when: hr > 110 was never yes`.
  package var words: String {
    let missing = !sawYes && !sawNo ? "neither yes nor no" : sawYes ? "never no" : "never yes"
    return "\(part.key): `\(text)` was \(missing)"
  }
}

import RuleLanguage
import VitalModel
import YAMLText

/// What became of the tests of one rule.
package struct RuleTestResult: Sendable {
  /// One test.
  package struct Outcome: Sendable {
    package var name: String
    package var line: Int
    package var passed: Bool
    /// Why not: the transitions side by side, and the values behind them.
    package var details: [String]
    package var seconds: Double
  }

  package var rule: String
  package var title: String
  package var file: String
  package var line: Int
  package var outcomes: [Outcome]
  /// nil: not measured.
  package var coverage: RuleCoverage?
  /// nil: not tried, because it was not asked for or a test fails already.
  package var mutants: [Mutant.Result]?

  package var failed: Int { outcomes.filter { !$0.passed }.count }
}

/// Runs the tests of rules.
package struct RuleTestSuite {
  /// What is done beside running the tests.
  package struct Options: Sendable {
    package var coverage = false
    package var mutation = false
    package init(coverage: Bool = false, mutation: Bool = false) {
      self.coverage = coverage
      self.mutation = mutation
    }
  }

  package let plan: RulePlan
  package let files: [RuleTestFile]
  private let now: () -> Double

  /// - Parameters:
  ///   - plan: checked rules; tests run with their parameters as they are here, whatever their mode.
  ///   - now: seconds of any steady clock, for the times of a report.
  package init(plan: RulePlan, files: [RuleTestFile], now: @escaping () -> Double = { 0 }) {
    self.plan = plan
    self.files = files
    self.now = now
  }

  /// Runs everything, in the order of the files.
  package func run(_ options: Options) -> [RuleTestResult] {
    files.compactMap { file in RuleBench(plan: plan, file: file).map { result(of: $0, options) } }
  }

  private func result(of bench: RuleBench, _ options: Options) -> RuleTestResult {
    var outcomes: [RuleTestResult.Outcome] = []
    for run in bench.runs {
      let start = now()
      let observed = run.run(bench.layout(bench.rule, beside: run.test.companions), rule: bench.rule.id)
      let passed = observed.passes(run.test)
      let details = passed ? [] : FailureText(bench: bench, run: run, observed: observed).lines
      outcomes.append(
        RuleTestResult.Outcome(
          name: run.test.name, line: run.test.line, passed: passed, details: details, seconds: now() - start))
    }
    var result = RuleTestResult(
      rule: bench.rule.id, title: bench.rule.title, file: bench.file.file, line: bench.file.line, outcomes: outcomes)
    if options.coverage { result.coverage = RuleCoverage.measure(bench) }
    if options.mutation, result.failed == 0 { result.mutants = Mutation(bench: bench).results }
    return result
  }
}

import Evaluation
import Testing
import VitalModel

private let nan = Double.nan

private func run(_ instructions: [Instruction], flags: Set<String> = [], isListed: Bool = true) -> Double {
  var rule = RuleDefinition()
  rule.scope = .everySeries
  rule.parameters = [
    RuleParameter(
      name: "limit", value: DecimalValue(mantissa: 90), lowest: nil, highest: nil, unit: "",
      cases: [
        ParameterCase(flag: "a", value: DecimalValue(mantissa: 88)),
        ParameterCase(flag: "b", value: DecimalValue(mantissa: 86)),
      ])
  ]
  rule.when = Program(instructions: instructions, text: "")
  let layout = PlanLayout(
    plan: RulePlan(registry: VitalRegistry([]), rules: [rule], scores: [], version: ""))
  return withUnsafeTemporaryAllocation(of: ScoreState.self, capacity: 1) { scores in
    withUnsafeTemporaryAllocation(of: SeriesWindows.self, capacity: 1) { series in
      withUnsafeTemporaryAllocation(of: Int16.self, capacity: 1) { preferred in
        scores.initialize(repeating: ScoreState())
        guard let a = series.baseAddress, let b = preferred.baseAddress, let c = scores.baseAddress else { return nan }
        let view = PatientView(
          series: a, seriesCount: 0, preferred: b, scores: c, age: nan,
          flagBits: layout.flagBits(PatientFacts(tenant: "", patient: "", flags: flags)),
          flagsKnown: isListed)
        return ExpressionMachine().value(
          layout.rules[0].when, features: layout.rules[0].features, view: view, layout: layout,
          reading: ExpressionMachine.Reading(now: 0, subject: -1, rule: 0, holdLast: false))
      }
    }
  }
}

@Suite struct ExpressionTests {
  @Test("B7: three-valued truth: unknown never fires and never clears")
  func truthTable() {
    let values: [(Double, Truth)] = [(0, .no), (1, .yes), (nan, .unknown)]
    for (a, x) in values {
      for (b, y) in values {
        let and: Truth = x == .no || y == .no ? .no : x == .unknown || y == .unknown ? .unknown : .yes
        let or: Truth = x == .yes || y == .yes ? .yes : x == .unknown || y == .unknown ? .unknown : .no
        #expect(Truth(run([.constant(a), .constant(b), .and])) == and)
        #expect(Truth(run([.constant(a), .constant(b), .or])) == or)
      }
      #expect(Truth(run([.constant(a), .not])) == (x == .no ? .yes : x == .yes ? .no : .unknown))
      for comparison in [Instruction.less, .lessOrEqual, .greater, .greaterOrEqual, .equal, .notEqual] {
        #expect(Truth(run([.constant(a), .constant(nan), comparison])) == .unknown)
      }
    }
  }

  @Test func arithmetic() {
    #expect(run([.constant(7), .constant(2), .subtract, .constant(3), .multiply]) == 15)
    #expect(run([.constant(7), .constant(0), .divide]).isNaN)
    #expect(run([.constant(7), .negate, .absolute]) == 7)
    #expect(run([.constant(7), .constant(2), .divide, .constant(3), .add]) == 6.5)
    #expect(run([.constant(1), .constant(1), .equal]) == 1)
    #expect(run([.constant(1), .constant(1), .notEqual]) == 0)
    #expect(run([.constant(nan), .constant(1), .add]).isNaN)
    #expect(run([.attribute(.age)]).isNaN)
  }

  @Test("C3: a parameter switches with a flag, the first case wins, an unlisted patient has the ordinary value")
  func conditionalParameter() {
    #expect(run([.parameter(0)]) == 90)
    #expect(run([.parameter(0)], flags: ["a"]) == 88)
    #expect(run([.parameter(0)], flags: ["b"]) == 86)
    #expect(run([.parameter(0)], flags: ["a", "b"]) == 88)
    #expect(run([.parameter(0)], isListed: false) == 90)
  }

  @Test("C3: a flag of an unlisted patient is unknown, not false")
  func flags() {
    #expect(run([.attribute(.flag("c"))]) == 0)
    #expect(run([.attribute(.flag("c"))], flags: ["c"]) == 1)
    #expect(run([.attribute(.flag("c"))], isListed: false).isNaN)
  }
}

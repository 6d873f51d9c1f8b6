import VitalModel

/// One score of numbers that stand for themselves, such as a row of a file: the chart and the judgement are those the
/// engine runs. What looks back in time says little of such numbers: see ``VitalModel/ScoreDefinition/needsHistory``. One calculator a thread.
package final class ScoreCalculator {
  /// What is known of the patient beside the numbers.
  package struct Circumstances: Sendable {
    package var flags: Set<String>
    /// Completed months; nil unknown.
    package var ageMonths: Int?
    package init(flags: Set<String> = [], ageMonths: Int? = nil) {
      self.flags = flags
      self.ageMonths = ageMonths
    }
  }

  package let score: ScoreDefinition
  private let layout: PlanLayout
  private let series: UnsafeMutablePointer<SeriesWindows>
  private let preferred: UnsafeMutablePointer<Int16>
  private let state: UnsafeMutablePointer<ScoreState>
  private let codes: [VitalCode]
  private let machine = ExpressionMachine()

  package init(_ score: ScoreDefinition, registry: VitalRegistry) {
    self.score = score
    layout = PlanLayout(plan: RulePlan(registry: registry, rules: [], scores: [score], version: ""))
    codes = score.codes
    series = .allocate(capacity: max(1, codes.count))
    preferred = .allocate(capacity: max(1, layout.codes.count))
    preferred.initialize(repeating: -1, count: max(1, layout.codes.count))
    state = .allocate(capacity: 1)
    state.initialize(to: ScoreState())
    for (index, code) in codes.enumerated() {
      let number = Int(code.index)
      (series + index).initialize(
        to: SeriesWindows(series: UInt32(index), device: 0, code: number, source: 0, plan: layout.codes[number]))
      preferred[number] = Int16(index)
    }
  }

  deinit {
    for index in codes.indices { series[index].free() }
    series.deallocate()
    preferred.deallocate()
    state.deallocate()
  }

  /// - Parameter values: grid values by vital; a vital that is not among them is unknown.
  package func evaluate(_ values: [VitalCode: Int64], _ circumstances: Circumstances = .init()) -> ScoreState {
    for (index, code) in codes.enumerated() {
      let value = values[code].flatMap { Int32(exactly: $0) }
      series[index].standAlone(at: value, plan: layout.codes[Int(codes[index].index)])
    }
    let view = PatientView(
      series: series, seriesCount: codes.count, preferred: preferred, scores: state,
      age: circumstances.ageMonths.map { Double($0 / 12) } ?? .nan,
      flagBits: layout.flagBits(PatientFacts(tenant: "", patient: "", flags: circumstances.flags)), flagsKnown: true,
      ageMonths: circumstances.ageMonths.map(Double.init) ?? .nan)
    state.pointee = ScoreState()
    _ = state.pointee.update(layout.scores[0], machine: machine, view: view, layout: layout, now: 0)
    return state.pointee
  }
}

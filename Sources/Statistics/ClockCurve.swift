/// What the best clock detects at one burden: a point of the line that any rule must lie above.
package struct ClockPoint: Hashable, Sendable {
  /// Alerts per patient-day.
  package var burden: Double
  /// Share of events detected.
  package var sensitivity: Double

  package init(burden: Double, sensitivity: Double) {
    self.burden = burden
    self.sensitivity = sensitivity
  }
}

extension ClockPolicy {
  /// The best clock at each of some burdens, over a whole cohort; beyond what detects everything it stays there.
  ///
  /// O(burdens × hours × width of an event).
  ///
  /// - Parameter burdens: alerts per patient-day; those below zero are passed over.
  /// - Returns: empty without events or without patient time.
  package static func curve(
    _ cohort: EvaluationCohort, _ convention: EvaluationConvention, burdens: [Double]
  ) -> [ClockPoint] {
    guard !cohort.events.isEmpty, cohort.patientDays > 0 else { return [] }
    let grid = Grid(
      cohort, events: Array(cohort.events.indices), members: Array(cohort.stays.indices), convention)
    return burdens.filter { $0 >= 0 && $0.isFinite }.map { burden in
      let covered = grid.best(budget: burden * cohort.patientDays).covered
      return ClockPoint(burden: burden, sensitivity: covered / Double(cohort.events.count))
    }
  }
}

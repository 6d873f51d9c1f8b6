/// What one setting of rules was worth over a cohort: one point of the curve of sensitivity against burden.
package struct OperatingPoint: Sendable {
  /// What was set, by name and as a person would write it: (`limit`, `88`), (`for`, `10s`).
  package var values: [(name: String, value: String)]
  package var events = 0
  package var detected = 0
  package var alerts = 0
  package var patientDays = 0.0
  /// Alerts per patient-day.
  package var burden: Figure?
  package var sensitivity: Figure?
  /// Counting only alerts before the onset.
  package var beforeOnset: Figure?
  package var predictiveValue: Figure?
  /// Sensitivity less the share of matched controls with an alert in the same hours (SEMANTICS F2).
  package var margin: Figure?
  /// Windows by truth and answer, for curves of the window level.
  package var windows = WindowCounts()
  /// No other point has both less burden and more of what is sought.
  package var isOnFront = false
  /// The one chosen, and the one in force today.
  package var isChosen = false
  package var isToday = false

  package init(values: [(name: String, value: String)]) { self.values = values }

  /// `limit 88, for 10s`.
  package var name: String { values.map { "\($0.name) \($0.value)" }.joined(separator: ", ") }

  /// Windows with and without an event, with and without an alert.
  package struct WindowCounts: Hashable, Sendable {
    package var truePositives = 0
    package var falsePositives = 0
    package var falseNegatives = 0
    package var trueNegatives = 0
    package init() {}
  }
}

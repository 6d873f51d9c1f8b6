/// What alerts found and how many there were, counted and no more: for comparing replays that differ in one thing.
package struct DetectionCount: Hashable, Sendable {
  package private(set) var events = 0
  package private(set) var detected = 0
  package private(set) var alerts = 0
  package private(set) var patientDays = 0.0

  /// O(alerts × events of a patient).
  package init(_ input: EvaluationInput, _ convention: EvaluationConvention) {
    let cohort = input.cohort
    let known = input.alerts.filter { cohort.stays.indices.contains($0.patient) }
    let told = ByPatient(
      known.sorted { ($0.patient, $0.time) < ($1.patient, $1.time) }, patients: cohort.count
    ) { $0.patient }
    let own = ByPatient(cohort.events, patients: cohort.count) { $0.patient }
    events = cohort.events.count
    alerts = known.count
    patientDays = cohort.patientDays
    for patient in cohort.stays.indices where !own[patient].isEmpty {
      detected += EventMatching(told[patient].map(\.time), own[patient].map { convention.target($0) }).detected
    }
  }

  /// Alerts per patient-day; nil without patient time.
  package var burden: Double? { patientDays > 0 ? Double(alerts) / patientDays : nil }
  /// nil without events.
  package var sensitivity: Double? { events > 0 ? Double(detected) / Double(events) : nil }
}

import Statistics

/// What a page is about, and who may be named on it.
package struct PageSubject: Sendable {
  /// Empty: what kind of page it is.
  package var title: String
  /// The recording as the reader knows it; empty: not said.
  package var recording: String
  /// The program and its version; empty: not said.
  package var program: String
  /// The name of a patient by position in the cohort; nil: patients are numbered, nobody is named.
  package var patientName: (@Sendable (Int) -> String)?

  package init(
    title: String = "", recording: String = "", program: String = "",
    patientName: (@Sendable (Int) -> String)? = nil
  ) {
    self.title = title
    self.recording = recording
    self.program = program
    self.patientName = patientName
  }

  /// - Parameter count: of the cohort's patients.
  func name(_ patient: Int, of count: Int) -> String { patientName?(patient) ?? "patient \(patient + 1) of \(count)" }
}

/// What one suppression stage is worth: counts of the same replay without it.
package struct StageEffect: Sendable {
  package var stage: String
  /// Alerts it held, with all stages on.
  package var heldRows: Int
  package var alerts: Int
  package var detected: Int
  /// Alerts per patient-day.
  package var burden: Double
  /// nil: no events.
  package var sensitivity: Double?

  package init(stage: String, heldRows: Int, alerts: Int, detected: Int, burden: Double, sensitivity: Double?) {
    self.stage = stage
    self.heldRows = heldRows
    self.alerts = alerts
    self.detected = detected
    self.burden = burden
    self.sensitivity = sensitivity
  }
}

/// Everything drawings and tables are made of.
struct PageMaterial {
  var report: EvaluationReport
  var subject: PageSubject
  /// Settings tried; the rules as they are where none of them was chosen.
  var points: [OperatingPoint]
  var clock: [ClockPoint]
  var stages: [StageEffect]
  var traces: [PatientTrace]
  /// Whether settings were searched: one is chosen, others lie beside it.
  var isTuning: Bool

  init(
    report: EvaluationReport, subject: PageSubject, points: [OperatingPoint], clock: [ClockPoint],
    stages: [StageEffect], traces: [PatientTrace], isTuning: Bool
  ) {
    self.report = report
    self.subject = subject
    self.points = points.contains { $0.isChosen } ? points : points + [OperatingPoint(report.total)]
    self.clock = clock.filter { $0.burden.isFinite && $0.sensitivity.isFinite }.sorted { $0.burden < $1.burden }
    self.stages = stages
    self.traces = traces
    self.isTuning = isTuning
  }

  /// How drawings call the chosen point.
  var chosenWord: String { isTuning ? "chosen" : "these rules" }
}

extension OperatingPoint {
  /// The one point of an evaluation.
  init(_ row: EvaluationRow) {
    self.init(values: [(name: "the rules", value: "as they are")])
    events = row.events.count
    detected = row.events.detected
    alerts = row.alerts.count
    patientDays = row.patientDays
    burden = row.alerts.perPatientDay
    sensitivity = row.events.sensitivity
    beforeOnset = row.chance.beforeOnset
    predictiveValue = row.alerts.predictiveValue
    margin = row.chance.margin
    windows.truePositives = row.windows.truePositives
    windows.falsePositives = row.windows.falsePositives
    windows.falseNegatives = row.windows.falseNegatives
    windows.trueNegatives = row.windows.trueNegatives
    isChosen = true
  }

  /// As a row of a table and beside a mark.
  var role: String {
    [(isChosen, "chosen"), (isToday, "today"), (isOnFront, "on the front")].filter(\.0).map(\.1)
      .joined(separator: ", ")
  }
}

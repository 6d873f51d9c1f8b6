/// What goes wrong with a simulated patient or device.
package enum ScenarioKind: String, Sendable, CaseIterable {
  case sepsis
  case opioidDepression = "opioid_depression"
  case heartFailure = "heart_failure"
  case hypoglycaemia
  case atrialFibrillation = "atrial_fibrillation"
  case haemorrhage
  case probeOff = "probe_off"
  case flatBattery = "flat_battery"
  case clockSkew = "clock_skew"
  case backfill

  /// True when the patient is ill; false when only the device is at fault.
  package var isPhysiological: Bool {
    switch self {
    case .sepsis, .opioidDepression, .heartFailure, .hypoglycaemia, .atrialFibrillation, .haemorrhage: true
    case .probeOff, .flatBattery, .clockSkew, .backfill: false
    }
  }

  var course: Course {
    switch self {
    case .sepsis: Course(buildUp: 6 * 3600, hold: 3 * 3600, recovery: 8 * 3600, overt: 0.6)
    case .opioidDepression: Course(buildUp: 25 * 60, hold: 10 * 60, recovery: 4 * 60, overt: 0.6)
    case .heartFailure: Course(buildUp: 5 * 86_400, hold: 2 * 86_400, recovery: 4 * 86_400, overt: 0.6)
    case .hypoglycaemia: Course(buildUp: 3600, hold: 1500, recovery: 1200, overt: 0.6)
    case .atrialFibrillation: Course(buildUp: 20, hold: 2400, recovery: 60, overt: 0)
    case .haemorrhage: Course(buildUp: 5400, hold: 2700, recovery: 3600, overt: 0.6)
    case .probeOff: Course(buildUp: 0, hold: 600, recovery: 0, overt: 0)
    case .flatBattery: Course(buildUp: 7200, hold: 1800, recovery: 0, overt: 0.75)
    case .clockSkew: Course(buildUp: 0, hold: 7200, recovery: 0, overt: 0)
    case .backfill: Course(buildUp: 0, hold: 480, recovery: 0, overt: 0)
    }
  }
}

/// The time line of one scenario, in seconds of the illness (divided by the pace to get seconds of the ward).
struct Course: Sendable {
  /// From the first drift to full severity.
  var buildUp: Double
  /// At full severity.
  var hold: Double
  /// Back to health.
  var recovery: Double
  /// Share of the build-up after which the condition is there to be seen: where the truth label begins.
  var overt: Double
}

/// One scenario of one patient.
package struct ScenarioPlan: Hashable, Sendable {
  /// Number of the patient in the ward, from 0.
  package var patient: Int
  package var kind: ScenarioKind
  /// When the first drift begins, seconds after the ward's start. The label begins later, when the course is overt.
  package var start: Int64

  package init(patient: Int, kind: ScenarioKind, start: Int64) {
    self.patient = patient
    self.kind = kind
    self.start = start
  }

  /// Full severity, and any fault of a device, lasts at least this long however fast the pace: rules wait for a breach to
  /// persist, and their waiting is not hurried.
  static let shortestHold = 40.0

  /// Seconds after `start` at which full severity is reached, at which it ends, and at which all is over.
  func phases(pace: Double) -> (full: Double, relief: Double, over: Double) {
    let course = kind.course
    let full = course.buildUp / pace
    let relief = full + max(course.hold / pace, ScenarioPlan.shortestHold)
    return (full, relief, relief + course.recovery / pace)
  }

  /// 0 healthy ... 1 full severity.
  func severity(at second: Int64, pace: Double) -> Double {
    let elapsed = Double(second - start)
    let phase = phases(pace: pace)
    if elapsed < 0 || elapsed >= phase.over { return 0 }
    if elapsed < phase.full { return Curve.smoothStep(elapsed / phase.full) }
    if elapsed < phase.relief { return 1 }
    return Curve.smoothStep((phase.over - elapsed) / (phase.over - phase.relief))
  }

  /// What really happened, in whole seconds after the ward's start.
  func label(patient id: String, pace: Double) -> TruthLabel {
    let phase = phases(pace: pace)
    return TruthLabel(
      patient: id, onset: start + Curve.nearest(phase.full * kind.course.overt),
      end: start + Curve.nearest(phase.relief),
      label: kind.rawValue)
  }
}

/// One line of `labels.csv`: what an alert is judged against.
package struct TruthLabel: Hashable, Sendable {
  package var patient: String
  /// Seconds after the ward's start at which the condition is overt; its first drift lies before.
  package var onset: Int64
  /// Seconds after the ward's start at which treatment or repair begins.
  package var end: Int64
  package var label: String

  /// The header line of `labels.csv` with its line feed.
  package static let header = "patient_id,onset_time_s,end_time_s,label\n"
  /// The line with its line feed.
  package var csv: String { "\(patient),\(onset),\(end),\(label)\n" }
}

import VitalModel

/// What a row of an evaluation is about.
package enum EvaluationKey: Hashable, Sendable {
  case all
  case rule(EvaluatedRule)
  case priority(Priority)
  /// nil: patients of whom it is not known.
  case subgroup(column: String, value: String?)
}

/// A rule of which alerts were told.
package struct EvaluatedRule: Hashable, Sendable {
  package var id: String
  package var version: String
  package init(id: String, version: String = "") {
    self.id = id
    self.version = version
  }
}

/// What some alerts of some patients were worth.
package struct EvaluationRow: Sendable {
  package var key: EvaluationKey
  package var patients = 0
  package var patientDays = 0.0

  package var events = EventFigures()
  package var alerts = AlertFigures()
  /// Of the detected events; nil without any.
  package var lead: LeadFigures?
  package var chance = ChanceFigures()
  package var windows = WindowFigures()
  package var scores = ScoreFigures()
  package var average = AverageFigures()

  package init(key: EvaluationKey) { self.key = key }
}

/// Events found and missed.
package struct EventFigures: Sendable {
  package var count = 0
  package var detected = 0
  /// Detected of all; nil without events.
  package var sensitivity: Figure?
  /// Patients with an event, and those of them with one detected.
  package var patients = 0
  package var patientsDetected = 0
  package var patientSensitivity: Figure?
}

/// Alerts and what they were worth.
package struct AlertFigures: Sendable {
  package var count = 0
  package var credited = 0
  package var repeats = 0
  package var isFalse = 0
  package var neutral = 0
  package var censored = 0
  package var perPatientDay: Figure?
  package var falsePerPatientDay: Figure?
  /// Credited and repeats of those that are true or false.
  package var predictiveValue: Figure?
  /// Credited of credited and false: repeats counted once.
  package var predictiveValueOnce: Figure?
  /// Alerts looked at for one that is true: 1 ÷ PPV.
  package var numberNeeded: Figure?
}

/// How long before the onset alerts came, milliseconds; below zero after it.
package struct LeadFigures: Sendable {
  package var median: Figure
  package var p25: Double
  package var p75: Double
  /// Of the detected events, those with the useful lead.
  package var usefulShare: Figure?
}

/// What chance alone would reach (SEMANTICS F2).
package struct ChanceFigures: Sendable {
  package var rotation: Rotation?
  package var clock: ClockPolicy?
  /// Controls drawn; events that have some, and that have none.
  package var controls = 0
  package var matched = 0
  package var unmatched = 0
  /// Share of matched controls with an alert in the same hours.
  package var controlRate: Double?
  /// Sensitivity of the matched events less that share.
  package var margin: Figure?
  /// Sensitivity counting only alerts before the onset.
  package var beforeOnset: Figure?
}

/// Windows of fixed length; specificity is inflated by long quiet time and depends on the length.
package struct WindowFigures: Sendable {
  package var truePositives = 0
  package var falsePositives = 0
  package var falseNegatives = 0
  package var trueNegatives = 0
  /// Left out: they touch a censored stretch.
  package var censored = 0
  package var sensitivity: Figure?
  package var specificity: Figure?
  package var predictiveValue: Figure?
  package var netBenefit: [NetBenefit] = []

  /// At one threshold, beside alerting always.
  package struct NetBenefit: Sendable {
    package var threshold: Double
    package var figure: Figure
    package var alertAlways: Double
  }
}

/// Scores of several communities.
package struct ScoreFigures: Sendable {
  /// Over events and false alerts.
  package var f1: Figure?
  package var f2: Figure?
  package var cinc2015: Figure?
  /// Whether ``cinc2015`` is over labelled moments, true and false; else over windows.
  package var isOverMoments = false
  package var negatives = 0
  package var negativesAlerted = 0
  /// Normalised utility of the PhysioNet Challenge 2019; nil without events.
  package var utility2019: Figure?
}

/// The mean over patients, beside figures of all patients together: those hide the few who make most alerts.
package struct AverageFigures: Sendable {
  package var sensitivity: Figure?
  package var predictiveValue: Figure?
  package var perPatientDay: Figure?
  package var specificity: Figure?
}

/// Counts of one patient.
package struct PatientRow: Hashable, Sendable {
  /// Position in the cohort.
  package var patient: Int
  package var patientDays: Double
  package var events = 0
  package var detected = 0
  package var alerts = 0
  package var trueAlerts = 0
  package var isFalse = 0
  /// Of each detected event, milliseconds, in order of onset.
  package var leads: [Int64] = []
}

/// What fell into one hour of the day, UTC, over all days.
package struct HourRow: Hashable, Sendable {
  /// 0 to 23.
  package var hour: Int
  package var alerts = 0
  package var isFalse = 0
  /// Onsets of events.
  package var events = 0

  package init(hour: Int) { self.hour = hour }

  /// The hour of an instant, milliseconds since 1970.
  static func hour(of time: Int64) -> Int { Int(DecimalFloor.divide(time, 3_600_000) % 24 + 24) % 24 }
}

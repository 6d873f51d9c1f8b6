import Statistics
import Testing
import VitalModel

@testable import ReportPages

/// A ward made up by hand, small and the same every time: sixty patients of two days each, every third with an event.
enum SampleWard {
  static let hour: Int64 = 3_600_000
  private static let start: Int64 = 1_577_836_800_000

  static let count = 60
  /// What names from outside may be: markup, quotes, controls, a mark that turns writing around.
  static let hostile = "</title><script>x('\"&\u{7}\u{202E}]]>"

  static func input() throws -> EvaluationInput {
    let stays = (0..<count).map { _ in
      WatchedStay(PatientWatch(patient: 0, unit: nil, spans: [start..<start + 48 * hour]), interval: hour)
    }
    var lines = "patient_id,onset_time_s,label\n"
    for patient in 0..<count where patient % 3 == 0 {
      lines += "p\(patient),\(start / 1000 + Int64(20 + patient % 20) * 3600),sepsis\n"
    }
    let labels = try LabelSet(LabelTable(lines, file: "labels.csv", epoch: 0), LabelSelection())
    let sexes = SubgroupColumn(name: "sex", values: (0..<count).map { $0 % 2 == 0 ? hostile : nil })
    let cohort = EvaluationCohort(stays: stays, labels: labels, groups: [sexes]) { name in
      Int(name.dropFirst())
    }
    var alerts: [EvaluatedAlert] = []
    for patient in 0..<count {
      // Half of the events are alerted four to nine hours before; one patient in ten is noisy.
      if patient % 6 == 0 {
        let onset = start + Int64(20 + patient % 20) * hour
        alerts.append(EvaluatedAlert(patient: patient, time: onset - Int64(4 + patient % 6) * hour, rule: 0))
      }
      if patient % 10 == 7 {
        for place in 0..<8 {
          alerts.append(
            EvaluatedAlert(patient: patient, time: start + Int64(place * 5 + 1) * hour, rule: 1, priority: .high))
        }
      }
    }
    return EvaluationInput(
      cohort: cohort, alerts: alerts, rules: [EvaluatedRule(id: hostile), EvaluatedRule(id: "hr-high")],
      notifications: alerts.count, dataDigest: "sha256:0123", rulesVersion: "sha256:4567")
  }

  static func options() -> EvaluationOptions {
    var options = EvaluationOptions()
    options.resamples = EvaluationOptions.resamplesMin
    options.convention.grace = 3 * hour
    return options
  }

  /// Resampling is what takes time, so it is done once.
  static let report: EvaluationReport? = try? EvaluationReport(input(), options())

  static func figure(_ value: Double, _ spread: Double) -> Figure {
    Figure(
      value: value,
      intervals: [Interval(lower: value - spread, upper: value + spread, method: .patientBootstrapCorrected)],
      patients: 60)
  }

  /// A search over one limit: the higher the more is found, and the more it costs.
  static func points(_ count: Int = 9) -> [OperatingPoint] {
    (0..<count).map { step in
      let share = Double(step + 1) / Double(count + 1)
      var point = OperatingPoint(values: [(name: "limit", value: "\(85 + step)"), (name: "for", value: hostile)])
      point.events = 100
      point.detected = Int(100 * share.squareRoot())
      point.burden = figure(2 * share * share, 0.1)
      point.sensitivity = figure(share.squareRoot(), 0.05)
      point.margin = figure(share * (1 - share), 0.06)
      point.windows.truePositives = Int(400 * share.squareRoot())
      point.windows.falseNegatives = 400 - point.windows.truePositives
      point.windows.falsePositives = Int(9600 * share * share)
      point.windows.trueNegatives = 9600 - point.windows.falsePositives
      point.isOnFront = step % 3 != 1
      point.isChosen = step == 5
      point.isToday = step == 7
      return point
    }
  }

  static func traces() throws -> [PatientTrace] {
    TracePicks(try input(), options().convention).picks.map { pick in
      let samples = stride(from: pick.range.lowerBound, through: pick.range.upperBound, by: Int(hour)).map { time in
        TraceVital.Sample(time: time, value: 96 - Double((time / hour) % 7))
      }
      return PatientTrace(
        pick: pick,
        vitals: [
          TraceVital(title: "Oxygen saturation", unit: "%", samples: samples),
          TraceVital(title: hostile, unit: "/min", samples: samples.map { .init(time: $0.time, value: 80) }),
        ])
    }
  }

  static let stages = [
    StageEffect(stage: "persistence", heldRows: 40, alerts: 120, detected: 12, burden: 1.0, sensitivity: 0.6),
    StageEffect(stage: "refractory", heldRows: 9, alerts: 66, detected: 10, burden: 0.55, sensitivity: 0.5),
  ]
  static let clock = (0...10).map { ClockPoint(burden: Double($0) / 5, sensitivity: Double($0) / 14) }

  static func evaluation(subject: PageSubject = PageSubject(recording: hostile)) throws -> EvaluationPage {
    EvaluationPage(
      report: try #require(report), subject: subject, clock: clock, stages: stages, traces: try traces())
  }

  static func tuning() throws -> TuningPage {
    var page = TuningPage(
      report: try #require(report), points: points(), subject: PageSubject(recording: "ward.csv"))
    page.objective = "least burden, sensitivity at least 70 % \(hostile)"
    page.crossValidated = [
      PageFigure("Sensitivity", figure(0.7, 0.1)), PageFigure("Margin", figure(0.2, 0.1), .signed),
      PageFigure("Alerts per patient-day", nil, .number, note: "not known"),
    ]
    page.heldOut = [PageFigure("Sensitivity", figure(0.66, 0.2))]
    page.comparison = [PageFigure("Sensitivity", figure(-0.02, 0.05), .signed)]
    page.groups = [TuningPage.Group("sex female", patients: 30, events: 10, detected: 6)]
    page.flatness = ["4 of 9 settings lie within one standard error: limit 88 to 91."]
    page.notes = ["5 folds by patient.", hostile]
    page.score = ScoreSheet(
      name: "early-warning",
      items: [
        .init("Oxygen saturation", unit: "%", bands: [.init("94 or less", points: 2), .init("95 or more", points: 0)])
      ],
      threshold: "Alert at 2 or more")
    page.ruleText = "id: spo2-low\n# \(hostile)\n"
    page.clock = clock
    page.stages = stages
    page.traces = try traces()
    return page
  }
}

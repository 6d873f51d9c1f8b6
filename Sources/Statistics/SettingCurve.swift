import VitalModel

/// What one recording comes to under each of a few settings: the points of a curve. Nothing is chosen.
package struct SettingCurve: Sendable {
  /// In the order of the grid; those of the front, and all where they are few, have intervals.
  package let points: [OperatingPoint]

  /// Settings a curve may have.
  package static let settingsMax = 200

  /// O(resamples × patients × settings with intervals).
  ///
  /// - Parameters:
  ///   - alerts: by place in the grid; patients by their position in the cohort.
  ///   - names: of the cohort's patients, by position.
  package init(
    _ grid: TuningGrid, alerts: [[EvaluatedAlert]], cohort: EvaluationCohort, names: [String],
    options: EvaluationOptions
  ) {
    // Controls are drawn from everybody, as an evaluation does.
    let together = PatientFolds(
      patients: names, hasEvent: cohort.hasEvent, groups: names.map { _ in nil }, seed: options.seed)
    let ward = TuningCohort(cohort, folds: together, convention: options.convention, seed: options.seed)
    let tallies = alerts.map { ward.tally($0) }
    let mask = TuningMask(ward, together.all)
    let plain = tallies.map { TuningFigures($0, of: ward, among: mask) }
    let front = TuningFront.positions(plain.map { ($0.sums.burden ?? 0, $0.sums.sensitivity) })
    let most = TuningReport.bandsMax
    let shown = tallies.count <= most ? Array(tallies.indices) : TuningFront.thinned(front, to: most)
    let figures = TuningFigures.all(
      shown.map { tallies[$0] }, of: ward, among: together.all, resamples: options.resamples, seed: options.seed)
    let banded = Dictionary(uniqueKeysWithValues: zip(shown, figures))
    points = plain.indices.map { place in
      var point = (banded[place] ?? plain[place]).point(values: grid.texts(place))
      point.isOnFront = front.contains(place)
      return point
    }
  }

  /// The field `curve` of docs/formats/evaluation.md.
  func write(to out: inout JSONText) {
    out.array("curve") { list in
      for point in points {
        list.object { out in
          out.object("values") { for (name, value) in point.values { $0.field(name, value) } }
          out.field("alerts", point.alerts)
          out.field("detected", point.detected)
          out.figure("per_patient_day", point.burden)
          out.figure("sensitivity", point.sensitivity)
          out.figure("before_onset", point.beforeOnset)
          out.figure("ppv", point.predictiveValue)
          out.figure("margin", point.margin)
          out.object("windows") {
            $0.field("tp", point.windows.truePositives)
            $0.field("fp", point.windows.falsePositives)
            $0.field("fn", point.windows.falseNegatives)
            $0.field("tn", point.windows.trueNegatives)
          }
        }
      }
    }
  }
}

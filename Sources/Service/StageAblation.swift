import VitalModel

/// What each suppression stage is worth in a recording: the replay as it is, and once more without each stage that held
/// something.
package struct StageAblation: Sendable {
  /// One stage, and what people would have been told had it not been there.
  package struct Row: Sendable {
    package var stage: SuppressionStage
    /// Ledger rows of the stage in the replay as it is.
    package var held: Int
    package var without: ReplaySession.Summary

    package init(stage: SuppressionStage, held: Int, without: ReplaySession.Summary) {
      self.stage = stage
      self.held = held
      self.without = without
    }
  }

  package var baseline: ReplaySession.Summary
  /// Watched time of the patients replayed, as ``WatchedCohort/patientDays``.
  package var patientDays: Double
  package var rows: [Row] = []

  package init(baseline: ReplaySession.Summary, patientDays: Double) {
    self.baseline = baseline
    self.patientDays = patientDays
  }

  /// Stages a replay is worth running without: those that held something, in the order alerts meet them. Rules on trial are
  /// none: they tell nobody for another reason.
  package static func stages(of baseline: ReplaySession.Summary) -> [(stage: SuppressionStage, held: Int)] {
    SuppressionStage.allCases.compactMap { stage in
      let held = (baseline.suppressedByStage[stage] ?? [:]).values.reduce(0, +)
      return held > 0 && stage != .shadow ? (stage, held) : nil
    }
  }

  package func perPatientDay(_ alerts: Int) -> Double? { patientDays > 0 ? Double(alerts) / patientDays : nil }

  package var json: String {
    var out = JSONText()
    out.object { out in
      out.field("patients", baseline.patients)
      out.field("patient_days", patientDays)
      out.object("baseline") { write(baseline, to: &$0) }
      out.array("stages") { list in
        for row in rows {
          list.object {
            $0.field("stage", row.stage.rawValue)
            $0.field("held", row.held)
            $0.object("without") { write(row.without, to: &$0) }
          }
        }
      }
    }
    return out.text
  }

  private func write(_ summary: ReplaySession.Summary, to out: inout JSONText) {
    out.field("alerts", summary.alerts)
    out.field("notifications", summary.notifications)
    out.field("suppressed", summary.suppressed)
    out.field("alerts_per_patient_day", perPatientDay(summary.alerts))
  }
}

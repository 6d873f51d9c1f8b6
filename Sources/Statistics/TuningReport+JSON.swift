import VitalModel

extension TuningReport {
  /// Of ``write(to:evaluation:)``: raised when a field changes its meaning or goes, not when one is added.
  package static let documentVersion = 1

  /// One JSON object; its fields are those of docs/formats/tuning.md and stay as they are.
  ///
  /// - Parameter evaluation: of the chosen setting, on the patients it was chosen on; no patient is named.
  package func write(to out: inout JSONText, evaluation: EvaluationReport?) {
    out.object { out in
      out.field("document", "vigil-tuning")
      out.field("version", TuningReport.documentVersion)
      out.field("rules", input.rules)
      input.cohort.convention.write(to: &out)
      input.cohort.cohort.exclusions.write(to: &out, kinds: input.cohort.cohort.kinds)
      writeObjective(to: &out)
      writeSearch(to: &out)
      out.object("chosen") { out in
        out.object("values") { write(place: choice.final.position, to: &$0) }
        out.field("meets_target", choice.final.meetsTarget)
        if !choice.final.meetsTarget { out.field("miss", choice.final.miss) }
      }
      out.object("cross_validated") { out in
        out.field("by", input.cohort.folds.names.count)
        crossValidated.write(to: &out)
        out.array("folds") { list in for fold in folds { list.object { write(fold, to: &$0) } } }
      }
      writeHeldOut(to: &out)
      out.object("apparent") { apparent.write(to: &$0) }
      out.object("today") { today.write(to: &$0) }
      out.object("difference") { out in
        out.field("words", "cross-validated less today's rule, paired by patient")
        out.figure("sensitivity", difference.sensitivity)
        out.figure("before_onset", difference.beforeOnset)
        out.figure("per_patient_day", difference.burden)
        out.figure("margin", difference.margin)
      }
      writeFlatness(to: &out)
      out.array("subgroups") { list in
        for group in groups {
          list.object { out in
            out.field("column", group.column)
            out.field("value", group.value)
            out.object("cross_validated") { group.crossValidated.write(to: &$0) }
            out.object("today") { group.today.write(to: &$0) }
          }
        }
      }
      writeSettings(to: &out)
      writeFront("front_sensitivity", frontOfSensitivity, to: &out)
      writeFront("front_margin", frontOfMargin, to: &out)
      if let evaluation {
        out.raw("evaluation", TuningReport.text(of: evaluation))
      } else {
        out.null("evaluation")
      }
      out.field("data_digest", input.dataDigest)
      out.field("rules_version", input.rulesVersion)
      out.field("seed", String(input.seed))
      out.field("resamples", input.resamples)
      out.field("confidence", 1 - Interval.alpha)
    }
  }

  private static func text(of evaluation: EvaluationReport) -> String {
    var out = JSONText()
    evaluation.write(to: &out)
    return out.text
  }

  private func writeObjective(to out: inout JSONText) {
    out.object("objective") { out in
      out.field("name", input.objective.name)
      out.field("words", input.objective.words)
      switch input.objective {
      case .leastBurden(let sensitivity): out.field("target_sensitivity", sensitivity)
      case .greatestMargin(let burden): out.field("budget_per_patient_day", burden)
      case .fBeta(let beta): out.field("beta", beta)
      case .cost(let ratio): out.field("cost_ratio", ratio)
      case .utility: break
      case .netBenefit(let threshold): out.field("threshold", threshold)
      }
    }
  }

  private func writeSearch(to out: inout JSONText) {
    out.object("search") { out in
      out.field("method", input.search)
      out.field("grid", input.grid.count)
      out.field("settings", input.tallies.count)
      out.array("rungs") { list in
        for rung in input.rungs {
          list.object {
            $0.field("settings", rung.settings)
            $0.field("patients", rung.patients)
            $0.field("events", rung.events)
            $0.field("share", rung.share)
          }
        }
      }
    }
  }

  private func writeHeldOut(to out: inout JSONText) {
    out.object("holdout") { out in
      out.field("used", heldOut != nil)
      guard let heldOut else { return }
      out.field("patients_digest", input.heldOutDigest)
      heldOut.write(to: &out)
    }
  }

  private func write(_ fold: Fold, to out: inout JSONText) {
    out.field("fold", fold.name)
    out.object("values") { write(place: fold.choice.position, to: &$0) }
    out.field("meets_target", fold.choice.meetsTarget)
    out.field("patients", fold.judged.patients)
    out.field("events", fold.judged.events)
    out.field("detected", fold.judged.detected)
    out.field("per_patient_day", fold.judged.burden)
    out.field("margin", fold.judged.margin)
  }

  private func write(place: Int, to out: inout JSONText) {
    for (name, value) in input.grid.texts(input.positions[place]) { out.field(name, value) }
  }

  private func writeFlatness(to out: inout JSONText) {
    guard let flatness else { return out.null("flatness") }
    out.object("flatness") { out in
      out.field("standard_error", flatness.spread)
      out.field("within", flatness.within)
      out.field("of", flatness.count)
      out.array("ranges") { list in
        for range in flatness.ranges {
          list.object {
            $0.field("name", range.label)
            $0.field("lowest", range.lowest)
            $0.field("highest", range.highest)
            $0.field("is_whole", range.isWhole)
          }
        }
      }
    }
  }

  /// Every setting, as columns.
  private func writeSettings(to out: inout JSONText) {
    let rows = input.positions.map { input.grid.values($0) }
    out.object("settings") { out in
      out.field("n", points.count)
      out.array("axes") { list in
        for (index, axis) in input.grid.axes.enumerated() {
          list.object { out in
            out.field("name", axis.label)
            out.field("rule", axis.rule)
            out.field("is_duration", axis.isDuration)
            out.array("values") { list in for row in rows { list.element(axis.text(row[index])) } }
          }
        }
      }
      func column(_ name: String, _ value: (OperatingPoint) -> Double?) {
        out.array(name) { list in
          for point in points { list.number(value(point)) }
        }
      }
      column("alerts") { Double($0.alerts) }
      column("detected") { Double($0.detected) }
      column("per_patient_day") { $0.burden?.value }
      column("sensitivity") { $0.sensitivity?.value }
      column("before_onset") { $0.beforeOnset?.value }
      column("ppv") { $0.predictiveValue?.value }
      column("margin") { $0.margin?.value }
      column("window_tp") { Double($0.windows.truePositives) }
      column("window_fp") { Double($0.windows.falsePositives) }
      column("window_fn") { Double($0.windows.falseNegatives) }
      column("window_tn") { Double($0.windows.trueNegatives) }
    }
  }

  /// Places in `settings`, with intervals.
  private func writeFront(_ name: String, _ places: [Int], to out: inout JSONText) {
    out.array(name) { list in
      for place in places {
        list.object { out in
          out.field("setting", place)
          out.figure("per_patient_day", points[place].burden)
          out.figure("sensitivity", points[place].sensitivity)
          out.figure("margin", points[place].margin)
        }
      }
    }
  }
}

extension TuningFigures {
  /// Fields of an object already begun.
  package func write(to out: inout JSONText) {
    out.field("patients", sums.patients)
    out.field("patient_days", sums.patientDays)
    out.object("events") {
      $0.field("n", sums.events)
      $0.field("detected", sums.detected)
      $0.figure("sensitivity", sensitivity)
      $0.figure("before_onset", beforeOnset)
    }
    out.object("alerts") {
      $0.field("n", sums.alerts)
      $0.field("true", sums.trueAlerts)
      $0.field("false", sums.falseAlerts)
      $0.field("neutral", sums.neutral)
      $0.field("censored", sums.censored)
      $0.figure("per_patient_day", burden)
      $0.figure("ppv", predictiveValue)
    }
    out.object("matched") {
      $0.field("rate", sums.controlRate)
      $0.field("events", sums.matched)
      $0.field("without_controls", sums.unmatched)
      $0.figure("margin", margin)
    }
    out.object("windows") {
      $0.field("tp", sums.windows.truePositives)
      $0.field("fp", sums.windows.falsePositives)
      $0.field("fn", sums.windows.falseNegatives)
      $0.field("tn", sums.windows.trueNegatives)
    }
    out.figure("objective", objective)
  }
}

extension JSONText {
  /// An element written as `field` writes a number.
  fileprivate mutating func number(_ value: Double?) {
    guard let value, value.isFinite else { return rawElement("null") }
    rawElement(value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)")
  }
}
